"""Stores of applications and of their counts."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from lookalike.domain.application import Application


class ApplicationLookup(Protocol):
    """Look-up of applications by the key or id that a caller presents."""

    @abstractmethod
    def application(self, access_key: str) -> Application | None:
        """Return the application with that access key; None if there is none."""

    @abstractmethod
    def application_by_id(self, app_id: str) -> Application | None:
        """Return the application with that app id; None if there is none."""


class Applications(ApplicationLookup, Protocol):
    """The applications that may call."""

    @abstractmethod
    def applications(self) -> Sequence[Application]:
        """Return all applications, by creation time."""

    @abstractmethod
    def save_application(self, application: Application) -> None:
        """Create the application, or replace the one with the same access key. Durable on return.

        Raises RevisionConflict if another application has that app id or that name; nothing has changed then.
        """

    @abstractmethod
    def remove_application(self, access_key: str) -> None:
        """Remove the application; an unknown key is ignored. Durable on return."""


@dataclass(frozen=True, slots=True)
class Tally:
    """A count, and its parts by name."""

    count: int
    parts: Mapping[str, int]


class Counters(Protocol):
    """Named counts that never pass a limit, however many processes count at the same time. Durable on return.

    Every method may raise :class:`~lookalike.errors.Unavailable`.
    """

    @abstractmethod
    def take(self, name: str, wanted: int, limit: int | None, expires: int | None = None, part: str = "") -> int:
        """Raise the count by ``wanted``, or by less where it would pass ``limit``; return the amount.

        The amount may be less than the limit leaves, never more. An unknown name counts as 0. From ``expires`` on (Unix
        milliseconds; None: never) the count may be forgotten. ``part`` is a plain word: the amount counts in that part of
        the count as well, which is no further write.
        """

    @abstractmethod
    def counted(self, name: str) -> int:
        """Return the count; 0 for an unknown name."""

    @abstractmethod
    def tally(self, name: str) -> Tally:
        """Return the count and its parts; none for an unknown name. What was counted without a part is in none."""

    @abstractmethod
    def forget_counts(self, now: int) -> None:
        """Remove the counts expired at Unix milliseconds ``now``, if the store does not do so by itself."""
