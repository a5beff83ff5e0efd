"""Which uploads hold a picture: it stays as long as one of them does.

Each upload's record (:class:`~lookalike.domain.upload.Upload`) says which picture lies in it, and is changed by conditional
writes alone. Several uploads may hold one picture; its words are those of one that still lies there.

- **Write-ahead intent.** What an upload is about to hold is recorded before anything is done, and with it the picture
  that it leaves. After a crash at any point the event comes again, and goes on where the record says it was.
- **Join.** An upload of a picture that the library has records that it holds it, and then writes the picture's row.
- **Release.** Of a picture that an upload leaves, the row is read first and its holders after it. If none is left the
  row is hidden, but only at the revision that was read. So of a join and a release at the same time one sees the other:
  either the holder is found, or its write of the row makes the release look again.
- **A picture of somebody else's**, added by a client, is held without the revision of its add, and never hidden.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from itertools import islice

from lookalike.domain.picture import Metadata, Picture, next_revision
from lookalike.domain.upload import Holding, Upload, UploadState
from lookalike.errors import InvalidArgument, PictureNotFound, RevisionConflict, Unavailable
from lookalike.ports import Ports
from lookalike.service.catalog_writes import change, show
from lookalike.service.delete import hidden
from lookalike.service.upload_metadata import metadata_digest, metadata_of

#: Of so many holders one is looked for that says whose a picture is. All of them say the same, but for rare races.
_LOOKS = 200


class _NothingToDo(Exception):  # noqa: N818 - it stands for no error
    """The row is as it should be."""


def intend(ports: Ports, intent: Upload, holds: Holding, known: Upload | None) -> Upload:
    """Record what an upload is about to hold, in place of what is ``known`` of it; the record, with what it leaves.

    Raises RevisionConflict if another event of the upload has come between.
    """
    leaves = None if known is None else known.leaves
    if known is not None and known.holds is not None and known.holds.picture != holds.picture:
        if leaves is not None and leaves.picture != holds.picture:
            release(ports, leaves, _bucket(intent))  # which an event that broke off has left undone
        leaves = known.holds
    recorded = replace(intent, holds=holds, leaves=leaves)
    ports.uploads.save_upload(recorded, known)
    return recorded


def withdraw(ports: Ports, intent: Upload) -> Upload:
    """What was intended was not done, and nothing of it is kept: record that the upload holds, and leaves, none of it."""
    withdrawn = replace(intent, holds=None)
    ports.uploads.save_upload(withdrawn, intent)
    return withdrawn


def settle(ports: Ports, intent: Upload) -> bool:
    """What was intended has been done: release what the upload leaves. False if a later event has gone past it."""
    try:
        conclude(ports, intent, intent)
    except RevisionConflict:
        if intent.state is UploadState.ADDING:
            _give_up(ports, intent)
        return False
    return True


def conclude(ports: Ports, known: Upload, upload: Upload) -> None:
    """Release what the upload ``known`` still leaves, and record in its place that ``upload`` is settled.

    Raises RevisionConflict if another event of the upload has come between.
    """
    if known.leaves is not None:
        release(ports, known.leaves, _bucket(known))
    ports.uploads.save_upload(replace(upload, state=UploadState.SETTLED, leaves=None), known)


def _give_up(ports: Ports, added: Upload) -> None:
    """A later event went past an add before its row was there, and so could not release it."""
    if added.holds is None:
        return
    latest = ports.uploads.upload(added.source)
    if latest is None or latest.holds is None or latest.holds.picture != added.holds.picture:
        release(ports, added.holds, _bucket(added))
    elif latest.holds.added != added.holds.added:  # it found the picture there, and could not know whose it is
        ports.uploads.save_upload(replace(latest, holds=replace(latest.holds, added=added.holds.added)), latest)


def join(ports: Ports, intent: Upload, known: Upload | None, row: Picture, metadata: Metadata) -> Upload:
    """Let the upload hold a picture that the library has; its words are said unless another upload speaks for it.

    What is recorded, which is still to be settled. Raises RevisionConflict if the event has to come again.
    """
    mine = known is not None and _holds(known, row) and known.state is not UploadState.JOINING
    # What an event that broke off was to leave for another picture: this one takes its place, and it is held again.
    left = known.leaves if known is not None and _is_of(known.leaves, row) else None
    before = known.holds if known is not None and mine else left
    ours = before is not None or any(_holds(one, row) for one in islice(ports.uploads.holders(row.key), _LOOKS))
    held = Holding(row.key, row.added if ours else None, metadata_digest(metadata))
    speaks = before is not None and _said(before, row)
    joining = intend(ports, replace(intent, state=UploadState.JOINING), held, known)
    if mine and row.metadata == metadata:
        return joining
    gone: list[Upload] = []

    def step(current: Picture | None) -> Picture:
        if current is None or not current.live or current.added != row.added:
            raise PictureNotFound(row.key.id)
        if ports.uploads.upload(intent.source) != joining:
            raise RevisionConflict(intent.source)
        gone[:] = []
        heir = None if speaks else _heir(ports, current, _bucket(intent), gone, but=intent.source)
        revision = next_revision(current.revision, ports.clock())
        if ours and (heir is None or _one_said(gone, current)):
            return current.but(revision=revision, metadata=metadata)
        return current.but(revision=revision)

    try:
        show(ports, [change(ports, row.key, step)])
    except PictureNotFound as deleted:  # just now: the event comes again, and adds it
        raise RevisionConflict(row.key.id) from deleted
    _forget(ports, gone)
    return joining


def release(ports: Ports, left: Holding, bucket: str) -> None:
    """An upload in this bucket holds the picture no more: hide it, unless another does, whose words it then has."""
    gone: list[Upload] = []

    def step(current: Picture | None) -> Picture:
        if current is None or not current.live or current.added != left.added:
            raise _NothingToDo
        gone[:] = []
        heir = _heir(ports, current, bucket, gone)
        if heir is None:
            return hidden(current, ports.clock())
        _inherit(ports, heir, current)
        spoke = _said(left, current) or _one_said(gone, current)
        metadata = _metadata(ports, heir, current, bucket) if spoke else None
        if metadata is None or metadata == current.metadata:
            raise _NothingToDo
        return current.but(revision=next_revision(current.revision, ports.clock()), metadata=metadata)

    with suppress(_NothingToDo):
        show(ports, [change(ports, left.picture, step)])
    _forget(ports, gone)


def vanish(ports: Ports, source: str) -> bool:
    """An object may have been deleted: if another upload holds its picture, that one speaks for it from now on.

    Otherwise the picture stays as it is. False if the object lies there.
    """
    known = ports.uploads.upload(source)
    if known is None or known.holds is None or known.state is not UploadState.SETTLED or _cleared(ports, known):
        return True
    if _lies(ports, known, _bucket(known)):
        return False
    row = ports.catalog.picture(known.holds.picture)
    if row is not None and _holds(known, row) and _heir(ports, row, _bucket(known), [], but=source) is not None:
        release(ports, known.holds, _bucket(known))
    return True


def unheard(ports: Ports, source: str) -> list[str]:
    """Other uploads of this one's picture whose objects are gone, if it has the words of another."""
    known = ports.uploads.upload(source)
    row = None if known is None or known.holds is None else ports.catalog.picture(known.holds.picture)
    if known is None or known.holds is None or row is None or not _holds(known, row) or _said(known.holds, row):
        return []
    others = (one for one in ports.uploads.holders(row.key) if one.source != source)
    return [one.source for one in others if not _lies(ports, one, _bucket(known)) and not _cleared(ports, one)]


