"""Library names, the reserved ones (with their kinds) and tenants' own; finding and creating libraries."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import replace

from lookalike.domain.application import Application
from lookalike.domain.library import Identity, Kind, Library, LibraryRef
from lookalike.errors import InvalidArgument, LibraryExists, LibraryNotFound, Unavailable
from lookalike.ports import Ports

#: Libraries that the first add of a tenant creates, by name. All others are created explicitly.
IMPLICIT_LIBRARIES: Mapping[str, Kind] = {"same_hq": Kind.SAME, "similar": Kind.SIMILAR, "product": Kind.PRODUCT}


#: Reserved names, with the library's kind (None: the application's default). Pictures in them are their own ids.
RESERVED_LIBRARIES: Mapping[str, Kind | None] = {**IMPLICIT_LIBRARIES, "jumdata": None}


#: Pictures that a library may be allowed to hold, as LOOKALIKE_GROUP_PICTURES.
MAX_CAPACITY = 10**9

#: Names are case-sensitive, and need no escaping in a path or a query, over which requests are signed.
_NAME = re.compile(r"[A-Za-z0-9._-]{1,128}")


def is_library_name(name: str) -> bool:
    """Whether a library may have that name; not ``.`` and ``..``, which clients resolve in paths."""
    return _NAME.fullmatch(name) is not None and name not in (".", "..")


def library_ref(application: Application, name: str) -> LibraryRef:
    """Return the reference to a reserved library, or to a group with callers' ids. Raises InvalidArgument."""
    if not is_library_name(name):
        raise InvalidArgument("group", "must be 1 to 128 letters, digits, dots, underscores and hyphens")
    identity = Identity.PICTURE if name in RESERVED_LIBRARIES else Identity.OWN
    return LibraryRef(application.tenant, name, RESERVED_LIBRARIES.get(name) or application.policy.kind, identity)


def find_library(ports: Ports, tenant: str, name: str) -> Library:
    """Return the tenant's library of that name. Raises LibraryNotFound."""
    found = ports.catalog.library(tenant, name)
    if found is None:
        raise LibraryNotFound(name)
    return found


def create_library(ports: Ports, ref: LibraryRef, capacity: int | None = None) -> Library:
    """Create the library. Raises LibraryExists, and InvalidArgument for a capacity out of range."""
    _check_capacity(capacity)
    made = Library(
        tenant=ref.tenant,
        name=ref.name,
        uid=secrets.token_hex(8),
        kind=ref.kind,
        identity=ref.identity,
        created=ports.clock(),
        capacity=capacity,
    )
    ports.catalog.create_library(made)
    return made


def get_or_create_library(ports: Ports, ref: LibraryRef) -> Library:
    """Return the library; create it if there is none."""
    found = ports.catalog.library(ref.tenant, ref.name)
    if found is not None:
        return found
    try:
        return create_library(ports, ref)
    except LibraryExists:
        winner = ports.catalog.library(ref.tenant, ref.name)
        if winner is None:
            raise Unavailable(f"catalog: library {ref.name} was made and removed at once") from None
        return winner


def set_capacity(ports: Ports, tenant: str, name: str, capacity: int | None) -> Library:
    """Set how many live pictures the library may hold (None: as many as the settings allow), and return the library.

    Pictures in excess of it stay. Raises LibraryNotFound, and InvalidArgument for a capacity out of range.
    """
    _check_capacity(capacity)
    changed = replace(find_library(ports, tenant, name), capacity=capacity)
    ports.catalog.change_library(changed)
    return changed


def _check_capacity(capacity: int | None) -> None:
    if capacity is not None and not 1 <= capacity <= MAX_CAPACITY:
        raise InvalidArgument("capacity", f"must be 1 to {MAX_CAPACITY}")
