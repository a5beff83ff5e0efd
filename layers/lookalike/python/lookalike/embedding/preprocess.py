"""Preprocessing: pictures as the network takes them."""

from __future__ import annotations

import numpy as np
from PIL import Image

from lookalike.domain.picture import Pixels


def square(pixels: Pixels, side: int) -> Pixels:
    """Return the whole picture squashed into a square, uint8 RGB (side, side, 3); the aspect ratio is not kept.

    So every part is seen, and has its place in the feature map. Padding to a square finds as many copies or one percent
    fewer; the central square alone finds one to three percent more, but parts outside of it can never be verified.
    """
    picture = Image.fromarray(pixels)
    # Reducing large pictures first takes a third of the time; the vectors' cosine to those without it is over 0.999.
    return np.asarray(picture.resize((side, side), Image.Resampling.BICUBIC, reducing_gap=3.0))
