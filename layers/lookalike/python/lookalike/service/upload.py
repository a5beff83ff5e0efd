"""Making pictures of uploaded objects.

What an object has become is remembered (:class:`~lookalike.domain.upload.Upload`), and that memory is changed by conditional
writes alone. It says which event came last, so a doubled or an older one does nothing, and which picture lies in the
object: :mod:`lookalike.service.holders` says what becomes of a picture when objects are replaced, renamed and deleted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

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
from lookalike.imaging.decode import Bounds
from lookalike.observability import logger
from lookalike.ports import Ports
from lookalike.service.add import Add, attempts, prepare, write
from lookalike.service.holders import commit_intent, join, object_removed, record_intent, record_settled, undo_intent
from lookalike.service.image_source import Source
from lookalike.service.libraries import IMPLICIT_LIBRARIES
from lookalike.service.upload_metadata import metadata_digest, metadata_of, place_of

#: Largest file. Nothing has to fit into a request here, so this is more than a dialect takes: a PNG of the most pixels
#: that are decoded, unless it is mere noise.
MAX_BYTES = 32 * 1024 * 1024
_MAX_SIDE = 4096
_FORMATS = frozenset({"JPEG", "PNG", "BMP", "GIF", "WEBP"})


@dataclass(frozen=True, slots=True)
class ObjectCreated:
    """An object was put. ``sequencer`` orders the events of one key; ``etag`` is the object's, if the event says it."""

    bucket: str
    key: str
    sequencer: str
    etag: str | None = None

    @property
    def source(self) -> str:
        """The object's name, by which what it becomes is remembered."""
        return f"{self.bucket}/{self.key}"


@dataclass(frozen=True, slots=True)
class ObjectRemoved:
    """An object was deleted."""

    bucket: str
    key: str

    @property
    def source(self) -> str:
        """The object's name."""
        return f"{self.bucket}/{self.key}"


class Outcome(StrEnum):
    """What became of an event."""

    ADDED = "added"
    ALREADY_PRESENT = "same"  #: the library holds this picture already
    DUPLICATE_EVENT = "done before"  #: a doubled event, or an older one than what was done
    SUPERSEDED = "changed since"  #: another object is there now, whose own event will come
    GONE = "gone"


