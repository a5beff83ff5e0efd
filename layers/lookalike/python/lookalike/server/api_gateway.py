"""API Gateway's part: an HTTP request becomes the payload-2.0 event, a handler's answer becomes the response.

Limits and encodings are those of an HTTP API in front of Lambda
(https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html,
https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html), so that what works here works there.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from lookalike.observability import logger, printable

#: Bytes of a request's body that the gateway takes.
MAX_BODY = 10 * 1024 * 1024

#: Bytes of an event that Lambda takes, and of an answer that it gives, the JSON envelope included.
MAX_EVENT = 6_291_456

#: Bytes of all headers together that the gateway takes.
MAX_HEADERS = 10_240

_TEXT_TYPES = ("text/", "application/json", "application/xml", "application/javascript")


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it came over the wire. ``path`` is raw, percent-escapes and all; headers in their order."""

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    client: str
    arrived: datetime

    @property
    def host(self) -> str:
        """The name that the request was sent to, in lower case; empty if it says none."""
        return host_name(next((value for name, value in self.headers if name == "host"), "")).strip().lower()


@dataclass(frozen=True, slots=True)
class Response:
    """What goes back over the wire. ``reason`` does not: it says in the log why a request was refused."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    reason: str = ""


def refusal(status: int, message: str, reason: str = "") -> Response:
    """What the gateway itself answers when a request never reaches a handler."""
    body = json.dumps({"message": message}).encode()
    return Response(status, (("content-type", "application/json"),), body, reason)


def log_refusal(response: Response, client: str) -> None:
    """Log why a request from that address never reached a handler."""
    reason = printable(response.reason)
    logger.info(
        "refused", extra={"operation": "gateway", "status": response.status, "reason": reason, "address": client}
    )


TOO_LARGE = refusal(
    413, "Request Entity Too Large", f"body: more than {MAX_BODY} bytes, or as an event, in base64, than {MAX_EVENT}"
)
HEADERS_TOO_LARGE = refusal(431, "Request Header Fields Too Large", f"headers: more than {MAX_HEADERS} bytes")
FORBIDDEN = refusal(403, "Forbidden", "Host: not one of LOOKALIKE_HOSTS")
UNAVAILABLE = refusal(503, "Service Unavailable", "time: the service is starting or stopping")
TOO_SLOW = refusal(408, "Request Timeout", "time: the request was not sent in time, or made room for others")
FAILED = refusal(500, "Internal Server Error")


def event_of(received: Received) -> dict[str, Any]:
    """The payload-2.0 event of a request to the ``$default`` stage."""
    headers = _merged(received.headers)
    host = headers.get("host", "")
    body, is_base64 = _encoded(received.body, headers.get("content-type", ""))
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": received.path,
        "rawQueryString": received.query,
        "headers": {name: value for name, value in headers.items() if name != "cookie"},
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "local",
            "domainName": host_name(host),
            "domainPrefix": host.partition(".")[0],
            "http": {
                "method": received.method,
                "path": received.path,
                "protocol": "HTTP/1.1",
                "sourceIp": received.client,
                "userAgent": headers.get("user-agent", ""),
            },
            "requestId": secrets.token_urlsafe(12),
            "routeKey": "$default",
            "stage": "$default",
            "time": received.arrived.strftime("%d/%b/%Y:%H:%M:%S +0000"),
            "timeEpoch": int(received.arrived.timestamp() * 1000),
        },
        "isBase64Encoded": is_base64,
    }
    if received.query:
        event["queryStringParameters"] = _merged(parse_qsl(received.query, keep_blank_values=True), lower=False)
    if "cookie" in headers:
        event["cookies"] = [cookie.strip() for cookie in headers["cookie"].split(";")]
    if received.body:
        event["body"] = body
    return event


def event_size(event: Mapping[str, Any]) -> int:
    """Bytes of the event as Lambda would get it."""
    body = event.get("body", "")
    envelope = len(json.dumps({**event, "body": ""}))
    # Base64 needs no escaping, so the long part need not be serialised to be measured.
    return envelope + len(body if event["isBase64Encoded"] else json.dumps(body)[1:-1])


def response_of(answer: Any) -> Response:
    """The response that the gateway makes of a handler's answer; its own 500 if that is no valid one."""
    if not isinstance(answer, Mapping) or not isinstance(answer.get("statusCode"), int):
        return FAILED
    text = answer.get("body") or ""
    body = base64.b64decode(text) if answer.get("isBase64Encoded") else text.encode()
    if len(text) > MAX_EVENT:
        return FAILED
    headers = tuple((str(name).lower(), str(value)) for name, value in (answer.get("headers") or {}).items())
    cookies = tuple(("set-cookie", str(cookie)) for cookie in answer.get("cookies") or ())
    return Response(answer["statusCode"], headers + cookies, body)


def host_name(host: str) -> str:
    """The name in a Host header, without its port."""
    return re.sub(r":[0-9]*$", "", host)


def now() -> datetime:
    """The time a request arrives."""
    return datetime.now(UTC)


def _merged(pairs: Iterable[tuple[str, str]], *, lower: bool = True) -> dict[str, str]:
    """Repeated names become one, their values joined by commas."""
    merged: dict[str, str] = {}
    for name, value in pairs:
        key = name.lower() if lower else name
        merged[key] = f"{merged[key]},{value}" if key in merged else value
    return merged


def _encoded(body: bytes, content_type: str) -> tuple[str, bool]:
    """The body as the event carries it, and whether as base64: only the text types come as text."""
    if content_type.lower().startswith(_TEXT_TYPES):
        return body.decode("utf-8", "replace"), False
    return base64.b64encode(body).decode("ascii"), True
