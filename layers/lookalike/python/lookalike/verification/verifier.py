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

from lookalike.domain.geometry import IDENTITY, WHOLE, Affine, Box, GeometricMatch, QueryView
from lookalike.domain.picture import Grey, Pixels
from lookalike.embedding.feature_map import CELL_CHANNELS, CELLS_PER_SIDE, THUMBNAIL_SIDE, FeatureMap, unpack
from lookalike.ports import Look, Originals, QueryVerifier, Verifier
from lookalike.verification.correlation import BlockCorrelation, Pyramid, correlate_blocks
from lookalike.verification.keypoints import KeypointMatch, Keypoints, match_keypoints, resized_grey
from lookalike.verification.match_score import MatchFeatures, MatchScorer
from lookalike.verification.ransac import Points, SimilarityTransform, pad_point_sets, ransac_similarity
from lookalike.verification.rectify import compose, covered_region, crop_transform
from lookalike.verification.whole_image import EightOrientations, WholeImageMatch

#: Factor by which the numbers of a cell, a unit vector, are multiplied before they are rounded to int8.
MAP_SCALE = 127.0

#: Smallest cosine (exclusive) of two cells that are matched.
_MIN_CELL_COSINE = 0.5

#: Smallest standard deviation (exclusive), in grey levels, of the 4 × 4 thumbnail pixels of a query's cell that is matched.
_MIN_CELL_DEVIATION = 3.0

#: Largest distance of an inlier from its partner, in picture sides: one cell.
_INLIER_THRESHOLD = 1 / CELLS_PER_SIDE

#: Smallest distance between the two points of a RANSAC sample, in picture sides: one and a half cells.
_MIN_SAMPLE_DISTANCE = 1.5 / CELLS_PER_SIDE

#: Smallest number of inlier cells of a hypothesis that is scored.
MIN_INLIERS = 10

#: Smallest standard deviation of the inliers' positions in any direction, in cells: a strip of cells fits everywhere.
_MIN_INLIER_SPREAD = 0.7

#: Smallest number of thumbnail blocks compared: on a blank page one small thing is like another.
MIN_BLOCKS = 8

#: Smallest detail correlation: pages of different text reach 0.21, one in a hundred copies is below 0.35.
MIN_DETAIL_CORRELATION = 0.3

#: Smallest number of textured blocks: copies have 5 at least, small discs 4.
MIN_TEXTURED_BLOCKS = 5

#: Smallest correlation of the textured blocks: within two discs that lie on each other it reaches 0.4; one in five
#: hundred copies is below 0.45.
MIN_TEXTURED_CORRELATION = 0.45

#: Smallest residual correlation: of two balls that are lit alike it reaches 0.15; one in a hundred copies is below 0.4,
#: the worst of 260 was 0.27.
MIN_RESIDUAL_CORRELATION = 0.25

#: Smallest block correlation of two whole pictures; copies reach 0.87 and more.
MIN_WHOLE_CORRELATION = 0.85

#: Probability from which on no further stage is run.
EARLY_EXIT_PROBABILITY = 0.99

#: Views of a query whose hypotheses are scored for one candidate at most: those with the most inliers.
MAX_VIEWS_SCORED = 2

#: Smallest probability of an attempt, not accepted, that is matched again after rectification.
RETRY_PROBABILITY = 0.02

#: Candidates of a batch that are matched again at most, the most probable ones.
MAX_RETRIED = 4

#: Times that one candidate is matched again at most; each costs one pass of the model.
MAX_RETRIES = 2

#: Originals of a batch that keypoints are detected in at most: the nearest candidate's and the most probable ones'.
MAX_ORIGINALS = 4

#: Smallest number of keypoint inliers: chance brings up to 12, one picture in thousands.
MIN_KEYPOINTS = 9

#: Centres of the cells, as shares of a side.
_CELL_CENTRES = (np.arange(CELLS_PER_SIDE, dtype=np.float32) + 0.5) / CELLS_PER_SIDE


class FeatureMapVerifier(Verifier):
    """Compares the local maps of one model.

    Parameters
    ----------
    calibration : how likely evidence makes it that two pictures show the same, and from where on that is proof.
    """

    def __init__(self, scorer: MatchScorer) -> None:
        self._scorer = scorer

    def query(self, pixels: Pixels, views: Sequence[QueryView], look: Look) -> FeatureMapQueryVerifier:
        """Get ready to compare a query in its ``views``.

        Views whose bytes are no local map are left out. ``look`` makes the local map of the query straightened.
        """
        unpacked = ((view, unpack(view.feature_map)) for view in views)
        ready = [
            ViewFeatures.of(view.to_view, view.full, feature_map)
            for view, feature_map in unpacked
            if feature_map is not None
        ]
        return FeatureMapQueryVerifier(pixels, ready, look, self._scorer)


