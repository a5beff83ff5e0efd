"""Which looks a search takes: the whole picture first, and the others, only in ``same``, where that settles nothing."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lookalike.domain.geometry import WHOLE, Affine, Agreement, Box, GeometricMatch, QueryView
from lookalike.domain.library import Kind, LibraryRef
from lookalike.domain.picture import Embedding, Metadata, Pixels
from lookalike.domain.search import Candidate, Reason
from lookalike.errors import Abandoned
from lookalike.imaging.decode import Bounds
from lookalike.limits.call import Call
from lookalike.ports import Ports
from lookalike.server.request_queue import QueuedCall
from lookalike.service import looking, looks
from lookalike.service.add import Add, add
from lookalike.service.image_source import Source
from lookalike.service.ranking import Page
from lookalike.service.search import Search, search
from lookalike.verification.affine import crop_transform
from lookalike.verification.quadrilaterals import Quadrilateral
from tests.support.fakes import TinyBatch, TinyEmbedder, TinyQueryVerifier, TinyVerifier, memory_ports
from tests.support.photographs import photograph

BOUNDS = Bounds(max_bytes=1 << 20, min_side=1, max_side=500, max_pixels=500 * 500, formats=frozenset({"PNG"}))
RIGHT_HALF = Quadrilateral(np.array([(0.5, 0), (1, 0), (1, 1), (0.5, 1)]))


class CountingEmbedder(TinyEmbedder):
    """Says how many pictures it was given, call by call."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []

    def embed(self, pictures: Sequence[Pixels]) -> Sequence[Embedding]:
        self.asked.append(len(pictures))
        return super().embed(pictures)


@pytest.fixture
def embedder() -> CountingEmbedder:
    return CountingEmbedder()


@pytest.fixture
def ports(embedder: CountingEmbedder, monkeypatch: pytest.MonkeyPatch) -> Ports:
    monkeypatch.setattr(looks, "smoothed_if_pixelated", lambda pixels: None)
    monkeypatch.setattr(looks, "detect_windows", lambda pixels: [])
    monkeypatch.setattr(looks, "detect_quadrilaterals", lambda pixels: [RIGHT_HALF])
    return memory_ports(embedder=embedder)


def scene(seed: int) -> Image.Image:
    chance = np.random.default_rng(seed)
    return Image.fromarray(chance.integers(0, 256, (6, 6, 3), np.uint8)).resize((120, 120), Image.Resampling.NEAREST)


def ref(kind: Kind) -> LibraryRef:
    return LibraryRef("tenant", f"library of {kind}", kind)


def png(picture: Image.Image) -> Source:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return Source(BOUNDS, file.getvalue())


def side_by_side(left: Image.Image, right: Image.Image) -> Image.Image:
    both = Image.new("RGB", (240, 120))
    both.paste(left, (0, 0))
    both.paste(right, (120, 0))
    return both


def taken(page: Page) -> list[tuple[str, int]]:
    """The looks that a search took, and the views of each. Every stage has taken some time."""
    times = [(look.prepare_ms, look.embed_ms, look.search_ms, look.verify_ms) for look in page.looks]
    assert all(milliseconds >= 0 for stages in times for milliseconds in stages)
    return [(look.name, look.views) for look in page.looks]


@pytest.mark.parametrize("kind", Kind)
def test_the_identical_picture_is_searched_for_once(ports: Ports, embedder: CountingEmbedder, kind: Kind) -> None:
    add(ports, Add(ref(kind), png(scene(1))))
    embedder.asked.clear()
    assert [match.reason for match in search(ports, Search(ref(kind), png(scene(1)))).matches] == [Reason.EXACT]
    assert embedder.asked == [1]


def test_what_is_proved_is_searched_for_once(ports: Ports, embedder: CountingEmbedder) -> None:
    add(ports, Add(ref(Kind.SAME), png(scene(1))))
    embedder.asked.clear()
    found = search(ports, Search(ref(Kind.SAME), png(scene(1).resize((90, 90)))))
    assert [match.reason for match in found.matches] == [Reason.VERIFIED]
    assert embedder.asked == [1]
    assert taken(found) == [("whole", 1)]


