"""The native dialect: authentication, and the headers of every answer."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from lookalike.domain.application import Application
from lookalike.errors import TokenInvalid
from lookalike.ports import Ports
from lookalike.service.admission import Callers
from lookalike.wire import basic_auth
from lookalike.wire.baidu import access_tokens
from lookalike.wire.dialect import Dialect
from lookalike.wire.http import Answer, Request
from lookalike.wire.log_fields import CallId
from lookalike.wire.native import cookies, rate_headers, session_tokens
from lookalike.wire.native.problems import problem_answer

#: Header with the number of a call, which the log has too.
CALL_HEADER = "x-request"


#: Header by which browsers give an answer to no page of another site, not even as a picture or a script
#: (https://fetch.spec.whatwg.org/#cross-origin-resource-policy-header).
SAME_ORIGIN = ("cross-origin-resource-policy", "same-origin")


@dataclass(frozen=True, slots=True)
class File:
    """A file to answer with: its bytes and its type."""

    data: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class FileAt:
    """A file of this machine to answer with: its path and its type."""

    path: Path
    content_type: str


@dataclass(frozen=True, slots=True)
class Reply:
    """The result of a call: an object, a file, or nothing. ``revision`` makes the ETag; ``cookies`` are Set-Cookies."""

    said: msgspec.Struct | File | FileAt | bytes | None = None
    status: int = 200
    revision: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    cookies: tuple[str, ...] = ()


def _new_call_id() -> CallId:
    return CallId("request", secrets.token_urlsafe(12))


def _authenticate(ports: Ports, request: Request) -> tuple[Application, Request]:
    """By the application's keys, by an access token, or by the console's cookie.

    Raises TokenInvalid, TokenExpired or SessionExpired, and CrossSite for a cookie that another site's page sends.
    """
    authorization = request.headers.get("authorization", "").strip()
    if not authorization:
        return session_token(ports, request).application, request
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return access_tokens.verify(Callers(ports), token.strip(), ports.clock() // 1000), request
    return basic_auth.verify(Callers(ports), authorization), request


def session_token(ports: Ports, request: Request) -> session_tokens.Token:
    """Return the token of the request's session. Raises TokenInvalid, SessionExpired or CrossSite."""
    cookie = cookies.session_of(request)
    if not cookie:
        raise TokenInvalid("missing", field="authorization")
    cookies.check_origin(request, ports.settings.public_hosts, with_cookie=True)
    token = session_tokens.verify(Callers(ports), cookie, ports.clock() // 1000)
    if token.use is not session_tokens.Use.SESSION:
        raise TokenInvalid("a link is no session", field="session")
    return token


def _render(reply: Reply, call_id: CallId, request: Request) -> Answer:
    headers = [
        (CALL_HEADER, str(call_id.value)),
        ("cache-control", "no-store"),
        ("vary", "accept-encoding"),
        SAME_ORIGIN,
    ]
    if reply.revision is not None:
        headers.append(("etag", f'"{reply.revision}"'))
    chosen = tuple({**dict(headers), **dict(reply.headers)}.items())
    if isinstance(reply.said, File):
        return Answer(reply.said.data, reply.status, reply.said.content_type, chosen, binary=True)
    if isinstance(reply.said, FileAt):
        return Answer(b"", reply.status, reply.said.content_type, chosen, file=reply.said.path)
    if reply.said is None:
        return Answer(b"", reply.status, headers=chosen, cookies=reply.cookies)
    if isinstance(reply.said, bytes):
        return Answer(reply.said, reply.status, headers=chosen)
    answer = Answer(msgspec.json.encode(reply.said), reply.status, headers=chosen)
    return answer.gzipped() if request.takes_gzip and len(answer.body) >= _MIN_GZIPPED else answer


#: How every browser's User-Agent begins (https://www.rfc-editor.org/rfc/rfc9110#section-10.1.5), and no program's.
_BROWSER = "Mozilla/"

#: Bytes of a body from which it is compressed.
_MIN_GZIPPED = 1024


def _refuse(error: Exception, call_id: CallId, request: Request) -> Answer:
    in_browser = request.headers.get("user-agent", "").startswith(_BROWSER)
    answer = problem_answer(error, str(call_id.value), in_browser=in_browser)
    return replace(answer, headers=(*answer.headers, SAME_ORIGIN, (CALL_HEADER, str(call_id.value))))


def _library_of(request: Request) -> str | None:
    """The library of the path."""
    return request.arguments.get("library")


NATIVE: Dialect[Request, Reply] = Dialect(
    _new_call_id, _authenticate, _render, _refuse, _library_of, headers_of=rate_headers.of
)
