"""Making pictures of uploaded objects.

What an object has become is remembered (:class:`~lookalike.domain.upload.Upload`), and that memory is changed by conditional
writes alone. It says which event came last, so a doubled or an older one does nothing, and which picture lies in the
object: :mod:`lookalike.service.holders` says what becomes of a picture when objects are replaced, renamed and deleted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from lookalike.domain.library import Shelf
from lookalike.domain.picture import Key, Metadata, Picture
from lookalike.domain.upload import Holding, Upload, UploadState
from lookalike.errors import (
    ApplicationDisabled,
    ApplicationNotFound,
    InvalidArgument,
    LibraryNotFound,
    PictureError,
    PictureExists,
    PictureNotFound,
    PictureSizeError,
    RevisionConflict,
    Unavailable,
)
from lookalike.imaging.decode import Bounds
from lookalike.observability import logger
from lookalike.ports import Ports
from lookalike.service.add import Add, add
from lookalike.service.holders import conclude, intend, join, settle, vanish, withdraw
from lookalike.service.image_source import Source
from lookalike.service.libraries import MADE_BY_ADD
from lookalike.service.upload_metadata import metadata_digest, metadata_of, place_of

#: Largest file. Nothing has to fit into a request here, so this is more than a dialect takes: a PNG of the most pixels
#: that are decoded, unless it is mere noise.
MAX_BYTES = 32 * 1024 * 1024
_MAX_SIDE = 4096
_FORMATS = frozenset({"JPEG", "PNG", "BMP", "GIF", "WEBP"})


@dataclass(frozen=True, slots=True)
class Ingest:
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
class Removal:
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
    SAME = "same"  #: the library holds this picture already
    DONE_BEFORE = "done before"  #: a doubled event, or an older one than what was done
    CHANGED_SINCE = "changed since"  #: another object is there now, whose own event will come
    GONE = "gone"


def ingest(ports: Ports, event: Ingest) -> Outcome:
    """Add the picture that the object is; safe to repeat, to double and to put out of order.

    Raises InvalidArgument or a PictureError if the object never can be a picture, which is remembered;
    ApplicationNotFound, ApplicationDisabled or LibraryNotFound if there is no place for it, which may change; and
    Unavailable or RevisionConflict if the event has to come again.
    """
    known = ports.uploads.upload(event.source)
    if known is not None and (_is_past(known, event) or _has_landed(ports, known, event)):
        return Outcome.DONE_BEFORE
    try:
        return _take(ports, event, known)
    except (InvalidArgument, PictureError):
        _pass_over(ports, event, known)
        raise


def remove(ports: Ports, event: Removal) -> Outcome:
    """An object was deleted: its picture stays, with the words of another upload that holds it, if there is one."""
    return Outcome.GONE if vanish(ports, event.source) else Outcome.CHANGED_SINCE


def is_done(ports: Ports, event: Ingest) -> bool:
    """Whether this event, or a later one, is known to be done."""
    known = ports.uploads.upload(event.source)
    return known is not None and _is_past(known, event)


def _is_past(known: Upload, event: Ingest) -> bool:
    order = _order(known.sequencer, event.sequencer)
    return order > 0 or (order == 0 and known.state is UploadState.SETTLED)


def _is_begun(known: Upload, event: Ingest) -> bool:
    """Whether this very event has recorded what it intends, and broke off before that was settled."""
    intent = known.state in (UploadState.ADDING, UploadState.JOINING)
    return intent and _order(known.sequencer, event.sequencer) == 0


def _has_landed(ports: Ports, known: Upload, event: Ingest) -> bool:
    """Whether the add that this event intended has happened; if so, it is settled.

    If the object is still to be cleared away, the event is done again instead.
    """
    if not _is_begun(known, event) or known.state is not UploadState.ADDING or known.holds is None:
        return False
    row = ports.catalog.picture(known.holds.picture)
    if row is None or row.added != known.holds.added or (row.live and known.cleared):
        return False
    settle(ports, known)
    return True


def _pass_over(ports: Ports, event: Ingest, known: Upload | None) -> None:
    """What the object is now was refused: what it held before stays, and is known to be its."""
    if known is None:
        ports.uploads.save_upload(Upload(event.source, event.sequencer), None)
        return
    conclude(ports, known, replace(known, sequencer=event.sequencer))


def _order(one: str, other: str) -> int:
    """Negative, zero or positive as the one sequencer is before, the same as or after the other."""
    length = max(len(one), len(other))
    first, second = one.lower().ljust(length, "0"), other.lower().ljust(length, "0")
    return (first > second) - (first < second)


def _take(ports: Ports, event: Ingest, known: Upload | None) -> Outcome:
    app_id, library, _ = place_of(event.key)
    found = ports.objects.head(event.bucket, event.key)
    if found is None:
        if known is not None and _is_begun(known, event):  # and perhaps cleared away since
            settle(ports, known)
        return Outcome.GONE
    if event.etag not in (None, found.etag):
        return Outcome.CHANGED_SINCE
    if found.size > MAX_BYTES:
        raise PictureSizeError(f"{found.size} bytes, more than {MAX_BYTES}")
    shelf = _shelf(ports, app_id, library)
    metadata = metadata_of(event.key, shelf.kind, found)
    data = ports.objects.read(event.bucket, event.key, found.etag)
    if data is None:
        return Outcome.CHANGED_SINCE
    bounds = Bounds(MAX_BYTES, ports.settings.min_side, _MAX_SIDE, _MAX_SIDE * _MAX_SIDE, _FORMATS)
    outcome, recorded = _keep(ports, event, known, shelf, Source(bounds, data=data), metadata)
    if recorded is None:
        return outcome
    if recorded.cleared:
        _clear_away(ports, event, found.etag)
    return outcome if settle(ports, recorded) else Outcome.CHANGED_SINCE


def _shelf(ports: Ports, app_id: str, name: str) -> Shelf:
    """Where the object belongs."""
    application = ports.applications.application_by_id(app_id)
    if application is None:
        raise ApplicationNotFound(f"no application has the app id {app_id}")
    if not application.active:
        raise ApplicationDisabled(f"the application of app id {app_id} is switched off")
    if name in MADE_BY_ADD:
        return Shelf(application.tenant, name, MADE_BY_ADD[name])
    library = ports.catalog.library(application.tenant, name)
    if library is None:
        raise LibraryNotFound(name)
    return Shelf(application.tenant, name, library.kind, library.identity)


def _keep(
    ports: Ports, event: Ingest, known: Upload | None, shelf: Shelf, source: Source, metadata: Metadata
) -> tuple[Outcome, Upload | None]:
    """Add the picture, or hold the one that is there: the outcome, and what is recorded and still to be settled."""
    intent = Upload(event.source, event.sequencer, cleared=not ports.settings.keep_uploads)
    latest = known

    def withdraw_other(picture: Key) -> None:
        """An add of this event was to make another row, and lost that to another picture."""
        nonlocal latest
        if latest is not None and latest is not known and latest.holds is not None and latest.holds.picture != picture:
            latest = withdraw(ports, latest)

    def foretell(picture: Picture) -> None:
        nonlocal latest
        withdraw_other(picture.key)
        if latest is not None and latest.state is UploadState.UNSURE and _order(latest.sequencer, event.sequencer) == 0:
            raise PictureNotFound(picture.key.id)
        holds = Holding(picture.key, picture.added, metadata_digest(metadata))
        latest = intend(ports, replace(intent, state=UploadState.ADDING), holds, latest)

    try:
        add(ports, Add(shelf, source, metadata), foretell)
    except PictureExists as exists:
        row = _existing(ports, shelf, str(exists))
        withdraw_other(row.key)
        return Outcome.SAME, join(ports, intent, latest, row, metadata)
    except PictureNotFound:  # it was there once, and somebody has deleted it since
        _pass_over(ports, event, latest)
        return Outcome.DONE_BEFORE, None
    return Outcome.ADDED, latest


def _existing(ports: Ports, shelf: Shelf, digest: str) -> Picture:
    """The row that kept the picture from being added."""
    library = ports.catalog.library(shelf.tenant, shelf.name)
    row = None if library is None else ports.catalog.picture(Key(library.uid, digest))
    if row is None:
        raise RevisionConflict(digest)
    return row


def _clear_away(ports: Ports, event: Ingest, etag: str) -> None:
    """Remove the upload, best effort: its picture is safe, and it only takes up space."""
    try:
        ports.objects.remove(event.bucket, event.key, etag)
    except Unavailable:
        logger.exception("an upload could not be removed", extra={"source": event.source})
