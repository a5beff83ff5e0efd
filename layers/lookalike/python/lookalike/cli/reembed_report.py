"""The report of a comparison of models: a page of HTML without scripts, and thumbnails beside it.

Ids are the users' and may be anything: they stand in the page as text.
"""

from __future__ import annotations

import hashlib
import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lookalike.errors import PictureError, Unavailable
from lookalike.imaging.preview import PreviewFormat, preview
from lookalike.ports import PictureStore
from lookalike.service.model_comparison import Comparison, FoundPicture, Pair

#: Longer side of a thumbnail, in pixels.
_SIDE = 320

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { margin: 0 auto; max-width: 96rem; padding: 1rem; }
section { border: 1px solid #8884; border-radius: .5rem; margin: 1rem 0; padding: 1rem; }
div.models { display: grid; grid-template-columns: 1fr 3fr 3fr; gap: 1rem; }
h3 { font-size: 1rem; margin: 0 0 .5rem; }
ul { display: grid; grid-template-columns: repeat(3, 1fr); gap: .5rem; list-style: none; margin: 0; padding: 0; }
figure { margin: 0; }
img { background: #8882; display: block; height: 10rem; object-fit: contain; width: 100%; }
figcaption { overflow-wrap: anywhere; font-size: .875rem; }
@media (max-width: 50rem) { div.models { grid-template-columns: 1fr; } }
"""

_PAGE = """<!doctype html>
<html lang="en">
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


def write_report(target: Path, compared: Comparison, originals: PictureStore) -> Path:
    """Write the page and its thumbnails; return the page's path. Raises OSError."""
    thumbnails = _Thumbnails(target / "thumbnails", originals)
    thumbnails.folder.mkdir(parents=True, exist_ok=True)
    title = html.escape(f"First answers of {_text(compared.live)} and {_text(compared.other)}")
    body = "\n".join(_sections(compared, thumbnails))
    page = target / "index.html"
    page.write_text(_PAGE.format(title=title, style=_STYLE, summary=_summary(compared), body=body), encoding="utf-8")
    thumbnails.remove_others()
    return page


@dataclass
class _Thumbnails:
    """Makes thumbnails, each once."""

    folder: Path
    originals: PictureStore
    shown: set[str] = field(default_factory=set)

    def image(self, object_key: str, about: str) -> str:
        """Return the picture as HTML; a sentence if it cannot be shown."""
        name = f"{hashlib.sha256(object_key.encode()).hexdigest()[:32]}.webp"
        target = self.folder / name
        if not target.exists():
            made = self._made(object_key)
            if made is None:
                return "<p>(cannot be shown)</p>"
            target.write_bytes(made)
        self.shown.add(name)
        return f'<img src="thumbnails/{name}" alt="{html.escape(about)}" loading="lazy">'

    def remove_others(self) -> None:
        """Remove thumbnails that the page does not show."""
        for file in self.folder.iterdir():
            if file.name not in self.shown:
                file.unlink()

    def _made(self, object_key: str) -> bytes | None:
        try:
            data = self.originals.get(object_key)
            return None if data is None else preview(data, _SIDE, PreviewFormat.WEBP)
        except (PictureError, Unavailable):
            return None


def _summary(compared: Comparison) -> str:
    return (
        f"{compared.changed} of {compared.compared} pictures have another first answer. Itself is the first answer of "
        f"{compared.itself_live} with {html.escape(_text(compared.live))}, and of {compared.itself_other} with "
        f"{html.escape(_text(compared.other))}. {compared.overlap:.0%} of ten answers are the same."
    )


def _sections(compared: Comparison, thumbnails: _Thumbnails) -> Iterator[str]:
    for changed, title in ((True, "Another first answer"), (False, "The same first answer")):
        pairs = [pair for pair in compared.pairs if pair.changed is changed]
        if pairs:
            yield f"<h2>{title} ({len(pairs)} shown)</h2>"
            yield from (_section(pair, compared, thumbnails) for pair in pairs)


def _section(pair: Pair, compared: Comparison, thumbnails: _Thumbnails) -> str:
    query = f"{_text(pair.library)}/{_text(pair.id)}"
    return (
        '<section><div class="models">'
        f"<div><h3>Searched by</h3><figure>{thumbnails.image(pair.object_key, query)}"
        f"<figcaption>{html.escape(query)}</figcaption></figure></div>"
        f"{_answers(compared.live, pair.live, thumbnails)}{_answers(compared.other, pair.other, thumbnails)}"
        "</div></section>"
    )


def _answers(model: str, found: Sequence[FoundPicture], thumbnails: _Thumbnails) -> str:
    items = "".join(
        f"<li><figure>{thumbnails.image(one.object_key, _text(one.id))}<figcaption>{html.escape(_text(one.id))}<br>"
        f"{one.score:.3f}{', itself' if one.itself else ''}</figcaption></figure></li>"
        for one in found
    )
    return f"<div><h3>{html.escape(_text(model))}</h3>{f'<ul>{items}</ul>' if items else '<p>Nothing.</p>'}</div>"


def _text(text: str) -> str:
    """Return text that can be written: half characters and control characters are escaped."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape", "surrogatepass").decode() for one in text)
