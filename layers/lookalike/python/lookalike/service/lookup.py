"""Look-up of the pictures that a caller names: by the picture itself, by signs, or by the caller's ids."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from lookalike.domain.library import Identity, Library
from lookalike.domain.picture import Key, Picture
from lookalike.errors import InvalidArgument, SignAmbiguous
from lookalike.ports import Ports
from lookalike.service.identity import locate
from lookalike.service.image_source import Source, load
from lookalike.service.old_signs import rows_of_sign

#: Names of one call that are looked up in parallel: a thousand signs take two reads each.
_MAX_PARALLEL = 16


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
    names = list(dict.fromkeys(which))
    if len(names) <= 1:
        rows = [by_name(ports, library, name) for name in names]
    else:
        with ThreadPoolExecutor(_MAX_PARALLEL) as pool:
            rows = list(pool.map(lambda name: by_name(ports, library, name), names))
    return list(dict.fromkeys(row.key for row in rows if row is not None))


def _by_id(ports: Ports, library: Library, id_: str) -> Picture | None:
    row = ports.catalog.picture(Key(library.uid, id_))
    return row if row is not None and row.deletable else None


def _by_sign(ports: Ports, library: Library, sign: str) -> Picture | None:
    there = [row for row in rows_of_sign(ports, library, sign) if row.deletable]
    if len(there) > 1:
        raise SignAmbiguous(sign)
    return there[0] if there else None
