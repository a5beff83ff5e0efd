"""From candidates to one ranked, scored list, and pages cut from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from lookalike.model import Candidate, Match, Reason

#: Positions of a ranked list that can be reached at all (all three vendors stop at 1000 or page beyond it otherwise).
WINDOW = 1000

#: The best score a picture can have that is not the identical one: the float32 just below 1.
_BELOW_ONE = np.nextafter(np.float32(1), np.float32(0))


@dataclass(frozen=True, slots=True)
class Page:
    """A cut of the ranked list. ``more``: results remain after it, within the window."""

    matches: tuple[Match, ...]
    more: bool


def rank(
    candidates: Iterable[Candidate],
    digest: str,
    score: Callable[[float], float],
    threshold: float,
) -> list[Match]:
    """The identical picture first, with score 1, then all others of at least ``threshold``, by cosine.

    Every score is at least one float32 step below the one before it, because clients key maps by score, some
    of them in float32; ties stand by library and picture id. ``score`` maps a cosine to (0, 1).
    """
    wanted = [candidate for candidate in candidates if candidate.digest == digest or candidate.cosine >= threshold]
    ranked = sorted(wanted, key=lambda one: (one.digest != digest, -one.cosine, one.key.library, one.key.id))
    matches: list[Match] = []
    last = np.float32(np.inf)
    for candidate in ranked[:WINDOW]:
        exact = candidate.digest == digest
        value = min(np.float32(1 if exact else score(candidate.cosine)), np.nextafter(last, np.float32(0)))
        if not exact:
            value = min(value, _BELOW_ONE)
        matches.append(Match(candidate, float(value), Reason.EXACT if exact else Reason.VECTOR))
        last = value
    return matches


def page(ranked: Sequence[Match], start: int, count: int) -> Page:
    """Positions ``start`` to ``start + count`` of a ranked list, both cut at the window's end."""
    end = min(start + count, WINDOW)
    return Page(tuple(ranked[start:end]), more=len(ranked) > end)
