"""An application as a row of SQLite."""

from __future__ import annotations

from typing import Any

from lookalike.domain.application import Application
from lookalike.stores.policy_json import policy_of, policy_text

COLUMNS = "access_key, secret_key, app_id, tenant, name, active, created, policy"
VALUES = ", ".join("?" * (COLUMNS.count(",") + 1))

#: Which column names it.
NAME = 4


def row_of(application: Application) -> tuple[object, ...]:
    """An application's columns, in their order."""
    return (
        application.access_key,
        application.secret_key,
        application.app_id,
        application.tenant,
        application.name,
        application.active,
        application.created,
        policy_text(application.policy),
    )


def application_of(row: tuple[Any, ...]) -> Application:
    """The row's application. Raises RecursionError, TypeError or ValueError if it has been damaged.

    Texts that are empty, not UTF-8 or not printable have been: they would be compared with what callers send, and shown
    on terminals.
    """
    access_key, secret_key, app_id, tenant, name, active, created, policy = row
    for text in (access_key, secret_key, app_id, tenant, name):
        if not text or not text.isprintable():  # no surrogate is, which stands for what was not UTF-8
            raise ValueError("a text that is empty or not printable")
    if active not in (0, 1):
        raise ValueError("neither active nor not")
    return Application(access_key, secret_key, app_id, tenant, name, bool(active), created, policy_of(policy))
