"""Feature maps of one made-up scene, seen in many ways, match; those of other scenes, and flat ones, do not."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from lookalike.domain.geometry import IDENTITY, Affine, Box, GeometricMatch, QueryView
from lookalike.domain.keypoints import Original
from lookalike.domain.picture import Pixels
from lookalike.embedding.feature_map import CELL_CHANNELS, CELLS_PER_SIDE, CELLS_SHAPE, THUMBNAIL_SIDE, FeatureMap
from lookalike.verification.affine import crop_transform
from lookalike.verification.match_score import NEVER_MATCHES, LogisticWeights, MatchScorer
from lookalike.verification.verifier import (
    MAX_RETRIED,
    MAX_RETRIES,
    MIN_TURNED_COSINE,
    FeatureMapBatch,
    FeatureMapQueryVerifier,
    FeatureMapVerifier,
)
from tests.support.examples import examples
from tests.support.keypoints import of_patches

SCORER = MatchScorer(
    whole=LogisticWeights(
        cosine=7.5, correlation=1.3, matches=0, inliers=0, mean_cell_cosine=0, keypoints=0, offset=8.5
    ),
    partial=LogisticWeights(
        cosine=8.1, correlation=2.0, matches=-3.5, inliers=1.7, mean_cell_cosine=0, keypoints=0, offset=3.4
    ),
    rectified=LogisticWeights(
        cosine=5, correlation=1.0, matches=-3.5, inliers=3, mean_cell_cosine=8, keypoints=0, offset=6
    ),
    keypoints=LogisticWeights(
        cosine=0, correlation=6, matches=0, inliers=0, mean_cell_cosine=0, keypoints=2, offset=12
    ),
    min_probability=0.8,
)
VERIFIER = FeatureMapVerifier(SCORER)
COSINE = 0.6


class Scene:
    """A plane without end: what the network sees, and grey, at every point."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        chance = np.random.default_rng(seed)
        self.waves = chance.normal(0, 14, (2, CELL_CHANNELS))
        self.phases = chance.uniform(0, 2 * np.pi, CELL_CHANNELS)
        self.greys = chance.normal(0, 40, (2, 60))
        self.grey_phases = chance.uniform(0, 2 * np.pi, 60)

    def seen(self, affine: Affine, width: int = 400, height: int = 400) -> FeatureMap:
        """The picture whose point (x, y), as fractions of its sides, is where ``affine`` puts it in the scene."""
        return _seen(self.seed, affine, width, height)

    def rendered(self, affine: Affine, width: int, height: int) -> FeatureMap:
        """The same, computed."""
        cells = np.cos(self._at(CELLS_PER_SIDE, affine) @ self.waves + self.phases)
        cells /= np.linalg.norm(cells, axis=2, keepdims=True)
        grey = np.cos(self._at(THUMBNAIL_SIDE, affine) @ self.greys + self.grey_phases).sum(axis=2)
        return FeatureMap(
            width, height, np.rint(cells * 127).astype(np.int8), (128 + 12 * grey).clip(0, 255).astype(np.uint8)
        )

    @staticmethod
    def _at(side: int, affine: Affine) -> NDArray[np.float64]:
        a, b, c, d, e, f = affine
        y, x = (np.mgrid[:side, :side] + 0.5) / side
        return np.stack([a * x + b * y + c, d * x + e * y + f], axis=2)


@lru_cache(64)  # most tests look at the same few pictures of the same few scenes
def _seen(seed: int, affine: Affine, width: int, height: int) -> FeatureMap:
    return Scene(seed).rendered(affine, width, height)


#: A query without a keypoint.
PIXELS = np.zeros((300, 400, 3), np.uint8)

Embed = Callable[[Affine, Box, float], bytes]
"""Makes the feature map of a rectified query, given the transform, the candidate's region and its aspect ratio."""


def blind(*_: object) -> bytes:
    """Where nothing is to be seen once the query is rectified."""
    return b""


