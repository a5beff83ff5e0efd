"""The closed-form heads, on synthetic descriptors with known results."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lookalike.training import heads


@pytest.fixture
def library() -> NDArray[np.float64]:
    """Return 500 rows of 40 numbers, whose variance falls from the first to the last."""
    return np.random.default_rng(1).normal(size=(500, 40)) * np.linspace(3, 0.1, 40) + 5


def test_a_projection_gives_unit_rows_whatever_it_is_given(library: NDArray[np.float64]) -> None:
    projection = heads.principal(library, 8, power=0.25)
    rows = projection.apply(np.concatenate([library, np.zeros((1, 40)), np.full((1, 40), 1e6)]))
    assert rows.shape == (502, 8)
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)


def test_principal_components_keep_what_varies_most(library: NDArray[np.float64]) -> None:
    matrix = np.abs(heads.principal(library, 8, power=0.25).matrix.astype(np.float64))
    assert matrix[:, :16].sum() > 10 * matrix[:, 24:].sum()


@pytest.mark.parametrize(("power", "exponent"), [(0.0, 1.0), (0.25, 0.5), (0.5, 0.0)])
def test_the_power_evens_out_the_variances(library: NDArray[np.float64], power: float, exponent: float) -> None:
    projection = heads.principal(library, 8, power)
    spread = ((library - projection.mean) @ projection.matrix.T.astype(np.float64)).var(axis=0)
    largest = np.linalg.eigvalsh(np.cov(library.T))[:-9:-1]
    assert np.allclose(spread / spread[0], (largest / largest[0]) ** exponent, rtol=0.02)


def test_whitening_looks_past_the_direction_in_which_copies_stray(library: NDArray[np.float64]) -> None:
    random = np.random.default_rng(2)
    stray = np.zeros(40)
    stray[0] = 1  # what tells the library's rows apart best is also what an attack changes
    copies = library + random.normal(size=(500, 1)) * 40 * stray + random.normal(size=(500, 40)) * 0.01

    def found(projection: heads.Projection) -> float:
        near = projection.apply(copies) @ projection.apply(library).T
        return float((near.argmax(axis=1) == np.arange(500)).mean())

    assert found(heads.whitening(library, copies, library, 16)) > 0.95
    assert found(heads.principal(library, 16, power=0.25)) < 0.8


def test_a_fit_gives_the_same_bytes_again(library: NDArray[np.float64]) -> None:
    first, second = (heads.whitening(library, library[::-1], library, 8).matrix.tobytes() for _ in range(2))
    assert first == second


def test_heads_are_read_as_they_were_saved(tmp_path: Path, library: NDArray[np.float64]) -> None:
    projections = {
        kind: heads.principal(library + i, 8, 0.25)
        for i, kind in enumerate((*heads.descriptors_by_kind((3, 5)), "map"))
    }
    kinds = {
        kind: heads.Head(descriptors, projections[kind])
        for kind, descriptors in heads.descriptors_by_kind((3, 5)).items()
    }
    saved = heads.Heads(kinds, projections["map"])
    saved.save(tmp_path / "heads.npz")
    read = heads.load(tmp_path / "heads.npz")
    for kind, head in read.kinds.items():
        assert head.descriptors == kinds[kind].descriptors
        assert np.array_equal(head.projection.mean, kinds[kind].projection.mean)
        assert np.array_equal(head.projection.matrix, kinds[kind].projection.matrix)
    assert np.array_equal(read.map.matrix, saved.map.matrix)
