"""Uploaded objects, the records and write-ahead intents kept of them, and dead letters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from lookalike.domain.picture import Key


@dataclass(frozen=True, slots=True)
class Holding:
    """A picture that an upload holds: the picture stays in its library as long as any upload holds it.

    ``added`` is the revision of the upload's add that made the row; None if a client added the picture, which no upload
    may remove then. ``metadata_digest`` is the digest of the upload's metadata; empty if unknown.
    """

    picture: Key
    added: int | None
    metadata_digest: str = ""


class UploadState(StrEnum):
    """State of an upload's record. ADDING and JOINING are write-ahead intents, recorded before they are carried out."""

    SETTLED = "settled"  #: the last event is done
    ADDING = "adding"  #: intent to add the picture that the record holds
    JOINING = "joining"  #: intent to hold a picture that the library already has
    GONE = "gone"  #: the object is gone and another upload holds its picture; the next event starts from nothing
    UNSURE = "unsure"  #: settled by an earlier version, which did not record the picture held


@dataclass(frozen=True, slots=True)
class Upload:
    """The record of an uploaded object: its last event, the picture that it holds, and a write-ahead intent.

    ``source`` is ``bucket/key``. ``sequencer`` orders the events of one object: hexadecimal digits, compared as text
    after padding with zeros on the right (Amazon S3, "Event message structure"). ``holds`` is the object's picture, or
    None. ``leaves`` is the picture that it held before, until that has been released. ``cleared``: the object is removed
    once the record is settled, and still counts as holding its picture.
    """

    source: str
    sequencer: str
    holds: Holding | None = None
    state: UploadState = UploadState.SETTLED
    leaves: Holding | None = None
    cleared: bool = False

    @property
    def bucket(self) -> str:
        """The object's bucket."""
        return self.source.partition("/")[0]

    @property
    def key(self) -> str:
        """The object's key in its bucket."""
        return self.source.partition("/")[2]


@dataclass(frozen=True, slots=True)
class UploadedObject:
    """An object in the upload bucket, as it is now.

    ``etag`` changes with the object's bytes. ``size`` is in bytes. ``user_metadata`` is the uploader's: brief, tags,
    label and desc, as text.
    """

    etag: str
    size: int
    user_metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that cannot succeed. Once ``reason`` is remedied, ``body`` can be sent again as it is.

    ``file`` tells the operator the place of the upload concerned; empty if there is none.
    """

    operation: str
    reason: str
    body: str
    file: str = ""
