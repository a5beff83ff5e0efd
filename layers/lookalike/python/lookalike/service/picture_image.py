"""Files of stored pictures to be looked at: thumbnails, views and originals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from lookalike.domain.library import Library
from lookalike.domain.picture import Picture, State, thumbnail_key
from lookalike.errors import NotAPicture, Unavailable
from lookalike.imaging.decode import FORMATS
from lookalike.imaging.file_headers import open_picture_file
from lookalike.imaging.preview import PreviewFormat, preview
from lookalike.imaging.to_rgb import DECODE_ERRORS
from lookalike.observability import error_fields, logger
from lookalike.ports import Ports
from lookalike.service.image_source import decoding
from lookalike.service.stored import find_picture, original_of

#: Longer side of a thumbnail, in pixels.
THUMBNAIL_SIDE = 320

#: Longer side of a view, in pixels.
VIEW_SIDE = 1600

#: Seconds for which a URL of an original may be used.
PLACE_SECONDS = 300

_CONTENT_TYPES: Mapping[str, str] = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "BMP": "image/bmp",
    "GIF": "image/gif",
    "WEBP": "image/webp",
}


class ImageSize(StrEnum):
    """What is shown of a picture."""

    THUMB = "thumb"  #: WebP, THUMBNAIL_SIDE
    VIEW = "view"  #: JPEG, VIEW_SIDE
    ORIGINAL = "original"  #: the file as it was added


@dataclass(frozen=True, slots=True)
class PictureImage:
    """A file to be looked at: its bytes, or where it is if it has more of them than were asked for.

    ``place`` is a path on this machine, or a URL that anybody may use for :data:`PLACE_SECONDS`. ``content_type`` is told by its contents, whatever the caller said who added it. ``revision`` is that of the add: other
    changes of the picture leave its file alone.
    """

    data: bytes = field(repr=False)
    content_type: str
    revision: int
    place: str | Path | None = field(default=None, repr=False)


def picture_image(
    ports: Ports, library: Library, name: str, size: ImageSize, *, deleted: bool = False, max_bytes: int | None = None
) -> PictureImage:
    """Return a file of a live picture, named by its id or its sign; with ``deleted``, also of one that waits for purge.

    Of an original with more than ``max_bytes`` (None: any number) the place is returned. A thumbnail is made when it is first looked at, and kept beside the original until that is removed. Raises
    PictureNotFound, SignAmbiguous, Unavailable if the original is missing or damaged, and Busy or Abandoned if the answer
    is no longer wanted.
    """
    row = find_picture(ports, library, name, deleted=deleted)
    if size is ImageSize.ORIGINAL:
        return _original(ports, row, max_bytes)
    if size is ImageSize.VIEW:
        view = _preview(ports, library.tenant, row, VIEW_SIDE, PreviewFormat.JPEG)
        return PictureImage(view, _CONTENT_TYPES["JPEG"], row.added)
    return PictureImage(_thumbnail(ports, library.tenant, row), _CONTENT_TYPES["WEBP"], row.added)


def _original(ports: Ports, row: Picture, max_bytes: int | None) -> PictureImage:
    data = original_of(ports, row)
    content_type = _content_type(row, data)
    if max_bytes is None or len(data) <= max_bytes:
        return PictureImage(data, content_type, row.added)
    return PictureImage(
        b"", content_type, row.added, ports.originals.place(row.object_key, content_type, PLACE_SECONDS)
    )


def _thumbnail(ports: Ports, tenant: str, row: Picture) -> bytes:
    kept = ports.originals.get(thumbnail_key(row.object_key))
    if kept is not None:
        return kept
    made = _preview(ports, tenant, row, THUMBNAIL_SIDE, PreviewFormat.WEBP)
    try:
        _keep(ports, row, made)
    except Unavailable as error:
        logger.warning("a thumbnail could not be kept", extra={"object_key": row.object_key, **error_fields(error)})
    return made


def _keep(ports: Ports, row: Picture, thumbnail: bytes) -> None:
    """Store the thumbnail, unless its original is being removed: then nobody would ever remove it.

    Originals are removed after their rows are claimed or replaced. So whoever reads the row unclaimed, after the thumbnail
    is stored, knows that it is removed with its original.
    """
    key = thumbnail_key(row.object_key)
    ports.originals.put(key, thumbnail)
    now = ports.catalog.picture(row.key)
    if now is None or now.object_key != row.object_key or now.state is State.PURGING:
        ports.originals.remove([key])


def _preview(ports: Ports, tenant: str, row: Picture, side: int, form: PreviewFormat) -> bytes:
    data = original_of(ports, row)
    with decoding(ports.job(tenant)) as room:
        made = preview(data, side, form, room)
    if made is None:
        raise _damaged(row)
    return made


def _content_type(row: Picture, data: bytes) -> str:
    try:
        return _CONTENT_TYPES[open_picture_file(data, FORMATS).format]
    except (*DECODE_ERRORS, NotAPicture) as reason:
        raise _damaged(row) from reason


def _damaged(row: Picture) -> Unavailable:
    return Unavailable(f"the original {row.object_key} is damaged")
