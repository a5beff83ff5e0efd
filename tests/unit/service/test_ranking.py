"""One ranked list, strictly descending scores."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.domain.geometry import WHOLE, Affine, Agreement, GeometricMatch
from lookalike.domain.picture import Key
from lookalike.domain.search import Candidate, Match, Reason
from lookalike.service.ranking import MIN_VERIFIED_SCORE, WINDOW, rank, verified_score

EXACT = "e" * 64


def sigmoid(cosine: float) -> float:
    return 1 / (1 + math.exp(-(18 * cosine - 10)))


def candidate(number: int, cosine: float, digest: str = "") -> Candidate:
    key = Key("lib", f"{number:04}")
    return Candidate(key, 1, 1, digest or f"{number:064x}", object_key=f"lib/{number:04}/1", cosine=cosine)


def ranked(
    candidates: Sequence[Candidate], threshold: float = -1.0, verified: dict[Key, GeometricMatch] | None = None
) -> list[Match]:
    exact = {row.key for row in candidates if row.digest == EXACT}
    return rank(candidates, exact, sigmoid, threshold, verified)


UPRIGHT: Affine = (1, 0, 0, 0, 1, 0)


def geometric_match(
    share: float, recoloured: float = 0.0, transform: Affine = UPRIGHT, weakest: float = 1.0
) -> GeometricMatch:
    return GeometricMatch(
        0.99, 20, 0.9, transform, WHOLE, Agreement(share, weakest, recoloured, hue_turned=0.0, noise=0.2)
    )


# Few distinct cosines, so that ties are the rule.
candidates = st.lists(
    st.tuples(st.sampled_from([-1.0, -0.5, 0.0, 0.25, 0.5, 0.999999, 1.0]), st.booleans()), max_size=40
).map(lambda rows: [candidate(number, cosine, EXACT if exact else "") for number, (cosine, exact) in enumerate(rows)])


@given(candidates)
def test_scores_fall_by_a_float32_step_at_least_and_stay_in_range(rows: list[Candidate]) -> None:
    scores = [match.score for match in ranked(rows)]
    assert all(0 < score <= 1 for score in scores)
    assert all(np.float32(after) < np.float32(before) for before, after in pairwise(scores))


@given(candidates)
def test_only_the_first_can_score_one_and_only_if_it_is_identical(rows: list[Candidate]) -> None:
    matches = ranked(rows)
    assert [match.score == 1 for match in matches[1:]] == [False] * len(matches[1:])
    if matches:
        assert (matches[0].score == 1) == (matches[0].reason is Reason.EXACT)


@given(candidates)
def test_identical_pictures_come_first_then_by_cosine_then_by_id(rows: list[Candidate]) -> None:
    order = [(m.reason is not Reason.EXACT, -m.candidate.cosine, m.candidate.key.id) for m in ranked(rows)]
    assert order == sorted(order)


@given(candidates, st.randoms(use_true_random=False))
def test_the_order_of_candidates_does_not_matter(rows: list[Candidate], random: object) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert ranked(shuffled) == ranked(rows)


@given(candidates, st.sampled_from([-1.0, 0.0, 0.3, 0.999999]))
def test_below_the_threshold_only_the_identical_picture_is_found(rows: list[Candidate], threshold: float) -> None:
    found = ranked(rows, threshold)
    assert {match.candidate.key for match in found} == {
        row.key for row in rows if row.digest == EXACT or row.cosine >= threshold
    }


@st.composite
def verified_candidates(draw: st.DrawFn) -> tuple[list[Candidate], dict[Key, GeometricMatch]]:
    """Candidates, some of them proved, few distinct probabilities."""
    rows = draw(candidates)
    chances = draw(st.lists(st.sampled_from([None, 0.8, 0.95, 1.0]), min_size=len(rows), max_size=len(rows)))
    return rows, {
        row.key: geometric_match(chance) for row, chance in zip(rows, chances, strict=True) if chance is not None
    }


@given(verified_candidates(), st.sampled_from([-1.0, 0.3, 0.999999]))
def test_given_proofs_the_identical_come_first_then_the_proved_and_nothing_else(
    given_: tuple[list[Candidate], dict[Key, GeometricMatch]], threshold: float
) -> None:
    rows, verified = given_
    matches = ranked(rows, threshold, verified)
    identical = {row.key for row in rows if row.digest == EXACT}
    assert [match.candidate.key in identical for match in matches] == sorted(
        (match.candidate.key in identical for match in matches), reverse=True
    )
    assert {match.candidate.key for match in matches} == identical | set(verified)
    verified_matches = [match for match in matches if match.reason is Reason.VERIFIED]
    assert {match.candidate.key for match in verified_matches} == set(verified) - identical
    assert [match.geometric_match for match in verified_matches] == [
        verified[match.candidate.key] for match in verified_matches
    ]
    order = [
        (-verified_score(verified[m.candidate.key]), -m.candidate.cosine, m.candidate.key.id) for m in verified_matches
    ]
    assert order == sorted(order)
    assert all(match.score >= MIN_VERIFIED_SCORE - 1e-6 for match in verified_matches)
    scores = [np.float32(match.score) for match in matches]
    assert all(after < before for before, after in pairwise(scores))
    assert all(
        match.score < 1 and match.geometric_match is None for match in matches[1:] if match.reason is Reason.EXACT
    )


def test_of_those_that_agree_about_as_much_the_nearest_comes_first() -> None:
    surer, nearer, unsure = (candidate(number, cosine) for number, cosine in enumerate((0.6, 0.8, 0.9)))
    verified = {
        surer.key: geometric_match(1.0),
        nearer.key: geometric_match(0.9971),
        unsure.key: geometric_match(0.7),
    }
    matches = ranked([surer, nearer, unsure], verified=verified)
    assert [match.candidate for match in matches] == [nearer, surer, unsure]
    assert all(after.score < before.score for before, after in pairwise(matches))


def test_scores_stay_positive_and_distinct_over_a_whole_window_of_ties() -> None:
    scores = [match.score for match in ranked([candidate(number, -1.0) for number in range(WINDOW + 5)])]
    assert len(scores) == WINDOW
    assert min(scores) > 0
    assert len({float(np.float32(score)) for score in scores}) == WINDOW


def test_a_score_tells_how_much_agrees() -> None:
    mirrored: Affine = (-1, 0, 1, 0, 1, 0)
    upside_down: Affine = (-1, 0, 1, 0, -1, 1)
    a_little_turned: Affine = (0.9, -0.3, 0.1, 0.3, 0.9, 0)
    not_compared = GeometricMatch(0.9999, 20, 0.9, UPRIGHT, WHOLE)
    assert verified_score(geometric_match(1.0)) == 1.0
    assert verified_score(geometric_match(0.93)) > 0.986
    assert verified_score(geometric_match(1.0, transform=a_little_turned)) == 1.0
    for turned in (mirrored, upside_down):
        assert verified_score(geometric_match(1.0, transform=turned)) == 0.98
    assert verified_score(replace(geometric_match(1.0), inverted=True)) == 0.98
    assert verified_score(not_compared) == 0.82
    assert verified_score(geometric_match(0.5)) == pytest.approx(0.82)
    assert verified_score(geometric_match(0.99, weakest=0.0)) == pytest.approx(0.967)
    assert verified_score(geometric_match(1.0, recoloured=0.03)) == 0.95
    assert verified_score(geometric_match(0.6, recoloured=0.03)) == pytest.approx(0.83)
    assert verified_score(geometric_match(0.0, recoloured=1.0)) == pytest.approx(MIN_VERIFIED_SCORE)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.sampled_from([-1, 1]))
def test_what_agrees_scores_more_than_what_does_not(
    share: float, weakest: float, recoloured: float, hue_turned: float, side: float
) -> None:
    agreement = Agreement(share, weakest, recoloured, hue_turned)
    score = verified_score(GeometricMatch(0.99, 20, 0.9, (side, 0, 0, 0, 1, 0), WHOLE, agreement))
    assert MIN_VERIFIED_SCORE - 1e-9 <= score <= 1
    assert agreement.agrees == (score > 0.97)
