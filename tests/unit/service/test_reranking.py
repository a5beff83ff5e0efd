"""Candidates are verified batch by batch, as long as a batch has a match, by stages in a fixed order."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lookalike.domain.geometry import IDENTITY, WHOLE, Agreement, GeometricMatch
from lookalike.domain.keypoints import Keypoints, KeypointView, Original
from lookalike.domain.picture import DIMENSION, Embedding, Key, Pixels
from lookalike.domain.search import Candidate
from lookalike.errors import Unavailable
from lookalike.imaging.rendition import RENDITION_SIDE
from lookalike.limits.call import Call, Job, processors
from lookalike.limits.fair_share import FairShare
from lookalike.ports import BatchVerification, MapStore, PictureStore, QueryVerifier
from lookalike.service import originals
from lookalike.service.renditions import Renditions
from lookalike.service.reranking import (
    BATCH_SIZE,
    EXAMINED_AT_ONCE,
    MAX_CANDIDATES,
    MAX_EXAMINED,
    PLACED_PROBABILITY,
    Reranker,
    run_stages,
)
from tests.support.fakes import MemoryMaps, MemoryOriginals, TinyEmbedder
from tests.support.photographs import jpeg, photograph, png

JOB = Job("tenant", Call(), processors())
SAME = Agreement(share=1.0, weakest=1.0, recoloured=0.0, hue_turned=0.0, blocks=100)
OTHER = Agreement(share=0.5, weakest=0.0, recoloured=0.0, hue_turned=0.0)
MATCH = GeometricMatch(0.99, 30, 0.9, (1, 0, 0, 0, 1, 0), WHOLE)


def candidate(number: int) -> Candidate:
    key = Key("lib", f"{number:04}")
    return Candidate(key, 1, 1, f"{number:064x}", f"lib/{number:04}/1-x", cosine=1 - number / 1000)


class CountingMaps(MemoryMaps):
    """Says what was asked for."""

    def __init__(self, present: Sequence[int]) -> None:
        super().__init__()
        self.asked: list[list[str]] = []
        for number in present:
            self.put_map(candidate(number).object_key, str(number).encode())

    def maps(self, keys: Sequence[str]) -> Mapping[str, bytes]:
        self.asked.append(list(keys))
        return super().maps(keys)


class Batch(BatchVerification):
    """Follows a script: so many rounds of rectified views, then originals of ``wanted``, for so many views."""

    def __init__(self, query: ScriptedQuery, numbers: Sequence[int], rounds: int) -> None:
        self.query, self.numbers, self.rounds = query, numbers, rounds

    def rectified_views(self) -> Mapping[int, Pixels]:
        return dict.fromkeys((3, 1), VIEW) if self.rounds else {}

    def match_rectified(self, feature_maps: Mapping[int, bytes]) -> Batch:
        self.query.log.append(("rectified", {number: len(data) for number, data in feature_maps.items()}))
        return Batch(self.query, self.numbers, self.rounds - 1)

    def keypoint_candidates(self) -> Sequence[int]:
        return self.query.wanted

    def keypoint_view(self) -> KeypointView | None:
        if not self.query.wanted or len(self.query.given) == self.query.keypoint_views:
            return None
        return KeypointView(np.full((9, 9, 3), len(self.query.given), np.uint8), IDENTITY)

    def match_keypoints(self, view: KeypointView, keypoints: Keypoints, originals: Mapping[int, Original]) -> Batch:
        self.query.given.append({number: original.pixels for number, original in originals.items()})
        self.query.log.append(("keypoints", sorted(originals)))
        if len(self.query.given) == self.query.found_in_view:
            self.query.wanted = ()
        return self

    def matches(self) -> Sequence[GeometricMatch | None]:
        undecided = self.query.found_in_view and self.query.wanted
        return [MATCH if number in self.query.same and not undecided else None for number in self.numbers]


class ScriptedQuery(QueryVerifier):
    """Matches the pictures of these numbers, and wants originals, from which it learns nothing but in one view: there it
    finds that these match, if it is set."""

    def __init__(
        self,
        same: set[int],
        wanted: Sequence[int] = (),
        rounds: int = 0,
        keypoint_views: int = 1,
        found_in_view: int = 0,
    ) -> None:
        self.same, self.wanted, self.rounds = same, wanted, rounds
        self.keypoint_views, self.found_in_view = keypoint_views, found_in_view
        self.given: list[Mapping[int, Pixels]] = []
        self.places: dict[int, GeometricMatch] = {}
        self.log: list[tuple[str, object]] = []
        self.examined = 0

    def place(self, candidates: Sequence[tuple[float, bytes]]) -> Mapping[int, GeometricMatch]:
        self.log.append(("placed", [int(data) for _, data in candidates]))
        return {number: match for number, match in self.places.items() if number < len(candidates)}

    def fits(self, place: GeometricMatch, rendition: Pixels) -> bool:
        return place.correlation > PLACE.correlation - 0.01

    def agreement(self, match: GeometricMatch, rendition: Pixels) -> Agreement | None:
        self.examined += 1
        return SAME if rendition[0, 0, 0] > 127 else OTHER

    def match_feature_maps(self, candidates: Sequence[tuple[float, bytes]]) -> Batch:
        assert all(cosine == 1 - int(data) / 1000 for cosine, data in candidates)
        return Batch(self, [int(data) for _, data in candidates], self.rounds)


class CountingEmbedder(TinyEmbedder):
    """Counts pictures embedded, and those whose keypoints are detected."""

    def __init__(self) -> None:
        self.embedded = self.detected = 0

    def embed(self, pictures: Sequence[Pixels]) -> Sequence[Embedding]:
        self.embedded += len(pictures)
        return super().embed(pictures)

    def keypoints(self, pixels: Pixels) -> Keypoints:
        self.detected += 1
        return super().keypoints(pixels)


VIEW = np.zeros((9, 9, 3), np.uint8)


def renditions(originals: PictureStore, job: Job = JOB) -> Renditions:
    return Renditions(originals, TinyEmbedder(), job)


def verify(
    query: ScriptedQuery,
    maps: MapStore,
    originals: PictureStore,
    candidates: Sequence[Candidate],
    job: Job = JOB,
) -> dict[Key, GeometricMatch]:
    """What feature maps verify, and where they verify nothing, what originals decide."""
    reranked = Reranker(query, TinyEmbedder(), maps, renditions(originals, job), job).verify(candidates)
    return reranked.matches if reranked.undecided is None else reranked.undecided.decide()


@given(count=st.integers(0, 260), same=st.sets(st.integers(0, 260)), missing=st.sets(st.integers(0, 260)))
def test_batches_are_verified_until_one_has_no_match(count: int, same: set[int], missing: set[int]) -> None:
    maps = CountingMaps([number for number in range(count) if number not in missing])
    verified = verify(ScriptedQuery(same), maps, MemoryOriginals(), [candidate(number) for number in range(count)])

    expected: set[int] = set()
    batches = 0
    for begin in range(0, min(count, MAX_CANDIDATES), BATCH_SIZE):
        batches += 1
        matching = {number for number in range(begin, min(begin + BATCH_SIZE, count)) if number in same - missing}
        expected |= matching
        if not matching:
            break
    assert set(verified) == {candidate(number).key for number in expected}
    assert len(maps.asked) == batches
    assert all(0 < len(keys) <= BATCH_SIZE for keys in maps.asked)


@given(same=st.integers(0, 80), count=st.integers(0, 80))
def test_matches_are_examined_until_a_round_has_none_that_agrees(same: int, count: int) -> None:
    store = MemoryOriginals()
    candidates = [candidate(number) for number in range(count)]
    for number, one in enumerate(candidates):
        store.put(one.object_key, png(Image.new("RGB", (8, 8), "white" if number < same else "black")))
    query = ScriptedQuery(set(range(count)))
    verified = verify(query, CountingMaps(range(count)), store, candidates)

    agreements = [verified[one.key].agreement for one in candidates]
    examined = query.examined
    assert agreements[:examined] == [SAME if number < same else OTHER for number in range(examined)]
    assert agreements[examined:] == [None] * (count - examined)
    rounds = -(-min(same, count) // EXAMINED_AT_ONCE) + 1
    assert examined == min(count, rounds * EXAMINED_AT_ONCE, MAX_EXAMINED)


PLACE = GeometricMatch(0.0, 0, 0.8, (0.8, 0, 0.1, 0, 0.8, 0.1), WHOLE)


@given(
    colours=st.lists(st.sampled_from(["white", "black"]), min_size=1, max_size=40),
    same=st.sets(st.integers(0, 40)),
    places=st.sets(st.integers(0, 40)),
    unfitting=st.sets(st.integers(0, 40)),
)
def test_where_nothing_agrees_unmatched_candidates_are_matched_if_their_agreement_proves_it(
    colours: list[str], same: set[int], places: set[int], unfitting: set[int]
) -> None:
    store, candidates = MemoryOriginals(), [candidate(number) for number in range(len(colours))]
    for one, colour in zip(candidates, colours, strict=True):
        store.put(one.object_key, png(Image.new("RGB", (8, 8), colour)))
    query = ScriptedQuery(same)
    query.places = dict.fromkeys(places, PLACE) | dict.fromkeys(unfitting, replace(PLACE, correlation=0.7))
    maps = CountingMaps(range(len(colours)))
    verified = verify(query, maps, store, candidates)

    placed = [numbers for stage, numbers in query.log if stage == "placed"]
    if any(match.agreement == SAME for match in verified.values() if match.transform == MATCH.transform):
        assert placed == []
    else:
        unmatched = [number for number in range(min(len(colours), BATCH_SIZE)) if number not in same]
        assert placed == [unmatched]
        proved = {unmatched[number] for number in places - unfitting if number < len(unmatched)}
        white = {candidate(number).key for number in proved if colours[number] == "white"}
        assert {key for key, match in verified.items() if match.transform == PLACE.transform} == white
        assert all(verified[key].probability == PLACED_PROBABILITY for key in white)
    assert len(maps.asked) <= 2


def test_what_agrees_in_less_than_is_asked_for_is_left_out() -> None:
    store, candidates = MemoryOriginals(), [candidate(number) for number in range(3)]
    for one, colour in zip(candidates[:2], ("white", "black"), strict=True):
        store.put(one.object_key, png(Image.new("RGB", (8, 8), colour)))
    reranker = Reranker(
        ScriptedQuery({0, 1, 2}),
        TinyEmbedder(),
        CountingMaps(range(3)),
        renditions(store),
        JOB,
        min_agreement=OTHER.share + 0.01,
    )
    agreements = {key: match.agreement for key, match in reranker.verify(candidates).matches.items()}
    assert agreements == {candidates[0].key: SAME, candidates[2].key: None}


def test_an_original_is_read_once() -> None:
    read: list[str] = []

    class Counting(MemoryOriginals):
        def get(self, key: str) -> bytes | None:
            read.append(key)
            return super().get(key)

    store = Counting()
    store.put(candidate(0).object_key, png(Image.new("RGB", (8, 8), "white")))
    verified = verify(ScriptedQuery({0}, wanted=[0], found_in_view=1), CountingMaps([0]), store, [candidate(0)])
    assert verified[candidate(0).key].agreement == SAME
    assert read == [candidate(0).object_key]


def test_keypoints_of_an_original_are_detected_once() -> None:
    store, embedder = MemoryOriginals(), CountingEmbedder()
    store.put(candidate(0).object_key, png(Image.new("RGB", (8, 8), "white")))
    made = Renditions(store, embedder, JOB)
    with JOB.turn() as turn:
        first, again = (made.with_keypoints([candidate(1), candidate(0)], turn, [0, 1]) for _ in range(2))
    assert first.keys() == {1}
    assert again[1] is first[1]
    assert embedder.detected == 1


def test_renditions_are_loaded_for_the_first_batch_if_nothing_matches_there() -> None:
    store = MemoryOriginals()
    store.put(candidate(1).object_key, jpeg(photograph("chelsea.png", 1200).resize((1500, 1000))))
    store.put(candidate(2).object_key, b"no picture")
    asking = ScriptedQuery(set(), [2, 1, 3])
    verify(asking, CountingMaps(range(60)), store, [candidate(number) for number in range(60)])
    (given,) = asking.given
    assert given.keys() == {1}
    seen = given[1]
    assert isinstance(seen, np.ndarray)
    assert seen.ndim == 3
    assert RENDITION_SIDE <= max(seen.shape) < 2 * RENDITION_SIDE


def test_what_feature_maps_verify_needs_no_keypoints() -> None:
    asking = ScriptedQuery({0}, [1])
    maps, candidates = CountingMaps(range(3)), [candidate(number) for number in range(3)]
    reranked = Reranker(asking, TinyEmbedder(), maps, renditions(MemoryOriginals()), JOB).verify(candidates)
    assert list(reranked.matches) == [candidate(0).key]
    assert reranked.undecided is None
    assert asking.given == []


def test_nothing_is_left_undecided_where_keypoints_are_not_asked_for() -> None:
    maps, candidates = CountingMaps(range(3)), [candidate(number) for number in range(3)]
    reranker = Reranker(
        ScriptedQuery(set(), [1]), TinyEmbedder(), maps, renditions(MemoryOriginals()), JOB, keypoints=False
    )
    assert reranker.verify(candidates).undecided is None


@pytest.mark.parametrize("found_in_view", [1, 3])
def test_where_keypoints_match_further_batches_are_matched(found_in_view: int) -> None:
    store, candidates = MemoryOriginals(), [candidate(number) for number in range(3 * BATCH_SIZE)]
    store.put(candidate(0).object_key, png(Image.new("RGB", (8, 8), "white")))
    query = ScriptedQuery({0, BATCH_SIZE}, wanted=[0], keypoint_views=3, found_in_view=found_in_view)
    maps = CountingMaps(range(3 * BATCH_SIZE))
    reranked = Reranker(query, TinyEmbedder(), maps, renditions(store), JOB).verify(candidates)
    assert reranked.matches == {}
    assert reranked.undecided is not None
    assert len(maps.asked) == 1
    assert list(reranked.undecided.decide()) == [candidate(0).key, candidate(BATCH_SIZE).key]
    assert len(query.given) == found_in_view
    assert len(maps.asked) == 3


class Away(MemoryOriginals):
    """Cannot be reached, or keeps everybody waiting until the test is over."""

    def __init__(self, hangs: threading.Event | None = None) -> None:
        super().__init__()
        self.hangs = hangs

    def get(self, key: str) -> bytes | None:
        if self.hangs is not None:
            self.hangs.wait(30)
        raise Unavailable("no answer")


def test_unavailable_originals_are_left_out() -> None:
    asking = ScriptedQuery(set(), [1, 2])
    assert verify(asking, CountingMaps(range(3)), Away(), [candidate(number) for number in range(3)]) == {}
    assert asking.given == []


def test_late_originals_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(originals, "_MAX_WAIT", 0.05)
    over, asking = threading.Event(), ScriptedQuery(set(), [1, 2])
    try:
        verify(asking, CountingMaps(range(3)), Away(over), [candidate(number) for number in range(3)])
        assert asking.given == []
    finally:
        over.set()


def test_no_originals_are_read_where_none_are_wanted() -> None:
    asking = ScriptedQuery(set())
    verify(asking, CountingMaps([0]), Away(), [candidate(0)])
    assert asking.given == []


def test_the_stages_come_in_order_and_each_view_is_embedded_once() -> None:
    query, embedder = ScriptedQuery(set(), wanted=[1], rounds=2, keypoint_views=2), CountingEmbedder()
    maps = [(1 - number / 1000, str(number).encode()) for number in range(4)]
    grey = Original(np.zeros((400, 400, 3), np.uint8), Keypoints.none())
    batch = run_stages(query, embedder, maps, lambda numbers: dict.fromkeys(numbers, grey))
    views = {3: 2 * DIMENSION, 1: 2 * DIMENSION}
    assert query.log == [("rectified", views), ("rectified", views), ("keypoints", [1]), ("keypoints", [1])]
    assert embedder.embedded == 4
    assert embedder.detected == 2  # of both views
    assert batch.matches() == [None] * 4


def test_views_are_matched_until_a_match_is_accepted() -> None:
    query, embedder = ScriptedQuery(set(), wanted=[1, 2], keypoint_views=8, found_in_view=3), CountingEmbedder()
    grey = Original(np.zeros((400, 400, 3), np.uint8), Keypoints.none())
    run_stages(query, embedder, [(1.0, b"0")], lambda numbers: dict.fromkeys(numbers, grey))
    assert query.log == [("keypoints", [1, 2])] * 3
    assert embedder.detected == 3


def test_no_view_is_matched_if_no_original_can_be_loaded() -> None:
    query, embedder = ScriptedQuery(set(), wanted=[1]), CountingEmbedder()
    run_stages(query, embedder, [(1.0, b"0")], lambda _: {})
    assert query.log == []
    assert embedder.detected == 0


def test_without_originals_the_last_stage_is_left_out() -> None:
    query = ScriptedQuery({2}, wanted=[1], rounds=1)
    assert run_stages(query, TinyEmbedder(), [(0.998, b"2")], None).matches() == [MATCH]
    assert [stage for stage, _ in query.log] == ["rectified"]


class WatchingOriginals(MemoryOriginals):
    """Says how many permits to compute are held while it is read."""

    def __init__(self, share: FairShare) -> None:
        super().__init__()
        self.share, self.free = share, list[bool]()

    def get(self, key: str) -> bytes | None:
        ticket = self.share.ask("another", 1, lambda: None)
        self.free.append(ticket.granted)
        self.share.end(ticket)
        return super().get(key)


def test_nobody_computes_while_originals_are_on_their_way() -> None:
    share = FairShare(1)
    originals = WatchingOriginals(share)
    verify(
        ScriptedQuery(set(), wanted=[1]), CountingMaps(range(3)), originals, [candidate(1)] * 2, Job("t", Call(), share)
    )
    assert originals.free == [True]
