"""What clients do on a connection, and what they get: uvicorn as the service runs it, on real sockets, before a small application."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn

from lookalike.server import connection
from lookalike.server.uvicorn_server import listen, uvicorn_config
from lookalike.settings import Settings

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"

Message = MutableMapping[str, Any]


@dataclass
class Echo:
    """Answers what it was told: at ``/wait`` once the client is gone, at ``/early`` before it has said all."""

    gone: threading.Event = field(default_factory=threading.Event)

    async def __call__(
        self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.gone.set()
                return
            body += message["body"]
            more = message["more_body"] and scope["path"] != "/early"
        if scope["path"] == "/wait":
            assert (await receive())["type"] == "http.disconnect"
            self.gone.set()
        said = json.dumps({"client": scope["client"][0], "method": scope["method"], "body": body.decode()}).encode()
        headers = [(b"content-length", str(len(said)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": said})


class Running:
    """A server in a thread."""

    def __init__(self, host: str = "127.0.0.1", settings: Settings | None = None) -> None:
        self.echo = Echo()
        self.sockets = listen(host, 0)
        self.port = self.sockets[0].getsockname()[1]
        self.server = uvicorn.Server(uvicorn_config(self.echo, settings or Settings()))
        self.thread = threading.Thread(target=self.server.run, args=[self.sockets])
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)

    def connect(self, host: str = "127.0.0.1") -> socket.socket:
        client = socket.create_connection((host, self.port), timeout=10)
        client.settimeout(10)
        return client

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(timeout=20)
        assert not self.thread.is_alive()


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    started = Running()
    yield started
    started.stop()


@pytest.fixture
def running(server: Running) -> Running:
    server.echo.gone.clear()
    return server


def answer(client: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """The next answer."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = client.recv(4096)
        assert more, data
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    assert len(headers) == len(lines), lines
    while len(body) < int(headers["content-length"]):
        body += client.recv(4096)
    return int(first.split()[1]), headers, body


def rest(client: socket.socket) -> bytes:
    """What comes until the server closes."""
    data = b""
    while more := client.recv(4096):
        data += more
    return data


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


@pytest.mark.parametrize(
    ("host", "client"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("localhost", "127.0.0.1"),
        pytest.param("::1", "::1", marks=needs_ipv6),
        pytest.param("::", "::1", marks=needs_ipv6),
        pytest.param("::", "127.0.0.1", marks=needs_ipv6),
    ],
)
def test_wherever_it_listens_packets_go_at_once_and_clients_have_their_own_address(host: str, client: str) -> None:
    server = Running(host)
    with server.connect(client) as one:
        one.sendall(GET)
        status, _, body = answer(one)
        (accepted,) = server.server.server_state.connections
        assert accepted.transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert (status, json.loads(body)["client"]) == (200, client)
    server.stop()


def test_a_host_that_is_none_is_an_error() -> None:
    with pytest.raises(socket.gaierror):
        listen("no-such-host.invalid", 0)


def test_a_kept_connection_says_how_long_and_is_kept_longer(running: Running) -> None:
    with running.connect() as client:
        for _ in range(2):
            client.sendall(GET)
            _, headers, _ = answer(client)
            assert (headers["connection"], headers["keep-alive"]) == ("keep-alive", "timeout=90")
    assert running.server.config.timeout_keep_alive > 90


@pytest.mark.parametrize(
    "request_", [GET.replace(b"Host: x", b"Host: x\r\nConnection: close"), b"GET / HTTP/1.0\r\n\r\n"]
)
def test_a_last_request_is_answered_as_such(running: Running, request_: bytes) -> None:
    with running.connect() as client:
        client.sendall(request_)
        _, headers, _ = answer(client)
        assert headers["connection"] == "close"
        assert rest(client) == b""


@pytest.mark.parametrize("said", [b"", b"Connection: close\r\n"])
def test_a_half_closed_connection_gets_its_answer(running: Running, said: bytes) -> None:
    with running.connect() as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\n" + said + b"Content-Length: 4\r\n\r\nhalf")
        client.shutdown(socket.SHUT_WR)
        status, _, body = answer(client)
        assert (status, json.loads(body)["body"]) == (200, "half")
        assert rest(client) == b""


def test_a_half_closed_client_that_waits_is_asked_and_not_taken_for_gone(running: Running) -> None:
    with running.connect() as client:
        client.sendall(GET.replace(b"/ ", b"/wait ", 1))
        client.shutdown(socket.SHUT_WR)
        client.settimeout(10)
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert not running.echo.gone.is_set()
    assert running.echo.gone.wait(5)