def run(
    query: FeatureMapQueryVerifier,
    candidates: Sequence[tuple[float, bytes]],
    embed: Embed,
    originals: Originals | None = None,
) -> list[GeometricMatch | None]:
    """All stages in order, with made-up feature maps instead of those of rectified pixels."""
    batch = rematched(query.match_feature_maps(candidates), embed)
    if originals is not None and (numbers := batch.keypoint_candidates()):
        loaded = {number: Original(pixels, of_patches(pixels)) for number, pixels in originals(numbers).items()}
        while (view := batch.keypoint_view()) is not None:
            batch = batch.match_keypoints(view, of_patches(view.pixels), loaded)
    return list(batch.matches())


def rematched(batch: FeatureMapBatch, embed: Embed) -> FeatureMapBatch:
    while batch.pending:
        assert batch.rectified_views().keys() == batch.pending.keys()
        batch = batch.match_rectified(
            {number: embed(one.transform, one.region, one.aspect_ratio) for number, one in batch.pending.items()}
        )
    return batch


def whole(feature_map: bytes) -> QueryView:
    return QueryView(IDENTITY, feature_map, full=True)


def verified(query: FeatureMap, picture: FeatureMap, part: Box | None = None) -> GeometricMatch | None:
    view = whole(query.pack()) if part is None else QueryView(crop_transform(part), query.pack(), full=False)
    return run(VERIFIER.query(PIXELS, [view]), [(COSINE, picture.pack())], blind)[0]


