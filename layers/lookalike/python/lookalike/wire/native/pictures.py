"""Calls on the pictures of a library: add, put, list, look at, change, delete, restore, and the files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from http import HTTPStatus

from msgspec import UNSET

from lookalike.domain.application import Application, Permission
from lookalike.domain.library import Identity, Library, LibraryRef
from lookalike.domain.picture import Key, Picture, State
from lookalike.domain.search import TagFilter
from lookalike.errors import (
    InvalidArgument,
    LibraryNotFound,
    PictureExists,
    PictureNotFound,
    RevisionConflict,
    RevisionMismatch,
)
from lookalike.ports import Ports
from lookalike.service.add import Add, add, carry_out
from lookalike.service.delete import Delete, delete
from lookalike.service.groups import list_pictures, name_of
from lookalike.service.image_source import Source
from lookalike.service.libraries import IMPLICIT_LIBRARIES, find_library, library_ref
from lookalike.service.old_signs import learn_sign
from lookalike.service.permissions import require
from lookalike.service.picture_image import ImageSize, picture_image
from lookalike.service.resent import differs
from lookalike.service.restore import restore
from lookalike.service.stored import find_picture
from lookalike.service.update import Update, update
from lookalike.wire import forms
from lookalike.wire.http import Request
from lookalike.wire.native import conditions, limits, reading
from lookalike.wire.native.answers import PicturesSaid, picture_said
from lookalike.wire.native.dialect import File, FileAt, Reply
from lookalike.wire.native.problems import PictureIsAbsent, PictureIsPut, PictureIsThere, UnsupportedByLibrary
from lookalike.wire.native.requests import MetadataGiven, PictureChange
from lookalike.wire.native.written import added_said, written_said


def add_picture(ports: Ports, application: Application, request: Request) -> Reply:
    """Add a picture.

    May be repeated with an id, or where a picture is its own id: one that is there is returned, unless ``on_duplicate`` says
    otherwise. An id of another picture is refused, where the file is sent with the call or was sent ahead; a URL is not
    downloaded again.
    """
    said, image = reading.picture_of(request)
    library, ref = _target(ports, application, request.arguments["library"])
    source = reading.source_of(ports, application, library, image, "/image")
    held = add_or_find(ports, library, ref, Given(application, source, said))
    found = find_library(ports, ref.tenant, ref.name)
    added = added_said(application, found, held.picture, created=held.created, own=held.created, repaired=held.repaired)
    return Reply(added, _status(held.created), held.picture.revision, (("location", added.path),))


def _status(created: bool) -> HTTPStatus:
    return HTTPStatus.CREATED if created else HTTPStatus.OK


def put_picture(ports: Ports, application: Application, request: Request) -> Reply:
    """Put a picture by its id: add it, or replace the one that is there.

    With ``If-None-Match: *`` only where there is none, with ``If-Match`` only in the place of that revision, or of any.
    """
    said, image = reading.put_of(request)
    wanted = conditions.put_condition(request)
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
    )
    picture, created = _put(ports, application, command, library, wanted)
    return Reply(added_said(application, library, picture, created=created), _status(created), picture.revision)


def _put(
    ports: Ports, application: Application, command: Add, library: Library, wanted: conditions.PutCondition
) -> tuple[Picture, bool]:
    """Add the picture, or replace the one that has its id; return it, and whether it was added.

    Raises PictureIsPut, PictureIsAbsent or RevisionMismatch if there is another picture than the condition wants, or none.
    """
    if wanted.absent and wanted.there:  # which no picture is
        raise PictureIsPut(Key(library.uid, command.id or ""), None)
    if not wanted.there:
        try:
            return add(ports, command, library), True
        except PictureExists as exists:
            if wanted.absent:
                current = ports.catalog.picture(exists.key)
                raise PictureIsPut(exists.key, None if current is None else current.revision) from exists
    require(application, Permission.UPDATE)
    instead = replace(command, replace=True, revision=wanted.revision, only_live=wanted.there)
    try:
        done = carry_out(ports, instead, library)
    except RevisionMismatch as mismatch:
        if wanted.revision is None:
            raise PictureIsAbsent(mismatch.key, None) from mismatch
        raise
    return done.picture, done.adds  # the one that was there may have been deleted meanwhile


@dataclass(frozen=True, slots=True)
class Given:
    """A picture to add for an application, and what is said of it."""

    application: Application
    source: Source
    said: MetadataGiven


@dataclass(frozen=True, slots=True)
class Held:
    """A picture that the library holds now, and whether the add has made it, or stored its lost original again."""

    picture: Picture
    created: bool
    repaired: bool = False


def add_or_find(ports: Ports, library: Library | None, ref: LibraryRef, given: Given) -> Held:
    """Add a picture, or find the one that is there."""
    said = given.said
    id_ = None if said.id is None else reading.checked_id(said.id, "/id")
    if id_ is not None and ref.identity is Identity.PICTURE:
        raise InvalidArgument("/id", "must be left out: a picture is its own id here")
    command = Add(ref, given.source, reading.metadata_of(ref, said), id_)
    try:
        return Held(add(ports, command, library), created=True)
    except PictureExists as exists:
        return Held(_existing(ports, ref, given, exists), created=False, repaired=exists.repaired)


def _existing(ports: Ports, ref: LibraryRef, given: Given, exists: PictureExists) -> Picture:
    """Return the picture that prevented the add, changed if that is wanted; an old sign is learnt in any case.

    Answers go on calling it by the first one that it had.

    Raises PictureIsThere if it is refused, or another one than was sent, and a PictureError if that is no picture.
    """
    said, library = given.said, find_library(ports, ref.tenant, ref.name)
    picture = ports.catalog.picture(exists.key)
    if picture is None or not picture.live:
        raise RevisionConflict(exists.key.id)
    other = library.identity is Identity.OWN and differs(ports, library, picture, given.source)
    if other or said.on_duplicate == "refuse":
        raise PictureIsThere(exists, library.name, name_of(library, picture), differs=other)
    if said.on_duplicate == "update":
        require(given.application, Permission.UPDATE)
        change = reading.change_of(ref, _change_of(said))
        return update(ports, Update(ref, picture.key, change))
    old_sign = reading.metadata_of(ref, said).old_sign
    if old_sign and old_sign != picture.metadata.old_sign:
        require(given.application, Permission.UPDATE)
        if not picture.metadata.old_sign:
            return update(ports, Update(ref, picture.key, {"old_sign": old_sign}))
        learn_sign(ports, library, picture.key, old_sign, told=False)
    return picture


def _change_of(said: MetadataGiven) -> PictureChange:
    """Return what an add says of a picture that is there; what it does not say stays."""
    return PictureChange(
        brief=said.brief or UNSET,
        tags=said.tags or UNSET,
        label=said.label,
        desc=said.desc,
        old_cont_sign=UNSET if said.old_cont_sign is None else said.old_cont_sign,
    )


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
    picture = find_picture(ports, library, reading.picture_id(request))
    if conditions.is_not_modified(request, picture.revision):
        return Reply(status=304, revision=picture.revision)
    return Reply(picture_said(library, picture), revision=picture.revision)


def change_picture(ports: Ports, application: Application, request: Request) -> Reply:
    """Change what is said of a picture; members that are absent stay."""
    said = reading.body_of(request, PictureChange)
    library = reading.library_of(ports, application, request.arguments["library"])
    ref = reading.ref_of(library)
    command = Update(
        ref, reading.picture_id(request), reading.change_of(ref, said), revision=conditions.if_match(request)
    )
    picture = update(ports, command)
    return Reply(written_said(application, library, picture), revision=picture.revision)


def delete_picture(ports: Ports, application: Application, request: Request) -> Reply:
    """Delete a picture. It can be restored until it is purged."""
    library = reading.library_of(ports, application, request.arguments["library"])
    id_ = reading.picture_id(request)
    try:
        delete(ports, Delete(reading.ref_of(library), (id_,), revision=conditions.if_match(request)))
    except PictureNotFound as error:
        raise PictureNotFound(id_) from error
    return Reply(status=204)


def restore_picture(ports: Ports, application: Application, request: Request) -> Reply:
    """Restore a deleted picture; one that is not deleted stays as it is."""
    library = reading.library_of(ports, application, request.arguments["library"])
    picture = restore(ports, library, reading.picture_id(request), conditions.if_match(request))
    return Reply(written_said(application, library, picture), revision=picture.revision)


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
    if conditions.is_not_modified(request, image.revision):
        return Reply(status=304, revision=image.revision, headers=headers)
    if isinstance(image.place, str):
        return Reply(status=307, headers=(("location", image.place),))
    file = File(image.data, image.content_type) if image.place is None else FileAt(image.place, image.content_type)
    return Reply(file, revision=image.revision, headers=headers)