class FeatureMapQueryVerifier(QueryVerifier):
    """A query in its views, compared by local maps."""

    def __init__(self, pixels: Pixels, views: Sequence[ViewFeatures], look: Look, scorer: MatchScorer) -> None:
        self._pixels = pixels
        self._views = [view for view in views if len(view.positions) >= MIN_INLIERS]
        self._full = [view for view in views if view.full]
        self._look = look
        self._scorer = scorer
        if self._views:
            self._cells = np.concatenate([view.cells for view in self._views])
            self._begins = np.cumsum([0, *(len(view.cells) for view in self._views)])

    def verify(
        self, pairs: Sequence[tuple[float, bytes]], originals: Originals | None = None
    ) -> list[GeometricMatch | None]:
        """For each picture's cosine and local map the proof that it shows the same as the query, or None."""
        candidates = [(cosine, unpack(data)) for cosine, data in pairs]
        attempt = [self._match_feature_maps(cosine, candidate) for cosine, candidate in candidates]
        if not any(
            one is not None and one.sufficient and one.match.probability >= EARLY_EXIT_PROBABILITY for one in attempt
        ):
            undecided = [
                (number, one) for number, one in enumerate(attempt) if one is not None and self._is_undecided(one)
            ]
            for number, one in sorted(undecided, key=lambda pair: -pair[1].match.probability)[:MAX_RETRIED]:
                attempt[number] = self._retry(one)
        if originals is not None and not any(one is not None and self._is_accepted(one) for one in attempt):
            keypoint_candidates = _keypoint_candidates(candidates, attempt)
            for number, original in zip(keypoint_candidates, originals(keypoint_candidates), strict=True):
                cosine, candidate = candidates[number]
                if candidate is not None and original is not None:
                    attempt[number] = self.match_by_keypoints(
                        cosine, candidate, Keypoints.detect_and_describe(resized_grey(original))
                    )
        return [one.match if one is not None and self._is_accepted(one) else None for one in attempt]

    def best_match(self, cosine: float, feature_map: bytes, original: Grey | None) -> GeometricMatch | None:
        """The most probable proof that one picture, were it alone, shows the same, and be it less than ``min_probability``.

        No look is spared, so a search finds the candidate wherever ``min_probability`` is no more.
        """
        candidate = unpack(feature_map)
        if candidate is None:
            return None
        attempts = [self._match_feature_maps(cosine, candidate)]
        while (
            len(attempts) <= MAX_RETRIES
            and attempts[-1] is not None
            and attempts[-1].match.probability >= RETRY_PROBABILITY
        ):
            attempts.append(self.match_rectified(attempts[-1]))
        if original is not None:
            attempts.append(
                self.match_by_keypoints(cosine, candidate, Keypoints.detect_and_describe(resized_grey(original)))
            )
        proofs = [one.match for one in attempts if one is not None and one.sufficient]
        return max(proofs, key=lambda match: match.probability, default=None)

    def _is_accepted(self, attempt: MatchAttempt) -> bool:
        return attempt.sufficient and attempt.match.probability >= self._scorer.min_probability

    def _is_undecided(self, attempt: MatchAttempt) -> bool:
        return attempt.match.probability >= RETRY_PROBABILITY and not self._is_accepted(attempt)

    def _retry(self, attempt: MatchAttempt) -> MatchAttempt | None:
        """Again and again, each time straightened by what was found the last time."""
        latest: MatchAttempt | None = attempt
        for _ in range(MAX_RETRIES):
            if latest is not None and self._is_undecided(latest):
                latest = self.match_rectified(latest)
        return latest

    def _match_feature_maps(self, cosine: float, candidate: FeatureMap | None) -> MatchAttempt | None:
        if candidate is None:
            return None
        attempt = self.match_whole(cosine, candidate)
        if attempt is None or attempt.match.probability < EARLY_EXIT_PROBABILITY:
            region = self.match_partial(cosine, candidate)
            if attempt is None or (region is not None and region.match.probability > attempt.match.probability):
                attempt = region
        return attempt

    def match_whole(self, cosine: float, candidate: FeatureMap) -> MatchAttempt | None:
        """A view that shows a picture from edge to edge, laid on the whole picture, if there is enough to be seen there."""
        thumbnail = candidate.thumbnail.astype(np.float32)
        keypoint_match = ((orientations.best_match(thumbnail), to_view) for orientations, to_view in self._wholes)
        attempt, to_view = max(keypoint_match, key=_correlation, default=(None, IDENTITY))
        if attempt is None:
            return None
        seen = attempt.correlation
        if not _has_enough_texture(seen) or seen.correlation < MIN_WHOLE_CORRELATION:
            return None
        features = MatchFeatures(cosine, seen.blocks, seen.correlation)
        probability = self._scorer.whole.probability(features)
        match = GeometricMatch(probability, 0, seen.correlation, compose(to_view, attempt.transform), WHOLE)
        return MatchAttempt(candidate, match, features, sufficient=True)

    @cached_property
    def _wholes(self) -> list[tuple[EightOrientations, Affine]]:
        return [(EightOrientations(view.thumbnail), view.to_view) for view in self._full]

    def match_partial(self, cosine: float, candidate: FeatureMap) -> MatchAttempt | None:
        """The best way to lay a view of the query on the picture, if any is worth a closer look."""
        hypotheses = sorted(self._hypotheses(candidate), key=lambda one: -len(one.cells))[:MAX_VIEWS_SCORED]
        closer = [self._score(cosine, hypothesis, candidate) for hypothesis in hypotheses]
        return max(closer, key=lambda one: (one.sufficient, one.match.probability), default=None)

    def match_rectified(self, attempt: MatchAttempt) -> MatchAttempt | None:
        """The query straightened as was found, and laid on the picture once more."""
        candidate, first = attempt.candidate, attempt.match.transform
        region = covered_region(first)
        if region is None:
            return None
        rectified = unpack(self._look(first, region, candidate.width / max(candidate.height, 1)))
        if rectified is None:
            return None
        view = ViewFeatures.of(IDENTITY, True, rectified)
        closer = FeatureMapQueryVerifier(self._pixels, [view], self._look, self._scorer).match_partial(
            attempt.features.cosine, candidate
        )
        if closer is None:
            return None
        features = replace(closer.features, mean_cell_cosine=_mean_cell_cosine(rectified, candidate, region))
        match = replace(
            closer.match,
            probability=self._scorer.rectified.probability(features),
            transform=compose(compose(first, crop_transform(region)), closer.match.transform),
        )
        return MatchAttempt(candidate, match, features, closer.sufficient)

    def match_by_keypoints(self, cosine: float, candidate: FeatureMap, keypoints: Keypoints) -> MatchAttempt | None:
        """The query laid on the picture by their corners, and looked at as it lies there."""
        keypoint_match = match_keypoints(self._keypoints, keypoints)
        region = (
            None
            if keypoint_match is None or keypoint_match.inliers < MIN_KEYPOINTS
            else covered_region(keypoint_match.transform)
        )
        if keypoint_match is None or region is None:
            return None
        rectified = unpack(self._look(keypoint_match.transform, region, candidate.width / max(candidate.height, 1)))
        return (
            None if rectified is None else self._score_keypoints(cosine, candidate, keypoint_match, region, rectified)
        )

    @cached_property
    def _keypoints(self) -> Keypoints:
        return Keypoints.detect_and_describe(resized_grey(self._pixels))

    def _score_keypoints(
        self, cosine: float, candidate: FeatureMap, keypoint_match: KeypointMatch, region: Box, rectified: FeatureMap
    ) -> MatchAttempt:
        sqrt_aspect_ratio = candidate.sqrt_aspect_ratio
        scale = (region.right - region.left) * sqrt_aspect_ratio / rectified.sqrt_aspect_ratio
        there = SimilarityTransform(
            scale, complex(region.left * sqrt_aspect_ratio, region.top / sqrt_aspect_ratio), reflected=False
        )
        pyramid = Pyramid.of(rectified.thumbnail, rectified.sqrt_aspect_ratio)
        seen = correlate_blocks(pyramid, candidate.thumbnail.astype(np.float32), sqrt_aspect_ratio, there)
        # Corners lay pictures on each other to the pixel: then all blocks agree or none does, and they count as one.
        features = MatchFeatures(cosine, min(seen.blocks, 1), seen.correlation, keypoints=keypoint_match.inliers)
        probability = self._scorer.keypoints.probability(features)
        match = GeometricMatch(
            probability, keypoint_match.inliers, seen.correlation, keypoint_match.transform, keypoint_match.region
        )
        return MatchAttempt(candidate, match, features, sufficient=_texture_agrees(seen))

    def _score(self, cosine: float, hypothesis: Hypothesis, candidate: FeatureMap) -> MatchAttempt:
        thumbnail, sqrt_aspect_ratio = candidate.thumbnail.astype(np.float32), candidate.sqrt_aspect_ratio
        seen = correlate_blocks(hypothesis.view.pyramid, thumbnail, sqrt_aspect_ratio, hypothesis.transform)
        features = MatchFeatures(cosine, seen.blocks, seen.correlation, hypothesis.matches, len(hypothesis.cells))
        match = GeometricMatch(
            probability=self._scorer.partial.probability(features),
            inliers=len(hypothesis.cells),
            correlation=seen.correlation,
            transform=hypothesis.view.affine(hypothesis.transform, sqrt_aspect_ratio),
            region=_bounding_box(hypothesis.cells),
        )
        return MatchAttempt(candidate, match, features, sufficient=_has_enough_texture(seen))

    def _hypotheses(self, candidate: FeatureMap) -> list[Hypothesis]:
        """Per view the transform that lays most of its cells on the picture's, if they are enough."""
        if not self._views:
            return []
        near = [
            (view, *attempt) for view, attempt in zip(self._views, self._mutual_nearest_cells(candidate), strict=True)
        ]
        near = [(view, cells, others) for view, cells, others in near if len(cells) >= MIN_INLIERS]
        if not near:
            return []
        positions = _cell_positions(candidate.sqrt_aspect_ratio)
        here = pad_point_sets([view.positions[cells] for view, cells, _ in near])
        there = pad_point_sets([positions[others] for _, _, others in near])
        counts = np.array([len(cells) for _, cells, _ in near])
        hypotheses = []
        for row, transform in enumerate(
            ransac_similarity(here, there, counts, _INLIER_THRESHOLD, _MIN_SAMPLE_DISTANCE)
        ):
            if transform is None:
                continue
            view, _, others = near[row]
            fits = np.abs(transform.apply(here[row]) - there[row])[: counts[row]] <= _INLIER_THRESHOLD
            cells = np.unique(others[fits])
            if len(cells) >= MIN_INLIERS and _min_deviation(positions[cells]) >= _MIN_INLIER_SPREAD / CELLS_PER_SIDE:
                hypotheses.append(Hypothesis(view, transform, cells, int(counts[row])))
        return hypotheses

    def _mutual_nearest_cells(self, candidate: FeatureMap) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Per view its cells, and the picture's, that are each other's nearest."""
        cosines = self._cells @ _unit_cells(candidate).T
        nearest = cosines.argmax(axis=1)
        best_match = cosines[np.arange(len(cosines)), nearest]
        attempt = []
        for begin, end in zip(self._begins[:-1], self._begins[1:], strict=True):
            mine, other = best_match[begin:end], nearest[begin:end]
            theirs = cosines[begin:end].max(axis=0)
            mutual = np.flatnonzero((mine > _MIN_CELL_COSINE) & (mine >= theirs[other]))
            attempt.append((mutual, other[mutual]))
        return attempt


@dataclass(frozen=True, slots=True, eq=False)
class MatchAttempt:
    """Where a query may lie on a picture, and what speaks for it. Without ``sufficient`` it is too little to prove it."""

    candidate: FeatureMap
    match: GeometricMatch
    features: MatchFeatures
    sufficient: bool


@dataclass(frozen=True, slots=True, eq=False)
class Hypothesis:
    """A view laid on a picture. ``cells`` are the candidate's that have their partner on them, of ``matches``."""

    view: ViewFeatures
    transform: SimilarityTransform
    cells: NDArray[np.intp]
    matches: int


