"""Calls on the pictures of a library: add, put, list, look at, change, delete, restore, and the files."""

from __future__ import annotations

from dataclasses import dataclass, replace

from lookalike.domain.application import Application, Permission
from lookalike.domain.library import Identity, Library, LibraryRef
from lookalike.domain.picture import Picture, State
from lookalike.domain.search import TagFilter
from lookalike.errors import (
    InvalidArgument,
    LibraryNotFound,
    PictureExists,
    RevisionConflict,
)
from lookalike.ports import Ports
from lookalike.service.add import Add, add
from lookalike.service.delete import Delete, delete
from lookalike.service.groups import list_pictures, name_of, picture_in
from lookalike.service.image_source import Source
from lookalike.service.libraries import IMPLICIT_LIBRARIES, find_library, library_ref
from lookalike.service.permissions import require
from lookalike.service.picture_image import ImageSize, picture_image
from lookalike.service.restore import restore
from lookalike.service.update import Update, update
from lookalike.wire import forms
from lookalike.wire.http import Request
from lookalike.wire.native import limits, reading
from lookalike.wire.native.answers import PicturesSaid, added_said, picture_said
from lookalike.wire.native.dialect import File, FileAt, Reply
from lookalike.wire.native.problems import PictureIsThere, UnsupportedByLibrary
from lookalike.wire.native.requests import MetadataGiven, PictureChange


def add_picture(ports: Ports, application: Application, request: Request) -> Reply:
    """Add a picture. May be repeated: one that is there is returned, unless ``on_duplicate`` says otherwise."""
    said, image = reading.picture_of(request)
    library, ref = _target(ports, application, request.arguments["library"])
    source = reading.source_of(ports, application, library, image, "/image")
    picture, created = add_or_find(ports, library, ref, Given(application, source, said))
    added = added_said(find_library(ports, ref.tenant, ref.name), picture, created=created)
    return Reply(added, 201 if created else 200, picture.revision, (("location", added.path),))


def put_picture(ports: Ports, application: Application, request: Request) -> Reply:
    """Put a picture by its id: add it, or replace the one that is there."""
    said, image = reading.picture_of(request)
    library = reading.library_of(ports, application, request.arguments["library"])
    if library.identity is not Identity.OWN:
        raise UnsupportedByLibrary("id", "a picture is its own id in this library: add it by POST")
    id_ = reading.picture_id(request)
    if said.id not in (None, id_):
        raise InvalidArgument("/id", "differs from that of the path")
    ref = reading.ref_of(library)
    command = Add(
        ref,
        reading.source_of(ports, application, library, image, "/image"),
        reading.metadata_of(ref, said),
        id_,
        replace=True,
        revision=reading.if_match(request),
    )
    picture, created = _put(ports, application, command, library)
    return Reply(added_said(library, picture, created=created), 201 if created else 200, picture.revision)


def _put(ports: Ports, application: Application, command: Add, library: Library) -> tuple[Picture, bool]:
    """Add the picture, or replace the one that has its id; return it, and whether it was added."""
    if command.revision is None:
        try:
            return add(ports, replace(command, replace=False), library), True
        except PictureExists:
            pass
    require(application, Permission.UPDATE)
    return add(ports, command, library), False


@dataclass(frozen=True, slots=True)
class Given:
    """A picture to add for an application, and what is said of it."""

    application: Application
    source: Source
    said: MetadataGiven


def add_or_find(ports: Ports, library: Library | None, ref: LibraryRef, given: Given) -> tuple[Picture, bool]:
    """Add a picture, or find the one that is there; return it, and whether it was added."""
    said = given.said
    id_ = None if said.id is None else reading.checked_id(said.id, "/id")
    command = Add(ref, given.source, reading.metadata_of(ref, said), id_)
    try:
        return add(ports, command, library), True
    except PictureExists as exists:
        return _existing(ports, ref, given, exists), False


def _existing(ports: Ports, ref: LibraryRef, given: Given, exists: PictureExists) -> Picture:
    """Return the picture that prevented the add, changed if that is wanted. Raises PictureIsThere if it is refused."""
    said, library = given.said, find_library(ports, ref.tenant, ref.name)
    picture = ports.catalog.picture(exists.key)
    if picture is None or not picture.live:
        raise RevisionConflict(exists.key.id)
    if said.on_duplicate == "refuse":
        raise PictureIsThere(exists, library.name, name_of(library, picture))
    if said.on_duplicate == "update":
        require(given.application, Permission.UPDATE)
        change = reading.change_of(ref, _change_of(said))
        return update(ports, Update(ref, name_of(library, picture), change))
    return picture


def _change_of(said: MetadataGiven) -> PictureChange:
    """Return what an add says of a picture that is there; what it does not say stays."""
    return PictureChange(brief=said.brief or None, tags=said.tags or None, label=said.label, desc=said.desc)


