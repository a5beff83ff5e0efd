"""The report of a comparison of models: a page of HTML without scripts, and thumbnails beside it.

Ids are the users' and may be anything: they stand in the page as text.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from lookalike.cli.report_page import ReportPage, printable
from lookalike.ports import PictureStore
from lookalike.service.model_comparison import Comparison, FoundPicture, Pair

Image = Callable[[str, str], str]
"""Returns a picture as HTML, by its object key and what it is called."""

#: Longer side of a thumbnail, in pixels.
_SIDE = 320

_STYLE = """
div.models { display: grid; grid-template-columns: 1fr 3fr 3fr; gap: 1rem; }
h3 { font-size: 1rem; margin: 0 0 .5rem; }
ul { display: grid; grid-template-columns: repeat(3, 1fr); gap: .5rem; list-style: none; margin: 0; padding: 0; }
img { height: 10rem; }
figcaption { font-size: .875rem; }
@media (max-width: 50rem) { div.models { grid-template-columns: 1fr; } }
"""


def write_report(target: Path, compared: Comparison, originals: PictureStore) -> Path:
    """Write the page and its thumbnails; return the page's path. Raises OSError."""
    page = ReportPage(target, _SIDE)
    image = partial(_image, page, originals)
    title = f"First answers of {printable(compared.live)} and {printable(compared.other)}"
    body = "\n".join(_sections(compared, image))
    return page.write(title=title, summary=_summary(compared), body=body, style=_STYLE)


def _image(page: ReportPage, originals: PictureStore, object_key: str, about: str) -> str:
    """Return the picture as HTML; a sentence if it cannot be shown."""
    address = page.thumbnail(object_key, partial(originals.get, object_key))
    if address is None:
        return "<p>(cannot be shown)</p>"
    return f'<img src="{address}" alt="{html.escape(about)}" loading="lazy">'


def _summary(compared: Comparison) -> str:
    return (
        f"{compared.changed} of {compared.compared} pictures have another first answer. Itself is the first answer of "
        f"{compared.itself_live} with {html.escape(printable(compared.live))}, and of {compared.itself_other} with "
        f"{html.escape(printable(compared.other))}. {compared.overlap:.0%} of ten answers are the same."
    )


def _sections(compared: Comparison, image: Image) -> Iterator[str]:
    for changed, title in ((True, "Another first answer"), (False, "The same first answer")):
        pairs = [pair for pair in compared.pairs if pair.changed is changed]
        if pairs:
            yield f"<h2>{title} ({len(pairs)} shown)</h2>"
            yield from (_section(pair, compared, image) for pair in pairs)


def _section(pair: Pair, compared: Comparison, image: Image) -> str:
    query = f"{printable(pair.library)}/{printable(pair.id)}"
    return (
        '<section><div class="models">'
        f"<div><h3>Searched by</h3><figure>{image(pair.object_key, query)}"
        f"<figcaption>{html.escape(query)}</figcaption></figure></div>"
        f"{_answers(compared.live, pair.live, image)}{_answers(compared.other, pair.other, image)}"
        "</div></section>"
    )


def _answers(model: str, found: Sequence[FoundPicture], image: Image) -> str:
    items = "".join(
        f"<li><figure>{image(one.object_key, printable(one.id))}<figcaption>{html.escape(printable(one.id))}<br>"
        f"{one.score:.3f}{', itself' if one.itself else ''}</figcaption></figure></li>"
        for one in found
    )
    return f"<div><h3>{html.escape(printable(model))}</h3>{f'<ul>{items}</ul>' if items else '<p>Nothing.</p>'}</div>"
