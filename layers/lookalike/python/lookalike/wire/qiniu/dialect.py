"""The Qiniu dialect: call ids, authentication, and the headers of every answer."""

from __future__ import annotations

import secrets
from dataclasses import replace

from lookalike.domain.application import Application
from lookalike.ports import Ports
from lookalike.service.admission import Callers
from lookalike.wire.dialect import Dialect
from lookalike.wire.http import Answer, Request, ascii_json
from lookalike.wire.log_fields import CallId
from lookalike.wire.qiniu import signature
from lookalike.wire.qiniu.errors import VendorError


def _new_call_id() -> CallId:
    return CallId("reqid", secrets.token_urlsafe(12))


def _authenticate(ports: Ports, request: Request) -> tuple[Application, Request]:
    """By the request's signature. Raises SignatureInvalid, or InvalidArgument if its body is no text."""
    now = ports.clock() // 1000
    return signature.verify(Callers(ports), request, ports.settings.public_hosts, now), request


def _render(said: str, call_id: CallId, request: Request) -> Answer:
    return _with_headers(Answer(said.encode()), call_id, request)


def _refuse(error: Exception, call_id: CallId, request: Request) -> Answer:
    found = VendorError.of(error)
    said: dict[str, int | str] = {
        "error": found.message,
        "errno": found.code,
        "code": found.code,
        "message": found.message,
    }
    if found.status == 401:
        said["error_code"] = "BadToken"
    answer = replace(ascii_json(said, status=found.status), failed=found.ours)
    return _with_headers(answer, call_id, request)


def _with_headers(answer: Answer, call_id: CallId, request: Request) -> Answer:
    """The answer with the headers that every one has, in gzip if the caller takes it."""
    answer = replace(answer, headers=(("X-Reqid", str(call_id.value)), ("Vary", "Accept-Encoding")))
    return answer.gzipped() if request.takes_gzip else answer


QINIU = Dialect(_new_call_id, _authenticate, _render, _refuse)
