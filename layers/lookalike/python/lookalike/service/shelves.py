"""What the libraries are that a tenant's programs name: some names are the same for all tenants, all others are theirs."""

from __future__ import annotations

import re
from collections.abc import Mapping

from lookalike.domain.application import Application
from lookalike.domain.library import Identity, Kind, Shelf
from lookalike.errors import InvalidArgument
from lookalike.service.libraries import MADE_BY_ADD

#: Libraries whose name says what they are, with their kind (None: the application's own). Pictures in them are their
#: own ids.
RESERVED: Mapping[str, Kind | None] = {**MADE_BY_ADD, "jumdata": None}


#: Names are case-sensitive, and need no escaping in a path or a query: signatures are made over those.
_NAME = re.compile(r"[A-Za-z0-9._-]{1,128}")


def is_name(name: str) -> bool:
    """Whether a library may have that name. Programs resolve ``.`` and ``..`` in paths, so they are none."""
    return _NAME.fullmatch(name) is not None and name not in (".", "..")


def shelf_of(application: Application, name: str) -> Shelf:
    """The shelf of that name: a reserved one, or a group whose pictures have callers' ids. Raises InvalidArgument."""
    if not is_name(name):
        raise InvalidArgument("group", "must be 1 to 128 letters, digits, dots, underscores and hyphens")
    identity = Identity.PICTURE if name in RESERVED else Identity.OWN
    return Shelf(application.tenant, name, RESERVED.get(name) or application.policy.kind, identity)
