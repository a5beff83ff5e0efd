"""Documents and printed matter of one layout with other content.

Each function draws from two random streams: ``layout`` for everything common to a kind (company, headings, colours,
places), ``content`` for everything that sets one picture of the kind apart.
"""

from __future__ import annotations

import math
from random import Random

from tests.quality.canvas import (
    GREY,
    INK,
    Pen,
    Picture,
    date,
    digits,
    font,
    name,
    pale,
    paragraph,
    price,
    sheet,
    vivid,
    words,
)


def invoice(layout: Random, content: Random) -> Picture:
    """Letterhead, address, four to seven lines of a table, a total."""
    picture, pen = sheet(620, 877)
    brand, company = vivid(layout), words(layout, 2)
    pen.rectangle((0, 0, 620, 70), fill=brand)
    pen.text((40, 20), company, font=font(28), fill="white")
    pen.text((440, 100), "INVOICE", font=font(32), fill=brand)
    pen.text((440, 145), f"No. {digits(content, 6)}", font=font(15), fill=INK)
    pen.text((440, 167), date(content), font=font(15), fill=INK)
    pen.multiline_text((40, 110), f"{name(content)}\n{words(content, 2)} {digits(content, 2)}", font=font(16), fill=INK)
    pen.rectangle((40, 240, 580, 268), fill=pale(layout))
    _row(pen, 245, ("Item", "Qty", "Amount"))
    for line in range(content.randint(4, 7)):
        _row(pen, 285 + 34 * line, (words(content, 3), str(content.randint(1, 40)), price(content)))
        pen.line((40, 310 + 34 * line, 580, 310 + 34 * line), fill=(220, 220, 224))
    _row(pen, 560, ("", "Total", price(content)), size=20)
    pen.line((40, 800, 580, 800), fill=brand, width=2)
    pen.text((40, 812), f"{words(layout, 3)} · {digits(layout, 8)} · {words(layout, 2)}", font=font(13), fill=GREY)
    return picture


def _row(pen: Pen, y: int, cells: tuple[str, str, str], size: int = 15) -> None:
    for x, cell in zip((50, 380, 490), cells, strict=True):
        pen.text((x, y), cell, font=font(size), fill=INK)


def form(layout: Random, content: Random) -> Picture:
    """Labels and boxes, filled in, some of them ticked."""
    picture, pen = sheet(620, 877)
    pen.text((40, 30), words(layout, 4), font=font(26), fill=INK)
    paragraph(pen, (40, 75), layout, 2, size=12)
    for line in range(9):
        y = 130 + 62 * line
        pen.text((40, y), words(layout, 2), font=font(13), fill=GREY)
        pen.rectangle((40, y + 18, 580, y + 48), outline=INK)
        pen.text(
            (50, y + 22),
            f"{words(content, content.randint(1, 4))} {digits(content, 3)}",
            font=font(19),
            fill=(30, 40, 140),
        )
    for box in range(6):
        x, y = 40 + box % 3 * 185, 715 + box // 3 * 40
        pen.rectangle((x, y, x + 18, y + 18), outline=INK, width=2)
        pen.text((x + 28, y), words(layout, 2), font=font(13), fill=INK)
        if content.random() < 0.5:
            pen.line((x + 3, y + 3, x + 15, y + 15), fill=INK, width=3)
            pen.line((x + 15, y + 3, x + 3, y + 15), fill=INK, width=3)
    return picture


def receipt(layout: Random, content: Random) -> Picture:
    """A narrow slip of a till."""
    picture, pen = sheet(320, 700, (250, 249, 245))
    pen.text((160, 40), words(layout, 2).upper(), font=font(22), fill=INK, anchor="mm")
    pen.text((160, 68), f"{words(layout, 2)} {digits(layout, 3)}", font=font(13), fill=INK, anchor="mm")
    pen.text((20, 95), f"{date(content)}  {content.randint(8, 21)}:{content.randint(10, 59)}", font=font(13), fill=INK)
    y = 130
    for _ in range(content.randint(6, 14)):
        pen.text((20, y), words(content, 2), font=font(14), fill=INK)
        pen.text((300, y), price(content), font=font(14), fill=INK, anchor="ra")
        y += 24
    pen.line((20, y + 8, 300, y + 8), fill=INK)
    pen.text((20, y + 18), "TOTAL", font=font(20), fill=INK)
    pen.text((300, y + 18), price(content), font=font(20), fill=INK, anchor="ra")
    pen.text((160, 660), words(layout, 4), font=font(13), fill=INK, anchor="mm")
    return picture