def turned(degrees: float) -> Affine:
    """About the middle."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return c, -s, (1 - c + s) / 2, s, c, (1 - s - c) / 2


WAYS: dict[str, Affine] = {
    "identical": IDENTITY,
    "crop": (0.7, 0, 0.2, 0, 0.7, 0.1),
    "half of each side": (0.5, 0, 0.25, 0, 0.5, 0.25),
    "surrounded": (1.6, 0, -0.3, 0, 1.6, -0.2),
    "shifted": (1, 0, 0.3, 0, 1, -0.2),
    "mirrored": (-1, 0, 1, 0, 1, 0),
    "mirrored crop": (-0.8, 0, 0.9, 0, 0.8, 0.1),
    "upside down": (1, 0, 0, 0, -1, 1),
    "turned by 10 degrees": turned(10),
    "turned by 25 degrees": turned(25),
    "turned by 90 degrees": turned(90),
    "turned by 180 degrees": turned(180),
    "transposed": (0, 1, 0, 1, 0, 0),
    "transversed": (0, -1, 1, -1, 0, 1),
    "turned by 270 degrees": turned(270),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_transform_is_recovered(way: str) -> None:
    scene = Scene(1)
    match = verified(scene.seen(WAYS[way]), scene.seen(IDENTITY))
    assert match is not None
    assert match.probability >= SCORER.min_probability
    assert match.correlation > 0.6
    assert match.transform == pytest.approx(WAYS[way], abs=0.07)


@pytest.mark.parametrize("sides", [(600, 400), (400, 600), (300, 150)])
def test_aspect_ratios_are_restored(sides: tuple[int, int]) -> None:
    """A square cut out of a picture that is not square: squashed, the two differ by more than a similarity."""
    width, height = sides
    side = 0.8 * min(sides)
    part: Affine = (side / width, 0, 0.1, 0, side / height, 0.1)
    scene = Scene(2)
    match = verified(scene.seen(part, 240, 240), scene.seen(IDENTITY, width, height))
    assert match is not None
    assert match.transform == pytest.approx(part, abs=0.05)


def test_the_region_is_the_part_that_was_found() -> None:
    scene = Scene(3)
    match = verified(scene.seen((0.5, 0, 0.5, 0, 0.5, 0.5)), scene.seen(IDENTITY))
    assert match is not None
    region = match.region
    assert (region.left, region.top, region.right, region.bottom) == pytest.approx((0.5, 0.5, 1, 1), abs=0.11)


def test_a_view_stands_for_the_part_of_the_query_that_it_shows() -> None:
    scene = Scene(4)
    corner = scene.seen((0.6, 0, 0.4, 0, 0.6, 0.4))
    match = verified(corner, scene.seen(IDENTITY), Box(0.4, 0.4, 1, 1))
    assert match is not None
    assert match.transform == pytest.approx(IDENTITY, abs=0.05)


@settings(max_examples=examples(40))
@given(st.integers(10, 10_000), st.integers(10, 10_000))
def test_different_scenes_do_not_match(one: int, another: int) -> None:
    match = verified(Scene(one).seen(IDENTITY), Scene(another).seen(IDENTITY))
    assert (match is not None) == (one == another)


def plain(cell: int, grey: NDArray[np.uint8]) -> FeatureMap:
    return FeatureMap(400, 400, np.full(CELLS_SHAPE, cell, np.int8), grey)


def greys(of: str) -> NDArray[np.uint8]:
    y, x = np.mgrid[:THUMBNAIL_SIDE, :THUMBNAIL_SIDE]
    ramps = {"flat": 0 * x + 90, "lines": 255 * (y // 3 % 2), "bars": 255 * (x // 3 % 2), "gradient": 4 * x}
    ramps["dot"] = np.where((abs(x - 28) < 3) & (abs(y - 28) < 3), 0, 255)
    return np.asarray(ramps[of], np.uint8)


@pytest.mark.parametrize("of", ["flat", "lines", "bars", "gradient", "dot"])
def test_without_texture_not_even_the_same_picture_matches(of: str) -> None:
    picture = plain(20, greys(of))
    assert verified(picture, picture) is None
    scene = Scene(5).seen(IDENTITY)
    bare = FeatureMap(400, 400, scene.cells, greys(of))
    assert verified(bare, bare) is None
    assert verified(scene, bare) is None
    assert verified(bare, scene) is None


def inverted(picture: FeatureMap) -> FeatureMap:
    return replace(picture, thumbnail=255 - picture.thumbnail)


@pytest.mark.parametrize("way", ["identical", "mirrored", "turned by 90 degrees", "crop"])
def test_a_negative_matches_and_is_said_to_be_inverted(way: str) -> None:
    scene = Scene(1)
    picture, copy = scene.seen(IDENTITY), scene.seen(WAYS[way])
    positive, negative = verified(copy, picture), verified(inverted(copy), picture)
    assert positive is not None
    assert negative is not None
    assert negative.inverted
    assert not positive.inverted
    assert negative.transform == pytest.approx(positive.transform, abs=1e-3)
    assert negative.correlation == pytest.approx(positive.correlation, abs=0.01)
    twice = verified(inverted(copy), inverted(picture))
    assert twice is not None
    assert not twice.inverted


@settings(max_examples=examples(20))
@given(st.integers(10, 10_000), st.integers(10, 10_000))
def test_a_negative_of_a_different_scene_does_not_match(one: int, another: int) -> None:
    match = verified(inverted(Scene(one).seen(IDENTITY)), Scene(another).seen(IDENTITY))
    assert (match is not None) == (one == another)


@pytest.mark.parametrize("negative", [False, True])
def test_nearly_flat_pictures_match_by_their_layout(negative: bool) -> None:
    """Flags: whole on whole; their cells say nothing."""
    field = np.mgrid[:THUMBNAIL_SIDE, :THUMBNAIL_SIDE][1] * 3 // THUMBNAIL_SIDE
    flags = [np.array(greys, np.uint8)[field] for greys in ((40, 220, 120), (40, 90, 220))]
    copy, other = plain(20, 255 - flags[0] if negative else flags[0] + np.uint8(3)), plain(20, flags[1])
    match = verified(copy, plain(20, flags[0]))
    assert match is not None
    assert match.inverted == negative
    assert verified(copy, other) is None


def test_matching_cells_do_not_suffice_if_thumbnails_differ() -> None:
    scene, other = Scene(6).seen(IDENTITY), Scene(7).seen(IDENTITY)
    disguised = FeatureMap(400, 400, scene.cells, other.thumbnail)
    assert verified(scene, disguised) is None


def test_a_strip_of_cells_is_not_enough() -> None:
    scene, other = Scene(8).seen(IDENTITY), Scene(9).seen(IDENTITY)
    cells, grey = other.cells.copy(), other.thumbnail.copy()
    cells[6], grey[24:28] = scene.cells[6], scene.thumbnail[24:28]
    assert verified(scene, FeatureMap(400, 400, cells, grey)) is None


def test_bytes_that_are_no_feature_map_never_match() -> None:
    scene = Scene(1).seen(IDENTITY).pack()
    strange = [b"", b"x", scene[:-1], scene + b"x"]
    assert run(VERIFIER.query(PIXELS, [whole(scene)]), [(COSINE, data) for data in strange], blind) == [None] * 4
    for views in ([], [whole(b"")], [whole(b"x"), whole(scene[1:])]):
        assert run(VERIFIER.query(PIXELS, views), [(COSINE, scene)], blind) == [None]
    assert run(VERIFIER.query(PIXELS, [whole(scene)]), [], blind) == []


def test_a_model_without_feature_maps_matches_nothing() -> None:
    scene = Scene(1).seen(IDENTITY).pack()
    assert run(FeatureMapVerifier(NEVER_MATCHES).query(PIXELS, [whole(scene)]), [(1.0, scene)], blind) == [None]


def test_each_candidate_is_verified_alone_and_deterministically() -> None:
    scene = Scene(1)
    query = [
        whole(scene.seen(WAYS["crop"]).pack()),
        QueryView(crop_transform(Box(0, 0, 0.6, 0.6)), scene.seen(WAYS["shifted"]).pack(), full=False),
    ]
    maps = [Scene(seed).seen(affine).pack() for seed in (1, 2) for affine in WAYS.values()]
    pictures = [(COSINE, data) for data in maps]
    together = run(VERIFIER.query(PIXELS, query), pictures, blind)
    assert together == run(VERIFIER.query(PIXELS, query), pictures, blind)
    assert together == [run(VERIFIER.query(PIXELS, query), [picture], blind)[0] for picture in pictures]
    assert sum(match is not None for match in together) >= 10


#: Never accepted by the first stage.
UNDECIDED = replace(
    SCORER,
    partial=LogisticWeights(cosine=0, correlation=0, matches=0, inliers=0, mean_cell_cosine=0, keypoints=0, offset=1),
)


class SceneEmbedder:
    """Makes the feature map that a rectified query would have, and counts how often it is asked to."""

    def __init__(self, scene: Scene, affine: Affine) -> None:
        self.scene, self.affine, self.asked = scene, affine, 0

    def __call__(self, transform: Affine, part: Box, proportion: float) -> bytes:
        self.asked += 1
        rows = [np.array([*of, 0, 0, 1]).reshape(3, 3) for of in (self.affine, transform)]
        sides = np.array([[part.right - part.left, 0, part.left], [0, part.bottom - part.top, part.top], [0, 0, 1]])
        a, b, c, d, e, f = (rows[0] @ np.linalg.inv(rows[1]) @ sides)[:2].ravel().tolist()
        return self.scene.seen((a, b, c, d, e, f), round(400 * proportion), 400).pack()


@pytest.mark.parametrize("way", ["crop", "half of each side", "surrounded", "shifted", "turned by 25 degrees"])
def test_an_undecided_candidate_is_matched_again_after_rectification(way: str) -> None:
    scene = Scene(1)
    embed = SceneEmbedder(scene, WAYS[way])
    query, picture = scene.seen(WAYS[way]).pack(), scene.seen(IDENTITY).pack()
    (match,) = run(FeatureMapVerifier(UNDECIDED).query(PIXELS, [whole(query)]), [(COSINE, picture)], embed)
    assert match is not None
    assert embed.asked == 1
    assert match.transform == pytest.approx(WAYS[way], abs=0.07)
    assert run(FeatureMapVerifier(UNDECIDED).query(PIXELS, [whole(query)]), [(COSINE, picture)], blind) == [None]


def test_a_rectified_view_of_something_else_does_not_match() -> None:
    scene = Scene(1)
    embed = SceneEmbedder(Scene(2), WAYS["crop"])
    query, picture = scene.seen(WAYS["crop"]).pack(), scene.seen(IDENTITY).pack()
    assert run(FeatureMapVerifier(UNDECIDED).query(PIXELS, [whole(query)]), [(COSINE, picture)], embed) == [None]


def test_few_candidates_are_retried_and_none_where_one_is_certain() -> None:
    scene = Scene(1)
    query, cropped = scene.seen(IDENTITY).pack(), [scene.seen((0.7, 0, i / 40, 0, 0.7, 0.1)).pack() for i in range(9)]
    pictures = [(COSINE, data) for data in cropped]
    undecided = replace(UNDECIDED, rectified=UNDECIDED.partial)
    embed = SceneEmbedder(scene, IDENTITY)
    assert run(FeatureMapVerifier(undecided).query(PIXELS, [whole(query)]), pictures, embed) == [None] * 9
    assert embed.asked == MAX_RETRIED * MAX_RETRIES
    embed = SceneEmbedder(scene, IDENTITY)
    matches = run(FeatureMapVerifier(undecided).query(PIXELS, [whole(query)]), [*pictures, (COSINE, query)], embed)
    assert [match is not None for match in matches] == [False] * 9 + [True]
    assert embed.asked == 0


def textured(seed: int) -> Pixels:
    """Pixels full of keypoints, no two alike."""
    blocks = np.random.default_rng(seed).integers(0, 256, (24, 32), np.uint8)
    return np.asarray(Image.fromarray(blocks).resize((400, 300), Image.Resampling.BICUBIC).convert("RGB"))


#: A picture without a keypoint, of that size.
FLAT = np.zeros((300, 400, 3), np.uint8)


class Originals:
    """Loads originals, and records which were asked for."""

    def __init__(self, *pictures: Pixels | None) -> None:
        self.pictures, self.asked = pictures, list[list[int]]()

    def __call__(self, numbers: Sequence[int]) -> dict[int, Pixels]:
        self.asked.append([*numbers])
        return {number: pixels for number in numbers if (pixels := self.pictures[number]) is not None}


def by_keypoints(pixels: Pixels, originals: Originals) -> list[GeometricMatch | None]:
    """A query whose cells say nothing, against the same picture twice."""
    picture = (COSINE, Scene(1).seen(IDENTITY).pack())
    return run(VERIFIER.query(pixels, [whole(b"")]), [picture, (COSINE - 0.1, picture[1])], blind, originals)


#: What is done to a query whose keypoints are matched, and how its points move back.
KEYPOINT_WAYS: dict[str, tuple[Callable[[Pixels], Pixels], Affine]] = {
    "nothing": (lambda pixels: pixels, IDENTITY),
    "mirrored": (lambda pixels: pixels[:, ::-1], (-1, 0, 1, 0, 1, 0)),
    "upside down": (lambda pixels: pixels[::-1], (1, 0, 0, 0, -1, 1)),
    "turned round": (lambda pixels: pixels[::-1, ::-1], (-1, 0, 1, 0, -1, 1)),
}


@pytest.mark.parametrize("way", KEYPOINT_WAYS)
def test_keypoints_verify_what_cells_do_not(way: str) -> None:
    change, back = KEYPOINT_WAYS[way]
    originals = Originals(textured(1), None)
    match, other = by_keypoints(change(textured(1)), originals)
    assert originals.asked == [[0]]
    assert other is None
    assert match is not None
    assert match.inliers >= 50
    assert match.transform == pytest.approx(back, abs=0.02)


@pytest.mark.parametrize("original", [None, textured(2), FLAT], ids=["none", "other", "flat"])
def test_an_original_that_is_missing_or_shows_something_else_does_not_match(original: Pixels | None) -> None:
    assert by_keypoints(textured(1), Originals(original)) == [None, None]


def test_a_likely_query_is_warped_and_matched_once_more_before_it_is_turned() -> None:
    """Its keypoints say a little wrongly where it lies."""
    query = VERIFIER.query(textured(1), [whole(b"")])
    batch = query.match_feature_maps([(COSINE, Scene(1).seen(IDENTITY).pack())])
    view = batch.keypoint_view()
    assert view is not None
    keypoints = of_patches(textured(1))
    askew = replace(keypoints, xy=keypoints.xy * 1.08 - 0.04)
    batch = batch.match_keypoints(view, askew, {0: Original(textured(1), keypoints)})
    refined = batch.keypoint_view()
    assert refined is not None
    assert refined.from_query == pytest.approx(IDENTITY, abs=0.1)
    assert refined.pixels.shape != view.pixels.shape
    batch = batch.match_keypoints(refined, of_patches(FLAT), {0: Original(textured(1), keypoints)})
    turned_view = batch.keypoint_view()
    assert turned_view is not None
    assert turned_view.from_query == (-1, 0, 1, 0, 1, 0)


@pytest.mark.parametrize(("cosine", "turned"), [(MIN_TURNED_COSINE, 5), (MIN_TURNED_COSINE - 0.01, 0)])
def test_a_query_is_turned_for_a_near_candidate_and_for_a_far_one_if_its_thumbnail_fits(
    cosine: float, turned: int
) -> None:
    query = VERIFIER.query(textured(1), [whole(Scene(1).seen(IDENTITY).pack())])
    batch = query.match_feature_maps([(cosine, Scene(2).seen(IDENTITY).pack())])
    originals = {0: Original(textured(2), of_patches(FLAT))}
    views = 0
    while (view := batch.keypoint_view()) is not None:
        batch, views = batch.match_keypoints(view, of_patches(FLAT), originals), views + 1
    assert views == 1 + turned


def test_matching_keypoints_do_not_suffice_if_pixels_differ() -> None:
    """As posters of the same letters: keypoints agree, and what lies around them does not."""
    query = VERIFIER.query(textured(1), [whole(b"")])
    batch = query.match_feature_maps([(COSINE, Scene(1).seen(IDENTITY).pack())])
    view, other = batch.keypoint_view(), Original(textured(2), of_patches(textured(1)))
    assert view is not None
    assert batch.match_keypoints(view, of_patches(textured(1)), {0: other}).matches() == [None]


@pytest.mark.parametrize("min_probability", [0.3, 0.8, 0.999])
def test_the_exhaustive_probability_is_the_threshold_up_to_which_a_search_finds_the_picture(
    min_probability: float,
) -> None:
    """Whatever stage it comes from: part of the query, a rectified view, or keypoints."""
    demanding = FeatureMapVerifier(replace(UNDECIDED, min_probability=min_probability))
    exhaustive = FeatureMapVerifier(UNDECIDED, exhaustive=True)
    scene = Scene(1)
    picture = (COSINE, scene.seen(IDENTITY).pack())
    for way in ("crop", "shifted", "turned by 25 degrees"):
        views = [whole(b"" if way == "shifted" else scene.seen(WAYS[way]).pack())]
        for embed in (SceneEmbedder(scene, WAYS[way]), blind):
            for original in (textured(1), None):
                (best,) = run(exhaustive.query(textured(1), views), [picture], embed, Originals(original))
                (match,) = run(demanding.query(textured(1), views), [picture], embed, Originals(original))
                assert (match is not None) == (best is not None and best.probability >= min_probability)
    assert run(exhaustive.query(PIXELS, [whole(picture[1])]), [(COSINE, b"no map")], blind) == [None]


def test_originals_are_not_asked_for_where_a_match_is_accepted() -> None:
    scene = Scene(1)
    pictures = [(COSINE, Scene(seed).seen(IDENTITY).pack()) for seed in (1, 2)]
    originals = Originals(None, None)
    matches = run(VERIFIER.query(PIXELS, [whole(scene.seen(IDENTITY).pack())]), pictures, blind, originals)
    assert [match is not None for match in matches] == [True, False]
    assert originals.asked == []
