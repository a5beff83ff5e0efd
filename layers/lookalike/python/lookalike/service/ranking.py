"""From candidates to one ranked, scored list, from which pages are cut."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from lookalike.domain.geometry import GeometricMatch
from lookalike.domain.picture import Key
from lookalike.domain.search import Candidate, LookTaken, Match, QueryPicture, Reason

#: Positions of a ranked list that pages can reach.
WINDOW = 1000

#: Largest score of a picture that is not the identical one: the float32 just below 1.
_MAX_INEXACT_SCORE = np.nextafter(np.float32(1), np.float32(0))

#: Score of a verified picture that agrees with the query, before its agreement is added: a recompressed copy has more
#: than 0.98, as clients of the vendors expect.
AGREEING_SCORE = 0.986

#: Largest score of a copy that is mirrored, a negative, or turned by 45 degrees or more.
MAX_TURNED_SCORE = 0.98

#: Largest score of a picture whose structure differs.
MAX_DIFFERING_SCORE = 0.97

#: Score of a picture that was not compared: half of the others of one layout score more.
UNCOMPARED_SCORE = 0.82

#: Largest score of a picture that has other colours.
MAX_RECOLOURED_SCORE = 0.95

#: What a picture loses that agrees in nothing: another of one layout, and one half covered, score about 0.83.
DISAGREEMENT_COST = 0.3

#: Smallest score of a verified picture.
MIN_VERIFIED_SCORE = MAX_RECOLOURED_SCORE - DISAGREEMENT_COST


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the ranked list. ``more``: results remain after it, within the window. ``looks`` were taken to find it.

    ``query`` is the picture that was searched for; None if nothing had to be searched.
    """

    matches: tuple[Match, ...]
    more: bool
    looks: tuple[LookTaken, ...] = field(default=(), compare=False)
    query: QueryPicture | None = None


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
    geometric matches in it follow, by score to three digits and then by cosine: a cosine alone verifies nothing, for
    blank corners, or pages of different text, are as similar as copies.

    Ties are broken by library and picture id. See :func:`_strictly_descending` for the scores.
    """

    def found(candidate: Candidate) -> Match | None:
        if candidate.key in exact:
            return Match(candidate, 1.0, Reason.EXACT)
        if verified is None:
            near = candidate.cosine >= threshold
            return Match(candidate, score(candidate.cosine), Reason.VECTOR) if near else None
        geometric_match = verified.get(candidate.key)
        if geometric_match is None:
            return None
        return Match(candidate, verified_score(geometric_match), Reason.VERIFIED, geometric_match)

    return _strictly_descending(
        sorted((match for match in map(found, candidates) if match is not None), key=_sort_key)[:window]
    )


def merged(lists: Iterable[Sequence[Match]], window: int) -> list[Match]:
    """Return the first ``window`` matches of several ranked lists, by score."""

    def sort_key(match: Match) -> tuple[bool, float, str, str]:
        return match.reason is not Reason.EXACT, -match.score, match.candidate.key.library, match.candidate.key.id

    return _strictly_descending(sorted((match for matches in lists for match in matches), key=sort_key)[:window])


def _strictly_descending(ranked: Sequence[Match]) -> list[Match]:
    """Return the matches with each score at least one float32 step below the one before.

    Clients key maps by score, some of them in float32. Only the first identical picture has 1.
    """
    scores = np.array([match.score for match in ranked], np.float32)
    inexact = np.array([match.reason is not Reason.EXACT for match in ranked], bool)
    np.minimum(scores, _MAX_INEXACT_SCORE, out=scores, where=inexact)
    if np.any(scores[1:] >= scores[:-1]):
        for place in range(1, len(scores)):
            scores[place] = min(scores[place], np.nextafter(scores[place - 1], np.float32(0)))
    return [
        Match(match.candidate, score, match.reason, match.geometric_match, match.example)
        for match, score in zip(ranked, scores.tolist(), strict=True)
    ]


def verified_score(match: GeometricMatch) -> float:
    """Return the score of a verified picture: how much of it agrees with the query."""
    agreement = match.agreement
    if agreement is None:
        return UNCOMPARED_SCORE
    if agreement.agrees:
        score = AGREEING_SCORE + (1 - AGREEING_SCORE) * agreement.share
        return score if match.upright and not match.inverted else min(score, MAX_TURNED_SCORE)
    best = MAX_DIFFERING_SCORE if agreement.colours_agree else MAX_RECOLOURED_SCORE
    return best - DISAGREEMENT_COST * (1 - agreement.share)


def _sort_key(match: Match) -> tuple[bool, float, float, str, str]:
    """Return the key that the list is sorted by."""
    candidate = match.candidate
    # Of matches that agree about as much, the cosine tells better which of them is the copy.
    score = 0.0 if match.geometric_match is None else round(match.score, 3)
    return match.reason is not Reason.EXACT, -score, -candidate.cosine, candidate.key.library, candidate.key.id
