"""Taking pictures out of a library: hidden at once, purged days later."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from lookalike.domain.library import Shelf
from lookalike.domain.picture import Key, Picture, State, next_revision
from lookalike.errors import PictureNotFound, Unavailable
from lookalike.ports import Ports
from lookalike.service.catalog_writes import change, show
from lookalike.service.image_source import Source
from lookalike.service.lookup import chosen

#: Rows of one call that are written side by side: a store makes one flush serve them all.
_SIDE_BY_SIDE = 16


@dataclass(frozen=True, slots=True)
class Delete:
    """Take this picture, or the pictures of these signs, out of that shelf."""

    shelf: Shelf
    which: Source | tuple[str, ...]


def delete(ports: Ports, command: Delete) -> int:
    """Hide the pictures; the number hidden. Those of a list that are not there do not matter.

    Raises PictureNotFound if none of them is there, SignAmbiguous before anything has changed, a UrlError or a
    PictureError if the picture given cannot be had, and Unavailable if some could not be hidden; those that could
    are, and the call can be made again.
    """
    library = ports.catalog.library(command.shelf.tenant, command.shelf.name)
    keys = [] if library is None else chosen(ports, library, command.which)
    outcomes = _hide_all(ports, keys)
    gone = [outcome for outcome in outcomes if isinstance(outcome, Picture)]
    if gone:  # also when others failed: what is deleted in the catalog must not stay in the index
        show(ports, gone)
    for outcome in outcomes:
        if isinstance(outcome, Unavailable):
            raise outcome
    if not gone:
        raise PictureNotFound("none of those named")
    return len(gone)


def _hide_all(ports: Ports, keys: Sequence[Key]) -> list[Picture | Unavailable | None]:
    """Of each key its hidden row, what kept it from being hidden, or None if it is not there any more."""
    if len(keys) <= 1:
        return [_hide(ports, key) for key in keys]
    with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
        return list(pool.map(lambda key: _hide(ports, key), keys))


def hidden(row: Picture, now: int) -> Picture:
    """The row as it is once its picture is deleted, at Unix milliseconds ``now``."""
    return row.but(revision=next_revision(row.revision, now), state=State.DELETED, deleted_at=now)


def hide(ports: Ports, key: Key) -> Picture | None:
    """The hidden row; None if there was nothing to hide. The index is not told."""

    def step(current: Picture | None) -> Picture:
        if current is None or not current.deletable:
            raise PictureNotFound(key.id)
        return hidden(current, ports.clock())

    try:
        return change(ports, key, step)
    except PictureNotFound:
        return None


def _hide(ports: Ports, key: Key) -> Picture | Unavailable | None:
    try:
        return hide(ports, key)
    except Unavailable as error:
        return error
