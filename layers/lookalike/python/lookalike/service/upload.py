"""Adding pictures from uploaded objects, with a write-ahead log of intents.

Each object has a record (:class:`~lookalike.domain.upload.Upload`), which only conditional writes change. It has the
sequencer of the last event, so that repeated and older events have no effect, and the picture that the object holds:
:mod:`lookalike.service.holders` has the rules for objects that are replaced, renamed and deleted.

An event is processed in these steps, and may be repeated after a crash at any of them: read the record and the object;
record the intent to add (or to join) a picture; carry it out; record that it is settled.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from lookalike.domain.application import Application, Permission
from lookalike.domain.library import LibraryRef
from lookalike.domain.picture import Key, Metadata, Picture
from lookalike.domain.upload import Holding, Upload, UploadState
from lookalike.errors import (
    ApplicationDisabled,
    ApplicationNotFound,
    InvalidArgument,
    LibraryNotFound,
    PictureError,
    PictureExists,
    PictureSizeError,
    RevisionConflict,
    Unavailable,
)
from lookalike.imaging.decode import FORMATS, Bounds
from lookalike.observability import logger
from lookalike.ports import Ports
from lookalike.service.add import Add, attempts, prepare, write
from lookalike.service.capacity import limited, place
from lookalike.service.holders import commit_intent, join, object_removed, record_intent, record_settled, undo_intent
from lookalike.service.image_source import Source
from lookalike.service.libraries import IMPLICIT_LIBRARIES
from lookalike.service.permissions import require, require_library
from lookalike.service.upload_metadata import metadata_digest, metadata_of, place_of

#: Bytes of a file: more than a dialect takes, because no request has to hold it. A PNG of the maximum size in pixels has
#: fewer, unless it is noise.
MAX_BYTES = 32 * 1024 * 1024

#: Pixels of a side.
_MAX_SIDE = 4096


@dataclass(frozen=True, slots=True)
class ObjectCreated:
    """An object was created. ``sequencer`` orders the events of one key; ``etag`` is None if the event has none."""

    bucket: str
    key: str
    sequencer: str
    etag: str | None = None

    @property
    def source(self) -> str:
        """Name of the object, by which its record is found."""
        return f"{self.bucket}/{self.key}"


@dataclass(frozen=True, slots=True)
class ObjectRemoved:
    """An object was removed."""

    bucket: str
    key: str

    @property
    def source(self) -> str:
        """Name of the object, by which its record is found."""
        return f"{self.bucket}/{self.key}"


class Outcome(StrEnum):
    """Outcome of an event."""

    ADDED = "added"
    ALREADY_PRESENT = "same"  #: the library holds this picture already
    DUPLICATE_EVENT = "done before"  #: the event, or a later one, is done already
    SUPERSEDED = "changed since"  #: the object has changed, and an event of its own will follow
    GONE = "gone"  #: the object is gone


def ingest(ports: Ports, event: ObjectCreated) -> Outcome:
    """Add the object's picture. Events may be repeated, and come in any order.

    Raises InvalidArgument or a PictureError if the object cannot become a picture, which is recorded;
    ApplicationNotFound, ApplicationDisabled or LibraryNotFound if it has no library, or LibraryFull if that takes no more,
    which may change; and Unavailable or RevisionConflict if the event has to be delivered again.
    """
    known = ports.uploads.upload(event.source)
    if known is not None and (_is_settled(known, event) or _already_applied(ports, known, event)):
        return Outcome.DUPLICATE_EVENT
    try:
        return _process(ports, event, known)
    except (InvalidArgument, PictureError):
        _record_refusal(ports, event, known)
        raise


def remove(ports: Ports, event: ObjectRemoved) -> Outcome:
    """Process an object's removal: its picture stays, with the metadata of another upload that holds it, if any."""
    return Outcome.GONE if object_removed(ports, event.source) else Outcome.SUPERSEDED


def is_processed(ports: Ports, event: ObjectCreated) -> bool:
    """Whether this event, or a later one, is recorded as done."""
    known = ports.uploads.upload(event.source)
    return known is not None and _is_settled(known, event)


def _is_settled(known: Upload, event: ObjectCreated) -> bool:
    order = _order(known.sequencer, event.sequencer)
    return order > 0 or (order == 0 and known.state is UploadState.SETTLED)


def _has_intent(known: Upload, event: ObjectCreated) -> bool:
    """Whether this very event has recorded an intent that is not settled, because it was interrupted."""
    intent = known.state in (UploadState.ADDING, UploadState.JOINING)
    return intent and _order(known.sequencer, event.sequencer) == 0


def _already_applied(ports: Ports, known: Upload, event: ObjectCreated) -> bool:
    """Whether the add that this event intended has been carried out; if so, it is settled.

    False if the object still has to be removed: then the event is processed again.
    """
    if not _has_intent(known, event) or known.state is not UploadState.ADDING or known.holds is None:
        return False
    row = ports.catalog.picture(known.holds.picture)
    if row is None or not (row.added == known.holds.added or _was_replaced(row, known.holds)):
        return False
    if row.added == known.holds.added and row.live and known.cleared:
        return False
    commit_intent(ports, known)
    return True


def _was_replaced(row: Picture, holds: Holding) -> bool:
    """Whether a client has replaced what the upload added.

    True only where pictures have callers' ids: an upload's is random, so nobody else can have added a picture by it first.
    """
    return row.key.id != row.digest and holds.added is not None and row.added > holds.added


