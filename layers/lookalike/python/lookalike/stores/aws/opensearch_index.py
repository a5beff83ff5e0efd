"""The vector index of an AWS account: OpenSearch k-NN, on Lucene's HNSW graphs.

One index per kind and generation. Documents are versioned by their picture's revision, so writes may be repeated and
come in any order; all of a library's are on one shard.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray
from opensearchpy import OpenSearch, Urllib3AWSV4SignerAuth
from opensearchpy.exceptions import OpenSearchException, RequestError, TransportError

from lookalike.domain.library import Kind
from lookalike.domain.picture import DIMENSION, Key, Picture
from lookalike.domain.search import Candidate, Generation, Query
from lookalike.errors import IndexWriteError, SettingsError, Unavailable
from lookalike.observability import logger
from lookalike.ports import Generations, VectorIndex
from lookalike.stores import metadata_codec
from lookalike.stores.aws.circuit_breaker import Breaker
from lookalike.stores.aws.timed_http import TimedConnection, TimedTransport

Json = dict[str, Any]

#: Neighbours a graph is asked for, at least.
_LEAST_K = 100

#: How many of the nearest a walk through a graph keeps in sight: so many times k, and so many at least. A narrow walk
#: misses pictures that lie right at the query. Among 58,000 clustered vectors in one segment recall at 100 was 0.952
#: with 100 in sight, 0.989 with 200, and 0.994 with 300, which took no longer than the half of it that is not the walk.
_BEAM, _LEAST_BEAM = 2, 300

#: Neighbours a graph may be asked for, at most (k-NN, ``K_MAX``).
_MOST_K = 10_000

#: Libraries up to this size are searched exactly, which is as fast as their graphs are.
EXACT = 5_000

#: Bytes of one bulk request. A domain of small instances takes 10 MB (Amazon OpenSearch Service, quotas).
_BULK = 5_000_000

#: Seconds that a call may wait for the server, whatever it asks of it, if nobody says otherwise.
CALL_SECONDS = 2.0

#: Seconds for which a generation's names, and whether a library is small, are taken to hold.
GENERATION_SECONDS, _SIZE_SECONDS = 30, 60

#: How long a write may stay unseen, if nobody says otherwise, in OpenSearch's notation.
REFRESH_INTERVAL = "500ms"

#: Libraries whose size is remembered at once.
_SIZES = 1000

#: The status of a write whose revision, or a newer one, the index holds already.
_HOLDS_NO_LESS = 409

#: Statuses from 400 to 499 by which a server says that it is too busy or too slow.
_BUSY = frozenset({408, 429})

#: Statuses that speak of the server or of the index, not of the document: it may be taken later.
_NOT_THE_DOCUMENT = frozenset({401, 403, 404, 408, 429})

#: How a removal is answered if there is no such index: see :func:`_writable`.
_NO_SUCH_ALIAS = "invalid_index_name_exception"

#: Libraries whose shards are named in a request's address, which has room for so many. More are looked for on all shards.
_ROUTES = 50

_NO_INDEX = "OpenSearch: there is no index of that kind: run `lookalike setup`"

#: Where the name of an Amazon domain says its region.
_DOMAIN = re.compile(r"\.([a-z0-9-]+)\.es\.amazonaws\.com(\.cn)?$|\.aos\.([a-z0-9-]+)\.on\.aws$")


def connect(endpoint: str, *, region: str | None = None, seconds: float = 10.0, connections: int = 10) -> OpenSearch:
    """A client of the server at that URL.

    A request that fails to connect, or is answered 429, 502, 503 or 504, is sent again, twice at most: all that
    :class:`OpenSearchIndex` sends may be repeated. One that takes longer than ``seconds``, all tries together, is
    given up.

    Raises SettingsError if requests must be signed and there are no credentials.

    Parameters
    ----------
    region : sign requests for that region, with the process's credentials, if the endpoint's name is not one that
        Amazon gave it, which tells its own.
    connections : kept open at most.
    """
    region = _region(endpoint) or region
    return OpenSearch(
        [endpoint],
        http_auth=None if region is None else _signer(region),
        connection_class=TimedConnection,
        transport_class=TimedTransport,
        pool_maxsize=connections,
        timeout=seconds,
        max_retries=0,  # the transport's own are not bounded by the time of the request
    )


def _region(endpoint: str) -> str | None:
    domain = _DOMAIN.search(urlsplit(endpoint).hostname or "")
    return None if domain is None else domain[1] or domain[3]


def _signer(region: str) -> Urllib3AWSV4SignerAuth:
    import boto3  # noqa: PLC0415  # only a domain needs it, and it takes long to load

    credentials = boto3.Session().get_credentials()
    if credentials is None:
        raise SettingsError("no AWS credentials: requests to OpenSearch cannot be signed")
    return Urllib3AWSV4SignerAuth(credentials, region, "es")


def data_nodes(client: OpenSearch) -> int:
    """How many nodes there are for shards and their copies. Raises Unavailable."""
    with _server():
        return int(client.cluster.health()["number_of_data_nodes"])


def create_index(
    client: OpenSearch, name: str, *, shards: int = 1, replicas: int = 1, refresh_interval: str = REFRESH_INTERVAL
) -> bool:
    """Make an empty index of that name; whether it was not there yet.

    ``refresh_interval`` is how long a write may stay unseen, in OpenSearch's notation. Raises Unavailable.
    """
    index = {
        "knn": True,
        "number_of_shards": shards,
        "number_of_replicas": replicas,
        "refresh_interval": refresh_interval,
        "gc_deletes": "1h",  # for so long a removal is known to older writes that come after it
    }
    body = {"settings": {"index": index}, "mappings": _MAPPINGS, "aliases": {_writable(name): {}}}
    with _server():
        try:
            client.indices.create(index=name, body=body)
        except RequestError as error:
            if error.error != "resource_already_exists_exception":
                raise
            return False
    return True


@dataclass(frozen=True, slots=True)
class Shape:
    """How an index is laid out."""

    shards: int
    replicas: int
    refresh_interval: str


def shape_of(client: OpenSearch, name: str) -> Shape | None:
    """How the index of that name is laid out; None if there is none. Raises Unavailable."""
    with _server():
        found = client.indices.get_settings(index=name, params={"ignore_unavailable": "true"})
        if name not in found:
            return None
        index = found[name]["settings"]["index"]
        return Shape(int(index["number_of_shards"]), int(index["number_of_replicas"]), str(index["refresh_interval"]))


def reshape(client: OpenSearch, name: str, *, replicas: int, refresh_interval: str) -> None:
    """Change what can be changed of an index in use. Raises Unavailable."""
    index = {"number_of_replicas": replicas, "refresh_interval": refresh_interval}
    with _server():
        client.indices.put_settings(index=name, body={"index": index})


def delete_index(client: OpenSearch, name: str) -> None:
    """Take an index away, and all it holds; an unknown name does not matter. Raises Unavailable."""
    with _server():
        client.indices.delete(index=name, params={"ignore_unavailable": "true"})


def _writable(name: str) -> str:
    """The alias that writes go to.

    A write to a name that is not there would make an index of that name. None can be made whose name is not in lower
    case, and an alias may have such a name.
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
    """Finds neighbours by OpenSearch: exactly in small libraries, by graphs in large ones.

    A row that is not live stays as a document without a vector, which keeps its revision.
    Cosines are float32; the server normalises vectors again. A picture that its best view's graph search missed, which
    can happen in large libraries alone, may be answered with the cosine of another view.

    Whatever the server does, or does not, a call is over within ``seconds`` (of a write: a bulk request is), and where
    calls have failed again and again the next ones fail at once, until a probe succeeds. Searches of a kind, counts and
    writes have a circuit breaker each: an index that is red, or slow to refresh, is no reason not to ask the others.

    Parameters
    ----------
    client : as :func:`connect` makes it.
    generations : which indices are read and written. What it says is believed for 30 seconds.
    clock : seconds that never run backwards.
    seconds : that a call may wait for the server.
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
        self._searching = {kind: Breaker("OpenSearch", _is_fault) for kind in Kind}
        self._counting = Breaker("OpenSearch", _is_fault)
        self._writing = Breaker("OpenSearch", _is_fault)
        self._known: dict[Kind, tuple[float, Generation]] = {}
        self._sizes: dict[tuple[str, ...], tuple[float, bool]] = {}

    def write(self, pictures: Sequence[Picture], *, wait: bool = True) -> None:
        self._bulk((_Line.index(picture, name) for picture, name in self._written(pictures)), wait=wait)

    def remove(self, pictures: Sequence[Picture], *, wait: bool = False) -> None:
        self._bulk((_Line.delete(picture, name) for picture, name in self._written(pictures)), wait=wait)

    def search(self, query: Query) -> Sequence[Candidate]:
        libraries = tuple(dict.fromkeys(query.libraries))
        if not libraries:
            return []
        name = self._generation(query.kind).read
        with self._call(self._searching[query.kind]) as time_left:
            k = _MOST_K if self._is_small(name, libraries, time_left) else min(max(query.k, _LEAST_K), _MOST_K)
            answer = self._client.search(
                index=name,
                body=_search(query, libraries, k),
                params={
                    **_routing(libraries),
                    # Copies of a shard differ in what their graphs miss: all pages of a query come from one of them.
                    "preference": hashlib.sha256(query.vectors.tobytes()).hexdigest(),
                    "allow_partial_search_results": "false",
                    "filter_path": "hits.hits._source,hits.hits.sort",
                    **time_left(),
                },
            )
            return [_candidate(hit) for hit in answer.get("hits", {}).get("hits", [])]

    def count(self, library: str) -> int:
        names = [known.read for kind in Kind if (known := self._generation_if_any(kind)) is not None]
        if not names:
            raise Unavailable(_NO_INDEX)
        with self._call(self._counting) as time_left:
            return self._count(",".join(names), (library,), time_left())

    @contextmanager
    def _call(self, breaker: Breaker) -> Iterator[_TimeLeft]:
        """Ask the server in the block, and read its answers; the time it has left is a parameter of each request."""
        deadline = self._clock() + self._seconds

        def time_left() -> Json:
            left = deadline - self._clock()
            if left <= 0:
                raise Unavailable(f"OpenSearch: no answer within {self._seconds:g} s")
            return {"request_timeout": left}

        with breaker.guard(), _server():
            yield time_left

    def _is_small(self, name: str, libraries: tuple[str, ...], time_left: _TimeLeft) -> bool:
        now = self._clock()
        found = self._sizes.get((name, *libraries))
        if found is not None and now < found[0]:
            return found[1]
        small = self._count(name, libraries, {"terminate_after": EXACT + 1, **time_left()}) <= EXACT
        if len(self._sizes) >= _SIZES:
            self._sizes.clear()
        self._sizes[name, *libraries] = now + _SIZE_SECONDS, small
        return small

    def _count(self, names: str, libraries: tuple[str, ...], limits: Json) -> int:
        body = {"query": {"bool": {"filter": _live(libraries)}}}
        answer = self._client.count(index=names, body=body, params={**_routing(libraries), **limits})
        if answer["_shards"]["failed"]:
            raise Unavailable(f"OpenSearch: {answer['_shards']['failed']} shards of {names} do not answer")
        return int(answer["count"])

    def _written(self, pictures: Iterable[Picture]) -> Iterator[tuple[Picture, str]]:
        for picture in pictures:
            for name in self._generation(picture.kind).write:
                yield picture, _writable(name)

    def _generation(self, kind: Kind) -> Generation:
        known = self._generation_if_any(kind)
        if known is None:
            raise Unavailable(_NO_INDEX)
        return known

    def _generation_if_any(self, kind: Kind) -> Generation | None:
        known = self._known.get(kind)
        if known is not None and self._clock() < known[0]:
            return known[1]
        generation = self._generations.generation(kind)
        if generation is not None:  # one that is only about to be made is asked for again
            self._known[kind] = self._clock() + GENERATION_SECONDS, generation
        return generation

    def _bulk(self, lines: Iterable[_Line], *, wait: bool) -> None:
        failures = [failure for chunk in _chunks(lines) for failure in self._send(chunk, wait=wait)]
        if failures:
            logger.warning(
                "the index did not take all rows", extra={"rows": len(failures), "first": failures[0].reason}
            )
            again = frozenset(failure.key for failure in failures if failure.again)
            raise IndexWriteError(again, {one.key: one.reason for one in failures if one.key not in again})

    def _send(self, chunk: Sequence[_Line], *, wait: bool) -> list[_Failure]:
        """Do these operations, all on one index, in one request."""
        try:
            with self._call(self._writing) as time_left:
                return self._sent(chunk, time_left, wait=wait)
        except Unavailable as error:
            if (reason := _malformed(error.__cause__)) is None:
                raise
            # One operation that the server cannot read, and it reads none: halves find out which.
            if len(chunk) == 1:
                return [_Failure(chunk[0].key, again=False, reason=reason)]
            middle = len(chunk) // 2
            return self._send(chunk[:middle], wait=wait) + self._send(chunk[middle:], wait=wait)

    def _sent(self, chunk: Sequence[_Line], time_left: _TimeLeft, *, wait: bool) -> list[_Failure]:
        answer = self._client.bulk(
            index=chunk[0].name,  # in the path, where policies see it
            body=b"".join(line.text for line in chunk),
            params={
                "refresh": "wait_for" if wait else "false",
                "require_alias": "true",
                "filter_path": "items.*.status,items.*.error",
                **time_left(),
            },
        )
        items = [item for outcome in answer["items"] for item in outcome.values()]
        if wait and any(item["status"] == _HOLDS_NO_LESS for item in items):
            # Another writer was first, a replay of the stream for example, and may not have waited: a refused write
            # does not wait for what it has found.
            self._client.indices.refresh(index=chunk[0].name, params=time_left())
        return [
            _Failure(line.key, _may_be_taken_later(item), _reason(item["error"]))
            for line, item in zip(chunk, items, strict=True)
            # Removing what is not there is answered 404, without an error.
            if "error" in item and item["status"] != _HOLDS_NO_LESS
        ]


#: The parameter of a request that says how long it may take. Raises Unavailable if no time is left.
_TimeLeft = Callable[[], Json]


@contextmanager
def _server() -> Iterator[None]:
    """Whatever goes wrong with the server in this block, or is not in its answer, is raised as Unavailable."""
    try:
        yield
    except OpenSearchException as error:
        raise Unavailable(f"OpenSearch: {str(error)[:500]}") from error
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise Unavailable(f"OpenSearch: an answer that cannot be read: {error!r}"[:500]) from error


def _is_fault(error: BaseException) -> bool:
    """Whether an error says that the server does not work; it does where it refuses what it is asked."""
    if not isinstance(error, Unavailable):
        return False
    status = error.__cause__.status_code if isinstance(error.__cause__, TransportError) else None
    return not isinstance(status, int) or not 400 <= status < 500 or status in _BUSY


def _malformed(error: BaseException | None) -> str | None:
    """Why the server could not read a request; None if it is something else that was wrong."""
    found = error.info.get("error") if isinstance(error, RequestError) and isinstance(error.info, Mapping) else None
    return _reason(found) if isinstance(found, Mapping) else None


@dataclass(frozen=True, slots=True)
class _Failure:
    """One operation of a bulk request that was not done. ``again``: it may be later; else it is refused for good."""

    key: Key
    again: bool
    reason: str


def _may_be_taken_later(item: Mapping[str, Any]) -> bool:
    status, kind = item["status"], item["error"]["type"]
    return status >= 500 or status in _NOT_THE_DOCUMENT or kind == _NO_SUCH_ALIAS


@dataclass(frozen=True, slots=True)
class _Line:
    """One operation of a bulk request, on the document of ``key`` in ``name``. ``text`` is one line of JSON or two."""

    key: Key
    name: str
    text: bytes

    @classmethod
    def index(cls, picture: Picture, name: str) -> _Line:
        return cls(picture.key, name, _lines({"index": _action(picture, "external")}, _document(picture)))

    @classmethod
    def delete(cls, picture: Picture, name: str) -> _Line:
        # A removal may carry the very revision that the index holds.
        return cls(picture.key, name, _lines({"delete": _action(picture, "external_gte")}))


def _action(picture: Picture, version_type: str) -> Json:
    return {
        "_id": _id(picture.key),
        "routing": picture.key.library,
        "version": picture.revision,
        "version_type": version_type,
    }


def _id(key: Key) -> str:
    """Of a length that OpenSearch takes, whatever the caller's own id."""
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


