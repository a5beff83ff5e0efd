"""Calls are repeated while the service is busy or away, and no longer than it makes sense."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lookalike.errors import InvalidArgument
from lookalike.server.import_progress import HEADER, ImportProgress, Imports
from lookalike.transfer.api_client import Answered, ApiClient
from lookalike.transfer.target import TargetError

Answer = tuple[int, str, bytes]


@contextmanager
def serving(answers: Sequence[Answer]) -> Iterator[tuple[str, list[str]]]:
    """A server that gives these answers one after the other: status, Retry-After, body; its address, and who called."""
    left, callers = iter(answers), []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            callers.append(self.headers["authorization"])
            status, after, body = next(left)
            self.send_response(status)
            if after:
                self.send_header("retry-after", after)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", callers
        finally:
            server.shutdown()
            thread.join()


def test_it_is_asked_again_when_it_says_so() -> None:
    pauses: list[float] = []
    with serving([(503, "", b""), (429, "3", b""), (200, "", b'{"a": 1}')]) as (url, callers):
        client = ApiClient(url, "a:b\n", pauses.append)
        assert client.call("GET", "/x").json == {"a": 1}
        client._local.connection.close()
    assert pauses == [0.5, 3.0]
    assert callers == ["Basic YTpi"] * 3


def test_calls_say_how_far_the_import_is() -> None:
    with serving([(200, "", b"{}")] * 3) as (url, _):
        client = ApiClient(url, "a:b")
        sent: list[Mapping[str, str]] = []
        send = client._send

        def watched(method: str, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[Answered, float]:
            sent.append(headers)
            return send(method, path, body, headers)

        client._send = watched  # type: ignore[method-assign]
        client.call("GET", "/x")
        progress = ImportProgress()
        for done in (3, 5):
            client.tell(12, done)
            client.call("GET", "/x")
            progress.note(sent[-1][HEADER])
        client._local.connection.close()
    assert HEADER not in sent[0]
    assert progress.now() == Imports(1, 5, 7), "what is sent is what a server reads"


def test_a_limit_of_the_day_ends_it() -> None:
    with serving([(429, "3600", b'{"detail": "enough"}')]) as (url, callers):
        client = ApiClient(url, "token", lambda _: None)
        with pytest.raises(TargetError, match="takes no calls now: enough"):
            client.call("GET", "/x")
        client._local.connection.close()
    assert callers == ["Bearer token"]


def test_nobody_answers() -> None:
    pauses: list[float] = []
    with pytest.raises(TargetError, match="takes no calls now: ConnectionRefusedError"):
        ApiClient("http://127.0.0.1:9", "a:b", pauses.append).call("GET", "/x")
    assert len(pauses) == 10
    assert pauses[-1] == 20.0


@pytest.mark.parametrize(("url", "key"), [("ftp://x", "k"), ("http://", "k"), ("http://x?a", "k"), ("http://x", " ")])
def test_wrong_use(url: str, key: str) -> None:
    with pytest.raises(InvalidArgument):
        ApiClient(url, key)
