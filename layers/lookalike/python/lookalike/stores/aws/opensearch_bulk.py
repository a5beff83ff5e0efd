"""Bulk requests to OpenSearch: documents, operations, and the outcome of each."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opensearchpy.exceptions import RequestError

from lookalike.domain.picture import Key, Picture
from lookalike.stores import metadata_codec
from lookalike.stores.aws.opensearch_client import Json

#: Bytes of one bulk request. Domains of small instances accept 10 MB (Amazon OpenSearch Service, quotas).
_MAX_BULK_BYTES = 5_000_000

#: Status of a write whose revision, or a newer one, is already in the index.
_VERSION_CONFLICT = 409

#: Statuses below 500 that concern the server or the index, not the document: the write may succeed later.
_RETRYABLE_STATUSES = frozenset({401, 403, 404, 408, 429})

#: Error of a removal from an index that does not exist: see :func:`~lookalike.stores.aws.opensearch_admin.write_alias`.
_NO_SUCH_ALIAS = "invalid_index_name_exception"


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a bulk request, on the document of ``key`` through the write alias ``name``.

    ``text``: one line of JSON, or two.
    """

    key: Key
    name: str
    text: bytes

    @classmethod
    def index(cls, picture: Picture, name: str) -> Operation:
        """Write a picture's document."""
        return cls(picture.key, name, _json_lines({"index": _action(picture, "external")}, _document(picture)))

    @classmethod
    def delete(cls, picture: Picture, name: str) -> Operation:
        """Delete a picture's document."""
        # A removal may have the same revision as the document.
        return cls(picture.key, name, _json_lines({"delete": _action(picture, "external_gte")}))


@dataclass(frozen=True, slots=True)
class FailedOperation:
    """An operation of a bulk request that failed. ``retryable``: it may succeed later."""

    key: Key
    retryable: bool
    reason: str


def chunked(operations: Iterable[Operation]) -> Iterator[list[Operation]]:
    """Group operations by index, in order, into chunks that one bulk request takes."""
    chunks: dict[str, list[Operation]] = defaultdict(list)
    sizes: Counter[str] = Counter()
    for operation in operations:
        if chunks[operation.name] and sizes[operation.name] + len(operation.text) > _MAX_BULK_BYTES:
            yield chunks.pop(operation.name)
            del sizes[operation.name]
        chunks[operation.name].append(operation)
        sizes[operation.name] += len(operation.text)
    yield from chunks.values()


def malformed_reason(error: BaseException | None) -> str | None:
    """Why the server could not parse a request; None if it failed for another reason."""
    found = error.info.get("error") if isinstance(error, RequestError) and isinstance(error.info, Mapping) else None
    return _describe(found) if isinstance(found, Mapping) else None


def is_version_conflict(item: Mapping[str, Any]) -> bool:
    """Whether the index already has the document in this version or a newer one."""
    return bool(item["status"] == _VERSION_CONFLICT)


def failed_operations(operations: Sequence[Operation], items: Sequence[Mapping[str, Any]]) -> list[FailedOperation]:
    """Operations of a bulk request that failed, by the items of its response."""
    return [
        FailedOperation(operation.key, _is_retryable(item), _describe(item["error"]))
        for operation, item in zip(operations, items, strict=True)
        # Removing a missing document is answered 404, without an error.
        if "error" in item and not is_version_conflict(item)
    ]


def _is_retryable(item: Mapping[str, Any]) -> bool:
    """Whether a failed operation may succeed later; if not, the document is at fault."""
    status, kind = item["status"], item["error"]["type"]
    return status >= 500 or status in _RETRYABLE_STATUSES or kind == _NO_SUCH_ALIAS


def _describe(error: Mapping[str, Any]) -> str:
    """Error type and reason, followed by those of its causes."""
    cause = error.get("caused_by")
    message = f"{error.get('type')}: {error.get('reason')}"
    return message if cause is None else f"{message}; {_describe(cause)}"


def _action(picture: Picture, version_type: str) -> Json:
    """Action line of an operation, with the picture's revision as external version."""
    return {
        "_id": document_id(picture.key),
        "routing": picture.key.library,
        "version": picture.revision,
        "version_type": version_type,
    }


def document_id(key: Key) -> str:
    """Document id: a hash, since callers' ids may be longer than an id of OpenSearch."""
    return hashlib.sha256(f"{key.library}/{key.id}".encode("utf-8", "surrogatepass")).hexdigest()


def _document(picture: Picture) -> Json:
    """Document of a picture; of one that is not live, only what identifies it and its revision."""
    hidden = {"library": picture.key.library, "id": picture.key.id, "live": False, "revision": picture.revision}
    if not picture.live:
        return hidden
    return hidden | {
        "live": True,
        "vector": picture.vector.tolist(),
        "model": picture.model,
        "added": picture.added,
        "digest": picture.digest,
        "object_key": picture.object_key,
        **metadata_codec.document_fields_of(picture.metadata),
    }


def _json_lines(*objects: Json) -> bytes:
    """Newline-delimited JSON."""
    return b"".join(json.dumps(one, separators=(",", ":")).encode() + b"\n" for one in objects)
