"""Searches in OpenSearch: request bodies, and candidates from hits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.picture import Key
from lookalike.domain.search import Candidate, Query, TagFilter
from lookalike.stores import metadata_codec
from lookalike.stores.aws.opensearch_client import Json

#: Minimal k of a graph search.
_MIN_K = 100

#: ``ef_search`` as a multiple of k.
_EF_SEARCH_PER_K = 2

#: Minimal ``ef_search``: a smaller one misses pictures close to the query. Measured on 58,000 clustered vectors in one
#: segment, recall at 100 was 0.952 with 100, 0.989 with 200, and 0.994 with 300, where walking the graph takes at most
#: half of the search's time. On a million in one segment or 25, it was 0.997 at least with 300.
_MIN_EF_SEARCH = 300

#: Maximal k of a graph search, and maximal ``ef_search`` (k-NN plugin, ``K_MAX``).
_MAX_K = 10_000

#: Libraries in a request's routing, whose length is limited by the URL's. A search of more libraries asks all shards.
_MAX_ROUTED_LIBRARIES = 50


def neighbours(query: Query, *, exact: bool) -> int:
    """Number of neighbours to search for each view: the query's k within bounds, or the maximum for an exact search.

    Lucene compares all documents of a segment if at most that many of them pass the filters.
    """
    return _MAX_K if exact else min(max(query.k, _MIN_K), _MAX_K)


def search_body(query: Query, libraries: tuple[str, ...], k: int) -> Json:
    """Body of a search: the k nearest pictures of each view, merged by each picture's best view.

    A picture among the k best by its best view is among the k nearest of that view, so k of each view are enough. One
    search for each view in a single ``_msearch`` finds the same and takes the server twice as long.
    """
    conditions = _conditions(query, libraries)
    queries = [_knn_query(view, k, conditions) for view in query.vectors.astype(np.float32)]
    return {
        "size": min(query.k, _MAX_K),
        "query": queries[0] if len(queries) == 1 else {"dis_max": {"queries": queries}},
        "sort": ["_score", "library", "id"],
        "track_total_hits": False,
    }


def _knn_query(view: NDArray[np.float32], k: int, conditions: Json) -> Json:
    """The k nearest neighbours of a view among the documents that meet the conditions of a ``bool`` query."""
    # A filter inside the k-NN query applies before the k nearest are chosen. If at most k documents of a segment pass,
    # Lucene compares all of them.
    return {
        "knn": {
            "vector": {
                "vector": view.tolist(),
                "k": k,
                "filter": {"bool": conditions},
                "method_parameters": {"ef_search": min(max(_EF_SEARCH_PER_K * k, _MIN_EF_SEARCH), _MAX_K)},
            }
        }
    }


def routing_params(libraries: Sequence[str]) -> dict[str, str]:
    """Request parameters that limit a request to the libraries' shards."""
    return {"routing": ",".join(libraries)} if len(libraries) <= _MAX_ROUTED_LIBRARIES else {}


def live_filter(libraries: Sequence[str]) -> list[Json]:
    """Filters: live pictures of these libraries."""
    return [{"terms": {"library": list(libraries)}}, {"term": {"live": True}}]


def _conditions(query: Query, libraries: Sequence[str]) -> Json:
    """Conditions of a ``bool`` query: live pictures of these libraries and the query's model that its tag filter keeps."""
    filters = [*live_filter(libraries), {"term": {"model": query.model}}]
    tags = query.tags or TagFilter()
    filters += [{"term": {"tags": tag}} for tag in sorted(tags.all_of)]
    if tags.any_of:
        filters.append({"terms": {"tags": sorted(tags.any_of)}})
    conditions: Json = {"filter": filters}
    if tags.none_of:
        conditions["must_not"] = [{"terms": {"tags": sorted(tags.none_of)}}]
    return conditions


def candidate_of(hit: Mapping[str, Any]) -> Candidate:
    """Candidate of a hit. Raises LookupError, TypeError or ValueError for a damaged one."""
    source, score = hit["_source"], hit["sort"][0]
    return Candidate(
        key=Key(metadata_codec.require_text(source["library"]), metadata_codec.require_text(source["id"])),
        revision=int(source["revision"]),
        added=int(source["added"]),
        digest=metadata_codec.require_text(source["digest"]),
        object_key=metadata_codec.require_text(source["object_key"]),
        cosine=2 * float(score) - 1,  # k-NN, space "cosinesimil": the score is (1 + cosine) / 2
        metadata=metadata_codec.metadata_of_document(source),
    )
