"""OpenSearch when it is slow, busy, away or confused: a real client, and a server that answers as it is told."""

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
from lookalike.errors import IndexWriteError, SettingsError, Unavailable
from lookalike.service.index_sync import index as bring
from lookalike.stores.aws.circuit_breaker import Breaker
from lookalike.stores.aws.opensearch_index import OpenSearchIndex, connect, create_index
from tests.contract.rows import MODEL, row, unit
from tests.servers.hanging import hanging
from tests.support.fakes import MemoryGenerations, memory_ports

Answer = tuple[int, Any]

EMPTY: Answer = (200, {"hits": {"hits": []}})
SMALL: Answer = (200, {"count": 1, "_shards": {"failed": 0}})
SHOWN: Answer = (200, {"_shards": {"failed": 0}})
BUSY: Answer = (503, {"error": {"type": "cluster_manager_not_discovered_exception"}, "status": 503})


@dataclass(frozen=True, slots=True)
class Late:
    """An answer that comes after so many seconds."""

    seconds: float
    answer: Answer


class Told(ThreadingHTTPServer):
    """Gives these answers one after the other; a number of seconds before one lets it come late."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[Answer | Late | float] = []
        self.requests: list[str] = []
        self.bodies: list[bytes] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Told

    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["content-length"] or 0)))
        self.server.requests.append(self.path)
        answer = self.server.answers.pop(0)
        if isinstance(answer, float):
            answer = Late(answer, EMPTY)
        if isinstance(answer, Late):
            time.sleep(answer.seconds)
            answer = answer.answer
        status, body = answer
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        try:
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
        except BrokenPipeError:
            pass  # nobody waits any more

    do_PUT = do_POST  # noqa: N815

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Told]:
    with Told() as told:
        thread = threading.Thread(target=told.serve_forever, args=(0.01,))
        thread.start()
        yield told
        told.shutdown()
        thread.join()


@pytest.fixture
def generations() -> MemoryGenerations:
    made = MemoryGenerations()
    made.rows[Kind.SIMILAR] = Generation("old", ("old",))
    return made


@pytest.fixture
def index(server: Told, generations: MemoryGenerations) -> Iterator[OpenSearchIndex]:
    client = connect(server.url)
    yield OpenSearchIndex(client, generations, seconds=0.5)
    client.close()


def ask(index: OpenSearchIndex) -> Sequence[Any]:
    return index.search(Query(Kind.SIMILAR, ("uid",), MODEL, unit(1).astype(np.float32)[None], 10))


class TestSearch:
    @pytest.mark.parametrize("status", [429, 502, 503, 504])
    def test_one_that_meets_a_busy_server_is_sent_again(
        self, index: OpenSearchIndex, server: Told, status: int
    ) -> None:
        server.answers = [SMALL, (status, {}), (status, {}), EMPTY]
        assert ask(index) == []
        assert len(server.requests) == 4

    def test_but_not_for_ever(self, index: OpenSearchIndex, server: Told) -> None:
        server.answers = [SMALL, BUSY, BUSY, BUSY, EMPTY]
        with pytest.raises(Unavailable, match="503"):
            ask(index)
        assert ask(index) == []

    def test_one_that_takes_too_long_is_given_up(self, index: OpenSearchIndex, server: Told) -> None:
        server.answers = [SMALL, 0.8]
        with pytest.raises(Unavailable, match="Timeout"):
            ask(index)
        assert len(server.requests) == 2

    def test_many_busy_answers_are_no_more_time(self, index: OpenSearchIndex, server: Told) -> None:
        server.answers = [SMALL, Late(0.3, BUSY), Late(0.3, BUSY), EMPTY]
        began = time.monotonic()
        with pytest.raises(Unavailable):
            ask(index)
        assert time.monotonic() - began < 0.6

    def test_a_count_and_a_search_have_the_time_of_one_call(self, index: OpenSearchIndex, server: Told) -> None:
        server.answers = [Late(0.3, SMALL), Late(0.3, EMPTY)]
        began = time.monotonic()
        with pytest.raises(Unavailable):
            ask(index)
        assert time.monotonic() - began < 0.6

    @pytest.mark.parametrize("answer", [(200, b"<html>"), (200, b"{"), (403, {"message": "no"}), (400, b"")])
    def test_an_answer_of_no_use(self, index: OpenSearchIndex, server: Told, answer: Answer) -> None:
        server.answers = [SMALL, answer]
        with pytest.raises(Unavailable, match="OpenSearch"):
            ask(index)

    @pytest.mark.parametrize(
        "answer",
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
    def test_an_answer_of_another_shape(self, index: OpenSearchIndex, server: Told, answer: Any) -> None:
        server.answers = [SMALL, (200, answer)]
        if answer == {"hits": {"hits": {}}}:
            assert ask(index) == []
            return
        with pytest.raises(Unavailable, match="cannot be read"):
            ask(index)

    @pytest.mark.parametrize("name", ["library", "id", "revision", "added", "digest", "object_key", "brief", "tags"])
    @pytest.mark.parametrize("value", [None, {}, [7]])
    def test_a_hit_of_another_shape(self, index: OpenSearchIndex, server: Told, name: str, value: Any) -> None:
        shown = {
            "library": "uid", "id": "a", "revision": 1, "added": 1, "digest": "d", "object_key": "k", "brief": "",
            "label": "", "desc": "", "tags": [],
        }  # fmt: skip
        hits = [{"_source": shown | {name: value}, "sort": [0.9, "uid", "a"]}]
        server.answers = [SMALL, (200, {"hits": {"hits": hits}})]
        if (name, value) == ("tags", {}):
            assert len(ask(index)) == 1
            return
        with pytest.raises(Unavailable, match="cannot be read"):
            ask(index)

    @pytest.mark.parametrize("answer", [[], {}, {"count": 1}, {"count": "x", "_shards": {"failed": 0}}])
    def test_a_count_of_another_shape(self, index: OpenSearchIndex, server: Told, answer: Any) -> None:
        server.answers = [(200, answer)]
        with pytest.raises(Unavailable, match="cannot be read"):
            index.count("uid")

    def test_part_of_the_answer_is_none(self, index: OpenSearchIndex, server: Told) -> None:
        server.answers = [SMALL, EMPTY]
        ask(index)
        assert "allow_partial_search_results=false" in server.requests[1]

    def test_part_of_a_count_is_none(self, index: OpenSearchIndex, server: Told) -> None:
        server.answers = [(200, {"count": 1, "_shards": {"failed": 1}})]
        with pytest.raises(Unavailable, match="1 shards"):
            index.count("uid")

    def test_nobody_there(self, generations: MemoryGenerations) -> None:
        with Told() as closed:
            url = closed.url
        with pytest.raises(Unavailable, match="ConnectionError"):
            ask(OpenSearchIndex(connect(url), generations, seconds=0.5))


def items(operation: str, *statuses: int) -> Answer:
    """A bulk answer; statuses from 300 on have an error, but that of a removal that found nothing."""
    done = []
    for status in statuses:
        item: dict[str, Any] = {"status": status}
        if status >= 300 and (operation, status) != ("delete", 404):
            item["error"] = {"type": f"type-{status}", "reason": "r", "caused_by": {"type": "why", "reason": "deep"}}
        done.append({operation: item})
    return 200, {"items": done}


class TestWrite:
    def test_each_row_is_judged_by_itself(self, index: OpenSearchIndex, server: Told) -> None:
        statuses = (200, 201, 400, 401, 403, 404, 408, 409, 413, 429, 500, 503)
        server.answers = [items("index", *statuses), SHOWN]
        with pytest.raises(IndexWriteError) as failed:
            index.write([row("uid", str(status)) for status in statuses])
        assert {key.id for key in failed.value.again} == {"401", "403", "404", "408", "429", "500", "503"}
        assert {key.id for key in failed.value.refused} == {"400", "413"}
        assert failed.value.refused[Key("uid", "400")] == "type-400: r; why: deep"
        assert len(server.requests) == 2
        assert server.requests[1].startswith("/old.WRITE/_refresh"), "what is held already may not be seen yet"

    def test_what_is_held_already_or_gone_already_is_done(self, index: OpenSearchIndex, server: Told) -> None:
        server.answers = [items("index", 409, 201), SHOWN, items("delete", 404, 409, 200)]
        index.write([row("uid", "a"), row("uid", "b")])
        index.remove([row("uid", "a"), row("uid", "b"), row("uid", "c")])

    def test_what_one_generation_may_still_take_is_not_refused_yet(
        self, index: OpenSearchIndex, server: Told, generations: MemoryGenerations
    ) -> None:
        generations.rows[Kind.SIMILAR] = Generation("old", ("old", "new"))
        server.answers = [items("index", 400, 201), items("index", 429, 400)]
        with pytest.raises(IndexWriteError) as failed:
            index.write([row("uid", "a"), row("uid", "b")])
        assert failed.value.again == {Key("uid", "a")}
        assert list(failed.value.refused) == [Key("uid", "b")]

    def test_a_busy_server_is_asked_again_because_writes_may_be_repeated(
        self, index: OpenSearchIndex, server: Told
    ) -> None:
        server.answers = [(429, {}), BUSY, items("index", 409), SHOWN]
        index.write([row("uid", "a")])

    @pytest.mark.parametrize(
        "answers",
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
        self, index: OpenSearchIndex, server: Told, answers: list[Answer | Late | float]
    ) -> None:
        server.answers = answers
        with pytest.raises(Unavailable) as failed:
            index.write([row("uid", "a")])
        assert not isinstance(failed.value, IndexWriteError)

    def test_every_request_names_its_index_in_the_path(
        self, index: OpenSearchIndex, server: Told, generations: MemoryGenerations
    ) -> None:
        """Policies see the path alone: a bulk that names indices in its body could write to any."""
        generations.rows[Kind.SIMILAR] = Generation("old", ("old", "new"))
        server.answers = [items("index", 201), items("index", 201), items("delete", 200), items("delete", 200)]
        index.write([row("uid", "a")])
        index.remove([row("uid", "a")])
        assert [request.partition("?")[0] for request in server.requests] == [
            "/old.WRITE/_bulk",
            "/new.WRITE/_bulk",
        ] * 2
        assert "_index" not in str(server.bodies)

    @pytest.mark.parametrize(("wait", "refresh"), [(True, "refresh=wait_for"), (False, "refresh=false")])
    def test_waiting(self, index: OpenSearchIndex, server: Told, *, wait: bool, refresh: str) -> None:
        server.answers = [items("index", 201)]
        index.write([row("uid", "a")], wait=wait)
        assert refresh in server.requests[0]


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"


def took(call: Callable[[], object]) -> float:
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
            for call in (lambda: ask(index), lambda: index.count("uid"), lambda: index.write([row("uid", "a")])):
                assert 0.2 < took(call) < 0.8

    def test_after_three_failures_calls_fail_at_once(self, generations: MemoryGenerations) -> None:
        with hanging(b"", 0) as url:
            index = OpenSearchIndex(connect(url), generations, seconds=0.3)
            assert all(took(lambda: ask(index)) > 0.2 for _ in range(3))
            assert took(lambda: [took(lambda: ask(index)) for _ in range(100)] and ask(index)) < 0.2
            assert took(lambda: index.write([row("uid", "a")])) > 0.2, "writes have a circuit of their own"

    def test_callers_that_come_together_wait_once(self, generations: MemoryGenerations) -> None:
        with hanging(b"", 0) as url, ThreadPoolExecutor(40) as pool:
            index = OpenSearchIndex(connect(url, connections=40), generations, seconds=0.5)
            seconds = list(pool.map(lambda _: took(lambda: ask(index)), range(40)))
            assert max(seconds) < 1.5
            assert max(pool.map(lambda _: took(lambda: ask(index)), range(40))) < 0.3

    def test_rows_of_the_stream_come_again_however_long_it_hangs(self, generations: MemoryGenerations) -> None:
        rows = [row("uid", name) for name in "abc"]
        with hanging() as url:
            ports = memory_ports(index=OpenSearchIndex(connect(url), generations, seconds=0.1))
            for _ in range(6):
                done = bring(ports, rows)
                assert done.again == {one.key for one in rows}
                assert not done.refused

    def test_what_the_server_refuses_opens_no_circuit(self, index: OpenSearchIndex, server: Told) -> None:
        for status in (400, 401, 403, 404, 409, 413) * 2:
            server.answers = [(status, {"error": {"type": "t", "reason": "r"}})]
            with pytest.raises(Unavailable, match=str(status)):
                index.count("uid")

    def test_rows_that_are_refused_open_no_circuit(self, index: OpenSearchIndex, server: Told) -> None:
        for _ in range(5):
            server.answers = [items("index", 503)]
            with pytest.raises(IndexWriteError):
                index.write([row("uid", "a")])

    @pytest.mark.parametrize("answer", [(503, {}), (429, {}), (200, b"<html>"), (200, {"rubbish": 1})])
    def test_a_server_that_says_nothing_of_use_is_left_alone_for_a_while(
        self, index: OpenSearchIndex, server: Told, answer: Answer
    ) -> None:
        for _ in range(3):
            server.answers = [answer] * 3
            with pytest.raises(Unavailable):
                index.count("uid")
        said = len(server.requests)
        with pytest.raises(Unavailable, match="asked again in a few seconds"):
            index.count("uid")
        assert len(server.requests) == said

    def test_one_kind_that_fails_is_no_matter_of_the_others(
        self, index: OpenSearchIndex, server: Told, generations: MemoryGenerations
    ) -> None:
        generations.rows[Kind.PRODUCT] = Generation("red", ("red",))
        query = Query(Kind.PRODUCT, ("uid",), MODEL, unit(1).astype(np.float32)[None], 10)
        for _ in range(4):
            server.answers = [BUSY] * 3
            with pytest.raises(Unavailable):
                index.search(query)
        server.answers = [SMALL, EMPTY]
        assert ask(index) == []


class TestBreaker:
    def fail(self, breaker: Breaker) -> None:
        with pytest.raises(Unavailable, match="no answer"), breaker.guard():
            raise Unavailable("no answer")

    def test_success_in_between_keeps_it_closed(self) -> None:
        breaker = Breaker("S", failures=2)
        for _ in range(5):
            self.fail(breaker)
            with breaker.guard():
                pass
        assert breaker.closed

    def test_a_probe_that_succeeds_closes_it(self) -> None:
        breaker = Breaker("S", failures=1, reset_seconds=0.05)
        self.fail(breaker)
        assert not breaker.closed
        with pytest.raises(Unavailable, match="few seconds"), breaker.guard():
            raise AssertionError("must not be asked")
        time.sleep(0.06)
        with breaker.guard():
            pass
        assert breaker.closed

    def test_a_probe_that_fails_opens_it_again(self) -> None:
        breaker = Breaker("S", failures=2, reset_seconds=0.05)
        self.fail(breaker)
        self.fail(breaker)
        time.sleep(0.06)
        self.fail(breaker)
        with pytest.raises(Unavailable, match="few seconds"), breaker.guard():
            raise AssertionError("must not be asked")

    def test_one_caller_alone_probes(self) -> None:
        breaker = Breaker("S", failures=1, reset_seconds=0)
        self.fail(breaker)
        with breaker.guard(), pytest.raises(Unavailable, match="another call"), breaker.guard():
            raise AssertionError("must not be asked")
        with breaker.guard():
            pass

    def test_nobody_waits_for_anybody(self) -> None:
        breaker, together = Breaker("S"), threading.Barrier(8)

        def call(_: int) -> None:
            with breaker.guard():
                together.wait(10)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(call, range(8)))

    def test_a_mistake_of_ours_is_not_the_servers(self) -> None:
        breaker = Breaker("S", failures=1)
        with pytest.raises(ZeroDivisionError), breaker.guard():
            _ = 1 / 0
        assert breaker.closed


def test_an_index_that_cannot_be_made_is_an_error(server: Told) -> None:
    server.answers = [(403, {"error": {"type": "security_exception", "reason": "no"}})]
    client = connect(server.url)
    with pytest.raises(Unavailable, match="security_exception"):
        create_index(client, "new")
    client.close()


class TestSigning:
    @pytest.fixture(autouse=True)
    def credentials(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "access")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")

    @pytest.mark.parametrize(
        ("endpoint", "region", "expected"),
        [
            ("https://search-a-b1.eu-west-1.es.amazonaws.com", None, "eu-west-1"),
            ("https://vpc-a-b1.cn-north-1.es.amazonaws.com.cn:443/", None, "cn-north-1"),
            ("https://search-a-b1.aos.us-east-2.on.aws", None, "us-east-2"),
            ("https://pictures.example.org", "ap-southeast-1", "ap-southeast-1"),
        ],
    )
    def test_requests_to_a_domain_are_signed_for_its_region(
        self, endpoint: str, region: str | None, expected: str
    ) -> None:
        sign = connect(endpoint, region=region).transport.get_connection().http_auth
        assert f"/{expected}/es/aws4_request" in sign("GET", f"{endpoint}/_search", b"{}")["Authorization"]

    @pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9200", "https://es.amazonaws.com.example.org"])
    def test_others_are_not(self, endpoint: str) -> None:
        assert connect(endpoint).transport.get_connection().http_auth is None

    def test_without_credentials_there_is_no_client(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
        monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
        with pytest.raises(SettingsError, match="credentials"):
            connect("https://search-a-b1.eu-west-1.es.amazonaws.com")
