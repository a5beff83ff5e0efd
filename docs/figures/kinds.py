"""Draws ``docs/figures/kinds.png``, what ``same_hq`` answers in a library of one kind: ``.venv/bin/python -m docs.figures.kinds``.

Pictures of each kind are drawn by tests/quality/drawings.py. A recompressed copy finds its picture; another one of the
kind is answered with a lower score, and what disagrees is outlined: orange in structure, blue in colour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from docs.figures.drawing import Shown, cut, grid, write
from docs.figures.engine import matches
from lookalike.domain.geometry import Box
from lookalike.domain.search import Match
from tests.quality import drawings

FIGURE = Path(__file__).with_suffix(".png")

#: Kinds that are shown, by their caption. Of the last, the query is not in the library, but in other colours.
KINDS = {
    "a ticket": "ticket",
    "a logo": "logo",
    "a playing card": "playing card",
    "a design in other colours": "part recoloured",
}

#: Seed of the drawings, and how many of each kind are in the library.
SEED, MEMBERS = 7, 6


@dataclass(frozen=True, slots=True)
class Told:
    """A query of a kind, and the two answers that are shown: its own picture and another one, with their scores."""

    kind: str
    own: tuple[str, float] | None
    other: tuple[str, float] | None
    marked: Sequence[Box] = ()
    recoloured: Sequence[Box] = ()


def library() -> Mapping[str, Image.Image]:
    """All pictures of the library, by kind and number."""
    return {
        f"{kind} {number}": picture
        for kind in KINDS.values()
        for number, picture in enumerate(drawings.library(kind, SEED, MEMBERS, 1).members)
    }


def queries() -> Mapping[str, Image.Image]:
    """A query of each kind: its first picture, or that in other colours."""
    made = {kind: drawings.library(kind, SEED, MEMBERS, 1) for kind in KINDS.values()}
    return {kind: (one.strangers if drawings.KINDS[kind].sisters else one.members)[0] for kind, one in made.items()}


def told() -> list[Told]:
    """What the engine answers to each query."""
    return [_told(kind, found) for kind, found in matches(library(), queries()).items()]


def _told(kind: str, found: Sequence[Match]) -> Told:
    own = None if drawings.KINDS[kind].sisters else f"{kind} 0"
    named = {match.candidate.metadata.brief: match for match in reversed(found)}
    other = next((match for match in found if match.candidate.metadata.brief != own), None)
    agreement = other.geometric_match.agreement if other is not None and other.geometric_match is not None else None
    return Told(
        kind,
        None if own is None or own not in named else (own, named[own].score),
        None if other is None else (other.candidate.metadata.brief, other.score),
        () if agreement is None else agreement.regions,
        () if agreement is None else agreement.recoloured_regions,
    )


def draw(answered: Sequence[Told]) -> Image.Image:
    """A column for each kind: the query, its own picture, and another one with what disagrees."""
    pictures, asked = library(), queries()
    columns = []
    for caption, one in zip(KINDS, answered, strict=True):
        own = Shown(None, "not in the library") if one.own is None else _shown(pictures, one.own)
        other = Shown(None, "no other") if one.other is None else _shown(pictures, one.other, one)
        columns.append([Shown(asked[one.kind], caption), own, other])
    return grid(columns)


def _shown(pictures: Mapping[str, Image.Image], answer: tuple[str, float], marks: Told | None = None) -> Shown:
    name, score = answer
    marked, recoloured = ((), ()) if marks is None else (marks.marked, marks.recoloured)
    return Shown(pictures[name], f"score {cut(score)}", marked, recoloured)


if __name__ == "__main__":
    answered = told()
    write(FIGURE, draw(answered), [[one.kind, one.own, one.other] for one in answered])