def ingest(ports: Ports, event: ObjectCreated) -> Outcome:
    """Add the picture that the object is; safe to repeat, to double and to put out of order.

    Raises InvalidArgument or a PictureError if the object never can be a picture, which is remembered;
    ApplicationNotFound, ApplicationDisabled or LibraryNotFound if there is no place for it, which may change; and
    Unavailable or RevisionConflict if the event has to come again.
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
    """An object was deleted: its picture stays, with the words of another upload that holds it, if there is one."""
    return Outcome.GONE if object_removed(ports, event.source) else Outcome.SUPERSEDED


def is_processed(ports: Ports, event: ObjectCreated) -> bool:
    """Whether this event, or a later one, is known to be done."""
    known = ports.uploads.upload(event.source)
    return known is not None and _is_settled(known, event)


def _is_settled(known: Upload, event: ObjectCreated) -> bool:
    order = _order(known.sequencer, event.sequencer)
    return order > 0 or (order == 0 and known.state is UploadState.SETTLED)


def _has_intent(known: Upload, event: ObjectCreated) -> bool:
    """Whether this very event has recorded what it intends, and broke off before that was settled."""
    intent = known.state in (UploadState.ADDING, UploadState.JOINING)
    return intent and _order(known.sequencer, event.sequencer) == 0


def _already_applied(ports: Ports, known: Upload, event: ObjectCreated) -> bool:
    """Whether the add that this event intended has happened; if so, it is settled.

    If the object is still to be cleared away, the event is done again instead.
    """
    if not _has_intent(known, event) or known.state is not UploadState.ADDING or known.holds is None:
        return False
    row = ports.catalog.picture(known.holds.picture)
    if row is None or row.added != known.holds.added or (row.live and known.cleared):
        return False
    commit_intent(ports, known)
    return True


def _record_refusal(ports: Ports, event: ObjectCreated, known: Upload | None) -> None:
    """What the object is now was refused: what it held before stays, and is known to be its."""
    if known is None:
        ports.uploads.save_upload(Upload(event.source, event.sequencer), None)
        return
    record_settled(ports, known, replace(known, sequencer=event.sequencer))


def _order(one: str, other: str) -> int:
    """Negative, zero or positive as the one sequencer is before, the same as or after the other."""
    length = max(len(one), len(other))
    first, second = one.lower().ljust(length, "0"), other.lower().ljust(length, "0")
    return (first > second) - (first < second)


def _process(ports: Ports, event: ObjectCreated, known: Upload | None) -> Outcome:
    app_id, library, _ = place_of(event.key)
    found = ports.objects.head(event.bucket, event.key)
    if found is None:
        if known is not None and _has_intent(known, event):  # and perhaps cleared away since
            commit_intent(ports, known)
        return Outcome.GONE
    if event.etag not in (None, found.etag):
        return Outcome.SUPERSEDED
    if found.size > MAX_BYTES:
        raise PictureSizeError(f"{found.size} bytes, more than {MAX_BYTES}")
    ref = _library_ref(ports, app_id, library)
    metadata = metadata_of(event.key, ref.kind, found)
    data = ports.objects.read(event.bucket, event.key, found.etag)
    if data is None:
        return Outcome.SUPERSEDED
    bounds = Bounds(MAX_BYTES, ports.settings.min_side, _MAX_SIDE, _MAX_SIDE * _MAX_SIDE, _FORMATS)
    outcome, recorded = _add_or_join(ports, event, known, ref, Source(bounds, data=data), metadata)
    if recorded is None:
        return outcome
    if recorded.cleared:
        _remove_object(ports, event, found.etag)
    return outcome if commit_intent(ports, recorded) else Outcome.SUPERSEDED


def _library_ref(ports: Ports, app_id: str, name: str) -> LibraryRef:
    """Where the object belongs."""
    application = ports.applications.application_by_id(app_id)
    if application is None:
        raise ApplicationNotFound(f"no application has the app id {app_id}")
    if not application.active:
        raise ApplicationDisabled(f"the application of app id {app_id} is switched off")
    if name in IMPLICIT_LIBRARIES:
        return LibraryRef(application.tenant, name, IMPLICIT_LIBRARIES[name])
    library = ports.catalog.library(application.tenant, name)
    if library is None:
        raise LibraryNotFound(name)
    return LibraryRef(application.tenant, name, library.kind, library.identity)


def _add_or_join(
    ports: Ports, event: ObjectCreated, known: Upload | None, ref: LibraryRef, source: Source, metadata: Metadata
) -> tuple[Outcome, Upload | None]:
    """Add the picture, or hold the one that is there: the outcome, and what is recorded and still to be settled."""
    intent = Upload(event.source, event.sequencer, cleared=not ports.settings.keep_uploads)
    recorded: Upload | None = None  # by this event
    try:
        prepared = prepare(ports, Add(ref, source, metadata))
        for attempt in attempts(ports, prepared):
            picture = attempt.picture
            if known is not None and _was_settled_by(known, event):  # somebody has deleted its picture since
                _record_refusal(ports, event, known)
                return Outcome.DUPLICATE_EVENT, None
            recorded = _undo_other(ports, recorded, picture.key)
            holds = Holding(picture.key, picture.added, metadata_digest(metadata))
            recorded = record_intent(ports, replace(intent, state=UploadState.ADDING), holds, recorded or known)
            if write(ports, prepared, attempt):
                break
    except PictureExists as exists:
        row = _existing_row(ports, ref, exists.key)
        recorded = _undo_other(ports, recorded, row.key)
        return Outcome.ALREADY_PRESENT, join(ports, intent, recorded or known, row, metadata)
    return Outcome.ADDED, recorded


def _was_settled_by(known: Upload, event: ObjectCreated) -> bool:
    """Whether this very event was settled by an earlier version, which did not say which picture the upload holds."""
    return known.state is UploadState.UNSURE and _order(known.sequencer, event.sequencer) == 0


def _undo_other(ports: Ports, recorded: Upload | None, picture: Key) -> Upload | None:
    """Withdraw this event's intent to add another row than ``picture``: that attempt lost to another picture."""
    if recorded is None or recorded.holds is None or recorded.holds.picture == picture:
        return recorded
    return undo_intent(ports, recorded)


def _existing_row(ports: Ports, ref: LibraryRef, key: Key) -> Picture:
    """The row that kept the picture from being added. Raises RevisionConflict if it, or its library, is gone."""
    library = ports.catalog.library(ref.tenant, ref.name)
    row = None if library is None or library.uid != key.library else ports.catalog.picture(key)
    if row is None:
        raise RevisionConflict(key.id)
    return row


def _remove_object(ports: Ports, event: ObjectCreated, etag: str) -> None:
    """Remove the upload, best effort: its picture is safe, and it only takes up space."""
    try:
        ports.objects.remove(event.bucket, event.key, etag)
    except Unavailable:
        logger.exception("an upload could not be removed", extra={"source": event.source})
