"""Signs that pictures had at the vendor they come from: callers go on naming them so, and are told them in answers.

A row has its old sign among its metadata, so that an answer costs nothing more. The catalog's aliases find the picture by it;
they outlive the row, and say which sign a picture had that is added or restored after it was deleted. So an alias of no picture
is nothing to be tidied up.

No two live rows have one old sign, whoever writes when: a row gets it, or comes back to life with it, only in a write that
needs the alias to be the picture's (``put_called``), and an alias is taken only from a picture that has no live row
(``claim_alias``); the catalog sees and does either in one step. An add that broke off leaves an alias of no picture, and so
does not keep the sign from others. An archive that is put back takes no sign from a live picture either. What a damaged
catalog leaves of a sign is found by the check of the stores, and mended (``wrong_sign``).

A picture's own sign is not claimed, and adding it is not refused because another one had that sign elsewhere: two signs that
agree by chance are nobody's fault. Then both are called so, and whoever names either by it is told that it is ambiguous.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from lookalike.domain.library import Library
from lookalike.domain.picture import Key, Picture, digest_prefix, next_revision, sign_of
from lookalike.errors import InvalidArgument
from lookalike.ports import Ports
from lookalike.service.catalog_writes import compare_and_set, publish_to_index

#: Rows read per sign, to see whether two are live. A sign has 64 bits, so more than that is no coincidence.
MAX_ROWS_PER_SIGN = 10

#: Characters of an alias that stands for a sign. Ids in libraries with signs are digests, and longer.
_PREFIX_DIGITS = 16


def rows_of_sign(ports: Ports, library: Library, sign: str) -> list[Picture]:
    """Return the rows that have a sign, and that of the picture which had it elsewhere: callers know either by it."""
    prefix = digest_prefix(sign)
    if prefix is None:
        return []
    rows = [*ports.catalog.pictures_by_prefix(library.uid, prefix, MAX_ROWS_PER_SIGN)]
    id_ = ports.catalog.alias(library.uid, prefix)
    known = id_ is None or any(row.key.id == id_ for row in rows)
    row = None if known else ports.catalog.picture(Key(library.uid, id_ or ""))
    return rows if row is None else [*rows, row]


def check_sign(ports: Ports, library: Library, key: Key, sign: str) -> None:
    """Raise InvalidArgument if another picture of the library has the sign, or had it at its vendor."""
    for row in rows_of_sign(ports, library, sign):
        if row.deletable and row.key != key:
            raise _names(sign, row)


def learn_sign(ports: Ports, library: Library, key: Key, sign: str, *, told: bool = True) -> None:
    """Have a picture found by the sign that it had elsewhere; ``told``: it is what answers shall call the picture.

    To be done before the row has it: an alias of no picture says nothing. Raises InvalidArgument as :func:`check_sign` does.
    """
    check_sign(ports, library, key, sign)
    _claim(ports, key, sign)
    if told:
        ports.catalog.save_aliases(key.library, {key.id: digest_prefix(sign) or ""})


def bring_aliases(ports: Ports, library: str, aliases: Mapping[str, str]) -> None:
    """Store a library's aliases as an archive has them, but for those that are of live pictures here, or say a picture's sign.

    To be done before the archive's rows are written, which without their alias are refused.
    """
    for name, id_ in aliases.items():
        before = ports.catalog.alias(library, name)
        names_a_picture = len(name) == _PREFIX_DIGITS  # else the alias says the sign of the picture whose id it is
        if before is None or (names_a_picture and before != id_):
            ports.catalog.claim_alias(library, name, id_, before)


def require_free(ports: Ports, key: Key, sign: str) -> None:
    """Raise InvalidArgument if another live picture of the library has this old sign."""
    prefix = digest_prefix(sign)
    id_ = None if prefix is None else ports.catalog.alias(key.library, prefix)
    other = None if id_ in (None, key.id) else ports.catalog.picture(Key(key.library, id_ or ""))
    if other is not None and other.live:
        raise _names(sign, other)


def require_sign(ports: Ports, picture: Picture) -> None:
    """Raise InvalidArgument if the sign that a row is about to have has been given to another picture meanwhile."""
    prefix = digest_prefix(picture.metadata.old_sign)
    if prefix is not None and ports.catalog.alias(picture.key.library, prefix) != picture.key.id:
        raise _taken(picture.metadata.old_sign)


def forget_sign(ports: Ports, key: Key, sign: str) -> None:
    """Have the sign that a picture had in its row, or is to get back, name it no more, once its row is without it.

    May be repeated, also where an earlier call broke off after the row was written.
    """
    known = ports.catalog.alias(key.library, key.id)
    for prefix in {digest_prefix(sign), known} - {None}:
        ports.catalog.remove_alias(key.library, prefix or "", key.id)
    if known is not None:
        ports.catalog.remove_alias(key.library, key.id, known)


def is_named(ports: Ports, row: Picture) -> bool:
    """Whether the old sign that a row is told by names its picture, and the picture gets it back if it is added again."""
    library, id_, prefix = row.key.library, row.key.id, digest_prefix(row.metadata.old_sign) or ""
    return ports.catalog.alias(library, prefix) == id_ and ports.catalog.alias(library, id_) == prefix


def is_ambiguous(ports: Ports, row: Picture) -> bool:
    """Whether the old sign that a row is told by is another picture's own."""
    prefix = digest_prefix(row.metadata.old_sign) or ""
    there = ports.catalog.pictures_by_prefix(row.key.library, prefix, MAX_ROWS_PER_SIGN) if prefix else ()
    return any(other.deletable and other.key != row.key for other in there)