def _target(ports: Ports, application: Application, name: str) -> tuple[Library | None, LibraryRef]:
    """Return the library to add to, and the reference to it; the first add makes a vendor's library."""
    try:
        library = reading.library_of(ports, application, name)
    except LibraryNotFound:
        if name not in IMPLICIT_LIBRARIES:
            raise
        return None, library_ref(application, name)
    return library, reading.ref_of(library)


def list_of_pictures(ports: Ports, application: Application, request: Request) -> Reply:
    """List pictures, a page at a time: those that are live, or deleted and not purged yet."""
    library = reading.library_of(ports, application, request.arguments["library"])
    query = forms.query(request)
    state = _state_of(query)
    wanted = frozenset(tag for tag in query.text("tag").split(",") if tag)
    listing = list_pictures(
        ports,
        library,
        reading.listed_after(query.text("after")),
        reading.whole(query, "limit", most=limits.MAX_LISTED, default=limits.DEFAULT_LISTED),
        state=state,
        tags=TagFilter(all_of=wanted) if wanted else None,
    )
    pictures = tuple(picture_said(library, picture) for picture in listing.pictures)
    following = "" if listing.after is None else reading.cursor_of(listing.after)
    return Reply(PicturesSaid(pictures=pictures, next=following))


def _state_of(query: forms.Form) -> State:
    """Return the state that pictures shall have. Raises InvalidArgument."""
    return State(reading.one_of(query, "state", State.LIVE, State.DELETED))


def get_picture(ports: Ports, application: Application, request: Request) -> Reply:
    """Look at what is stored of a picture."""
    library = reading.library_of(ports, application, request.arguments["library"])
    picture = picture_in(ports, library, reading.picture_id(request))
    if reading.is_not_modified(request, picture.revision):
        return Reply(status=304, revision=picture.revision)
    return Reply(picture_said(library, picture), revision=picture.revision)


def change_picture(ports: Ports, application: Application, request: Request) -> Reply:
    """Change what is said of a picture; members that are absent stay."""
    said = reading.body_of(request, PictureChange)
    library = reading.library_of(ports, application, request.arguments["library"])
    ref = reading.ref_of(library)
    command = Update(ref, reading.picture_id(request), reading.change_of(ref, said), revision=reading.if_match(request))
    picture = update(ports, command)
    return Reply(picture_said(library, picture), revision=picture.revision)


def delete_picture(ports: Ports, application: Application, request: Request) -> Reply:
    """Delete a picture. It can be restored until it is purged."""
    library = reading.library_of(ports, application, request.arguments["library"])
    command = Delete(reading.ref_of(library), (reading.picture_id(request),), revision=reading.if_match(request))
    delete(ports, command)
    return Reply(status=204)


def restore_picture(ports: Ports, application: Application, request: Request) -> Reply:
    """Restore a deleted picture; one that is not deleted stays as it is."""
    library = reading.library_of(ports, application, request.arguments["library"])
    picture = restore(ports, library, reading.picture_id(request), reading.if_match(request))
    return Reply(picture_said(library, picture), revision=picture.revision)


#: Seconds that a browser may keep a picture's file, whose address changes with its revision: a year.
_KEPT_SECONDS = 31_536_000


def get_image(ports: Ports, application: Application, request: Request) -> Reply:
    """Return a picture's file: the original, or a smaller view of it. On AWS, a large original is answered by its address."""
    library = reading.library_of(ports, application, request.arguments["library"])
    query = forms.query(request)
    size = ImageSize(reading.one_of(query, "size", ImageSize.ORIGINAL, ImageSize.VIEW, ImageSize.THUMB))
    image = picture_image(
        ports,
        library,
        reading.picture_id(request),
        size,
        deleted=_state_of(query) is State.DELETED,
        max_bytes=limits.MAX_ANSWER_BYTES,
    )
    named = query.text("v") == str(image.revision)
    headers = (
        ("cache-control", f"private, max-age={_KEPT_SECONDS}, immutable" if named else "private, no-cache"),
        ("content-security-policy", "sandbox; default-src 'none'"),
        ("x-content-type-options", "nosniff"),
        ("content-disposition", "inline"),
        ("vary", "authorization, cookie"),  # what a browser keeps for a year is not for the next one who signs in there
    )
    if reading.is_not_modified(request, image.revision):
        return Reply(status=304, revision=image.revision, headers=headers)
    if isinstance(image.place, str):
        return Reply(status=307, headers=(("location", image.place),))
    file = File(image.data, image.content_type) if image.place is None else FileAt(image.place, image.content_type)
    return Reply(file, revision=image.revision, headers=headers)
