"""From candidates to one ranked, scored list, which pages are cut from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lookalike.domain.geometry import Proof
from lookalike.domain.picture import Key
from lookalike.domain.search import Candidate, Match, Reason

#: Positions of a ranked list that can be reached by pages.
WINDOW = 1000

#: The best score a picture can have that is not the identical one: the float32 just below 1.
_BELOW_ONE = np.nextafter(np.float32(1), np.float32(0))

#: What is proved scores more than this: of a hundred pictures proved, 99 show the same.
PROVED = 0.9


@dataclass(frozen=True, slots=True)
class Page:
    """A cut of the ranked list. ``more``: results remain after it, within the window."""

    matches: tuple[Match, ...]
    more: bool


def rank(
    candidates: Iterable[Candidate],
    exact: Collection[Key],
    score: Callable[[float], float],
    threshold: float,
    proofs: Mapping[Key, Proof] | None = None,
    window: int = WINDOW,
) -> list[Match]:
    """The identical picture, whose keys are ``exact``, first, with score 1; then all others of at least ``threshold``, by cosine, or, given
    proofs, those that are proved, by probability to two digits and then by cosine: the first ``window`` of them.

    No cosine is proof: blank corners of pictures, or pages of different text, are as alike as copies.

    Ties stand by library and picture id. ``score`` maps a cosine to (0, 1). See :func:`_descending` for the scores.
    """

    def found(candidate: Candidate) -> Match | None:
        if candidate.key in exact:
            return Match(candidate, 1.0, Reason.EXACT)
        if proofs is None:
            near = candidate.cosine >= threshold
            return Match(candidate, score(candidate.cosine), Reason.VECTOR) if near else None
        proof = proofs.get(candidate.key)
        return None if proof is None else _proved(candidate, proof)

    return _descending(sorted((match for match in map(found, candidates) if match is not None), key=_place)[:window])


def merged(lists: Iterable[Sequence[Match]], window: int) -> list[Match]:
    """Ranked lists as one, by score; the first ``window`` of it."""

    def place(match: Match) -> tuple[bool, float, str, str]:
        return match.reason is not Reason.EXACT, -match.score, match.candidate.key.library, match.candidate.key.id

    return _descending(sorted((match for matches in lists for match in matches), key=place)[:window])


def _descending(ranked: Iterable[Match]) -> list[Match]:
    """The same with every score at least one float32 step below the one before it, because clients key maps by score,
    some of them in float32; only the identical picture has 1, and only the first of them."""
    matches: list[Match] = []
    last = np.float32(np.inf)
    for match in ranked:
        last = min(np.float32(match.score), np.nextafter(last, np.float32(0)))
        if match.reason is not Reason.EXACT:
            last = min(last, _BELOW_ONE)
        settled = float(last)
        matches.append(match if match.score == settled else replace(match, score=settled))
    return matches


def _proved(candidate: Candidate, proof: Proof) -> Match:
    return Match(candidate, PROVED + (1 - PROVED) * proof.probability, Reason.PROVED, proof)


def _place(match: Match) -> tuple[bool, float, float, str, str]:
    """What the list is sorted by."""
    candidate, proof = match.candidate, match.proof
    # Those that are proved about as surely show one scene, and which of them is the copy, the cosine tells better.
    sure = 0.0 if proof is None else round(proof.probability, 2)
    return match.reason is not Reason.EXACT, -sure, -candidate.cosine, candidate.key.library, candidate.key.id
