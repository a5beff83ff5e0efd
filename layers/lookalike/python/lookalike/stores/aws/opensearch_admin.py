"""The indices of an OpenSearch domain: mapping, aliases and layout."""

from __future__ import annotations

from dataclasses import dataclass

from opensearchpy import OpenSearch
from opensearchpy.exceptions import AuthorizationException, RequestError

from lookalike.domain.picture import DIMENSION
from lookalike.stores import metadata_codec
from lookalike.stores.aws.opensearch_client import Json, errors_as_unavailable

#: Default time until a write is visible to searches, in OpenSearch's notation.
REFRESH_INTERVAL = "500ms"

#: Setting of a cluster: whether a search walks a shard's segments one after the other, or on several cores.
_CONCURRENT_SEARCH = "search.concurrent_segment_search.mode"

#: Mapping of a field that is only returned, neither searched nor sorted by.
_STORED_ONLY: Json = {"type": "keyword", "index": False, "doc_values": False}

#: How vectors are compared, and the graph that they are searched by. Without doc values, they are stored once.
GRAPH: Json = {
    "space_type": "cosinesimil",
    "doc_values": False,
    "method": {"name": "hnsw", "engine": "lucene", "parameters": {"m": 16, "ef_construction": 128}},
}

#: Mapping of an index's documents, but for its vectors.
_MAPPINGS: Json = {
    "dynamic": "strict",
    "_routing": {"required": True},
    "_source": {"excludes": ["vector"]},
    "properties": {
        "library": {"type": "keyword"},
        "id": {"type": "keyword", "index": False},
        "live": {"type": "boolean"},
        "model": {"type": "keyword"},
        "revision": {"type": "long", "index": False},
        "added": {"type": "long", "index": False},
        "digest": _STORED_ONLY,
        "object_key": _STORED_ONLY,
        **metadata_codec.MAPPINGS,
    },
}


def data_nodes(client: OpenSearch) -> int:
    """Number of nodes that hold shards. Raises Unavailable."""
    with errors_as_unavailable():
        return int(client.cluster.health()["number_of_data_nodes"])


def search_on_all_cores(client: OpenSearch) -> bool:
    """Let a k-NN search walk the graphs of a shard's segments at once, unless the cluster says how; returns whether it may.

    A million pictures lie in some 25 segments. AWS has this setting for whole clusters only, and by itself sets it on
    large nodes. Raises Unavailable.
    """
    with errors_as_unavailable():
        try:
            said = client.cluster.get_settings(params={"flat_settings": "true"})
            if not any(_CONCURRENT_SEARCH in said.get(kind, {}) for kind in ("persistent", "transient")):
                client.cluster.put_settings(body={"persistent": {_CONCURRENT_SEARCH: "auto"}})
        except (AuthorizationException, RequestError):
            return False
    return True


def create_index(
    client: OpenSearch,
    name: str,
    *,
    shards: int = 1,
    replicas: int = 1,
    refresh_interval: str = REFRESH_INTERVAL,
    graph: Json = GRAPH,
) -> bool:
    """Create an empty index; returns False if it already exists. Raises Unavailable.

    ``refresh_interval``: time until a write is visible to searches, in OpenSearch's notation. ``graph``: what the mapping
    of a vector says beyond its type and dimension.
    """
    index = {
        "knn": True,
        "number_of_shards": shards,
        "number_of_replicas": replicas,
        "refresh_interval": refresh_interval,
        "gc_deletes": "1h",  # time that a removal's version is kept, to reject older writes that arrive later
    }
    vector = {"type": "knn_vector", "dimension": DIMENSION, **graph}
    mappings = {**_MAPPINGS, "properties": {"vector": vector, **_MAPPINGS["properties"]}}
    body = {"settings": {"index": index}, "mappings": mappings, "aliases": {write_alias(name): {}}}
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
    """Number of shards, copies of each, and time until a write is visible to searches."""

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


def update_mappings(client: OpenSearch, name: str) -> None:
    """Have an index take the fields that were added after it was made. Raises Unavailable."""
    with errors_as_unavailable():
        client.indices.put_mapping(index=name, body={"properties": metadata_codec.ADDED_MAPPINGS})


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
