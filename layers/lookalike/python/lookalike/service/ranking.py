"""From candidates to one ranked, scored list, and pages cut from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from lookalike.model import Candidate, Key, Match, Proof, Reason

#: Positions of a ranked list that can be reached at all (all three vendors stop at 1000 or page beyond it otherwise).
WINDOW = 1000

#: The best score a picture can have that is not the identical one: the float32 just below 1.
_BELOW_ONE = np.nextafter(np.float32(1), np.float32(0))

#: Where in the list the pictures found for a reason stand.
_ORDER = {Reason.EXACT: 0, Reason.PROVED: 1, Reason.VECTOR: 2}

NO_PROOFS: Mapping[Key, Proof] = MappingProxyType({})


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
    proofs: Mapping[Key, Proof] = NO_PROOFS,
) -> list[Match]:
    """The identical picture first, with score 1, then those proved, by probability, which is their score, then all
    others of at least ``threshold``, by cosine.

    Every score is at least one float32 step below the one before it, because clients key maps by score, some
    of them in float32; ties stand by library and picture id. ``score`` maps a cosine to (0, 1).
    """
    found = (_found(candidate, digest, score, proofs.get(candidate.key)) for candidate in candidates)
    wanted = [match for match in found if match.reason is not Reason.VECTOR or match.candidate.cosine >= threshold]
    matches: list[Match] = []
    last = np.float32(np.inf)
    for match in sorted(wanted, key=_place)[:WINDOW]:
        last = min(np.float32(match.score), np.nextafter(last, np.float32(0)))
        if match.reason is not Reason.EXACT:
            last = min(last, _BELOW_ONE)
        matches.append(replace(match, score=float(last)))
    return matches


def _found(candidate: Candidate, digest: str, score: Callable[[float], float], proof: Proof | None) -> Match:
    if candidate.digest == digest:
        return Match(candidate, 1.0, Reason.EXACT)
    if proof is not None:
        return Match(candidate, proof.probability, Reason.PROVED, proof)
    return Match(candidate, score(candidate.cosine), Reason.VECTOR)


def _place(match: Match) -> tuple[int, float, float, str, str]:
    """What the list is sorted by."""
    candidate, proof = match.candidate, match.proof
    sure = 0.0 if proof is None else proof.probability
    return _ORDER[match.reason], -sure, -candidate.cosine, candidate.key.library, candidate.key.id


def page(ranked: Sequence[Match], start: int, count: int) -> Page:
    """Positions ``start`` to ``start + count`` of a ranked list, both cut at the window's end."""
    end = min(start + count, WINDOW)
    return Page(tuple(ranked[start:end]), more=len(ranked) > end)
