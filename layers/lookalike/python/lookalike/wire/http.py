"""HTTP as API Gateway hands it over: payload-2.0 events in, answers out, and the routing between.

Routing is our own, of a dozen lines: Powertools' resolver keeps the current event on its class, which threads
overwrite, and handlers run in threads on one machine. For the same reason nothing of a request is kept on a
module or on the logger; what a log line says is handed to it.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import json
import re
import time
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias
from urllib.parse import unquote

from lookalike.errors import InvalidArgument, UnknownOperation
from lookalike.observability import count, count_failures, logger
from lookalike.ports import Ports
from lookalike.wire.log_fields import NO_FIELDS, LogFields

#: Compression level, from 1 (fast) to 9 (small). At this one a few million bytes of JSON take a tenth of a second.
_GZIP_LEVEL = 4

#: Names of the one Content-Encoding that requests may have, how its streams begin, and the most bytes in one.
_GZIP = {"gzip", "x-gzip"}
_GZIP_MAGIC = b"\x1f\x8b"
_MAX_DECOMPRESSED = 10 * 1024 * 1024

#: Names of the Content-Encodings that requests may not have.
_OTHER_CODINGS = {"br", "compress", "deflate", "zstd"}

Event = Mapping[str, Any]
EventAnswer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request.

    ``path`` is decoded, has no stage and begins with one slash; ``raw_path`` is as requested, stage included, as
    signatures see it. ``headers`` have lower-case names. ``body`` is as it was sent, or None if the event's base64 is
    broken; ``as_text`` says that the gateway handed it over as text. ``arguments`` are what the route's ``{name}`` parts
    matched. ``cookies`` are ``name=value``, as the gateway parts them. ``operation`` is the function's that answers.
    """

    id: str
    method: str
    path: str
    raw_path: str
    raw_query: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)
    source_ip: str
    arguments: Mapping[str, str]
    as_text: bool = False
    cookies: tuple[str, ...] = field(default=(), repr=False)
    operation: str = ""

    @classmethod
    def of(cls, event: Event, operation: str = "") -> Request:
        """Read a payload-2.0 event."""
        context = event.get("requestContext") or {}
        http = context.get("http") or {}
        raw_path = str(event.get("rawPath") or http.get("path") or "/")
        stage = str(context.get("stage") or "$default")
        path = raw_path.removeprefix(f"/{stage}") if raw_path.startswith(f"/{stage}/") else raw_path
        return cls(
            id=str(context.get("requestId") or ""),
            method=str(http.get("method") or "GET").upper(),
            path=unquote(with_one_slash(path)),
            raw_path=raw_path,
            raw_query=str(event.get("rawQueryString") or ""),
            headers={str(name).lower(): str(value) for name, value in (event.get("headers") or {}).items()},
            body=_body(event),
            source_ip=str(http.get("sourceIp") or ""),
            arguments={},
            as_text=not event.get("isBase64Encoded"),
            cookies=tuple(_cookies(event)),
            operation=operation,
        )

    @property
    def over_https(self) -> bool:
        """True if the caller sent it over TLS. The gateway says so, and no caller can: it replaces what callers claim."""
        return self.headers.get("x-forwarded-proto", "").strip().lower() == "https"

    @property
    def takes_gzip(self) -> bool:
        """True if the caller accepts an answer in gzip (RFC 9110 section 12.5.3)."""
        weights: dict[str, str] = {}
        for part in self.headers.get("accept-encoding", "").lower().split(","):
            coding, _, weight = part.partition(";")
            weights[coding.strip()] = weight.replace(" ", "")
        weight = weights.get("gzip", weights.get("*", "q=0"))
        return not re.fullmatch(r"q=0(\.0*)?", weight)

    def content(self) -> bytes:
        """The body, decompressed if it came in gzip. Raises InvalidArgument if it cannot be read."""
        if self.body is None:
            raise InvalidArgument("body", "its base64 is broken")
        codings = {coding.strip() for coding in self.headers.get("content-encoding", "").lower().split(",")}
        if codings & _GZIP and self.body.startswith(_GZIP_MAGIC):
            return _decompressed(self.body)
        # Some clients write a name there that says nothing of the body, so what is plain text is taken as it is.
        if codings & _OTHER_CODINGS and not self.body.isascii():
            raise InvalidArgument("body", "Content-Encoding may only be gzip")
        return self.body


def _cookies(event: Event) -> Iterable[str]:
    """Yield the cookies, which the gateway parts; a header that it has left in one piece is parted here."""
    if "cookies" in event:
        return (str(cookie) for cookie in event["cookies"] or ())
    return str((event.get("headers") or {}).get("cookie") or "").split(";")


def _body(event: Event) -> bytes | None:
    body = str(event.get("body") or "")
    if not event.get("isBase64Encoded"):
        return body.encode("utf-8", "surrogatepass")
    try:
        return binascii.a2b_base64(body, strict_mode=True)
    except ValueError:
        return None


def _decompressed(body: bytes) -> bytes:
    """Decompress a gzip stream. Raises InvalidArgument if it is broken or holds more than a request may."""
    stream = zlib.decompressobj(wbits=31)
    try:
        content = stream.decompress(body, _MAX_DECOMPRESSED + 1)
    except zlib.error as reason:
        raise InvalidArgument("body", "broken gzip") from reason
    if len(content) > _MAX_DECOMPRESSED:
        raise InvalidArgument("body", f"more than {_MAX_DECOMPRESSED} bytes, decompressed")
    if not stream.eof or stream.unused_data:
        raise InvalidArgument("body", "broken gzip")
    return content


