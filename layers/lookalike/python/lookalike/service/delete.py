"""Deleting pictures: soft deletion at once, purge days later."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from lookalike.domain.library import LibraryRef
from lookalike.domain.picture import Key, Picture, State, next_revision
from lookalike.errors import InvalidArgument, PictureNotFound, Unavailable
from lookalike.ports import Ports
from lookalike.service.catalog_writes import check_revision, compare_and_set, publish_to_index
from lookalike.service.image_source import Source
from lookalike.service.lookup import resolve_keys

#: Rows of one call that are written in parallel: a store's group commit serves them all by one flush.
_MAX_PARALLEL = 16


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete this picture, or the pictures of these signs, from that library.

    With ``revision``, ``which`` names a single picture, which is deleted only if it has that revision.
    """

    library_ref: LibraryRef
    which: Source | tuple[str, ...]
    revision: int | None = None


def delete(ports: Ports, command: Delete) -> int:
    """Hide the pictures; return their number. Signs of a list that name no picture are ignored.

    Raises PictureNotFound if there is none of them, SignAmbiguous or RevisionMismatch before anything has changed, a
    UrlError or a PictureError if the picture given cannot be loaded, InvalidArgument for a revision of several pictures,
    and Unavailable if some could not be hidden: the others are, and the call can be repeated.
    """
    library = ports.catalog.library(command.library_ref.tenant, command.library_ref.name)
    keys = [] if library is None else resolve_keys(ports, library, command.which)
    if command.revision is not None and len(keys) > 1:
        raise InvalidArgument("revision", "is that of one picture, and several are named")
    outcomes = _hide_all(ports, keys, command.revision)
    gone = [outcome for outcome in outcomes if isinstance(outcome, Picture)]
    if gone:  # even if others failed: no picture deleted in the catalog may stay in the index
        publish_to_index(ports, gone)
    for outcome in outcomes:
        if isinstance(outcome, Unavailable):
            raise outcome
    if not gone:
        raise PictureNotFound("none of those named")
    return len(gone)


def _hide_all(ports: Ports, keys: Sequence[Key], revision: int | None) -> list[Picture | Unavailable | None]:
    """Return of each key its hidden row, the error that prevented that, or None if the picture is gone."""
    if len(keys) <= 1:
        return [_hide(ports, key, revision) for key in keys]
    with ThreadPoolExecutor(_MAX_PARALLEL) as pool:
        return list(pool.map(lambda key: _hide(ports, key, revision), keys))


def hidden(row: Picture, now: int) -> Picture:
    """Return the row of the picture deleted at Unix milliseconds ``now``."""
    return row.but(revision=next_revision(row.revision, now), state=State.DELETED, deleted_at=now)


def hide(ports: Ports, key: Key, revision: int | None = None) -> Picture | None:
    """Hide the picture without publishing to the index; return its row, None if there is no picture to hide.

    Raises RevisionMismatch if it has another revision than ``revision``.
    """

    def step(current: Picture | None) -> Picture | None:
        if current is None or not current.deletable:
            return None
        check_revision(current, revision)
        return hidden(current, ports.clock())

    return compare_and_set(ports, key, step)


def _hide(ports: Ports, key: Key, revision: int | None) -> Picture | Unavailable | None:
    try:
        return hide(ports, key, revision)
    except Unavailable as error:
        return error