def _record_refusal(ports: Ports, event: ObjectCreated, known: Upload | None) -> None:
    """Record that the object was refused: the upload still holds the picture that it held before."""
    if known is None:
        ports.uploads.save_upload(Upload(event.source, event.sequencer), None)
        return
    record_settled(ports, known, replace(known, sequencer=event.sequencer))


def _order(one: str, other: str) -> int:
    """Compare sequencers: negative, zero or positive if ``one`` is before, the same as or after ``other``."""
    length = max(len(one), len(other))
    first, second = one.lower().ljust(length, "0"), other.lower().ljust(length, "0")
    return (first > second) - (first < second)


def _process(ports: Ports, event: ObjectCreated, known: Upload | None) -> Outcome:
    app_id, library, _ = place_of(event.key)
    found = ports.objects.head(event.bucket, event.key)
    if found is None:
        if known is not None and _has_intent(known, event):  # which may have removed the object itself
            commit_intent(ports, known)
        return Outcome.GONE
    if event.etag not in (None, found.etag):
        return Outcome.SUPERSEDED
    if found.size > MAX_BYTES:
        raise PictureSizeError(f"{found.size} bytes, more than {MAX_BYTES}")
    application = _application(ports, app_id, library)
    ports, ref = limited(ports, application), _library_ref(ports, application, library)
    metadata = metadata_of(event.key, ref.kind, found)
    data = ports.objects.read(event.bucket, event.key, found.etag)
    if data is None:
        return Outcome.SUPERSEDED
    bounds = Bounds(MAX_BYTES, ports.settings.min_side, _MAX_SIDE, _MAX_SIDE * _MAX_SIDE, FORMATS)
    outcome, recorded = _add_or_join(ports, event, known, ref, Source(bounds, data=data), metadata)
    if recorded is None:
        return outcome
    if recorded.cleared:
        _remove_object(ports, event, found.etag)
    return outcome if commit_intent(ports, recorded) else Outcome.SUPERSEDED


def _application(ports: Ports, app_id: str, library: str) -> Application:
    """Return the application whose object goes into that library. Raises an AccessError."""
    application = ports.applications.application_by_id(app_id)
    if application is None:
        raise ApplicationNotFound(f"no application has the app id {app_id}")
    if not application.active:
        raise ApplicationDisabled(f"the application of app id {app_id} is switched off")
    require(application, Permission.ADD)
    require_library(application, library)
    return application


def _library_ref(ports: Ports, application: Application, name: str) -> LibraryRef:
    """Return the library of an object. Raises LibraryNotFound."""
    if name in IMPLICIT_LIBRARIES:
        return LibraryRef(application.tenant, name, IMPLICIT_LIBRARIES[name])
    library = ports.catalog.library(application.tenant, name)
    if library is None:
        raise LibraryNotFound(name)
    return LibraryRef(application.tenant, name, library.kind, library.identity)


def _add_or_join(
    ports: Ports, event: ObjectCreated, known: Upload | None, ref: LibraryRef, source: Source, metadata: Metadata
) -> tuple[Outcome, Upload | None]:
    """Add the picture, or join the row that is there; return the outcome, and the intent that has to be settled."""
    intent = Upload(event.source, event.sequencer, cleared=not ports.settings.keep_uploads)
    recorded: Upload | None = None  # this event's intent
    try:
        prepared = prepare(ports, Add(ref, source, metadata))
        for attempt in attempts(ports, prepared):
            picture = attempt.picture
            if known is not None and _was_settled_by(known, event):  # a client has deleted its picture since
                _record_refusal(ports, event, known)
                return Outcome.DUPLICATE_EVENT, None
            with place(ports, prepared.library, needed=attempt.adds) as held:
                recorded = _undo_other(ports, recorded, picture.key)
                holds = Holding(picture.key, picture.added, metadata_digest(metadata))
                recorded = record_intent(ports, replace(intent, state=UploadState.ADDING), holds, recorded or known)
                if write(held, prepared.loaded.data, attempt):
                    break
    except PictureExists as exists:
        row = _existing_row(ports, ref, exists.key)
        recorded = _undo_other(ports, recorded, row.key)
        return Outcome.ALREADY_PRESENT, join(ports, intent, recorded or known, row, metadata)
    return Outcome.ADDED, recorded


def _was_settled_by(known: Upload, event: ObjectCreated) -> bool:
    """Whether an earlier version of lookalike settled this very event, without recording which picture the upload holds."""
    return known.state is UploadState.UNSURE and _order(known.sequencer, event.sequencer) == 0


def _undo_other(ports: Ports, recorded: Upload | None, picture: Key) -> Upload | None:
    """Undo this event's intent if it is to add another row than ``picture``: that attempt lost a race."""
    if recorded is None or recorded.holds is None or recorded.holds.picture == picture:
        return recorded
    return undo_intent(ports, recorded)


def _existing_row(ports: Ports, ref: LibraryRef, key: Key) -> Picture:
    """Return the row that prevented the add. Raises RevisionConflict if the row, or its library, is gone."""
    library = ports.catalog.library(ref.tenant, ref.name)
    row = None if library is None or library.uid != key.library else ports.catalog.picture(key)
    if row is None:
        raise RevisionConflict(key.id)
    return row


def _remove_object(ports: Ports, event: ObjectCreated, etag: str) -> None:
    """Remove the object, best effort: its picture is safe, and it only takes up space."""
    try:
        ports.objects.remove(event.bucket, event.key, etag)
    except Unavailable:
        logger.exception("an upload could not be removed", extra={"source": event.source})
