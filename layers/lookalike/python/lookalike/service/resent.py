"""Whether a picture that is sent by an id that is taken is the one that is there: then the add is a repeated one."""

from __future__ import annotations

import hashlib

from lookalike.domain.library import Library
from lookalike.domain.picture import Picture
from lookalike.ports import Ports
from lookalike.service.image_source import Source, load
from lookalike.service.staging import peek


def sent(ports: Ports, tenant: str, source: Source) -> bytes | None:
    """Return the file that was sent, or sent ahead; None for a URL. An upload is not used up, and None once it was."""
    return source.data if source.upload is None else peek(ports, tenant, source.upload)


def differs(ports: Ports, library: Library, row: Picture, source: Source) -> bool:
    """Whether the file that was sent, or sent ahead, shows another picture than the row.

    The same file is known without being decoded. What would have to be downloaded, and an upload that was used, count as
    the same: so a repeated add costs little. An upload is not used up. Raises a PictureError for what is no picture.
    """
    data = sent(ports, library.tenant, source)
    if data is None or hashlib.sha256(data).hexdigest() == row.file_digest:
        return False
    loaded = load(ports, Source(source.bounds, data=data, name=source.name), library.tenant)
    return row.digest not in (loaded.picture.digest, loaded.picture.full_digest)
