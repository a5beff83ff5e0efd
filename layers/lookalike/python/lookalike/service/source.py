"""Where a caller's picture comes from, and how it becomes pixels."""

from __future__ import annotations

from dataclasses import dataclass, field

from lookalike.errors import PictureError, UrlError
from lookalike.picture.budget import PixelBudget
from lookalike.picture.decode import Bounds, Decoded, decode
from lookalike.ports import Ports

#: Pixels in memory at once, of all requests together: two pictures of the largest size. One takes up to 12 bytes a
#: pixel while it is decoded (a progressive JPEG's coefficients), 7 until it is embedded.
_BUDGET = PixelBudget(2 * 4096 * 4096)


@dataclass(frozen=True, slots=True)
class Source:
    """A picture as a caller gives it: its file, or a URL where the file is.

    ``bounds`` says what it may be, ``name`` what the caller calls it.
    """

    bounds: Bounds
    data: bytes | None = field(default=None, repr=False)
    url: str | None = field(default=None, repr=False)
    name: str = "picture"


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """The file and what it decodes to."""

    data: bytes
    picture: Decoded


def load(ports: Ports, source: Source) -> Loaded:
    """Download the picture if need be, and decode it. Raises a UrlError or a PictureError.

    Waits while others hold too many pixels, so let go of what it returns before you load the next.
    """
    try:
        data = source.data if source.data is not None else ports.fetch(source.url or "", source.bounds.max_bytes)
        return Loaded(data, decode(data, source.bounds, _BUDGET.blank))
    except (PictureError, UrlError) as error:
        error.field = source.name
        raise
