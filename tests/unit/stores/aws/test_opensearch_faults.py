"""OpenSearch when it is slow, busy, unreachable or broken: a real client, and a server with scripted responses."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest

from lookalike.domain.library import Kind
from lookalike.domain.picture import Key
from lookalike.domain.search import Generation, Query
from lookalike.errors import IndexWriteError, Unavailable
from lookalike.service.index_sync import sync_index
from lookalike.stores.aws.opensearch_admin import create_index
from lookalike.stores.aws.opensearch_client import connect
from lookalike.stores.aws.opensearch_index import OpenSearchIndex
from tests.contract.rows import MODEL, row, unit
from tests.servers.hanging import hanging
from tests.support.fakes import MemoryGenerations, memory_ports

ScriptedResponse = tuple[int, Any]

EMPTY: ScriptedResponse = (200, {"hits": {"hits": []}})

SMALL: ScriptedResponse = (200, {"count": 1, "_shards": {"failed": 0}})

REFRESHED: ScriptedResponse = (200, {"_shards": {"failed": 0}})

BUSY: ScriptedResponse = (503, {"error": {"type": "cluster_manager_not_discovered_exception"}, "status": 503})


@dataclass(frozen=True, slots=True)
class Delayed:
    """A response that is sent after a delay."""

    seconds: float
    response: ScriptedResponse


class ScriptedServer(ThreadingHTTPServer):
    """Sends these responses in turn; a number stands for an empty result after that many seconds."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.responses: list[ScriptedResponse | Delayed | float] = []
        self.requests: list[str] = []
        self.bodies: list[bytes] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: ScriptedServer

    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["content-length"] or 0)))
        self.server.requests.append(self.path)
        response = self.server.responses.pop(0)
        if isinstance(response, float):
            response = Delayed(response, EMPTY)
        if isinstance(response, Delayed):
            time.sleep(response.seconds)
            response = response.response
        status, body = response
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        try:
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
        except BrokenPipeError:
            pass  # the client has given up

    do_PUT = do_POST  # noqa: N815

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as scripted:
        thread = threading.Thread(target=scripted.serve_forever, args=(0.01,))
        thread.start()
        yield scripted
        scripted.shutdown()
        thread.join()


@pytest.fixture
def generations() -> MemoryGenerations:
    made = MemoryGenerations()
    made.rows[Kind.SIMILAR] = Generation("old", ("old",))
    return made


@pytest.fixture
def index(server: ScriptedServer, generations: MemoryGenerations) -> Iterator[OpenSearchIndex]:
    client = connect(server.url)
    yield OpenSearchIndex(client, generations, seconds=0.5)
    client.close()


def search(index: OpenSearchIndex) -> Sequence[Any]:
    return index.search(Query(Kind.SIMILAR, ("uid",), MODEL, unit(1).astype(np.float32)[None], 10))


