"""Plays API Gateway: makes a payload-2.0 event of an HTTP request, and a response of a handler's answer.

Limits and encodings are those of an HTTP API in front of Lambda
(https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html,
https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html), so that a client that works here works there.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import parse_qsl

from lookalike.observability import logger, printable

#: Bytes of a request's body that the gateway accepts.
MAX_BODY_BYTES = 10 * 1024 * 1024

#: Bytes of an event that Lambda accepts, and of an answer, the JSON envelope included.
MAX_EVENT_BYTES = 6_291_456

#: Bytes of all headers together that the gateway accepts.
MAX_HEADER_BYTES = 10_240

#: Header that says how the client has connected. The gateway replaces what a client claims there.
_SCHEME = "x-forwarded-proto"

_TEXT_TYPES = ("text/", "application/json", "application/xml", "application/javascript")


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """An HTTP request as received. ``path`` is not percent-decoded; headers are in their order.

    ``scheme`` is that of the client's own connection: ``https`` if a proxy that is believed says so.
    """

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    client: str
    arrived: datetime
    scheme: str = "http"

    @property
    def host(self) -> str:
        """The name in the Host header, in lower case; empty if there is none."""
        return host_name(next((value for name, value in self.headers if name == "host"), "")).strip().lower()


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """An HTTP response. ``reason`` is not sent: it tells the log why a request was refused.

    ``file``, if there is one, is sent in place of the body, and then closed.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    reason: str = ""
    file: BinaryIO | None = None


def refusal(status: int, message: str, reason: str = "") -> HttpResponse:
    """Return the gateway's own response to a request that reaches no handler."""
    body = json.dumps({"message": message}).encode()
    return HttpResponse(status, (("content-type", "application/json"),), body, reason)


def log_refusal(response: HttpResponse, client: str) -> None:
    """Log why a request from the address ``client`` reached no handler."""
    reason = printable(response.reason)
    logger.info(
        "refused", extra={"operation": "gateway", "status": response.status, "reason": reason, "address": client}
    )


TOO_LARGE = refusal(
    413,
    "Request Entity Too Large",
    f"body: more than {MAX_BODY_BYTES} bytes, or as an event, in base64, than {MAX_EVENT_BYTES}",
)
HEADERS_TOO_LARGE = refusal(431, "Request Header Fields Too Large", f"headers: more than {MAX_HEADER_BYTES} bytes")
FORBIDDEN = refusal(403, "Forbidden", "Host: not one of LOOKALIKE_HOSTS")
UNAVAILABLE = refusal(503, "Service Unavailable", "time: the service is starting or stopping")
TOO_SLOW = refusal(408, "Request Timeout", "time: the request was not sent in time, or made room for others")
FAILED = refusal(500, "Internal Server Error")


def to_event(request: HttpRequest) -> dict[str, Any]:
    """Return the payload-2.0 event of a request to the ``$default`` stage."""
    headers = _join_repeated(request.headers)
    host = headers.get("host", "")
    body, is_base64 = _event_body(request.body, headers.get("content-type", ""))
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": request.path,
        "rawQueryString": request.query,
        "headers": {**{name: value for name, value in headers.items() if name != "cookie"}, _SCHEME: request.scheme},
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "local",
            "domainName": host_name(host),
            "domainPrefix": host.partition(".")[0],
            "http": {
                "method": request.method,
                "path": request.path,
                "protocol": "HTTP/1.1",
                "sourceIp": request.client,
                "userAgent": headers.get("user-agent", ""),
            },
            "requestId": secrets.token_urlsafe(12),
            "routeKey": "$default",
            "stage": "$default",
            "time": request.arrived.strftime("%d/%b/%Y:%H:%M:%S +0000"),
            "timeEpoch": int(request.arrived.timestamp() * 1000),
        },
        "isBase64Encoded": is_base64,
    }
    if request.query:
        event["queryStringParameters"] = _join_repeated(parse_qsl(request.query, keep_blank_values=True), lower=False)
    if "cookie" in headers:
        event["cookies"] = [cookie.strip() for cookie in headers["cookie"].split(";")]
    if request.body:
        event["body"] = body
    return event


def event_size(event: Mapping[str, Any]) -> int:
    """Return the size in bytes of the event as Lambda would receive it."""
    body = event.get("body", "")
    envelope = len(json.dumps({**event, "body": ""}))
    # Base64 needs no escaping, so the long part is measured without being serialised.
    return envelope + len(body if event["isBase64Encoded"] else json.dumps(body)[1:-1])


def to_response(answer: Any) -> HttpResponse:
    """Return the response that the gateway makes of a handler's answer; its own 500 if the answer is invalid.

    An answer may name a ``file`` of this machine, which no gateway knows. If it is gone by now, that is a 503.
    """
    if not isinstance(answer, Mapping) or not isinstance(answer.get("statusCode"), int):
        return FAILED
    text = answer.get("body") or ""
    body = base64.b64decode(text) if answer.get("isBase64Encoded") else text.encode()
    if len(text) > MAX_EVENT_BYTES:
        return FAILED
    headers = tuple((str(name).lower(), str(value)) for name, value in (answer.get("headers") or {}).items())
    cookies = tuple(("set-cookie", str(cookie)) for cookie in answer.get("cookies") or ())
    try:
        file = Path(answer["file"]).open("rb") if "file" in answer else None  # noqa: SIM115 - whoever sends it closes it
    except OSError:
        return UNAVAILABLE
    return HttpResponse(answer["statusCode"], headers + cookies, body, file=file)


def host_name(host: str) -> str:
    """Return a Host header without its port."""
    return re.sub(r":[0-9]*$", "", host)


def now() -> datetime:
    """Return the current time, in UTC."""
    return datetime.now(UTC)


def _join_repeated(pairs: Iterable[tuple[str, str]], *, lower: bool = True) -> dict[str, str]:
    """Return one value a name: values of repeated names are joined by commas."""
    merged: dict[str, str] = {}
    for name, value in pairs:
        key = name.lower() if lower else name
        merged[key] = f"{merged[key]},{value}" if key in merged else value
    return merged


def _event_body(body: bytes, content_type: str) -> tuple[str, bool]:
    """Return the body as the event carries it, and whether that is base64: only text types are sent as text."""
    if content_type.lower().startswith(_TEXT_TYPES):
        return body.decode("utf-8", "replace"), False
    return base64.b64encode(body).decode("ascii"), True
