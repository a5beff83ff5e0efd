"""Pairs that differ in one thing: a letter, a pip, a digit of a seat; a sister that no search may take for a copy."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from lookalike.domain.geometry import IDENTITY, Affine
from tests.quality import canvas, designs
from tests.quality.canvas import GREY, INK, Picture, font, sheet, vivid, words
from tests.quality.drawings import DrawnLibrary

LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class ClosePair:
    """A picture, and another that differs from it in one thing.

    ``transform`` moves fractions of ``other`` to those of ``picture``: where both lie on each other best.
    """

    picture: Picture
    other: Picture
    transform: Affine = IDENTITY


def name(random: Random) -> ClosePair:
    """Business cards whose names differ by a letter."""
    text, layout = f"{canvas.name(random)}-{random.choice(canvas.NAMES)}", str(random.random())

    def card(of: str) -> Picture:
        own = Random(layout)
        picture, pen = sheet(700, 400)
        brand = vivid(own)
        pen.rectangle((0, 0, 40, 400), fill=brand)
        pen.text((290, 60), words(own, 2), font=font(34), fill=brand)
        pen.text((90, 170), of, font=font(44), fill=INK)
        pen.text((90, 240), words(own, 3), font=font(22), fill=GREY)
        pen.text((90, 310), f"+{canvas.digits(own, 11)}  {words(own, 1)}@example.com", font=font(22), fill=INK)
        return picture

    return ClosePair(card(text), card(_changed(text, random)))


def plate(random: Random) -> ClosePair:
    """Number plates that differ by a letter or a digit."""
    text = f"{_letters(random, 1)}-{_letters(random, 2)} {random.randint(100, 9999)}"

    def drawn(of: str) -> Picture:
        picture, pen = sheet(520, 120)
        pen.rounded_rectangle((2, 2, 517, 117), 12, outline="black", width=4)
        pen.rectangle((6, 6, 48, 113), fill=(0, 50, 160))
        pen.text((65, 22), of, font=font(64), fill="black")
        return picture

    return ClosePair(drawn(text), drawn(_changed(text, random)))


def seat(random: Random) -> ClosePair:
    """Tickets of one concert that differ by a digit of the seat, or of the row."""
    row, number, layout = random.randint(1, 9), random.randint(10, 48), str(random.random())

    def drawn(of: str) -> Picture:
        own = Random(layout)
        picture, pen = sheet(640, 260, (250, 240, 225))
        pen.rectangle((0, 0, 640, 60), fill=vivid(own, 0.5))
        pen.text((20, 12), words(own, 3), font=font(34), fill="white")
        pen.text((20, 80), f"{words(own, 2)} - {canvas.date(own)}, 20:00", font=font(24), fill=INK)
        pen.text((20, 140), of, font=font(40), fill=INK)
        pen.text((20, 215), f"Ticket {canvas.digits(own, 6)}", font=font(18), fill=GREY)
        return picture

    other = (row, (number + random.randint(1, 40)) % 60 + 1) if random.random() < 0.7 else (row % 9 + 1, number)
    return ClosePair(drawn(f"Row {row}   Seat {number}"), drawn("Row {}   Seat {}".format(*other)))


def suit(random: Random) -> ClosePair:
    """Playing cards of one rank and of two suits of one colour."""
    rank, suits = random.randint(1, 10), random.choice(((0, 3), (1, 2), (3, 0), (2, 1)))
    return ClosePair(_card(rank, [suits[0]] * rank), _card(rank, [suits[1]] * rank))


def pip(random: Random) -> ClosePair:
    """Playing cards of which one pip is of another suit."""
    rank, suits = random.randint(2, 10), random.choice(((0, 3), (1, 2), (3, 0), (2, 1)))
    odd = [suits[0]] * rank
    odd[random.randrange(rank)] = suits[1]
    return ClosePair(_card(rank, [suits[0]] * rank), _card(rank, odd))


def _card(rank: int, pips: list[int]) -> Picture:
    picture, pen = sheet(400, 560)
    pen.rounded_rectangle((6, 6, 394, 554), 26, outline=(150, 150, 150), width=3)
    colour = (196, 20, 40) if pips[0] in (1, 2) else (20, 20, 20)
    pen.text((40, 46), str(rank), font=font(44), fill=colour, anchor="mm")
    pen.text((360, 514), str(rank), font=font(44), fill=colour, anchor="mm")
    for at, one in zip(designs.pips(rank), pips, strict=True):
        designs.draw_suit(pen, at, 30, one, colour)
    return picture


def deck(random: Random) -> ClosePair:
    """Playing cards of two black suits, which have a foot in common, a rank and its suit in two corners."""
    rank, suits = random.randint(1, 10), random.choice(((0, 3), (3, 0)))

    def card(of: int) -> Picture:
        picture, pen = sheet(300, 420)
        pen.rounded_rectangle((3, 3, 296, 416), 18, outline="black", width=2)
        for _corner in range(2):
            pen.text((24, 16), str(rank), font=font(30), fill=INK)
            _filled_suit(pen, (34, 66), 12, of)
            picture = picture.rotate(180)
            pen = ImageDraw.Draw(picture)
        for x, y in designs.pips(rank):
            _filled_suit(pen, (round(0.75 * x), round(0.75 * y)), 22, of)
        return picture

    return ClosePair(card(suits[0]), card(suits[1]))


def _filled_suit(pen: ImageDraw.ImageDraw, centre: tuple[int, int], size: int, suit: int) -> None:
    """A spade or a club whose lobes touch: as dense as each other."""
    x, y = centre
    if suit == 0:
        discs = [(-size / 2, 0.3 * size, size / 2), (size / 2, 0.3 * size, size / 2)]
        pen.polygon([(x - 0.93 * size, y), (x + 0.93 * size, y), (x, y - size)], fill=INK)
    else:
        discs = [(across * size, down * size, 0.45 * size) for across, down in ((0, -0.5), (-0.5, 0.2), (0.5, 0.2))]
    for across, down, radius in discs:
        pen.ellipse((x + across - radius, y + down - radius, x + across + radius, y + down + radius), fill=INK)
    pen.polygon([(x, y), (x - 0.3 * size, y + size), (x + 0.3 * size, y + size)], fill=INK)


def brand(random: Random) -> ClosePair:
    """Logos on white beside black words, in two brands' colours: another hue as vivid."""
    return _branded(random, random.uniform(70, 130))


