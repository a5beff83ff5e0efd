"""Refusals within a call that succeeds as a whole, each of one picture: their reasons, in one line of the log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice

from lookalike.observability import count_failures, error_fields, log_failure, logger
from lookalike.ports import Ports

#: Reasons for which pictures of one call were refused, in one line of the log.
_MAX_REASONS = 20


@dataclass(slots=True)
class _Refused:
    """Pictures of one call that were refused for the same reason; ``first`` is the first one's place in the list."""

    error: Exception
    first: int
    pictures: int = 0

    def log_fields(self) -> Mapping[str, object]:
        """Fields of the log line."""
        outcome = type(self.error).__name__
        return {"outcome": outcome, **error_fields(self.error), "pictures": self.pictures, "first": self.first}


@dataclass(slots=True)
class Refusals:
    """Refusals of one call on a library. Not safe to use from several threads."""

    ports: Ports
    library: str
    request_id: str
    _by_reason: dict[str, _Refused] = field(default_factory=dict)

    def add(self, error: Exception, place: int, *, ours: bool) -> None:
        """Note that the picture at that place was refused.

        If the failure is ``ours`` it is counted, and logged if it is no store's: the call as a whole does not fail.
        """
        self._by_reason.setdefault(str(error_fields(error)), _Refused(error, place)).pictures += 1
        if ours:
            log_failure(error, self._fields())
            count_failures(self.ports.settings, "request")

    def log(self) -> None:
        """Write the line, if any picture was refused."""
        if self._by_reason:
            reasons = [one.log_fields() for one in islice(self._by_reason.values(), _MAX_REASONS)]
            logger.info("pictures refused", extra={**self._fields(), "refused": reasons})

    def _fields(self) -> Mapping[str, object]:
        return {"library": self.library, "request_id": self.request_id}
