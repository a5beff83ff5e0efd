"""Names that stand in a place where there are none of that name: what helps whoever has put them there."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from lookalike.errors import InvalidArgument

#: What helps, by name.
_REMEDIES: Mapping[str, str] = {
    "on_duplicate": "PUT replaces what is there: add by POST …/pictures, or send If-None-Match: *",
    "access_token": "send it in the header: Authorization: Bearer",
}

_OF_SEARCHES = "say how to search in JSON, or in the field search of a form"


def unknown(field: str, kind: str, known: Collection[str] = ()) -> InvalidArgument:
    """Return the error of a member, a field of a form or a parameter that the call does not take. ``field`` may be a pointer."""
    there = f"; there are {', '.join(known)}" if known else ""
    return InvalidArgument(
        field, f"there is no {kind} of this name here{there}", remedy=_REMEDIES.get(field.rpartition("/")[2])
    )


def check_query(names: Collection[str], known: Collection[str], *, searches: bool = False) -> None:
    """Raise InvalidArgument for a parameter of the query that the call does not take, so that no typing error is ignored."""
    for name in names:
        if name not in known:
            error = unknown(name, "parameter", known)
            raise InvalidArgument(name, error.reason, remedy=_OF_SEARCHES) if searches else error
