"""Baidu's token endpoint. The SDKs look for ``error`` in its answers, and for an HTTP status that is not 200."""

from __future__ import annotations

import hmac
import secrets

from lookalike.errors import Busy, InvalidArgument
from lookalike.model import Application
from lookalike.observability import logger
from lookalike.ports import Ports
from lookalike.wire import forms, tokens
from lookalike.wire.http import Answer, Request, ascii_json


def token(ports: Ports, request: Request) -> Answer:
    """Hand out an access token: GET or POST, the three fields in the query or in a body of whatever type.

    The vendor's statuses: 401 for keys that are wrong, 400 for a request that is.
    """
    try:
        ports.call.check()
        return _grant(ports, request)
    except Busy:
        return _refusal(500, "server_error", "Service temporarily unavailable")
    except InvalidArgument:
        return _refusal(400, "invalid_request", "The request cannot be read")
    except Exception as error:  # with status 500 the Java SDK asks again; with 200 it would go on without a token
        logger.error("failed", exc_info=error, extra={"request_id": request.id})
        return _refusal(500, "server_error", "Service temporarily unavailable")


def _grant(ports: Ports, request: Request) -> Answer:
    if request.method not in ("GET", "POST"):
        return _refusal(400, "invalid_request", "Only GET and POST are answered")
    query, form = forms.query(request), forms.body(request)
    given = {name: query.text(name) or form.text(name) for name in ("grant_type", "client_id", "client_secret")}
    if given["grant_type"] not in ("", "client_credentials"):
        return _refusal(400, "unsupported_grant_type", "The authorization grant type is not supported")
    for name, value in given.items():
        if not value:
            return _refusal(400, "invalid_request", f"Missing required parameter: {name}")
    application = ports.applications.application(given["client_id"])
    if application is None:
        return _refusal(401, "invalid_client", "unknown client id")
    known = hmac.compare_digest(application.secret_key.encode(), given["client_secret"].encode())
    if not known or not application.active:
        return _refusal(401, "invalid_client", "Client authentication failed")
    return _granted(application, ports.clock() // 1000)


def _granted(application: Application, now: int) -> Answer:
    """The SDKs read the access token, its life and the scope; the rest is there because the vendor sends it."""
    said = {
        "refresh_token": f"25.{secrets.token_hex(16)}.315360000.{now + 315360000}.000000-{application.app_id}",
        "expires_in": tokens.LIFE,
        "session_key": secrets.token_urlsafe(48),
        "access_token": tokens.mint(application, now),
        "scope": "public brain_all_scope",  # without this word the SDKs turn to signing for good
        "session_secret": secrets.token_hex(16),
    }
    return ascii_json(said, headers=(("cache-control", "no-store"),), facts={"app_id": application.app_id})


def elsewhere(_ports: Ports, _request: Request) -> Answer:
    """Answer any other path beside the token endpoint."""
    return _refusal(400, "invalid_request", "No such path or method")


def _refusal(status: int, error: str, description: str) -> Answer:
    said = {"error": error, "error_description": description}
    return ascii_json(said, status=status, outcome=error, failed=status >= 500)
