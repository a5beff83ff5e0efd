"""Makes picture files whose ordinary rendering is a single colour although they show something.

Each maker takes a number: other numbers make files that look different, and are blank in the same way.

Some are golden pictures: run it from the repository's root only to add one, ``python -m tests.unit.imaging.pictures.blank``.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from tests.unit.imaging.pictures.draw import FOLDER, scene
from tests.unit.imaging.pictures.files import PNG_SIGNATURE, chunk, encode, gif_split, png, png_header

SIZE = WIDTH, HEIGHT = 80, 60
CLEAR = Image.new("RGBA", SIZE, (255, 255, 255, 0))
BLACK = Image.new("RGBA", SIZE, (0, 0, 0, 255))


def ink(seed: int, colour: tuple[int, int, int] = (255, 255, 255)) -> Image.Image:
    """Return rings of one colour on transparency."""
    image = Image.new("RGBA", SIZE, (*colour, 0))
    draw, places = ImageDraw.Draw(image), np.random.default_rng(seed)
    for x, y in places.integers(0, 40, (4, 2)).tolist():
        draw.ellipse((x, y, x + 18, y + 18), outline=(*colour, 255), width=3)
    return image


def drawn(seed: int) -> Image.Image:
    """Return an opaque picture."""
    return Image.fromarray(np.roll(np.asarray(scene(*SIZE)), 7 * seed, axis=1))


def palette(seed: int) -> Image.Image:
    """Return white rings on a white background, which is palette colour 0."""
    image = Image.new("P", SIZE, 0)
    image.putpalette([255] * 6)
    image.paste(1, mask=ink(seed).getchannel("A"))
    return image


def colour_key(seed: int) -> bytes:
    """Return a PNG of one bit a sample, whose black samples are transparent."""
    rows = np.packbits(np.asarray(ink(seed).getchannel("A")) > 0, axis=1)
    return png([row.tobytes() for row in rows], WIDTH, 1, 0, chunk(b"tRNS", b"\0\0"))


def wide(samples: NDArray[np.generic], colour: int) -> bytes:
    """Return a PNG of 16 bits a sample."""
    return png([row.astype(">u2").tobytes() for row in samples], samples.shape[1], 16, colour)


def low(seed: int) -> NDArray[np.uint16]:
    """Return 16-bit samples that use only the low byte."""
    return np.asarray(drawn(seed)).astype(np.uint16)


def opaque(samples: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Return the samples with opaque alpha of 16 bits."""
    return np.dstack([samples, np.full(samples.shape[:2], 65535, np.uint16)])


def interlaced(seed: int) -> bytes:
    """Return a PNG of low bytes, interlaced by Adam7."""
    samples = low(seed)
    rows = b""
    for left, top, across, down in (
        (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2),
    ):  # fmt: skip
        rows += b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples[top::down, left::across])
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, 16, 2, 0, 0, 1))
    return PNG_SIGNATURE + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND")


def hidden(seed: int) -> NDArray[np.uint8]:
    """Return a picture whose alpha is zero everywhere."""
    return np.dstack([np.asarray(drawn(seed)), np.zeros((HEIGHT, WIDTH), np.uint8)])


def bmp(pixels: NDArray[np.uint8]) -> bytes:
    """Return a BMP of 32 bits with a mask for alpha."""
    rows = pixels[::-1, :, [2, 1, 0, 3]].tobytes()
    masks = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    info = struct.pack("<IiiHHIIiiIIIIII", 56, WIDTH, HEIGHT, 1, 32, 3, len(rows), 0, 0, 0, 0, *masks)
    return b"BM" + struct.pack("<IHHI", 14 + len(info) + len(rows), 0, 0, 14 + len(info)) + info + rows


def animation(form: str, first: Image.Image, then: Image.Image, sheets: int = 1, **options: object) -> bytes:
    """Return an animation of single-colour frames, each of its own grey but the first, and a last one with ink."""
    greys = [Image.new("RGBA", SIZE, (grey, grey, grey, 255)) for grey in range(1, sheets)]
    return encode(first, form, save_all=True, append_images=[*greys, then], **options)


def gif_of_frames(count: int, side: int) -> bytes:
    """Return a GIF of empty frames."""
    head, frame = gif_split(encode(Image.new("P", (side, side), 0), "GIF", transparency=0))
    return head + frame[:-1] * count + b";"


