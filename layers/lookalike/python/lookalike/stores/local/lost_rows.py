"""What is said of pictures that nobody can reach, because rows beside theirs have been lost."""

from __future__ import annotations

from collections.abc import Sequence

from lookalike.observability import printable

#: Libraries that no row says anything of, and their number of pictures. It steps from library to library in an index.
OF_NO_LIBRARY = """
    WITH RECURSIVE held(library) AS (
        SELECT min(library) FROM pictures
        UNION ALL
        SELECT (SELECT min(library) FROM pictures WHERE library > held.library) FROM held WHERE library IS NOT NULL
    )
    SELECT library, (SELECT count(*) FROM pictures WHERE library = held.library) FROM held WHERE library IS NOT NULL
    AND library NOT IN (SELECT uid FROM libraries) AND library NOT IN (SELECT uid FROM removed_libraries)
"""

#: Tenants that have pictures, and their number.
OF_TENANTS = """
    SELECT tenant, sum((SELECT count(*) FROM pictures WHERE library = uid AND state = 'live')) AS live
    FROM libraries GROUP BY tenant HAVING live ORDER BY tenant
"""

#: Whose pictures these are, and how many.
_Counted = Sequence[tuple[object, int]]

#: How many are named.
_NAMED = 3


def without_library(rows: _Counted) -> list[str]:
    """A line about pictures of libraries that are not there, if there are any."""
    if not rows:
        return []
    line = (
        f"{_all_of(rows)} pictures cannot be reached, as their libraries are not in the catalog ({_names(rows)}); restore "
        "it from a backup"
    )
    return [line]


def without_application(rows: _Counted) -> list[str]:
    """A line about pictures of tenants none of whom has an application, if there are any."""
    if not rows:
        return []
    line = (
        f"there are {_all_of(rows)} pictures and no application that can reach them; make one with `lookalike keys create "
        f"--tenant TENANT`, or restore the catalog from a backup. Tenants: {_names(rows)}"
    )
    return [line]


def _all_of(rows: _Counted) -> int:
    return sum(pictures for _, pictures in rows)


def _names(rows: _Counted) -> str:
    named = ", ".join(printable(str(name)) for name, _ in rows[:_NAMED])
    return named if len(rows) <= _NAMED else f"{named} and {len(rows) - _NAMED} more"