def test_where_nothing_is_proved_the_pictures_within_the_picture_are_searched_for(
    ports: Ports, embedder: CountingEmbedder
) -> None:
    for seed in range(1, 6):
        add(ports, Add(ref(Kind.SAME), png(scene(seed)), metadata=Metadata(brief=str(seed))))
    embedder.asked.clear()
    found = search(ports, Search(ref(Kind.SAME), png(side_by_side(scene(9), scene(3)))))
    assert [(match.candidate.metadata.brief, match.reason) for match in found.matches] == [("3", Reason.VERIFIED)]
    assert embedder.asked == [1, 2]
    assert taken(found) == [("whole", 1), ("smoothed", 0), ("windows", 0), ("quadrilaterals", 2)]


def test_where_there_is_none_of_them_either_nothing_is_found(ports: Ports, embedder: CountingEmbedder) -> None:
    add(ports, Add(ref(Kind.SAME), png(scene(1))))
    assert search(ports, Search(ref(Kind.SAME), png(side_by_side(scene(8), scene(9))))).matches == ()


@pytest.mark.parametrize("kind", [Kind.SIMILAR, Kind.PRODUCT])
def test_other_kinds_look_at_the_whole_picture(ports: Ports, embedder: CountingEmbedder, kind: Kind) -> None:
    add(ports, Add(ref(kind), png(scene(1))))
    embedder.asked.clear()
    search(ports, Search(ref(kind), png(side_by_side(scene(8), scene(9)))))
    assert embedder.asked == [1]


class Placing(TinyVerifier):
    """Says of every match that the query lies so on the picture."""

    def __init__(self, transform: Affine) -> None:
        self.transform = transform

    def query(self, pixels: Pixels, views: Sequence[QueryView]) -> TinyQueryVerifier:
        return PlacingQuery(views, self.transform)


class PlacingQuery(TinyQueryVerifier):
    def __init__(self, views: Sequence[QueryView], transform: Affine) -> None:
        super().__init__(views)
        self.transform = transform

    def match_feature_maps(self, candidates: Sequence[tuple[float, bytes]]) -> TinyBatch:
        found = super().match_feature_maps(candidates).found
        return TinyBatch([None if match is None else replace(match, transform=self.transform) for match in found])


@pytest.mark.parametrize(
    ("transform", "looks_taken"),
    [
        ((0.3, 0, 0.2, 0, 0.3, 0.6), ["whole"]),  # the query is a part of the picture
        ((1.04, 0, -0.02, 0, 1.04, -0.02), ["whole"]),  # a thin margin may be its own
        ((0, 1, 0, -1, 0, 1), ["whole"]),  # turned
        ((1.3, 0, -0.15, 0, 1.3, -0.15), ["whole", "smoothed", "windows", "quadrilaterals"]),  # a page around it
        ((1, 0, 0.5, 0, 1, 0), ["whole", "smoothed", "windows", "quadrilaterals"]),  # half beside it
    ],
)
def test_the_whole_look_settles_a_search_if_nearly_all_of_the_query_lies_on_a_picture(
    ports: Ports, transform: Affine, looks_taken: list[str]
) -> None:
    add(ports, Add(ref(Kind.SAME), png(scene(1))))
    page = search(replace(ports, verifier=Placing(transform)), Search(ref(Kind.SAME), png(scene(1).resize((90, 90)))))
    assert [match.reason for match in page.matches] == [Reason.VERIFIED]
    assert [name for name, _ in taken(page)] == looks_taken


@pytest.mark.parametrize(
    ("windows", "views"),
    [
        ([Box(0.1, 0.1, 0.9, 0.9)], 0),  # where the verified picture lies
        ([Box(0.1, 0.1, 0.9, 0.9), Box(0, 0, 0.3, 0.3)], 1),
        ([Box(0, 0, 0.3, 0.3), Box(0.5, 0.5, 0.9, 0.9)], 2),
    ],
)
def test_windows_that_show_a_verified_picture_are_not_looked_at(
    ports: Ports, monkeypatch: pytest.MonkeyPatch, windows: list[Box], views: int
) -> None:
    monkeypatch.setattr(looks, "detect_windows", lambda pixels: windows)
    add(ports, Add(ref(Kind.SAME), png(scene(1))))
    placing = Placing(crop_transform(Box(0.12, 0.1, 0.9, 0.88)))
    page = search(replace(ports, verifier=placing), Search(ref(Kind.SAME), png(scene(1).resize((90, 90)))))
    assert dict(taken(page))["windows"] == views


