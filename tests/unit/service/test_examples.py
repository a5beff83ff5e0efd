"""Searches by a part of a picture, by several examples and minus-examples, and in several libraries."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from lookalike.domain.geometry import WHOLE, Agreement, Box, GeometricMatch, QueryView
from lookalike.domain.library import Identity, Kind, Library, LibraryRef
from lookalike.domain.picture import DIMENSION, Embedding, Metadata, Pixels
from lookalike.domain.search import QueryPicture, Reason, TagFilter
from lookalike.errors import InvalidArgument, NotAPicture, TooManyItems
from lookalike.imaging.decode import Bounds
from lookalike.imaging.pixel_budget import PixelBudget
from lookalike.ports import Ports
from lookalike.service import image_source
from lookalike.service.add import Add, add
from lookalike.service.examples import MAX_EXAMPLES, combined
from lookalike.service.image_source import Source
from lookalike.service.libraries import create_library
from lookalike.service.ranking import Page
from lookalike.service.search import Search, search
from tests.support.fakes import TinyEmbedder, TinyQueryVerifier, TinyVerifier, memory_ports

BOUNDS = Bounds(max_bytes=1 << 20, min_side=1, max_side=500, max_pixels=500 * 500, formats=frozenset({"PNG"}))
IN = [Kind.SIMILAR, Kind.PRODUCT]


def scene(seed: int, side: int = 120) -> Image.Image:
    chance = np.random.default_rng(seed)
    return Image.fromarray(chance.integers(0, 256, (6, 6, 3), np.uint8)).resize((side, side), Image.Resampling.NEAREST)


def png(picture: Image.Image) -> Source:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return Source(BOUNDS, file.getvalue())


def ref(kind: Kind, name: str = "shop") -> LibraryRef:
    return LibraryRef("tenant", name, kind)


def stock(ports: Ports, kind: Kind, *pictures: tuple[str, Image.Image], name: str = "shop") -> None:
    for brief, picture in pictures:
        add(ports, Add(ref(kind, name), png(picture), Metadata(brief=brief)))


def briefs(page: Page) -> list[str]:
    return [match.candidate.metadata.brief for match in page.matches]


def side_by_side(left: Image.Image, right: Image.Image) -> Image.Image:
    both = Image.new("RGB", (left.width + right.width, left.height))
    both.paste(left, (0, 0))
    both.paste(right, (left.width, 0))
    return both


# -- Parts of a picture ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", Kind)
def test_a_part_is_identical_to_a_picture_with_its_pixels(kind: Kind) -> None:
    ports = memory_ports()
    stock(ports, kind, ("1", scene(1)), ("2", scene(2)))
    both = png(side_by_side(scene(1), scene(2)))
    page = search(ports, Search(ref(kind), both, box=Box(0.5, 0, 1, 1)))
    assert (briefs(page)[0], page.matches[0].reason, page.matches[0].score) == ("2", Reason.EXACT, 1.0)
    assert page.query == QueryPicture(240, 120)
    assert all(match.reason is not Reason.EXACT for match in page.matches[1:])
    assert all(match.reason is not Reason.EXACT for match in search(ports, Search(ref(kind), both)).matches)


@pytest.mark.parametrize("kind", Kind)
def test_a_box_around_everything_is_no_box(kind: Kind) -> None:
    ports = memory_ports()
    stock(ports, kind, ("1", scene(1)), ("2", scene(2)))
    for picture in (scene(1), scene(1, 90)):
        boxed, whole = (search(ports, Search(ref(kind), png(picture), box=box)) for box in (WHOLE, None))
        assert boxed.matches == whole.matches
        assert boxed.query == whole.query == QueryPicture(*picture.size)


def test_a_part_of_a_picture_that_hides_something_is_identical_to_none() -> None:
    ports = memory_ports()
    stock(ports, Kind.SAME, ("2", scene(2)))
    both = side_by_side(scene(1), scene(2)).convert("RGBA")
    both.putpixel((0, 0), (1, 2, 3, 0))  # white on white, and another colour on black
    page = search(ports, Search(ref(Kind.SAME), png(both), box=Box(0.5, 0, 1, 1)))
    assert [match.reason for match in page.matches] == [Reason.VERIFIED]


def test_a_part_lies_on_the_picture_as_fractions_of_the_whole_query() -> None:
    ports = memory_ports()
    stock(ports, Kind.SAME, ("2", scene(2)))
    both = png(side_by_side(scene(1, 100), scene(2, 100)))
    (match,) = search(ports, Search(ref(Kind.SAME), both, box=Box(0.5, 0, 1, 1))).matches
    assert match.geometric_match is not None
    assert match.geometric_match.transform == pytest.approx((2, 0, -1, 0, 1, 0))  # the fake lays all parts on all of it
    assert match.geometric_match.region == WHOLE


@given(
    sides=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    left=st.floats(0, 1, exclude_max=True),
    top=st.floats(0, 1, exclude_max=True),
    width=st.floats(1e-9, 1),
    height=st.floats(1e-9, 1),
)
def test_any_box_within_the_picture_has_a_pixel(
    sides: tuple[int, int], left: float, top: float, width: float, height: float
) -> None:
    box = Box(left, top, min(left + width, 1.0), min(top + height, 1.0))
    if not (box.left < box.right and box.top < box.bottom):
        return
    pixels = np.random.default_rng(1).integers(0, 256, (sides[1], sides[0], 3), np.uint8)
    query, ports = png(Image.fromarray(pixels)), memory_ports()
    rows, columns = (
        slice(math.floor(low * side + 1e-6), math.ceil(high * side - 1e-6))
        for low, high, side in ((box.top, box.bottom, sides[1]), (box.left, box.right, sides[0]))
    )
    part = pixels[rows, columns]
    if not part.size:  # a part of a rounding's width
        search(ports, Search(ref(Kind.SIMILAR), query, box=box))
        return
    stock(ports, Kind.SIMILAR, ("part", Image.fromarray(part)))
    page = search(ports, Search(ref(Kind.SIMILAR), query, box=box))
    assert [match.reason for match in page.matches] == [Reason.EXACT]


@pytest.mark.parametrize(
    "box",
    [
        Box(0.5, 0, 0.5, 1),
        Box(0, 0.6, 1, 0.5),
        Box(-0.1, 0, 1, 1),
        Box(0, 0, 1.01, 1),
        Box(math.nan, 0, 1, 1),
        Box(0, 0, math.inf, 1),
    ],
)
def test_a_box_is_within_the_picture(box: Box) -> None:
    with pytest.raises(InvalidArgument, match="box"):
        search(memory_ports(), Search(ref(Kind.SAME), png(scene(1)), box=box))


# -- Thresholds --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", IN)
def test_a_threshold_cuts_the_list_before_pages_are_cut_from_it(kind: Kind) -> None:
    ports = memory_ports()
    stock(ports, kind, *((str(seed), scene(seed)) for seed in range(8)))
    everything = search(ports, Search(ref(kind), png(scene(3))))
    scores = [match.score for match in everything.matches]
    assert everything.matches[0].reason is Reason.EXACT
    for count in range(1, 8):
        page = search(ports, Search(ref(kind), png(scene(3)), count=count, threshold=scores[4]))
        assert page.matches == everything.matches[:5][:count]
        assert page.more == (count < 5)
    assert search(ports, Search(ref(kind), png(scene(3)), threshold=1.0)).matches == everything.matches[:1]


# -- Several examples --------------------------------------------------------------------------------------------------


def unit(seed: int) -> NDArray[np.float16]:
    vector = np.random.default_rng(seed).standard_normal(DIMENSION)
    unit: NDArray[np.float16] = (vector / np.linalg.norm(vector)).astype(np.float16)
    return unit


UNIT = st.integers(0, 2**32 - 1).map(unit)


@given(examples=st.lists(UNIT, min_size=1, max_size=8), without=st.lists(UNIT, max_size=8))
def test_examples_make_a_unit_vector_that_is_nearer_to_them(
    examples: list[NDArray[np.float16]], without: list[NDArray[np.float16]]
) -> None:
    query = combined(examples, without)
    assert query.dtype == np.float16
    assert float(np.linalg.norm(query.astype(np.float32))) == pytest.approx(1, abs=2e-3)
    mean = np.mean(np.stack(examples).astype(np.float32), axis=0)
    if not without:
        assert float(query @ (mean / np.linalg.norm(mean))) == pytest.approx(1, abs=5e-3)
    else:
        away, plain = np.mean(np.stack(without).astype(np.float32), axis=0), combined(examples, [])
        assert float(query @ away) <= float(plain @ away) + 2e-3


def test_one_example_is_searched_for_as_it_is_and_opposite_ones_have_the_first() -> None:
    vector = np.zeros(DIMENSION, np.float16)
    vector[0] = 1
    assert combined([vector], []) is vector
    np.testing.assert_array_equal(combined([vector, -vector], []), vector)
    np.testing.assert_array_equal(combined([vector], [vector]), vector)  # less half of itself


def blend(one: Image.Image, other: Image.Image) -> Image.Image:
    return Image.blend(one, other, 0.5)


@pytest.mark.parametrize("kind", IN)
def test_what_is_between_the_examples_is_found_first(kind: Kind) -> None:
    ports = memory_ports()
    stock(ports, kind, ("between", blend(scene(1), scene(2))), *((str(seed), scene(seed)) for seed in range(3, 8)))
    page = search(ports, Search(ref(kind), png(scene(1, 90)), also=(png(scene(2, 80)),)))
    alone = search(ports, Search(ref(kind), png(scene(1, 90))))
    assert briefs(page)[0] == briefs(alone)[0] == "between"
    assert page.matches[0].score > alone.matches[0].score
    assert page.query == QueryPicture(90, 90)
    assert [(look.name, look.views) for look in page.looks] == [("whole", 2)]
    assert [(look.name, look.views) for look in alone.looks] == [("whole", 1)]
    assert all(look.embed_ms > 0 and look.search_ms > 0 and look.verify_ms >= 0 for look in page.looks + alone.looks)


@pytest.mark.parametrize("kind", IN)
def test_minus_examples_push_away_what_is_like_them(kind: Kind) -> None:
    ports = memory_ports()
    one, other = blend(scene(1), scene(2)), blend(scene(1), scene(3))
    stock(ports, kind, ("of 2", one), ("of 3", other))
    assert briefs(search(ports, Search(ref(kind), png(scene(1)), without=(png(scene(2)),)))) == ["of 3", "of 2"]
    assert briefs(search(ports, Search(ref(kind), png(scene(1)), without=(png(scene(3)),)))) == ["of 2", "of 3"]


@pytest.mark.parametrize("kind", Kind)
def test_pictures_identical_to_an_example_come_first_and_to_a_minus_example_never(kind: Kind) -> None:
    ports = memory_ports()
    stock(ports, kind, *((str(seed), scene(seed)) for seed in range(1, 6)))
    page = search(
        ports, Search(ref(kind), png(scene(1)), also=(png(scene(2)), png(scene(3))), without=(png(scene(3)),))
    )
    exact = {match.candidate.metadata.brief: match.example for match in page.matches if match.reason is Reason.EXACT}
    assert exact == {"1": 0, "2": 1}
    assert {match.candidate.metadata.brief for match in page.matches[:2]} == {"1", "2"}
    assert "3" not in briefs(page)
    assert page.matches[0].score == 1.0 > page.matches[1].score


def test_each_picture_has_its_best_match_of_all_examples() -> None:
    ports = memory_ports()
    stock(ports, Kind.SAME, *((str(seed), scene(seed)) for seed in range(1, 6)))
    page = search(
        ports,
        Search(ref(Kind.SAME), png(scene(4, 90)), also=(png(scene(2, 90)), png(scene(5))), tags=None),
    )
    found = {match.candidate.metadata.brief: (match.reason, match.example) for match in page.matches}
    assert found == {"4": (Reason.VERIFIED, 0), "2": (Reason.VERIFIED, 1), "5": (Reason.EXACT, 2)}
    assert briefs(page)[0] == "5"
    assert [look.name for look in page.looks] == ["whole"] * 3


@given(order=st.permutations(range(1, 4)), times=st.integers(1, 2))
def test_in_same_the_order_of_examples_and_their_number_do_not_matter(order: list[int], times: int) -> None:
    ports = memory_ports()
    stock(ports, Kind.SAME, *((str(seed), scene(seed)) for seed in range(1, 6)))
    first, *others = (png(scene(seed, 88 + seed)) for seed in order * times)
    page = search(ports, Search(ref(Kind.SAME), first, also=tuple(others)))
    assert sorted(briefs(page)) == ["1", "2", "3"]
    for match in page.matches:
        assert match.candidate.metadata.brief == str(order[match.example])  # of equal ones the first
    scores = {match.candidate.metadata.brief: match.score for match in page.matches}
    for seed in order:
        (alone,) = search(ports, Search(ref(Kind.SAME), png(scene(seed, 88 + seed)))).matches
        assert scores[str(seed)] == pytest.approx(alone.score, abs=1e-6)


def test_a_box_cuts_the_query_alone() -> None:
    ports = memory_ports()
    stock(ports, Kind.SAME, ("2", scene(2)), ("both", side_by_side(scene(1), scene(2))))
    both = png(side_by_side(scene(1), scene(2)))
    page = search(ports, Search(ref(Kind.SAME), both, box=Box(0.5, 0, 1, 1), also=(both,)))
    assert {(match.candidate.metadata.brief, match.reason, match.example) for match in page.matches} == {
        ("2", Reason.EXACT, 0),
        ("both", Reason.EXACT, 1),
    }


def test_in_same_copies_of_a_minus_example_are_left_out() -> None:
    ports = memory_ports()
    stock(ports, Kind.SAME, *((str(seed), scene(seed)) for seed in range(1, 4)))
    examples = Search(ref(Kind.SAME), png(scene(1, 90)), also=(png(scene(2, 90)),), without=(png(scene(2, 80)),))
    assert briefs(search(ports, examples)) == ["1"]


class Differing(TinyVerifier):
    """Says of every match that a share of it agrees, by the width of the query."""

    def __init__(self, shares: dict[int, float]) -> None:
        self.shares = shares

    def query(self, pixels: Pixels, views: Sequence[QueryView]) -> TinyQueryVerifier:
        return DifferingQuery(views, self.shares[pixels.shape[1]])


class DifferingQuery(TinyQueryVerifier):
    def __init__(self, views: Sequence[QueryView], share: float) -> None:
        super().__init__(views)
        self.share = share

    def agreement(self, match: GeometricMatch, rendition: Pixels) -> Agreement:
        return Agreement(self.share, self.share, recoloured=0.0, hue_turned=0.0, noise=0.2)


@pytest.mark.parametrize(
    ("example", "minus", "left_out"),
    [
        (0.7, 0.95, True),  # a copy of what is not wanted, however much it is like the query
        (0.99, 0.9, True),
        (0.7, 0.7, True),  # no more like the query than like that
        (0.95, 0.7, False),  # a form like that form, with the contents of the query
        (0.75, 0.7, False),
    ],
)
def test_what_differs_from_a_minus_example_stays_if_it_is_more_like_an_example(
    example: float, minus: float, left_out: bool
) -> None:
    ports = memory_ports(verifier=Differing({90: example, 80: minus}))
    stock(ports, Kind.SAME, ("1", scene(1)))
    page = search(ports, Search(ref(Kind.SAME), png(scene(1, 90)), without=(png(scene(1, 80)),)))
    assert briefs(page) == ([] if left_out else ["1"])


class Mapless(TinyEmbedder):
    """Makes no feature maps."""

    def embed(self, pictures: Sequence[Pixels]) -> Sequence[Embedding]:
        return [replace(embedding, feature_map=b"") for embedding in super().embed(pictures)]


def test_without_feature_maps_what_is_near_a_minus_example_is_left_out() -> None:
    ports = memory_ports(embedder=Mapless())
    stock(ports, Kind.SAME, *((str(seed), scene(seed)) for seed in range(1, 4)))
    examples = Search(ref(Kind.SAME), png(scene(1, 90)), also=(png(scene(2, 90)),), without=(png(scene(2, 80)),))
    assert briefs(search(ports, examples)) == ["1"]
    assert briefs(search(ports, replace(examples, without=()))) == ["1", "2"]


@pytest.mark.parametrize("kind", Kind)
def test_no_more_than_eight_examples_and_eight_minus_examples(kind: Kind) -> None:
    ports = memory_ports()
    stock(ports, kind, ("1", scene(1)))
    some = (png(scene(2)),) * MAX_EXAMPLES
    query = Search(ref(kind), png(scene(1)), also=some[1:], without=some)
    assert briefs(search(ports, query)) == ["1"]
    with pytest.raises(TooManyItems, match="also"):
        search(ports, replace(query, also=some))
    with pytest.raises(TooManyItems, match="without"):
        search(ports, replace(query, without=(*some, *some)))


@pytest.mark.parametrize("kind", Kind)
def test_a_bad_example_is_refused_by_its_name(kind: Kind) -> None:
    ports = memory_ports()
    stock(ports, kind, ("1", scene(1)))
    bad = Source(BOUNDS, b"no picture", name="the third")
    query = Search(ref(kind), png(scene(1)))
    for wrong in (replace(query, also=(query.source, bad)), replace(query, without=(bad,))):
        with pytest.raises(NotAPicture) as refused:
            search(ports, wrong)
        assert refused.value.field == "the third"


@pytest.mark.parametrize("kind", Kind)
def test_examples_are_in_memory_one_at_a_time(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    ports = memory_ports()
    stock(ports, kind, *((str(seed), scene(seed)) for seed in range(1, 4)))
    monkeypatch.setattr(image_source, "_BUDGET", PixelBudget(120 * 120, max_per_tenant=120 * 120))
    some = tuple(png(scene(seed)) for seed in range(1, 4))
    page = search(ports, Search(ref(kind), some[0], box=Box(0, 0, 0.9, 1), also=some, without=some[2:]))
    assert {"1", "2"} <= set(briefs(page))  # a second one in memory would have waited for ever


# -- Several libraries -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", Kind)
def test_libraries_of_one_kind_are_searched_as_one(kind: Kind) -> None:
    ports = memory_ports()
    for name, seeds in (("one", (1, 2)), ("other", (3, 4))):
        stock(ports, kind, *((str(seed), scene(seed)) for seed in seeds), name=name)
    stock(ports, kind, *((str(seed), scene(seed)) for seed in range(1, 5)), name="all")
    one, other, whole = ports.catalog.libraries("tenant")[1], ports.catalog.libraries("tenant")[2], ref(kind, "all")
    for query in (scene(1), scene(3, 90)):
        page = search(ports, Search((one, other), png(query)))
        assert briefs(page) == briefs(search(ports, Search(whole, png(query))))
        assert page.query == QueryPicture(*query.size)
        cut = search(ports, Search((one, other), png(query), start=1, count=1))
        assert cut.matches == page.matches[1:2]
    alone = search(ports, Search((other,), png(scene(3))))
    assert alone == search(ports, Search(ref(kind, "other"), png(scene(3))))


def test_libraries_are_searched_with_everything_that_one_is() -> None:
    ports = memory_ports()
    for name in ("one", "other"):
        for seed in range(1, 5):
            add(ports, Add(ref(Kind.SAME, name), png(scene(seed)), Metadata(brief=str(seed), tags=(name, str(seed)))))
    libraries = tuple(ports.catalog.libraries("tenant"))
    query = Search(libraries, png(side_by_side(scene(1), scene(2))), box=Box(0.5, 0, 1, 1))
    assert briefs(search(ports, query)) == ["2", "2"]
    assert briefs(search(ports, replace(query, tags=TagFilter(frozenset({"one"}))))) == ["2"]
    assert briefs(search(ports, replace(query, also=(png(scene(3, 90)),)))) == ["2", "2", "3", "3"]
    assert briefs(search(ports, replace(query, without=(png(scene(2, 90)),)))) == []
    assert search(ports, replace(query, threshold=1.0)).matches == search(ports, query).matches


def test_libraries_of_several_kinds_are_refused_and_none_hold_nothing() -> None:
    ports = memory_ports()
    made = tuple(create_library(ports, LibraryRef("tenant", kind, kind, Identity.OWN)) for kind in Kind)
    with pytest.raises(InvalidArgument, match="libraries"):
        search(ports, Search(made, png(scene(1))))
    none: tuple[Library, ...] = ()
    assert search(ports, Search(none, png(scene(1)))) == Page((), more=False)


# -- What is answered of the query -------------------------------------------------------------------------------------


def test_the_query_s_size_is_that_of_the_upright_picture() -> None:
    turned = Image.new("RGB", (30, 20), "red")
    exif = turned.getexif()
    exif[0x0112] = 6
    file = io.BytesIO()
    turned.save(file, "JPEG", exif=exif)
    bounds = replace(BOUNDS, formats=frozenset({"JPEG"}))
    page = search(memory_ports(), Search(ref(Kind.SAME), Source(bounds, file.getvalue()), box=Box(0, 0, 0.5, 0.5)))
    assert page.query == QueryPicture(20, 30)  # of a library that there is not, too


def test_beyond_the_last_position_nothing_is_searched_for() -> None:
    ports = memory_ports()
    stock(ports, Kind.SIMILAR, ("1", scene(1)))
    page = search(ports, Search(ref(Kind.SIMILAR), png(scene(1)), start=1000))
    assert (page.matches, page.more, page.query) == ((), False, QueryPicture(120, 120))
