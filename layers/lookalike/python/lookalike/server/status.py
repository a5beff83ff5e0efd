"""``GET /status`` of one machine: answers in time even if a store hangs; shows private facts to owners only."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from lookalike.domain.application import Application
from lookalike.domain.library import Library
from lookalike.errors import AccessError, LimitReached, Unavailable
from lookalike.observability import logger
from lookalike.ports import Ports
from lookalike.server import api_gateway
from lookalike.server.commands import LAST_CANARY, LAST_CHECK, SERVICE
from lookalike.server.health import Health
from lookalike.service.admission import Callers, check
from lookalike.service.model_view import current
from lookalike.service.permissions import narrowed
from lookalike.wire import basic_auth
from lookalike.wire.status import DEGRADED, READY, status_body

#: Seconds that authentication and counting may take.
_MAX_SECONDS = 2.0

#: Callers whose pictures are counted at once; others wait, within the same limit.
_MAX_CONCURRENT_COUNTS = 2

_JSON = ("content-type", "application/json")
_PRIVATE = ("cache-control", "no-store")
_CHALLENGE = ("www-authenticate", 'Basic realm="lookalike", charset="UTF-8"')

_Counts = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Details:
    """Private facts on their way to a caller: ``counts``, and whether the caller is known to be an owner by now.

    Keys may be right and the counts late all the same, so problems are shown to whoever is ``authorised``.
    """

    counts: Future[_Counts]
    authorised: threading.Event


class Status:
    """Answers whether the service works, and to authorised callers the number of pictures and the problems.

    Everybody sees status, version and model. An application's access key and secret key, sent as HTTP Basic, show the
    libraries of its tenant; LOOKALIKE_STATUS_DETAILS shows all libraries and all problems to everybody.
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
        details = self._details(request)
        failing, problems = self.health.failing(), self._ports.problems()
        content = status_body(DEGRADED if failing or problems else READY, self._model())
        if details is not None:
            try:
                content |= details.counts.result(max(deadline - time.monotonic(), 0))
            except AccessError as error:
                return replace(_response(401, {"message": "Unauthorized"}, _CHALLENGE), reason=error.explanation)
            except (LimitReached, TimeoutError, Unavailable):
                logger.warning("the details of /status could not be had in time", extra={"operation": "status"})
                details.counts.cancel()
        problems_to_show = [f"{name} does not answer" for name in failing]
        if self._ports.settings.status_details:
            problems_to_show += problems
        if problems_to_show and details is not None and details.authorised.is_set():
            content["problems"] = problems_to_show
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
            application = self._caller(authorization, request.client)
            authorised.set()
            return narrowed(self._ports, application).catalog.libraries(application.tenant)

        return _Details(self._pool.submit(self._counts, libraries), authorised)

    def _caller(self, authorization: str, address: str) -> Application:
        """Return the application with these keys. Raises AccessError."""
        application = basic_auth.verify(Callers(self._ports), authorization)
        check(application, address)
        return application

    def _libraries(self) -> Sequence[Library]:
        tenants = sorted({application.tenant for application in self._ports.applications.applications()})
        return [library for tenant in tenants for library in self._ports.catalog.libraries(tenant)]

    def _counts(self, libraries: Callable[[], Sequence[Library]]) -> _Counts:
        index = current(self._ports).index
        pictures = {f"{library.tenant}/{library.name}": index.count(library.uid) for library in libraries()}
        return {"pictures": pictures, **self._reports()}

    def _model(self) -> str:
        """Return the name of the model that searches use; the configured one's if that is not known."""
        try:
            return current(self._ports).embedder.model
        except Unavailable:
            return self._ports.embedder.model

    def _reports(self) -> _Counts:
        """Return what the last check and the last canary found, as far as there were any."""
        said: _Counts = {}
        if (check := self._report(LAST_CHECK)) is not None:
            said["last_check"] = {"at": check["began"], "left": check["left"], "found": check["found"]}
        if (canary := self._report(LAST_CANARY)) is not None:
            said["last_canary"] = {
                name: canary[name] for name in ("at", "well", "found_seconds", "gone_seconds", "recall")
            }
        return said

    def _report(self, name: str) -> _Counts | None:
        record = self._ports.records.record(SERVICE, name)
        return None if record is None else dict(json.loads(record.body))


def _response(status: int, content: Mapping[str, Any], *headers: tuple[str, str]) -> api_gateway.HttpResponse:
    return api_gateway.HttpResponse(status, (_JSON, _PRIVATE, *headers), json.dumps(content).encode())