def test_windows_are_looked_at_together_and_end_the_search_if_one_is_proved(
    ports: Ports, embedder: CountingEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looks, "detect_windows", lambda pixels: [Box(0, 0, 0.5, 1), Box(0.5, 0, 1, 1)])
    for seed in range(1, 6):
        add(ports, Add(ref(Kind.SAME), png(scene(seed)), metadata=Metadata(brief=str(seed))))
    embedder.asked.clear()
    found = search(ports, Search(ref(Kind.SAME), png(side_by_side(scene(4), scene(2)))))
    assert sorted(match.candidate.metadata.brief for match in found.matches) == ["2", "4"]
    assert embedder.asked == [1, 2]
    assert taken(found) == [("whole", 1), ("smoothed", 0), ("windows", 2)]


class ViewKeypoints:
    """Stands for the keypoints of views: says which candidate it was asked for, by its brief, and what it answers."""

    def __init__(self, answer: GeometricMatch | None) -> None:
        self.answer, self.asked = answer, list[str]()

    def __call__(
        self, ports: Ports, job: object, views: object, embedded: object, one: Candidate, renditions: object
    ) -> GeometricMatch | None:
        self.asked.append(one.metadata.brief)
        return self.answer


def nearly(picture: Image.Image) -> Image.Image:
    """Half of it another picture: near, but not matched by its map."""
    picture = picture.copy()
    picture.paste(scene(8).crop((0, 0, 120, 40)), (0, 0))
    return picture


@pytest.mark.parametrize(
    ("share", "min_agreement", "reasons"),
    [(0.9, 0.5, [Reason.VERIFIED]), (0.4, 0.5, []), (0.4, 0.0, [Reason.VERIFIED])],
)
def test_where_a_look_proves_nothing_its_nearest_picture_is_matched_by_keypoints(
    ports: Ports, monkeypatch: pytest.MonkeyPatch, share: float, min_agreement: float, reasons: list[Reason]
) -> None:
    agreement = Agreement(share=share, weakest=share, recoloured=0, hue_turned=0)
    keypoints = ViewKeypoints(GeometricMatch(0.99, 30, 0.9, (2, 0, -1, 0, 1, 0), WHOLE, agreement))
    monkeypatch.setattr(looking, "match_nearest_view", keypoints)
    for seed in range(1, 6):
        add(ports, Add(ref(Kind.SAME), png(scene(seed)), metadata=Metadata(brief=str(seed))))
    settings = replace(ports.settings, min_agreement=min_agreement)
    query = png(side_by_side(scene(9), nearly(scene(3))))
    found = search(replace(ports, settings=settings), Search(ref(Kind.SAME), query))
    assert keypoints.asked == ["3"]
    assert [match.reason for match in found.matches] == reasons


