"""The libraries that an operator can be told of: those of all applications' tenants, and the canary's."""

from __future__ import annotations

from collections.abc import Mapping, Set
from functools import cached_property

from lookalike.domain.canary import TENANT
from lookalike.domain.library import Identity, Library
from lookalike.domain.picture import Key
from lookalike.ports import Ports

#: Milliseconds that another machine's clock may be ahead of this one's.
_CLOCKS_MS = 3_600_000

#: Removed libraries that are told from others, at most.
_MAX_REMOVED = 100_000


def removed_libraries(ports: Ports) -> Mapping[str, int]:
    """Return the libraries (uid) that are removed and not swept yet, and when each was, in Unix milliseconds.

    Nobody can search or name their pictures, so nothing is wrong with these, whatever they lack. Raises Unavailable.
    """
    found = ports.stores.catalog.removed_libraries(ports.clock() + _CLOCKS_MS, _MAX_REMOVED)
    return {library.uid: library.removed for library in found}


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
        """Return a picture's name for people: its library's name and its id, an application's first where there are several.

        A library that is not known is named by its uid.
        """
        library = self.get(key.library)
        if library is None:
            return f"{key.library}/{key.id}"
        if not self._are_several:
            return f"{library.name}/{key.id}"
        return f"{self._applications.get(library.tenant, library.tenant)}/{library.name}/{key.id}"

    @cached_property
    def by_uid(self) -> Mapping[str, Library]:
        """All of them."""
        tenants = sorted(self._applications.keys() | {TENANT})
        found = (library for tenant in tenants for library in self._ports.catalog.libraries(tenant))
        return {library.uid: library for library in found}

    @property
    def signed(self) -> Set[str]:
        """The uids of those where a picture is its own id, so that it may have had another sign elsewhere."""
        return {uid for uid, library in self.by_uid.items() if library.identity is Identity.PICTURE}

    @cached_property
    def _applications(self) -> Mapping[str, str]:
        """The name of an application of each tenant: of several the first that sees all libraries, if one does."""
        known = sorted(
            self._ports.applications.applications(),
            key=lambda one: (bool(one.policy.libraries), one.name),
            reverse=True,
        )
        return {one.tenant: one.name for one in known}

    @cached_property
    def _are_several(self) -> bool:
        return len({library.tenant for library in self.by_uid.values()} - {TENANT}) > 1
