"""Pictures as the network takes them."""

from __future__ import annotations

import numpy as np
from PIL import Image

from lookalike.model import Pixels


def square(pixels: Pixels, side: int) -> Pixels:
    """The whole picture squashed into a square of ``side`` pixels, its proportions given up."""
    picture = Image.fromarray(pixels)
    return np.asarray(picture.resize((side, side), Image.Resampling.BICUBIC, reducing_gap=3.0))
