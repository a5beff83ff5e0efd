"""The applications of an AWS account, in its DynamoDB table, with their secrets sealed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import Any, Protocol

from lookalike.clock import unix_milliseconds
from lookalike.domain.application import Application
from lookalike.errors import RevisionConflict, Unavailable
from lookalike.ports import Applications, Clock
from lookalike.stores.aws.dynamodb_items import access_key_of, application_item, application_of, text
from lookalike.stores.aws.dynamodb_table import (
    ABSENT,
    ConditionError,
    Item,
    ItemKey,
    Table,
    app_id_key,
    app_name_key,
    application_key,
    marked,
    where,
)

#: How long an application read once is taken for what it is, in milliseconds: a revoked one lives on so long at most.
FRESH = 30_000

#: How long a key that nobody has is not looked up again, in milliseconds: a new one works at once where nobody asked for
#: it before, and so much later at the latest.
UNKNOWN = 5_000

#: Keys that nobody has, of which so many are remembered.
MAX_UNKNOWN = 1_000

#: How often a save that lost a race is tried again.
_ATTEMPTS = 5


class Sealer(Protocol):
    """Keeps secrets from whoever reads the table."""

    def seal(self, secret: str, access_key: str) -> bytes:
        """The secret of the application with that access key, so that nobody reads it without the key."""

    def open(self, sealed: bytes, access_key: str) -> str:
        """The secret again; only together with the access key that it was sealed with."""


class DynamoApplications(Applications):
    """Who may call.

    An application is three items: its row, and one each that says whose its app id and its name are, which no two
    applications share. They change together. What was read is kept for :data:`FRESH` milliseconds, so what another
    process changes shows here that much later at most. That there is no such application is kept for :data:`UNKNOWN`
    milliseconds, so a caller who repeats a wrong key costs the table next to nothing.

    Parameters
    ----------
    table : where they are.
    sealer : seals their secrets.
    clock : the time. It is not the monotonic clock, which stands still in a snapshot of the process.
    """

    def __init__(self, table: Table, sealer: Sealer, clock: Clock = unix_milliseconds) -> None:
        self._table = table
        self._sealer = sealer
        self._clock = clock
        self._lock = Lock()
        self._read: dict[ItemKey, tuple[int, Application]] = {}
        self._unknown: dict[ItemKey, int] = {}

    def application(self, access_key: str) -> Application | None:
        return self._fresh(application_key(access_key), lambda: self._stored(access_key))

    def application_by_id(self, app_id: str) -> Application | None:
        return self._fresh(app_id_key(app_id), lambda: self._stored_by_id(app_id))

    def applications(self) -> Sequence[Application]:
        names = self._table.query(app_name_key("").pk)
        rows = self._table.get_all([application_key(name["access_key"]["S"]) for name in names])
        return sorted((self._opened(row) for row in rows), key=lambda one: (one.created, one.app_id))

    def save_application(self, application: Application) -> None:
        row = application_item(application, self._sealer.seal(application.secret_key, application.access_key))
        mine = {"access_key": text(application.access_key)}
        kept = [app_id_key(application.app_id), app_name_key(application.name)]
        for _ in range(_ATTEMPTS):
            stored = self._table.get(key := application_key(application.access_key))
            given_up = [one for one in _pointers(stored) if one not in kept]
            try:
                self._table.change(
                    *(self._table.putting(one.values | mine, where(mine, or_absent=True)) for one in kept),
                    *(self._table.deleting(one, where(mine)) for one in given_up),
                    self._table.putting(marked(row), ABSENT if stored is None else _unchanged(stored)),
                )
            except ConditionError as failed:
                if failed.at <= {0, 1}:
                    raise RevisionConflict(
                        f"app id {application.app_id} or name {application.name}: another application's"
                    ) from None
                continue
            self._forget()
            return
        raise Unavailable(f"DynamoDB: {key.pk} changes too fast")

    def remove_application(self, access_key: str) -> None:
        key = application_key(access_key)
        for _ in range(_ATTEMPTS):
            stored = self._table.get(key)
            if stored is None:
                self._forget()
                return
            mine = where({"access_key": text(access_key)})
            try:
                self._table.change(
                    *(self._table.deleting(one, mine) for one in _pointers(stored)),
                    self._table.deleting(key, _unchanged(stored)),
                )
            except ConditionError:
                continue  # somebody saved it meanwhile, or took it away
            self._forget()
            return
        raise Unavailable(f"DynamoDB: {key.pk} changes too fast")

    def _stored(self, access_key: str) -> Application | None:
        row = self._table.get(application_key(access_key))
        return None if row is None else self._opened(row)

    def _stored_by_id(self, app_id: str) -> Application | None:
        pointer = self._table.get(app_id_key(app_id))
        found = None if pointer is None else self._stored(pointer["access_key"]["S"])
        return found if found is not None and found.app_id == app_id else None  # it may have changed in between

    def _opened(self, row: Item) -> Application:
        return application_of(row, self._sealer.open(row["secret"]["B"], access_key_of(row)))

    def _fresh(self, key: ItemKey, read: Callable[[], Application | None]) -> Application | None:
        """What was read of late, or is read now."""
        now = self._clock()
        with self._lock:
            when, known = self._read.get(key, (now, None))
            asked = self._unknown.get(key)
        if known is not None and 0 <= now - when < FRESH:
            return known
        if asked is not None and 0 <= now - asked < UNKNOWN:
            return None
        found = read()
        with self._lock:
            self._unknown.pop(key, None)
            if found is not None:
                self._read[key] = (now, found)
            elif key.possible:
                if len(self._unknown) >= MAX_UNKNOWN:
                    del self._unknown[next(iter(self._unknown))]  # the one asked for longest ago
                self._unknown[key] = now
        return found

    def _forget(self) -> None:
        with self._lock:
            self._read.clear()
            self._unknown.clear()


def _pointers(row: Mapping[str, Any] | None) -> list[ItemKey]:
    """The items that say whose a row's app id and name are."""
    return [] if row is None else [app_id_key(row["app_id"]["S"]), app_name_key(row["name"]["S"])]


def _unchanged(row: Item) -> Mapping[str, Any]:
    return where({"written": row["written"]})
