"""The vector index of an AWS account: OpenSearch k-NN on Lucene's HNSW graphs.

One index for each kind and generation. A document's version is its picture's revision, so that writes may be repeated
and reordered. All documents of a library are on one shard.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from opensearchpy import OpenSearch

from lookalike.domain.inventory import IndexEntry
from lookalike.domain.library import Kind
from lookalike.domain.picture import Key, Picture
from lookalike.domain.search import Candidate, Generation, Query
from lookalike.errors import IndexWriteError, Unavailable
from lookalike.observability import logger
from lookalike.ports import Generations, VectorIndex
from lookalike.stores.aws.circuit_breaker import CircuitBreaker
from lookalike.stores.aws.opensearch_admin import write_alias
from lookalike.stores.aws.opensearch_bulk import (
    FailedOperation,
    Operation,
    chunked,
    failed_operations,
    is_version_conflict,
    malformed_reason,
)
from lookalike.stores.aws.opensearch_client import Json, errors_as_unavailable, is_fault
from lookalike.stores.aws.opensearch_listing import held_entries, list_entries
from lookalike.stores.aws.opensearch_query import candidate_of, live_filter, neighbours, routing_params, search_body

#: Pictures of libraries that are searched exactly, which up to this size is as fast as searching graphs.
MAX_EXACT_SEARCH = 5_000

#: Default deadline of a call, in seconds: with what a search does before it asks, it is refused within two seconds.
CALL_SECONDS = 1.5

#: Seconds that a generation's names are cached.
GENERATION_CACHE_SECONDS = 30

#: Seconds that a library's being small is cached.
_SIZE_CACHE_SECONDS = 60

#: Libraries whose size is cached.
_MAX_CACHED_SIZES = 1000

_NO_INDEX = "OpenSearch: there is no index of that kind: run `lookalike setup`"


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
    model : the model whose pictures are counted, as searches find no others; None: all are counted.
    """

    def __init__(
        self,
        client: OpenSearch,
        generations: Generations,
        clock: Callable[[], float] = time.monotonic,
        seconds: float = CALL_SECONDS,
        model: str | None = None,
    ) -> None:
        self._client = client
        self._generations = generations
        self._clock = clock
        self._seconds = seconds
        self._model = model
        self._search_breakers = {kind: CircuitBreaker("OpenSearch", is_fault) for kind in Kind}
        self._count_breaker = CircuitBreaker("OpenSearch", is_fault)
        self._write_breaker = CircuitBreaker("OpenSearch", is_fault)
        self._cached_generations: dict[Kind, tuple[float, Generation]] = {}
        self._sizes: dict[tuple[str, ...], tuple[float, bool]] = {}

    def write(self, pictures: Sequence[Picture], *, wait: bool = True) -> None:
        self._write_all((Operation.index(picture, name) for picture, name in self._write_targets(pictures)), wait=wait)

    def remove(self, pictures: Sequence[Picture], *, wait: bool = False) -> None:
        self._write_all((Operation.delete(picture, name) for picture, name in self._write_targets(pictures)), wait=wait)

    def search(self, query: Query) -> Sequence[Candidate]:
        libraries = tuple(dict.fromkeys(query.libraries))
        if not libraries:
            return []
        name = self._generation(query.kind).read
        with self._guarded_call(self._search_breakers[query.kind]) as time_left:
            k = neighbours(query, exact=self._is_small(name, libraries, time_left))
            response = self._client.search(
                index=name,
                body=search_body(query, libraries, k),
                params={
                    **routing_params(libraries),
                    # Copies of a shard have different graphs: all pages of a query must come from the same copy.
                    "preference": hashlib.sha256(query.vectors.tobytes()).hexdigest(),
                    "allow_partial_search_results": "false",
                    "filter_path": "hits.hits._source,hits.hits.sort",
                    **time_left(),
                },
            )
            return [candidate_of(hit) for hit in response.get("hits", {}).get("hits", [])]

    def count(self, *libraries: str) -> int:
        names = self.generations().values()
        if not names:
            raise Unavailable(_NO_INDEX)
        with self._guarded_call(self._count_breaker) as time_left:
            return self._count(",".join(names), libraries, time_left())

    def generations(self) -> Mapping[Kind, str]:
        return {kind: known.read for kind in Kind if (known := self._find_generation(kind)) is not None}

    def entries(self) -> Iterator[Sequence[IndexEntry]]:
        for kind in Kind:
            if (known := self._find_generation(kind)) is not None:
                yield from list_entries(self._client, known.read, kind)

    def held(self, kind: Kind, keys: Sequence[Key]) -> Sequence[IndexEntry]:
        name = self._generation(kind).read
        with self._guarded_call(self._count_breaker) as time_left:
            return held_entries(self._client, name, kind, keys, time_left())

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
        filters = live_filter(libraries)
        if self._model is not None:
            filters.append({"term": {"model": self._model}})
        body = {"query": {"bool": {"filter": filters}}}
        response = self._client.count(index=names, body=body, params={**routing_params(libraries), **limits})
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

    def _write_all(self, operations: Iterable[Operation], *, wait: bool) -> None:
        """Send operations in as few bulk requests as possible. Raises IndexWriteError for those that failed."""
        failures = [failure for chunk in chunked(operations) for failure in self._bulk(chunk, wait=wait)]
        if failures:
            logger.warning(
                "the index did not take all rows", extra={"rows": len(failures), "first": failures[0].reason}
            )
            retryable = frozenset(failure.key for failure in failures if failure.retryable)
            raise IndexWriteError(retryable, {one.key: one.reason for one in failures if one.key not in retryable})

    def _bulk(self, chunk: Sequence[Operation], *, wait: bool) -> list[FailedOperation]:
        """Send operations on one index in one bulk request; returns those that failed."""
        try:
            with self._guarded_call(self._write_breaker) as time_left:
                return self._send(chunk, time_left, wait=wait)
        except Unavailable as error:
            reason = malformed_reason(error.__cause__)
            if reason is None:
                raise
        return self._bisect_malformed(chunk, reason, wait=wait)

    def _bisect_malformed(self, chunk: Sequence[Operation], reason: str, *, wait: bool) -> list[FailedOperation]:
        """Find the operation that the server could not parse, for which it rejected the whole request.

        Sends both halves separately; returns the operations that failed.
        """
        if len(chunk) == 1:
            return [FailedOperation(chunk[0].key, retryable=False, reason=reason)]
        middle = len(chunk) // 2
        return self._bulk(chunk[:middle], wait=wait) + self._bulk(chunk[middle:], wait=wait)

    def _send(self, chunk: Sequence[Operation], time_left: _TimeLeft, *, wait: bool) -> list[FailedOperation]:
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
        if wait and any(map(is_version_conflict, items)):
            # A write rejected for its version does not wait for a refresh, and the writer that came first, for example
            # a replay of the stream, may not have waited either.
            self._client.indices.refresh(index=chunk[0].name, params=time_left())
        return failed_operations(chunk, items)


#: Returns the request parameter for the time left until a call's deadline. Raises Unavailable if none is left.
_TimeLeft = Callable[[], Json]