def test_where_a_view_is_proved_no_keypoints_are_needed(ports: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    keypoints = ViewKeypoints(None)
    monkeypatch.setattr(looking, "match_nearest_view", keypoints)
    add(ports, Add(ref(Kind.SAME), png(scene(3))))
    assert search(ports, Search(ref(Kind.SAME), png(side_by_side(scene(9), scene(3))))).matches
    assert keypoints.asked == []


def test_a_pixelated_picture_is_looked_at_without_its_squares() -> None:
    ports = memory_ports()
    smooth = photograph("astronaut.png").convert("RGB").resize((400, 400))
    squares = smooth.resize((40, 40), Image.Resampling.BOX).resize((400, 400), Image.Resampling.NEAREST)
    add(ports, Add(ref(Kind.SAME), png(smooth.crop((0, 0, 200, 200)))))
    page = search(ports, Search(ref(Kind.SAME), png(squares)))
    assert taken(page)[:2] == [("whole", 1), ("smoothed", 1)]


@given(page=st.tuples(st.integers(0, 12), st.integers(1, 400)))
def test_a_page_is_cut_from_one_list_by_the_same_looks(page: tuple[int, int]) -> None:
    made = memory_ports()
    for seed in range(1, 4):
        add(made, Add(ref(Kind.SAME), png(scene(seed).resize((120, 119 + seed)))))
    for size in (110, 100, 90):
        add(made, Add(ref(Kind.SAME), png(scene(1).resize((size, size)))))
    query = png(scene(1).resize((97, 97)))
    all_of_it = search(made, Search(ref(Kind.SAME), query))
    start, count = page
    cut = search(made, Search(ref(Kind.SAME), query, start, count))
    assert len(all_of_it.matches) == 4
    assert cut.matches == all_of_it.matches[start : start + count]
    assert taken(cut) == taken(all_of_it) == [("whole", 1), ("corners", 4)]


def test_where_the_whole_look_finds_several_the_corners_find_pieces_of_the_query(
    ports: Ports, embedder: CountingEmbedder
) -> None:
    whole = scene(1)
    piece = whole.crop((0, 0, 72, 72))
    for picture in (whole, piece):
        add(ports, Add(ref(Kind.SAME), png(picture)))
    query = Search(ref(Kind.SAME), png(whole.resize((90, 90))))
    assert len(search(ports, query).matches) == 1
    add(ports, Add(ref(Kind.SAME), png(whole.resize((100, 100)))))
    embedder.asked.clear()
    assert len(search(ports, query).matches) == 3
    assert embedder.asked == [1, 4]


class MaplessEmbedder(CountingEmbedder):
    """Makes no feature maps."""

    def embed(self, pictures: Sequence[Pixels]) -> Sequence[Embedding]:
        return [replace(embedding, feature_map=b"") for embedding in super().embed(pictures)]


def test_without_feature_maps_the_corners_are_looked_at_and_cosines_count() -> None:
    embedder = MaplessEmbedder()
    made = memory_ports(embedder=embedder)
    for seed in (1, 2):
        add(made, Add(ref(Kind.SAME), png(scene(seed)), metadata=Metadata(brief=str(seed))))
    embedder.asked.clear()
    found = search(made, Search(ref(Kind.SAME), png(scene(2).resize((90, 90)))))
    assert [(match.candidate.metadata.brief, match.reason) for match in found.matches] == [("2", Reason.VECTOR)]
    assert embedder.asked == [1, 4]
    assert taken(found) == [("whole", 1), ("corners", 4)]


class Leaving(Call):
    """A call whose client is gone at the question of that number whether it is still there."""

    def __init__(self, at: int) -> None:
        self.at, self.asked = at, 0

    def check(self) -> None:
        self.asked += 1
        if self.asked == self.at:
            raise Abandoned("gone")


def test_a_search_stops_between_any_two_stages_once_nobody_waits(ports: Ports) -> None:
    for seed in (1, 2):
        add(ports, Add(ref(Kind.SAME), png(scene(seed))))
    query = Search(ref(Kind.SAME), png(side_by_side(scene(3), scene(4))))
    patient = Leaving(0)
    search(replace(ports, call=patient), query)
    # Before there is room and a turn to decode, a turn to embed, the index, a turn to prove; then for what is within it
    # a turn to find and embed that, the index, a turn to prove.
    assert patient.asked >= 8
    for at in range(1, patient.asked + 1):
        with pytest.raises(Abandoned):
            search(replace(ports, call=Leaving(at)), query)
    assert search(ports, query).matches == search(ports, query).matches  # all that was held has been given back


def test_an_add_is_done_though_nobody_waits(ports: Ports) -> None:
    call = QueuedCall(("", ""), is_search=False, seconds=0)
    call.client_left()
    add(replace(ports, call=call), Add(ref(Kind.SAME), png(scene(1))))
    assert search(ports, Search(ref(Kind.SAME), png(scene(1)))).matches
