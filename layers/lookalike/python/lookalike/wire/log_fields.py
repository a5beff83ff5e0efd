"""The fields that a call adds to its log lines, as the vendors' dialects learn them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from lookalike.observability import error_fields


class CallId(NamedTuple):
    """A vendor's number for one call: the name of its field in the log, and the number, which the answer may carry."""

    field: str
    value: int | str


@dataclass(frozen=True, slots=True)
class LogFields:
    """The caller and library of a call, and the reason of its refusal; None or empty while unknown.

    Log lines carry the fields unchanged, so no secret may stand in them.
    """

    call_id: CallId | None = None
    library: str | None = None
    app_id: str | None = None
    reason: str = ""
    remedy: str = ""

    def refused(self, error: Exception) -> LogFields:
        """Return the fields with the error's reason and remedy."""
        said = error_fields(error)
        return replace(self, reason=said.get("reason", ""), remedy=said.get("remedy", ""))

    def extra(self) -> dict[str, object]:
        """The fields that are known, by their names in a log line."""
        said: dict[str, object] = {} if self.call_id is None else {self.call_id.field: self.call_id.value}
        for name in ("library", "app_id", "reason", "remedy"):
            if value := getattr(self, name):
                said[name] = value
        return said


#: Fields of a call about which nothing is known.
NO_FIELDS = LogFields()
