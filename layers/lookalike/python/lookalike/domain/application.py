"""Applications that may call, and their policies."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

from lookalike.domain.library import Kind


class Permission(StrEnum):
    """What an application may do, if not everything."""

    SEARCH = "search"  #: search, and look at pictures by their ids
    ADD = "add"  #: add pictures, restore deleted ones, send files ahead, look at the library that they go to
    UPDATE = "update"  #: change what is said of pictures, and replace them
    DELETE = "delete"  #: delete pictures
    GROUPS = "groups"  #: list, make, change and remove libraries, and list their pictures


@dataclass(frozen=True, slots=True)
class Policy:
    """An application's limits and defaults, set by the operator. None and an empty tuple set no limit.

    ``kind`` is the default kind of libraries that the application creates. ``per_second``, ``per_day`` (UTC) and
    ``in_total`` are calls. ``capacity`` is the number of live pictures that all libraries of its tenant may hold together
    when it adds one. ``networks`` are the networks that it may call from, in CIDR notation.
    ``may`` is what it may do, and ``libraries`` are the names of those that it may do it in; empty: everything, everywhere.
    """

    kind: Kind = Kind.SIMILAR
    per_second: int | None = None
    per_day: int | None = None
    in_total: int | None = None
    networks: tuple[str, ...] = ()
    may: tuple[Permission, ...] = ()
    libraries: tuple[str, ...] = ()
    capacity: int | None = None

    def permits(self, *any_of: Permission) -> bool:
        """Whether the policy permits one of these; every policy permits nothing in particular."""
        return not any_of or not self.may or bool({*any_of} & {*self.may})


#: Policy of a new application.
NO_POLICY = Policy()


@dataclass(frozen=True, slots=True)
class Application:
    """A caller. ``app_id`` is decimal digits; ``created`` is Unix milliseconds.

    ``old_secret_key``, unless empty, opens what ``secret_key`` opens, until Unix milliseconds ``old_secret_until``.
    """

    access_key: str
    secret_key: str = field(repr=False)
    app_id: str
    tenant: str
    name: str
    active: bool = True
    created: int = 0
    policy: Policy = NO_POLICY
    old_secret_key: str = field(default="", repr=False)
    old_secret_until: int = 0

    @property
    def secrets(self) -> tuple[str, ...]:
        """The secret keys that open, the newest first; :meth:`at` leaves out what has ended."""
        return (self.secret_key, self.old_secret_key) if self.old_secret_key else (self.secret_key,)

    def at(self, now: int) -> Application:
        """Return the application without an old secret key that has ended by Unix milliseconds ``now``."""
        ended = self.old_secret_key and now >= self.old_secret_until
        return replace(self, old_secret_key="", old_secret_until=0) if ended else self