@dataclass(frozen=True, slots=True, eq=False)
class ViewFeatures:
    """A view of the query: its cells that are not flat, float32 (n, CELL_CHANNELS), and where they are."""

    to_view: Affine
    full: bool
    sqrt_aspect_ratio: float
    cells: NDArray[np.float32]
    positions: Points
    thumbnail: NDArray[np.uint8]
    pyramid: Pyramid

    @staticmethod
    def of(to_view: Affine, full: bool, feature_map: FeatureMap) -> ViewFeatures:
        """A view from its local map; the rest is as :class:`lookalike.domain.geometry.QueryView` has it."""
        a_cell = THUMBNAIL_SIDE // CELLS_PER_SIDE
        greys = feature_map.thumbnail.reshape(CELLS_PER_SIDE, a_cell, CELLS_PER_SIDE, a_cell).astype(np.float32)
        textured = np.flatnonzero(greys.std(axis=(1, 3)).ravel() > _MIN_CELL_DEVIATION)
        sqrt_aspect_ratio = feature_map.sqrt_aspect_ratio
        pyramid = Pyramid.of(feature_map.thumbnail, sqrt_aspect_ratio)
        cells, positions = _unit_cells(feature_map)[textured], _cell_positions(sqrt_aspect_ratio)[textured]
        return ViewFeatures(to_view, full, sqrt_aspect_ratio, cells, positions, feature_map.thumbnail, pyramid)

    def affine(self, transform: SimilarityTransform, sqrt_aspect_ratio: float) -> Affine:
        """The transform from fractions of the whole query to fractions of a picture."""
        keypoints = np.array([0, self.sqrt_aspect_ratio, 1j / self.sqrt_aspect_ratio], np.complex64)
        moved = transform.apply(keypoints)
        (c, a, b), (f, d, e) = (moved.real / sqrt_aspect_ratio).tolist(), (moved.imag * sqrt_aspect_ratio).tolist()
        return compose(self.to_view, (a - c, b - c, c, d - f, e - f, f))


