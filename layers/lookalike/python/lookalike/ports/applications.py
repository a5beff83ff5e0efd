"""Stores of applications and of their counts."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol

from lookalike.domain.application import Application


class ApplicationLookup(Protocol):
    """Applications by what a caller says of itself."""

    @abstractmethod
    def application(self, access_key: str) -> Application | None:
        """The application with that access key."""

    @abstractmethod
    def application_by_id(self, app_id: str) -> Application | None:
        """The application with that app id."""


class Applications(ApplicationLookup, Protocol):
    """Who may call."""

    @abstractmethod
    def applications(self) -> Sequence[Application]:
        """All of them, by creation time."""

    @abstractmethod
    def save_application(self, application: Application) -> None:
        """Create it, or replace the one with the same access key. Durable on return.

        Raises RevisionConflict if another application has that app id or that name, and then nothing has changed.
        """

    @abstractmethod
    def remove_application(self, access_key: str) -> None:
        """Take it away; an unknown key does not matter. Durable on return."""


class Counters(Protocol):
    """Counts that never pass a limit, whoever counts at the same time. Durable on return.

    Every method may raise :class:`~lookalike.errors.Unavailable`.
    """

    @abstractmethod
    def take(self, name: str, wanted: int, limit: int | None, expires: int | None = None) -> int:
        """Raise the count of that name by ``wanted`` or, where it would pass ``limit``, by what is left; by how much.

        An unknown name stands at 0. It may give less than is left, never more. From ``expires`` on, Unix
        milliseconds, the count may be forgotten; None: never.
        """

    @abstractmethod
    def counted(self, name: str) -> int:
        """Where the count of that name stands."""

    @abstractmethod
    def forget_counts(self, now: int) -> None:
        """Forget those that have expired at Unix milliseconds ``now``, if the store does not do so by itself."""
