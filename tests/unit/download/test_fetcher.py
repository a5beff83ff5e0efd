"""Downloads from real servers on this machine, and never from addresses that are not allowed."""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from ipaddress import ip_network
from pathlib import Path

import pytest

from lookalike import bootstrap
from lookalike.download.fetcher import _MAX_LOOKUPS, SafeFetcher
from lookalike.errors import UrlAnswerError, UrlAnswerTooLong, UrlError, UrlIllegal, UrlTimeout, UrlUnreachable
from lookalike.ports import Fetcher
from lookalike.settings import Settings

LOOPBACK = (ip_network("127.0.0.1/32"),)
TLS = Path(__file__).with_name("tls")
NAME = "pictures.test"  # what the test certificate is made out to
BODY = bytes(range(256)) * 40

Answer = Callable[[socket.socket], None]


class Server:
    """An HTTP server that sends a test's bytes for a path unchanged."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.answers: dict[str, bytes | Answer] = {}
        self.requests: list[bytes] = []
        self.closed = threading.Event()
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}{path}"

    def close(self) -> None:
        self.closed.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
                self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.settimeout(20)
            wire = self._tls.wrap_socket(connection, server_side=True) if self._tls else connection
            with wire:
                request = b""
                while b"\r\n\r\n" not in request:
                    request += wire.recv(4096) or b"\r\n\r\n"
                self.requests.append(request)
                answer = self.answers[request.split(b" ")[1].decode()]
                if callable(answer):
                    answer(wire)
                else:
                    wire.sendall(answer)
                with suppress(OSError):
                    wire.shutdown(socket.SHUT_WR)
                while wire.recv(65536):  # so that no reset overtakes the answer
                    pass


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


@pytest.fixture
def secure_server() -> Iterator[Server]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "certificate.pem", TLS / "key.pem")
    running = Server(context)
    yield running
    running.close()


@pytest.fixture
def no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail the test on any attempt to connect."""

    def connect(_: socket.socket, address: object) -> None:
        raise AssertionError(f"connected to {address}")

    monkeypatch.setattr(socket.socket, "connect", connect)


