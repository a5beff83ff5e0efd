"""The Baidu dialect: call numbers, authentication, and answers of calls that succeed."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import TypeAlias

from lookalike.domain.application import Application
from lookalike.errors import InvalidArgument, TokenInvalid
from lookalike.ports import Ports
from lookalike.service.admission import Callers
from lookalike.service.libraries import IMPLICIT_LIBRARIES
from lookalike.wire.baidu import access_tokens, limits, signature
from lookalike.wire.baidu.errors import refuse
from lookalike.wire.dialect import Dialect
from lookalike.wire.forms import RequestForms
from lookalike.wire.http import Answer, Request, ascii_json
from lookalike.wire.log_fields import CallId

#: The libraries by the name they have in paths.
LIBRARIES = IMPLICIT_LIBRARIES

#: The members of an answer, without its log_id.
Said: TypeAlias = Mapping[str, object]


def _new_call_id() -> CallId:
    return CallId("log_id", secrets.randbelow(limits.MAX_LOG_ID))


def _library_of(request: Request) -> str | None:
    """The library of the path. Any other text in its place may be anything, even a token."""
    name = request.arguments.get("library")
    return name if name in LIBRARIES else None


def _authenticate(ports: Ports, request: Request) -> tuple[Application, RequestForms]:
    """By the request's signature, or else by its access token. Raises SignatureInvalid, TokenInvalid or TokenExpired."""
    sent = RequestForms(request)
    now = ports.clock() // 1000
    if signature.is_present(request):
        return signature.verify(Callers(ports), request, ports.settings.public_hosts, now), sent
    return access_tokens.verify(Callers(ports), _access_token(sent), now), sent


def _access_token(sent: RequestForms) -> str:
    """Access token of the query, or else of the body. Raises TokenInvalid if the body cannot be read.

    The Node SDK appends its query twice, so the token ends where the second one begins.
    """
    try:
        token = sent.query.text("access_token") or sent.body.text("access_token")
    except InvalidArgument as reason:
        raise TokenInvalid(f"cannot be read: {reason.explanation}") from reason
    return token.partition("?")[0]


def _render(said: Said, call_id: CallId, _request: Request) -> Answer:
    return ascii_json({"log_id": call_id.value, **said})


BAIDU = Dialect(_new_call_id, _authenticate, _render, refuse, _library_of)
