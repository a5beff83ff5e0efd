"""The vector index of an AWS account: OpenSearch k-NN on Lucene's HNSW graphs.

One index for each kind and generation. A document's version is its picture's revision, so that writes may be repeated
and reordered. All documents of a library are on one shard.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from opensearchpy import OpenSearch
from opensearchpy.exceptions import RequestError

from lookalike.domain.library import Kind
from lookalike.domain.picture import DIMENSION, Key, Picture
from lookalike.domain.search import Candidate, Generation, Query
from lookalike.errors import IndexWriteError, Unavailable
from lookalike.observability import logger
from lookalike.ports import Generations, VectorIndex
from lookalike.stores import metadata_codec
from lookalike.stores.aws.circuit_breaker import CircuitBreaker
from lookalike.stores.aws.opensearch_client import errors_as_unavailable, is_fault

Json = dict[str, Any]

#: Minimal k of a graph search.
_MIN_K = 100

#: ``ef_search`` as a multiple of k.
_EF_SEARCH_PER_K = 2

#: Minimal ``ef_search``: a smaller one misses pictures close to the query. Measured on 58,000 clustered vectors in one
#: segment, recall at 100 was 0.952 with 100, 0.989 with 200, and 0.994 with 300, where walking the graph takes at most
#: half of the search's time.
_MIN_EF_SEARCH = 300

#: Maximal k of a graph search, and maximal ``ef_search`` (k-NN plugin, ``K_MAX``).
_MAX_K = 10_000

#: Pictures of libraries that are searched exactly, which up to this size is as fast as searching graphs.
MAX_EXACT_SEARCH = 5_000

#: Bytes of one bulk request. Domains of small instances accept 10 MB (Amazon OpenSearch Service, quotas).
_MAX_BULK_BYTES = 5_000_000

#: Default deadline of a call, in seconds.
CALL_SECONDS = 2.0

#: Seconds that a generation's names are cached.
GENERATION_CACHE_SECONDS = 30

#: Seconds that a library's being small is cached.
_SIZE_CACHE_SECONDS = 60

#: Default time until a write is visible to searches, in OpenSearch's notation.
REFRESH_INTERVAL = "500ms"

#: Libraries whose size is cached.
_MAX_CACHED_SIZES = 1000

#: Status of a write whose revision, or a newer one, is already in the index.
_VERSION_CONFLICT = 409

#: Statuses below 500 that concern the server or the index, not the document: the write may succeed later.
_RETRYABLE_STATUSES = frozenset({401, 403, 404, 408, 429})

#: Error of a removal from an index that does not exist: see :func:`write_alias`.
_NO_SUCH_ALIAS = "invalid_index_name_exception"

#: Libraries in a request's routing, whose length is limited by the URL's. A search of more libraries asks all shards.
_MAX_ROUTED_LIBRARIES = 50

_NO_INDEX = "OpenSearch: there is no index of that kind: run `lookalike setup`"


def data_nodes(client: OpenSearch) -> int:
    """Number of nodes that hold shards. Raises Unavailable."""
    with errors_as_unavailable():
        return int(client.cluster.health()["number_of_data_nodes"])


def create_index(
    client: OpenSearch, name: str, *, shards: int = 1, replicas: int = 1, refresh_interval: str = REFRESH_INTERVAL
) -> bool:
    """Create an empty index; returns False if it already exists. Raises Unavailable.

    ``refresh_interval``: time until a write is visible to searches, in OpenSearch's notation.
    """
    index = {
        "knn": True,
        "number_of_shards": shards,
        "number_of_replicas": replicas,
        "refresh_interval": refresh_interval,
        "gc_deletes": "1h",  # time that a removal's version is kept, to reject older writes that arrive later
    }
    body = {"settings": {"index": index}, "mappings": _MAPPINGS, "aliases": {write_alias(name): {}}}
    with errors_as_unavailable():
        try:
            client.indices.create(index=name, body=body)
        except RequestError as error:
            if error.error != "resource_already_exists_exception":
                raise
            return False
    return True


@dataclass(frozen=True, slots=True)
class IndexLayout:
    """Settings of an index that decide on its size, its copies and its delay."""

    shards: int
    replicas: int
    refresh_interval: str


def layout_of(client: OpenSearch, name: str) -> IndexLayout | None:
    """Layout of the index of this name; None if there is none. Raises Unavailable."""
    with errors_as_unavailable():
        found = client.indices.get_settings(index=name, params={"ignore_unavailable": "true"})
        if name not in found:
            return None
        index = found[name]["settings"]["index"]
        return IndexLayout(
            int(index["number_of_shards"]), int(index["number_of_replicas"]), str(index["refresh_interval"])
        )


def update_layout(client: OpenSearch, name: str, *, replicas: int, refresh_interval: str) -> None:
    """Change the settings that an index in use may change. Raises Unavailable."""
    index = {"number_of_replicas": replicas, "refresh_interval": refresh_interval}
    with errors_as_unavailable():
        client.indices.put_settings(index=name, body={"index": index})


def delete_index(client: OpenSearch, name: str) -> None:
    """Delete an index and its documents, if it exists. Raises Unavailable."""
    with errors_as_unavailable():
        client.indices.delete(index=name, params={"ignore_unavailable": "true"})


def write_alias(name: str) -> str:
    """Alias of an index that writes go to.

    A write to a missing index would create it. No index can be created under a name with upper-case letters, but an
    alias may have one.
    """
    return f"{name}.WRITE"


_SHOWN: Json = {"type": "keyword", "index": False, "doc_values": False}

_MAPPINGS: Json = {
    "dynamic": "strict",
    "_routing": {"required": True},
    "_source": {"excludes": ["vector"]},
    "properties": {
        "vector": {
            "type": "knn_vector",
            "dimension": DIMENSION,
            "space_type": "cosinesimil",
            "method": {"name": "hnsw", "engine": "lucene", "parameters": {"m": 16, "ef_construction": 128}},
        },
        "library": {"type": "keyword"},
        "id": {"type": "keyword", "index": False},
        "live": {"type": "boolean"},
        "model": {"type": "keyword"},
        "revision": {"type": "long", "index": False},
        "added": {"type": "long", "index": False},
        "digest": _SHOWN,
        "object_key": _SHOWN,
        **metadata_codec.MAPPINGS,
    },
}


class OpenSearchIndex(VectorIndex):
    """Searches small libraries exactly, and large ones by HNSW graphs.

    A row that is not live is kept as a document without a vector, for its revision. Cosines are float32; the server
    normalises vectors again. In large libraries, the graph search of a picture's best view may miss the picture, which
    is then returned with the cosine of another view.

    A call takes at most ``seconds`` (a write: each bulk request). After repeated failures, calls fail at once until a
    probe succeeds. Searches of each kind, counts and writes have circuit breakers of their own: an index that is red or
    slow to refresh does not keep the others from being used.

    Parameters
    ----------
    client : made by :func:`~lookalike.stores.aws.opensearch_client.connect`.
    generations : names of the indices to read and write, cached for 30 seconds.
    clock : monotonic, in seconds.
    seconds : deadline of a call.
    """

    def __init__(
        self,
        client: OpenSearch,
        generations: Generations,
        clock: Callable[[], float] = time.monotonic,
        seconds: float = CALL_SECONDS,
    ) -> None:
        self._client = client
        self._generations = generations
        self._clock = clock
        self._seconds = seconds
        self._search_breakers = {kind: CircuitBreaker("OpenSearch", is_fault) for kind in Kind}
        self._count_breaker = CircuitBreaker("OpenSearch", is_fault)
        self._write_breaker = CircuitBreaker("OpenSearch", is_fault)
        self._cached_generations: dict[Kind, tuple[float, Generation]] = {}
        self._sizes: dict[tuple[str, ...], tuple[float, bool]] = {}

    def write(self, pictures: Sequence[Picture], *, wait: bool = True) -> None:
        self._write_all((_Operation.index(picture, name) for picture, name in self._write_targets(pictures)), wait=wait)

    def remove(self, pictures: Sequence[Picture], *, wait: bool = False) -> None:
        self._write_all(
            (_Operation.delete(picture, name) for picture, name in self._write_targets(pictures)), wait=wait
        )

    def search(self, query: Query) -> Sequence[Candidate]:
        libraries = tuple(dict.fromkeys(query.libraries))
        if not libraries:
            return []
        name = self._generation(query.kind).read
        with self._guarded_call(self._search_breakers[query.kind]) as time_left:
            k = _MAX_K if self._is_small(name, libraries, time_left) else min(max(query.k, _MIN_K), _MAX_K)
            response = self._client.search(
                index=name,
                body=search_body(query, libraries, k),
                params={
                    **_routing_params(libraries),
                    # Copies of a shard have different graphs: all pages of a query must come from the same copy.
                    "preference": hashlib.sha256(query.vectors.tobytes()).hexdigest(),
                    "allow_partial_search_results": "false",
                    "filter_path": "hits.hits._source,hits.hits.sort",
                    **time_left(),
                },
            )
            return [_candidate(hit) for hit in response.get("hits", {}).get("hits", [])]

    def count(self, library: str) -> int:
        names = [known.read for kind in Kind if (known := self._find_generation(kind)) is not None]
        if not names:
            raise Unavailable(_NO_INDEX)
        with self._guarded_call(self._count_breaker) as time_left:
            return self._count(",".join(names), (library,), time_left())

    @contextmanager
    def _guarded_call(self, breaker: CircuitBreaker) -> Iterator[_TimeLeft]:
        """Run a block of requests with one deadline and a circuit breaker. Yields the parameters for the time left."""
        deadline = self._clock() + self._seconds

        def time_left() -> Json:
            left = deadline - self._clock()
            if left <= 0:
                raise Unavailable(f"OpenSearch: no answer within {self._seconds:g} s")
            return {"request_timeout": left}

        with breaker.guard(), errors_as_unavailable():
            yield time_left

    def _is_small(self, name: str, libraries: tuple[str, ...], time_left: _TimeLeft) -> bool:
        """Whether the libraries together are small enough for an exact search; cached."""
        now = self._clock()
        found = self._sizes.get((name, *libraries))
        if found is not None and now < found[0]:
            return found[1]
        small = (
            self._count(name, libraries, {"terminate_after": MAX_EXACT_SEARCH + 1, **time_left()}) <= MAX_EXACT_SEARCH
        )
        if len(self._sizes) >= _MAX_CACHED_SIZES:
            self._sizes.clear()
        self._sizes[name, *libraries] = now + _SIZE_CACHE_SECONDS, small
        return small

    def _count(self, names: str, libraries: tuple[str, ...], limits: Json) -> int:
        """Number of live pictures. Raises Unavailable if a shard failed."""
        body = {"query": {"bool": {"filter": _live_filter(libraries)}}}
        response = self._client.count(index=names, body=body, params={**_routing_params(libraries), **limits})
        if response["_shards"]["failed"]:
            raise Unavailable(f"OpenSearch: {response['_shards']['failed']} shards of {names} do not answer")
        return int(response["count"])

    def _write_targets(self, pictures: Iterable[Picture]) -> Iterator[tuple[Picture, str]]:
        """Each picture with each alias that its kind is written to."""
        for picture in pictures:
            for name in self._generation(picture.kind).write:
                yield picture, write_alias(name)

    def _generation(self, kind: Kind) -> Generation:
        """Generation of a kind. Raises Unavailable if there is none."""
        known = self._find_generation(kind)
        if known is None:
            raise Unavailable(_NO_INDEX)
        return known

    def _find_generation(self, kind: Kind) -> Generation | None:
        """Generation of a kind, cached; None if there is none."""
        known = self._cached_generations.get(kind)
        if known is not None and self._clock() < known[0]:
            return known[1]
        generation = self._generations.generation(kind)
        if generation is not None:  # absence is not cached: setup may be about to create the index
            self._cached_generations[kind] = self._clock() + GENERATION_CACHE_SECONDS, generation
        return generation

    def _write_all(self, operations: Iterable[_Operation], *, wait: bool) -> None:
        """Send operations in as few bulk requests as possible. Raises IndexWriteError for those that failed."""
        failures = [failure for chunk in _chunks(operations) for failure in self._bulk(chunk, wait=wait)]
        if failures:
            logger.warning(
                "the index did not take all rows", extra={"rows": len(failures), "first": failures[0].reason}
            )
            retryable = frozenset(failure.key for failure in failures if failure.retryable)
            raise IndexWriteError(retryable, {one.key: one.reason for one in failures if one.key not in retryable})

    def _bulk(self, chunk: Sequence[_Operation], *, wait: bool) -> list[_RejectedOperation]:
        """Send operations on one index in one bulk request; returns those that failed."""
        try:
            with self._guarded_call(self._write_breaker) as time_left:
                return self._send(chunk, time_left, wait=wait)
        except Unavailable as error:
            reason = _malformed_reason(error.__cause__)
            if reason is None:
                raise
        return self._bisect_malformed(chunk, reason, wait=wait)

    def _bisect_malformed(self, chunk: Sequence[_Operation], reason: str, *, wait: bool) -> list[_RejectedOperation]:
        """Find the operation that the server could not parse, for which it rejected the whole request.

        Sends both halves separately; returns the operations that failed.
        """
        if len(chunk) == 1:
            return [_RejectedOperation(chunk[0].key, retryable=False, reason=reason)]
        middle = len(chunk) // 2
        return self._bulk(chunk[:middle], wait=wait) + self._bulk(chunk[middle:], wait=wait)

    def _send(self, chunk: Sequence[_Operation], time_left: _TimeLeft, *, wait: bool) -> list[_RejectedOperation]:
        """Send one bulk request; returns the operations that failed."""
        response = self._client.bulk(
            index=chunk[0].name,  # in the path, where access policies apply
            body=b"".join(operation.text for operation in chunk),
            params={
                "refresh": "wait_for" if wait else "false",
                "require_alias": "true",
                "filter_path": "items.*.status,items.*.error",
                **time_left(),
            },
        )
        items = [item for outcome in response["items"] for item in outcome.values()]
        if wait and any(item["status"] == _VERSION_CONFLICT for item in items):
            # A write rejected for its version does not wait for a refresh, and the writer that came first, for example
            # a replay of the stream, may not have waited either.
            self._client.indices.refresh(index=chunk[0].name, params=time_left())
        return [
            _RejectedOperation(operation.key, _is_retryable(item), _describe(item["error"]))
            for operation, item in zip(chunk, items, strict=True)
            # Removing a missing document is answered 404, without an error.
            if "error" in item and item["status"] != _VERSION_CONFLICT
        ]


#: Returns the request parameter for the time left until a call's deadline. Raises Unavailable if none is left.
_TimeLeft = Callable[[], Json]


def _malformed_reason(error: BaseException | None) -> str | None:
    """Why the server could not parse a request; None if it failed for another reason."""
    found = error.info.get("error") if isinstance(error, RequestError) and isinstance(error.info, Mapping) else None
    return _describe(found) if isinstance(found, Mapping) else None


@dataclass(frozen=True, slots=True)
class _RejectedOperation:
    """A failed operation of a bulk request. ``retryable``: it may succeed later."""

    key: Key
    retryable: bool
    reason: str


def _is_retryable(item: Mapping[str, Any]) -> bool:
    """Whether a failed operation may succeed later; if not, the document is at fault."""
    status, kind = item["status"], item["error"]["type"]
    return status >= 500 or status in _RETRYABLE_STATUSES or kind == _NO_SUCH_ALIAS


@dataclass(frozen=True, slots=True)
class _Operation:
    """One operation of a bulk request, on the document of ``key`` in the index ``name``.

    ``text``: one line of JSON, or two.
    """

    key: Key
    name: str
    text: bytes

    @classmethod
    def index(cls, picture: Picture, name: str) -> _Operation:
        """Write a picture's document."""
        return cls(picture.key, name, _json_lines({"index": _action(picture, "external")}, _document(picture)))

    @classmethod
    def delete(cls, picture: Picture, name: str) -> _Operation:
        """Delete a picture's document."""
        # A removal may have the same revision as the document.
        return cls(picture.key, name, _json_lines({"delete": _action(picture, "external_gte")}))