def letter(layout: Random, content: Random) -> Picture:
    """A letterhead and a page of text."""
    picture, pen = sheet(620, 877)
    pen.ellipse((40, 30, 90, 80), fill=vivid(layout))
    pen.text((110, 42), words(layout, 3), font=font(22), fill=INK)
    pen.multiline_text((40, 120), f"{name(content)}\n{words(content, 2)}\n{date(content)}", font=font(15), fill=INK)
    for part in range(4):
        paragraph(pen, (40, 220 + 140 * part), content, content.randint(4, 6), 10, 14)
    pen.text((40, 800), name(layout), font=font(20), fill=(30, 40, 140))
    return picture


def table(layout: Random, content: Random) -> Picture:
    """A grid of numbers below a row of headings."""
    picture, pen = sheet(760, 560)
    pen.rectangle((20, 20, 740, 60), fill=vivid(layout, 0.6))
    for column in range(6):
        pen.text((30 + 120 * column, 30), words(layout, 1), font=font(17), fill="white")
        for row in range(13):
            y = 70 + 36 * row
            pen.text(
                (30 + 120 * column, y), words(content, 1) if column == 0 else price(content), font=font(16), fill=INK
            )
            pen.line((20, y + 27, 740, y + 27), fill=(214, 216, 222))
        pen.line((20 + 120 * column, 60, 20 + 120 * column, 538), fill=(214, 216, 222))
    return picture


def slide(layout: Random, content: Random) -> Picture:
    """A title, a coloured bar, four points, the number of the page."""
    picture, pen = sheet(800, 450, pale(layout))
    pen.rectangle((0, 0, 24, 450), fill=vivid(layout))
    pen.text((60, 40), words(content, 3), font=font(38), fill=INK)
    for point in range(content.randint(3, 5)):
        pen.ellipse((64, 132 + 56 * point, 76, 144 + 56 * point), fill=vivid(layout))
        pen.text((96, 124 + 56 * point), words(content, content.randint(4, 7)), font=font(24), fill=INK)
    pen.text((60, 415), words(layout, 3), font=font(14), fill=GREY)
    pen.text((760, 415), digits(content, 2), font=font(14), fill=GREY)
    return picture


def quote_card(layout: Random, content: Random) -> Picture:
    """Words in the middle of a coloured square, in quotation marks, with a frame."""
    ground = vivid(layout, 0.45)
    picture, pen = sheet(600, 600, ground)
    pen.rectangle((24, 24, 576, 576), outline="white", width=3)
    pen.text((60, 50), "“", font=font(150), fill=vivid(layout, 0.95))
    for line in range(content.randint(3, 5)):
        pen.text(
            (300, 220 + 52 * line), words(content, content.randint(2, 4)), font=font(36), fill="white", anchor="mm"
        )
    pen.text((300, 535), f"— {name(content)}", font=font(20), fill="white", anchor="mm")
    return picture


def poster(layout: Random, content: Random) -> Picture:
    """An event: a large word, a shape, a day and a place."""
    picture, pen = sheet(560, 800, vivid(layout, 0.9))
    second = vivid(layout, 0.5)
    pen.polygon(((0, 800), (560, 420), (560, 800)), fill=second)
    pen.ellipse((330, 60, 520, 250), fill=pale(layout))
    pen.text((40, 280), content.choice(words(content, 3).split()).upper(), font=font(84), fill="white")
    pen.text((40, 380), words(content, 3), font=font(34), fill="white")
    pen.text((40, 640), date(content), font=font(46), fill="white")
    pen.text((40, 710), words(layout, 3), font=font(24), fill="white")
    return picture