def _lines(*objects: Json) -> bytes:
    return b"".join(json.dumps(one, separators=(",", ":")).encode() + b"\n" for one in objects)


def _chunks(lines: Iterable[_Line]) -> Iterator[list[_Line]]:
    """The lines of each index in order, as many together as one request takes."""
    chunks: dict[str, list[_Line]] = defaultdict(list)
    sizes: Counter[str] = Counter()
    for line in lines:
        if chunks[line.name] and sizes[line.name] + len(line.text) > _BULK:
            yield chunks.pop(line.name)
            del sizes[line.name]
        chunks[line.name].append(line)
        sizes[line.name] += len(line.text)
    yield from chunks.values()


def _reason(error: Mapping[str, Any]) -> str:
    """What an error says, from the outside in."""
    cause = error.get("caused_by")
    said = f"{error.get('type')}: {error.get('reason')}"
    return said if cause is None else f"{said}; {_reason(cause)}"


def _search(query: Query, libraries: tuple[str, ...], k: int) -> Json:
    """The k best of every view, and of those the best by their best view.

    What is among the best k by its best view is among the k nearest to that view, so nothing is lost by asking each
    view for k only. One search per view, in one request too (``_msearch``), finds the same and takes the server twice
    as long.
    """
    wanted = [*_live(libraries), {"term": {"model": query.model}}, *_tagged(query)]
    near = [_near(view, k, wanted) for view in query.vectors.astype(np.float32)]
    return {
        "size": min(query.k, _MOST_K),
        "query": near[0] if len(near) == 1 else {"dis_max": {"queries": near}},
        "sort": ["_score", "library", "id"],
        "track_total_hits": False,
    }


def _near(view: NDArray[np.float32], k: int, wanted: Sequence[Json]) -> Json:
    # A filter within the query narrows before the k nearest are taken; and where k or fewer pass it in a segment,
    # Lucene compares with all of them.
    return {
        "knn": {
            "vector": {
                "vector": view.tolist(),
                "k": k,
                "filter": {"bool": {"filter": list(wanted)}},
                "method_parameters": {"ef_search": min(max(_BEAM * k, _LEAST_BEAM), _MOST_K)},
            }
        }
    }


def _routing(libraries: Sequence[str]) -> dict[str, str]:
    return {"routing": ",".join(libraries)} if len(libraries) <= _ROUTES else {}


def _live(libraries: Sequence[str]) -> list[Json]:
    return [{"terms": {"library": list(libraries)}}, {"term": {"live": True}}]


def _tagged(query: Query) -> list[Json]:
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