class Names:
    """A resolver that answers from a table and records look-ups; each look-up of a name takes its next answer."""

    def __init__(self, **answers: Sequence[Sequence[str]]) -> None:
        self._answers = {name.replace("_", "."): list(rows) for name, rows in answers.items()}
        self.asked: list[str] = []

    def __call__(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        if host not in self._answers:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        rows = self._answers[host]
        return rows.pop(0) if len(rows) > 1 else rows[0]


def fetcher(seconds: float = 10.0, **options: object) -> SafeFetcher:
    return SafeFetcher(**{"seconds": seconds, "allow": LOOPBACK, **options})  # type: ignore[arg-type]


def ok(body: bytes, *headers: str) -> bytes:
    return "\r\n".join(["HTTP/1.1 200 OK", *headers, "", ""]).encode() + body


def sized(body: bytes, *headers: str) -> bytes:
    return ok(body, f"Content-Length: {len(body)}", *headers)


def redirect(location: str, status: int = 302) -> bytes:
    return f"HTTP/1.1 {status} Elsewhere\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()


def chunked(*chunks: bytes) -> bytes:
    return b"".join(b"%x;n=v\r\n%s\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))


# What is fetched


@pytest.mark.parametrize(
    "answer",
    [
        sized(BODY),
        ok(BODY),
        ok(chunked(BODY[:1], BODY[1:5000], BODY[5000:]), "Transfer-Encoding: chunked"),
        sized(BODY, "Content-Encoding: identity", "Content-Type: text/html"),
        b"HTTP/1.1 100 Continue\r\n\r\n" + sized(BODY),
        b"HTTP/1.0 200 OK\n\n" + BODY,
    ],
    ids=["sized", "until closed", "chunked", "identity", "after 100", "bare"],
)
def test_the_body_is_what_the_server_sent(server: Server, answer: bytes) -> None:
    server.answers["/a.jpg"] = answer
    fetch: Fetcher = fetcher()
    assert fetch(server.url("/a.jpg"), len(BODY)) == BODY


def test_an_empty_body_is_a_body(server: Server) -> None:
    server.answers["/"] = sized(b"")
    assert fetcher()(server.url("/"), 10) == b""


def test_the_request_says_who_asks_and_wants_the_file_as_it_is(server: Server) -> None:
    server.answers["/%E5%9B%BE%20a?b=c"] = sized(BODY)
    fetcher()(server.url("/图 a?b=c#d"), len(BODY))
    lines = server.requests[0].decode().split("\r\n")
    assert lines[0] == "GET /%E5%9B%BE%20a?b=c HTTP/1.1"
    assert f"Host: 127.0.0.1:{server.port}" in lines
    assert "Accept-Encoding: identity" in lines
    assert "Connection: close" in lines
    assert [line for line in lines if line.startswith("User-Agent: lookalike/")]


def test_proxies_of_the_environment_are_not_used(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    server.answers["/"] = sized(BODY)
    assert fetcher()(server.url("/"), len(BODY)) == BODY


def test_names_are_looked_up_by_the_system_unless_told_otherwise(server: Server) -> None:
    server.answers["/"] = sized(BODY)
    allow = (*LOOPBACK, ip_network("::1/128"))
    assert fetcher(allow=allow)(server.url("/", host="localhost"), len(BODY)) == BODY


# What a URL may be


def test_an_empty_url_is_refused_before_all_else(no_connection: None) -> None:
    with pytest.raises(UrlIllegal):
        SafeFetcher()("", 10)


def test_how_long_a_url_may_be_is_not_the_fetchers_rule(server: Server) -> None:
    path = "/".ljust(2000, "a")
    server.answers[path] = sized(BODY)
    assert fetcher()(server.url(path), len(BODY)) == BODY


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1.",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "１２７.０.０.１",
        "10.0.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.100.100.200",
        "0.0.0.0",
        "[::]",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:a9fe:a9fe]",
        "[64:ff9b::a9fe:a9fe]",
        "[2002:7f00:1::]",
        "[fd00:ec2::254]",
        "[fe80::1]",
    ],
)
def test_an_address_that_is_not_public_is_never_connected_to(host: str, no_connection: None) -> None:
    with pytest.raises(UrlIllegal):
        SafeFetcher()(f"http://{host}:8080/latest/meta-data/", 10)


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["10.0.0.1"], ["::1"], ["fe80::1%2"], ["8.8.8.8", "10.0.0.1"], ["::ffff:10.0.0.1", "8.8.8.8"]],
    ids=str,
)
def test_a_name_with_one_address_that_is_not_public_is_never_connected_to(
    addresses: list[str], no_connection: None
) -> None:
    with pytest.raises(UrlIllegal):
        SafeFetcher(resolve=Names(pictures_test=[addresses]))(f"http://{NAME}/", 10)


def test_what_is_allowed_is_no_more_than_the_networks_given(no_connection: None) -> None:
    with pytest.raises(UrlIllegal):
        fetcher()("http://127.0.0.2:8080/", 10)


def test_a_name_is_looked_up_once_and_the_checked_address_is_connected_to(server: Server) -> None:
    """Rebinding: the second look-up, if there were one, would lead elsewhere."""
    server.answers["/"] = sized(BODY)
    names = Names(pictures_test=[["127.0.0.1"], ["10.0.0.1"]])
    assert fetcher(resolve=names)(server.url("/", host=NAME), len(BODY)) == BODY
    assert names.asked == [NAME]
    assert f"Host: {NAME}:{server.port}\r\n".encode() in server.requests[0]


