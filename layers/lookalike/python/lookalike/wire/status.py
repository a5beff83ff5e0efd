"""``GET /status``: what runs here, for whoever asks, and how it is, for whoever has keys. It is no vendor's."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, replace
from functools import lru_cache
from typing import Any

import lookalike
from lookalike.domain.application import Application
from lookalike.domain.library import Library
from lookalike.embedding import model_card
from lookalike.embedding.model_path import find_model
from lookalike.errors import AccessError, LimitReached, LookalikeError, Unavailable
from lookalike.observability import error_fields, logger
from lookalike.ports import Ports
from lookalike.service.admission import Callers, check
from lookalike.service.index_state import Progress, progress
from lookalike.service.model_progress import other_model
from lookalike.service.model_view import current
from lookalike.service.permissions import narrowed
from lookalike.service.probes import Store, failing_stores
from lookalike.service.reports import Reported, last_report
from lookalike.wire import basic_auth
from lookalike.wire.http import Answer, Request, RouteEntry, ascii_json
from lookalike.wire.log_fields import LogFields

READY, DEGRADED = "ready", "degraded"

CHALLENGE = ("www-authenticate", 'Basic realm="lookalike", charset="UTF-8"')

#: Seconds that a function waits for a store's answer.
_MAX_SECONDS = 2.0

#: Libraries whose pictures are counted one by one by a function: each is a request to the index.
_MAX_COUNTED = 50

_PRIVATE = (("cache-control", "no-store"),)


def status_body(status: str, model: str) -> dict[str, Any]:
    """Return the answer's body, which anybody may read."""
    return {"status": status, "version": lookalike.__version__, "model": model}


def caller(ports: Ports, authorization: str, address: str) -> Application:
    """Return the application with these keys. Raises AccessError, LimitReached or Unavailable."""
    application = basic_auth.verify(Callers(ports), authorization)
    check(application, address)
    return application


def details(ports: Ports, libraries: Sequence[Library], *, most_counted: int | None = None) -> dict[str, Any]:
    """Return what an owner of these libraries may know beside: their pictures, and how far the service is.

    With more than ``most_counted`` libraries, their pictures are counted together only. What a store would have to say that
    does not answer is left out.
    """
    parts: tuple[Callable[[], dict[str, Any]], ...] = (
        lambda: _pictures_said(ports, libraries, most_counted),
        lambda: _progress_said(progress(ports)),
        lambda: _reports_said(ports),
        lambda: _other_model_said(ports),
    )
    said: dict[str, Any] = {}
    for part in parts:
        try:
            said |= part()
        except Unavailable as error:
            logger.warning("a part of /status could not be had", extra={"operation": "status", **error_fields(error)})
    return said


def _pictures_said(ports: Ports, libraries: Sequence[Library], most_counted: int | None) -> dict[str, Any]:
    uids = [library.uid for library in libraries]
    searchable = ports.index.count(*uids) if uids else 0
    said: dict[str, Any] = {"searchable": searchable}
    if (capacity := ports.settings.index_capacity) is not None:
        said["index_capacity"] = capacity
        if searchable > capacity:
            said["advice"] = "more pictures than the functions search well by themselves: use OpenSearch"
    if most_counted is None or len(libraries) <= most_counted:
        said["pictures"] = {f"{one.tenant}/{one.name}": ports.index.count(one.uid) for one in libraries}
    return said


def stores_said(failing: Collection[Store]) -> dict[str, Any]:
    """Return which stores answer."""
    return {"stores": {str(store): store not in failing for store in Store}}


def _progress_said(now: Progress) -> dict[str, Any]:
    """Return how far the service is; what is not known is left out. Times are Unix milliseconds."""
    lag = now.backlog.lag_ms
    said = {
        "generations": {str(kind): name for kind, name in now.generations.items()} or None,
        "lag_seconds": None if lag is None else lag / 1000,
        "oldest_unindexed": now.oldest_unindexed,
        "dead_letters": now.backlog.dead_letters,
        "last_purge": now.last_purge,
    }
    return {name: value for name, value in said.items() if value is not None}


def _reports_said(ports: Ports) -> dict[str, Any]:
    """Return what the last check and the last canary found, as far as there were any."""
    said: dict[str, Any] = {}
    if (check_ := last_report(ports, Reported.CHECK)) is not None:
        said["last_check"] = {"at": check_["began"], "left": check_["left"], "found": check_["found"]}
    if (canary := last_report(ports, Reported.CANARY)) is not None:
        said["last_canary"] = {name: canary[name] for name in ("at", "well", "found_seconds", "gone_seconds", "recall")}
    return said


def _other_model_said(ports: Ports) -> dict[str, Any]:
    """Return the model beside the one that searches use, while there is one, and how far its fill is."""
    other = other_model(ports)
    if other is None:
        return {}
    said: dict[str, Any] = {"model": other.name, "phase": str(other.phase), "began": other.began}
    return {"other_model": said | ({} if other.filling is None else asdict(other.filling))}


def _answer(ports: Ports, request: Request) -> Answer:
    """Answer from a function: to whoever has no keys, that it runs, and its model is there. No store is asked for that."""
    authorization = request.headers.get("authorization")
    if authorization is None:
        return _plain_answer(ports, request)
    try:
        application = caller(ports, authorization, request.source_ip)
    except AccessError as error:
        return _refused({"message": "Unauthorized"}, 401, error, CHALLENGE)
    except LimitReached as error:  # of look-ups of unknown keys
        return _refused({"message": "Too Many Requests"}, 429, error)
    except Unavailable as error:  # whose keys they are cannot be told
        return _refused({"message": "Service Unavailable"}, 503, error)
    try:
        ports = current(ports)
    except Unavailable as error:  # a probe says which store it is
        logger.warning("a part of /status could not be had", extra={"operation": "status", **error_fields(error)})
    failing = failing_stores(ports, _MAX_SECONDS)
    said = status_body(DEGRADED if failing else READY, model_name(ports)) | stores_said(failing)
    try:
        owned = narrowed(ports, application).catalog.libraries(application.tenant)
        said |= details(ports, owned, most_counted=_MAX_COUNTED)
    except Unavailable as error:
        logger.warning("a part of /status could not be had", extra={"operation": "status", **error_fields(error)})
    return ascii_json(said, status=503 if failing else 200, headers=_PRIVATE)


def _refused(said: dict[str, Any], status: int, error: LookalikeError, *headers: tuple[str, str]) -> Answer:
    answer = ascii_json(said, status=status, headers=(*_PRIVATE, *headers))
    return replace(answer, outcome=type(error).__name__, failed=status >= 500, log=LogFields().refused(error))


def _plain_answer(ports: Ports, _request: Request) -> Answer:
    return ascii_json(status_body(READY, model_name(ports)), headers=_PRIVATE)


def model_name(ports: Ports) -> str:
    """Return the name of the model that is there, or that searches use if that is known, without loading it."""
    if ports.view is not None:
        return ports.view.model.name
    return _model(ports.settings.model)


@lru_cache(1)
def _model(configured: str | None) -> str:
    return model_card.name_of(find_model(configured))


#: A gateway has no route of its own for HEAD, so what answers all the rest answers it.
ROUTES = (RouteEntry("groups", "GET", "/status", _answer), RouteEntry("unknown", "HEAD", "/status", _plain_answer))