def _keypoint_candidates(
    candidates: Sequence[tuple[float, FeatureMap | None]], attempt: Sequence[MatchAttempt | None]
) -> list[int]:
    """Which pictures' corners may tell more: the nearest one's, and those that are probable all the same."""
    undecided = [(number, one.match.probability) for number, one in enumerate(attempt) if one is not None]
    probable = [
        number for number, probability in sorted(undecided, key=lambda of: -of[1]) if probability >= RETRY_PROBABILITY
    ]
    nearest = max(range(len(candidates)), key=lambda number: candidates[number][0], default=None)
    return list(dict.fromkeys(number for number in (nearest, *probable) if number is not None))[:MAX_ORIGINALS]


def _mean_cell_cosine(rectified: FeatureMap, candidate: FeatureMap, region: Box) -> float:
    """The mean cosine of what the network sees in the straightened query and at the same place in the picture."""
    columns = ((region.left + _CELL_CENTRES * (region.right - region.left)) * CELLS_PER_SIDE).astype(np.intp)
    rows = ((region.top + _CELL_CENTRES * (region.bottom - region.top)) * CELLS_PER_SIDE).astype(np.intp)
    there = candidate.cells[np.ix_(rows, columns)].astype(np.float32)
    return float((rectified.cells * there).sum(axis=2).mean()) / MAP_SCALE**2


