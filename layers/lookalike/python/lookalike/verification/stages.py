"""The stages of geometric verification, each for one candidate.

``match_whole`` compares two thumbnails in eight orientations; ``match_partial`` matches cells of feature maps and
scores the transforms by block correlation; ``match_rectified`` repeats that once the estimated transform is undone;
``match_keypoints`` matches keypoints of the pictures themselves, and correlates these. Every stage is a function of data:
feature maps of the rectified query, and keypoints, are arguments.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from PIL import Image

from lookalike.domain.geometry import IDENTITY, WHOLE, Affine, Box, GeometricMatch
from lookalike.domain.keypoints import Keypoints, KeypointView, Original
from lookalike.domain.picture import Pixels
from lookalike.embedding.feature_map import FeatureMap, unpack
from lookalike.verification.affine import compose, crop_transform
from lookalike.verification.aligned import AlignedCorrelation, correlate_aligned
from lookalike.verification.correlation import (
    Alignment,
    BlockCorrelation,
    ComparedThumbnails,
    compare_aligned,
)
from lookalike.verification.keypoints import KeypointViews, match_keypoints
from lookalike.verification.layout import MIN_LAYOUT_BLOCKS, same_layout
from lookalike.verification.match_score import MatchFeatures, MatchScorer
from lookalike.verification.matching import (
    CandidateCells,
    CellMatches,
    Hypothesis,
    ViewFeatures,
    fit_transforms,
    match_cells,
    mean_cell_cosine,
)
from lookalike.verification.overlay import Picture
from lookalike.verification.rectify import covered_region, warp_region
from lookalike.verification.same_pixels import pixel_correlations
from lookalike.verification.whole_image import EightOrientations

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

#: Smallest number of textured blocks of aligned pictures: small patches of noise on white have 8, copies 15 and more.
MIN_ALIGNED_BLOCKS = 12

#: Smallest absolute correlation of these blocks: of 209 strangers and posters so aligned one has 0.35; copies have 0.4.
MIN_ALIGNED_CORRELATION = 0.33

#: Smallest absolute correlation of their details: pages of different text reach 0.27, nine copies in ten 0.35 and more.
MIN_ALIGNED_DETAIL = 0.3

#: Smallest absolute correlation of these without shading: strangers reach 0.1, two balls lit alike 0.08; copies 0.4.
MIN_ALIGNED_RESIDUAL = 0.18


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

    def warp(self, query: Image.Image) -> Pixels:
        """Return the rectified query, uint8 RGB (height, width, 3)."""
        return warp_region(query, self.transform, self.region, self.aspect_ratio)


def rectification_of(attempt: MatchAttempt) -> Rectification | None:
    """Return the rectification by an attempt's transform; None if the query covers hardly any of the candidate."""
    region = covered_region(attempt.match.transform)
    return None if region is None else Rectification(attempt.candidate, attempt.match.transform, region)


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
        self.views = views
        self._scorer = scorer

    def match_feature_maps(
        self, candidates: Sequence[Candidate], min_probability: float = 0.0
    ) -> list[MatchAttempt | None]:
        """Return, for each candidate, the more probable of both matches by feature map: of the whole, and of a part.

        Parts of less than ``min_probability`` count as insufficient: their texture is not measured.
        """
        whole = self.match_whole(candidates)
        uncertain = [number for number, found in enumerate(whole) if _probability(found) < EARLY_EXIT_PROBABILITY]
        partial = self.match_partial([candidates[number] for number in uncertain], min_probability)
        attempts = list(whole)
        for number, found in zip(uncertain, partial, strict=True):
            if found is not None and found.match.probability > _probability(whole[number]):
                attempts[number] = found
        return attempts

    def match_whole(self, candidates: Sequence[Candidate]) -> list[MatchAttempt | None]:
        """Match full views with whole candidates in eight orientations; None for those that correlate too little."""
        if not candidates:
            return []
        thumbnails = np.stack([one.feature_map.thumbnail for one in candidates]).astype(np.float32)
        best: list[MatchAttempt | None] = [None] * len(candidates)
        for orientations, to_view in self._orientations:
            found = orientations.best_matches(thumbnails)
            for number, blocks in _sufficient_whole(found.thumbnails).items():
                transform = compose(to_view, found.transforms[number])
                attempt = self._whole_attempt(candidates[number], blocks, transform)
                best[number] = max(best[number] or attempt, attempt, key=lambda one: one.match.correlation)
        return best

    def match_partial(self, candidates: Sequence[Candidate], min_probability: float = 0.0) -> list[MatchAttempt | None]:
        """Match cells of the views with each candidate's; None where there is no hypothesis.

        Hypotheses of candidates that have none of ``min_probability`` count as insufficient: their texture is not
        measured.
        """
        if not candidates:
            return []
        cells = CandidateCells.of([one.feature_map for one in candidates])
        return self._best_hypotheses(
            candidates, [one for view in self.views for one in match_cells(view, cells)], min_probability
        )

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
        grey = self.keypoint_views.picture.grey, Image.fromarray(original.pixels).convert("L")
        blocks = correlate_aligned(*grey, transform, region)
        # Keypoints align to the pixel, so all blocks agree or none does: they count as one.
        correlation = abs(blocks.correlation)
        features = MatchFeatures(candidate.cosine, min(blocks.blocks, 1), correlation, keypoints=found.inliers)
        probability = self._scorer.keypoints.probability(features)
        match = GeometricMatch(
            probability, found.inliers, correlation, transform, found.region, inverted=blocks.correlation < 0
        )
        return MatchAttempt(candidate, match, features, sufficient=_aligned_texture_agrees(blocks))

    def match_rectified(self, rectified: Sequence[tuple[Rectification, bytes]]) -> list[MatchAttempt | None]:
        """Match rectified queries, given their feature maps, each with its candidate; None where there is no hypothesis."""
        unpacked = [(rectification, unpack(feature_map)) for rectification, feature_map in rectified]
        by_cells = [(number, one, made) for number, (one, made) in enumerate(unpacked) if made is not None]
        found: list[MatchAttempt | None] = [None] * len(unpacked)
        attempts = self._match_rectified_cells([(one, made) for _, one, made in by_cells])
        for (number, _, _), attempt in zip(by_cells, attempts, strict=True):
            found[number] = attempt
        return found

    def _match_rectified_cells(
        self, rectified: Sequence[tuple[Rectification, FeatureMap]]
    ) -> list[MatchAttempt | None]:
        matches = []
        for number, (rectification, made) in enumerate(rectified):
            view = ViewFeatures.of(IDENTITY, True, made)
            found = match_cells(view, CandidateCells.of([rectification.candidate.feature_map]))
            matches += [replace(one, candidate=number) for one in found]
        candidates = [rectification.candidate for rectification, _ in rectified]
        attempts = self._best_hypotheses(candidates, matches, min_probability=0.0)
        return [
            None if attempt is None else self._rectified_attempt(rectification, made, attempt)
            for (rectification, made), attempt in zip(rectified, attempts, strict=True)
        ]

    def _rectified_attempt(
        self, rectification: Rectification, rectified: FeatureMap, attempt: MatchAttempt
    ) -> MatchAttempt:
        candidate, region = rectification.candidate, rectification.region
        cosine = mean_cell_cosine(rectified, candidate.feature_map, region)
        features = replace(attempt.features, mean_cell_cosine=cosine)
        match = replace(
            attempt.match,
            probability=self._scorer.rectified.probability(features),
            transform=compose(compose(rectification.transform, crop_transform(region)), attempt.match.transform),
        )
        return replace(attempt, match=match, features=features)

    def refined_view(self, attempt: MatchAttempt) -> KeypointView | None:
        """Return the query as an attempt by keypoints lays it on the original; None if it covers hardly any of it.

        Turns, scales and shears are undone there, so that a true match has more keypoints, and a more exact transform.
        """
        rectification = rectification_of(attempt)
        if rectification is None:
            return None
        to_view = compose(rectification.transform, crop_transform(rectification.region))
        return KeypointView(rectification.warp(self.keypoint_views.picture.colour), to_view)

    @cached_property
    def picture(self) -> Picture:
        """The query as images."""
        return Picture.of(self._pixels)

    @cached_property
    def keypoint_views(self) -> KeypointViews:
        """The views of the query that its keypoints are detected in."""
        return KeypointViews(self.picture)

    @cached_property
    def _orientations(self) -> list[tuple[EightOrientations, Affine]]:
        return [(EightOrientations(view.thumbnail), view.to_view) for view in self.views if view.full]

    def _whole_attempt(self, candidate: Candidate, blocks: BlockCorrelation, transform: Affine) -> MatchAttempt:
        features = MatchFeatures(candidate.cosine, blocks.blocks, blocks.correlation)
        probability = self._scorer.whole.probability(features)
        match = GeometricMatch(probability, 0, blocks.correlation, transform, WHOLE, inverted=blocks.inverted)
        return MatchAttempt(candidate, match, features, sufficient=True)

    def _best_hypotheses(
        self, candidates: Sequence[Candidate], matches: Sequence[CellMatches], min_probability: float
    ) -> list[MatchAttempt | None]:
        """Return each candidate's best attempt by the matches of cells, which name candidates by number."""
        best: list[MatchAttempt | None] = [None] * len(candidates)
        hypotheses = _most_inliers(fit_transforms(matches))
        if not hypotheses:
            return best
        for number, attempt in self._score(candidates, hypotheses, min_probability):
            best[number] = max(best[number] or attempt, attempt, key=_sufficient_and_probable)
        return best

    def _score(
        self, candidates: Sequence[Candidate], hypotheses: Sequence[Hypothesis], min_probability: float
    ) -> list[tuple[int, MatchAttempt]]:
        """Return the attempt that each hypothesis makes, with the candidate's number."""
        compared = compare_aligned(
            [Alignment(one.view.pyramid, candidates[one.candidate].feature_map, one.transform) for one in hypotheses]
        )
        attempts = [
            (one.candidate, self._partial_attempt(one, candidates[one.candidate], blocks))
            for one, blocks in zip(hypotheses, compared.block_correlations(), strict=True)
        ]
        probable = {number for number, attempt in attempts if attempt.match.probability >= min_probability}
        measured = [row for row, (number, _) in enumerate(attempts) if number in probable]
        for row, blocks in zip(measured, compared.measured(measured), strict=True):
            number, attempt = attempts[row]
            attempts[row] = number, replace(attempt, sufficient=_has_enough_texture(blocks))
        return attempts

    def _partial_attempt(self, hypothesis: Hypothesis, candidate: Candidate, blocks: BlockCorrelation) -> MatchAttempt:
        inliers = len(hypothesis.cells)
        features = MatchFeatures(candidate.cosine, blocks.blocks, blocks.correlation, hypothesis.matches, inliers)
        match = GeometricMatch(
            probability=self._scorer.partial.probability(features),
            inliers=inliers,
            correlation=blocks.correlation,
            transform=hypothesis.view.affine(hypothesis.transform, candidate.feature_map.sqrt_aspect_ratio),
            region=hypothesis.region,
            inverted=blocks.inverted,
        )
        return MatchAttempt(candidate, match, features, sufficient=False)


