"""``GET /status`` of one machine: answers in time even if a store hangs; shows private facts to owners only."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from lookalike.domain.library import Library
from lookalike.errors import AccessError, LimitReached, Unavailable
from lookalike.observability import logger
from lookalike.ports import Ports
from lookalike.server import api_gateway
from lookalike.server.health import Health
from lookalike.service.model_view import current
from lookalike.service.permissions import narrowed
from lookalike.wire.status import CHALLENGE, DEGRADED, READY, caller, details, status_body, stores_said

#: Seconds that authentication and counting may take.
_MAX_SECONDS = 2.0

#: Callers whose pictures are counted at once; others wait, within the same limit.
_MAX_CONCURRENT_COUNTS = 2

_JSON = ("content-type", "application/json")
_PRIVATE = ("cache-control", "no-store")

_Counts = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Details:
    """Private facts on their way to a caller: ``counts``, and whether the caller is known to be an owner by now.

    Keys may be right and the counts late all the same, so problems are shown to whoever is ``authorised``.
    """

    counts: Future[_Counts]
    authorised: threading.Event


class Status:
    """Answers whether the service works, and to authorised callers how it is in detail.

    Everybody sees status, version and model. An application's access key and secret key, sent as HTTP Basic, show the
    libraries of its tenant, and how far the service is; LOOKALIKE_STATUS_DETAILS shows that, all libraries and all problems to
    everybody.
    """

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        #: Whether the stores answer.
        self.health = Health(ports)
        self._pool = ThreadPoolExecutor(_MAX_CONCURRENT_COUNTS, thread_name_prefix="status")

    def start(self) -> None:
        """Probe the stores for the first time, which takes a few seconds if one hangs."""
        self.health.start()

    def close(self) -> None:
        """Stop answering."""
        self.health.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def answer(self, request: api_gateway.HttpRequest) -> api_gateway.HttpResponse:
        """Answer within two seconds: 503 if a store does not answer, 401 for wrong keys."""
        deadline = time.monotonic() + _MAX_SECONDS
        private = self._details(request)
        failing, problems = self.health.failing(), self._ports.problems()
        content = status_body(DEGRADED if failing or problems else READY, self._model())
        if private is not None:
            try:
                content |= private.counts.result(max(deadline - time.monotonic(), 0))
            except AccessError as error:
                return replace(_response(401, {"message": "Unauthorized"}, CHALLENGE), reason=error.explanation)
            except (LimitReached, TimeoutError, Unavailable):
                logger.warning("the details of /status could not be had in time", extra={"operation": "status"})
                private.counts.cancel()
        if private is not None and private.authorised.is_set():
            content |= stores_said(failing)
            shown = [f"{store.words} does not answer" for store in failing]
            shown += problems if self._ports.settings.status_details else []
            content |= {"problems": shown} if shown else {}
        # Read-only stores, or stores that lack some rows, still serve, so a load balancer should keep this machine.
        return _response(503 if failing else 200, content)

    def _details(self, request: api_gateway.HttpRequest) -> _Details | None:
        """Return the details for this caller; None for a caller without keys. Counts may raise AccessError or Unavailable."""
        authorised = threading.Event()
        if self._ports.settings.status_details:
            authorised.set()
            return _Details(self._pool.submit(self._counts, self._libraries), authorised)
        authorization = next((value for name, value in request.headers if name.lower() == "authorization"), None)
        if authorization is None:
            return None

        def libraries() -> Sequence[Library]:
            application = caller(self._ports, authorization, request.client)
            authorised.set()
            return narrowed(self._ports, application).catalog.libraries(application.tenant)

        return _Details(self._pool.submit(self._counts, libraries), authorised)

    def _libraries(self) -> Sequence[Library]:
        tenants = sorted({application.tenant for application in self._ports.applications.applications()})
        return [library for tenant in tenants for library in self._ports.catalog.libraries(tenant)]

    def _counts(self, libraries: Callable[[], Sequence[Library]]) -> _Counts:
        return details(current(self._ports), libraries())

    def _model(self) -> str:
        """Return the name of the model that searches use; the configured one's if that is not known."""
        try:
            return current(self._ports).embedder.model
        except Unavailable:
            return self._ports.embedder.model


def _response(status: int, content: Mapping[str, Any], *headers: tuple[str, str]) -> api_gateway.HttpResponse:
    return api_gateway.HttpResponse(status, (_JSON, _PRIVATE, *headers), json.dumps(content).encode())
