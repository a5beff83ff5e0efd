"""Calls on libraries: list, make, look at, change, remove."""

from __future__ import annotations

from msgspec import UNSET

from lookalike.domain.application import Application
from lookalike.domain.library import Identity, Kind, Library, LibraryRef
from lookalike.errors import LibraryExists, Unavailable
from lookalike.ports import Ports
from lookalike.service.groups import remove_group
from lookalike.service.libraries import RESERVED_LIBRARIES, create_library, library_ref, set_capacity
from lookalike.wire.http import Request
from lookalike.wire.native import reading
from lookalike.wire.native.answers import LibrariesSaid, library_said
from lookalike.wire.native.dialect import Reply
from lookalike.wire.native.problems import UnsupportedByLibrary
from lookalike.wire.native.requests import LibraryChange, LibraryGiven


class LibraryIsOther(LibraryExists):
    """A library of that name is there, and is of another kind or identity."""

    problem = "{0.name} is of kind {0.library.kind}, and its identity is {0.library.identity}"
    remedy = "a library keeps both: choose another name, or leave them out of what you send"

    def __init__(self, library: Library) -> None:
        super().__init__(library.name)
        self.library = library


def list_libraries(ports: Ports, application: Application, _request: Request) -> Reply:
    """List the caller's libraries."""
    libraries = ports.catalog.libraries(application.tenant)
    return Reply(LibrariesSaid(libraries=tuple(library_said(ports, library) for library in libraries)))


def put_library(ports: Ports, application: Application, request: Request) -> Reply:
    """Make a library. One that is there is returned, with the capacity given; it keeps its kind and identity."""
    said = reading.body_of(request, LibraryGiven) if request.content() else LibraryGiven()
    ref = _ref_of(application, request.arguments["library"], said)
    try:
        library, status = create_library(ports, ref, _whole(said.capacity)), 201
    except LibraryExists:
        library, status = _existing(ports, application, ref, said), 200
    return Reply(library_said(ports, library), status)


def _ref_of(application: Application, name: str, said: LibraryGiven) -> LibraryRef:
    """Return the library to make. Raises InvalidArgument for a name that none may have, or a vendor's with other rules."""
    reserved = library_ref(application, name)
    usual = reserved if name in RESERVED_LIBRARIES else LibraryRef(application.tenant, name, Kind.SAME, Identity.OWN)
    kind = usual.kind if said.kind is UNSET else Kind(said.kind)
    identity = usual.identity if said.identity is UNSET else Identity(said.identity)
    ref = LibraryRef(application.tenant, name, kind, identity)
    if name in RESERVED_LIBRARIES and ref != reserved:
        raise UnsupportedByLibrary(
            "body", f"{name} is a vendor's: its kind is {reserved.kind}, and its identity {reserved.identity}"
        )
    return ref


def _existing(ports: Ports, application: Application, ref: LibraryRef, said: LibraryGiven) -> Library:
    library = ports.catalog.library(application.tenant, ref.name)
    if library is None:
        raise Unavailable(f"catalog: library {ref.name} was made and removed at once")
    if said.kind not in (UNSET, library.kind) or said.identity not in (UNSET, library.identity):
        raise LibraryIsOther(library)
    if said.capacity is None or said.capacity == library.capacity:
        return library
    return set_capacity(ports, application.tenant, ref.name, int(said.capacity))


def get_library(ports: Ports, application: Application, request: Request) -> Reply:
    """Look at a library."""
    return Reply(library_said(ports, reading.library_of(ports, application, request.arguments["library"])))


def change_library(ports: Ports, application: Application, request: Request) -> Reply:
    """Change how many pictures a library may hold; null removes the limit of its own."""
    said = reading.body_of(request, LibraryChange)
    library = reading.library_of(ports, application, request.arguments["library"])
    changed = set_capacity(ports, application.tenant, library.name, _whole(said.capacity))
    return Reply(library_said(ports, changed))


def _whole(capacity: float | None) -> int | None:
    return None if capacity is None else int(capacity)


def remove_library(ports: Ports, application: Application, request: Request) -> Reply:
    """Remove a library and all its pictures, at once and for good."""
    library = reading.library_of(ports, application, request.arguments["library"])
    remove_group(ports, application.tenant, library.name)
    return Reply(status=204)
