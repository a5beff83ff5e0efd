"""The transform that lays points on points is found among wrong pairs, the same every time."""

from __future__ import annotations

import cmath
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.verification.ransac import LEAST_SCALE, MOST_SCALE, Points, Transform, align, pad

NEAR, APART = 0.05, 0.1


def points(count: int, seed: int) -> Points:
    chance = np.random.default_rng(seed)
    return (chance.random(count) + 1j * chance.random(count)).astype(np.complex64)


def aligned(here: Points, there: Points) -> Transform | None:
    return align(pad([here]), pad([there]), np.array([len(here)]), NEAR, APART)[0]


def fits(transform: Transform | None, here: Points, there: Points) -> int:
    return 0 if transform is None else int(np.count_nonzero(np.abs(transform.of(here) - there) <= NEAR))


@given(
    scale=st.floats(0.35, 2.8),
    angle=st.floats(-math.pi, math.pi),
    mirrored=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_it_is_found_among_as_many_wrong_pairs(scale: float, angle: float, mirrored: bool, seed: int) -> None:
    true = Transform(cmath.rect(scale, angle), 0.3 - 0.2j, mirrored)
    here = points(60, seed)
    there = true.of(here)
    there[30:] = points(30, seed + 1)
    found = aligned(here, there)
    assert fits(found, here[:30], there[:30]) == 30
    assert found is not None
    assert found.mirrored == mirrored


@given(st.floats(0.35, 2.8), st.booleans())
def test_the_inverse_takes_points_back(scale: float, mirrored: bool) -> None:
    transform = Transform(cmath.rect(scale, 1.0), 0.5j, mirrored)
    here = points(20, 3)
    assert np.allclose(transform.inverse(transform.of(here)), here, atol=1e-5)


@pytest.mark.parametrize("scale", [LEAST_SCALE / 2, MOST_SCALE * 1.5])
def test_what_would_have_to_scale_too_much_is_not_found(scale: float) -> None:
    here = points(40, 1)
    assert fits(aligned(here, scale * here), here, scale * here) < 20


def test_rows_do_not_depend_on_each_other() -> None:
    sets = [(points(count, count), points(count, count + 1)) for count in (2, 3, 40, 90)]
    here, there = pad([a for a, _ in sets]), pad([b for _, b in sets])
    together = align(here, there, np.array([len(a) for a, _ in sets]), NEAR, APART)
    for found, (a, b) in zip(together, sets, strict=True):
        alone = aligned(a, b)
        assert (found is None) == (alone is None)
        assert fits(found, a, b) == fits(alone, a, b)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_points_on_one_spot_have_no_transform(count: int) -> None:
    here = np.full(count, 0.5 + 0.5j, np.complex64)
    assert aligned(here, points(count, 1)) is None
