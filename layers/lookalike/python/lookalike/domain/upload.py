"""Uploaded objects, what has become of them, and messages that will never succeed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from lookalike.domain.picture import Key


@dataclass(frozen=True, slots=True)
class Holding:
    """A picture that lies in an upload.

    ``added`` is the revision of the add that made its row, if uploads did that; None if it is somebody else's, and so no
    upload's to take away. ``words`` is the digest of what the upload says of it; empty if that is not known.
    """

    picture: Key
    added: int | None
    words: str = ""


class UploadState(StrEnum):
    """How far an upload has come. What is not ``SETTLED`` is an intent, written ahead of what it intends."""

    SETTLED = "settled"  #: its last event is done
    ADDING = "adding"  #: it is about to add the picture that it holds
    JOINING = "joining"  #: it is about to hold a picture that the library has
    GONE = "gone"  #: its object was gone and its picture is held by another; an event of it begins afresh
    UNSURE = "unsure"  #: an earlier version settled it without saying which picture it holds


@dataclass(frozen=True, slots=True)
class Upload:
    """What an uploaded object has become.

    ``source`` names the object, ``bucket/key``. ``sequencer`` orders its events: hexadecimal digits, compared as text
    after padding with zeros on the right (Amazon S3, "Event message structure"). ``holds`` is its picture; None if it
    has none. ``leaves`` is the picture it held before, until that has been released. ``cleared``: the object is removed
    once it is settled, and still counts as holding its picture.
    """

    source: str
    sequencer: str
    holds: Holding | None = None
    state: UploadState = UploadState.SETTLED
    leaves: Holding | None = None
    cleared: bool = False


@dataclass(frozen=True, slots=True)
class UploadedObject:
    """An object in the upload bucket, as it is now.

    ``etag`` is another one each time its bytes change. ``size`` is in bytes. ``words`` are what its uploader says of
    it: brief, tags, label, desc, as text.
    """

    etag: str
    size: int
    words: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that will never succeed. ``body`` can be sent again as it is, once ``reason`` holds no more.

    ``file`` is where an operator finds the upload that it is about; empty if it is about none.
    """

    operation: str
    reason: str
    body: str
    file: str = ""