class TestSearch:
    @pytest.mark.parametrize("status", [429, 502, 503, 504])
    def test_one_that_meets_a_busy_server_is_sent_again(
        self, index: OpenSearchIndex, server: ScriptedServer, status: int
    ) -> None:
        server.responses = [SMALL, (status, {}), (status, {}), EMPTY]
        assert search(index) == []
        assert len(server.requests) == 4

    def test_but_not_for_ever(self, index: OpenSearchIndex, server: ScriptedServer) -> None:
        server.responses = [SMALL, BUSY, BUSY, BUSY, EMPTY]
        with pytest.raises(Unavailable, match="503"):
            search(index)
        assert search(index) == []

    def test_one_that_takes_too_long_is_given_up(self, index: OpenSearchIndex, server: ScriptedServer) -> None:
        server.responses = [SMALL, 0.8]
        with pytest.raises(Unavailable, match="Timeout"):
            search(index)
        assert len(server.requests) == 2

    def test_many_busy_answers_are_no_more_time(self, index: OpenSearchIndex, server: ScriptedServer) -> None:
        server.responses = [SMALL, Delayed(0.3, BUSY), Delayed(0.3, BUSY), EMPTY]
        began = time.monotonic()
        with pytest.raises(Unavailable):
            search(index)
        assert time.monotonic() - began < 0.6

    def test_a_count_and_a_search_have_the_time_of_one_call(
        self, index: OpenSearchIndex, server: ScriptedServer
    ) -> None:
        server.responses = [Delayed(0.3, SMALL), Delayed(0.3, EMPTY)]
        began = time.monotonic()
        with pytest.raises(Unavailable):
            search(index)
        assert time.monotonic() - began < 0.6

    @pytest.mark.parametrize("response", [(200, b"<html>"), (200, b"{"), (403, {"message": "no"}), (400, b"")])
    def test_an_answer_of_no_use(
        self, index: OpenSearchIndex, server: ScriptedServer, response: ScriptedResponse
    ) -> None:
        server.responses = [SMALL, response]
        with pytest.raises(Unavailable, match="OpenSearch"):
            search(index)

    @pytest.mark.parametrize(
        "response",
        [
            [],
            "text",
            7,
            {"hits": []},
            {"hits": {"hits": {}}},
            {"hits": {"hits": [{}]}},
            {"hits": {"hits": [{"_source": {}, "sort": [1]}]}},
            {"hits": {"hits": [{"_source": None, "sort": []}]}},
        ],
    )
    def test_an_answer_of_another_shape(self, index: OpenSearchIndex, server: ScriptedServer, response: Any) -> None:
        server.responses = [SMALL, (200, response)]
        if response == {"hits": {"hits": {}}}:
            assert search(index) == []
            return
        with pytest.raises(Unavailable, match="cannot be read"):
            search(index)

    @pytest.mark.parametrize("name", ["library", "id", "revision", "added", "digest", "object_key", "brief", "tags"])
    @pytest.mark.parametrize("value", [None, {}, [7]])
    def test_a_hit_of_another_shape(
        self, index: OpenSearchIndex, server: ScriptedServer, name: str, value: Any
    ) -> None:
        shown = {
            "library": "uid", "id": "a", "revision": 1, "added": 1, "digest": "d", "object_key": "k", "brief": "",
            "label": "", "desc": "", "tags": [],
        }  # fmt: skip
        hits = [{"_source": shown | {name: value}, "sort": [0.9, "uid", "a"]}]
        server.responses = [SMALL, (200, {"hits": {"hits": hits}})]
        if (name, value) == ("tags", {}):
            assert len(search(index)) == 1
            return
        with pytest.raises(Unavailable, match="cannot be read"):
            search(index)

    @pytest.mark.parametrize("response", [[], {}, {"count": 1}, {"count": "x", "_shards": {"failed": 0}}])
    def test_a_count_of_another_shape(self, index: OpenSearchIndex, server: ScriptedServer, response: Any) -> None:
        server.responses = [(200, response)]
        with pytest.raises(Unavailable, match="cannot be read"):
            index.count("uid")

    def test_part_of_the_answer_is_none(self, index: OpenSearchIndex, server: ScriptedServer) -> None:
        server.responses = [SMALL, EMPTY]
        search(index)
        assert "allow_partial_search_results=false" in server.requests[1]

    def test_part_of_a_count_is_none(self, index: OpenSearchIndex, server: ScriptedServer) -> None:
        server.responses = [(200, {"count": 1, "_shards": {"failed": 1}})]
        with pytest.raises(Unavailable, match="1 shards"):
            index.count("uid")

    def test_nobody_there(self, generations: MemoryGenerations) -> None:
        with ScriptedServer() as closed:
            url = closed.url
        with pytest.raises(Unavailable, match="ConnectionError"):
            search(OpenSearchIndex(connect(url), generations, seconds=0.5))


def items(operation: str, *statuses: int) -> ScriptedResponse:
    """A bulk response; items of status 300 or more have an error, except a removal that found nothing."""
    done = []
    for status in statuses:
        item: dict[str, Any] = {"status": status}
        if status >= 300 and (operation, status) != ("delete", 404):
            item["error"] = {"type": f"type-{status}", "reason": "r", "caused_by": {"type": "why", "reason": "deep"}}
        done.append({operation: item})
    return 200, {"items": done}


