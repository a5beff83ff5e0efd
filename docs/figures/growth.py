"""Draws ``docs/figures/growth.png``, how long a search takes by the number of pictures.

    .venv/bin/python -m docs.figures.growth [build/bench.json]

The figures are those of ``make bench`` or of ``python -m tests.bench.stores``, with ``--large`` up to five million pictures.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from docs.figures.drawing import write

FIGURE = Path(__file__).with_suffix(".png")

#: What the bench calls a search, and what the figure calls it; the same for the exact scan of all vectors, its floor.
SEARCHES = {"search, k 100, one view": "one view", "search, k 100, five views": "five views"}
EXACT = ", exact scan"

#: Points of a curve: pictures, and milliseconds of processor time.
Curve = Sequence[tuple[int, float]]

_GROUP = re.compile(r"([\d,]+) pictures, one thread, processor time")

#: Size of the figure and of the place around its axes, in pixels.
_SIZE, _LEFT, _RIGHT, _TOP, _BOTTOM = (760, 440), 70, 190, 24, 56

_INK, _PAPER, _GRID = "#24292f", "#ffffff", "#d0d7de"

_COLOURS = {
    "one view": "#0969da",
    "five views": "#ff7b00",
    f"one view{EXACT}": "#8db8e8",
    f"five views{EXACT}": "#ffc48c",
}


def curves(figures: Sequence[Mapping[str, Any]]) -> dict[str, Curve]:
    """Return the curves that a bench has measured, by what they show."""
    found: dict[str, dict[int, float]] = {name: {} for name in _COLOURS}
    for row in figures:
        group, name = _GROUP.fullmatch(row["group"]), SEARCHES.get(row["name"])
        if group is not None and name is not None:
            pictures = int(group[1].replace(",", ""))
            found[name][pictures] = row["value"]
            found[f"{name}{EXACT}"][pictures] = row["floor"]
    return {name: sorted(points.items()) for name, points in found.items()}


def draw(drawn: Mapping[str, Curve]) -> Image.Image:
    """Return the figure: both axes are logarithmic, so that what grows with the pictures goes up by 45 degrees."""
    figure = Image.new("RGB", _SIZE, _PAPER)
    pen = ImageDraw.Draw(figure)
    points = [point for curve in drawn.values() for point in curve]
    across = math.log10(min(x for x, _ in points)), math.log10(max(x for x, _ in points))
    up = math.floor(math.log10(min(y for _, y in points))), math.ceil(math.log10(max(y for _, y in points)))

    def place(pictures: float, milliseconds: float) -> tuple[float, float]:
        x = (math.log10(pictures) - across[0]) / (across[1] - across[0])
        y = (math.log10(milliseconds) - up[0]) / (up[1] - up[0])
        return _LEFT + x * (_SIZE[0] - _LEFT - _RIGHT), _SIZE[1] - _BOTTOM - y * (_SIZE[1] - _TOP - _BOTTOM)

    for power in range(up[0], up[1] + 1):
        (left, y), (right, _) = place(10 ** across[0], 10**power), place(10 ** across[1], 10**power)
        pen.line([(left, y), (right, y)], _GRID)
        _write(pen, (left - 8, y), f"{10**power:g} ms", "rm")
    for pictures in sorted({x for x, _ in points}):
        x, bottom = place(pictures, 10 ** up[0])
        pen.line([(x, bottom), (x, _TOP)], _GRID)
        _write(pen, (x, bottom + 16), _short(pictures), "mm")
    _write(pen, ((_LEFT + _SIZE[0] - _RIGHT) / 2, _SIZE[1] - 14), "pictures", "mm")
    for name, curve in drawn.items():
        line = [place(*point) for point in curve]
        pen.line(line, _COLOURS[name], 3, joint="curve")
        for x, y in line:
            pen.ellipse((x - 4, y - 4, x + 4, y + 4), _COLOURS[name])
        _write(pen, (line[-1][0] + 12, line[-1][1]), name, "lm")
    return figure


def _short(pictures: int) -> str:
    return f"{pictures / 1_000_000:g} M" if pictures >= 1_000_000 else f"{pictures // 1000} k"


def _write(pen: ImageDraw.ImageDraw, place: tuple[float, float], text: str, anchor: str) -> None:
    pen.text(place, text, _INK, ImageFont.load_default(15), anchor=anchor)


def main() -> None:
    """Draw what the file says that was measured, as far as it says it."""
    file = Path(sys.argv[1] if len(sys.argv) > 1 else "build/bench.json")
    said = json.loads(file.read_text())
    drawn = curves(said["figures"] if isinstance(said, dict) else said)
    rounded = {name: [(pictures, round(ms, 2)) for pictures, ms in curve] for name, curve in drawn.items()}
    write(FIGURE, draw(drawn), rounded)


if __name__ == "__main__":
    main()
