"""Proves that pictures show the same: cells of their local maps that are alike lie alike, and look alike.

Cells that are each other's nearest, taken together, vote for the similarity transform that moves most of them onto
each other (RANSAC: Fischler and Bolles, "Random sample consensus", 1981). What the network sees in a cell is much
the same in two heaps of apples, and there the thumbnails decide: laid on each other as the transform says, they must
correlate block by block. Where that leaves doubt, the query is straightened as the transform says, and looked at again;
and where that proves nothing, corners of the originals are asked: they see what cells are too large for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.geometry import IDENTITY, WHOLE, Affine, Box, Proof, View
from lookalike.domain.picture import Grey, Pixels
from lookalike.embedding.feature_map import DEPTH, SIDE, THUMBNAIL, LocalMap, unpack
from lookalike.ports import Comparison, Look, Originals, Verifier
from lookalike.verification.correlation import Agreement, Pyramid, agreement
from lookalike.verification.keypoints import Alignment, Corners, lay, scaled
from lookalike.verification.match_score import Evidence, ProofCalibration
from lookalike.verification.ransac import Points, Transform, align, pad
from lookalike.verification.rectify import covered, follow, into
from lookalike.verification.whole_image import Congruence, Orientations

#: What a cell's 32 numbers are multiplied by before they are rounded: the model's card calls it the map's scale.
MAP_SCALE = 127.0

#: Cells whose cosine is not above this are not each other's neighbours.
_LEAST_COSINE = 0.5

#: A cell of the query is flat, and proves nothing, if the greys of its 4 × 4 thumbnail pixels deviate by no more.
_FLAT = 3.0

#: Cells are on each other if they are no further apart than a cell; guesses are made from cells further apart.
_NEAR, _APART = 1 / SIDE, 1.5 / SIDE

#: Fewer cells on each other are not looked at any closer; and they must spread over so many cells in each direction.
LEAST_INLIERS, _LEAST_SPREAD = 10, 0.7

#: Fewer blocks of the thumbnails that can be compared prove nothing: on a blank page one small thing is like another.
LEAST_BLOCKS = 8

#: Details that correlate less prove nothing: pages of different text reach 0.21, one in a hundred copies is below 0.35.
LEAST_DETAIL = 0.3

#: Fewer blocks that are more than an outline prove nothing, nor do those that agree less: what lies within two discs
#: that lie on each other reaches 0.4, one in five hundred copies is below 0.45. Copies have 5 such blocks at least, small
#: discs 4.
LEAST_TELLING, LEAST_TOLD = 5, 0.45

#: Fine details of them that correlate less prove nothing: of two balls that are lit alike they reach 0.15; one in a
#: hundred copies is below 0.4, the worst of 260 was 0.27.
LEAST_FINE = 0.25

#: Whole pictures that correlate less prove nothing; copies reach 0.87 and more.
LEAST_CONGRUENCE = 0.85

#: A whole picture on a whole picture that is so likely to be the same needs no further look.
_SURE = 0.99

#: Of a query's views, so many with the most cells on a picture's are looked at closer.
_CLOSER = 2

#: What is as probable, and yet no proof, is looked at again, one pass of the model each: of a batch so many pictures,
#: the most probable ones, and each so many times. Where one is sure, the others need no such effort.
DOUBTFUL, DOUBTS, LOOKS = 0.02, 4, 2

#: Of a batch so many originals are looked at for corners: the nearest picture's, and the most probable ones'.
ORIGINALS = 4

#: Fewer corners on each other are chance: it brings up to 12, one picture in thousands.
LEAST_CORNERS = 9

_CENTRES = (np.arange(SIDE, dtype=np.float32) + 0.5) / SIDE


class LocalMapVerifier(Verifier):
    """Compares the local maps of one model.

    Parameters
    ----------
    calibration : how likely evidence makes it that two pictures show the same, and from where on that is proof.
    """

    def __init__(self, calibration: ProofCalibration) -> None:
        self._calibration = calibration

    def compare(self, pixels: Pixels, views: Sequence[View], look: Look) -> LocalMapComparison:
        """Get ready to compare a query in its ``views``.

        Views whose bytes are no local map are left out. ``look`` makes the local map of the query straightened.
        """
        unpacked = ((view, unpack(view.local_map)) for view in views)
        ready = [_View.of(view.into, view.full, local_map) for view, local_map in unpacked if local_map is not None]
        return LocalMapComparison(pixels, ready, look, self._calibration)


class LocalMapComparison(Comparison):
    """A query in its views, compared by local maps."""

    def __init__(self, pixels: Pixels, views: Sequence[_View], look: Look, calibration: ProofCalibration) -> None:
        self._pixels = pixels
        self._views = [view for view in views if len(view.places) >= LEAST_INLIERS]
        self._full = [view for view in views if view.full]
        self._look = look
        self._calibration = calibration
        if self._views:
            self._cells = np.concatenate([view.cells for view in self._views])
            self._begins = np.cumsum([0, *(len(view.cells) for view in self._views)])

    def prove(self, pictures: Sequence[tuple[float, bytes]], originals: Originals | None = None) -> list[Proof | None]:
        """For each picture's cosine and local map the proof that it shows the same as the query, or None."""
        mapped = [(cosine, unpack(data)) for cosine, data in pictures]
        found = [self._first_look(cosine, picture) for cosine, picture in mapped]
        if not any(one is not None and one.proves and one.proof.probability >= _SURE for one in found):
            doubtful = [(number, one) for number, one in enumerate(found) if one is not None and self._doubts(one)]
            for number, one in sorted(doubtful, key=lambda pair: -pair[1].proof.probability)[:DOUBTS]:
                found[number] = self._look_closely(one)
        if originals is not None and not any(one is not None and self._proves(one) for one in found):
            promising = _promising(mapped, found)
            for number, original in zip(promising, originals(promising), strict=True):
                cosine, picture = mapped[number]
                if picture is not None and original is not None:
                    found[number] = self.corners(cosine, picture, Corners.of(scaled(original)))
        return [one.proof if one is not None and self._proves(one) else None for one in found]

    def best(self, cosine: float, local_map: bytes, original: Grey | None) -> Proof | None:
        """The most probable proof that one picture, were it alone, shows the same, and be it less than ``least``.

        No look is spared, so a search finds the picture wherever ``least`` is no more.
        """
        picture = unpack(local_map)
        if picture is None:
            return None
        looks = [self._first_look(cosine, picture)]
        while len(looks) <= LOOKS and looks[-1] is not None and looks[-1].proof.probability >= DOUBTFUL:
            looks.append(self.again(looks[-1]))
        if original is not None:
            looks.append(self.corners(cosine, picture, Corners.of(scaled(original))))
        proofs = [one.proof for one in looks if one is not None and one.proves]
        return max(proofs, key=lambda proof: proof.probability, default=None)

    def _proves(self, found: Found) -> bool:
        return found.proves and found.proof.probability >= self._calibration.least

    def _doubts(self, found: Found) -> bool:
        return found.proof.probability >= DOUBTFUL and not self._proves(found)

    def _look_closely(self, found: Found) -> Found | None:
        """Again and again, each time straightened by what was found the last time."""
        latest: Found | None = found
        for _ in range(LOOKS):
            if latest is not None and self._doubts(latest):
                latest = self.again(latest)
        return latest

    def _first_look(self, cosine: float, picture: LocalMap | None) -> Found | None:
        if picture is None:
            return None
        found = self.whole(cosine, picture)
        if found is None or found.proof.probability < _SURE:
            part = self.part(cosine, picture)
            if found is None or (part is not None and part.proof.probability > found.proof.probability):
                found = part
        return found

    def whole(self, cosine: float, picture: LocalMap) -> Found | None:
        """A view that shows a picture from edge to edge, laid on the whole picture, if there is enough to be seen there."""
        thumbnail = picture.thumbnail.astype(np.float32)
        laid = ((orientations.on(thumbnail), into_view) for orientations, into_view in self._wholes)
        found, into_view = max(laid, key=_correlation, default=(None, IDENTITY))
        if found is None:
            return None
        seen = found.agreement
        if not _enough(seen) or seen.correlation < LEAST_CONGRUENCE:
            return None
        evidence = Evidence(cosine, seen.blocks, seen.correlation)
        probability = self._calibration.whole.probability(evidence)
        proof = Proof(probability, 0, seen.correlation, follow(into_view, found.transform), WHOLE)
        return Found(picture, proof, evidence, proves=True)

    @cached_property
    def _wholes(self) -> list[tuple[Orientations, Affine]]:
        return [(Orientations(view.thumbnail), view.into) for view in self._full]

    def part(self, cosine: float, picture: LocalMap) -> Found | None:
        """The best way to lay a view of the query on the picture, if any is worth a closer look."""
        overlays = sorted(self._overlays(picture), key=lambda one: -len(one.cells))[:_CLOSER]
        closer = [self._closer(cosine, overlay, picture) for overlay in overlays]
        return max(closer, key=lambda one: (one.proves, one.proof.probability), default=None)

    def again(self, found: Found) -> Found | None:
        """The query straightened as was found, and laid on the picture once more."""
        picture, first = found.picture, found.proof.transform
        part = covered(first)
        if part is None:
            return None
        straightened = unpack(self._look(first, part, picture.width / max(picture.height, 1)))
        if straightened is None:
            return None
        view = _View.of(IDENTITY, True, straightened)
        closer = LocalMapComparison(self._pixels, [view], self._look, self._calibration).part(
            found.evidence.cosine, picture
        )
        if closer is None:
            return None
        evidence = replace(closer.evidence, likeness=_likeness(straightened, picture, part))
        proof = replace(
            closer.proof,
            probability=self._calibration.again.probability(evidence),
            transform=follow(follow(first, into(part)), closer.proof.transform),
        )
        return Found(picture, proof, evidence, closer.proves)

    def corners(self, cosine: float, picture: LocalMap, corners: Corners) -> Found | None:
        """The query laid on the picture by their corners, and looked at as it lies there."""
        laid = lay(self._corners, corners)
        part = None if laid is None or laid.corners < LEAST_CORNERS else covered(laid.transform)
        if laid is None or part is None:
            return None
        straightened = unpack(self._look(laid.transform, part, picture.width / max(picture.height, 1)))
        return None if straightened is None else self._by_corners(cosine, picture, laid, part, straightened)

    @cached_property
    def _corners(self) -> Corners:
        return Corners.of(scaled(self._pixels))

    def _by_corners(
        self, cosine: float, picture: LocalMap, laid: Alignment, part: Box, straightened: LocalMap
    ) -> Found:
        stretch = picture.stretch
        scale = (part.right - part.left) * stretch / straightened.stretch
        there = Transform(scale, complex(part.left * stretch, part.top / stretch), mirrored=False)
        pyramid = Pyramid.of(straightened.thumbnail, straightened.stretch)
        seen = agreement(pyramid, picture.thumbnail.astype(np.float32), stretch, there)
        # Corners lay pictures on each other to the pixel: then all blocks agree or none does, and they count as one.
        evidence = Evidence(cosine, min(seen.blocks, 1), seen.correlation, corners=laid.corners)
        probability = self._calibration.corners.probability(evidence)
        proof = Proof(probability, laid.corners, seen.correlation, laid.transform, laid.region)
        return Found(picture, proof, evidence, proves=_tells(seen))

    def _closer(self, cosine: float, overlay: Overlay, picture: LocalMap) -> Found:
        thumbnail, stretch = picture.thumbnail.astype(np.float32), picture.stretch
        seen = agreement(overlay.view.pyramid, thumbnail, stretch, overlay.transform)
        evidence = Evidence(cosine, seen.blocks, seen.correlation, overlay.matches, len(overlay.cells))
        proof = Proof(
            probability=self._calibration.part.probability(evidence),
            inliers=len(overlay.cells),
            agreement=seen.correlation,
            transform=overlay.view.affine(overlay.transform, stretch),
            region=_region(overlay.cells),
        )
        return Found(picture, proof, evidence, proves=_enough(seen))

    def _overlays(self, picture: LocalMap) -> list[Overlay]:
        """Per view the transform that lays most of its cells on the picture's, if they are enough."""
        if not self._views:
            return []
        near = [(view, *found) for view, found in zip(self._views, self._neighbours(picture), strict=True)]
        near = [(view, cells, others) for view, cells, others in near if len(cells) >= LEAST_INLIERS]
        if not near:
            return []
        places = _places(picture.stretch)
        here = pad([view.places[cells] for view, cells, _ in near])
        there = pad([places[others] for _, _, others in near])
        counts = np.array([len(cells) for _, cells, _ in near])
        overlays = []
        for row, transform in enumerate(align(here, there, counts, _NEAR, _APART)):
            if transform is None:
                continue
            view, _, others = near[row]
            fits = np.abs(transform.of(here[row]) - there[row])[: counts[row]] <= _NEAR
            cells = np.unique(others[fits])
            if len(cells) >= LEAST_INLIERS and _spread(places[cells]) >= _LEAST_SPREAD / SIDE:
                overlays.append(Overlay(view, transform, cells, int(counts[row])))
        return overlays

    def _neighbours(self, picture: LocalMap) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Per view its cells, and the picture's, that are each other's nearest."""
        cosines = self._cells @ _unit_cells(picture).T
        nearest = cosines.argmax(axis=1)
        best = cosines[np.arange(len(cosines)), nearest]
        found = []
        for begin, end in zip(self._begins[:-1], self._begins[1:], strict=True):
            mine, other = best[begin:end], nearest[begin:end]
            theirs = cosines[begin:end].max(axis=0)
            mutual = np.flatnonzero((mine > _LEAST_COSINE) & (mine >= theirs[other]))
            found.append((mutual, other[mutual]))
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Where a query may lie on a picture, and what speaks for it. Without ``proves`` it is too little to prove it."""

    picture: LocalMap
    proof: Proof
    evidence: Evidence
    proves: bool


