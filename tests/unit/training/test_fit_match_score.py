"""Fitting the match scorer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lookalike.training import fit_match_score
from lookalike.training.match_examples import (
    FEATURES,
    KEYPOINTS,
    PARTIAL,
    RECTIFIED,
    WHOLE,
    ComparedPair,
    Example,
    shows_same_scene,
)
from lookalike.verification.match_score import NEVER_MATCHES, LogisticWeights, MatchFeatures, MatchScorer

SURE = MatchFeatures(cosine=0.8, blocks=40, correlation=0.8, matches=90, inliers=85, mean_cell_cosine=0.8)
STRANGE = MatchFeatures(cosine=0.4, blocks=30, correlation=0.35, matches=50, inliers=12, mean_cell_cosine=0.2)


def scattered(around: MatchFeatures, seed: int) -> MatchFeatures:
    chance = np.random.default_rng(seed)
    near = chance.normal(1, 0.1, 3).tolist()
    return MatchFeatures(
        around.cosine * near[0],
        around.blocks,
        min(around.correlation * near[1], 0.99),
        around.matches,
        round(around.inliers * near[2]),
        around.mean_cell_cosine * near[0],
    )


@pytest.mark.parametrize("stage", [WHOLE, PARTIAL, RECTIFIED])
def test_same_pictures_become_probable_and_different_ones_improbable(stage: str) -> None:
    examples = [Example(stage, scattered(SURE, seed), True) for seed in range(50)]
    examples += [Example(stage, scattered(STRANGE, seed), False) for seed in range(200)]
    weights = fit_match_score.fit(examples, stage)
    assert weights == fit_match_score.fit(examples, stage)
    assert weights.probability(SURE) > 0.9
    assert weights.probability(STRANGE) < 0.1
    unused = {"matches", "inliers", "mean_cell_cosine"} - set(FEATURES[stage])
    assert all(getattr(weights, name) == 0 for name in unused)


def test_fit_ignores_examples_of_other_stages() -> None:
    examples = [Example(PARTIAL, scattered(SURE, seed), True) for seed in range(50)]
    examples += [Example(PARTIAL, scattered(STRANGE, seed), False) for seed in range(50)]
    noise = [Example(RECTIFIED, scattered(STRANGE, seed), True) for seed in range(500)]
    assert fit_match_score.fit(examples + noise, PARTIAL) == fit_match_score.fit(examples, PARTIAL)


#: Gives SURE a high probability and STRANGE a low one, by their cosines alone.
BY_COSINE = LogisticWeights(cosine=20, correlation=0, matches=0, inliers=0, mean_cell_cosine=0, keypoints=0, offset=12)
SCORER = MatchScorer(BY_COSINE, BY_COSINE, BY_COSINE, NEVER_MATCHES.keypoints, min_probability=0.85)
UNTAUGHT = replace(NEVER_MATCHES, min_probability=0.85)
LAID = MatchFeatures(cosine=0.4, blocks=1, correlation=0.9, keypoints=60)
UNLIKE = MatchFeatures(cosine=0.4, blocks=1, correlation=0.1, keypoints=10)

OPEN = ComparedPair({PARTIAL: STRANGE, KEYPOINTS: LAID}, same=True)
STRANGER = ComparedPair({PARTIAL: STRANGE, KEYPOINTS: UNLIKE}, same=False)


@pytest.mark.parametrize(
    ("copy", "left"),
    [
        ([OPEN, STRANGER], [OPEN, STRANGER]),
        ([ComparedPair({PARTIAL: SURE, KEYPOINTS: LAID}, same=True), STRANGER], [STRANGER]),
        ([ComparedPair({RECTIFIED: SURE}, same=False), OPEN, STRANGER], []),
        ([STRANGER], [STRANGER]),
        # A whole picture that correlates less than a search asks for is no proof, however near.
        ([ComparedPair({WHOLE: SURE}, same=False), STRANGER], [ComparedPair({WHOLE: SURE}, same=False), STRANGER]),
    ],
)
def test_undecided_keeps_the_pairs_whose_keypoints_a_search_compares(
    copy: list[ComparedPair], left: list[ComparedPair]
) -> None:
    assert fit_match_score.undecided(copy, SCORER) == left


def test_keypoints_are_fitted_on_pairs_that_the_newly_fitted_stages_leave_undecided() -> None:
    """The scorer proves nothing at first; copies that the fitted PARTIAL stage proves give no keypoint examples."""
    proved = [
        [
            ComparedPair({PARTIAL: scattered(SURE, seed), KEYPOINTS: UNLIKE}, same=True),
            ComparedPair({PARTIAL: scattered(STRANGE, seed)}, same=False),
        ]
        for seed in range(60)
    ]
    examples, fitted = fit_match_score.learn([*proved, *([[OPEN, STRANGER]] * 20)], UNTAUGHT)
    assert set(fitted) == {PARTIAL, KEYPOINTS}
    corners = [piece for piece in examples if piece.stage == KEYPOINTS]
    assert {(piece.features, piece.same) for piece in corners} == {(LAID, True), (UNLIKE, False)}
    assert fitted[KEYPOINTS].probability(LAID) > 0.9
    assert fitted[KEYPOINTS].probability(UNLIKE) < 0.1


@pytest.mark.parametrize(
    ("cosine", "features", "one"),
    [
        (0.7, {}, True),
        (0.3, {}, False),
        (0.3, {PARTIAL: SURE}, True),
        (0.3, {PARTIAL: STRANGE, WHOLE: STRANGE, RECTIFIED: STRANGE}, False),
        (0.3, {WHOLE: SURE}, True),
        (0.3, {RECTIFIED: SURE}, True),
    ],
)
def test_photographs_of_one_scene_are_left_out(cosine: float, features: dict[str, MatchFeatures], one: bool) -> None:
    assert shows_same_scene(cosine, features) is one


def test_pictures_are_found_in_all_folders_and_no_other_files(tmp_path: Path) -> None:
    names = ("a/1.jpg", "a/deep/2.PNG", "b/3.webp", "b/notes.txt")
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert fit_match_score.find_pictures([tmp_path / "a", tmp_path / "b"]) == sorted(
        tmp_path / name for name in names[:3]
    )