def _has_enough_texture(seen: BlockCorrelation) -> bool:
    return seen.blocks >= MIN_BLOCKS and seen.detail_correlation >= MIN_DETAIL_CORRELATION and _texture_agrees(seen)


def _texture_agrees(seen: BlockCorrelation) -> bool:
    """Whether more agrees than outlines and shading."""
    return (
        seen.textured_blocks >= MIN_TEXTURED_BLOCKS
        and seen.textured_correlation >= MIN_TEXTURED_CORRELATION
        and seen.residual_correlation >= MIN_RESIDUAL_CORRELATION
    )


def _correlation(keypoint_match: tuple[WholeImageMatch, Affine]) -> float:
    return keypoint_match[0].correlation.correlation


def _unit_cells(feature_map: FeatureMap) -> NDArray[np.float32]:
    return feature_map.cells.reshape(-1, CELL_CHANNELS) * np.float32(1 / MAP_SCALE)


def _cell_positions(sqrt_aspect_ratio: float) -> Points:
    """Where the cells' centres are when the proportions are right again."""
    return (
        (_CELL_CENTRES[None, :] * sqrt_aspect_ratio + 1j * (_CELL_CENTRES[:, None] / sqrt_aspect_ratio))
        .ravel()
        .astype(np.complex64)
    )


def _min_deviation(points: Points) -> float:
    """The standard deviation of points in the direction in which they spread least."""
    return math.sqrt(max(float(np.linalg.eigvalsh(np.cov(points.real, points.imag))[0]), 0.0))


def _bounding_box(cells: NDArray[np.intp]) -> Box:
    """The smallest box around cells."""
    rows, columns = np.divmod(cells, CELLS_PER_SIDE)
    left, top, right, bottom = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    return Box(
        float(left / CELLS_PER_SIDE),
        float(top / CELLS_PER_SIDE),
        float(right / CELLS_PER_SIDE),
        float(bottom / CELLS_PER_SIDE),
    )