@dataclass(frozen=True, slots=True, eq=False)
class Overlay:
    """A view laid on a picture. ``cells`` are the picture's that have their partner on them, of ``matches``."""

    view: _View
    transform: Transform
    cells: NDArray[np.intp]
    matches: int


@dataclass(frozen=True, slots=True, eq=False)
class _View:
    """A view of the query: its cells that are not flat, float32 (n, DEPTH), and where they are."""

    into: Affine
    full: bool
    stretch: float
    cells: NDArray[np.float32]
    places: Points
    thumbnail: NDArray[np.uint8]
    pyramid: Pyramid

    @staticmethod
    def of(into: Affine, full: bool, local_map: LocalMap) -> _View:
        """A view from its local map; the rest is as :class:`lookalike.domain.geometry.View` has it."""
        a_cell = THUMBNAIL // SIDE
        greys = local_map.thumbnail.reshape(SIDE, a_cell, SIDE, a_cell).astype(np.float32)
        textured = np.flatnonzero(greys.std(axis=(1, 3)).ravel() > _FLAT)
        stretch = local_map.stretch
        pyramid = Pyramid.of(local_map.thumbnail, stretch)
        cells, places = _unit_cells(local_map)[textured], _places(stretch)[textured]
        return _View(into, full, stretch, cells, places, local_map.thumbnail, pyramid)

    def affine(self, transform: Transform, stretch: float) -> Affine:
        """The transform from fractions of the whole query to fractions of a picture."""
        corners = np.array([0, self.stretch, 1j / self.stretch], np.complex64)
        moved = transform.of(corners)
        (c, a, b), (f, d, e) = (moved.real / stretch).tolist(), (moved.imag * stretch).tolist()
        return follow(self.into, (a - c, b - c, c, d - f, e - f, f))


