"""HTTP as API Gateway hands it over: payload-2.0 events in, answers out, and the routing between.

Routing is our own, of a dozen lines: Powertools' resolver keeps the current event on its class, which threads
overwrite, and handlers run in threads on one machine.
"""

from __future__ import annotations

import base64
import binascii
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from lookalike.observability import count, logger
from lookalike.ports import Ports

Event = Mapping[str, Any]
EventAnswer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request.

    ``path`` is decoded and has no stage; ``raw_path`` is as requested, stage included, as signatures see it.
    ``headers`` have lower-case names. ``arguments`` are what the route's ``{name}`` parts matched.
    """

    id: str
    method: str
    path: str
    raw_path: str
    raw_query: str
    headers: Mapping[str, str]
    body: bytes
    source_ip: str
    arguments: Mapping[str, str]

    @classmethod
    def of(cls, event: Event) -> Request:
        """Read a payload-2.0 event. Raises ValueError if the event's base64 is broken."""
        context = event.get("requestContext") or {}
        http = context.get("http") or {}
        raw_path = str(event.get("rawPath") or http.get("path") or "/")
        stage = str(context.get("stage") or "$default")
        path = raw_path.removeprefix(f"/{stage}") if raw_path.startswith(f"/{stage}/") else raw_path
        return cls(
            id=str(context.get("requestId") or ""),
            method=str(http.get("method") or "GET").upper(),
            path=unquote(path),
            raw_path=raw_path,
            raw_query=str(event.get("rawQueryString") or ""),
            headers={str(name).lower(): str(value) for name, value in (event.get("headers") or {}).items()},
            body=_body(event),
            source_ip=str(http.get("sourceIp") or ""),
            arguments={},
        )

    def matched(self, arguments: Mapping[str, str]) -> Request:
        """The same request, with what its route's pattern matched."""
        return Request(
            self.id,
            self.method,
            self.path,
            self.raw_path,
            self.raw_query,
            self.headers,
            self.body,
            self.source_ip,
            arguments,
        )


def _body(event: Event) -> bytes:
    body = event.get("body") or ""
    if event.get("isBase64Encoded"):
        try:
            return base64.b64decode(body, validate=True)
        except binascii.Error as error:
            raise ValueError("the event's body is not base64") from error
    return str(body).encode("utf-8", "surrogatepass")


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back. ``outcome`` is for metrics and logs: ``ok``, or the name of what went wrong."""

    body: bytes
    status: int = 200
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    outcome: str = "ok"

    def event(self) -> EventAnswer:
        """The answer in payload-2.0 form. All our answers are text."""
        return {
            "statusCode": self.status,
            "headers": {"content-type": self.content_type, **dict(self.headers)},
            "body": self.body.decode(),
            "isBase64Encoded": False,
        }


Endpoint = Callable[[Ports, Request], Answer]


@dataclass(frozen=True, slots=True)
class Route:
    """``method`` (``*``: any) and a path in the template's own form, with ``{name}`` parts; and who answers."""

    method: str
    path: str
    endpoint: Endpoint

    def match(self, request: Request) -> Request | None:
        """The request with its path's arguments, if this route is meant."""
        found = re.fullmatch(_pattern(self.path), request.path)
        if found is None or self.method not in ("*", request.method):
            return None
        return request.matched(found.groupdict())


def _pattern(path: str) -> str:
    parts = re.split(r"(\{\w+\+?\})", path)
    return "".join(
        (f"(?P<{part[1:-2]}>.*)" if part.endswith("+}") else f"(?P<{part[1:-1]}>[^/]+)")
        if part.startswith("{")
        else re.escape(part)
        for part in parts
    )


def answer(ports: Ports, operation: str, routes: Sequence[Route], event: Event) -> EventAnswer:
    """Answer one event by the first route that matches; log and count it.

    The last route of every handler should match whatever the gateway may send it; otherwise that is a 404.
    """
    began = time.perf_counter()
    request = Request.of(event)
    reply = _first_match(ports, routes, request)
    milliseconds = (time.perf_counter() - began) * 1000
    logger.info(
        "answered",
        extra={
            "operation": operation,
            "outcome": reply.outcome,
            "status": reply.status,
            "milliseconds": round(milliseconds, 1),
            "request_id": request.id,
            "request_bytes": len(request.body),
        },
    )
    count(
        ports.settings,
        {"operation": operation, "outcome": reply.outcome},
        {"Requests": 1, "Latency": milliseconds},
    )
    return reply.event()


def _first_match(ports: Ports, routes: Sequence[Route], request: Request) -> Answer:
    for route in routes:
        matched = route.match(request)
        if matched is not None:
            return route.endpoint(ports, matched)
    return Answer(b'{"message":"Not Found"}', status=404, outcome="UnknownOperation")
