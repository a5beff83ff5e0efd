"""How evidence is to be read is learnt from evidence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lookalike.training import fit_match_score
from lookalike.training.fit_match_score import AGAIN, CORNERS, PART, WHOLE, Compared, Seen
from lookalike.verification.match_score import NO_PROOF, Evidence, ProofCalibration, Weights

SURE = Evidence(cosine=0.8, blocks=40, correlation=0.8, matches=90, inliers=85, likeness=0.8)
STRANGE = Evidence(cosine=0.4, blocks=30, correlation=0.35, matches=50, inliers=12, likeness=0.2)


def scattered(around: Evidence, seed: int) -> Evidence:
    chance = np.random.default_rng(seed)
    near = chance.normal(1, 0.1, 3).tolist()
    return Evidence(
        around.cosine * near[0],
        around.blocks,
        min(around.correlation * near[1], 0.99),
        around.matches,
        round(around.inliers * near[2]),
        around.likeness * near[0],
    )


@pytest.mark.parametrize("look", [WHOLE, PART, AGAIN])
def test_what_is_the_same_becomes_probable_and_what_is_not_does_not(look: str) -> None:
    pieces = [Seen(look, scattered(SURE, seed), True) for seed in range(50)]
    pieces += [Seen(look, scattered(STRANGE, seed), False) for seed in range(200)]
    weights = fit_match_score.fit(pieces, look)
    assert weights == fit_match_score.fit(pieces, look)
    assert weights.probability(SURE) > 0.9
    assert weights.probability(STRANGE) < 0.1
    unused = {"matches", "inliers", "likeness"} - set(fit_match_score.USES[look])
    assert all(getattr(weights, name) == 0 for name in unused)


def test_evidence_of_other_looks_does_not_count() -> None:
    pieces = [Seen(PART, scattered(SURE, seed), True) for seed in range(50)]
    pieces += [Seen(PART, scattered(STRANGE, seed), False) for seed in range(50)]
    noise = [Seen(AGAIN, scattered(STRANGE, seed), True) for seed in range(500)]
    assert fit_match_score.fit(pieces + noise, PART) == fit_match_score.fit(pieces, PART)


#: Proves what is SURE, by its cosine, and leaves what is STRANGE open.
BY_COSINE = Weights(cosine=20, correlation=0, matches=0, inliers=0, likeness=0, corners=0, offset=12)
PROOF = ProofCalibration(BY_COSINE, BY_COSINE, BY_COSINE, NO_PROOF.corners, least=0.85)
UNTAUGHT = replace(NO_PROOF, least=0.85)
LAID = Evidence(cosine=0.4, blocks=1, correlation=0.9, corners=60)
UNLIKE = Evidence(cosine=0.4, blocks=1, correlation=0.1, corners=10)

OPEN = Compared({PART: STRANGE, CORNERS: LAID}, same=True)
STRANGER = Compared({PART: STRANGE, CORNERS: UNLIKE}, same=False)


@pytest.mark.parametrize(
    ("copy", "left"),
    [
        ([OPEN, STRANGER], [OPEN, STRANGER]),
        ([Compared({PART: SURE, CORNERS: LAID}, same=True), STRANGER], [STRANGER]),
        ([Compared({AGAIN: SURE}, same=False), OPEN, STRANGER], []),
        ([STRANGER], [STRANGER]),
        # A whole picture that correlates less than a search asks for is no proof, however near.
        ([Compared({WHOLE: SURE}, same=False), STRANGER], [Compared({WHOLE: SURE}, same=False), STRANGER]),
    ],
)
def test_corners_are_learnt_from_where_searches_ask_for_them(copy: list[Compared], left: list[Compared]) -> None:
    assert fit_match_score.left_open(copy, PROOF) == left


def test_all_looks_are_learnt_and_corners_by_what_the_others_have_just_learnt() -> None:
    """At first nothing is proof; the copies whose parts are then proved have nothing to say of corners."""
    proved = [
        [
            Compared({PART: scattered(SURE, seed), CORNERS: UNLIKE}, same=True),
            Compared({PART: scattered(STRANGE, seed)}, same=False),
        ]
        for seed in range(60)
    ]
    pieces, taught = fit_match_score.learn([*proved, *([[OPEN, STRANGER]] * 20)], UNTAUGHT)
    assert set(taught) == {PART, CORNERS}
    corners = [piece for piece in pieces if piece.look == CORNERS]
    assert {(piece.evidence, piece.same) for piece in corners} == {(LAID, True), (UNLIKE, False)}
    assert taught[CORNERS].probability(LAID) > 0.9
    assert taught[CORNERS].probability(UNLIKE) < 0.1


@pytest.mark.parametrize(
    ("cosine", "looks", "one"),
    [
        (0.7, {}, True),
        (0.3, {}, False),
        (0.3, {PART: SURE}, True),
        (0.3, {PART: STRANGE, WHOLE: STRANGE, AGAIN: STRANGE}, False),
        (0.3, {WHOLE: SURE}, True),
        (0.3, {AGAIN: SURE}, True),
    ],
)
def test_photographs_of_one_scene_are_left_out(cosine: float, looks: dict[str, Evidence], one: bool) -> None:
    assert fit_match_score.of_one_scene(cosine, looks) is one


def test_pictures_are_found_in_all_folders_and_no_other_files(tmp_path: Path) -> None:
    names = ("a/1.jpg", "a/deep/2.PNG", "b/3.webp", "b/notes.txt")
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert fit_match_score.find([tmp_path / "a", tmp_path / "b"]) == sorted(tmp_path / name for name in names[:3])
