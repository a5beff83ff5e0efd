"""When a search looks for pictures within the picture: only in ``same``, and only where nothing else was found."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from lookalike.domain.library import Kind, LibraryRef
from lookalike.domain.picture import Embedding, Metadata, Pixels
from lookalike.domain.search import Reason
from lookalike.errors import Abandoned
from lookalike.imaging.decode import Bounds
from lookalike.limits.call import Call
from lookalike.ports import Ports
from lookalike.server.request_queue import QueuedCall
from lookalike.service import search as search_module
from lookalike.service.add import Add, add
from lookalike.service.image_source import Source
from lookalike.service.search import Search, search
from lookalike.verification.quadrilaterals import Quadrilateral
from tests.support.fakes import TinyEmbedder, memory_ports

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
    monkeypatch.setattr(search_module, "detect_quadrilaterals", lambda pixels: [RIGHT_HALF])
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


@pytest.mark.parametrize("kind", Kind)
def test_the_identical_picture_is_searched_for_once(ports: Ports, embedder: CountingEmbedder, kind: Kind) -> None:
    add(ports, Add(ref(kind), png(scene(1))))
    embedder.asked.clear()
    assert [match.reason for match in search(ports, Search(ref(kind), png(scene(1)))).matches] == [Reason.EXACT]
    assert embedder.asked == [5 if kind is Kind.SAME else 1]


def test_what_is_proved_is_searched_for_once(ports: Ports, embedder: CountingEmbedder) -> None:
    add(ports, Add(ref(Kind.SAME), png(scene(1))))
    embedder.asked.clear()
    found = search(ports, Search(ref(Kind.SAME), png(scene(1).resize((90, 90)))))
    assert [match.reason for match in found.matches] == [Reason.VERIFIED]
    assert embedder.asked == [5]


def test_where_nothing_is_proved_the_pictures_within_the_picture_are_searched_for(
    ports: Ports, embedder: CountingEmbedder
) -> None:
    for seed in range(1, 6):
        add(ports, Add(ref(Kind.SAME), png(scene(seed)), metadata=Metadata(brief=str(seed))))
    embedder.asked.clear()
    found = search(ports, Search(ref(Kind.SAME), png(side_by_side(scene(9), scene(3)))))
    assert [(match.candidate.metadata.brief, match.reason) for match in found.matches] == [("3", Reason.VERIFIED)]
    assert embedder.asked == [5, 1]


def test_where_there_is_none_of_them_either_nothing_is_found(ports: Ports, embedder: CountingEmbedder) -> None:
    add(ports, Add(ref(Kind.SAME), png(scene(1))))
    assert search(ports, Search(ref(Kind.SAME), png(side_by_side(scene(8), scene(9))))).matches == ()


@pytest.mark.parametrize("kind", [Kind.SIMILAR, Kind.PRODUCT])
def test_other_kinds_look_at_the_whole_picture(ports: Ports, embedder: CountingEmbedder, kind: Kind) -> None:
    add(ports, Add(ref(kind), png(scene(1))))
    embedder.asked.clear()
    search(ports, Search(ref(kind), png(side_by_side(scene(8), scene(9)))))
    assert embedder.asked == [1]


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