def mend_sign(ports: Ports, row: Picture) -> bool:
    """Have the old sign that a live row is told by name its picture; or have it told by its own, if another live one is so named.

    Returns whether either is so now.
    """
    library, prefix = row.key.library, digest_prefix(row.metadata.old_sign) or ""
    named = ports.catalog.alias(library, prefix) if prefix else None
    if prefix and (named == row.key.id or ports.catalog.claim_alias(library, prefix, row.key.id, named)):
        ports.catalog.save_aliases(library, {row.key.id: prefix})
        return True
    other = None if named is None else ports.catalog.picture(Key(library, named))
    if prefix and (other is None or not other.live):  # it was given to another one just now
        return False

    def step(current: Picture | None) -> Picture | None:
        if current is None or not current.live or current.metadata.old_sign != row.metadata.old_sign:
            return None
        metadata = replace(current.metadata, old_sign="")
        return current.but(revision=next_revision(current.revision, ports.clock()), metadata=metadata)

    changed = compare_and_set(ports, row.key, step)
    if changed is not None:
        publish_to_index(ports, [changed])
    return True


def _claim(ports: Ports, key: Key, sign: str) -> None:
    """Have the sign be the picture's. Raises InvalidArgument if another one is given it at the same time.

    One that was given it and is not there yet loses it: its row cannot be written any more.
    """
    prefix = digest_prefix(sign) or ""
    before = ports.catalog.alias(key.library, prefix)
    if before != key.id and not ports.catalog.claim_alias(key.library, prefix, key.id, before):
        raise _taken(sign)


def _names(sign: str, row: Picture) -> InvalidArgument:
    return InvalidArgument("old_cont_sign", f"{sign} names the picture {sign_of(row.digest)} already")


def _taken(sign: str) -> InvalidArgument:
    return InvalidArgument("old_cont_sign", f"{sign} is being given to another picture")


def known_sign(ports: Ports, key: Key) -> str:
    """Return the sign that a picture had when it was here before; empty if it had none, or another picture has it by now."""
    prefix = ports.catalog.alias(key.library, key.id)
    return sign_of(prefix) if prefix and ports.catalog.alias(key.library, prefix) == key.id else ""
