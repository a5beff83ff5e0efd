"""A picture within the query is matched by keypoints as a query of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from lookalike.domain.geometry import IDENTITY, WHOLE, Agreement, Box, GeometricMatch, QueryView
from lookalike.domain.keypoints import Keypoints, KeypointView, Original
from lookalike.domain.picture import Key, Pixels
from lookalike.domain.search import Candidate
from lookalike.embedding.feature_map import CELLS_SHAPE, THUMBNAIL_SIDE, FeatureMap
from lookalike.limits.call import Call, Job, processors
from lookalike.ports import Ports
from lookalike.service.looks import View
from lookalike.service.renditions import Renditions
from lookalike.service.view_matching import (
    MIN_VIEW_COSINE,
    MIN_VIEW_MARGIN,
    ViewMatcher,
    match_nearest_view,
    stands_out,
)
from lookalike.verification.affine import crop_transform
from tests.support.fakes import TinyBatch, TinyEmbedder, TinyQueryVerifier, TinyVerifier, memory_ports
from tests.support.photographs import png

RIGHT_HALF = crop_transform(Box(0.5, 0, 1, 1))
MATCH = GeometricMatch(0.99, 30, 0.9, (0.5, 0, 0.25, 0, 1, 0), WHOLE)
ORIGINAL: Pixels = np.full((8, 8, 3), 200, np.uint8)
CANDIDATE = Candidate(Key("lib", "1"), 1, 1, "0" * 64, "lib/1/1-x", cosine=0.5)


class DetectingEmbedder(TinyEmbedder):
    """Says what keypoints were detected in, by the first sample."""

    def __init__(self) -> None:
        self.detected: list[int] = []

    def keypoints(self, pixels: Pixels) -> Keypoints:
        self.detected.append(int(pixels[0, 0, 0]))
        return Keypoints.none()


class KeypointBatch(TinyBatch):
    """Has five views of the query, and matches in one of them: the first is 1, the others follow."""

    def __init__(self, matched_in: int, taken: int = 0) -> None:
        super().__init__([MATCH if taken >= matched_in else None])
        self.matched_in, self.taken = matched_in, taken

    def keypoint_view(self) -> KeypointView | None:
        return (
            KeypointView(np.full((4, 4, 3), self.taken + 1, np.uint8), IDENTITY) if self.keypoint_candidates() else None
        )

    def match_keypoints(
        self, view: KeypointView, keypoints: Keypoints, originals: Mapping[int, Original]
    ) -> KeypointBatch:
        assert [number for number, original in originals.items() if np.array_equal(original.pixels, ORIGINAL)] == [0]
        return KeypointBatch(self.matched_in, self.taken + 1)


class KeypointVerifier(TinyVerifier):
    """Matches by keypoints in the view of that number; 0: by feature maps. Agreement says which pixels the query has."""

    def __init__(self, matched_in: int) -> None:
        self.matched_in = matched_in

    def query(self, pixels: Pixels, views: Sequence[QueryView]) -> KeypointQuery:
        return KeypointQuery(pixels, views, self.matched_in)


class KeypointQuery(TinyQueryVerifier):
    def __init__(self, pixels: Pixels, views: Sequence[QueryView], matched_in: int) -> None:
        super().__init__([])
        self.pixels, self.matched_in = pixels, matched_in
        assert [view.to_view for view in views] == [IDENTITY]

    def match_feature_maps(self, candidates: Sequence[tuple[float, bytes]]) -> KeypointBatch:
        return KeypointBatch(self.matched_in)

    def agreement(self, match: GeometricMatch, rendition: Pixels) -> Agreement | None:
        return Agreement(share=self.pixels[0, 0, 0] / 100, weakest=1.0, recoloured=0.0, hue_turned=0.0)


def view(grey: int) -> View:
    return View(np.full((6, 6, 3), grey, np.uint8), RIGHT_HALF, full=True)


def feature_map(level: int) -> bytes:
    cells = np.full(CELLS_SHAPE, level, np.int8)
    return FeatureMap(8, 8, cells, np.zeros((THUMBNAIL_SIDE, THUMBNAIL_SIDE), np.uint8)).pack()


def match(matched_in: int) -> tuple[GeometricMatch | None, list[int]]:
    embedder = DetectingEmbedder()
    matcher = ViewMatcher(KeypointVerifier(matched_in), embedder)
    embedded = [QueryView(RIGHT_HALF, feature_map(9), full=True)]
    original = Original(ORIGINAL, Keypoints.none())
    return matcher.match_nearest([view(70)], embedded, (0.5, feature_map(9)), original), embedder.detected


@pytest.mark.parametrize(("matched_in", "detected"), [(0, []), (1, [1]), (2, [1, 2])])
def test_a_match_of_a_view_is_one_of_the_whole_query(matched_in: int, detected: list[int]) -> None:
    found, looked_at = match(matched_in)
    assert found is not None
    assert found.transform == pytest.approx((1, 0, -0.25, 0, 1, 0))  # the right half of the query is there
    assert found.agreement is not None
    assert found.agreement.share == 0.7  # of the view's pixels
    assert looked_at == detected


def test_a_view_is_matched_as_it_is_and_once_more() -> None:
    assert match(3) == (None, [1, 2])


@pytest.fixture
def ports() -> Ports:
    made = memory_ports(verifier=KeypointVerifier(1))
    made.maps.put_map(CANDIDATE.object_key, feature_map(9))
    made.originals.put(CANDIDATE.object_key, png(Image.fromarray(ORIGINAL)))
    return made


def nearest(ports: Ports) -> GeometricMatch | None:
    job = Job("tenant", Call(), processors())
    embedded = [QueryView(RIGHT_HALF, feature_map(level), full=True) for level in (-9, 9, 0)]
    renditions = Renditions(ports.originals, ports.embedder, job)
    return match_nearest_view(ports, job, [view(grey) for grey in (10, 20, 30)], embedded, CANDIDATE, renditions)


def test_the_view_most_like_the_candidate_is_matched(ports: Ports) -> None:
    found = nearest(ports)
    assert found is not None
    assert found.agreement is not None
    assert found.agreement.share == 0.2


@pytest.mark.parametrize(
    ("cosines", "expected"),
    [
        ([], False),
        ([MIN_VIEW_COSINE], True),
        ([MIN_VIEW_COSINE - 0.01, 0.1], False),
        ([0.5, 0.5 - MIN_VIEW_MARGIN - 0.01, 0.1], True),
        ([0.5, 0.5 - MIN_VIEW_MARGIN + 0.01, 0.1], False),
    ],
)
def test_a_near_candidate_stands_out_if_the_next_is_far_behind(cosines: list[float], expected: bool) -> None:
    assert stands_out([replace(CANDIDATE, cosine=cosine) for cosine in cosines]) is expected


def test_without_the_map_or_the_original_nothing_is_matched(ports: Ports) -> None:
    ports.originals.remove([CANDIDATE.object_key])
    assert nearest(ports) is None
    assert nearest(memory_ports(verifier=KeypointVerifier(1))) is None
