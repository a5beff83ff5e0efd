"""What adding a picture stores of it."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from lookalike.domain.library import Identity, Kind, LibraryRef
from lookalike.domain.picture import Embedding, Pixels, Vector
from lookalike.domain.search import Reason
from lookalike.embedding.library_embedding import embed_for_library
from lookalike.imaging.decode import Bounds
from lookalike.ports import Ports
from lookalike.service.add import Add, add
from lookalike.service.image_source import Source
from lookalike.service.search import Search, search
from tests.support.fakes import TinyEmbedder, memory_ports

BOUNDS = Bounds(max_bytes=1 << 20, min_side=1, max_side=500, max_pixels=500 * 500, formats=frozenset({"PNG"}))
IMPLICIT = [Identity.PICTURE, Identity.OWN]


def scene(seed: int) -> Pixels:
    chance = np.random.default_rng(seed)
    small = Image.fromarray(chance.integers(0, 256, (6, 6, 3), np.uint8))
    return np.asarray(small.resize((120, 120), Image.Resampling.NEAREST))


def png(pixels: Pixels) -> Source:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return Source(BOUNDS, file.getvalue())


def stored(ports: Ports, ref: LibraryRef, pixels: Pixels) -> Vector:
    id_ = "one" if ref.identity is Identity.OWN else None
    return add(ports, Add(ref, png(pixels), id=id_)).vector


@pytest.mark.parametrize("identity", IMPLICIT)
@pytest.mark.parametrize("kind", Kind)
def test_the_row_has_the_vector_that_a_library_of_its_sort_stores(kind: Kind, identity: Identity) -> None:
    expected: Embedding = embed_for_library(TinyEmbedder(), kind, identity, scene(1))
    vector = stored(memory_ports(), LibraryRef("tenant", "library", kind, identity), scene(1))
    assert np.array_equal(vector, expected.vectors[kind])


@pytest.mark.parametrize("kind", [Kind.SIMILAR, Kind.PRODUCT])
def test_the_mean_is_another_vector_than_the_whole_picture_s(kind: Kind) -> None:
    mean, whole = (
        stored(memory_ports(), LibraryRef("tenant", "library", kind, identity), scene(1)) for identity in IMPLICIT
    )
    cosine = float(mean.astype(np.float32) @ whole.astype(np.float32))
    assert np.sqrt(15) / 4 < cosine < 0.9999


@pytest.mark.parametrize("identity", IMPLICIT)
@pytest.mark.parametrize("kind", Kind)
def test_the_identical_picture_scores_1(kind: Kind, identity: Identity) -> None:
    ports, ref = memory_ports(), LibraryRef("tenant", "library", kind, identity)
    for seed in range(3):
        add(ports, Add(ref, png(scene(seed)), id=f"{seed}" if identity is Identity.OWN else None))
    first = search(ports, Search(ref, png(scene(1)))).matches[0]
    assert (first.score, first.reason) == (1, Reason.EXACT)
