"""Look-up of the pictures that a caller names: by the picture itself, by signs, or by the caller's ids."""

from __future__ import annotations

from collections.abc import Sequence

from lookalike.domain.library import Identity, Library
from lookalike.domain.picture import Key, Picture, digest_prefix
from lookalike.errors import InvalidArgument, SignAmbiguous
from lookalike.ports import Ports
from lookalike.service.identity import locate
from lookalike.service.image_source import Source, load

#: Rows read per sign, to see whether two are live. A sign has 64 bits, so more than that is no coincidence.
MAX_ROWS_PER_SIGN = 10


def resolve_keys(ports: Ports, library: Library, which: Source | Sequence[str]) -> list[Key]:
    """Return the keys of the live pictures named, each once, in the order given; names of no picture are left out.

    ``which`` is the picture itself or a list of signs; in libraries with callers' ids, only a list of ids. Raises
    SignAmbiguous if two live pictures share a sign, and InvalidArgument for a picture in place of ids.
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
    rows = ports.catalog.pictures_by_prefix(library.uid, prefix, MAX_ROWS_PER_SIGN)
    there = [row for row in rows if row.deletable]
    if len(there) > 1:
        raise SignAmbiguous(sign)
    return there[0] if there else _by_alias(ports, library, prefix)


def _by_alias(ports: Ports, library: Library, prefix: str) -> Picture | None:
    """Return the picture that had this sign at the vendor that it came from."""
    id_ = ports.catalog.alias(library.uid, prefix)
    return None if id_ is None else _by_id(ports, library, id_)


def remember_sign(ports: Ports, library: Library, picture: Picture, sign: str) -> None:
    """Have the picture found by the sign, too, that it had elsewhere; what is no sign is passed over. Raises Unavailable."""
    prefix = digest_prefix(sign)
    if library.identity is Identity.PICTURE and prefix is not None and not picture.digest.startswith(prefix):
        ports.catalog.save_aliases(library.uid, {prefix: picture.key.id})
