"""An application as a row of SQLite."""

from __future__ import annotations

from typing import Any

from lookalike.domain.application import Application
from lookalike.stores.policy_json import policy_from_json, policy_to_json

COLUMNS = "access_key, secret_key, app_id, tenant, name, active, created, policy, old_secret_key, old_secret_until"
VALUES = ", ".join("?" * (COLUMNS.count(",") + 1))

#: Position of the column that names an application.
NAME_POSITION = 4


def row_of(application: Application) -> tuple[object, ...]:
    """Return an application's columns, in the order of :data:`COLUMNS`."""
    return (
        application.access_key,
        application.secret_key,
        application.app_id,
        application.tenant,
        application.name,
        application.active,
        application.created,
        policy_to_json(application.policy),
        application.old_secret_key,
        application.old_secret_until,
    )


def application_of(row: tuple[Any, ...]) -> Application:
    """Return a row's application. Raises RecursionError, TypeError or ValueError if the row is damaged.

    A row is damaged if a text is empty, not UTF-8 or not printable: such texts would be compared with callers' and
    shown on terminals.
    """
    access_key, secret_key, app_id, tenant, name, active, created, policy, *old = row
    for text in (access_key, secret_key, app_id, tenant, name):
        if not text or not text.isprintable():  # surrogates, read in place of bytes that are not UTF-8, are not
            raise ValueError("a text that is empty or not printable")
    old_secret, until = old
    if not isinstance(old_secret, str) or not isinstance(until, int) or not f"{old_secret}_".isprintable():
        raise ValueError("an old secret that is not printable")
    if active not in (0, 1):
        raise ValueError("neither active nor not")
    known = policy_from_json(policy)
    return Application(access_key, secret_key, app_id, tenant, name, bool(active), created, known, old_secret, until)
