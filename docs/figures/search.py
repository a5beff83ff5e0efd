"""Draws ``docs/figures/search.png``: searches of ``same_hq`` and what the engine answers to them.

``.venv/bin/python docs/figures/search.py`` adds photographs to a library on this machine, searches it, and draws
queries, answers, scores and what the answers are matched by. The figure carries its answers as text (``answers``, JSON), so a
test can hold them against the engine's.

The photographs are those of scikit-image (``make setup`` puts them into ``.venv/pictures``) that anybody may use: astronaut
and hubble_deep_field by NASA and rocket by SpaceX are in the public domain; camera by Lav Varshney, chelsea by Stefan van
der Walt and coffee by Rachel Michetti are CC0.
"""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, ImageOps
from PIL.PngImagePlugin import PngInfo

from lookalike import bootstrap
from lookalike.domain.geometry import Affine
from lookalike.domain.library import Kind, Shelf
from lookalike.domain.search import Match
from lookalike.imaging.decode import Bounds
from lookalike.service.add import Add, add
from lookalike.service.image_source import Source
from lookalike.service.search import Search, search
from lookalike.settings import Settings

FIGURE = Path(__file__).with_suffix(".png")

_PHOTOGRAPHS = Path(__file__).parents[2] / ".venv/pictures/skimage/data"
_LIBRARY = ("astronaut.png", "chelsea.png", "coffee.png", "hubble_deep_field.jpg", "rocket.jpg")
_STRANGER = "camera.png"

_SHELF = Shelf("docs", "same_hq", Kind.SAME)
_BOUNDS = Bounds(4 << 20, 15, 4096, 4096 * 4096, frozenset({"JPEG"}))

#: Longest side of a photograph, in pixels.
_SIDE = 512

#: Width of a column, height of a picture in it, and the space between, in pixels of the figure.
_COLUMN, _HEIGHT, _GAP = 230, 190, 14
_INK, _PAPER, _MARK = "#24292f", "#ffffff", "#ff7b00"

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Answer:
    """A query and its first answer; None three times: there is none.

    ``transform`` moves the query's points to the picture's, as fractions of their sides.
    """

    query: str
    picture: str | None
    score: float | None
    transform: Affine | None


def photograph(name: str) -> Image.Image:
    """A photograph of scikit-image, its longer side at most ``_SIDE`` pixels."""
    picture = Image.open(_PHOTOGRAPHS / name).convert("RGB")
    picture.thumbnail((_SIDE, _SIDE))
    return picture


def queries() -> Mapping[str, Image.Image]:
    """The queries, by what was done to a photograph of the library; the last is of none."""
    return {
        "cropped, recompressed": _cropped(photograph("coffee.png")),
        "mirrored, captioned": _captioned(ImageOps.mirror(photograph("chelsea.png"))),
        "a print on a table": _print(photograph("rocket.jpg")),
        "not in the library": photograph(_STRANGER),
    }


def answers() -> list[Answer]:
    """What a new library with the photographs answers to the queries."""
    with tempfile.TemporaryDirectory() as folder, closing(bootstrap.build(Settings(data=Path(folder)))) as ports:
        for name in _LIBRARY:
            add(ports, Add(_SHELF, _source(photograph(name), quality=90), brief=name))
        found = {query: search(ports, Search(_SHELF, _source(picture))) for query, picture in queries().items()}
    return [_answer(query, page.matches) for query, page in found.items()]