def _sufficient_whole(compared: ComparedThumbnails) -> dict[int, BlockCorrelation]:
    """Return the pairs of whole pictures that correlate enough, texture included, by number.

    Of nearly flat pictures, which have hardly any texture, the layout is compared, and of others the pixels.
    """
    near = [
        number
        for number, blocks in enumerate(compared.block_correlations())
        if blocks.blocks and blocks.correlation >= MIN_WHOLE_CORRELATION
    ]
    if not near:
        return {}
    layouts = same_layout(compared.ours[near], compared.theirs[near]).tolist()
    alike = pixel_correlations(compared.ours[near], compared.theirs[near]).tolist()
    return {
        number: blocks if textured else replace(blocks, correlation=max(pixels, blocks.correlation))
        for number, blocks, layout, pixels in zip(near, compared.measured(near), layouts, alike, strict=True)
        if (textured := _has_enough_texture(blocks)) or (layout and _nearly_flat(blocks)) or pixels
    }


def _nearly_flat(blocks: BlockCorrelation) -> bool:
    """Whether there is too little texture to tell by, but more than a dot."""
    textured = 0 if blocks.texture is None else blocks.texture.textured_blocks
    return blocks.blocks >= MIN_LAYOUT_BLOCKS and (blocks.blocks < MIN_BLOCKS or textured < MIN_TEXTURED_BLOCKS)