class TestWrite:
    def test_each_row_is_judged_by_itself(self, index: OpenSearchIndex, server: ScriptedServer) -> None:
        statuses = (200, 201, 400, 401, 403, 404, 408, 409, 413, 429, 500, 503)
        server.responses = [items("index", *statuses), REFRESHED]
        with pytest.raises(IndexWriteError) as failed:
            index.write([row("uid", str(status)) for status in statuses])
        assert {key.id for key in failed.value.again} == {"401", "403", "404", "408", "429", "500", "503"}
        assert {key.id for key in failed.value.refused} == {"400", "413"}
        assert failed.value.refused[Key("uid", "400")] == "type-400: r; why: deep"
        assert len(server.requests) == 2
        assert server.requests[1].startswith("/old.WRITE/_refresh"), "what is held already may not be seen yet"

    def test_what_is_held_already_or_gone_already_is_done(self, index: OpenSearchIndex, server: ScriptedServer) -> None:
        server.responses = [items("index", 409, 201), REFRESHED, items("delete", 404, 409, 200)]
        index.write([row("uid", "a"), row("uid", "b")])
        index.remove([row("uid", "a"), row("uid", "b"), row("uid", "c")])

    def test_what_one_generation_may_still_take_is_not_refused_yet(
        self, index: OpenSearchIndex, server: ScriptedServer, generations: MemoryGenerations
    ) -> None:
        generations.rows[Kind.SIMILAR] = Generation("old", ("old", "new"))
        server.responses = [items("index", 400, 201), items("index", 429, 400)]
        with pytest.raises(IndexWriteError) as failed:
            index.write([row("uid", "a"), row("uid", "b")])
        assert failed.value.again == {Key("uid", "a")}
        assert list(failed.value.refused) == [Key("uid", "b")]

    def test_a_busy_server_is_asked_again_because_writes_may_be_repeated(
        self, index: OpenSearchIndex, server: ScriptedServer
    ) -> None:
        server.responses = [(429, {}), BUSY, items("index", 409), REFRESHED]
        index.write([row("uid", "a")])

    @pytest.mark.parametrize(
        "responses",
        [
            [BUSY] * 3,
            [(413, b"")],
            [0.8],
            [(200, b"{")],
            [(400, b"no")],
            [(200, [])],
            [(200, {})],
            [(200, {"items": [7]})],
            [(200, {"items": []})],
            [(200, {"items": [{"index": {}}]})],
            [(200, {"items": [{"index": {"status": 400, "error": "text"}}]})],
        ],
    )
    def test_a_failure_of_the_whole_call_blames_no_row(
        self, index: OpenSearchIndex, server: ScriptedServer, responses: list[ScriptedResponse | Delayed | float]
    ) -> None:
        server.responses = responses
        with pytest.raises(Unavailable) as failed:
            index.write([row("uid", "a")])
        assert not isinstance(failed.value, IndexWriteError)

    def test_every_request_names_its_index_in_the_path(
        self, index: OpenSearchIndex, server: ScriptedServer, generations: MemoryGenerations
    ) -> None:
        """Access policies see the path alone: a bulk request that names indices in its body could write to any."""
        generations.rows[Kind.SIMILAR] = Generation("old", ("old", "new"))
        server.responses = [items("index", 201), items("index", 201), items("delete", 200), items("delete", 200)]
        index.write([row("uid", "a")])
        index.remove([row("uid", "a")])
        assert [request.partition("?")[0] for request in server.requests] == [
            "/old.WRITE/_bulk",
            "/new.WRITE/_bulk",
        ] * 2
        assert "_index" not in str(server.bodies)

    @pytest.mark.parametrize(("wait", "refresh"), [(True, "refresh=wait_for"), (False, "refresh=false")])
    def test_waiting(self, index: OpenSearchIndex, server: ScriptedServer, *, wait: bool, refresh: str) -> None:
        server.responses = [items("index", 201)]
        index.write([row("uid", "a")], wait=wait)
        assert refresh in server.requests[0]


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"


def seconds_to_fail(call: Callable[[], object]) -> float:
    """Seconds until the call raised Unavailable."""
    began = time.monotonic()
    with pytest.raises(Unavailable):
        call()
    return time.monotonic() - began