def _action(picture: Picture, version_type: str) -> Json:
    """Action line of an operation, with the picture's revision as external version."""
    return {
        "_id": _document_id(picture.key),
        "routing": picture.key.library,
        "version": picture.revision,
        "version_type": version_type,
    }


def _document_id(key: Key) -> str:
    """Document id: a hash, since callers' ids may be longer than an id of OpenSearch."""
    return hashlib.sha256(f"{key.library}/{key.id}".encode("utf-8", "surrogatepass")).hexdigest()


def _document(picture: Picture) -> Json:
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


def _chunks(operations: Iterable[_Operation]) -> Iterator[list[_Operation]]:
    """Group operations by index, in order, into chunks that one bulk request takes."""
    chunks: dict[str, list[_Operation]] = defaultdict(list)
    sizes: Counter[str] = Counter()
    for operation in operations:
        if chunks[operation.name] and sizes[operation.name] + len(operation.text) > _MAX_BULK_BYTES:
            yield chunks.pop(operation.name)
            del sizes[operation.name]
        chunks[operation.name].append(operation)
        sizes[operation.name] += len(operation.text)
    yield from chunks.values()


def _describe(error: Mapping[str, Any]) -> str:
    """Error type and reason, followed by those of its causes."""
    cause = error.get("caused_by")
    message = f"{error.get('type')}: {error.get('reason')}"
    return message if cause is None else f"{message}; {_describe(cause)}"


