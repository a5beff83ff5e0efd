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
    pad_point_sets,
    ransac_similarity,
)

INLIER_THRESHOLD, MIN_SAMPLE_DISTANCE = 0.05, 0.1


def points(count: int, seed: int) -> Points:
    chance = np.random.default_rng(seed)
    return (chance.random(count) + 1j * chance.random(count)).astype(np.complex64)


def aligned(source: Points, target: Points) -> SimilarityTransform | None:
    return ransac_similarity(
        pad_point_sets([source]),
        pad_point_sets([target]),
        np.array([len(source)]),
        INLIER_THRESHOLD,
        MIN_SAMPLE_DISTANCE,
    )[0]


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


def test_rows_do_not_depend_on_each_other() -> None:
    sets = [(points(count, count), points(count, count + 1)) for count in (2, 3, 40, 90)]
    source, target = pad_point_sets([a for a, _ in sets]), pad_point_sets([b for _, b in sets])
    together = ransac_similarity(
        source, target, np.array([len(a) for a, _ in sets]), INLIER_THRESHOLD, MIN_SAMPLE_DISTANCE
    )
    for found, (a, b) in zip(together, sets, strict=True):
        alone = aligned(a, b)
        assert (found is None) == (alone is None)
        assert inliers(found, a, b) == inliers(alone, a, b)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_points_on_one_spot_have_no_transform(count: int) -> None:
    source = np.full(count, 0.5 + 0.5j, np.complex64)
    assert aligned(source, points(count, 1)) is None
