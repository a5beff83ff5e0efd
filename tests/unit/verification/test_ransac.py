"""RANSAC finds the transform among outliers, deterministically."""

from __future__ import annotations

import cmath
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.verification.ransac import (
    MAX_SCALE,
    MIN_SCALE,
    Points,
    SimilarityTransform,
    ransac_similarity,
)

INLIER_THRESHOLD, MIN_SAMPLE_DISTANCE = 0.05, 0.1


def points(count: int, seed: int) -> Points:
    chance = np.random.default_rng(seed)
    return (chance.random(count) + 1j * chance.random(count)).astype(np.complex64)


def aligned(source: Points, target: Points) -> SimilarityTransform | None:
    (fit,) = ransac_similarity([(source, target)], INLIER_THRESHOLD, MIN_SAMPLE_DISTANCE)
    return None if fit is None else fit.transform


def inliers(transform: SimilarityTransform | None, source: Points, target: Points) -> int:
    return (
        0 if transform is None else int(np.count_nonzero(np.abs(transform.apply(source) - target) <= INLIER_THRESHOLD))
    )


@given(
    scale=st.floats(0.35, 2.8),
    angle=st.floats(-math.pi, math.pi),
    reflected=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_the_transform_is_found_among_as_many_outliers(scale: float, angle: float, reflected: bool, seed: int) -> None:
    true = SimilarityTransform(cmath.rect(scale, angle), 0.3 - 0.2j, reflected)
    source = points(60, seed)
    target = true.apply(source)
    target[30:] = points(30, seed + 1)
    found = aligned(source, target)
    assert inliers(found, source[:30], target[:30]) == 30
    assert found is not None
    assert found.reflected == reflected


@given(st.floats(0.35, 2.8), st.booleans())
def test_the_inverse_takes_points_back(scale: float, reflected: bool) -> None:
    transform = SimilarityTransform(cmath.rect(scale, 1.0), 0.5j, reflected)
    source = points(20, 3)
    assert np.allclose(transform.apply_inverse(transform.apply(source)), source, atol=1e-5)


@pytest.mark.parametrize("scale", [MIN_SCALE / 2, MAX_SCALE * 1.5])
def test_scales_out_of_bounds_are_not_found(scale: float) -> None:
    source = points(40, 1)
    assert inliers(aligned(source, scale * source), source, scale * source) < 20


def test_sets_do_not_depend_on_each_other() -> None:
    sets = [(points(count, count), points(count, count + 1)) for count in (2, 3, 15, 40, 90, 196)]
    sets.append((points(60, 1), points(60, 1)))  # the same points: padding that fits on itself would count as well
    together = ransac_similarity(sets, INLIER_THRESHOLD, MIN_SAMPLE_DISTANCE)
    alone = [ransac_similarity([one], INLIER_THRESHOLD, MIN_SAMPLE_DISTANCE)[0] for one in sets]
    for found, single, (source, _) in zip(together, alone, sets, strict=True):
        assert (found is None) == (single is None)
        if found is not None and single is not None:
            assert found.transform == single.transform
            assert np.array_equal(found.inliers, single.inliers)
            assert len(found.inliers) == len(source)
    assert together[-1] is not None
    assert np.count_nonzero(together[-1].inliers) == 60


def test_fewer_inliers_than_wanted_are_no_fit() -> None:
    source = points(40, 1)
    target = np.concatenate([source[:12] * 1.5, points(28, 9)])
    wanted = [ransac_similarity([(source, target)], 0.01, MIN_SAMPLE_DISTANCE, count)[0] for count in (12, 30)]
    assert wanted[0] is not None
    assert np.count_nonzero(wanted[0].inliers) >= 12
    assert wanted[1] is None


@pytest.mark.parametrize("count", [1, 2, 5])
def test_points_on_one_spot_have_no_transform(count: int) -> None:
    source = np.full(count, 0.5 + 0.5j, np.complex64)
    assert aligned(source, points(count, 1)) is None
