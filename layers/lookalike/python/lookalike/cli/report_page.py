"""What reports have in common: a page of HTML without scripts, and thumbnails beside it."""

from __future__ import annotations

import hashlib
import html
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from lookalike.errors import PictureError, Unavailable
from lookalike.imaging.preview import PreviewFormat, preview

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { margin: 0 auto; max-width: 96rem; padding: 1rem; }
section { border: 1px solid #8884; border-radius: .5rem; margin: 1rem 0; padding: 1rem; }
figure { margin: 0; }
img { background: #8882; display: block; object-fit: contain; width: 100%; }
figcaption { overflow-wrap: anywhere; }
"""

_PAGE = """<!doctype html>
<html lang="{tag}">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src 'self' file:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
<h1>{title}</h1>
<p>{summary}</p>
{body}
</html>
"""


@dataclass(frozen=True, slots=True)
class ReportPage:
    """A report's folder: ``index.html``, and thumbnails with a longer side of ``side`` pixels."""

    folder: Path
    side: int
    _shown: set[str] = field(default_factory=set)

    def thumbnail(self, object_key: str, read: Callable[[], bytes | None]) -> str | None:
        """Return the address of a picture's thumbnail, which is made unless it is there; None if it cannot be made.

        ``read`` returns the original, None if there is none, or raises OSError, PictureError or Unavailable.
        """
        name = f"{hashlib.sha256(object_key.encode()).hexdigest()[:32]}.webp"
        target = self._thumbnails / name
        if not target.exists():
            made = self._made(read)
            if made is None:
                return None
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(made)
        self._shown.add(name)
        return f"thumbnails/{name}"

    def write(self, *, title: str, summary: str, body: str, style: str, tag: str = "en") -> Path:
        """Write the page, remove thumbnails that it does not show, and return its path. Raises OSError.

        ``title`` is text, ``summary`` and ``body`` are HTML in the language ``tag``.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        page = _PAGE.format(tag=tag, title=html.escape(title), style=_STYLE + style, summary=summary, body=body)
        path = self.folder / "index.html"
        path.write_text(page, encoding="utf-8")
        if self._thumbnails.is_dir():
            for file in self._thumbnails.iterdir():
                if file.name not in self._shown:
                    file.unlink()
        return path

    @property
    def _thumbnails(self) -> Path:
        return self.folder / "thumbnails"

    def _made(self, read: Callable[[], bytes | None]) -> bytes | None:
        try:
            data = read()
            return None if data is None else preview(data, self.side, PreviewFormat.WEBP)
        except (OSError, PictureError, Unavailable):
            return None


def printable(text: str) -> str:
    """Return text that can be written: half characters and control characters are escaped."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape", "surrogatepass").decode() for one in text)
