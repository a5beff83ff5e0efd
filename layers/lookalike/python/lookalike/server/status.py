"""``GET /status`` of one machine: answers in time even if a store hangs; shows private facts to owners only."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from lookalike.domain.application import Application
from lookalike.errors import AccessError, TokenInvalid, Unavailable
from lookalike.observability import logger
from lookalike.ports import Ports
from lookalike.server import api_gateway
from lookalike.server.health import Health
from lookalike.service.admission import check
from lookalike.wire.status import DEGRADED, READY, said

#: Seconds that authentication and counting may take.
_MAX_SECONDS = 2.0

#: Callers whose pictures are counted at once; others wait, within the same limit.
_MAX_CONCURRENT_COUNTS = 2

_JSON = ("content-type", "application/json")
_PRIVATE = ("cache-control", "no-store")
_CHALLENGE = ("www-authenticate", 'Basic realm="lookalike", charset="UTF-8"')

_Details = dict[str, Any]


class Status:
    """Answers whether the service works, and to authorised callers the number of pictures and the problems.

    Everybody sees status, version and model. An application's access key and secret key, sent as HTTP Basic, show the
    libraries of its tenant; LOOKALIKE_STATUS_DETAILS shows all libraries and all problems to everybody.
    """

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._health = Health(ports)
        self._pool = ThreadPoolExecutor(_MAX_CONCURRENT_COUNTS, thread_name_prefix="status")

    def start(self) -> None:
        """Probe the stores for the first time, which takes a few seconds if one hangs."""
        self._health.start()

    def close(self) -> None:
        """Stop answering."""
        self._health.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def answer(self, request: api_gateway.HttpRequest) -> api_gateway.HttpResponse:
        """Answer within two seconds: 503 if a store does not answer, 401 for wrong keys."""
        deadline = time.monotonic() + _MAX_SECONDS
        details = self._details(request)
        failing, problems = self._health.failing(), self._ports.problems()
        content = said(DEGRADED if failing or problems else READY, self._ports.embedder.model)
        if details is not None:
            try:
                content |= details.result(max(deadline - time.monotonic(), 0))
            except AccessError as error:
                return replace(_response(401, {"message": "Unauthorized"}, _CHALLENGE), reason=error.explanation)
            except (TimeoutError, Unavailable):
                logger.warning("the details of /status could not be had in time", extra={"operation": "status"})
                details.cancel()
        problems_to_show = [f"{name} does not answer" for name in failing]
        if self._ports.settings.status_details:
            problems_to_show += problems
        if problems_to_show and details is not None:
            content["problems"] = problems_to_show
        # Read-only stores, or stores that lack some rows, still serve, so a load balancer should keep this machine.
        return _response(503 if failing else 200, content)

    def _details(self, request: api_gateway.HttpRequest) -> Future[_Details] | None:
        """Return the details' future, which may raise AccessError or Unavailable; None if keys are needed but not sent."""
        if self._ports.settings.status_details:
            return self._pool.submit(self._counts, self._tenants)
        authorization = next((value for name, value in request.headers if name.lower() == "authorization"), None)
        if authorization is None:
            return None
        return self._pool.submit(self._counts, lambda: [self._caller(authorization, request.client).tenant])

    def _caller(self, authorization: str, address: str) -> Application:
        """Return the application with these keys. Raises AccessError."""
        access_key, secret_key = _basic_credentials(authorization)
        application = self._ports.applications.application(access_key)
        if application is None or not hmac.compare_digest(application.secret_key.encode(), secret_key.encode()):
            raise TokenInvalid("no application has these keys")
        check(application, address)
        return application

    def _tenants(self) -> Sequence[str]:
        return sorted({application.tenant for application in self._ports.applications.applications()})

    def _counts(self, tenants: Callable[[], Sequence[str]]) -> _Details:
        pictures = {
            f"{library.tenant}/{library.name}": self._ports.index.count(library.uid)
            for tenant in tenants()
            for library in self._ports.catalog.libraries(tenant)
        }
        return {"pictures": pictures}


def _basic_credentials(authorization: str) -> tuple[str, str]:
    """Return user and password of an Authorization header (RFC 7617). Raises TokenInvalid."""
    scheme, _, token = authorization.strip().partition(" ")
    try:
        user, colon, password = base64.b64decode(token.strip(), validate=True).decode().partition(":")
    except ValueError as error:
        raise TokenInvalid("no base64") from error
    if scheme.lower() != "basic" or not colon:
        raise TokenInvalid("another scheme than Basic")
    return user, password


def _response(status: int, content: Mapping[str, Any], *headers: tuple[str, str]) -> api_gateway.HttpResponse:
    return api_gateway.HttpResponse(status, (_JSON, _PRIVATE, *headers), json.dumps(content).encode())
