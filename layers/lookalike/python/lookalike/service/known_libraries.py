"""The libraries that an operator can be told of: those of all applications' tenants, and the canary's."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from lookalike.domain.canary import TENANT
from lookalike.domain.library import Library
from lookalike.domain.picture import Key
from lookalike.ports import Ports


class KnownLibraries:
    """Libraries by uid, as they are at the first use. Every use may raise Unavailable.

    Those of a tenant that has no application any more are not among them.
    """

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    def get(self, uid: str) -> Library | None:
        """Return the library; None if it is not known."""
        return self.by_uid.get(uid)

    def name(self, key: Key) -> str:
        """Return a picture's name for people: its library's name and its id, the tenant first where there are several.

        A library that is not known is named by its uid.
        """
        library = self.get(key.library)
        if library is None:
            return f"{key.library}/{key.id}"
        return f"{library.tenant}/{library.name}/{key.id}" if self._are_several else f"{library.name}/{key.id}"

    @cached_property
    def by_uid(self) -> Mapping[str, Library]:
        """All of them."""
        tenants = {application.tenant for application in self._ports.applications.applications()} | {TENANT}
        found = (library for tenant in sorted(tenants) for library in self._ports.catalog.libraries(tenant))
        return {library.uid: library for library in found}

    @cached_property
    def _are_several(self) -> bool:
        return len({library.tenant for library in self.by_uid.values()} - {TENANT}) > 1