def test_a_redirect_to_the_same_name_is_checked_anew(server: Server) -> None:
    server.answers["/"] = redirect("/next")
    names = Names(pictures_test=[["127.0.0.1"], ["10.0.0.1"]])
    with pytest.raises(UrlIllegal):
        fetcher(resolve=names)(server.url("/", host=NAME), len(BODY))
    assert names.asked == [NAME, NAME]
    assert len(server.requests) == 1


# Redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed(server: Server, status: int) -> None:
    server.answers |= {"/": redirect("/a/b", status), "/a/b": redirect("c?d", status), "/a/c?d": sized(BODY)}
    assert fetcher()(server.url("/"), len(BODY)) == BODY


def test_a_redirect_goes_back_byte_for_byte(server: Server) -> None:
    """Servers send names of files in the charset of their disk; here GBK."""
    server.answers["/"] = b"HTTP/1.1 302 Found\r\nLocation: /" + "图".encode("gbk") + b"%20.jpg\r\n\r\n"
    server.answers["/%CD%BC%20.jpg"] = sized(BODY)
    assert fetcher()(server.url("/"), len(BODY)) == BODY


def test_three_redirects_are_followed_and_no_fourth(server: Server) -> None:
    server.answers |= {f"/{n}": redirect(f"/{n + 1}") for n in range(4)} | {"/4": sized(BODY)}
    assert fetcher()(server.url("/1"), len(BODY)) == BODY
    with pytest.raises(UrlAnswerError):
        fetcher()(server.url("/0"), len(BODY))
    assert fetcher(redirects=4)(server.url("/0"), len(BODY)) == BODY


@pytest.mark.parametrize(
    "location",
    [
        "http://10.0.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "//127.0.0.2/",
        "http://[::ffff:169.254.169.254]/",
        "http://0/",
        "http://private.test/",
        "file:///etc/passwd",
        "ftp://127.0.0.1/",
        "http://user@127.0.0.1/",
    ],
)
def test_a_redirect_to_where_nobody_may_go_is_illegal(server: Server, location: str) -> None:
    server.answers["/"] = redirect(location)
    with pytest.raises(UrlIllegal):
        fetcher(resolve=Names(private_test=[["192.168.0.1"]]))(server.url("/"), 10)
    assert len(server.requests) == 1


def test_a_redirect_to_nowhere_is_an_answer_that_cannot_be_used(server: Server) -> None:
    server.answers["/"] = b"HTTP/1.1 302 Found\r\n\r\n"
    with pytest.raises(UrlAnswerError):
        fetcher()(server.url("/"), 10)


# Answers that cannot be used


@pytest.mark.parametrize("status", [201, 204, 206, 300, 304, 400, 401, 403, 404, 429, 500, 503])
def test_any_status_but_200_is_an_error(server: Server, status: int) -> None:
    server.answers["/"] = f"HTTP/1.1 {status} So\r\nContent-Length: 2\r\n\r\nno".encode()
    with pytest.raises(UrlAnswerError):
        fetcher()(server.url("/"), 10)


@pytest.mark.parametrize(
    "answer",
    [
        sized(b"x" * 101),
        ok(b"", "Content-Length: 99999999999999999999"),
        ok(b"x" * 101),
        ok(chunked(b"x" * 50, b"x" * 51), "Transfer-Encoding: chunked"),
        ok(chunked(*[b"x"] * 101), "Transfer-Encoding: chunked"),
    ],
    ids=["sized", "said", "until closed", "chunked", "tiny chunks"],
)
def test_a_body_over_the_limit_is_an_error(server: Server, answer: bytes) -> None:
    server.answers["/"] = answer
    with pytest.raises(UrlAnswerError):
        fetcher()(server.url("/"), 100)


