"""Draws queries and their answers side by side."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, ImageOps
from PIL.PngImagePlugin import PngInfo

from docs.figures.engine import Answer, photograph
from lookalike.domain.geometry import Affine, Box

#: Width of a column, height of a picture in it, and the space between, in pixels of the figure.
_COLUMN, _HEIGHT, _GAP = 230, 190, 14

_INK, _PAPER, _MARK, _RECOLOURED, _EMPTY = "#24292f", "#ffffff", "#ff7b00", "#0969da", "#d0d7de"

#: Colours of the figure's palette.
_COLOURS = 160

Points = Sequence[tuple[float, float]]


def draw(queries: Mapping[str, Image.Image], answered: Sequence[Answer]) -> Image.Image:
    """A column for each query: the query above, its answer below, what was matched outlined in both."""
    figure = Image.new("RGB", (_GAP + len(answered) * (_COLUMN + _GAP), 2 * _HEIGHT + 130), _PAPER)
    for number, answer in enumerate(answered):
        _column(figure, _GAP + number * (_COLUMN + _GAP), queries[answer.query], answer)
    return figure.quantize(_COLOURS, dither=Image.Dither.FLOYDSTEINBERG)


def save(path: Path, queries: Mapping[str, Image.Image], answered: Sequence[Answer]) -> None:
    """Write the figure, with its answers as text, so that a test can hold them against the engine's."""
    write(path, draw(queries, answered), [[one.query, one.stage, one.picture, one.score] for one in answered])


def write(path: Path, figure: Image.Image, answers: object) -> None:
    """Write a figure as PNG with a text, ``answers``: JSON."""
    said = PngInfo()
    said.add_text("answers", json.dumps(answers))
    figure.save(path, optimize=True, pnginfo=said)


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture of a grid, and its caption. ``marked`` and ``recoloured`` are regions outlined in it. None: an empty place."""

    picture: Image.Image | None
    caption: str
    marked: Sequence[Box] = ()
    recoloured: Sequence[Box] = ()


def grid(columns: Sequence[Sequence[Shown]]) -> Image.Image:
    """Columns of pictures, each with its caption above it."""
    rows = max(map(len, columns))
    figure = Image.new("RGB", (_GAP + len(columns) * (_COLUMN + _GAP), rows * (_HEIGHT + 34) + _GAP), _PAPER)
    for number, column in enumerate(columns):
        left = _GAP + number * (_COLUMN + _GAP)
        for row, shown in enumerate(column):
            top = 34 + row * (_HEIGHT + 34)
            _write(figure, (left + _COLUMN // 2, top - 16), shown.caption)
            if shown.picture is None:
                ImageDraw.Draw(figure).rectangle((left, top, left + _COLUMN, top + _HEIGHT), outline=_EMPTY, width=2)
            else:
                _paste(figure, _marked(shown), (left, top), None)
    return figure.quantize(_COLOURS, dither=Image.Dither.NONE)


def _marked(shown: Shown) -> Image.Image:
    """The picture at the size that it is shown at, its regions outlined."""
    picture = ImageOps.contain(shown.picture or Image.new("RGB", (1, 1)), (_COLUMN, _HEIGHT), Image.Resampling.LANCZOS)
    pen = ImageDraw.Draw(picture)
    for colour, boxes in ((_MARK, shown.marked), (_RECOLOURED, shown.recoloured)):
        for box in boxes:
            corners = (
                box.left * picture.width,
                box.top * picture.height,
                box.right * picture.width,
                box.bottom * picture.height,
            )
            pen.rectangle(corners, outline=colour, width=3)
    return picture


def _column(figure: Image.Image, left: int, query: Image.Image, answer: Answer) -> None:
    middle, top = left + _COLUMN // 2, _HEIGHT + 84
    _write(figure, (middle, 18), answer.query)
    if answer.picture is None or answer.transform is None:
        _paste(figure, query, (left, 34), None)
        _write(figure, (middle, _HEIGHT + 58), "no answer")
        ImageDraw.Draw(figure).rectangle((left, top, left + _COLUMN, top + _HEIGHT), outline=_EMPTY, width=2)
        return
    moved = _matrix(answer.transform)
    _paste(figure, query, (left, 34), _frame(np.linalg.inv(moved)))
    _write(figure, (middle, _HEIGHT + 58), f"score {cut(answer.score)}")
    _paste(figure, photograph(answer.picture), (left, top), _frame(moved))
    _write(figure, (middle, top + _HEIGHT + 18), answer.picture.partition(".")[0])


def _matrix(transform: Affine) -> NDArray[np.float64]:
    return np.array([transform[:3], transform[3:], (0, 0, 1)], np.float64)


def _frame(matrix: NDArray[np.float64]) -> Points:
    """Where one picture lies on the other: its corners there, cut off at that one's edges (Sutherland and Hodgman)."""
    corners = matrix @ np.array([(0, 1, 1, 0), (0, 0, 1, 1), (1, 1, 1, 1)], np.float64)
    points = [complex(x, y) for x, y in corners[:2].T.tolist()]
    for turn in (1, 1j, -1, -1j):  # the edge that each quarter turn brings to x = 1/2 around the middle
        points = _cut_off([(point - (0.5 + 0.5j)) * turn for point in points])
        points = [point / turn + (0.5 + 0.5j) for point in points]
    return [(point.real, point.imag) for point in points]


def _cut_off(points: Sequence[complex]) -> list[complex]:
    """What of a polygon lies left of x = 1/2."""
    kept: list[complex] = []
    for here, there in zip(points, [*points[1:], *points[:1]], strict=True):
        if here.real <= 0.5:
            kept.append(here)
        if (here.real <= 0.5) != (there.real <= 0.5):
            kept.append(here + (there - here) * (0.5 - here.real) / (there.real - here.real))
    return kept


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


def cut(score: float | None) -> str:
    """Four digits, cut and not rounded: 1 is the identical picture's alone."""
    return f"{int((score or 0) * 10_000) / 10_000:.4f}"
