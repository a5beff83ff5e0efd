"""What becomes of rows: one outcome each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What has become of a row."""

    ADDED = "added"
    SAME = "same"  #: the library held the very picture already
    REPAIRED = "repaired"  #: it held the picture, whose original was lost, and has been stored again
    UPDATED = "updated"  #: it held the picture, and what is said of it was changed
    REFUSED = "refused"  #: for a reason that stays until the row or its file changes
    FAILED = "failed"  #: for a reason that may pass: a rerun tries it again


#: Outcomes after which the library holds the row's picture.
IN_LIBRARY = (Outcome.ADDED, Outcome.SAME, Outcome.REPAIRED, Outcome.UPDATED)


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of a row, the id that the library knows the picture by, and the reason if it was not added.

    ``by_target``: the target is at fault, not the row.
    """

    outcome: Outcome
    id: str = ""
    reason: str = ""
    by_target: bool = False


@dataclass(frozen=True, slots=True)
class Totals:
    """Rows of an import, by outcome. The counts add up to ``rows`` unless it was broken off."""

    rows: int
    counts: Mapping[Outcome, int]

    @property
    def done(self) -> int:
        """Rows with an outcome."""
        return sum(self.counts.values())

    @property
    def in_library(self) -> int:
        """Rows whose pictures the library holds."""
        return sum(self.counts.get(outcome, 0) for outcome in IN_LIBRARY)

    def lines(self) -> Iterable[str]:
        """Return ``12 added`` and so on, of what there is."""
        return [f"{self.counts[outcome]:,} {outcome}" for outcome in Outcome if self.counts.get(outcome)]
