"""Calls of applications by day, as counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lookalike.domain.application import Application
from lookalike.ports import Applications, Counters
from lookalike.ports.clock import DAY_MS
from lookalike.service.admission import day_count


@dataclass(frozen=True, slots=True)
class Usage:
    """An application's counted calls by day, ``YYYY-MM-DD`` in UTC, oldest first.

    ``counted``: whether its calls are counted now, as far as these settings tell. ``operations`` are the same calls by day
    and operation; days of earlier versions have none.
    """

    name: str
    app_id: str
    calls: Mapping[str, int]
    counted: bool = True
    operations: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


def usage(applications: Applications, counters: Counters, now: int, days: int, everybody: bool) -> list[Usage]:
    """Return the calls of every application on the last ``days`` days up to that of Unix milliseconds ``now``.

    ``everybody``: the calls of all applications are counted, not only of those with a daily limit.
    """
    return [usage_of(application, counters, now, days, everybody) for application in applications.applications()]


def usage_of(application: Application, counters: Counters, now: int, days: int, everybody: bool) -> Usage:
    """Return the calls of one application; arguments as of :func:`usage`."""
    names = [day_count(application.app_id, now - ago * DAY_MS) for ago in reversed(range(days))]
    tallies = {name.rpartition("/")[2]: counters.tally(name) for name in names}
    return Usage(
        application.name,
        application.app_id,
        {day: tally.count for day, tally in tallies.items()},
        everybody or application.policy.per_day is not None,
        {day: tally.parts for day, tally in tallies.items() if tally.parts},
    )