def business_card(layout: Random, content: Random) -> Picture:
    """A mark, a company, a name, a number."""
    picture, pen = sheet(700, 400)
    brand = vivid(layout)
    pen.polygon(((0, 0), (240, 0), (120, 400), (0, 400)), fill=brand)
    pen.ellipse((50, 140, 130, 220), fill="white")
    pen.text((290, 60), words(layout, 2), font=font(30), fill=brand)
    pen.text((290, 170), name(content), font=font(36), fill=INK)
    pen.text((290, 220), words(content, 2), font=font(18), fill=GREY)
    pen.text((290, 310), f"+{digits(content, 2)} {digits(content, 3)} {digits(content, 6)}", font=font(20), fill=INK)
    return picture


def ticket(layout: Random, content: Random) -> Picture:
    """A title, a seat, a stub that is torn off, a barcode."""
    picture, pen = sheet(800, 320, pale(layout))
    colour = vivid(layout, 0.55)
    pen.rectangle((0, 0, 560, 70), fill=colour)
    pen.text((24, 16), words(layout, 2).upper(), font=font(34), fill="white")
    pen.text((24, 100), words(content, 3), font=font(34), fill=INK)
    pen.text((24, 170), f"{date(content)}   {content.randint(16, 22)}:30", font=font(24), fill=INK)
    seat = f"ROW {content.randint(1, 40)}   SEAT {content.randint(1, 60)}"
    pen.text((24, 240), seat, font=font(30), fill=colour)
    for dot in range(16):
        pen.ellipse((576, 6 + 20 * dot, 584, 14 + 20 * dot), fill=GREY)
    _bars(pen, (620, 30, 770, 230), content)
    pen.text((620, 250), digits(content, 10), font=font(20), fill=INK)
    return picture


def qr(layout: Random, content: Random) -> Picture:
    """Modules as a QR code of version 3 has them: three finders, an alignment pattern, timing, and data by chance."""
    side, modules = 14, 29
    picture, pen = sheet((modules + 8) * side, (modules + 8) * side)
    dark = [[content.random() < 0.5 for _ in range(modules)] for _ in range(modules)]
    for i in range(modules):
        dark[6][i] = dark[i][6] = i % 2 == 0
    _ring(dark, 22, 22, 2)
    for row, column in ((3, 3), (3, modules - 4), (modules - 4, 3)):
        _ring(dark, row, column, 4)
    for row in range(modules):
        for column in range(modules):
            if dark[row][column]:
                x, y = (column + 4) * side, (row + 4) * side
                pen.rectangle((x, y, x + side - 1, y + side - 1), fill="black")
    return picture


def _ring(dark: list[list[bool]], row: int, column: int, radius: int) -> None:
    """Draw concentric squares: a finder pattern with its light margin (radius 4), or an alignment pattern (radius 2)."""
    light = (2, 4) if radius == 4 else (1,)
    for y in range(max(0, row - radius), min(len(dark), row + radius + 1)):
        for x in range(max(0, column - radius), min(len(dark), column + radius + 1)):
            dark[y][x] = max(abs(y - row), abs(x - column)) not in light


def barcode(layout: Random, content: Random) -> Picture:
    """Bars and their digits on a white label."""
    picture, pen = sheet(560, 320)
    _bars(pen, (40, 30, 520, 240), content)
    pen.text((280, 275), digits(content, 13), font=font(34), fill="black", anchor="mm")
    return picture


