"""Changing catalog rows: revision-checked, then brought to the index."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lookalike.domain.picture import Key, Picture
from lookalike.errors import RevisionConflict, Unavailable
from lookalike.observability import logger
from lookalike.ports import Ports

#: How often a write that lost a race is tried again.
ATTEMPTS = 5


def change(ports: Ports, key: Key, step: Callable[[Picture | None], Picture]) -> Picture:
    """Write what ``step`` makes of the row as it is now, and try again with the newer row if somebody was faster.

    ``step`` raises what forbids the change. Raises Unavailable when the race is lost five times over.
    """
    for _ in range(ATTEMPTS):
        current = ports.catalog.picture(key)
        changed = step(current)
        try:
            ports.catalog.put(changed, None if current is None else current.revision)
        except RevisionConflict:
            continue
        return changed
    raise Unavailable(f"catalog: {key.library}/{key.id} changes too fast")


def show(ports: Ports, pictures: Sequence[Picture]) -> None:
    """Bring the index to these rows, best effort: they are safe in the catalog, from where they can be replayed."""
    try:
        ports.index.write(pictures, wait=ports.settings.wait_for_index)
    except Unavailable as error:
        facts = {"pictures": len(pictures), "reason": str(error)}
        logger.error("index write failed; the catalog is ahead of the index", extra=facts)
    except Exception:  # whatever it is, what the caller asked for is done and cannot be called failed
        logger.exception("index write failed; the catalog is ahead of the index", extra={"pictures": len(pictures)})