def apng(*frames: tuple[int, int, int, int, bytes], side: int = 64) -> bytes:
    """Return an APNG with an empty still picture and these frames: width, height, left, top, deflated rows."""
    empty = zlib.compress(bytes((side * 4 + 1) * side))
    parts = [png_header(side, side, 8, 6), chunk(b"acTL", struct.pack(">II", len(frames), 0)), chunk(b"IDAT", empty)]
    for number, (*place, body) in enumerate(frames):
        parts.append(chunk(b"fcTL", struct.pack(">IIIIIHHBB", 2 * number, *place, 1, 10, 0, 0)))
        parts.append(chunk(b"fdAT", struct.pack(">I", 2 * number + 1) + zlib.compress(body, 1)))
    return PNG_SIGNATURE + b"".join(parts) + chunk(b"IEND")


#: Makers of white ink on transparency.
INKS: dict[str, Callable[[int], bytes]] = {
    "RGBA.png": lambda seed: encode(ink(seed), "PNG"),
    "LA.png": lambda seed: encode(ink(seed).convert("LA"), "PNG"),
    "palette.png": lambda seed: encode(palette(seed), "PNG", transparency=b"\0\xff"),
    "key.png": colour_key,
    "palette.gif": lambda seed: encode(palette(seed), "GIF", transparency=0),
    "lossless.webp": lambda seed: encode(ink(seed), "WEBP", lossless=True),
    "lossy.webp": lambda seed: encode(ink(seed), "WEBP"),
    "RGBA.bmp": lambda seed: bmp(np.asarray(ink(seed))),
    "later.gif": lambda seed: animation("GIF", CLEAR, ink(seed), disposal=2),
    "later.png": lambda seed: animation("PNG", CLEAR, ink(seed)),
    "later.webp": lambda seed: animation("WEBP", CLEAR, ink(seed), lossless=True),
}

#: Makers of lossless files of the drawn picture.
DRAWN: dict[str, Callable[[int], bytes]] = {
    "after nothing.png": lambda seed: animation("PNG", CLEAR, drawn(seed).convert("RGBA")),
    "after nothing.webp": lambda seed: animation("WEBP", CLEAR, drawn(seed).convert("RGBA"), lossless=True),
    "after black.png": lambda seed: animation("PNG", BLACK, drawn(seed).convert("RGBA")),
    "after black.webp": lambda seed: animation("WEBP", BLACK, drawn(seed).convert("RGBA"), lossless=True),
    "after a still.png": lambda seed: animation("PNG", BLACK, drawn(seed).convert("RGBA"), default_image=True),
    "16 bits.png": lambda seed: wide(low(seed), 2),
    "16 bits, interlaced.png": interlaced,
    "16 bits, opaque.png": lambda seed: wide(opaque(low(seed)), 6),
    "hidden.png": lambda seed: encode(hidden(seed), "PNG"),
    "hidden.webp": lambda seed: encode(hidden(seed), "WEBP", lossless=True, exact=True),
    "hidden.bmp": lambda seed: bmp(hidden(seed)),
}

#: Other makers.
OTHERS: dict[str, Callable[[int], bytes]] = {
    "after nothing.gif": lambda seed: animation("GIF", CLEAR, drawn(seed).convert("RGBA"), disposal=2),
    "after black.gif": lambda seed: animation("GIF", BLACK, drawn(seed).convert("RGBA")),
    "ink after black.gif": lambda seed: animation("GIF", BLACK, ink(seed)),
    "ink after black.webp": lambda seed: animation("WEBP", BLACK, ink(seed)),
    "after nothing, lossy.webp": lambda seed: animation("WEBP", CLEAR, drawn(seed).convert("RGBA")),
    "16 bits, grey.png": lambda seed: wide(low(seed)[..., 0], 0),
    "16 bits, grey, opaque.png": lambda seed: wide(opaque(low(seed)[..., 0]), 4),
}

#: Golden pictures by the names of their files.
GOLDEN: dict[str, Callable[[], bytes]] = {
    "ink.png": lambda: INKS["RGBA.png"](1),
    "ink.gif": lambda: INKS["palette.gif"](1),
    "later.gif": lambda: OTHERS["after nothing.gif"](1),
    "later.png": lambda: DRAWN["after black.png"](1),
    "later.webp": lambda: OTHERS["after nothing, lossy.webp"](1),
    "low.png": lambda: DRAWN["16 bits.png"](1),
    "hidden.png": lambda: DRAWN["hidden.png"](1),
}


def main() -> None:
    """Write the golden files beside this module."""
    for name, make in GOLDEN.items():
        (FOLDER / name).write_bytes(make())


if __name__ == "__main__":
    main()
