"""The verifier, the ranking and the scores give the figures that they gave, to the bit.

What a model once made of the small pictures in ``golden`` is recorded there, with the calibrations of its card, so the
model has no part in this. Everything else has: how pictures are decoded, cut, warped and shrunk, how cells, keypoints and
quadrilaterals are found and matched, what is accepted, and how matches are ranked and scored. All of that is NumPy
and Pillow, both locked. The figures are computed in a process that uses OpenBLAS's kernels for Haswell and blocks for
its cache, because those for other processors differ in last bits; so they are the same on every x86-64 processor with AVX2, and are
not asked elsewhere.

They may change for two reasons: a change of the algorithm that is meant, and measured by ``make quality``; or another
NumPy, Pillow or compiler whose last bits differ. Names, moves and other structure are no reason, nor is a new model,
unless its recording is to be made anew: ``python -m tests.unit.golden.record``. Review its difference as code.
"""

from __future__ import annotations

import json
import platform
from typing import Any

import pytest

from tests.unit.golden.figures import EXPECTED, LIBRARY, QUERIES, differences, run

WANTED: dict[str, Any] = json.loads(EXPECTED.read_text())


@pytest.fixture(scope="module")
def printed() -> dict[str, Any]:
    if platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("the figures' last bits are those of OpenBLAS's kernels for x86-64")
    return dict(json.loads(run("tests.unit.golden.figures")))


@pytest.fixture(scope="module")
def found(printed: dict[str, Any]) -> dict[str, Any]:
    return dict(printed["figures"])


@pytest.mark.parametrize("part", WANTED)
def test_the_figures_are_as_they_were_to_the_bit(found: dict[str, Any], part: str) -> None:
    changed = list(differences(found[part], WANTED[part], part))
    assert not changed, "golden figures have changed:\n" + "\n".join(changed[:20])


def test_nothing_else_is_found(found: dict[str, Any]) -> None:
    assert found.keys() == WANTED.keys()


def test_the_model_is_shown_all_that_it_was_shown(printed: dict[str, Any]) -> None:
    assert printed["not shown"] == []


def test_the_pictures_need_every_stage() -> None:
    """Figures of stages that no picture comes to would hold nothing."""
    stages = WANTED["stages"]
    for stage in ("whole", "part", "again", "corners"):
        found = [stages[query][name].get(stage) for query in QUERIES for name in LIBRARY]
        assert any(one is not None and one[0] for one in found), f"nothing proves in {stage}"
    assert any(WANTED["frames"].values())
    same = WANTED["searches"]["same"]
    assert [query for query in QUERIES if not same[query]] == ["stranger"]