def _holds(upload: Upload, row: Picture) -> bool:
    """Whether the upload holds the picture as the add that made this row made it."""
    return _is_of(upload.holds, row)


def _is_of(holding: Holding | None, row: Picture) -> bool:
    return holding is not None and (holding.picture, holding.added) == (row.key, row.added)


def _said(holding: Holding, row: Picture) -> bool:
    """Whether the row's words are those of this upload, as far as is known."""
    return holding.words in ("", metadata_digest(row.metadata))


def _one_said(uploads: list[Upload], row: Picture) -> bool:
    return any(one.holds is not None and _said(one.holds, row) for one in uploads)


def _heir(ports: Ports, row: Picture, bucket: str, gone: list[Upload], but: str = "") -> Upload | None:
    """A holder of the picture that lies there, other than ``but``; ``gone`` gathers those that do not."""
    for one in ports.uploads.holders(row.key):
        if one.source == but:
            continue
        if _lies(ports, one, bucket) or (
            _cleared(ports, one) and one.holds is not None and one.holds.added in (None, row.added)
        ):
            return one
        gone.append(one)
    return None


def _inherit(ports: Ports, heir: Upload, row: Picture) -> None:
    """The heir may hold the picture as it was before somebody deleted it, or had added it; now it is its own."""
    if heir.holds is not None and heir.holds.added != row.added:
        try:
            ports.uploads.save_upload(replace(heir, holds=replace(heir.holds, added=row.added)), heir)
        except RevisionConflict as conflict:  # which is not one of the upload that is worked on
            raise Unavailable(f"{heir.source} has changed just now") from conflict


def _lies(ports: Ports, upload: Upload, bucket: str) -> bool:
    """Whether the upload's object is there, or in another than this bucket, where nobody can tell."""
    if _bucket(upload) != bucket:
        return True
    try:
        return ports.objects.head(bucket, _key(upload)) is not None
    except InvalidArgument:  # of what is said of it
        return True


def _cleared(ports: Ports, upload: Upload) -> bool:
    """Whether the upload's object was removed because its picture had been added."""
    return upload.cleared or not ports.settings.keep_uploads


def _metadata(ports: Ports, upload: Upload, row: Picture, bucket: str) -> Metadata | None:
    """The upload's metadata as it is now; None if that cannot be known."""
    try:
        found = ports.objects.head(bucket, _key(upload)) if _bucket(upload) == bucket else None
        return None if found is None else metadata_of(_key(upload), row.kind, found)
    except InvalidArgument:
        return None


def _forget(ports: Ports, gone: list[Upload]) -> None:
    """Objects that are gone hold nothing. Should one come back as it was, it is looked at afresh."""
    for one in gone:
        if one.state is UploadState.SETTLED:
            with suppress(RevisionConflict):  # it has come back
                ports.uploads.save_upload(replace(one, holds=None, state=UploadState.GONE), one)


def _bucket(upload: Upload) -> str:
    return upload.source.partition("/")[0]


def _key(upload: Upload) -> str:
    return upload.source.partition("/")[2]