def with_one_slash(path: str) -> str:
    """The path with one slash before it: a client whose address ends in a slash sends ``//rest/…``."""
    return f"/{path.lstrip('/')}" if path.startswith("//") else path


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer: text, or any bytes if ``binary``.

    ``outcome`` is for metrics and logs: ``ok``, or the name of what went wrong; ``failed`` says that it went wrong on
    our side. ``log`` stands in the request's log line. ``cookies`` are values of Set-Cookie. ``file``, which only one machine
    has, is sent in place of the body, piece by piece.
    """

    body: bytes
    status: int = 200
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    outcome: str = "ok"
    failed: bool = False
    log: LogFields = NO_FIELDS
    binary: bool = False
    cookies: tuple[str, ...] = ()
    file: Path | None = None

    def event(self) -> EventAnswer:
        """The answer in payload-2.0 form."""
        event: EventAnswer = {
            "statusCode": self.status,
            "headers": {"content-type": self.content_type, **dict(self.headers)},
            "body": base64.b64encode(self.body).decode("ascii") if self.binary else self.body.decode(),
            "isBase64Encoded": self.binary,
        }
        if self.file is not None:
            event["file"] = str(self.file)
        return {**event, "cookies": list(self.cookies)} if self.cookies else event

    def gzipped(self) -> Answer:
        """Return the answer compressed by gzip."""
        headers = (*self.headers, ("content-encoding", "gzip"))
        return replace(self, body=gzip.compress(self.body, _GZIP_LEVEL, mtime=0), headers=headers, binary=True)


def ascii_json(said: Mapping[str, object], *, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    """An answer in JSON of ASCII alone, which survives whatever charset its reader assumes."""
    return Answer(json.dumps(said, separators=(",", ":")).encode("ascii"), status=status, headers=headers)


Endpoint = Callable[[Ports, Request], Answer]


@dataclass(frozen=True, slots=True)
class Route:
    """``method`` (``*``: any) and a path in the template's own form, with ``{name}`` parts; and who answers."""

    method: str
    path: str
    endpoint: Endpoint
    pattern: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "pattern", pattern(self.path))

    def match(self, request: Request) -> Request | None:
        """The request with its path's arguments, if this route is meant."""
        if self.method not in ("*", request.method):
            return None
        found = self.pattern.fullmatch(request.path)
        return None if found is None else replace(request, arguments=found.groupdict())


def pattern(path: str) -> re.Pattern[str]:
    """Regular expression that a route's paths match in full; ``path`` is in the template's own form.

    ``{name}`` stands for one segment, ``{name+}`` for the rest of the path, slashes and all; each is a group.
    """
    parts = re.split(r"(\{\w+\+?\})", path)
    shape = "".join(
        (f"(?P<{part[1:-2]}>.*)" if part.endswith("+}") else f"(?P<{part[1:-1]}>[^/]+)")
        if part.startswith("{")
        else re.escape(part)
        for part in parts
    )
    return re.compile(shape, re.DOTALL)


#: The functions that answer HTTP requests, by the names of their folders.
Operation: TypeAlias = Literal["token", "add", "search", "update", "delete", "groups", "unknown"]


class RouteEntry(NamedTuple):
    """One row of a vendor's table of routes.

    ``operation`` is the function that answers it; ``*`` stands for every function, where none of its own routes matches.
    """

    operation: Operation | Literal["*"]
    method: str
    path: str
    endpoint: Endpoint


def routes_of(operation: Operation, table: Iterable[RouteEntry]) -> tuple[Route, ...]:
    """The function's own routes of the table, and after them those of every function."""
    rows = sorted((row for row in table if row.operation in (operation, "*")), key=lambda row: row.operation == "*")
    return tuple(Route(row.method, row.path, row.endpoint) for row in rows)


def answer(ports: Ports, operation: str, routes: Sequence[Route], event: Event) -> EventAnswer:
    """Answer one event by the first route that matches; log and count it.

    The last route of every handler should match whatever the gateway may send it; otherwise that is a 404.
    """
    began = time.perf_counter()
    request = Request.of(event, operation)
    reply = _first_match(ports, routes, request)
    milliseconds = (time.perf_counter() - began) * 1000
    ports.call.answered(reply.outcome)
    (logger.error if reply.failed else logger.info)(
        "answered",
        extra={
            **reply.log.extra(),
            "operation": operation,
            "outcome": reply.outcome,
            "status": reply.status,
            "milliseconds": round(milliseconds, 1),
            "request_id": request.id,
            "request_bytes": len(request.body or b""),
        },
    )
    count(
        ports.settings,
        {"operation": operation, "outcome": reply.outcome},
        {"Requests": 1, "Latency": milliseconds},
    )
    count_failures(ports.settings, "request", reply.failed)
    return reply.event()


def _first_match(ports: Ports, routes: Sequence[Route], request: Request) -> Answer:
    for route in routes:
        matched = route.match(request)
        if matched is not None:
            return route.endpoint(ports, matched)
    return NOT_FOUND


#: For paths that belong to no dialect.
NOT_FOUND = Answer(
    b'{"message":"Not Found"}', status=404, outcome="UnknownOperation", log=NO_FIELDS.refused(UnknownOperation("/"))
)
