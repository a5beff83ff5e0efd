"""Libraries of one kind: drawn pictures of one layout with other content, the same for the same seed."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from random import Random

from PIL import Image, ImageFilter, ImageOps

from tests.quality import designs, documents
from tests.quality.canvas import Picture

Drawing = Callable[[Random, Random], Picture]


@dataclass(frozen=True, slots=True)
class DrawnKind:
    """The function that draws a kind. With ``sisters`` every library picture has a layout of its own, and a stranger
    takes over the layout of one of them: nothing but a colour differs.
    """

    draw: Drawing
    sisters: bool = False


DOCUMENTS: Mapping[str, DrawnKind] = {
    draw.__name__.replace("_", " "): DrawnKind(draw)
    for draw in (
        *(documents.invoice, documents.form, documents.receipt, documents.letter, documents.table, documents.slide),
        *(documents.quote_card, documents.poster, documents.business_card, documents.ticket, documents.qr),
        *(documents.barcode, documents.chart, documents.shop_card, documents.blank_page, documents.comic),
        *(designs.logo, designs.icon),
    )
}
DESIGNS: Mapping[str, DrawnKind] = {
    "playing card": DrawnKind(designs.playing_card),
    "flag": DrawnKind(designs.flag),
    "face": DrawnKind(designs.face),
    "pattern": DrawnKind(designs.pattern),
    "cut-out": DrawnKind(designs.cut_out),
    "part recoloured": DrawnKind(designs.recoloured_part, sisters=True),
    "whole recoloured": DrawnKind(designs.recoloured_whole, sisters=True),
}
KINDS: Mapping[str, DrawnKind] = {**DOCUMENTS, **DESIGNS}

#: Draws that may repeat a picture in a row; of a kind with few designs (a pack has 52 cards) many do.
MAX_REPEATED = 500


@dataclass(frozen=True, slots=True)
class DrawnLibrary:
    """Pictures of one kind: those in the library, and strangers, none equal to another."""

    kind: str
    members: tuple[Picture, ...]
    strangers: tuple[Picture, ...]


def library(kind: str, seed: int, members: int, strangers: int) -> DrawnLibrary:
    """Draw a library of one kind. ``strangers`` of a kind with sisters differ from a member by a colour."""
    drawn = _unequal(kind, seed, max(members, strangers) if KINDS[kind].sisters else members, "member", set())
    seen = {picture.tobytes() for picture in drawn}
    others = _unequal(kind, seed, strangers, "stranger", seen)
    return DrawnLibrary(kind, tuple(drawn[:members]), tuple(others))


def _unequal(kind: str, seed: int, count: int, role: str, seen: set[bytes]) -> list[Picture]:
    pictures: list[Picture] = []
    for number in range(count):
        picture = next(one for one in _draws(kind, seed, number, role) if one.tobytes() not in seen)
        seen.add(picture.tobytes())
        pictures.append(picture)
    return pictures


def _draws(kind: str, seed: int, number: int, role: str) -> Iterator[Picture]:
    """The picture of that number, then its substitutes in case it repeats another."""
    drawn = KINDS[kind]
    layout = f"{seed} {kind} {number if drawn.sisters else 'layout'}"
    for again in range(MAX_REPEATED):
        yield drawn.draw(Random(layout), Random(f"{seed} {kind} {role} {number} {again}"))


def recompressed(picture: Picture, _: Random) -> Picture:
    """Saved once as a JPEG of quality 40."""
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=40)
    return Image.open(file).convert("RGB")


def half_size(picture: Picture, _: Random) -> Picture:
    """Half as wide and high."""
    return picture.resize((picture.width // 2, picture.height // 2), Image.Resampling.LANCZOS)


def cropped(picture: Picture, random: Random) -> Picture:
    """80 % of width and height, anywhere."""
    width, height = picture.width * 4 // 5, picture.height * 4 // 5
    left, top = random.randint(0, picture.width - width), random.randint(0, picture.height - height)
    return picture.crop((left, top, left + width, top + height))


def grey(picture: Picture, _: Random) -> Picture:
    """Without colour."""
    return ImageOps.grayscale(picture).convert("RGB")


#: Copies that every kind is asked with.
COPIES: Mapping[str, Callable[[Picture, Random], Picture]] = {
    "recompressed": recompressed,
    "half size": half_size,
    "cropped": cropped,
    "grey": grey,
}


#: How strangers are asked for: what is small or blurred shows less of what differs.
SIZES: Mapping[str, Callable[[Picture], Picture]] = {
    "full": lambda picture: picture,
    "half": lambda picture: half_size(picture, Random(0)),
    "third": lambda picture: picture.resize((picture.width // 3, picture.height // 3), Image.Resampling.LANCZOS),
    "third, poor": lambda picture: recompressed(SIZES["third"](picture), Random(0)),
    "blurred": lambda picture: picture.filter(ImageFilter.GaussianBlur(1.5)),
}
