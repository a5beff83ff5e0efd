"""From candidates to one ranked, scored list, from which pages are cut."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from lookalike.domain.geometry import GeometricMatch
from lookalike.domain.picture import Key
from lookalike.domain.search import Candidate, LookTaken, Match, Reason

#: Positions of a ranked list that pages can reach.
WINDOW = 1000

#: Largest score of a picture that is not the identical one: the float32 just below 1.
_MAX_INEXACT_SCORE = np.nextafter(np.float32(1), np.float32(0))

#: Base of a verified picture's score, which is 0.9 + 0.1 × probability: of a hundred verified pictures, 99 show the same.
VERIFIED_SCORE_BASE = 0.9


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the ranked list. ``more``: results remain after it, within the window. ``looks`` were taken to find it."""

    matches: tuple[Match, ...]
    more: bool
    looks: tuple[LookTaken, ...] = field(default=(), compare=False)


def rank(
    candidates: Iterable[Candidate],
    exact: Collection[Key],
    score: Callable[[float], float],
    threshold: float,
    verified: Mapping[Key, GeometricMatch] | None = None,
    window: int = WINDOW,
) -> list[Match]:
    """Return the first ``window`` matches, best first, with scores in (0, 1].

    The identical picture, whose keys are ``exact``, comes first, with score 1. Without ``verified``, all others of at
    least ``threshold`` follow by cosine, scored by ``score``, which maps a cosine to (0, 1). With it, only the
    geometric matches in it follow, by probability to two digits and then by cosine: a cosine alone verifies nothing,
    for blank corners, or pages of different text, are as similar as copies.

    Ties are broken by library and picture id. See :func:`_strictly_descending` for the scores.
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
    """Return the first ``window`` matches of several ranked lists, by score."""

    def sort_key(match: Match) -> tuple[bool, float, str, str]:
        return match.reason is not Reason.EXACT, -match.score, match.candidate.key.library, match.candidate.key.id

    return _strictly_descending(sorted((match for matches in lists for match in matches), key=sort_key)[:window])


def _strictly_descending(ranked: Iterable[Match]) -> list[Match]:
    """Return the matches with each score at least one float32 step below the one before.

    Clients key maps by score, some of them in float32. Only the first identical picture has 1.
    """
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
        VERIFIED_SCORE_BASE + (1 - VERIFIED_SCORE_BASE) * geometric_match.probability,
        Reason.VERIFIED,
        geometric_match,
    )


def _sort_key(match: Match) -> tuple[bool, float, float, str, str]:
    """Return the key that the list is sorted by."""
    candidate, geometric_match = match.candidate, match.geometric_match
    # Matches of about the same probability show one scene; the cosine tells better which of them is the copy.
    probability = 0.0 if geometric_match is None else round(geometric_match.probability, 2)
    return match.reason is not Reason.EXACT, -probability, -candidate.cosine, candidate.key.library, candidate.key.id
