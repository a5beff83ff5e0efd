"""Draws ``docs/figures/stages.png``, a query for each stage of verification: ``.venv/bin/python -m docs.figures.stages``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from PIL import Image

from docs.figures.copies import cropped, printed, turned
from docs.figures.drawing import save
from docs.figures.engine import answers, photograph

FIGURE = Path(__file__).with_suffix(".png")


def queries() -> Mapping[str, Image.Image]:
    """The queries, each by the last stage that it takes; a test holds that."""
    return {
        "1: feature maps": cropped(photograph("chelsea.png")),
        "2: rectified": printed(photograph("coffee.png"), 420, 25),
        "3: keypoints": turned(photograph("astronaut.png"), 70),
        "4: further looks": printed(photograph("rocket.jpg"), 200, 40),
    }


if __name__ == "__main__":
    save(FIGURE, queries(), answers(queries()))