def accent(random: Random) -> ClosePair:
    """The same with a mark of a fiftieth of the area."""
    return _branded(random, 34)


def _branded(random: Random, radius: float) -> ClosePair:
    angle, turn, layout = random.random(), random.uniform(0.25, 0.75), str(random.random())

    def drawn(of: float) -> Picture:
        own = Random(layout)
        picture, pen = sheet(480, 480)
        pen.ellipse((150 - radius, 150 - radius, 150 + radius, 150 + radius), fill=canvas.hue(of, 0.8, 0.75))
        pen.text((150, 150), own.choice(LETTERS), font=font(radius), fill="white", anchor="mm")
        pen.text((30, 330), words(own, 2), font=font(44), fill="black")
        pen.text((30, 400), words(own, 4), font=font(24), fill=INK)
        return picture

    return ClosePair(drawn(angle), drawn(angle + turn))


def sign(random: Random) -> ClosePair:
    """Signs of one word and one character, which differs."""
    word, layout = random.choice(("Gate", "Room", "Platform", "Hall", "Level")), str(random.random())
    pairs = ("8B", "38", "68", "OQ", "EF", "CG", "PR", "DO", "17", "MN", "UV", "S5", "KX", "B3")
    characters = random.sample(random.choice(pairs), 2)

    def drawn(of: str) -> Picture:
        own = Random(layout)
        picture, pen = sheet(600, 300, (245, 245, 240))
        colour = vivid(own, 0.4)
        pen.rectangle((10, 10, 590, 290), outline=colour, width=4)
        pen.text((300, 150), f"{word} {of}", font=font(own.choice((50, 60, 90))), fill=colour, anchor="mm")
        return picture

    return ClosePair(drawn(characters[0]), drawn(characters[1]))


def calendar(random: Random) -> ClosePair:
    """Months of one calendar, laid on each other by as many columns as their first days are apart."""
    layout = str(random.random())

    def drawn(month: int, first: int) -> Picture:
        own = Random(layout)
        picture, pen = sheet(560, 480)
        pen.rectangle((0, 0, 560, 70), fill=vivid(own, 0.7))
        pen.text((20, 14), f"{words(Random(month), 1)} {own.randint(2000, 2030)}", font=font(36), fill="white")
        for day in range(1, 29 + month % 3):
            row, column = divmod(day - 1 + first, 7)
            pen.text((50 + 75 * column, 110 + 62 * row), str(day), font=font(26), fill=INK, anchor="mm")
        return picture

    first = random.randint(0, 5)
    shift = random.choice((1, -1)) if first else 1
    months = random.sample(range(12), 2)
    return ClosePair(drawn(months[0], first + shift), drawn(months[1], first), (1, 0, shift * 75 / 560, 0, 1, 0))


def sudoku(random: Random) -> ClosePair:
    """Sudokus of one grid."""

    def drawn() -> Picture:
        picture, pen = sheet(460, 460)
        for at in range(10):
            wide = 4 if at % 3 == 0 else 1
            pen.line((5 + at * 50, 5, 5 + at * 50, 455), fill="black", width=wide)
            pen.line((5, 5 + at * 50, 455, 5 + at * 50), fill="black", width=wide)
        for cell in random.sample(range(81), 32):
            centre = 30 + 50 * (cell % 9), 30 + 50 * (cell // 9)
            pen.text(centre, str(random.randint(1, 9)), font=font(30), fill="black", anchor="mm")
        return picture

    return ClosePair(drawn(), drawn())


def shaded(random: Random) -> ClosePair:
    """Softly lit eggs on plain white, of about one size and one colour."""

    def drawn() -> Picture:
        y, x = np.mgrid[-1:1:320j, -1:1:320j]
        q = (x / random.uniform(0.55, 0.65)) ** 2 + (y / random.uniform(0.66, 0.74)) ** 2
        noise = np.random.default_rng(random.getrandbits(32)).integers(0, 255, (12, 12)).astype(np.uint8)
        spots = np.asarray(Image.fromarray(noise).resize((320, 320), Image.Resampling.BICUBIC)) / 255 - 0.5
        colour = np.array([190, 150, 100]) * [random.uniform(0.9, 1.1) for _ in range(3)]
        lit = (0.4 + 0.6 * np.sqrt(np.clip(1 - q, 0, 1))) * (1 + 0.25 * spots)
        pixels = np.where((q < 1)[..., None], colour * lit[..., None], 255).clip(0, 255).astype(np.uint8)
        return Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(1))

    return ClosePair(drawn(), drawn())