def search_body(query: Query, libraries: tuple[str, ...], k: int) -> Json:
    """Body of a search: the k nearest pictures of each view, merged by each picture's best view.

    A picture among the k best by its best view is among the k nearest of that view, so k of each view are enough. One
    search for each view in a single ``_msearch`` finds the same and takes the server twice as long.
    """
    filters = [*_live_filter(libraries), {"term": {"model": query.model}}, *_tag_filters(query)]
    queries = [_knn_query(view, k, filters) for view in query.vectors.astype(np.float32)]
    return {
        "size": min(query.k, _MAX_K),
        "query": queries[0] if len(queries) == 1 else {"dis_max": {"queries": queries}},
        "sort": ["_score", "library", "id"],
        "track_total_hits": False,
    }


def _knn_query(view: NDArray[np.float32], k: int, filters: Sequence[Json]) -> Json:
    """The k nearest neighbours of a view among the documents that pass the filters."""
    # A filter inside the k-NN query applies before the k nearest are chosen. If at most k documents of a segment pass,
    # Lucene compares all of them.
    return {
        "knn": {
            "vector": {
                "vector": view.tolist(),
                "k": k,
                "filter": {"bool": {"filter": list(filters)}},
                "method_parameters": {"ef_search": min(max(_EF_SEARCH_PER_K * k, _MIN_EF_SEARCH), _MAX_K)},
            }
        }
    }


