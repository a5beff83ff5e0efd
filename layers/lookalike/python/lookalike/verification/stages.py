"""The stages of geometric verification, each for one candidate.

``match_whole`` compares two thumbnails in eight orientations; ``match_partial`` matches cells of feature maps and
scores the transforms by block correlation; ``match_rectified`` repeats that once the estimated transform is undone;
``match_keypoints`` matches keypoints of the pictures themselves, and correlates these. Every stage is a function of data:
feature maps of the rectified query, and keypoints, are arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from PIL import Image

from lookalike.domain.geometry import IDENTITY, WHOLE, Affine, Box, GeometricMatch
from lookalike.domain.keypoints import Keypoints, KeypointView, Original
from lookalike.domain.picture import Grey, Pixels
from lookalike.embedding.feature_map import FeatureMap, unpack
from lookalike.verification.affine import compose, crop_transform
from lookalike.verification.aligned import AlignedCorrelation, correlate_aligned
from lookalike.verification.correlation import BlockCorrelation, correlate_blocks
from lookalike.verification.keypoints import match_keypoints
from lookalike.verification.match_score import MatchFeatures, MatchScorer
from lookalike.verification.matching import CellMatcher, Hypothesis, ViewFeatures, mean_cell_cosine
from lookalike.verification.rectify import covered_region, warp_region
from lookalike.verification.whole_image import EightOrientations, WholeImageMatch

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

#: Probability from which parts are not matched, and no other candidate of the batch is rectified.
EARLY_EXIT_PROBABILITY = 0.99

#: Views of a query whose hypotheses are scored for one candidate at most: those with the most inliers.
MAX_VIEWS_SCORED = 2

#: Smallest number of keypoint inliers that are looked at closer: strangers have 6, one in a hundred 14 or more.
MIN_KEYPOINTS = 9

#: Smallest correlation of a query with an original that it is warped for, so that its keypoints are matched again: one in
#: six strangers that are aligned by chance has more, one in a hundred copies less.
MIN_REFINED_CORRELATION = 0.15

#: Smallest number of textured blocks of pictures that keypoints align.
MIN_ALIGNED_BLOCKS = 8

#: Smallest absolute correlation of these blocks: of 53 strangers and 87 posters of the same letters that so many keypoints
#: align by chance, the largest is 0.28; copies reach 0.4 and more.
MIN_ALIGNED_CORRELATION = 0.33


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A picture that is compared with the query: the cosine of their vectors, and its feature map."""

    cosine: float
    feature_map: FeatureMap


@dataclass(frozen=True, slots=True, eq=False)
class MatchAttempt:
    """A possible match with a candidate and its features. ``sufficient``: enough texture agrees to accept the match."""

    candidate: Candidate
    match: GeometricMatch
    features: MatchFeatures
    sufficient: bool


@dataclass(frozen=True, slots=True, eq=False)
class Rectification:
    """The warp of the query that undoes ``transform``, limited to the ``region`` of the candidate that the query covers."""

    candidate: Candidate
    transform: Affine
    region: Box

    @property
    def aspect_ratio(self) -> float:
        """The candidate's width by its height."""
        return self.candidate.feature_map.width / max(self.candidate.feature_map.height, 1)

    def warp(self, pixels: Pixels) -> Pixels:
        """Return the rectified query, uint8 RGB (height, width, 3)."""
        return warp_region(pixels, self.transform, self.region, self.aspect_ratio)


def rectification_of(attempt: MatchAttempt) -> Rectification | None:
    """Return the rectification by an attempt's transform; None if the query covers hardly any of the candidate."""
    region = covered_region(attempt.match.transform)
    return None if region is None else Rectification(attempt.candidate, attempt.match.transform, region)


def refined_view(pixels: Pixels, attempt: MatchAttempt) -> KeypointView | None:
    """Return the query as an attempt by keypoints lays it on the original; None if it is not likely enough.

    Turns, scales and shears are undone there, so that a true match has more keypoints, and a more exact transform.
    """
    rectification = rectification_of(attempt)
    if rectification is None or attempt.match.correlation < MIN_REFINED_CORRELATION:
        return None
    to_view = compose(rectification.transform, crop_transform(rectification.region))
    return KeypointView(rectification.warp(pixels), to_view)


