"""Where a caller's picture comes from, and how it becomes pixels."""

from __future__ import annotations

from dataclasses import dataclass, field

from lookalike.errors import PictureError, UrlError
from lookalike.imaging.decode import Bounds, Decoded, decode
from lookalike.imaging.pixel_budget import PixelBudget
from lookalike.limits.call import Job
from lookalike.limits.fair_share import FairShare
from lookalike.ports import Ports

#: Pixels in memory at once, of all requests together: two and a half pictures of the largest size. One takes up to 12 bytes a
#: pixel while it is decoded (a progressive JPEG's coefficients), 7 until it is embedded.
#: One tenant has so much; others always find room for half a picture of that size, and for 16 to 50 pictures as web
#: pages have them, which never wait for large ones.
_BUDGET = PixelBudget(5 * 2048 * 4096, most=2 * 4096 * 4096, reserve=16 << 20, small=1 << 20)

#: Downloads at once, of all requests together. Each may take seconds, and hold 10 MB.
_DOWNLOADS = FairShare(48, most=24)


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


def load(ports: Ports, source: Source, tenant: str) -> Loaded:
    """Download the picture if need be, and decode it, for a tenant. Raises a UrlError or a PictureError.

    Waits while the tenant, or all together, hold too many pixels, so let go of what it returns before you load the
    next. Raises Busy or Abandoned if nobody waits for the answer any more.
    """
    job = ports.job(tenant)
    try:
        data = _download(ports, source, job) if source.data is None else source.data
        with _BUDGET.decoding(job) as room:
            return Loaded(data, decode(data, source.bounds, room))
    except (PictureError, UrlError) as error:
        error.field = source.name
        raise


def _download(ports: Ports, source: Source, job: Job) -> bytes:
    with _DOWNLOADS.turn(job.tenant, check=job.call.check):
        return ports.fetch(source.url or "", source.bounds.max_bytes)
