"""Calls about the service and its caller: what answers here, and how much was used."""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import UNSET, UnsetType

import lookalike
from lookalike.domain.application import Application
from lookalike.ports import Ports
from lookalike.service import staging
from lookalike.service.capacity import application_capacity, pictures_of
from lookalike.service.index_state import index_state
from lookalike.service.usage import usage_of
from lookalike.wire import forms
from lookalike.wire.http import Answer, Request, RouteEntry
from lookalike.wire.native import BASE, limits, problems, reading
from lookalike.wire.native.answers import (
    DaySaid,
    IndexSaid,
    PictureLimitsSaid,
    ProblemKindSaid,
    ProblemsSaid,
    ServiceSaid,
    UsageSaid,
    time_said,
)
from lookalike.wire.native.dialect import Reply
from lookalike.wire.status import model_name

#: Path of the API's document.
OPENAPI = f"{BASE}/openapi.json"

#: Most days of one call.
_MAX_DAYS = 400


def service(ports: Ports, _request: Request) -> Answer:
    """Say what answers here, and what a picture may be. Whoever asks."""
    bounds = limits.bounds(ports)
    return _json(
        ServiceSaid(
            name="lookalike",
            version=lookalike.__version__,
            model=model_name(ports),
            pictures=PictureLimitsSaid(
                max_bytes=bounds.max_bytes,
                max_upload_bytes=staging.MAX_BYTES,
                min_side=bounds.min_side,
                max_side=bounds.max_side,
                formats=tuple(sorted(bounds.formats)),
            ),
            purge_after_days=ports.settings.purge_after_days,
            openapi=OPENAPI,
            problems=problems.PAGE,
        )
    )


def usage(ports: Ports, application: Application, request: Request) -> Reply:
    """Say how many calls the application has made, day by day, and how many it may make; how many pictures it has, and may have."""
    days = reading.whole(forms.query(request), "days", most=_MAX_DAYS, default=30)
    used = usage_of(application, ports.counters, ports.clock(), days, ports.settings.count_usage)
    policy = application.policy
    return Reply(
        UsageSaid(
            application=application.name,
            app_id=application.app_id,
            counted=used.counted,
            days=tuple(
                DaySaid(day=day, calls=calls, operations=dict(used.operations.get(day, {})))
                for day, calls in used.calls.items()
                if used.counted or calls
            ),
            per_second=_limit_said(policy.per_second),
            per_day=_limit_said(policy.per_day),
            in_total=_limit_said(policy.in_total),
            pictures=_limit_said(pictures_of(ports, application.tenant)),
            capacity=_limit_said(application_capacity(ports, application)),
        )
    )


def index(ports: Ports, application: Application, _request: Request) -> Reply:
    """Say how the index is doing: what it holds of yours, how far it is behind writes, and when a purge last ended."""
    state = index_state(ports, application.tenant)
    progress = state.progress
    lag, letters = progress.backlog.lag_ms, progress.backlog.dead_letters
    return Reply(
        IndexSaid(
            model=state.model,
            pictures=state.pictures,
            generations={kind.value: name for kind, name in progress.generations.items()},
            lag_seconds=UNSET if lag is None else lag / 1000,
            oldest_unindexed=_time_said(progress.oldest_unindexed),
            dead_letters=UNSET if letters is None else letters,
            last_purge=_time_said(progress.last_purge),
        )
    )


def _time_said(milliseconds: int | None) -> str | UnsetType:
    return UNSET if milliseconds is None else time_said(milliseconds)


def _limit_said(limit: int | None) -> int | UnsetType:
    return UNSET if limit is None else limit


def problem_page(_ports: Ports, _request: Request) -> Answer:
    """List every problem that answers may have. Whoever asks."""
    kinds = sorted(dict.fromkeys(problems.PROBLEMS.values()))
    return _json(
        ProblemsSaid(
            problems=tuple(ProblemKindSaid(code=kind.code, status=kind.status, title=kind.title) for kind in kinds)
        )
    )


def document(_ports: Ports, _request: Request) -> Answer:
    """Return this API's document. Whoever asks."""
    return Answer(openapi_file().read_bytes(), headers=_KEPT)


def openapi_file() -> Path:
    """Return the path of the API's document."""
    return Path(__file__).with_name("openapi.json")


#: What does not change while the service runs may be kept for a minute.
_KEPT = (("cache-control", "public, max-age=60"),)


def _json(said: msgspec.Struct) -> Answer:
    return Answer(msgspec.json.encode(said), headers=_KEPT)


#: Calls that anybody may make.
PUBLIC_ROUTES = (
    RouteEntry("groups", "GET", BASE, service),
    RouteEntry("groups", "GET", problems.PAGE, problem_page),
    RouteEntry("groups", "GET", OPENAPI, document),
)