def endless(head: bytes, piece: bytes) -> Answer:
    """Send ``head``, then ``piece`` repeatedly while the other side reads, 64 MiB at most."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(head)
        for _ in range(64):
            connection.sendall(piece * (2**20 // len(piece)))

    return answer


@pytest.mark.parametrize(
    "answer",
    [
        endless(ok(b""), b"x" * 1024),
        endless(ok(b"", "Transfer-Encoding: chunked"), b"1;" + b"e" * 1019 + b"\r\nx\r\n"),
        endless(ok(b"", "Transfer-Encoding: chunked") + b"2;", b"e" * 1024),
        endless(b"HTTP/1.1 200 OK\r\n", b"X-Header: 1\r\n"),
        endless(b"HTTP/1.1 200 OK\r\nX: ", b"x" * 1024),
        endless(b"HTTP/1.1 ", b"2" * 1024),
        endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["body", "chunks", "chunk extension", "headers", "header", "status line", "100s"],
)
def test_a_server_that_never_stops_is_stopped(server: Server, answer: Answer) -> None:
    server.answers["/"] = answer
    with pytest.raises(UrlAnswerError):
        fetcher()(server.url("/"), 4096)


@pytest.mark.parametrize(
    "header",
    [
        "Content-Encoding: gzip",
        "Content-Encoding: X-GZip",
        "Content-Encoding: deflate",
        "Content-Encoding: br",
        "Content-Encoding: aws-chunked, zstd",
        "Transfer-Encoding: gzip",
        "Transfer-Encoding: gzip, chunked",
    ],
)
def test_an_encoded_body_is_an_error(server: Server, header: str) -> None:
    server.answers["/"] = ok(BODY, header)
    with pytest.raises(UrlAnswerError):
        fetcher()(server.url("/"), len(BODY))


@pytest.mark.parametrize(
    "label",
    ["", " ", "identity", "aws-chunked", "base64", "UTF-8", "utf-8, binary", "binary", "none", "image/png", "8bit"],
)
def test_a_coding_that_means_nothing_changes_nothing(server: Server, label: str) -> None:
    server.answers["/"] = sized(BODY, f"Content-Encoding: {label}")
    assert fetcher()(server.url("/"), len(BODY)) == BODY


@pytest.mark.parametrize("label", ["gzip", "deflate", "br", "zstd", "compress"])
def test_a_picture_is_a_picture_whatever_it_is_said_to_be_packed_in(server: Server, label: str) -> None:
    account = Settings(table="-", bucket="-", opensearch="https://-", key="-", fetch_allow=LOOPBACK)
    fetch = bootstrap.build(account).fetch
    for name in ("420.jpg", "rgb.png", "palette.gif", "lossy.webp"):
        picture = (Path(__file__).parents[1] / "imaging/pictures" / name).read_bytes()
        server.answers["/"] = sized(picture, f"Content-Encoding: {label}")
        assert fetch(server.url("/"), len(picture)) == picture


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("label", "pack"),
    [
        ("gzip", gzip.compress),
        ("x-gzip", gzip.compress),
        ("GZIP, aws-chunked", gzip.compress),
        ("", gzip.compress),
        ("binary", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", raw_deflate),
    ],
)
def test_what_was_packed_unasked_is_unpacked(server: Server, label: str, pack: Callable[[bytes], bytes]) -> None:
    server.answers["/"] = sized(pack(BODY), f"Content-Encoding: {label}")
    assert fetcher()(server.url("/"), len(BODY)) == BODY


@pytest.mark.parametrize(("label", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_what_is_too_long_or_broken_when_unpacked_is_an_error(
    server: Server, label: str, pack: Callable[[bytes], bytes]
) -> None:
    packed = pack(bytes(64 << 20))
    for body, limit, error in (
        (packed, 1 << 20, UrlAnswerTooLong),
        (pack(BODY), len(BODY) - 1, UrlAnswerTooLong),
        (pack(BODY)[:-1], len(BODY), UrlAnswerError),
        (pack(BODY)[:-1] + b"?", len(BODY), UrlAnswerError),
        (pack(BODY)[:12], len(BODY), UrlAnswerError),
    ):
        server.answers["/"] = sized(body, f"Content-Encoding: {label}")
        tracemalloc.start()
        with pytest.raises(error):
            fetcher()(server.url("/"), limit)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
        tracemalloc.stop()


@pytest.mark.parametrize("transfer", ["identity", "", "Chunked"])
def test_a_transfer_coding_that_means_nothing_changes_nothing(server: Server, transfer: str) -> None:
    body = chunked(BODY) if transfer == "Chunked" else BODY
    server.answers["/"] = ok(body, f"Transfer-Encoding: {transfer}")
    assert fetcher()(server.url("/"), len(BODY)) == BODY


@pytest.mark.parametrize(
    "answer", [b"SSH-2.0-OpenSSH_9.6\r\n", b"\x15\x03\x01\x00\x02\x02\n", b"HTTP/1.1 abc\r\n\r\n", b"\r\n\r\n"]
)
def test_what_is_not_http_is_an_error(server: Server, answer: bytes) -> None:
    server.answers["/"] = answer
    with pytest.raises(UrlAnswerError):
        fetcher()(server.url("/"), 10)


@pytest.mark.parametrize("size", [b"-5", b"-1", b"zz", b""])
def test_a_chunk_of_no_size_is_an_error(server: Server, size: bytes) -> None:
    server.answers["/"] = ok(size + b"\r\nhello\r\n0\r\n\r\n", "Transfer-Encoding: chunked")
    with pytest.raises((UrlAnswerError, UrlUnreachable)):
        fetcher()(server.url("/"), 3)


# Servers that are not there, or break off


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 2",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        ok(b"short", "Content-Length: 6"),
        ok(b"a\r\nshort", "Transfer-Encoding: chunked"),
        ok(b"5\r\nshort\r\n", "Transfer-Encoding: chunked"),
    ],
    ids=["at once", "in the status", "in a header", "in the body", "in a chunk", "before the last chunk"],
)
def test_a_connection_that_breaks_off_is_not_a_body(server: Server, answer: bytes) -> None:
    server.answers["/"] = answer
    with pytest.raises(UrlUnreachable):
        fetcher()(server.url("/"), 100)


def test_a_body_longer_than_it_says_ends_where_it_says(server: Server) -> None:
    server.answers["/"] = ok(BODY, "Content-Length: 10")
    assert fetcher()(server.url("/"), len(BODY)) == BODY[:10]


def test_a_closed_port_is_unreachable(server: Server) -> None:
    server.close()
    with pytest.raises(UrlUnreachable) as caught:
        fetcher()(server.url("/"), 10)
    assert not isinstance(caught.value, UrlTimeout)


@pytest.mark.parametrize("addresses", [None, []])
def test_a_name_without_an_address_is_unreachable(addresses: list[str] | None) -> None:
    names = Names() if addresses is None else Names(pictures_test=[addresses])
    with pytest.raises(UrlUnreachable):
        fetcher(resolve=names)(f"http://{NAME}/", 10)


def test_if_one_address_does_not_answer_the_next_is_tried(server: Server) -> None:
    server.answers["/"] = sized(BODY)
    allow = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
    names = Names(pictures_test=[["::1", "127.0.0.1"]])  # the server does not listen on the first
    assert fetcher(allow=allow, resolve=names)(server.url("/", host=NAME), len(BODY)) == BODY


# Time


def drip(head: bytes, piece: bytes, count: int, closed: threading.Event) -> Answer:
    """Send ``head``, then ``piece`` ``count`` times, 20 ms apart."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(head)
        for _ in range(count):
            connection.sendall(piece)
            if closed.wait(0.02):
                return

    return answer


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"", b"x"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        (ok(b"", "Content-Length: 300"), b"x"),
        (ok(b"", "Transfer-Encoding: chunked"), b"1\r\nx\r\n"),
        (ok(b""), b"x"),
    ],
    ids=["status line", "100s", "headers", "body", "chunks", "until closed"],
)
def test_a_server_that_drips_cannot_outstay_the_deadline(server: Server, head: bytes, piece: bytes) -> None:
    """Each byte comes in time, and all of them (300, six seconds) too late."""
    server.answers["/"] = drip(head, piece, 300, server.closed)
    with pytest.raises(UrlTimeout):
        fetcher(seconds=0.5)(server.url("/"), 10_000)


