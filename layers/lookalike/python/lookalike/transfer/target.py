"""Where an import puts pictures: what every target does, and how what the library holds already is judged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import msgspec
from msgspec import UNSET

from lookalike.domain.library import Identity, Kind, LibraryRef
from lookalike.errors import InvalidArgument, LibraryFull, LookalikeError, PictureError
from lookalike.imaging.decode import Bounds, decode
from lookalike.service.capacity import ApplicationFull
from lookalike.service.libraries import IMPLICIT_LIBRARIES, RESERVED_LIBRARIES
from lookalike.transfer.journal import Entry
from lookalike.transfer.outcomes import Outcome, Result
from lookalike.transfer.rows import Row
from lookalike.wire.native import reading
from lookalike.wire.native.requests import MetadataGiven

#: Ids up to this number are asked for one by one; with more of them, all ids of the library are listed.
_FEW_IDS = 200


class OnDuplicate(StrEnum):
    """What is done with a row whose picture the library holds already."""

    RETURN = "return"  #: nothing: it is the same
    UPDATE = "update"  #: what the row says of it replaces what was said
    REFUSE = "refuse"


class TargetError(LookalikeError):
    """The target takes no more rows now: the import is broken off, and goes on when it is run again."""


class NotShown(LookalikeError):  # noqa: N818 - a permission that is missing is no fault
    """The key may add pictures, and may not look at them."""


def full(library: str, error: LibraryFull) -> TargetError:
    """Return why an import is broken off whose library, or whose application, takes no more pictures."""
    if isinstance(error, ApplicationFull):
        return TargetError("the libraries of the application hold as many pictures as it may have")
    return TargetError(f"the library {library} holds as many pictures as it may")


@dataclass(frozen=True, slots=True)
class Wanted:
    """The library that an import goes into.

    ``kind`` and ``identity`` None: those of the library; of a new one ``same``, and ``own`` unless it is a vendor's.
    ``capacity`` is that of a new one. ``vendor`` is the vendor whose dialect is to reach a new one.
    """

    library: str
    kind: Kind | None = None
    on_duplicate: OnDuplicate = OnDuplicate.RETURN
    identity: Identity | None = None
    capacity: int | None = None
    vendor: str | None = None

    def check_made(self) -> None:
        """Raise InvalidArgument if the library, which is not there, would be one that the vendor's callers do not reach."""
        if self.vendor is not None and self.library not in RESERVED_LIBRARIES:
            reached = {"jumdata": ["jumdata"]}.get(self.vendor, [*IMPLICIT_LIBRARIES])
            absent = f"there is no library {self.library}, and none is made that callers of {self.vendor} do not reach"
            instead = "for a library whose ids are the old signs, leave --from out and say --map id=COLUMN"
            raise InvalidArgument("--library", f"{absent}; they reach {', '.join(reached)}; {instead}")

    def notes(self, identity: Identity) -> Sequence[str]:
        """Return what the operator should know of the library, whose pictures are identified so."""
        if self.vendor is None or identity is Identity.PICTURE:
            return []
        said = f"{self.library} has ids of its own: old signs become ids there"
        return [f"{said}, and no caller of {self.vendor} reaches them"]

    def check_kind(self, kind: str, identity: str | None = None) -> None:
        """Raise InvalidArgument if the library that is there is of another kind, or identity if that is said."""
        if None not in (identity, self.identity) and identity != self.identity:
            reason = f"{self.library} is there, of kind {kind} and identity {identity}"
            raise InvalidArgument("--library", f"{reason}; the archive's is of {self.kind} and {self.identity}")
        if self.kind is not None and kind != self.kind:
            raise InvalidArgument("--kind", f"the library {self.library} is there, and its kind is {kind}")


@dataclass(frozen=True, slots=True)
class Work:
    """A row that is to be done now."""

    row: Row
    entry: Entry