def _most_inliers(hypotheses: Sequence[Hypothesis]) -> list[Hypothesis]:
    """Return the MAX_VIEWS_SCORED hypotheses of each candidate with the most inliers."""
    kept: list[Hypothesis] = []
    scored = Counter[int]()
    for one in sorted(hypotheses, key=lambda one: -len(one.cells)):
        scored[one.candidate] += 1
        if scored[one.candidate] <= MAX_VIEWS_SCORED:
            kept.append(one)
    return kept


def _has_enough_texture(blocks: BlockCorrelation) -> bool:
    texture = blocks.texture
    return (
        blocks.blocks >= MIN_BLOCKS
        and texture is not None
        and texture.detail_correlation >= MIN_DETAIL_CORRELATION
        and _texture_agrees(blocks)
    )


def _texture_agrees(blocks: BlockCorrelation) -> bool:
    """Whether more agrees than outlines and shading."""
    texture = blocks.texture
    return (
        texture is not None
        and texture.textured_blocks >= MIN_TEXTURED_BLOCKS
        and texture.textured_correlation >= MIN_TEXTURED_CORRELATION
        and texture.residual_correlation >= MIN_RESIDUAL_CORRELATION
    )


def _aligned_texture_agrees(blocks: AlignedCorrelation) -> bool:
    """The same for pictures that keypoints align; one may be the other's negative."""
    return (
        blocks.textured_blocks >= MIN_ALIGNED_BLOCKS
        and abs(blocks.textured_correlation) >= MIN_ALIGNED_CORRELATION
        and abs(blocks.detail_correlation) >= MIN_ALIGNED_DETAIL
        and abs(blocks.residual_correlation) >= MIN_ALIGNED_RESIDUAL
    )


def _probability(attempt: MatchAttempt | None) -> float:
    return 0.0 if attempt is None else attempt.match.probability


def _sufficient_and_probable(attempt: MatchAttempt) -> tuple[bool, float]:
    return attempt.sufficient, attempt.match.probability