def test_redirects_share_one_deadline(server: Server) -> None:
    def slowly(connection: socket.socket) -> None:
        server.closed.wait(0.4)
        connection.sendall(redirect("/"))

    server.answers["/"] = slowly
    with pytest.raises(UrlTimeout):
        fetcher(seconds=1.0, redirects=50)(server.url("/"), 10)
    assert len(server.requests) <= 3


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_silent_server_is_given_up(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(UrlTimeout):
        fetcher(seconds=0.3)(f"{scheme}://127.0.0.1:{listener.getsockname()[1]}/", 10)


def test_look_ups_that_hang_are_given_up_and_do_not_pile_up() -> None:
    go_on = threading.Event()
    asked: list[str] = []

    def hang(host: str) -> Sequence[str]:
        asked.append(host)
        go_on.wait(60)
        return ["10.0.0.1"]

    fetch = fetcher(seconds=0.5, resolve=hang)
    errors: list[UrlError] = []

    def call(number: int) -> None:
        try:
            fetch(f"http://host{number}.test/", 10)
        except UrlError as error:
            errors.append(error)

    callers = [threading.Thread(target=call, args=(number,)) for number in range(_MAX_LOOKUPS + 5)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert [type(error) for error in errors] == [UrlTimeout] * (_MAX_LOOKUPS + 5)
    assert len(asked) == _MAX_LOOKUPS

    go_on.set()
    while [thread for thread in threading.enumerate() if thread.name.startswith("look up ")]:
        time.sleep(0.01)
    with pytest.raises(UrlIllegal):  # it is being looked up again
        fetch("http://again.test/", 10)


# TLS


def trusting(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificate)


def test_tls_is_verified_against_the_name_in_the_url(secure_server: Server) -> None:
    secure_server.answers["/"] = sized(BODY)
    fetch = fetcher(
        tls=trusting(TLS / "certificate.pem"),
        resolve=Names(pictures_test=[["127.0.0.1"]], other_test=[["127.0.0.1"]]),
    )
    assert fetch(secure_server.url("/", host=NAME), len(BODY)) == BODY
    for host in ("other.test", "127.0.0.1"):
        with pytest.raises(UrlUnreachable):
            fetch(secure_server.url("/", host=host), len(BODY))
    assert len(secure_server.requests) == 1


def test_a_certificate_nobody_trusts_is_refused(secure_server: Server) -> None:
    secure_server.answers["/"] = sized(BODY)
    with pytest.raises(UrlUnreachable):
        fetcher(resolve=Names(pictures_test=[["127.0.0.1"]]))(secure_server.url("/", host=NAME), len(BODY))
    assert secure_server.requests == []


def test_a_redirect_may_leave_tls_and_enter_it(server: Server, secure_server: Server) -> None:
    secure_server.answers["/"] = redirect(server.url("/there"))
    server.answers |= {"/there": redirect(secure_server.url("/end", host=NAME))}
    secure_server.answers["/end"] = sized(BODY)
    fetch = fetcher(tls=trusting(TLS / "certificate.pem"), resolve=Names(pictures_test=[["127.0.0.1"]]))
    assert fetch(secure_server.url("/", host=NAME), len(BODY)) == BODY


# Threads


def test_callers_do_not_meet(server: Server) -> None:
    server.answers |= {f"/{n}": sized(str(n).encode() * 1000) for n in range(16)}
    fetch = fetcher()
    found: dict[int, bytes] = {}

    def call(number: int) -> None:
        found[number] = fetch(server.url(f"/{number}"), 2000)

    callers = [threading.Thread(target=call, args=(number,)) for number in range(16)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert found == {number: str(number).encode() * 1000 for number in range(16)}
