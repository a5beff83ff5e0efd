"""``GET /status`` of one machine: at once, whatever hangs; what is nobody else's business only to who may know it."""

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

#: Seconds that counting, and finding out who asks, may take.
_PATIENCE = 2.0

#: Callers whose pictures are counted at once; others wait, for no longer than that either.
_SIDE_BY_SIDE = 2

_JSON = ("content-type", "application/json")
_PRIVATE = ("cache-control", "no-store")
_WHO = ("www-authenticate", 'Basic realm="lookalike", charset="UTF-8"')

Details = dict[str, Any]


class Status:
    """Says whether the service works, and to who may know it how many pictures there are and what is wrong.

    Everybody is told status, version and model. An application's access key and secret key, as HTTP Basic has them, see
    the libraries of its tenant; LOOKALIKE_STATUS_DETAILS shows all libraries to everybody, and what is wrong.
    """

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._health = Health(ports)
        self._pool = ThreadPoolExecutor(_SIDE_BY_SIDE, thread_name_prefix="status")

    def start(self) -> None:
        """Get ready, which takes a moment, and a few seconds where a store hangs."""
        self._health.start()

    def close(self) -> None:
        """Answer no more."""
        self._health.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def answer(self, received: api_gateway.Received) -> api_gateway.Response:
        """The answer, within two seconds: 503 where a store does not answer, 401 for keys that are wrong."""
        deadline = time.monotonic() + _PATIENCE
        details = self._details(received)
        failing, problems = self._health.failing(), self._ports.problems()
        content = said(DEGRADED if failing or problems else READY, self._ports.embedder.model)
        if details is not None:
            try:
                content |= details.result(max(deadline - time.monotonic(), 0))
            except AccessError as error:
                return replace(_response(401, {"message": "Unauthorized"}, _WHO), reason=error.explanation)
            except (TimeoutError, Unavailable):
                logger.warning("the details of /status could not be had in time", extra={"operation": "status"})
                details.cancel()
        wrong = [f"{name} does not answer" for name in failing]
        if self._ports.settings.status_details:
            wrong += problems
        if wrong and details is not None:
            content["problems"] = wrong
        # What is read-only, or lacks some rows, still serves, so nobody should be sent elsewhere for that.
        return _response(503 if failing else 200, content)

    def _details(self, received: api_gateway.Received) -> Future[Details] | None:
        """What this caller is told beside the rest; None if nothing. It may raise an AccessError or Unavailable."""
        if self._ports.settings.status_details:
            return self._pool.submit(self._counts, self._tenants)
        given = next((value for name, value in received.headers if name.lower() == "authorization"), None)
        if given is None:
            return None
        return self._pool.submit(self._counts, lambda: [self._caller(given, received.client).tenant])

    def _caller(self, given: str, address: str) -> Application:
        """The application whose keys these are. Raises an AccessError."""
        access_key, secret_key = _basic(given)
        application = self._ports.applications.application(access_key)
        if application is None or not hmac.compare_digest(application.secret_key.encode(), secret_key.encode()):
            raise TokenInvalid("no application has these keys")
        check(application, address)
        return application

    def _tenants(self) -> Sequence[str]:
        return sorted({application.tenant for application in self._ports.applications.applications()})

    def _counts(self, tenants: Callable[[], Sequence[str]]) -> Details:
        pictures = {
            f"{library.tenant}/{library.name}": self._ports.index.count(library.uid)
            for tenant in tenants()
            for library in self._ports.catalog.libraries(tenant)
        }
        return {"pictures": pictures}


def _basic(given: str) -> tuple[str, str]:
    """User and password of an Authorization header (RFC 7617). Raises TokenInvalid."""
    scheme, _, token = given.strip().partition(" ")
    try:
        user, colon, password = base64.b64decode(token.strip(), validate=True).decode().partition(":")
    except ValueError as error:
        raise TokenInvalid("no base64") from error
    if scheme.lower() != "basic" or not colon:
        raise TokenInvalid("another scheme than Basic")
    return user, password


def _response(status: int, content: Mapping[str, Any], *headers: tuple[str, str]) -> api_gateway.Response:
    return api_gateway.Response(status, (_JSON, _PRIVATE, *headers), json.dumps(content).encode())
