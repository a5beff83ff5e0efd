"""Uploads that hold pictures: a picture stays in its library as long as one of its uploads holds it.

Each upload's record (:class:`~lookalike.domain.upload.Upload`) names the picture that it holds, and only conditional writes
change it. Several uploads may hold one picture, which has the metadata of one whose object still exists.

- **Write-ahead intent.** Before an upload adds or joins a picture, its record names that picture, and the one that it
  leaves. After a crash at any point the event is delivered again, and continues from the record.
- **Join.** An upload of a picture that the library has records that it holds the picture, then writes the picture's row.
- **Release.** When an upload leaves a picture, the picture's row is read first and its holders after it. If there are none,
  the row is hidden, but only at the revision that was read. So of a join and a release at the same time one sees the
  other: either the release finds the new holder, or the join's write of the row makes the release read again.
- **Clients' pictures** are held without the revision of their add, and no release hides them.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from itertools import islice

from lookalike.domain.picture import Metadata, Picture, next_revision
from lookalike.domain.upload import Holding, Upload, UploadState
from lookalike.errors import InvalidArgument, RevisionConflict, Unavailable
from lookalike.ports import Ports
from lookalike.service.catalog_writes import compare_and_set, publish_to_index
from lookalike.service.delete import hidden
from lookalike.service.upload_metadata import metadata_digest, metadata_of

#: Holders read to find out whether an upload added a picture. All of them agree, except in rare races.
_MAX_HOLDERS_READ = 200


def record_intent(ports: Ports, intent: Upload, holds: Holding, known: Upload | None) -> Upload:
    """Record the intent to hold a picture in place of the record ``known``; return it, with the picture that it leaves.

    Raises RevisionConflict if another event of the upload was faster.
    """
    leaves = None if known is None else known.leaves
    if known is not None and known.holds is not None and known.holds.picture != holds.picture:
        if leaves is not None and leaves.picture != holds.picture:
            release(ports, leaves, intent.bucket)  # left undone by an interrupted event
        leaves = known.holds
    recorded = replace(intent, holds=holds, leaves=leaves)
    ports.uploads.save_upload(recorded, known)
    return recorded


def undo_intent(ports: Ports, intent: Upload) -> Upload:
    """Record that an intent was not carried out: the upload holds no picture. Return the record."""
    undone = replace(intent, holds=None)
    ports.uploads.save_upload(undone, intent)
    return undone


def commit_intent(ports: Ports, intent: Upload) -> bool:
    """Settle an intent that was carried out, and release the picture that it leaves.

    False if a later event of the upload was faster.
    """
    try:
        record_settled(ports, intent, intent)
    except RevisionConflict:
        if intent.state is UploadState.ADDING:
            _release_overtaken(ports, intent)
        return False
    return True


def record_settled(ports: Ports, known: Upload, upload: Upload) -> None:
    """Release the picture that ``known`` leaves, and record in its place that ``upload`` is settled.

    Raises RevisionConflict if another event of the upload was faster.
    """
    if known.leaves is not None:
        release(ports, known.leaves, known.bucket)
    ports.uploads.save_upload(replace(upload, state=UploadState.SETTLED, leaves=None), known)


def _release_overtaken(ports: Ports, added: Upload) -> None:
    """Release a picture added by an event that a later event overtook before the row existed."""
    if added.holds is None:
        return
    latest = ports.uploads.upload(added.source)
    if latest is None or latest.holds is None or latest.holds.picture != added.holds.picture:
        release(ports, added.holds, added.bucket)
    elif latest.holds.added != added.holds.added:
        # The later event joined the row, and could not know that an upload had added it.
        ports.uploads.save_upload(replace(latest, holds=replace(latest.holds, added=added.holds.added)), latest)


def join(ports: Ports, intent: Upload, known: Upload | None, row: Picture, metadata: Metadata) -> Upload:
    """Let the upload hold a picture that the library has; return the recorded intent, which has to be settled.

    The row takes the upload's metadata, unless it has that of another upload whose object exists. Raises RevisionConflict
    if the event has to be delivered again.
    """
    mine = known is not None and _holds(known, row) and known.state is not UploadState.JOINING
    # An interrupted event was to leave this very picture for another one: now it is held again.
    left = known.leaves if known is not None and _is_of_row(known.leaves, row) else None
    before = known.holds if known is not None and mine else left
    ours = before is not None or is_held(ports, row)
    holds = Holding(row.key, row.added if ours else None, metadata_digest(metadata))
    joining = record_intent(ports, replace(intent, state=UploadState.JOINING), holds, known)
    if mine and row.metadata == metadata.over(row.metadata):
        return joining
    described_before = before is not None and _described_by(before, row)
    missing: list[Upload] = []

    def step(current: Picture | None) -> Picture | None:
        if current is None or not current.live or current.added != row.added:
            return None
        if ports.uploads.upload(intent.source) != joining:
            raise RevisionConflict(intent.source)
        missing.clear()
        other = None if described_before else _successor(ports, current, intent.bucket, missing, but=intent.source)
        joined = current.but(revision=next_revision(current.revision, ports.clock()))
        takes = ours and (other is None or _described_by_any(missing, current))
        return joined.but(metadata=metadata.over(current.metadata)) if takes else joined

    written = compare_and_set(ports, row.key, step)
    if written is None:  # deleted just now: the repeated event adds the picture
        raise RevisionConflict(row.key.id)
    publish_to_index(ports, [written])
    _forget_missing(ports, missing)
    return joining


def release(ports: Ports, left: Holding, bucket: str) -> None:
    """Hide a picture that an upload in this bucket has left, unless another upload holds it.

    In that case the row takes the other upload's metadata, if it had that of the upload that left.
    """
    missing: list[Upload] = []

    def step(current: Picture | None) -> Picture | None:
        if current is None or not current.live or current.added != left.added:
            return None
        missing.clear()
        successor = _successor(ports, current, bucket, missing)
        if successor is None:
            return hidden(current, ports.clock())
        _adopt(ports, successor, current)
        was_described = _described_by(left, current) or _described_by_any(missing, current)
        metadata = _metadata(ports, successor, current, bucket) if was_described else None
        if metadata is None or (metadata := metadata.over(current.metadata)) == current.metadata:
            return None
        return current.but(revision=next_revision(current.revision, ports.clock()), metadata=metadata)

    written = compare_and_set(ports, left.picture, step)
    if written is not None:
        publish_to_index(ports, [written])
    _forget_missing(ports, missing)


def object_removed(ports: Ports, source: str) -> bool:
    """Process the removal of an object: if another upload holds its picture, the row takes that one's metadata.

    Otherwise the picture stays as it is. False if the object exists.
    """
    known = ports.uploads.upload(source)
    if known is None or known.holds is None or known.state is not UploadState.SETTLED or _was_cleared(ports, known):
        return True
    if _object_exists(ports, known, known.bucket):
        return False
    row = ports.catalog.picture(known.holds.picture)
    if row is not None and _holds(known, row) and _successor(ports, row, known.bucket, [], but=source) is not None:
        release(ports, known.holds, known.bucket)
    return True


def is_held(ports: Ports, row: Picture) -> bool:
    """Whether an upload holds the picture as added by this row's add: so an upload added it, not a client."""
    return any(_holds(one, row) for one in islice(ports.uploads.holders(row.key), _MAX_HOLDERS_READ))


