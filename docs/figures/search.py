"""Draws ``docs/figures/search.png``, what ``same_hq`` finds: ``.venv/bin/python -m docs.figures.search``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from PIL import Image

from docs.figures.copies import captioned, cropped, printed
from docs.figures.drawing import save
from docs.figures.engine import STRANGER, answers, photograph

FIGURE = Path(__file__).with_suffix(".png")


def queries() -> Mapping[str, Image.Image]:
    """The queries, by what was done to a photograph of the library; the last is of none."""
    return {
        "cropped, recompressed": cropped(photograph("coffee.png")),
        "mirrored, captioned": captioned(photograph("chelsea.png")),
        "a print on a table": printed(photograph("rocket.jpg"), 360, 14),
        "not in the library": photograph(STRANGER),
    }


if __name__ == "__main__":
    save(FIGURE, queries(), answers(queries()))
