"""Applications as items of the table: apart from pictures, because the token function reads no vector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lookalike.domain.application import Application
from lookalike.stores.aws.dynamodb_attributes import number, text
from lookalike.stores.aws.dynamodb_keys import Item, application_key
from lookalike.stores.policy_json import policy_from_json, policy_to_json


def application_item(application: Application, sealed: bytes, old_sealed: bytes = b"") -> Item:
    """An application's row, with its encrypted secret, and its old one if there is one."""
    old = {"old_secret": {"B": old_sealed}, "old_secret_until": number(application.old_secret_until)}
    return application_key(application.access_key).values | {
        "secret": {"B": sealed},
        "app_id": text(application.app_id),
        "tenant": text(application.tenant),
        "name": text(application.name),
        "active": {"BOOL": application.active},
        "created": number(application.created),
        "policy": text(policy_to_json(application.policy)),
        **(old if old_sealed else {}),
    }


def application_of(item: Mapping[str, Mapping[str, Any]], secret: str, old_secret: str = "") -> Application:
    """Application of a row, with its decrypted secret, and its old one if there is one."""
    return Application(
        access_key=access_key_of(item),
        secret_key=secret,
        app_id=item["app_id"]["S"],
        tenant=item["tenant"]["S"],
        name=item["name"]["S"],
        active=item["active"]["BOOL"],
        created=int(item["created"]["N"]),
        policy=policy_from_json(item["policy"]["S"]),
        old_secret_key=old_secret,
        old_secret_until=int(item["old_secret_until"]["N"]) if old_secret else 0,
    )


def access_key_of(item: Mapping[str, Mapping[str, Any]]) -> str:
    """Access key of an application's row."""
    return str(item["pk"]["S"].removeprefix("APP#"))
