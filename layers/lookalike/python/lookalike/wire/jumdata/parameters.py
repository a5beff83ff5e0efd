"""Parameters of Jumdata's calls."""

from __future__ import annotations

from lookalike.errors import UrlLengthError
from lookalike.imaging.decode import Bounds
from lookalike.ports import Ports
from lookalike.service.image_source import Source
from lookalike.wire import base64_image
from lookalike.wire.forms import Form
from lookalike.wire.jumdata import limits


def source_of(ports: Ports, form: Form) -> Source:
    """The URL, or else the picture itself: the other way about than with the vendor whose signs these are."""
    bounds = Bounds(
        max_bytes=limits.MAX_BASE64 // 4 * 3,
        min_side=ports.settings.min_side,
        max_side=limits.MAX_SIDE,
        max_pixels=limits.MAX_SIDE * limits.MAX_SIDE,
        formats=limits.FORMATS,
    )
    url = form.text("url").strip()
    if len(url.encode()) > limits.MAX_URL_BYTES:
        raise UrlLengthError(f"more than {limits.MAX_URL_BYTES} bytes")
    if url:
        return Source(bounds, url=url, name="url")
    return Source(
        bounds, data=base64_image.from_base64("base64", form.data("base64"), limits.MAX_BASE64), name="base64"
    )