def _bars(pen: Pen, box: tuple[int, int, int, int], content: Random) -> None:
    unit, x = max(2, (box[2] - box[0]) // 95), box[0]
    while x < box[2] - 3 * unit:
        width = unit * content.randint(1, 3)
        pen.rectangle((x, box[1], x + width - 1, box[3]), fill="black")
        x += width + unit * content.randint(1, 3)


def chart(layout: Random, content: Random) -> Picture:
    """Axes, a grid, and bars or a line; always the same sort of one layout."""
    picture, pen = sheet(720, 480)
    pen.text((60, 20), words(layout, 4), font=font(24), fill=INK)
    for line in range(6):
        pen.line((60, 80 + 64 * line, 690, 80 + 64 * line), fill=(224, 226, 230))
        pen.text((50, 80 + 64 * line), str(100 - 20 * line), font=font(14), fill=GREY, anchor="rm")
    values, colour = [content.uniform(0.05, 1) for _ in range(9)], vivid(layout)
    points = [(100 + 68 * i, 400 - 320 * value) for i, value in enumerate(values)]
    if layout.random() < 0.6:
        for x, y in points:
            pen.rectangle((x - 22, y, x + 22, 400), fill=colour)
    else:
        pen.line(points, fill=colour, width=4)
    for i, (x, _) in enumerate(points):
        pen.text((x, 420), str(2017 + i), font=font(14), fill=GREY, anchor="mm")
    return picture


def shop_card(layout: Random, content: Random) -> Picture:
    """A listing: a thing on plain ground, a name, a price, stars, a button."""
    picture, pen = sheet(420, 600)
    pen.rounded_rectangle((10, 10, 410, 590), 16, outline=(220, 222, 226), width=2)
    _thing(pen, content)
    pen.text((30, 390), words(content, 3), font=font(22), fill=INK)
    pen.text((30, 430), f"$ {price(content)}", font=font(30), fill=vivid(layout))
    for star in range(5):
        _star(pen, (42 + 30 * star, 492), 12, (245, 180, 40) if star < content.randint(2, 5) else (224, 226, 230))
    pen.rounded_rectangle((30, 525, 390, 572), 12, fill=vivid(layout))
    pen.text((210, 548), "Add to basket", font=font(20), fill="white", anchor="mm")
    return picture


def _thing(pen: Pen, content: Random) -> None:
    """Two to four flat shapes in the upper part."""
    for _ in range(content.randint(2, 4)):
        left, top = content.randint(60, 220), content.randint(50, 200)
        box = (left, top, left + content.randint(60, 150), top + content.randint(60, 150))
        shape = content.choice((pen.ellipse, pen.rectangle))
        shape(box, fill=vivid(content, content.uniform(0.4, 0.9)))


def _star(pen: Pen, centre: tuple[int, int], radius: float, fill: tuple[int, int, int]) -> None:
    points = []
    for i in range(10):
        length, angle = radius if i % 2 == 0 else 0.45 * radius, math.pi * (i / 5 - 0.5)
        points.append((centre[0] + length * math.cos(angle), centre[1] + length * math.sin(angle)))
    pen.polygon(points, fill=fill)


def blank_page(layout: Random, content: Random) -> Picture:
    """A page with its number and a line or two."""
    picture, pen = sheet(620, 877)
    pen.text((310, 845), digits(content, 3), font=font(16), fill=INK, anchor="mm")
    paragraph(pen, (60, 80), content, content.randint(1, 2), 8)
    return picture


def comic(layout: Random, content: Random) -> Picture:
    """Four panels, in each two figures and a speech balloon."""
    picture, pen = sheet(640, 640)
    grounds = [pale(layout) for _ in range(4)]
    for panel, ground in enumerate(grounds):
        left, top = 20 + panel % 2 * 305, 20 + panel // 2 * 305
        pen.rectangle((left, top, left + 295, top + 295), fill=ground, outline="black", width=4)
        for side in (70, 220):
            _figure(pen, left + side + content.randint(-20, 20), top + 280, content)
        balloon = (left + 20, top + 14, left + 275, top + 84)
        pen.ellipse(balloon, fill="white", outline="black", width=2)
        pen.text((left + 147, top + 49), words(content, 3), font=font(16), fill="black", anchor="mm")
    return picture


def _figure(pen: Pen, x: int, y: int, content: Random) -> None:
    """A head and a body, arms up or down."""
    shirt, lift = vivid(content), content.randint(-40, 30)
    pen.rounded_rectangle((x - 26, y - 90, x + 26, y), 12, fill=shirt, outline="black", width=2)
    pen.ellipse((x - 28, y - 150, x + 28, y - 92), fill=(246, 214, 184), outline="black", width=2)
    for side in (-1, 1):
        pen.line((x + 26 * side, y - 75, x + 58 * side, y - 55 + lift), fill="black", width=4)
        pen.ellipse((x + 10 * side - 3, y - 130, x + 10 * side + 3, y - 122), fill="black")
    pen.arc((x - 14, y - 122, x + 14, y - 102), *content.choice(((10, 170), (190, 350))), fill="black", width=2)