class Target(Protocol):
    """A library that takes rows. Safe to use from threads."""

    @property
    def name(self) -> str:
        """What tells the library from all others, for the journal."""

    @property
    def identity(self) -> Identity:
        """What identifies pictures there."""

    @property
    def rows_per_call(self) -> int:
        """Rows that a thread takes at a time."""

    def put(self, works: Sequence[Work]) -> Iterable[tuple[Entry, Result]]:
        """Do these rows, and yield what has become of each, once that is durable. Raises TargetError."""

    def try_out(self, works: Sequence[Work]) -> Iterable[tuple[Entry, Result]]:
        """Yield what would become of each row, and change nothing. Raises TargetError."""

    def estimate(self, rows: int, trial_seconds: float) -> Sequence[str]:
        """Return what adding so many pictures will take, a line each, after a trial of all rows; nothing if it is not known."""

    def holds(self, id_: str) -> bool:
        """Whether the library holds a picture of that id. Raises TargetError, and NotShown if the key may not look."""

    def ids(self) -> Iterator[str]:
        """Iterate over the ids of all pictures that it holds. Raises TargetError, and NotShown if the key may not look."""

    def close(self) -> None:
        """Close what has been opened."""


def missing(target: Target, ids: set[str]) -> set[str]:
    """Return those of the ids that the library does not hold. Raises TargetError, and NotShown if the key may not look.

    A key that may look at pictures one by one, or list them, need not be allowed both.
    """
    ways = (_asked, _not_listed) if len(ids) <= _FEW_IDS else (_not_listed, _asked)
    try:
        return ways[0](target, ids)
    except NotShown:
        return ways[1](target, ids)


def _asked(target: Target, ids: set[str]) -> set[str]:
    return {one for one in ids if not target.holds(one)}


def _not_listed(target: Target, ids: set[str]) -> set[str]:
    left = set(ids)
    for one in target.ids():
        left.discard(one)
    return left


def said_of(row: Row, identity: Identity) -> MetadataGiven:
    """Return what a row says of its picture."""
    return MetadataGiven(
        id=row.own_id() if identity is Identity.OWN else None,
        brief=row.brief,
        tags=row.tags,
        label=UNSET if row.label is None else msgspec.Raw(row.label.encode()),
        desc=UNSET if row.desc is None else msgspec.Raw(row.desc.encode()),
        old_cont_sign=row.old_sign() or None if identity is Identity.PICTURE else None,
    )


def check_said(ref: LibraryRef, said: MetadataGiven) -> None:
    """Raise InvalidArgument for an id or a text that the library takes of nobody, before the picture is looked at."""
    if said.id is not None:
        reading.checked_id(said.id, "/id")
    reading.metadata_of(ref, said)


def is_same(data: bytes, digest: str, bounds: Bounds) -> bool:
    """Whether a file shows the picture of that digest."""
    try:
        decoded = decode(data, bounds)
    except PictureError:
        return False
    return digest in (decoded.digest, decoded.full_digest)


def of_existing(
    work: Work,
    id_: str,
    on_duplicate: OnDuplicate,
    same: Callable[[], bool],
    update: Callable[[], bool],
    *,
    repaired: bool = False,
    old_sign: str = "",
) -> Result:
    """Return what becomes of a row whose id or picture the library holds as ``id_``.

    ``same`` says whether it is the very picture; ``update`` changes what is said of it, and says whether it did;
    ``repaired``: its original was lost, and has been stored again; ``old_sign``: the sign that it had at its vendor.
    """
    if not same():
        return Result(Outcome.REFUSED, id_, f"the library holds another picture as {id_}")
    again = "its original was lost, and is stored again" if repaired else ""
    if on_duplicate is OnDuplicate.UPDATE and update():
        return Result(Outcome.UPDATED, id_, again)
    if work.entry.begun:  # by an attempt that was killed before it could say so
        return Result(Outcome.ADDED, id_, again)
    if on_duplicate is OnDuplicate.REFUSE:
        return Result(Outcome.REFUSED, id_, f"the library holds it as {id_}")
    if repaired:
        return Result(Outcome.REPAIRED, id_, again)
    told = f", and tells vendors' callers {old_sign}" if old_sign else ""
    return Result(Outcome.SAME, id_, f"the library holds it as {id_}{told}")


def reason_of(error: LookalikeError) -> str:
    """Return why a row was not done, as the report has it."""
    return error.explanation.lstrip("/").removeprefix("file: ").removeprefix("picture: ")
