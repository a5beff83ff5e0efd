"""Whether a picture that is sent by an id that is taken is the one that is there: then the add is a repeated one."""

from __future__ import annotations

import hashlib

from lookalike.domain.library import Library
from lookalike.domain.picture import Picture
from lookalike.ports import Ports
from lookalike.service.image_source import Source, load
from lookalike.service.staging import peek


def differs(ports: Ports, library: Library, row: Picture, source: Source) -> bool:
    """Whether the file that was sent, or sent ahead, shows another picture than the row.

    The same file is known without being decoded. What would have to be downloaded, and an upload that was used, count as
    the same: so a repeated add costs little. An upload is not used up. Raises a PictureError for what is no picture.
    """
    data = source.data if source.upload is None else peek(ports, library.tenant, source.upload)
    if data is None or hashlib.sha256(data).hexdigest() == row.file_digest:
        return False
    loaded = load(ports, Source(source.bounds, data=data, name=source.name), library.tenant)
    return row.digest not in (loaded.picture.digest, loaded.picture.full_digest)
