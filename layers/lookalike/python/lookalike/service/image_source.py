"""Loading a caller's picture: from its file, a URL or an upload, to pixels."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from lookalike.domain.picture import Decoded, Pixels
from lookalike.errors import PictureError, UrlError
from lookalike.imaging.decode import Bounds, decode
from lookalike.imaging.pixel_budget import PixelBudget
from lookalike.limits.call import Job
from lookalike.limits.fair_share import FairShare
from lookalike.ports import Ports
from lookalike.service.staging import take
from lookalike.service.staging_errors import UploadError

#: Pixels in memory at once, of all requests: two and a half pictures of the largest size. A picture takes up to 12 bytes
#: per pixel while it is decoded (the coefficients of a progressive JPEG), then 7 until it is embedded.
#: One tenant may hold two such pictures, so that others always find room for half of one. The reserve is for small
#: pictures, 16 to 50 of the size usual in web pages, which never wait for large ones.
_BUDGET = PixelBudget(5 * 2048 * 4096, max_per_tenant=2 * 4096 * 4096, reserve=16 << 20, max_small=1 << 20)

#: Concurrent downloads of all requests. Each may take seconds, and 10 MB.
_DOWNLOADS = FairShare(48, max_per_key=24)


@dataclass(frozen=True, slots=True)
class Source:
    """A picture as a caller gives it: the file, its URL, or the id of an upload, which the load uses up.

    ``bounds`` limits what it may be; ``name`` is the caller's name of the argument, for errors.
    """

    bounds: Bounds
    data: bytes | None = field(default=None, repr=False)
    url: str | None = field(default=None, repr=False)
    name: str = "picture"
    upload: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """A picture's file, and the decoded picture."""

    data: bytes
    picture: Decoded


def load(ports: Ports, source: Source, tenant: str) -> Loaded:
    """Download the picture if it has a URL, and decode it. Raises a UrlError, an UploadError or a PictureError.

    Waits while the tenant, or all tenants together, hold too many pixels: drop the result before loading the next
    picture. Raises Busy or Abandoned if the answer is no longer wanted.
    """
    job = ports.job(tenant)
    try:
        data = _file(ports, source, job) if source.data is None else source.data
        with decoding(job) as room:
            return Loaded(data, decode(data, source.bounds, room))
    except (PictureError, UploadError, UrlError) as error:
        error.field = source.name
        raise


def decoding(job: Job) -> AbstractContextManager[Callable[[int, int], Pixels]]:
    """Return the context in which a job that holds no picture decodes one: its value allocates the array.

    See :meth:`~lookalike.imaging.pixel_budget.PixelBudget.decoding`. Raises Busy or Abandoned while it waits.
    """
    return _BUDGET.decoding(job)


def _file(ports: Ports, source: Source, job: Job) -> bytes:
    if source.upload is not None:
        return take(ports, job.tenant, source.upload)
    with _DOWNLOADS.turn(job.tenant, check=job.call.check):
        return ports.fetch(source.url or "", source.bounds.max_bytes)
