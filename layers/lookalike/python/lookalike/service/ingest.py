"""Making pictures of uploaded objects.

What an object has become is remembered (:class:`~lookalike.model.Upload`), and that memory is changed by conditional
writes alone. It says which event came last, so a doubled or an older one does nothing; and which picture the object
has made, so another object in its place takes that picture away, and nobody else's. An add is foretold in it before
the row is written: after a crash at any point the row shows, when the event comes again, whether it has been added.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from lookalike import jsontext
from lookalike.errors import (
    ApplicationDisabled,
    ApplicationNotFound,
    ArgumentTooLong,
    InvalidArgument,
    LibraryNotFound,
    PictureError,
    PictureExists,
    PictureNotFound,
    PictureSizeError,
    RevisionConflict,
    TooManyItems,
    Unavailable,
)
from lookalike.model import Key, Picture, Shelf, Upload, UploadedObject, next_revision
from lookalike.observability import logger
from lookalike.picture.decode import Bounds
from lookalike.ports import Ports
from lookalike.service.add import Add, add
from lookalike.service.delete import hide
from lookalike.service.libraries import MADE_BY_ADD
from lookalike.service.rows import change, show
from lookalike.service.source import Source
from lookalike.service.tags import tags_of

#: Where uploads lie: ``uploads/<app id>/<library>/<name>``, the name with as many slashes as it likes.
LAYOUT = re.compile(r"uploads/([0-9]{1,20})/([^/]+)/(.+)", re.DOTALL)

#: Largest file. Nothing has to fit into a request here, so this is more than a dialect takes: a PNG of the most pixels
#: that are decoded, unless it is mere noise.
MAX_BYTES = 32 * 1024 * 1024
_MAX_SIDE = 4096
_FORMATS = frozenset({"JPEG", "PNG", "BMP", "GIF", "WEBP"})

#: Longest words, in bytes of UTF-8: brief as Baidu has it, desc as Qiniu has it; tags before they are split.
_MAX_BRIEF, _MAX_LABEL, _MAX_DESC, _MAX_TAGS_TEXT = 256, 256, 4096, 256
_MAX_TAGS = 10


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
        refused = Upload(event.source, event.sequencer)
        if known is not None:  # what the object before has made stays, and is known to be its
            refused = replace(known, sequencer=event.sequencer, foretold=False)
        _remember(ports, refused, known)
        raise


def is_done(ports: Ports, event: Ingest) -> bool:
    """Whether this event, or a later one, is known to be done."""
    known = ports.uploads.upload(event.source)
    return known is not None and _is_past(known, event)


def _is_past(known: Upload, event: Ingest) -> bool:
    order = _order(known.sequencer, event.sequencer)
    return order > 0 or (order == 0 and not known.foretold)


def _has_landed(ports: Ports, known: Upload, event: Ingest) -> bool:
    """Whether what was foretold of this very event has happened after all; if so, that is remembered."""
    if _order(known.sequencer, event.sequencer) != 0 or known.picture is None or known.added is None:
        return False
    row = ports.catalog.picture(known.picture)
    if row is None or row.added < known.added:
        return False
    _remember(ports, replace(known, foretold=False), known)
    return True


def _order(one: str, other: str) -> int:
    """Negative, zero or positive as the one sequencer is before, the same as or after the other."""
    length = max(len(one), len(other))
    first, second = one.lower().ljust(length, "0"), other.lower().ljust(length, "0")
    return (first > second) - (first < second)


def _take(ports: Ports, event: Ingest, known: Upload | None) -> Outcome:
    layout = LAYOUT.fullmatch(event.key)
    if layout is None:
        raise InvalidArgument("key", "is not uploads/<app id>/<library>/<name>")
    app_id, library, name = layout.groups()
    found = ports.objects.head(event.bucket, event.key)
    if found is None:
        return Outcome.GONE
    if event.etag not in (None, found.etag):
        return Outcome.CHANGED_SINCE
    if found.size > MAX_BYTES:
        raise PictureSizeError(f"{found.size} bytes, more than {MAX_BYTES}")
    shelf = _shelf(ports, app_id, library)
    data = ports.objects.read(event.bucket, event.key, found.etag)
    if data is None:
        return Outcome.CHANGED_SINCE
    bounds = Bounds(MAX_BYTES, ports.settings.min_side, _MAX_SIDE, _MAX_SIDE * _MAX_SIDE, _FORMATS)
    outcome = _add(ports, event, known, _command(shelf, Source(bounds, data=data), found, name))
    if outcome in (Outcome.ADDED, Outcome.SAME):
        _clear_away(ports, event, found.etag)
    return outcome


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


def _add(ports: Ports, event: Ingest, known: Upload | None, command: Add) -> Outcome:
    """Add it, and take away what the object before has made."""

    def foretell(picture: Picture) -> None:
        nonlocal known
        if known is not None and known.picture != picture.key:
            _still_latest(ports, event, known)
            _withdraw(ports, known.picture, known.added)
        foretold = Upload(event.source, event.sequencer, picture.key, picture.added, foretold=True)
        _remember(ports, foretold, known)
        known = foretold

    try:
        picture = add(ports, command, foretell)
    except PictureExists as exists:
        _settle(ports, event, known, command, _existing(ports, command.shelf, str(exists)))
        return Outcome.SAME
    return _fulfil(ports, Upload(event.source, event.sequencer, picture.key, picture.added))


def _fulfil(ports: Ports, made: Upload) -> Outcome:
    """What was foretold has been done; unless a later event has gone past it, which wins."""
    try:
        _remember(ports, made, made)
    except RevisionConflict:
        latest = ports.uploads.upload(made.source)
        if latest is None or latest.picture != made.picture:
            _withdraw(ports, made.picture, made.added)
        return Outcome.CHANGED_SINCE
    return Outcome.ADDED


def _existing(ports: Ports, shelf: Shelf, digest: str) -> Picture:
    """The row that kept the picture from being added."""
    library = ports.catalog.library(shelf.tenant, shelf.name)
    row = None if library is None else ports.catalog.picture(Key(library.uid, digest))
    if row is None:
        raise RevisionConflict(digest)
    return row


def _settle(ports: Ports, event: Ingest, known: Upload | None, command: Add, row: Picture) -> None:
    """The picture is there already. If this object has made it, it says what its newer words are."""
    latest = _still_latest(ports, event, known)
    settled = Upload(event.source, event.sequencer)
    if latest is not None and (latest.picture, latest.added) == (row.key, row.added):
        _say(ports, row, command)
        settled = replace(latest, sequencer=event.sequencer, foretold=False)
    elif latest is not None:
        _withdraw(ports, latest.picture, latest.added)
    _remember(ports, settled, latest)


def _still_latest(ports: Ports, event: Ingest, known: Upload | None) -> Upload | None:
    """What is known now, before anything is changed by it. Raises RevisionConflict if another event has come between."""
    latest = ports.uploads.upload(event.source)
    if (latest and latest.sequencer) != (known and known.sequencer):
        raise RevisionConflict(event.source)
    return latest


def _say(ports: Ports, row: Picture, command: Add) -> None:
    words = {"brief": command.brief, "label": command.label, "desc": command.desc, "tags": command.tags}
    if all(getattr(row, name) == value for name, value in words.items()):
        return

    def said(current: Picture | None) -> Picture:
        if current is None or not current.live or current.added != row.added:
            raise PictureNotFound(row.key.id)
        return current.but(revision=next_revision(current.revision, ports.clock()), **words)

    try:
        show(ports, [change(ports, row.key, said)])
    except PictureNotFound as gone:  # deleted just now: the event comes again, and adds it
        raise RevisionConflict(row.key.id) from gone


def _withdraw(ports: Ports, key: Key | None, added: int | None) -> None:
    """Take away what an object has made, if it still is what that object has made."""
    hidden = None if key is None else hide(ports, key, added)
    if hidden is not None:
        show(ports, [hidden])


def _remember(ports: Ports, upload: Upload, known: Upload | None) -> None:
    ports.uploads.save_upload(upload, None if known is None else known.sequencer)


def _clear_away(ports: Ports, event: Ingest, etag: str) -> None:
    """Remove the upload if the settings say so; best effort, for its picture is safe, and it only takes up space."""
    if ports.settings.keep_uploads:
        return
    try:
        ports.objects.remove(event.bucket, event.key, etag)
    except Unavailable:
        logger.exception("an upload could not be removed", extra={"source": event.source})


def _command(shelf: Shelf, source: Source, found: UploadedObject, name: str) -> Add:
    """The add that the object asks for. Without a brief, its name is what answers show."""
    brief = _text(found.words, "brief", _MAX_BRIEF)
    return Add(
        shelf,
        source,
        brief=brief or name.encode()[-_MAX_BRIEF:].decode(errors="ignore"),
        label=_text(found.words, "label", _MAX_LABEL),
        desc=_desc(found.words),
        tags=_tags(shelf, found.words),
    )


def _text(words: Mapping[str, str], name: str, most: int) -> str:
    text = words.get(name, "")
    try:
        length = len(text.encode())
    except UnicodeEncodeError as reason:
        raise InvalidArgument(name, "half a surrogate pair") from reason
    if length > most:
        raise ArgumentTooLong(name, f"more than {most} bytes")
    if "\0" in text:
        raise InvalidArgument(name, "must not hold a NUL character")
    return text


def _desc(words: Mapping[str, str]) -> str:
    desc = _text(words, "desc", _MAX_DESC)
    try:
        return jsontext.compact(jsontext.read(desc.encode())) if desc else ""
    except InvalidArgument as reason:
        raise InvalidArgument("desc", reason.reason) from reason


def _tags(shelf: Shelf, words: Mapping[str, str]) -> tuple[str, ...]:
    parts = (part.strip() for part in _text(words, "tags", _MAX_TAGS_TEXT).split(","))
    tags = tuple(dict.fromkeys(tag for tag in parts if tag))
    if len(tags) > _MAX_TAGS:
        raise TooManyItems("tags", f"more than {_MAX_TAGS}")
    return tags_of(shelf.kind, tags) if shelf.name in MADE_BY_ADD else tags
