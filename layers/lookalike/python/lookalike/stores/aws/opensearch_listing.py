"""Listing what an OpenSearch index holds, to be compared with the catalog."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from opensearchpy import OpenSearch
from opensearchpy.exceptions import OpenSearchException

from lookalike.domain.inventory import IndexEntry
from lookalike.domain.library import Kind
from lookalike.domain.picture import Key
from lookalike.stores.aws.opensearch_bulk import document_id
from lookalike.stores.aws.opensearch_client import Json, errors_as_unavailable

#: Documents of one page: about 1 MB.
_PAGE = 5_000

#: Time that the server keeps a listing open between two pages, in OpenSearch's notation.
_KEPT_OPEN = "5m"

#: Seconds that a page may take, beside the service's own load.
_PAGE_SECONDS = 30.0

_FIELDS = ["library", "id", "revision", "live", "model"]


def list_entries(client: OpenSearch, name: str, kind: Kind) -> Iterator[Sequence[IndexEntry]]:
    """Yield all documents of an index, as they were when the listing began. Raises Unavailable."""
    listing: str | None = None
    try:
        with errors_as_unavailable():
            page = client.search(
                index=name,
                body={"size": _PAGE, "sort": ["_doc"], "_source": _FIELDS, "query": {"match_all": {}}},
                params={
                    "scroll": _KEPT_OPEN,
                    "allow_partial_search_results": "false",
                    "request_timeout": _PAGE_SECONDS,
                },
            )
        while True:
            with errors_as_unavailable():
                listing = page["_scroll_id"]
                found = [_entry(hit["_source"], kind) for hit in page["hits"]["hits"]]
            if not found:
                return
            yield found
            with errors_as_unavailable():
                body = {"scroll": _KEPT_OPEN, "scroll_id": listing}
                page = client.scroll(body=body, params={"request_timeout": _PAGE_SECONDS})
    finally:
        if listing is not None:
            with suppress(OpenSearchException):  # the server ends it by itself, later
                client.clear_scroll(body={"scroll_id": [listing]}, params={"request_timeout": _PAGE_SECONDS})


def held_entries(client: OpenSearch, name: str, kind: Kind, keys: Sequence[Key], limits: Json) -> list[IndexEntry]:
    """Return the documents of these pictures that there are, whether or not searches see them yet."""
    if not keys:
        return []
    wanted = [{"_id": document_id(key), "routing": key.library} for key in keys]
    response = client.mget(index=name, body={"docs": wanted}, params={"_source_includes": ",".join(_FIELDS), **limits})
    return [_entry(one["_source"], kind) for one in response["docs"] if one["found"]]


def _entry(source: Mapping[str, Any], kind: Kind) -> IndexEntry:
    """Entry of a document. Raises LookupError, TypeError or ValueError for a damaged one."""
    return IndexEntry(
        key=Key(str(source["library"]), str(source["id"])),
        kind=kind,
        revision=int(source["revision"]),
        live=bool(source["live"]),
        model=str(source.get("model", "")),
    )