def draw(answered: Sequence[Answer]) -> Image.Image:
    """The figure: a column for each query, above it the query, below it what was answered."""
    shown = queries()
    width = _GAP + len(answered) * (_COLUMN + _GAP)
    figure = Image.new("RGB", (width, 2 * _HEIGHT + 130), _PAPER)
    for number, answer in enumerate(answered):
        left = _GAP + number * (_COLUMN + _GAP)
        _write(figure, (left + _COLUMN // 2, 18), answer.query)
        top = _HEIGHT + 84
        if answer.picture is None or answer.transform is None:
            _paste(figure, shown[answer.query], (left, 34), None)
            _write(figure, (left + _COLUMN // 2, _HEIGHT + 58), "no answer")
            ImageDraw.Draw(figure).rectangle((left, top, left + _COLUMN, top + _HEIGHT), outline="#d0d7de", width=2)
        else:
            _write(figure, (left + _COLUMN // 2, _HEIGHT + 58), f"score {_cut(answer.score)}")
            _paste(figure, shown[answer.query], (left, 34), _frame(np.linalg.inv(_matrix(answer.transform))))
            _paste(figure, photograph(answer.picture), (left, top), _frame(_matrix(answer.transform)))
            _write(figure, (left + _COLUMN // 2, top + _HEIGHT + 18), answer.picture.partition(".")[0])
    return figure.quantize(160, dither=Image.Dither.FLOYDSTEINBERG)


def save(answered: Sequence[Answer]) -> None:
    """Write the figure, with its answers as text."""
    said = PngInfo()
    said.add_text("answers", json.dumps([[one.query, one.picture, one.score] for one in answered]))
    draw(answered).save(FIGURE, optimize=True, pnginfo=said)


def _answer(query: str, matches: Sequence[Match]) -> Answer:
    if not matches:
        return Answer(query, None, None, None)
    first = matches[0]
    if first.proof is None:
        raise ValueError(f"{query}: answered without verification")
    return Answer(query, first.candidate.brief, first.score, first.proof.transform)


def _matrix(transform: Affine) -> NDArray[np.float64]:
    return np.array([transform[:3], transform[3:], (0, 0, 1)], np.float64)


def _frame(matrix: NDArray[np.float64]) -> Points:
    """The corners of one picture on the other, no further out than that one's edges."""
    corners = matrix @ np.array([(0, 1, 1, 0), (0, 0, 1, 1), (1, 1, 1, 1)], np.float64)
    return [(x, y) for x, y in corners[:2].clip(0, 1).T.tolist()]


def _source(picture: Image.Image, quality: int = 75) -> Source:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return Source(_BOUNDS, data=file.getvalue())


def _cropped(picture: Image.Image) -> Image.Image:
    width, height = picture.size
    small = picture.crop((width // 5, height // 8, width * 9 // 10, height * 9 // 10)).resize((280, 200))
    file = io.BytesIO()
    small.save(file, "JPEG", quality=35)
    return Image.open(file).convert("RGB")


def _captioned(picture: Image.Image) -> Image.Image:
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, picture.height - 70, picture.width, picture.height), fill="#f6f8fa")
    draw.text((picture.width // 2, picture.height - 35), "who is this?", _INK, ImageFont.load_default(40), anchor="mm")
    return picture


def _print(picture: Image.Image) -> Image.Image:
    """The picture on paper with a white border, lying askew on a table."""
    light = np.linspace(70, 150, 640)[None, :, None] * np.array([1, 0.9, 0.75])
    grain = np.random.default_rng(1).normal(0, 3, (480, 640, 1))
    table = Image.fromarray((light + grain).clip(0, 255).astype(np.uint8))
    paper = ImageOps.expand(picture, 14, "white").convert("RGBA").resize((400, 280))
    paper = paper.rotate(14, Image.Resampling.BICUBIC, expand=True)
    table.paste(paper, ((640 - paper.width) // 2, (480 - paper.height) // 2), paper)
    return table


def _paste(figure: Image.Image, picture: Image.Image, place: tuple[int, int], outline: Points | None) -> None:
    """Put a picture into its column, at the middle, with an outline in fractions of its sides."""
    picture = ImageOps.contain(picture, (_COLUMN, _HEIGHT), Image.Resampling.LANCZOS)
    if outline is not None:
        points = [(2 + x * (picture.width - 5), 2 + y * (picture.height - 5)) for x, y in outline]
        ImageDraw.Draw(picture).line([*points, points[0], points[1]], _MARK, 5, joint="curve")
    left, top = place[0] + (_COLUMN - picture.width) // 2, place[1] + (_HEIGHT - picture.height) // 2
    figure.paste(picture, (left, top))


def _write(figure: Image.Image, middle: tuple[int, int], text: str) -> None:
    ImageDraw.Draw(figure).text(middle, text, _INK, ImageFont.load_default(16), anchor="mm")


def _cut(score: float | None) -> str:
    """Four digits, cut and not rounded: 1 is the identical picture's alone."""
    return f"{int((score or 0) * 10_000) / 10_000:.4f}"


if __name__ == "__main__":
    save(answers())