def test_a_half_closed_client_of_http_1_0_is_presumed_gone_after_a_while_and_still_answered(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_PRESUMED_GONE_SECONDS", 0.2)
    with running.connect() as client:
        client.sendall(b"GET /wait HTTP/1.0\r\n\r\n")
        client.shutdown(socket.SHUT_WR)
        assert running.echo.gone.wait(3)
        assert answer(client)[0] == 200


@pytest.mark.parametrize("before", [b"\r\n", b""])
def test_an_empty_line_before_a_request_is_passed_over(running: Running, before: bytes) -> None:
    with running.connect() as client:
        client.sendall(before + GET + b"\r\n")
        assert answer(client)[0] == 200
        client.sendall(b"\r\n")
        client.sendall(before + GET)
        assert answer(client)[0] == 200


def test_who_offers_to_upgrade_is_answered_as_if_he_had_not(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    with running.connect() as client:
        client.sendall(GET.replace(b"Host", b"Connection: Upgrade\r\nUpgrade: websocket\r\nHost"))
        assert answer(client)[0] == 200
    assert not caplog.records


def test_a_client_that_has_closed_is_gone(running: Running) -> None:
    with running.connect() as client:
        client.sendall(GET.replace(b"/ ", b"/wait ", 1))
    assert running.echo.gone.wait(3)


@pytest.mark.parametrize(
    "cut", [b"POST / HTTP/1.1\r\nHo", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf"]
)
def test_a_request_that_breaks_off_is_refused(running: Running, cut: bytes) -> None:
    with running.connect() as client:
        client.sendall(cut)
        client.shutdown(socket.SHUT_WR)
        status, headers, body = answer(client)
        assert (status, headers["connection"], json.loads(body)) == (400, "close", {"message": "Bad Request"})
        assert rest(client) == b""


POST = b"POST / HTTP/1.1\r\nHost: x\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (POST + CHUNKED + b"Content-Length: 5\r\n\r\n0\r\n\r\n", 400),
        (POST + b"Content-Length: 5\r\n" + CHUNKED + b"\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.0\r\nHost: x\r\n" + CHUNKED + b"\r\n0\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        (POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
        (POST + b"Content-Length: +1\r\n\r\na", 400),
        (b"GET / HTTP/1.1\nHost: x\n\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\nX: y\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\n", 400),
        (b"\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: a\rb\r\n\r\n", 400),
        (POST + CHUNKED + b"\r\n0\r\nX: y\n\n" + SMUGGLED, 400),
        (POST + CHUNKED + b"\r\n0\r\n\n" + SMUGGLED, 400),
        (POST + CHUNKED + b"\r\n1\na\r\n0\r\n\r\n", 400),
        (POST + CHUNKED + b"\r\n1;\n\r\na\r\n0\r\n\r\n", 400),
        (b"GET / HTTP/1.2\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/0.9\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", 400),
        (b"GET / http/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"PRI * HTTP/1.1\r\nHost: x\r\n\r\nSM\r\n\r\n", 400),
        (b"CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET nowhere HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET http://[::1/ HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET http:///status HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x/y\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: me@x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX : y\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 300_000 + b"\r\n\r\n", 431),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", 400),
    ],
)
def test_what_two_servers_could_read_in_two_ways_is_refused(running: Running, request_: bytes, status: int) -> None:
    with running.connect() as client:
        client.sendall(request_)
        said, headers, body = answer(client)
        assert (said, headers["connection"]) == (status, "close")
        assert set(json.loads(body)) == {"message"}
        assert rest(client) == b""


@pytest.mark.parametrize("at", range(1, 16))
def test_framing_is_read_alike_wherever_packets_end_and_behind_another_request(running: Running, at: int) -> None:
    """The second request has a bare line feed; the first is answered."""
    said = POST + b"Content-Length: 5\r\n\r\nfirst" + b"GET / HTTP/1.1\r\nHost: x\n\r\n"
    cut = len(said) * at // 16
    with running.connect() as client:
        client.sendall(said[:cut])
        time.sleep(0.02)
        client.sendall(said[cut:])
        assert re.findall(rb"HTTP/1.1 ([0-9]+)", rest(client)) == [b"200", b"400"]


@pytest.mark.parametrize(
    "request_",
    [
        POST + CHUNKED + b"\r\n5;x=y\r\n\nbody\r\n0\r\n\r\n",
        POST + CHUNKED + b"\r\n5\r\n\nbody\r\n0\r\nX: y\r\n\r\n",
        POST + b"Content-Length: 5\r\n\r\n\nbody",
        b"POST http://example.com:80/?x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n\nbody",
        POST.replace(b"Host: x", b"Host: [::1]:8000") + b"Content-Length: 5\r\n\r\n\nbody",
        POST.replace(b"Host: x", b"Host:") + b"Content-Length: 5\r\n\r\n\nbody",
        POST.replace(b"Host: x", b"Host: a_b.example") + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\n\nbody",
    ],
)
def test_what_is_read_in_one_way_is_taken_twice_over(running: Running, request_: bytes) -> None:
    with running.connect() as client:
        client.sendall(request_ * 2)
        data = b""
        while data.count(b'"body": "\\nbody"') < 2:
            more = client.recv(4096)
            assert more, data
            data += more


def test_a_refusal_is_read_by_a_client_that_goes_on_sending(running: Running) -> None:
    with running.connect() as client:
        client.sendall(b"GET / HTTP/9.9\r\n\r\n")
        for _ in range(20):
            client.sendall(b"x" * 100_000)
        assert answer(client)[0] == 400


def test_an_answer_before_the_request_is_whole_is_the_last_and_is_read(running: Running) -> None:
    with running.connect() as client:
        client.sendall(POST.replace(b"/ ", b"/early ", 1) + b"Content-Length: 5000000\r\n\r\nfirst")
        time.sleep(0.1)
        for _ in range(20):
            client.sendall(b"x" * 100_000)
        status, headers, body = answer(client)
        assert (status, headers["connection"], json.loads(body)["body"]) == (200, "close", "first")
        assert rest(client) == b""


def test_a_head_that_takes_too_long_is_told_so(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.2)
    with running.connect() as slow, running.connect() as silent:
        slow.sendall(b"GET / HTTP/1.1\r\n")
        assert answer(slow)[0] == 408
        assert rest(slow) == b""
        silent.sendall(GET)  # a connection that has said nothing is kept as long as any idle one
        assert answer(silent)[0] == 200


def test_where_there_are_too_many_the_longest_idle_give_way(monkeypatch: pytest.MonkeyPatch) -> None:
    running = Running()
    monkeypatch.setattr(connection, "MAX_CONNECTIONS", 12)
    with ExitStack() as open_:
        idle = [open_.enter_context(running.connect()) for _ in range(10)]
        working, last = open_.enter_context(running.connect()), open_.enter_context(running.connect())
        until = time.monotonic() + 10
        while len(running.server.server_state.connections) < 12 and time.monotonic() < until:
            time.sleep(0.01)  # only then is it certain who is heard of last
        working.sendall(POST + b"Content-Length: 4\r\n\r\nwo")
        for client in (idle[0], last):
            client.sendall(GET)
            assert answer(client)[0] == 200
        for _ in range(3):
            client = open_.enter_context(running.connect())
            client.sendall(GET)
            assert answer(client)[0] == 200
        assert rest(idle[1]) == b""
        for client in (idle[0], last):
            client.sendall(GET)
            assert answer(client)[0] == 200
        working.sendall(b"rk")
        assert answer(working)[0] == 200
    running.stop()


def test_a_stop_closes_idle_connections_and_refuses_what_does_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_SHUTDOWN_BODY_SECONDS", 0.3)
    server = Running()
    with server.connect() as idle, server.connect() as late, server.connect() as never, server.connect() as refused:
        idle.sendall(GET)
        answer(idle)
        late.sendall(POST + b"Content-Length: 4\r\n\r\nla")
        never.sendall(POST + b"Content-Length: 4\r\n\r\nne")
        refused.sendall(b"PRI * HTTP/2.0\r\n\r\n")
        assert answer(refused)[0] == 400
        server.server.should_exit = True
        assert rest(idle) == b""
        late.sendall(b"te")
        status, headers, body = answer(late)
        assert (status, headers["connection"], json.loads(body)["body"]) == (200, "close", "late")
        assert answer(never)[0] == 503
        server.stop()


@pytest.mark.parametrize(
    ("proxies", "said", "seen"),
    [
        (None, "203.0.113.5", "203.0.113.5"),
        (None, "127.0.0.1, 203.0.113.5", "203.0.113.5"),
        ("none", "203.0.113.5", "127.0.0.1"),
        ("198.51.100.0/24", "203.0.113.5", "127.0.0.1"),
        ("198.51.100.0/24, 127.0.0.0/8", "203.0.113.5, 198.51.100.7", "203.0.113.5"),
    ],
)
def test_forwarded_addresses_are_those_of_the_proxies_that_are_believed(
    proxies: str | None, said: str, seen: str
) -> None:
    server = Running(settings=Settings.from_environment({} if proxies is None else {"LOOKALIKE_PROXIES": proxies}))
    with server.connect() as client:
        client.sendall(f"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {said}\r\n\r\n".encode())
        assert json.loads(answer(client)[2])["client"] == seen
    server.stop()
