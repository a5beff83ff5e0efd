"""Writes two tables of ``docs/quality.md`` from stored figures: ``.venv/bin/python docs/quality.py``.

The figures are those of ``make quality OPTIONS="--kinds --sample --emoji --store"`` (tests/quality/expected.json).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

PAGE = Path(__file__).with_name("quality.md")
STORED = Path(__file__).parents[1] / "tests/quality/expected.json"
MEASURED = "packaged photographs, kinds, emoji, sample"

#: What the page says of each group of drawn kinds.
_GROUPS = {
    "documents": "invoices, forms, receipts, letters, tables, business cards, tickets, QR and bar codes, charts, nearly "
    "blank pages",
    "designs": "slides, quote cards, posters, shop listings, comics, logos, icons",
    "cards, flags, faces": "playing cards, flags, faces, patterns, things cut out on plain ground",
    "recoloured": "designs, asked for in other colours",
    "all kinds": "all of these",
}

#: What the page says of each attack.
_ATTACKS = {
    "pixelated": "pixelated to 28 to 48 squares across",
    "overlay": "another picture shines through, or stripes lie over it",
    "strong": "half of it, turned a little, recoloured, with stickers, saved poorly",
    "screenshot": "a phone's screenshot",
    "sticker third": "a third under a sticker",
    "crop 20": "a fifth of its area",
    "crop 10": "a tenth of its area",
    "turned inside": "turned by 20 to 45 degrees and cut, so that no corner is left",
    "inverted": "a negative",
    "screen mild": "a photograph of a screen from in front",
    "screen strong": "a photograph of a screen from the side, with moiré and glare",
    "page 20": "within a web page, a fifth of its width",
    "page 15": "within a web page, 15 % of its width",
    "page 10": "within a web page, a tenth of its width",
    "collage 9": "one of nine in a collage",
    "turned far": "turned by 45 to 135 degrees, on plain ground",
    "mirrored and turned": "mirrored, turned by 20 to 45 degrees and cut",
}

Figures = Mapping[str, Mapping[str, float]]


def page() -> str:
    """The page's text with its tables as the stored figures have them."""
    figures: Figures = json.loads(STORED.read_text())[MEASURED]["figures"]
    text = PAGE.read_text()
    for name, table in (("kinds", _kinds(figures)), ("attacks", _attacks(figures))):
        text = re.sub(f"(<!-- {name} -->\n).*?(<!-- end -->)", rf"\g<1>\n{table}\n\g<2>", text, flags=re.DOTALL)
    return text


def _kinds(figures: Figures) -> str:
    rows = [
        (about, f"strangers above 0.985: {group}", f"copies right first: {group}") for group, about in _GROUPS.items()
    ]
    rows.append(("designs in other colours, answered above 0.95 instead", "strangers above 0.95: recoloured", ""))
    emoji = [name for name in figures if name.startswith("emoji: ")]
    rows += [(name.partition(": others")[0], name, "") for name in emoji]
    head = "| in the library | another of the kind: answered above 0.985, percent | a copy: the right one first |"
    return _table(
        head, [f"| {about} | {_of(figures, alarms)} | {_of(figures, copies)} |" for about, alarms, copies in rows]
    )


def _attacks(figures: Figures) -> str:
    rows = [f"| {about} | {_of(figures, f'{name}: right first')} |" for name, about in _ATTACKS.items()]
    rows.append(f"| all of them | {_of(figures, 'attacks: right first')} |")
    return _table("| hard copy | the right one first, percent |", rows)


def _table(head: str, rows: list[str]) -> str:
    return "\n".join((head, "|---" * (head.count("|") - 1) + "|", *rows, ""))


def _of(figures: Figures, name: str) -> str:
    return f"{figures[name]['figure']:.0f}" if name else ""


if __name__ == "__main__":
    PAGE.write_text(page())
