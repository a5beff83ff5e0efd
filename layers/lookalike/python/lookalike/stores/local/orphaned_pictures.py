"""Problems of pictures that no caller can reach, as their library's or all applications' rows are lost."""

from __future__ import annotations

from collections.abc import Sequence

from lookalike.observability import printable

#: Libraries of pictures that have no row of their own, and their number of pictures. The recursion skips from library to
#: library in an index, instead of reading every picture.
COUNT_BY_MISSING_LIBRARY = """
    WITH RECURSIVE held(library) AS (
        SELECT min(library) FROM pictures
        UNION ALL
        SELECT (SELECT min(library) FROM pictures WHERE library > held.library) FROM held WHERE library IS NOT NULL
    )
    SELECT library, (SELECT count(*) FROM pictures WHERE library = held.library) FROM held WHERE library IS NOT NULL
    AND library NOT IN (SELECT uid FROM libraries) AND library NOT IN (SELECT uid FROM removed_libraries)
"""

#: Tenants with live pictures, and their number of pictures.
COUNT_BY_TENANT = """
    SELECT tenant, sum((SELECT count(*) FROM pictures WHERE library = uid AND state = 'live')) AS live
    FROM libraries GROUP BY tenant HAVING live ORDER BY tenant
"""

#: Owners' names and their numbers of pictures.
_Counts = Sequence[tuple[object, int]]

#: Owners that a line names at most.
_MAX_NAMED = 3


def missing_libraries(rows: _Counts) -> list[str]:
    """Return a line about pictures of missing libraries; none if ``rows`` is empty."""
    if not rows:
        return []
    line = (
        f"{_total(rows)} pictures cannot be reached, as their libraries are not in the catalog ({_names(rows)}); restore "
        "it from a backup"
    )
    return [line]


def missing_applications(rows: _Counts) -> list[str]:
    """Return a line about pictures in a catalog without applications; none if ``rows`` is empty."""
    if not rows:
        return []
    line = (
        f"there are {_total(rows)} pictures and no application that can reach them; make one with `lookalike keys create "
        f"--tenant TENANT`, or restore the catalog from a backup. Tenants: {_names(rows)}"
    )
    return [line]


def _total(rows: _Counts) -> int:
    return sum(pictures for _, pictures in rows)


def _names(rows: _Counts) -> str:
    named = ", ".join(printable(str(name)) for name, _ in rows[:_MAX_NAMED])
    return named if len(rows) <= _MAX_NAMED else f"{named} and {len(rows) - _MAX_NAMED} more"