class QueryMatcher:
    """A query in its views, ready to be matched with candidates.

    Parameters
    ----------
    pixels : the query, uint8 RGB (height, width, 3).
    views : the features of its views.
    scorer : how features become probabilities.
    """

    def __init__(self, pixels: Pixels, views: Sequence[ViewFeatures], scorer: MatchScorer) -> None:
        self._pixels = pixels
        self._cells = CellMatcher(views)
        self._full_views = [view for view in views if view.full]
        self._scorer = scorer

    def match_feature_maps(self, candidate: Candidate) -> MatchAttempt | None:
        """Return the more probable of both matches by feature map: of whole pictures, and of parts of them."""
        whole = self.match_whole(candidate)
        if whole is not None and whole.match.probability >= EARLY_EXIT_PROBABILITY:
            return whole
        partial = self.match_partial(candidate)
        if whole is None or (partial is not None and partial.match.probability > whole.match.probability):
            return partial
        return whole

    def match_whole(self, candidate: Candidate) -> MatchAttempt | None:
        """Match full views with the whole candidate in eight orientations; None if none correlates enough."""
        thumbnail = candidate.feature_map.thumbnail.astype(np.float32)
        found = ((orientations.best_match(thumbnail), to_view) for orientations, to_view in self._orientations)
        best, to_view = max(found, key=_block_correlation, default=(None, IDENTITY))
        if best is None:
            return None
        blocks = best.correlation
        if not _has_enough_texture(blocks) or blocks.correlation < MIN_WHOLE_CORRELATION:
            return None
        features = MatchFeatures(candidate.cosine, blocks.blocks, blocks.correlation)
        probability = self._scorer.whole.probability(features)
        match = GeometricMatch(probability, 0, blocks.correlation, compose(to_view, best.transform), WHOLE)
        return MatchAttempt(candidate, match, features, sufficient=True)

    def match_partial(self, candidate: Candidate) -> MatchAttempt | None:
        """Match cells of the views with the candidate's; None if there is no hypothesis."""
        return self._best_hypothesis(self._cells, candidate)

    def match_keypoints(
        self, candidate: Candidate, view: KeypointView, keypoints: Keypoints, original: Original
    ) -> MatchAttempt | None:
        """Match the keypoints of a view of the query with the candidate's original, and correlate both under the
        transform found; None if too few are inliers."""
        found = match_keypoints(keypoints, original.keypoints)
        if found is None or found.inliers < MIN_KEYPOINTS:
            return None
        transform = compose(view.from_query, found.transform)
        region = covered_region(transform)
        if region is None:
            return None
        blocks = correlate_aligned(self._grey, _grey(original.pixels), transform, region)
        # Keypoints align to the pixel, so all blocks agree or none does: they count as one.
        correlation = abs(blocks.correlation)
        features = MatchFeatures(candidate.cosine, min(blocks.blocks, 1), correlation, keypoints=found.inliers)
        probability = self._scorer.keypoints.probability(features)
        match = GeometricMatch(probability, found.inliers, correlation, transform, found.region)
        return MatchAttempt(candidate, match, features, sufficient=_aligned_texture_agrees(blocks))

    def match_rectified(self, rectification: Rectification, feature_map: bytes) -> MatchAttempt | None:
        """Match the rectified query, given its feature map, with the candidate; None if there is no hypothesis."""
        rectified = unpack(feature_map)
        if rectified is None:
            return None
        candidate, region = rectification.candidate, rectification.region
        found = self._best_hypothesis(CellMatcher([ViewFeatures.of(IDENTITY, True, rectified)]), candidate)
        if found is None:
            return None
        cosine = mean_cell_cosine(rectified, candidate.feature_map, region)
        features = replace(found.features, mean_cell_cosine=cosine)
        match = replace(
            found.match,
            probability=self._scorer.rectified.probability(features),
            transform=compose(compose(rectification.transform, crop_transform(region)), found.match.transform),
        )
        return MatchAttempt(candidate, match, features, found.sufficient)

    @cached_property
    def _orientations(self) -> list[tuple[EightOrientations, Affine]]:
        return [(EightOrientations(view.thumbnail), view.to_view) for view in self._full_views]

    @cached_property
    def _grey(self) -> Grey:
        return _grey(self._pixels)

    def _best_hypothesis(self, cells: CellMatcher, candidate: Candidate) -> MatchAttempt | None:
        hypotheses = sorted(cells.hypotheses(candidate.feature_map), key=lambda one: -len(one.cells))
        scored = [self._score(one, candidate) for one in hypotheses[:MAX_VIEWS_SCORED]]
        return max(scored, key=lambda one: (one.sufficient, one.match.probability), default=None)

    def _score(self, hypothesis: Hypothesis, candidate: Candidate) -> MatchAttempt:
        feature_map = candidate.feature_map
        thumbnail, sqrt_aspect_ratio = feature_map.thumbnail.astype(np.float32), feature_map.sqrt_aspect_ratio
        blocks = correlate_blocks(hypothesis.view.pyramid, thumbnail, sqrt_aspect_ratio, hypothesis.transform)
        inliers = len(hypothesis.cells)
        features = MatchFeatures(candidate.cosine, blocks.blocks, blocks.correlation, hypothesis.matches, inliers)
        match = GeometricMatch(
            probability=self._scorer.partial.probability(features),
            inliers=inliers,
            correlation=blocks.correlation,
            transform=hypothesis.view.affine(hypothesis.transform, sqrt_aspect_ratio),
            region=hypothesis.region,
        )
        return MatchAttempt(candidate, match, features, sufficient=_has_enough_texture(blocks))


def _has_enough_texture(blocks: BlockCorrelation) -> bool:
    return (
        blocks.blocks >= MIN_BLOCKS and blocks.detail_correlation >= MIN_DETAIL_CORRELATION and _texture_agrees(blocks)
    )


def _texture_agrees(blocks: BlockCorrelation) -> bool:
    """Whether more agrees than outlines and shading."""
    return (
        blocks.textured_blocks >= MIN_TEXTURED_BLOCKS
        and blocks.textured_correlation >= MIN_TEXTURED_CORRELATION
        and blocks.residual_correlation >= MIN_RESIDUAL_CORRELATION
    )


def _aligned_texture_agrees(blocks: AlignedCorrelation) -> bool:
    """The same for pictures that keypoints align; one may be the other's negative."""
    return blocks.textured_blocks >= MIN_ALIGNED_BLOCKS and abs(blocks.textured_correlation) >= MIN_ALIGNED_CORRELATION


def _grey(pixels: Pixels) -> Grey:
    return np.asarray(Image.fromarray(pixels).convert("L"))


def _block_correlation(found: tuple[WholeImageMatch, Affine]) -> float:
    return found[0].correlation.correlation
