"""Draws the golden pictures: one small file per way of coding that a picture's identity must outlive.

The files are committed, since encoders change and the files must not; what is tested is the decoder. Run it from
the repository's root only to add one: ``python tests/unit/imaging/pictures/draw.py``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

FOLDER = Path(__file__).parent


def scene(width: int = 83, height: int = 61) -> Image.Image:
    """Return a picture of gradients, edges, fine stripes and grain; odd sides, so that chroma blocks do not fit."""
    y, x = np.mgrid[0:height, 0:width]
    red = 255 * x // (width - 1)
    green = 255 * y // (height - 1)
    blue = np.where((x - 50) ** 2 + (y - 25) ** 2 < 300, 230, 40)
    blue = np.where((x < 30) & (y > 35), (x % 3) * 120, blue)
    grain = np.random.default_rng(7).integers(-12, 13, (height, width, 3))
    pixels = np.stack([red, green, blue], axis=-1) + grain
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def main() -> None:
    """Write the files beside this module."""
    picture = scene()
    picture.save(FOLDER / "420.jpg", quality=85, subsampling="4:2:0")
    picture.save(FOLDER / "444.jpg", quality=85, subsampling="4:4:4")
    picture.save(FOLDER / "progressive.jpg", quality=85, progressive=True)
    picture.convert("L").save(FOLDER / "grey.jpg", quality=85)
    picture.convert("CMYK").save(FOLDER / "cmyk.jpg", quality=85)
    # The same file, labelled as YCCK: Adobe's segment ends with the colour transform (Adobe TN 5116, §18).
    cmyk = (FOLDER / "cmyk.jpg").read_bytes()
    transform = cmyk.index(b"Adobe") + 11
    (FOLDER / "ycck.jpg").write_bytes(cmyk[:transform] + b"\x02" + cmyk[transform + 1 :])
    picture.save(FOLDER / "rgb.png", optimize=True)
    translucent = picture.copy()
    translucent.putalpha(picture.getchannel("R"))
    translucent.save(FOLDER / "rgba.png", optimize=True)
    picture.quantize(32).save(FOLDER / "palette.gif")
    picture.save(FOLDER / "lossy.webp", quality=85)


if __name__ == "__main__":
    main()
