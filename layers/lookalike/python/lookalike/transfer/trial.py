"""What the rows of a trial would bring into a library whose pictures are their own ids: a later row may bring one again."""

from __future__ import annotations

import sqlite3
import threading
import weakref
from dataclasses import dataclass

from lookalike.domain.picture import Decoded, digest_prefix
from lookalike.errors import InvalidArgument
from lookalike.transfer.outcomes import Outcome, Result
from lookalike.transfer.target import OnDuplicate, Work
from lookalike.wire.native.requests import MetadataGiven

_SCHEMA = """
CREATE TABLE pictures (picture TEXT PRIMARY KEY, row INTEGER, said TEXT, sign TEXT) WITHOUT ROWID;
CREATE TABLE signs (sign TEXT PRIMARY KEY, picture TEXT, row INTEGER) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Brought:
    """A picture that an earlier row of the trial would have brought: which row, with which sign, and what it says."""

    row: int
    sign: str
    said: str


class Trial:
    """Pictures and signs that rows would bring. Safe to use from threads.

    They are in a file that has no name, of which little is held in memory, and that is gone at the end.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._database = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        weakref.finalize(self, self._database.close)
        self._database.executescript(_SCHEMA)

    def bring(self, work: Work, picture: str, said: MetadataGiven) -> Brought | None:
        """Have a row bring a picture, and its sign; return how it is there already, None if it is new.

        Raises InvalidArgument if another picture would have the sign by then.
        """
        sign = said.old_cont_sign or ""
        with self._lock:
            if sign:
                self._claim(sign, picture, work.row.number)
            found = self._database.execute("SELECT row, sign, said FROM pictures WHERE picture = ?", (picture,))
            before = found.fetchone()
            if before is None:
                self._database.execute(
                    "INSERT INTO pictures VALUES (?, ?, ?, ?)", (picture, work.row.number, _text_of(said), sign)
                )
        return None if before is None else Brought(*before)

    def _claim(self, sign: str, picture: str, row: int) -> None:
        self._database.execute("INSERT OR IGNORE INTO signs VALUES (?, ?, ?)", (sign, picture, row))
        prefix = digest_prefix(sign) or ""
        owners = self._database.execute(
            "SELECT picture, row FROM signs WHERE sign = ? "  # or it is the own sign of one that a row has brought
            "UNION SELECT picture, row FROM pictures WHERE picture BETWEEN ? AND ? ORDER BY row",
            (sign, prefix, f"{prefix}g" if prefix else ""),
        ).fetchall()
        for first in (row for owner, row in owners if owner != picture):
            raise InvalidArgument("old_cont_sign", f"{sign} names the picture of row {first} already")


def picture_key(decoded: Decoded) -> str:
    """Return what tells a picture from all others that a table may have."""
    return decoded.digest if decoded.hidden is None else decoded.full_digest


def of_twin(brought: Brought, said: MetadataGiven, on_duplicate: OnDuplicate) -> Result:
    """Return what would become of a row whose picture an earlier one has brought."""
    reason = f"row {brought.row} has the same picture"
    if on_duplicate is OnDuplicate.REFUSE:
        return Result(Outcome.REFUSED, "", reason)
    differs = _text_of(said) != brought.said or said.old_cont_sign not in (None, brought.sign)
    if on_duplicate is OnDuplicate.UPDATE and differs:
        return Result(Outcome.UPDATED, "", reason)
    return Result(Outcome.SAME, "", reason)


def _text_of(said: MetadataGiven) -> str:
    return repr((said.brief, said.tags, said.label, said.desc))
