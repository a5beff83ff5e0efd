"""The report of a canary: a known picture that was added, found, deleted and no longer found."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

#: The tenant of the canary's library. No application has it: theirs are of letters, digits, ``_`` and ``-``.
TENANT = "~canary"


@dataclass(frozen=True, slots=True)
class CanaryReport:
    """What became of a canary's picture.

    ``at`` is Unix milliseconds. ``found_seconds`` is the time from the add's answer until a changed copy found the picture,
    ``gone_seconds`` that from the deletion's answer until it no longer did; None: it did not come to that in time.
    ``score`` is that of the find. ``recall`` is the share of the nearest pictures that searches of ``sample`` stored vectors
    find, among those that an exact scan does; None: none were searched.
    """

    at: int
    found_seconds: float | None
    gone_seconds: float | None
    score: float
    sample: int = 0
    recall: float | None = None

    @property
    def well(self) -> bool:
        """Whether the picture was found and then gone."""
        return self.found_seconds is not None and self.gone_seconds is not None

    def to_json(self) -> str:
        """Return the report as JSON of its fields, and of whether all is well."""
        return json.dumps({**asdict(self), "well": self.well})
