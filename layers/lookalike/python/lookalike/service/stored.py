"""Stored pictures as callers name them, and their originals as the query of a search."""

from __future__ import annotations

from lookalike.domain.library import Identity, Library
from lookalike.domain.picture import Key, Picture, State
from lookalike.errors import PictureNotFound, SignAmbiguous, Unavailable
from lookalike.imaging.decode import Bounds
from lookalike.ports import Ports
from lookalike.service.add import MAX_ID_BYTES
from lookalike.service.image_source import Source
from lookalike.service.old_signs import rows_of_sign
from lookalike.service.picture_errors import PictureDeleted


def stored_source(ports: Ports, library: Library, name: str, bounds: Bounds) -> Source:
    """Return the original of a live picture, named by its id or its sign, as a query.

    A search for it in its own library finds it first, or one identical to it. Raises PictureNotFound, SignAmbiguous, and
    Unavailable if the original is missing.
    """
    return Source(bounds, original_of(ports, find_picture(ports, library, name)))


def find_picture(ports: Ports, library: Library, name: str, *, deleted: bool = False) -> Picture:
    """Return the row of a live picture, named by its id or, where a picture is its own id, by its sign.

    With ``deleted``, one that waits for purge is returned if no live one is so called. Raises PictureNotFound, which is
    PictureDeleted if one waits for purge, and SignAmbiguous if two have the sign.
    """
    rows = _by_id(ports, library, name) or _by_sign(ports, library, name)
    for state in (State.LIVE, State.DELETED) if deleted else (State.LIVE,):
        found = [row for row in rows if row.state is state]
        if len(found) > 1:
            raise SignAmbiguous(name)
        if found:
            return found[0]
    raise (PictureDeleted if any(row.state is State.DELETED for row in rows) else PictureNotFound)(name)


def original_of(ports: Ports, row: Picture) -> bytes:
    """Return the picture's file as it was added. Raises Unavailable, also if it is missing."""
    data = ports.originals.get(row.object_key)
    if data is None:
        raise Unavailable(f"the original {row.object_key} is missing")
    return data


def _by_id(ports: Ports, library: Library, name: str) -> list[Picture]:
    try:
        is_id = 0 < len(name.encode()) <= MAX_ID_BYTES
    except UnicodeEncodeError:  # half a surrogate pair
        return []
    row = ports.catalog.picture(Key(library.uid, name)) if is_id else None
    return [] if row is None else [row]


def _by_sign(ports: Ports, library: Library, name: str) -> list[Picture]:
    return rows_of_sign(ports, library, name) if library.identity is Identity.PICTURE else []
