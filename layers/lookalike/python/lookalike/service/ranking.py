"""From candidates to one ranked, scored list, which pages are cut from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lookalike.domain.geometry import GeometricMatch
from lookalike.domain.picture import Key
from lookalike.domain.search import Candidate, Match, Reason

#: Positions of a ranked list that can be reached by pages.
WINDOW = 1000

#: Largest score of a picture that is not the identical one: the float32 just below 1.
_MAX_INEXACT_SCORE = np.nextafter(np.float32(1), np.float32(0))

#: Verified pictures score above this: of a hundred verified pictures, 99 show the same.
MIN_VERIFIED_SCORE = 0.9


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
    verified: Mapping[Key, GeometricMatch] | None = None,
    window: int = WINDOW,
) -> list[Match]:
    """The identical picture, whose keys are ``exact``, first, with score 1; then all others of at least ``threshold``, by cosine, or, given
    verified, those that are proved, by probability to two digits and then by cosine: the first ``window`` of them.

    No cosine is geometric_match: blank corners of pictures, or pages of different text, are as alike as copies.

    Ties stand by library and picture id. ``score`` maps a cosine to (0, 1). See :func:`_strictly_descending` for the scores.
    """

    def found(candidate: Candidate) -> Match | None:
        if candidate.key in exact:
            return Match(candidate, 1.0, Reason.EXACT)
        if verified is None:
            near = candidate.cosine >= threshold
            return Match(candidate, score(candidate.cosine), Reason.VECTOR) if near else None
        geometric_match = verified.get(candidate.key)
        return None if geometric_match is None else _verified_match(candidate, geometric_match)

    return _strictly_descending(
        sorted((match for match in map(found, candidates) if match is not None), key=_sort_key)[:window]
    )


def merged(lists: Iterable[Sequence[Match]], window: int) -> list[Match]:
    """Ranked lists as one, by score; the first ``window`` of it."""

    def sort_key(match: Match) -> tuple[bool, float, str, str]:
        return match.reason is not Reason.EXACT, -match.score, match.candidate.key.library, match.candidate.key.id

    return _strictly_descending(sorted((match for matches in lists for match in matches), key=sort_key)[:window])


def _strictly_descending(ranked: Iterable[Match]) -> list[Match]:
    """The same with every score at least one float32 step below the one before it, because clients key maps by score,
    some of them in float32; only the identical picture has 1, and only the first of them."""
    matches: list[Match] = []
    last = np.float32(np.inf)
    for match in ranked:
        last = min(np.float32(match.score), np.nextafter(last, np.float32(0)))
        if match.reason is not Reason.EXACT:
            last = min(last, _MAX_INEXACT_SCORE)
        settled = float(last)
        matches.append(match if match.score == settled else replace(match, score=settled))
    return matches


def _verified_match(candidate: Candidate, geometric_match: GeometricMatch) -> Match:
    return Match(
        candidate,
        MIN_VERIFIED_SCORE + (1 - MIN_VERIFIED_SCORE) * geometric_match.probability,
        Reason.VERIFIED,
        geometric_match,
    )


def _sort_key(match: Match) -> tuple[bool, float, float, str, str]:
    """What the list is sorted by."""
    candidate, geometric_match = match.candidate, match.geometric_match
    # Those that are proved about as surely show one scene, and which of them is the copy, the cosine tells better.
    probability = 0.0 if geometric_match is None else round(geometric_match.probability, 2)
    return match.reason is not Reason.EXACT, -probability, -candidate.cosine, candidate.key.library, candidate.key.id
