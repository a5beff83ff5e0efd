"""Baidu's token endpoint. The SDKs look for ``error`` in its answers, and for an HTTP status that is not 200."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import replace

from lookalike.domain.application import Application
from lookalike.errors import (
    AccessError,
    ApplicationDisabled,
    ApplicationNotFound,
    InvalidArgument,
    LimitReached,
    MissingArgument,
    UnknownOperation,
)
from lookalike.observability import log_failure
from lookalike.ports import Ports
from lookalike.service.admission import Callers
from lookalike.wire import forms, signing
from lookalike.wire.baidu import access_tokens
from lookalike.wire.http import Answer, Request, Route, ascii_json
from lookalike.wire.log_fields import LogFields


class _RefusedError(Exception):
    """A token is refused; ``answer`` says so in the vendor's form."""

    def __init__(
        self, status: int, error: str, description: str, cause: Exception, application: Application | None = None
    ) -> None:
        super().__init__(description)
        self.answer = _refusal(status, error, description, cause, application)


def token(ports: Ports, request: Request) -> Answer:
    """Hand out an access token: GET or POST, the three fields in the query or in a body of whatever type.

    The vendor's statuses: 401 for keys that are wrong, 400 for a request that is.
    """
    try:
        ports.call.check()
        return _granted(_application(ports, _fields(request)), ports.clock() // 1000)
    except _RefusedError as refused:
        return refused.answer
    except InvalidArgument as error:
        return _refusal(400, "invalid_request", "The request cannot be read", error)
    except LimitReached as error:
        return _busy(error)
    except Exception as error:  # with status 500 the Java SDK asks again; with 200 it would go on without a token
        log_failure(error, {"request_id": request.id})
        return replace(_busy(error), failed=True)


def _fields(request: Request) -> Mapping[str, str]:
    """The three fields, all there. Raises _RefusedError, or InvalidArgument if they cannot be read."""
    if request.method not in ("GET", "POST"):
        raise _RefusedError(400, "invalid_request", "Only GET and POST are answered", UnknownOperation(request.path))
    query, form = forms.query(request), forms.body(request)
    given = {name: query.text(name) or form.text(name) for name in ("grant_type", "client_id", "client_secret")}
    if given["grant_type"] not in ("", "client_credentials"):
        cause = InvalidArgument("grant_type", "must be client_credentials")
        raise _RefusedError(400, "unsupported_grant_type", "The authorization grant type is not supported", cause)
    for name, value in given.items():
        if not value:
            raise _RefusedError(400, "invalid_request", f"Missing required parameter: {name}", MissingArgument(name))
    return given


def _application(ports: Ports, given: Mapping[str, str]) -> Application:
    """Application of these keys. Raises _RefusedError."""
    found = Callers(ports).application(given["client_id"])
    if found is None:
        unknown = ApplicationNotFound("no application has this API key", field="client_id", remedy=signing.UNKNOWN_KEY)
        raise _RefusedError(401, "invalid_client", "unknown client id", unknown)
    wrong: AccessError | None = None
    if not any(hmac.compare_digest(one.encode(), given["client_secret"].encode()) for one in found.secrets):
        wrong = AccessError("not the application's secret key", field="client_secret")
    elif not found.active:
        wrong = ApplicationDisabled(found.app_id)
    if wrong is not None:
        raise _RefusedError(401, "invalid_client", "Client authentication failed", wrong, found)
    return found


def _granted(application: Application, now: int) -> Answer:
    """The SDKs read the access token, its life and the scope; the rest is there because the vendor sends it."""
    said = {
        "refresh_token": f"25.{secrets.token_hex(16)}.315360000.{now + 315360000}.000000-{application.app_id}",
        "expires_in": access_tokens.LIFETIME,
        "session_key": secrets.token_urlsafe(48),
        "access_token": access_tokens.mint(application, now),
        "scope": "public brain_all_scope",  # without this word the SDKs turn to signing for good
        "session_secret": secrets.token_hex(16),
    }
    answer = ascii_json(said, headers=(("cache-control", "no-store"),))
    return replace(answer, log=LogFields(app_id=application.app_id))


def not_found(_ports: Ports, request: Request) -> Answer:
    """Answer any other path beside the token endpoint."""
    return _refusal(400, "invalid_request", "No such path or method", UnknownOperation(request.path))


def _busy(error: Exception) -> Answer:
    return _refusal(500, "server_error", "Service temporarily unavailable", error)


def _refusal(
    status: int, error: str, description: str, cause: Exception, application: Application | None = None
) -> Answer:
    said = {"error": error, "error_description": description}
    log = LogFields(app_id=None if application is None else application.app_id)
    return replace(ascii_json(said, status=status), outcome=error, log=log.refused(cause))


#: Routes of the token function, which imports no call on a library, and so no picture.
ROUTES = (Route("*", "/oauth/2.0/token", token), Route("*", "/oauth/{rest+}", not_found))
