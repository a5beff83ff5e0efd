"""Signs that pictures had at the vendor they come from: callers go on naming them so, and are told them in answers.

A row has its old sign among its metadata, so that an answer costs nothing more. The catalog's aliases find the picture by it;
they outlive the row, and say which sign a picture had that is added or restored after it was deleted.
"""

from __future__ import annotations

from lookalike.domain.library import Library
from lookalike.domain.picture import Key, Picture, digest_prefix, sign_of
from lookalike.errors import InvalidArgument
from lookalike.ports import Ports

#: Rows read per sign, to see whether two are live. A sign has 64 bits, so more than that is no coincidence.
MAX_ROWS_PER_SIGN = 10


def rows_of_sign(ports: Ports, library: Library, sign: str) -> list[Picture]:
    """Return the rows that have a sign, and that of the picture which had it elsewhere, unless a picture here has it."""
    prefix = digest_prefix(sign)
    if prefix is None:
        return []
    rows = [*ports.catalog.pictures_by_prefix(library.uid, prefix, MAX_ROWS_PER_SIGN)]
    id_ = None if any(row.deletable for row in rows) else ports.catalog.alias(library.uid, prefix)
    row = None if id_ is None else ports.catalog.picture(Key(library.uid, id_))
    return rows if row is None else [*rows, row]


def check_sign(ports: Ports, library: Library, key: Key, sign: str) -> None:
    """Raise InvalidArgument if another picture of the library has the sign, or had it at its vendor."""
    for row in rows_of_sign(ports, library, sign):
        if row.deletable and row.key != key:
            raise InvalidArgument("old_cont_sign", f"{sign} names the picture {sign_of(row.digest)} already")


def learn_sign(ports: Ports, library: Library, key: Key, sign: str, *, told: bool = True) -> None:
    """Have a picture found by the sign that it had elsewhere; ``told``: it is what answers shall call the picture.

    To be done before the row has it: an alias of no picture says nothing. Raises InvalidArgument as :func:`check_sign` does.
    """
    check_sign(ports, library, key, sign)
    prefix = digest_prefix(sign) or ""
    ports.catalog.save_aliases(key.library, {prefix: key.id, **({key.id: prefix} if told else {})})


def known_sign(ports: Ports, key: Key) -> str:
    """Return the sign that a picture had when it was here before; empty if it had none, or another picture has it by now."""
    prefix = ports.catalog.alias(key.library, key.id)
    return sign_of(prefix) if prefix and ports.catalog.alias(key.library, prefix) == key.id else ""