def stale_holders(ports: Ports, source: str) -> list[str]:
    """Return the other uploads of this upload's picture whose objects are gone, if the row has another's metadata."""
    known = ports.uploads.upload(source)
    if known is None or known.holds is None:
        return []
    row = ports.catalog.picture(known.holds.picture)
    if row is None or not _holds(known, row) or _described_by(known.holds, row):
        return []
    others = (one for one in ports.uploads.holders(row.key) if one.source != source)
    return [
        one.source for one in others if not _object_exists(ports, one, known.bucket) and not _was_cleared(ports, one)
    ]


def _holds(upload: Upload, row: Picture) -> bool:
    """Whether the upload holds the picture as added by this row's add."""
    return _is_of_row(upload.holds, row)


def _is_of_row(holding: Holding | None, row: Picture) -> bool:
    return holding is not None and (holding.picture, holding.added) == (row.key, row.added)


def _described_by(holding: Holding, row: Picture) -> bool:
    """Whether the row has the metadata of this upload; True if the upload's is unknown."""
    return holding.metadata_digest in ("", metadata_digest(row.metadata))


def _described_by_any(uploads: list[Upload], row: Picture) -> bool:
    return any(one.holds is not None and _described_by(one.holds, row) for one in uploads)


def _successor(ports: Ports, row: Picture, bucket: str, missing: list[Upload], but: str = "") -> Upload | None:
    """Return an upload other than ``but`` that holds the picture and whose object exists, or was cleared.

    Holders whose objects are gone are appended to ``missing``.
    """
    for one in ports.uploads.holders(row.key):
        if one.source == but:
            continue
        if _object_exists(ports, one, bucket) or (
            _was_cleared(ports, one) and one.holds is not None and one.holds.added in (None, row.added)
        ):
            return one
        missing.append(one)
    return None


def _adopt(ports: Ports, successor: Upload, row: Picture) -> None:
    """Record that the successor holds the row's add: it may have recorded an earlier add, or a client's."""
    if successor.holds is not None and successor.holds.added != row.added:
        try:
            ports.uploads.save_upload(replace(successor, holds=replace(successor.holds, added=row.added)), successor)
        except RevisionConflict as conflict:  # of another upload than the event's
            raise Unavailable(f"{successor.source} has changed just now") from conflict


def _object_exists(ports: Ports, upload: Upload, bucket: str) -> bool:
    """Whether the upload's object exists. True for one in another bucket, which this service may not read."""
    if upload.bucket != bucket:
        return True
    try:
        return ports.objects.head(bucket, upload.key) is not None
    except InvalidArgument:  # its metadata is unreadable
        return True


def _was_cleared(ports: Ports, upload: Upload) -> bool:
    """Whether the service itself removed the upload's object, once its picture was added."""
    return upload.cleared or not ports.settings.keep_uploads


def _metadata(ports: Ports, upload: Upload, row: Picture, bucket: str) -> Metadata | None:
    """Return the current metadata of the upload's object; None if it cannot be read."""
    try:
        found = ports.objects.head(bucket, upload.key) if upload.bucket == bucket else None
        return None if found is None else metadata_of(upload.key, row.kind, found)
    except InvalidArgument:
        return None


def _forget_missing(ports: Ports, missing: list[Upload]) -> None:
    """Record that uploads whose objects are gone hold nothing. If one comes back, it is processed from the start."""
    for one in missing:
        if one.state is UploadState.SETTLED:
            with suppress(RevisionConflict):  # it has come back
                ports.uploads.save_upload(replace(one, holds=None, state=UploadState.GONE), one)
