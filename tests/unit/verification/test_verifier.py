"""Local maps of one made-up scene, seen in many ways, prove each other; other scenes, and flat ones, prove nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from lookalike.domain.geometry import IDENTITY, Affine, Box, Proof, View
from lookalike.embedding.feature_map import CELLS, DEPTH, SIDE, THUMBNAIL, LocalMap
from lookalike.verification.match_score import NO_PROOF, ProofCalibration, Weights
from lookalike.verification.rectify import into
from lookalike.verification.verifier import DOUBTS, LOOKS, LocalMapVerifier
from tests.support.examples import examples

CALIBRATION = ProofCalibration(
    whole=Weights(cosine=7.5, correlation=1.3, matches=0, inliers=0, likeness=0, corners=0, offset=8.5),
    part=Weights(cosine=8.1, correlation=2.0, matches=-3.5, inliers=1.7, likeness=0, corners=0, offset=3.4),
    again=Weights(cosine=5, correlation=1.0, matches=-3.5, inliers=3, likeness=8, corners=0, offset=6),
    corners=Weights(cosine=0, correlation=6, matches=0, inliers=0, likeness=0, corners=2, offset=12),
    least=0.8,
)
VERIFIER = LocalMapVerifier(CALIBRATION)
COSINE = 0.6


class Scene:
    """A plane without end: what the network sees, and grey, at every point."""

    def __init__(self, seed: int) -> None:
        chance = np.random.default_rng(seed)
        self.waves = chance.normal(0, 14, (2, DEPTH))
        self.phases = chance.uniform(0, 2 * np.pi, DEPTH)
        self.greys = chance.normal(0, 40, (2, 60))
        self.grey_phases = chance.uniform(0, 2 * np.pi, 60)

    def seen(self, affine: Affine, width: int = 400, height: int = 400) -> LocalMap:
        """The picture whose point (x, y), as fractions of its sides, is where ``affine`` puts it in the scene."""
        cells = np.cos(self._at(SIDE, affine) @ self.waves + self.phases)
        cells /= np.linalg.norm(cells, axis=2, keepdims=True)
        grey = np.cos(self._at(THUMBNAIL, affine) @ self.greys + self.grey_phases).sum(axis=2)
        return LocalMap(
            width, height, np.rint(cells * 127).astype(np.int8), (128 + 12 * grey).clip(0, 255).astype(np.uint8)
        )

    @staticmethod
    def _at(side: int, affine: Affine) -> NDArray[np.float64]:
        a, b, c, d, e, f = affine
        y, x = (np.mgrid[:side, :side] + 0.5) / side
        return np.stack([a * x + b * y + c, d * x + e * y + f], axis=2)


#: A query without a corner.
PIXELS = np.zeros((300, 400, 3), np.uint8)


def blind(*_: object) -> bytes:
    """Where nothing is to be seen at a second look."""
    return b""


def whole(local_map: bytes) -> View:
    return View(IDENTITY, local_map, full=True)


def proved(query: LocalMap, picture: LocalMap, part: Box | None = None) -> Proof | None:
    view = whole(query.pack()) if part is None else View(into(part), query.pack(), full=False)
    return VERIFIER.compare(PIXELS, [view], blind).prove([(COSINE, picture.pack())])[0]


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
    proof = proved(scene.seen(WAYS[way]), scene.seen(IDENTITY))
    assert proof is not None
    assert proof.probability >= CALIBRATION.least
    assert proof.agreement > 0.6
    assert proof.transform == pytest.approx(WAYS[way], abs=0.07)


@pytest.mark.parametrize("sides", [(600, 400), (400, 600), (300, 150)])
def test_proportions_are_kept_in_mind(sides: tuple[int, int]) -> None:
    """A square cut out of a picture that is not square: squashed, the two differ by more than a similarity."""
    width, height = sides
    side = 0.8 * min(sides)
    part: Affine = (side / width, 0, 0.1, 0, side / height, 0.1)
    scene = Scene(2)
    proof = proved(scene.seen(part, 240, 240), scene.seen(IDENTITY, width, height))
    assert proof is not None
    assert proof.transform == pytest.approx(part, abs=0.05)


def test_the_region_is_the_part_that_was_found() -> None:
    scene = Scene(3)
    proof = proved(scene.seen((0.5, 0, 0.5, 0, 0.5, 0.5)), scene.seen(IDENTITY))
    assert proof is not None
    region = proof.region
    assert (region.left, region.top, region.right, region.bottom) == pytest.approx((0.5, 0.5, 1, 1), abs=0.11)


def test_a_view_stands_for_the_part_of_the_query_that_it_shows() -> None:
    scene = Scene(4)
    corner = scene.seen((0.6, 0, 0.4, 0, 0.6, 0.4))
    proof = proved(corner, scene.seen(IDENTITY), Box(0.4, 0.4, 1, 1))
    assert proof is not None
    assert proof.transform == pytest.approx(IDENTITY, abs=0.05)


@settings(max_examples=examples(40))
@given(st.integers(10, 10_000), st.integers(10, 10_000))
def test_scenes_that_differ_prove_nothing(one: int, another: int) -> None:
    proof = proved(Scene(one).seen(IDENTITY), Scene(another).seen(IDENTITY))
    assert (proof is not None) == (one == another)


def plain(cell: int, grey: NDArray[np.uint8]) -> LocalMap:
    return LocalMap(400, 400, np.full(CELLS, cell, np.int8), grey)


def greys(of: str) -> NDArray[np.uint8]:
    y, x = np.mgrid[:THUMBNAIL, :THUMBNAIL]
    ramps = {"flat": 0 * x + 90, "lines": 255 * (y // 3 % 2), "bars": 255 * (x // 3 % 2), "gradient": 4 * x}
    ramps["dot"] = np.where((abs(x - 28) < 3) & (abs(y - 28) < 3), 0, 255)
    return np.asarray(ramps[of], np.uint8)


@pytest.mark.parametrize("of", ["flat", "lines", "bars", "gradient", "dot"])
def test_where_there_is_little_to_be_seen_not_even_the_same_is_proved(of: str) -> None:
    picture = plain(20, greys(of))
    assert proved(picture, picture) is None
    scene = Scene(5).seen(IDENTITY)
    bare = LocalMap(400, 400, scene.cells, greys(of))
    assert proved(bare, bare) is None
    assert proved(scene, bare) is None
    assert proved(bare, scene) is None


def test_like_cells_alone_prove_nothing_if_the_pictures_differ_there() -> None:
    scene, other = Scene(6).seen(IDENTITY), Scene(7).seen(IDENTITY)
    disguised = LocalMap(400, 400, scene.cells, other.thumbnail)
    assert proved(scene, disguised) is None


def test_a_strip_of_cells_is_not_enough() -> None:
    scene, other = Scene(8).seen(IDENTITY), Scene(9).seen(IDENTITY)
    cells, grey = other.cells.copy(), other.thumbnail.copy()
    cells[6], grey[24:28] = scene.cells[6], scene.thumbnail[24:28]
    assert proved(scene, LocalMap(400, 400, cells, grey)) is None


def test_bytes_that_are_no_map_prove_nothing() -> None:
    scene = Scene(1).seen(IDENTITY).pack()
    strange = [b"", b"x", scene[:-1], scene + b"x"]
    assert VERIFIER.compare(PIXELS, [whole(scene)], blind).prove([(COSINE, data) for data in strange]) == [None] * 4
    for views in ([], [whole(b"")], [whole(b"x"), whole(scene[1:])]):
        assert VERIFIER.compare(PIXELS, views, blind).prove([(COSINE, scene)]) == [None]
    assert VERIFIER.compare(PIXELS, [whole(scene)], blind).prove([]) == []


def test_without_a_calibration_nothing_is_proved() -> None:
    scene = Scene(1).seen(IDENTITY).pack()
    assert LocalMapVerifier(NO_PROOF).compare(PIXELS, [whole(scene)], blind).prove([(1.0, scene)]) == [None]


def test_each_picture_is_judged_alone_and_the_same_every_time() -> None:
    scene = Scene(1)
    query = [
        whole(scene.seen(WAYS["crop"]).pack()),
        View(into(Box(0, 0, 0.6, 0.6)), scene.seen(WAYS["shifted"]).pack(), full=False),
    ]
    maps = [Scene(seed).seen(affine).pack() for seed in (1, 2) for affine in WAYS.values()]
    pictures = [(COSINE, data) for data in maps]
    together = VERIFIER.compare(PIXELS, query, blind).prove(pictures)
    assert together == VERIFIER.compare(PIXELS, query, blind).prove(pictures)
    assert together == [VERIFIER.compare(PIXELS, query, blind).prove([picture])[0] for picture in pictures]
    assert sum(proof is not None for proof in together) >= 10


#: Never sure at the first look.
UNDECIDED = replace(
    CALIBRATION, part=Weights(cosine=0, correlation=0, matches=0, inliers=0, likeness=0, corners=0, offset=1)
)


class Looking:
    """Shows what a straightened query would show, and counts how often it is asked to."""

    def __init__(self, scene: Scene, affine: Affine) -> None:
        self.scene, self.affine, self.asked = scene, affine, 0

    def __call__(self, transform: Affine, part: Box, proportion: float) -> bytes:
        self.asked += 1
        rows = [np.array([*of, 0, 0, 1]).reshape(3, 3) for of in (self.affine, transform)]
        sides = np.array([[part.right - part.left, 0, part.left], [0, part.bottom - part.top, part.top], [0, 0, 1]])
        a, b, c, d, e, f = (rows[0] @ np.linalg.inv(rows[1]) @ sides)[:2].ravel().tolist()
        return self.scene.seen((a, b, c, d, e, f), round(400 * proportion), 400).pack()


@pytest.mark.parametrize("way", ["crop", "half of each side", "surrounded", "shifted", "turned by 25 degrees"])
def test_what_leaves_doubt_is_looked_at_again_and_lies_where_it_did(way: str) -> None:
    scene = Scene(1)
    look = Looking(scene, WAYS[way])
    query, picture = scene.seen(WAYS[way]).pack(), scene.seen(IDENTITY).pack()
    (proof,) = LocalMapVerifier(UNDECIDED).compare(PIXELS, [whole(query)], look).prove([(COSINE, picture)])
    assert proof is not None
    assert look.asked == 1
    assert proof.transform == pytest.approx(WAYS[way], abs=0.07)
    assert LocalMapVerifier(UNDECIDED).compare(PIXELS, [whole(query)], blind).prove([(COSINE, picture)]) == [None]


def test_a_second_look_at_something_else_proves_nothing() -> None:
    scene = Scene(1)
    look = Looking(Scene(2), WAYS["crop"])
    query, picture = scene.seen(WAYS["crop"]).pack(), scene.seen(IDENTITY).pack()
    assert LocalMapVerifier(UNDECIDED).compare(PIXELS, [whole(query)], look).prove([(COSINE, picture)]) == [None]


def test_few_are_looked_at_again_and_none_where_one_is_sure() -> None:
    scene = Scene(1)
    query, cropped = scene.seen(IDENTITY).pack(), [scene.seen((0.7, 0, i / 40, 0, 0.7, 0.1)).pack() for i in range(9)]
    pictures = [(COSINE, data) for data in cropped]
    undecided = replace(UNDECIDED, again=UNDECIDED.part)
    look = Looking(scene, IDENTITY)
    assert LocalMapVerifier(undecided).compare(PIXELS, [whole(query)], look).prove(pictures) == [None] * 9
    assert look.asked == DOUBTS * LOOKS
    look = Looking(scene, IDENTITY)
    proofs = LocalMapVerifier(undecided).compare(PIXELS, [whole(query)], look).prove([*pictures, (COSINE, query)])
    assert [proof is not None for proof in proofs] == [False] * 9 + [True]
    assert look.asked == 0


def marked(seed: int) -> NDArray[np.uint8]:
    """Pixels full of corners, no two like another."""
    blocks = np.random.default_rng(seed).integers(0, 256, (24, 32), np.uint8)
    return np.asarray(Image.fromarray(blocks).resize((400, 300), Image.Resampling.BICUBIC))


class Originals:
    """Hands out originals, and keeps in mind which were asked for."""

    def __init__(self, *greys: NDArray[np.uint8] | None) -> None:
        self.greys, self.asked = greys, list[list[int]]()

    def __call__(self, numbers: Sequence[int]) -> list[NDArray[np.uint8] | None]:
        self.asked.append([*numbers])
        return [self.greys[number] for number in numbers]


def by_corners(pixels: NDArray[np.uint8], originals: Originals, look: Looking) -> list[Proof | None]:
    """A query whose cells say nothing, against the same picture twice."""
    picture = (COSINE, Scene(1).seen(IDENTITY).pack())
    coloured = np.repeat(pixels[..., None], 3, axis=2)
    return VERIFIER.compare(coloured, [whole(b"")], look).prove([picture, (COSINE - 0.1, picture[1])], originals)


def test_corners_of_the_original_prove_what_cells_do_not() -> None:
    originals = Originals(marked(1), None)
    proof, other = by_corners(marked(1)[:, ::-1], originals, Looking(Scene(1), (-1, 0, 1, 0, 1, 0)))
    assert originals.asked == [[0]]
    assert other is None
    assert proof is not None
    assert proof.inliers >= 50
    assert proof.transform == pytest.approx((-1, 0, 1, 0, 1, 0), abs=0.02)


@pytest.mark.parametrize("original", [None, marked(2), np.zeros((300, 400), np.uint8)], ids=["none", "other", "flat"])
def test_an_original_that_is_missing_or_shows_something_else_proves_nothing(original: NDArray[np.uint8] | None) -> None:
    look = Looking(Scene(1), IDENTITY)
    assert by_corners(marked(1), Originals(original), look) == [None, None]
    assert look.asked == 0


def test_corners_on_each_other_do_not_prove_what_looks_different() -> None:
    look = Looking(Scene(2), IDENTITY)
    assert by_corners(marked(1), Originals(marked(1)), look) == [None, None]
    assert look.asked == 1


@pytest.mark.parametrize("least", [0.3, 0.8, 0.999])
def test_the_best_proof_is_the_least_that_a_search_finds_the_picture_with(least: float) -> None:
    """Whatever look it comes from: part of the query, a second look, or corners."""
    demanding = LocalMapVerifier(replace(UNDECIDED, least=least))
    scene = Scene(1)
    picture = (COSINE, scene.seen(IDENTITY).pack())
    coloured = np.repeat(marked(1)[..., None], 3, axis=2)
    for way in ("crop", "shifted", "turned by 25 degrees"):
        views = [whole(b"" if way == "shifted" else scene.seen(WAYS[way]).pack())]
        for look in (Looking(scene, WAYS[way]), blind):
            for original in (marked(1), None):
                comparison = demanding.compare(coloured, views, look)
                best = comparison.best(*picture, original)
                (proof,) = comparison.prove([picture], Originals(original))
                assert (proof is not None) == (best is not None and best.probability >= least)
    assert demanding.compare(PIXELS, [whole(picture[1])], blind).best(COSINE, b"no map", None) is None


def test_originals_are_not_asked_for_where_something_is_proved() -> None:
    scene = Scene(1)
    pictures = [(COSINE, Scene(seed).seen(IDENTITY).pack()) for seed in (1, 2)]
    originals = Originals(None, None)
    proofs = VERIFIER.compare(PIXELS, [whole(scene.seen(IDENTITY).pack())], blind).prove(pictures, originals)
    assert [proof is not None for proof in proofs] == [True, False]
    assert originals.asked == []
