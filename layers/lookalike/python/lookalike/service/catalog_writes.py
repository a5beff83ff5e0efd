"""Writes to the catalog: compare-and-set of rows by revision, and their publication to the index."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import TypeVar

import numpy as np

from lookalike.domain.picture import Key, Picture
from lookalike.errors import RevisionConflict, RevisionMismatch, Unavailable
from lookalike.observability import logger
from lookalike.ports import Ports

#: Attempts at a write that loses races.
MAX_ATTEMPTS = 5


R = TypeVar("R", Picture, Picture | None)


def compare_and_set(ports: Ports, key: Key, step: Callable[[Picture | None], R], called: str = "") -> R:
    """Write what ``step`` makes of the current row (None: no row), or of a newer one if another write was faster.

    ``called``: an alias that must be the picture's. Returns the row written; None if ``step`` returned None, which leaves the row alone. Raises Unavailable after
    ``ATTEMPTS`` lost races, and whatever ``step`` raises.
    """
    for _ in range(MAX_ATTEMPTS):
        current = ports.catalog.picture(key)
        changed = step(current)
        if changed is None:
            return changed
        if write_row(ports, changed, None if current is None else current.revision, called):
            return changed
    raise Unavailable(f"catalog: {key.library}/{key.id} changes too fast")


def write_row(ports: Ports, row: Picture, previous: int | None, called: str = "") -> bool:
    """Write the row in place of the one with revision ``previous`` (None: of no row); False if another write was faster.

    With ``called``, an alias, also False if that is not the picture's, or not any more.
    A write whose answer is lost may have happened, and one that the store's client repeats for that reason conflicts with
    itself. In both cases the row is looked up. Raises Unavailable if it is not known to be written.
    """
    try:
        if called:
            ports.catalog.put_called(row, previous, called)
        else:
            ports.catalog.put(row, previous)
    except RevisionConflict:
        return _is_written(ports, row)
    except Unavailable:
        if not _is_written(ports, row):
            raise
    return True


def _is_written(ports: Ports, row: Picture) -> bool:
    """Whether the catalog holds exactly this row, whichever model's vector it is shown with."""
    found = ports.catalog.picture(row.key)
    if found is None:
        return False
    stored, written = found.as_stored(), row.as_stored()
    return all(
        np.array_equal(getattr(stored, one.name), getattr(written, one.name))
        if one.name == "vector"
        else getattr(stored, one.name) == getattr(written, one.name)
        for one in fields(Picture)
    )


def check_revision(current: Picture, revision: int | None) -> None:
    """Raise RevisionMismatch if the row has another revision than the caller named (None: it named none)."""
    if revision is not None and current.revision != revision:
        raise RevisionMismatch(current.key, current.revision)


def publish_to_index(ports: Ports, pictures: Sequence[Picture]) -> None:
    """Write these rows to the index, best effort: they are safe in the catalog, from which the index can be filled."""
    try:
        ports.index.write(pictures, wait=ports.settings.wait_for_index)
    except Unavailable as error:
        log_fields = {"pictures": len(pictures), "reason": str(error)}
        logger.error("index write failed; the catalog is ahead of the index", extra=log_fields)
    except Exception:  # whatever it is: the caller's write is done, and must not be answered as failed
        logger.exception("index write failed; the catalog is ahead of the index", extra={"pictures": len(pictures)})
