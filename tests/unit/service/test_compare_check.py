"""Two pictures compared, and a library asked whether it holds one: both judge as searches do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import pytest
from PIL import Image

from lookalike.domain.geometry import GeometricMatch
from lookalike.domain.library import Identity, Kind, Library, LibraryRef
from lookalike.domain.picture import Embedding, Pixels
from lookalike.domain.search import Found, Reason
from lookalike.embedding.embedder import OnnxEmbedder
from lookalike.embedding.model_path import find_model
from lookalike.errors import Abandoned, EmptyPicture, NotAPicture
from lookalike.imaging.decode import FORMATS, Bounds
from lookalike.imaging.pixel_budget import PixelBudget
from lookalike.limits.call import Call
from lookalike.ports import Embedder, Finder, Looking, Ports, Verifier
from lookalike.service import image_source
from lookalike.service.add import Add, add
from lookalike.service.check import MAX_UNVERIFIED_SCORE, Check, check
from lookalike.service.compare import Comparison, compare
from lookalike.service.delete import Delete, delete
from lookalike.service.image_source import Source
from lookalike.service.libraries import create_library
from lookalike.service.ranking import MIN_VERIFIED_SCORE
from lookalike.service.search import Search, search
from lookalike.verification.verifier import FeatureMapVerifier
from tests.support.fakes import MemoryIndex, TinyEmbedder, memory_ports
from tests.support.photographs import cropped, jpeg, photograph, png
from tests.unit.service.test_examples import scene

BOUNDS = Bounds(max_bytes=8 << 20, min_side=1, max_side=5000, max_pixels=5000 * 5000, formats=FORMATS)


@pytest.fixture(scope="module")
def engine() -> tuple[Embedder, Verifier]:
    """The real model and its verifier."""
    embedder = OnnxEmbedder(find_model(None))
    return embedder, FeatureMapVerifier(embedder.match_scorer)


@pytest.fixture
def real(engine: tuple[Embedder, Verifier]) -> Ports:
    embedder, verifier = engine
    return memory_ports(embedder=embedder, verifier=verifier)


def source(data: bytes | Image.Image, name: str = "picture") -> Source:
    return Source(BOUNDS, png(data) if isinstance(data, Image.Image) else data, name=name)


def stocked(ports: Ports, kind: Kind, identity: Identity, *files: bytes | Image.Image) -> Library:
    ref = LibraryRef("tenant", f"{kind} {identity}", kind, identity)
    library = create_library(ports, ref)
    for number, file in enumerate(files):
        add(ports, Add(ref, source(file), id=str(number) if identity is Identity.OWN else None), library)
    return library


# -- Two pictures ------------------------------------------------------------------------------------------------------


@cache
def pairs() -> dict[str, tuple[bytes, bytes]]:
    cat, cup = photograph("chelsea.png", 320), photograph("coffee.png", 320)
    flat, other = Image.new("RGB", (200, 200), "white"), Image.new("RGB", (300, 200), "black")
    return {
        "itself": (png(cat), png(cat)),
        "another file of its pixels": (png(cat), jpegless(cat)),
        "recompressed": (png(cat), jpeg(cat, 60)),
        "cropped": (png(cat), jpeg(cropped(cat, 0.7))),
        "mirrored": (png(cat), png(cat.transpose(Image.Transpose.FLIP_LEFT_RIGHT))),
        "on a page": (png(cat), png(on_a_page(cat))),
        "another": (png(cat), png(cup)),
        "blank": (png(flat), png(other)),
        "blank and not": (png(flat), png(cup)),
        "one pixel": (png(Image.new("RGB", (1, 1))), png(cat)),
    }


def jpegless(picture: Image.Image) -> bytes:
    """The same pixels in another file."""
    return png(picture.convert("RGBA"))


def on_a_page(picture: Image.Image) -> Image.Image:
    page = Image.new("RGB", (picture.width * 2, picture.height * 2), "white")
    page.paste(picture, (picture.width // 3, picture.height // 4))
    return page


FOUND = {
    "itself": "identical",
    "another file of its pixels": "identical",
    "recompressed": "same",
    "cropped": "same",
    "mirrored": "same",
    "on a page": "same",
    "another": "",
    "blank": "",
    "blank and not": "",
    "one pixel": "",
}


@pytest.mark.parametrize("name", FOUND)
def test_two_pictures_compare_as_a_search_for_the_second_where_the_first_is_held(real: Ports, name: str) -> None:
    first, second = pairs()[name]
    compared = compare(real, "tenant", source(first), source(second))
    library = stocked(real, Kind.SAME, Identity.OWN, first)
    matches = search(real, Search((library,), source(second))).matches
    assert compared.identical == (FOUND[name] == "identical")
    assert (compared.same is not None) == (FOUND[name] == "same")
    if not matches:
        assert compared.same_score == 0
        return
    (match,) = matches
    assert (compared.same_score, compared.same) == (match.score, match.geometric_match)
    assert (compared.same_score == 1) == compared.identical


@pytest.mark.parametrize("name", ["itself", "recompressed", "another", "blank"])
@pytest.mark.parametrize("kind", [Kind.SIMILAR, Kind.PRODUCT])
def test_its_other_scores_are_those_of_libraries_of_callers_ids(real: Ports, kind: Kind, name: str) -> None:
    first, second = pairs()[name]
    compared = compare(real, "tenant", source(first), source(second))
    library = stocked(real, kind, Identity.OWN, first)
    score = compared.similar if kind is Kind.SIMILAR else compared.product
    assert 0 < score < 1
    asked = check(real, library, source(second))
    if asked.nearest is not None:
        assert score == pytest.approx(asked.nearest.score, abs=1e-6)
    else:
        assert compared.identical
    assert compare(real, "tenant", source(first), source(second)) == compared


def test_a_mirrored_copy_is_told(real: Ports) -> None:
    first, second = pairs()["mirrored"]
    same = compare(real, "tenant", source(first), source(second)).same
    assert same is not None
    assert same.mirrored


def test_what_two_pictures_hide_tells_them_apart() -> None:
    ink, other = (Image.new("RGBA", (32, 32), (255, 255, 255, 0)) for _ in range(2))
    for picture, at in ((ink, 3), (other, 28)):
        picture.paste((200, 30, 60, 255), (8, 8, 24, 24))
        picture.putpixel((at, at), (255, 255, 255, 255))  # white on white, and on black another picture
    ports = memory_ports()
    compared = compare(ports, "tenant", source(ink), source(other))
    assert (compared.identical, compared.same is not None) == (False, True)
    assert compare(ports, "tenant", source(ink), source(ink)).identical


class Mapless(TinyEmbedder):
    """Makes no feature maps."""

    def embed(self, pictures: Sequence[Pixels]) -> Sequence[Embedding]:
        return [replace(embedding, feature_map=b"") for embedding in super().embed(pictures)]


def test_without_feature_maps_the_vector_tells_whether_both_are_the_same() -> None:
    ports = memory_ports(embedder=Mapless())
    compared = compare(ports, "tenant", source(scene(1)), source(scene(1, 90)))
    assert compared.same is None
    assert 0.9 < compared.same_score < 1
    assert compare(ports, "tenant", source(scene(1)), source(scene(2))).same_score == 0


def test_comparing_touches_no_store_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    ports = memory_ports(index=None, catalog=None, originals=None, maps=None)
    compared = compare(ports, "tenant", source(scene(1)), source(scene(1, 90)))
    assert isinstance(compared, Comparison)
    assert isinstance(compared.same, GeometricMatch)


def test_comparing_is_done_here_wherever_else_pictures_are_looked_for() -> None:
    class Elsewhere(Finder):
        def find(self, looking: Looking) -> Found:
            raise AssertionError(f"no other process knows {looking.libraries}")

    ports, picture = memory_ports(), source(scene(1))
    elsewhere = replace(ports, finder=Elsewhere())
    assert compare(elsewhere, "tenant", picture, picture) == compare(ports, "tenant", picture, picture)


def test_pictures_are_in_memory_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_source, "_BUDGET", PixelBudget(120 * 120, max_per_tenant=120 * 120))
    assert compare(memory_ports(), "tenant", source(scene(1)), source(scene(1))).identical


def test_a_bad_picture_is_refused_by_its_name() -> None:
    for a, b, name in ((b"", png(scene(1)), "a"), (png(scene(1)), b"<html>", "b")):
        with pytest.raises((EmptyPicture, NotAPicture)) as refused:
            compare(memory_ports(), "tenant", source(a, "a"), source(b, "b"))
        assert refused.value.field == name


class Gone(Call):
    def check(self) -> None:
        raise Abandoned("gone")


def test_nobody_waits_for_an_answer_that_nobody_wants() -> None:
    ports = memory_ports()
    library = stocked(ports, Kind.SIMILAR, Identity.OWN, scene(1))
    gone = replace(ports, call=Gone())
    with pytest.raises(Abandoned):
        compare(gone, "tenant", source(scene(1)), source(scene(2)))
    with pytest.raises(Abandoned):
        check(gone, library, source(scene(2)))


# -- Is it in the library? ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("identity", Identity)
@pytest.mark.parametrize("kind", Kind)
def test_the_identical_picture_is_held(kind: Kind, identity: Identity) -> None:
    ports = memory_ports()
    library = stocked(ports, kind, identity, *(scene(seed) for seed in range(5)))
    asked = check(ports, library, source(jpegless(scene(3))))
    rows = ports.catalog.pictures(library.uid, None, 10)
    assert asked.picture in rows
    assert asked.picture is not None
    assert asked.nearest is None
    assert ports.originals.get(asked.picture.object_key) == png(scene(3))


@pytest.mark.parametrize("identity", Identity)
@pytest.mark.parametrize("kind", Kind)
def test_a_deleted_picture_is_not_held_and_not_near(kind: Kind, identity: Identity) -> None:
    index = MemoryIndex()
    ports = memory_ports(index=index)
    library = stocked(ports, kind, identity, scene(1), scene(2))
    asked = check(ports, library, source(scene(1)))
    assert asked.picture is not None
    ref = LibraryRef("tenant", library.name, kind, identity)
    before = dict(index.rows)
    named: Source | tuple[str, ...] = (asked.picture.key.id,) if identity is Identity.OWN else source(scene(1))
    delete(ports, Delete(ref, named))
    index.rows = before  # which has not heard of it yet
    after = check(ports, library, source(scene(1)))
    assert after.picture is None
    assert after.nearest is not None
    assert after.nearest.candidate.key != asked.picture.key


@pytest.mark.parametrize("kind", Kind)
def test_an_empty_library_holds_nothing(kind: Kind) -> None:
    ports = memory_ports()
    asked = check(ports, stocked(ports, kind, Identity.OWN), source(scene(1)))
    assert (asked.picture, asked.nearest) == (None, None)


class Strict(TinyEmbedder):
    """Finds nothing by vectors alone."""

    def threshold(self, kind: Kind) -> float:
        return 2.0


@pytest.mark.parametrize("kind", [Kind.SIMILAR, Kind.PRODUCT])
def test_the_nearest_is_told_though_it_is_below_the_threshold(kind: Kind) -> None:
    ports = memory_ports(embedder=Strict())
    library = stocked(ports, kind, Identity.OWN, *(scene(seed) for seed in range(5)))
    near = source(Image.blend(scene(2), scene(9), 0.4))
    assert search(ports, Search((library,), near)).matches == ()
    nearest = check(ports, library, near).nearest
    assert nearest is not None
    assert (nearest.candidate.key.id, nearest.reason) == ("2", Reason.VECTOR)
    assert nearest.score == ports.embedder.score(kind, nearest.candidate.cosine)


def nearest_of(asked: Check) -> tuple[str, Reason]:
    assert asked.picture is None
    assert asked.nearest is not None
    return asked.nearest.candidate.key.id, asked.nearest.reason


def test_in_same_the_verified_one_is_nearest_and_else_one_with_a_low_score(real: Ports) -> None:
    names = ("astronaut.png", "chelsea.png", "rocket.jpg")
    library = stocked(real, Kind.SAME, Identity.PICTURE, *(png(photograph(name)) for name in names))
    cat = check(real, library, source(jpeg(cropped(photograph("chelsea.png")))))
    (found,) = search(real, Search((library,), source(jpeg(cropped(photograph("chelsea.png")))))).matches
    assert cat.nearest == found
    stranger = check(real, library, source(jpeg(photograph("coffee.png"))))
    assert nearest_of(stranger)[1] is Reason.VECTOR
    assert stranger.nearest is not None
    assert stranger.nearest.geometric_match is None
    assert 0 < stranger.nearest.score <= MAX_UNVERIFIED_SCORE < MIN_VERIFIED_SCORE


def test_the_nearest_one_by_vector_comes_first() -> None:
    ports = memory_ports()
    library = stocked(ports, Kind.SAME, Identity.OWN, *(scene(seed) for seed in range(5)))
    half = Image.blend(scene(2), scene(9), 0.45)
    assert search(ports, Search((library,), source(half))).matches == ()
    assert nearest_of(check(ports, library, source(half))) == ("2", Reason.VECTOR)