def _routing_params(libraries: Sequence[str]) -> dict[str, str]:
    """Request parameters that limit a request to the libraries' shards."""
    return {"routing": ",".join(libraries)} if len(libraries) <= _MAX_ROUTED_LIBRARIES else {}


def _live_filter(libraries: Sequence[str]) -> list[Json]:
    """Filters: live pictures of these libraries."""
    return [{"terms": {"library": list(libraries)}}, {"term": {"live": True}}]


def _tag_filters(query: Query) -> list[Json]:
    """Filters: pictures with any of the tags, or with all of them."""
    if query.tags is None:
        return []
    tags = sorted(query.tags.tags)
    return [{"terms": {"tags": tags}}] if query.tags.any_of else [{"term": {"tags": tag}} for tag in tags]


def _candidate(hit: Mapping[str, Any]) -> Candidate:
    shown, score = hit["_source"], hit["sort"][0]
    return Candidate(
        key=Key(_text(shown["library"]), _text(shown["id"])),
        revision=int(shown["revision"]),
        added=int(shown["added"]),
        digest=_text(shown["digest"]),
        object_key=_text(shown["object_key"]),
        cosine=2 * float(score) - 1,  # k-NN, space "cosinesimil": the score is (1 + cosine) / 2
        metadata=metadata_codec.metadata_of_document(shown),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value
