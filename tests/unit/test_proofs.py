"""How evidence is to be read is learnt from evidence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import proofs
import pytest
from proofs import AGAIN, PART, WHOLE, Seen

from lookalike.embedding.evidence import Evidence

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
    weights = proofs.fit(pieces, look)
    assert weights == proofs.fit(pieces, look)
    assert weights.probability(SURE) > 0.9
    assert weights.probability(STRANGE) < 0.1
    unused = {"matches", "inliers", "likeness"} - set(proofs.USES[look])
    assert all(getattr(weights, name) == 0 for name in unused)


def test_evidence_of_other_looks_does_not_count() -> None:
    pieces = [Seen(PART, scattered(SURE, seed), True) for seed in range(50)]
    pieces += [Seen(PART, scattered(STRANGE, seed), False) for seed in range(50)]
    noise = [Seen(AGAIN, scattered(STRANGE, seed), True) for seed in range(500)]
    assert proofs.fit(pieces + noise, PART) == proofs.fit(pieces, PART)


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
    assert proofs.of_one_scene(cosine, looks) is one


def test_pictures_are_found_in_all_folders_and_no_other_files(tmp_path: Path) -> None:
    names = ("a/1.jpg", "a/deep/2.PNG", "b/3.webp", "b/notes.txt")
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert proofs.find([tmp_path / "a", tmp_path / "b"]) == sorted(tmp_path / name for name in names[:3])
