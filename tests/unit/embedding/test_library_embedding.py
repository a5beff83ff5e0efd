"""How a picture is embedded for a library."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.domain.library import Identity, Kind
from lookalike.domain.picture import DIMENSION, Embedding, Pixels
from lookalike.embedding.library_embedding import embed_for_library, mean_of_looks, mirrored_middle
from tests.support.fakes import TinyEmbedder

SIDES = st.integers(1, 60)


class SeenEmbedder(TinyEmbedder):
    """Keeps the pictures that it is shown."""

    def __init__(self) -> None:
        self.shown: list[Pixels] = []

    def embed(self, pictures: Sequence[Pixels]) -> Sequence[Embedding]:
        self.shown += pictures
        return super().embed(pictures)


def numbered(height: int, width: int) -> Pixels:
    """A picture in which every pixel says where it is."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows, columns, rows * 0], axis=2).astype(np.uint8)


@pytest.mark.parametrize(
    ("kind", "identity"),
    [(Kind.SAME, Identity.PICTURE), *((kind, Identity.OWN) for kind in Kind)],
)
def test_same_and_libraries_of_callers_ids_embed_a_picture_once_as_it_is(kind: Kind, identity: Identity) -> None:
    embedder, pixels = SeenEmbedder(), numbered(20, 30)
    stored = embed_for_library(embedder, kind, identity, pixels)
    (seen,) = embedder.shown
    assert np.array_equal(seen, pixels)
    (plain,) = TinyEmbedder().embed([pixels])
    assert stored.feature_map == plain.feature_map
    assert np.array_equal(stored.vectors[kind], plain.vectors[kind])


@pytest.mark.parametrize("kind", [Kind.SIMILAR, Kind.PRODUCT])
def test_the_other_kinds_store_the_mean_of_the_whole_four_times_and_its_mirrored_middle(kind: Kind) -> None:
    embedder, pixels = SeenEmbedder(), numbered(40, 80)
    stored = embed_for_library(embedder, kind, Identity.PICTURE, pixels)
    whole, middle = embedder.shown
    assert np.array_equal(whole, pixels)
    assert np.array_equal(middle, numbered(40, 80)[5:35, 10:70][:, ::-1])
    ours, theirs = (one.vectors[kind].astype(np.float32) for one in TinyEmbedder().embed([whole, middle]))
    expected = (4 * ours + theirs) / np.linalg.norm(4 * ours + theirs)
    assert stored.vectors[kind].dtype == np.float16
    assert np.allclose(stored.vectors[kind], expected, atol=1e-3)


@given(SIDES, SIDES)
def test_the_middle_leaves_an_eighth_out_on_every_side_and_is_never_empty(height: int, width: int) -> None:
    middle = mirrored_middle(numbered(height, width))
    top, left = height // 8, width // 8
    assert middle.shape == (height - 2 * top, width - 2 * left, 3)
    assert min(middle.shape) > 0
    assert middle[0, 0, :2].tolist() == [top, width - 1 - left]
    assert middle[-1, -1, :2].tolist() == [height - 1 - top, left]


@given(st.integers(0, 2**32 - 1), st.floats(-1, 1))
def test_the_mean_is_a_unit_vector_near_the_whole_picture_s(seed: int, cosine: float) -> None:
    random = np.random.default_rng(seed)
    whole, other = random.standard_normal((2, DIMENSION))
    whole /= np.linalg.norm(whole)
    other -= (other @ whole) * whole
    other /= np.linalg.norm(other)
    middle = cosine * whole + np.sqrt(1 - cosine**2) * other
    mean = mean_of_looks(whole, middle)
    assert np.linalg.norm(mean) == pytest.approx(1, abs=1e-5)
    assert mean @ whole >= np.sqrt(15) / 4 - 1e-5


def test_means_are_of_rows() -> None:
    rows = np.random.default_rng(1).standard_normal((2, 5, DIMENSION))
    whole, middle = rows / np.linalg.norm(rows, axis=2, keepdims=True)
    together = mean_of_looks(whole, middle)
    assert np.allclose(together, [mean_of_looks(one, other) for one, other in zip(whole, middle, strict=True)])