def clock(random: Random) -> ClosePair:
    """Clocks whose longer hands are ten minutes or more apart."""
    hour, minute = random.randrange(12), 5 * random.randrange(12)
    other = (minute + 5 * random.randint(2, 10)) % 60

    def drawn(shown: int) -> Picture:
        picture, pen = sheet(400, 400)
        pen.ellipse((20, 20, 380, 380), outline="black", width=8)
        for at in range(12):
            angle = at * math.pi / 6
            place = 200 + 145 * math.sin(angle), 200 - 145 * math.cos(angle)
            pen.text(place, str(at or 12), font=font(28), fill="black", anchor="mm")
        for angle, length, wide in ((hour * math.pi / 6, 80, 10), (shown * math.pi / 30, 125, 5)):
            pen.line(
                (200, 200, 200 + length * math.sin(angle), 200 - length * math.cos(angle)), fill="black", width=wide
            )
        return picture

    return ClosePair(drawn(minute), drawn(other))


def dice(random: Random) -> ClosePair:
    """Two dice, of which one shows another number."""
    thrown = [random.randint(1, 6), random.randint(1, 6)]
    other = [thrown[0], random.choice([one for one in range(1, 7) if one != thrown[1]])]
    dots = ((11,), (0, 22), (0, 11, 22), (0, 2, 20, 22), (0, 2, 11, 20, 22), (0, 1, 2, 20, 21, 22))

    def drawn(of: list[int]) -> Picture:
        picture = Image.new("RGB", (500, 260), (20, 110, 60))
        pen = ImageDraw.Draw(picture)
        for number, left in zip(of, (30, 270), strict=True):
            pen.rounded_rectangle((left, 30, left + 200, 230), 24, fill="white")
            for dot in dots[number - 1]:
                x, y = left + 30 + 55 * (dot // 10), 60 + 55 * (dot % 10)
                pen.ellipse((x, y, x + 30, y + 30), fill="black")
        return picture

    return ClosePair(drawn(thrown), drawn(other))


def amount(random: Random) -> ClosePair:
    """Receipts that differ by one amount."""
    layout, first, second = str(random.random()), canvas.price(random), canvas.price(random)

    def drawn(of: str) -> Picture:
        own = Random(layout)
        picture, pen = sheet(600, 700)
        pen.text((40, 30), words(own, 2), font=font(40), fill=INK)
        for line in range(10):
            pen.text((40, 130 + 46 * line), words(own, 3), font=font(24), fill=INK)
            shown = of if line == 6 else canvas.price(own)
            pen.text((560, 130 + 46 * line), shown, font=font(24), fill=INK, anchor="ra")
        pen.line((40, 620, 560, 620), fill=GREY, width=2)
        return picture

    return ClosePair(drawn(first), drawn(second))


def _changed(text: str, random: Random) -> str:
    """The text with another letter for one of its letters, or another digit for one of its digits."""
    at = random.choice([at for at, one in enumerate(text) if one.isalnum()])
    among = "0123456789" if text[at].isdigit() else LETTERS if text[at].isupper() else "abcdeghkmnopqrsuvwxyz"
    other = random.choice([one for one in among if one != text[at]])
    return text[:at] + other + text[at + 1 :]


def _letters(random: Random, count: int) -> str:
    return "".join(random.choice(LETTERS) for _ in range(count))


CLOSE: Mapping[str, Callable[[Random], ClosePair]] = {
    draw.__name__: draw
    for draw in (
        *(name, plate, seat, suit, pip, deck, sign, calendar, sudoku),
        *(shaded, clock, dice, amount, brand, accent),
    )
}


def libraries(seed: int, count: int) -> list[DrawnLibrary]:
    """Draw ``count`` pairs of each kind: the library has the pictures, and their sisters are strangers.

    A sister that equals another picture of the library (dice have few faces) is left out.
    """
    pairs = {kind: [draw(Random(f"{seed} {kind} {number}")) for number in range(count)] for kind, draw in CLOSE.items()}
    seen = {one.picture.tobytes() for some in pairs.values() for one in some}
    return [
        DrawnLibrary(
            kind,
            tuple(one.picture for one in some),
            tuple(one.other for one in some if one.other.tobytes() not in seen),
        )
        for kind, some in pairs.items()
    ]