class TestHanging:
    @pytest.mark.parametrize(("data", "pause"), [(b"", 0), (HEAD, 0), (HEAD, 0.1), (HEAD + b" " * 999, 0.001)])
    def test_whatever_a_call_asks_it_is_over_in_time(
        self, generations: MemoryGenerations, data: bytes, pause: float
    ) -> None:
        with hanging(data, pause) as url:
            index = OpenSearchIndex(connect(url), generations, seconds=0.3)
            for call in (lambda: search(index), lambda: index.count("uid"), lambda: index.write([row("uid", "a")])):
                assert 0.2 < seconds_to_fail(call) < 0.8

    def test_after_three_failures_calls_fail_at_once(self, generations: MemoryGenerations) -> None:
        with hanging(b"", 0) as url:
            index = OpenSearchIndex(connect(url), generations, seconds=0.3)
            assert all(seconds_to_fail(lambda: search(index)) > 0.2 for _ in range(3))
            assert (
                seconds_to_fail(lambda: [seconds_to_fail(lambda: search(index)) for _ in range(100)] and search(index))
                < 0.2
            )
            assert seconds_to_fail(lambda: index.write([row("uid", "a")])) > 0.2, "writes have a circuit of their own"

    def test_callers_that_come_together_wait_once(self, generations: MemoryGenerations) -> None:
        with hanging(b"", 0) as url, ThreadPoolExecutor(40) as pool:
            index = OpenSearchIndex(connect(url, connections=40), generations, seconds=0.5)
            seconds = list(pool.map(lambda _: seconds_to_fail(lambda: search(index)), range(40)))
            assert max(seconds) < 1.5
            assert max(pool.map(lambda _: seconds_to_fail(lambda: search(index)), range(40))) < 0.3

    def test_rows_of_the_stream_come_again_however_long_it_hangs(self, generations: MemoryGenerations) -> None:
        rows = [row("uid", name) for name in "abc"]
        with hanging() as url:
            ports = memory_ports(index=OpenSearchIndex(connect(url), generations, seconds=0.1))
            for _ in range(6):
                done = sync_index(ports, rows)
                assert done.retryable == {one.key for one in rows}
                assert not done.rejected

    def test_what_the_server_refuses_opens_no_circuit(self, index: OpenSearchIndex, server: ScriptedServer) -> None:
        for status in (400, 401, 403, 404, 409, 413) * 2:
            server.responses = [(status, {"error": {"type": "t", "reason": "r"}})]
            with pytest.raises(Unavailable, match=str(status)):
                index.count("uid")

    def test_rows_that_are_refused_open_no_circuit(self, index: OpenSearchIndex, server: ScriptedServer) -> None:
        for _ in range(5):
            server.responses = [items("index", 503)]
            with pytest.raises(IndexWriteError):
                index.write([row("uid", "a")])

    @pytest.mark.parametrize("response", [(503, {}), (429, {}), (200, b"<html>"), (200, {"rubbish": 1})])
    def test_a_server_that_says_nothing_of_use_is_left_alone_for_a_while(
        self, index: OpenSearchIndex, server: ScriptedServer, response: ScriptedResponse
    ) -> None:
        for _ in range(3):
            server.responses = [response] * 3
            with pytest.raises(Unavailable):
                index.count("uid")
        said = len(server.requests)
        with pytest.raises(Unavailable, match="asked again in a few seconds"):
            index.count("uid")
        assert len(server.requests) == said

    def test_one_kind_that_fails_is_no_matter_of_the_others(
        self, index: OpenSearchIndex, server: ScriptedServer, generations: MemoryGenerations
    ) -> None:
        generations.rows[Kind.PRODUCT] = Generation("red", ("red",))
        query = Query(Kind.PRODUCT, ("uid",), MODEL, unit(1).astype(np.float32)[None], 10)
        for _ in range(4):
            server.responses = [BUSY] * 3
            with pytest.raises(Unavailable):
                index.search(query)
        server.responses = [SMALL, EMPTY]
        assert search(index) == []


def test_an_index_that_cannot_be_made_is_an_error(server: ScriptedServer) -> None:
    server.responses = [(403, {"error": {"type": "security_exception", "reason": "no"}})]
    client = connect(server.url)
    with pytest.raises(Unavailable, match="security_exception"):
        create_index(client, "new")
    client.close()
