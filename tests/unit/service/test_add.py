"""What adding a picture stores of it."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from lookalike.domain.library import Identity, Kind, LibraryRef
from lookalike.domain.picture import Embedding, Metadata, Pixels, Vector
from lookalike.domain.search import Reason
from lookalike.embedding.library_embedding import embed_for_library
from lookalike.errors import PictureExists, Unavailable
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


@pytest.mark.parametrize("identity", IMPLICIT)
def test_a_refused_picture_whose_original_is_lost_is_stored_again(identity: Identity) -> None:
    ports, ref = memory_ports(), LibraryRef("tenant", "library", Kind.SAME, identity)
    id_ = "one" if identity is Identity.OWN else None
    row = add(ports, Add(ref, png(scene(1)), Metadata(brief="kept"), id=id_))
    library = ports.catalog.library("tenant", "library")
    files = ports.originals.files  # type: ignore[attr-defined]
    whole = files[row.object_key]

    def again(*, seed: int = 1, url: str | None = None) -> bool:
        source = png(scene(seed)) if url is None else Source(BOUNDS, url=url)
        with pytest.raises(PictureExists) as refused:
            add(ports, Add(ref, source, Metadata(brief="other"), id=id_), library)
        return refused.value.repaired

    assert not again()
    for lost in ({}, {row.object_key: whole[:-1]}, {row.object_key: b""}):
        files.clear()
        files.update(lost)
        if id_:
            assert not again(seed=2)
        assert again()
        assert files == {row.object_key: whole}
        assert not again()
    assert ports.catalog.picture(row.key) == row
    ports.fetch.answers["http://a/"] = whole  # type: ignore[attr-defined]
    files.clear()
    assert again(url="http://a/")
    assert files == {row.object_key: whole}
    if id_:
        files.clear()
        assert not again(url="http://none/")


@pytest.mark.parametrize("broken", ["size", "get", "put"])
def test_a_store_of_originals_that_is_away_refuses_the_picture_all_the_same(
    broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ports, ref = memory_ports(), LibraryRef("tenant", "library", Kind.SAME, Identity.PICTURE)
    add(ports, Add(ref, png(scene(1))))
    ports.originals.files.clear()  # type: ignore[attr-defined]

    def away(*_: object) -> None:
        raise Unavailable("away")

    monkeypatch.setattr(ports.originals, broken, away)
    with pytest.raises(PictureExists) as refused:
        add(ports, Add(ref, png(scene(1))))
    assert not refused.value.repaired
