"""The applications of an AWS account in the DynamoDB table, with encrypted secrets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from lookalike.domain.application import Application
from lookalike.errors import RevisionConflict, Unavailable
from lookalike.ports import Applications, Clock
from lookalike.ports.clock import unix_milliseconds
from lookalike.stores.aws.application_cache import ApplicationCache
from lookalike.stores.aws.dynamodb_application_items import access_key_of, application_item, application_of
from lookalike.stores.aws.dynamodb_attributes import text
from lookalike.stores.aws.dynamodb_conditions import ABSENT, ConditionError, any_of, attributes_equal, with_write_id
from lookalike.stores.aws.dynamodb_keys import Item, ItemKey, app_id_key, app_name_key, application_key
from lookalike.stores.aws.dynamodb_table import Table

#: Attempts at a change that conflicts with a concurrent one.
_MAX_ATTEMPTS = 5


class Sealer(Protocol):
    """Encrypts applications' secrets, so that reading the table does not disclose them."""

    def encrypt(self, secret: str, access_key: str) -> bytes:
        """Encrypt the secret of the application with this access key."""

    def decrypt(self, sealed: bytes, access_key: str) -> str:
        """Decrypt a secret. Succeeds only with the access key that it was encrypted for."""


class DynamoApplications(Applications):
    """Applications, cached in the process.

    An application is three items that change in one transaction: its row, and the pointers from its app id and from its
    name to its access key, which make both unique.

    Parameters
    ----------
    table : that holds them.
    sealer : encrypts their secrets.
    clock : Unix milliseconds. Not the monotonic clock, which may stand still while Lambda freezes the process.
    """

    def __init__(self, table: Table, sealer: Sealer, clock: Clock = unix_milliseconds) -> None:
        self._table = table
        self._sealer = sealer
        self._cache = ApplicationCache(clock)

    def application(self, access_key: str) -> Application | None:
        return self._cache.get(application_key(access_key), lambda: self._load(access_key))

    def application_by_id(self, app_id: str) -> Application | None:
        return self._cache.get(app_id_key(app_id), lambda: self._load_by_id(app_id))

    def applications(self) -> Sequence[Application]:
        names = self._table.query(app_name_key("").pk)
        rows = self._table.get_all([application_key(name["access_key"]["S"]) for name in names])
        return sorted((self._decrypted(row) for row in rows), key=lambda one: (one.created, one.app_id))

    def save_application(self, application: Application) -> None:
        row = application_item(application, self._sealed(application), self._sealed_old(application))
        owner = {"access_key": text(application.access_key)}
        kept = [app_id_key(application.app_id), app_name_key(application.name)]
        for _ in range(_MAX_ATTEMPTS):
            stored = self._table.get(key := application_key(application.access_key))
            released = [one for one in _pointer_keys(stored) if one not in kept]
            try:
                self._table.transact(
                    *(
                        self._table.put_action(one.values | owner, any_of(ABSENT, attributes_equal(owner)))
                        for one in kept
                    ),
                    *(self._table.delete_action(one, attributes_equal(owner)) for one in released),
                    self._table.put_action(with_write_id(row), ABSENT if stored is None else _unchanged(stored)),
                )
            except ConditionError as failed:
                if failed.positions <= {0, 1}:
                    raise RevisionConflict(
                        f"app id {application.app_id} or name {application.name}: another application's"
                    ) from None
                continue
            self._cache.clear()
            return
        raise Unavailable(f"DynamoDB: {key.pk} changes too fast")

    def remove_application(self, access_key: str) -> None:
        key = application_key(access_key)
        for _ in range(_MAX_ATTEMPTS):
            stored = self._table.get(key)
            if stored is None:
                self._cache.clear()
                return
            owner = attributes_equal({"access_key": text(access_key)})
            try:
                self._table.transact(
                    *(self._table.delete_action(one, owner) for one in _pointer_keys(stored)),
                    self._table.delete_action(key, _unchanged(stored)),
                )
            except ConditionError:
                continue  # saved or removed concurrently
            self._cache.clear()
            return
        raise Unavailable(f"DynamoDB: {key.pk} changes too fast")

    def _load(self, access_key: str) -> Application | None:
        row = self._table.get(application_key(access_key))
        return None if row is None else self._decrypted(row)

    def _load_by_id(self, app_id: str) -> Application | None:
        pointer = self._table.get(app_id_key(app_id))
        found = None if pointer is None else self._load(pointer["access_key"]["S"])
        # Between the two reads the app id may have been given to another application.
        return found if found is not None and found.app_id == app_id else None

    def _decrypted(self, row: Item) -> Application:
        key = access_key_of(row)
        old = row.get("old_secret")
        secret = self._sealer.decrypt(row["secret"]["B"], key)
        return application_of(row, secret, "" if old is None else self._sealer.decrypt(old["B"], key))

    def _sealed(self, application: Application) -> bytes:
        return self._sealer.encrypt(application.secret_key, application.access_key)

    def _sealed_old(self, application: Application) -> bytes:
        old = application.old_secret_key
        return self._sealer.encrypt(old, application.access_key) if old else b""


def _pointer_keys(row: Mapping[str, Any] | None) -> list[ItemKey]:
    """Keys of the pointers that belong to a row: from its app id, and from its name."""
    return [] if row is None else [app_id_key(row["app_id"]["S"]), app_name_key(row["name"]["S"])]


def _unchanged(row: Item) -> Mapping[str, Any]:
    """Condition: the stored row is still this one."""
    return attributes_equal({"written": row["written"]})
