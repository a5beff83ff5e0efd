"""Which pictures of a library a caller means: by the picture itself, by signs, or by the ids it gave them."""

from __future__ import annotations

from collections.abc import Sequence

from lookalike.domain.library import Identity, Library
from lookalike.domain.picture import Key, Picture, digest_prefix
from lookalike.errors import InvalidArgument, SignAmbiguous
from lookalike.ports import Ports
from lookalike.service.identity import locate
from lookalike.service.image_source import Source, load

#: Enough rows of one sign to see that two of them are live: a sign has 64 bits, so more is no accident.
_SAME_SIGN = 10


def chosen(ports: Ports, library: Library, which: Source | Sequence[str]) -> list[Key]:
    """Keys of the live pictures meant, each once, in the order given; what is not there is left out.

    ``which`` is a list of signs or the picture itself; a list of ids where pictures have callers' ids, for there the
    picture itself says nothing. Raises SignAmbiguous if two live pictures share a sign, InvalidArgument for a picture
    that should have been an id.
    """
    if isinstance(which, Source):
        if library.identity is Identity.OWN:
            raise InvalidArgument("picture", "must be named by its id here")
        key, found = locate(ports, library, load(ports, which, library.tenant).picture)
        return [key] if found is not None and found.deletable else []
    by_name = _by_id if library.identity is Identity.OWN else _by_sign
    rows = (by_name(ports, library, name) for name in dict.fromkeys(which))
    return list(dict.fromkeys(row.key for row in rows if row is not None))


def _by_id(ports: Ports, library: Library, id_: str) -> Picture | None:
    row = ports.catalog.picture(Key(library.uid, id_))
    return row if row is not None and row.deletable else None


def _by_sign(ports: Ports, library: Library, sign: str) -> Picture | None:
    prefix = digest_prefix(sign)
    if prefix is None:
        return None
    rows = ports.catalog.pictures_by_prefix(library.uid, prefix, _SAME_SIGN)
    there = [row for row in rows if row.deletable]
    if len(there) > 1:
        raise SignAmbiguous(sign)
    return there[0] if there else None