def _promising(mapped: Sequence[tuple[float, LocalMap | None]], found: Sequence[Found | None]) -> list[int]:
    """Which pictures' corners may tell more: the nearest one's, and those that are probable all the same."""
    doubtful = [(number, one.proof.probability) for number, one in enumerate(found) if one is not None]
    probable = [number for number, probability in sorted(doubtful, key=lambda of: -of[1]) if probability >= DOUBTFUL]
    nearest = max(range(len(mapped)), key=lambda number: mapped[number][0], default=None)
    return list(dict.fromkeys(number for number in (nearest, *probable) if number is not None))[:ORIGINALS]


def _likeness(straightened: LocalMap, picture: LocalMap, part: Box) -> float:
    """The mean cosine of what the network sees in the straightened query and at the same place in the picture."""
    columns = ((part.left + _CENTRES * (part.right - part.left)) * SIDE).astype(np.intp)
    rows = ((part.top + _CENTRES * (part.bottom - part.top)) * SIDE).astype(np.intp)
    there = picture.cells[np.ix_(rows, columns)].astype(np.float32)
    return float((straightened.cells * there).sum(axis=2).mean()) / MAP_SCALE**2


def _enough(seen: Agreement) -> bool:
    return seen.blocks >= LEAST_BLOCKS and seen.detail >= LEAST_DETAIL and _tells(seen)


def _tells(seen: Agreement) -> bool:
    """Whether more agrees than outlines and shading."""
    return seen.telling >= LEAST_TELLING and seen.told >= LEAST_TOLD and seen.fine >= LEAST_FINE


def _correlation(laid: tuple[Congruence, Affine]) -> float:
    return laid[0].agreement.correlation


def _unit_cells(local_map: LocalMap) -> NDArray[np.float32]:
    return local_map.cells.reshape(-1, DEPTH) * np.float32(1 / MAP_SCALE)


def _places(stretch: float) -> Points:
    """Where the cells' centres are when the proportions are right again."""
    return (_CENTRES[None, :] * stretch + 1j * (_CENTRES[:, None] / stretch)).ravel().astype(np.complex64)


def _spread(points: Points) -> float:
    """The standard deviation of points in the direction in which they spread least."""
    return math.sqrt(max(float(np.linalg.eigvalsh(np.cov(points.real, points.imag))[0]), 0.0))


def _region(cells: NDArray[np.intp]) -> Box:
    """The smallest box around cells."""
    rows, columns = np.divmod(cells, SIDE)
    left, top, right, bottom = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    return Box(float(left / SIDE), float(top / SIDE), float(right / SIDE), float(bottom / SIDE))
