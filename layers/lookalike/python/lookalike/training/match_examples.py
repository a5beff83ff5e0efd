"""Examples to fit the match score on: changed copies of pictures beside their nearest neighbours in a library."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import count, takewhile
from pathlib import Path
from random import Random
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.progress import track

from lookalike.domain.keypoints import Keypoints, KeypointView, Original
from lookalike.domain.library import Kind
from lookalike.domain.picture import Embedding, Pixels
from lookalike.embedding.embedder import OnnxEmbedder
from lookalike.embedding.feature_map import FeatureMap, unpack
from lookalike.service.looks import query_views
from lookalike.training.augment import augment_copy
from lookalike.training.fitted_card import sha256
from lookalike.training.fitted_views import fitted_crops, fitted_views
from lookalike.verification.match_score import MatchFeatures
from lookalike.verification.stages import (
    MIN_BLOCKS,
    Candidate,
    MatchAttempt,
    QueryMatcher,
    Rectification,
    rectification_of,
)
from lookalike.verification.verifier import MIN_REFINED_CORRELATION, FeatureMapVerifier
from lookalike.verification.whole_image import EightOrientations

#: Copies made unless the command line says otherwise.
DEFAULT_COPIES = 760

#: Percent of the copies whose original is kept out of the library.
ABSENT_PERCENT = 20

#: Nearest pictures that a copy is compared with.
CANDIDATES_PER_COPY = 25

#: Nearest pictures that are compared by keypoints, whatever the feature maps say.
KEYPOINT_CANDIDATES = 3

#: Smallest probability of an attempt that is matched again and compared by keypoints.
MIN_RETRY_PROBABILITY = 0.01

#: Smallest cosine of two originals that show one scene.
MIN_SCENE_COSINE = 0.65

#: Smallest block correlation of two originals, one warped onto the other, that show one scene.
MIN_SCENE_CORRELATION = 0.6

#: Smallest number of inlier cells beside that correlation, where a part is matched.
MIN_SCENE_INLIERS = 20

#: Smallest mean cosine of cells, after rectification, of two originals that show one scene.
MIN_SCENE_CELL_COSINE = 0.45

#: Smallest block correlation of a pair that the feature-map stages are fitted on.
MIN_TRAINING_CORRELATION = 0.25

_console = Console(stderr=True)

T = TypeVar("T")
R = TypeVar("R")

Stage = str
"""A stage of verification, by its key in a model's card."""

WHOLE: Stage = "whole"
PARTIAL: Stage = "part"
RECTIFIED: Stage = "again"
KEYPOINTS: Stage = "corners"

#: The features that each stage's regression weighs.
FEATURES: Mapping[Stage, tuple[str, ...]] = {
    WHOLE: ("cosine", "correlation"),
    PARTIAL: ("cosine", "correlation", "matches", "inliers"),
    RECTIFIED: ("cosine", "correlation", "matches", "inliers", "mean_cell_cosine"),
    KEYPOINTS: ("correlation", "keypoints"),
}


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """A picture that is searched for: uint8 RGB pixels, and the embeddings of its fitted views."""

    pixels: Pixels
    embeddings: Sequence[Embedding]

    @classmethod
    def of(cls, embedder: OnnxEmbedder, picture: Image.Image) -> Query:
        """Return the query, embedded in its fitted views."""
        pixels = np.asarray(picture.convert("RGB"))
        return cls(pixels, embedder.embed(fitted_crops(Kind.SAME, pixels)))

    def cosines(self, library: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the largest cosine of all crops with each row of the library, float32 (rows,)."""
        vectors = np.stack([one.vectors[Kind.SAME] for one in self.embeddings]).astype(np.float32)
        best: NDArray[np.float32] = (vectors @ library.T).max(axis=0)
        return best

    @property
    def feature_map(self) -> FeatureMap:
        """The feature map of the whole query. Raises ValueError if the model makes none."""
        made = unpack(self.embeddings[0].feature_map)
        if made is None:
            raise ValueError("the model makes no local maps")
        return made

    def matcher(self, embedder: OnnxEmbedder) -> QueryMatcher:
        """Return the query, ready for single stages."""
        views = query_views(fitted_views(Kind.SAME, self.pixels), self.embeddings)
        return FeatureMapVerifier(embedder.match_scorer).query(self.pixels, views).matcher


@dataclass(frozen=True, slots=True)
class Example:
    """The features of one stage for one pair, and whether both show the same."""

    stage: Stage
    features: MatchFeatures
    same: bool


@dataclass(frozen=True, slots=True)
class ComparedPair:
    """A copy beside a picture: the features of each stage, and whether both show the same."""

    features: Mapping[Stage, MatchFeatures]
    same: bool


def features_by_stage(
    query: Query, embedder: OnnxEmbedder, candidates: Sequence[tuple[Candidate, Callable[[], Original] | None]]
) -> list[dict[Stage, MatchFeatures]]:
    """Return the features of each candidate's stages. The candidates come by cosine.

    Each has a function that loads its original, or None to leave that stage out.
    """
    stages = SingleStages(query, embedder)
    found = []
    for place, (candidate, original) in enumerate(candidates):
        features, probable = stages.by_feature_maps(candidate)
        if original is not None and (place < KEYPOINT_CANDIDATES or probable):
            features |= stages.by_keypoints(candidate, original())
        found.append(features)
    return found


class SingleStages:
    """Runs the stages of verification one by one, whether or not a search would come to them."""

    def __init__(self, query: Query, embedder: OnnxEmbedder) -> None:
        self.matcher = query.matcher(embedder)
        self._query, self._embedder = query, embedder
        self._orientations = EightOrientations(query.feature_map.thumbnail)

    def by_feature_maps(self, candidate: Candidate) -> tuple[dict[Stage, MatchFeatures], bool]:
        """Return the features of the feature-map stages, and whether any match is probable at all."""
        features = {}
        thumbnails = candidate.feature_map.thumbnail[None].astype(np.float32)
        (blocks,) = self._orientations.best_matches(thumbnails).thumbnails.block_correlations()
        if blocks.blocks >= MIN_BLOCKS:
            features[WHOLE] = MatchFeatures(candidate.cosine, blocks.blocks, blocks.correlation)
        (partial_match,) = self.matcher.match_partial([candidate])
        if partial_match is None:
            return features, False
        if partial_match.sufficient:
            features[PARTIAL] = partial_match.features
        probable = partial_match.match.probability >= MIN_RETRY_PROBABILITY
        if probable:
            rectified = self.rematch(rectification_of(partial_match))
            if rectified is not None and rectified.sufficient:
                features[RECTIFIED] = rectified.features
        return features, probable

    def by_keypoints(self, candidate: Candidate, original: Original) -> dict[Stage, MatchFeatures]:
        """Return the features of the most probable match by keypoints, if there is one, of all views of the query."""
        found = list[MatchAttempt | None]()
        for view, keypoints in self._keypoints:
            attempt = self.matcher.match_keypoints(candidate, view, keypoints, original)
            likely = attempt is not None and attempt.match.correlation >= MIN_REFINED_CORRELATION
            refined = self.matcher.refined_view(attempt) if attempt is not None and likely else None
            found.append(attempt)
            if refined is not None:
                again = self._embedder.keypoints(refined.pixels)
                found.append(self.matcher.match_keypoints(candidate, refined, again, original))
        sufficient = [attempt for attempt in found if attempt is not None and attempt.sufficient]
        best = max(sufficient, key=lambda attempt: attempt.match.probability, default=None)
        return {} if best is None else {KEYPOINTS: best.features}

    @cached_property
    def _keypoints(self) -> list[tuple[KeypointView, Keypoints]]:
        views = (self.matcher.keypoint_views.view(number) for number in count())
        return [(view, self._embedder.keypoints(view.pixels)) for view in takewhile(bool, views) if view is not None]

    def rematch(self, rectification: Rectification | None) -> MatchAttempt | None:
        """Embed the rectified query and match it again."""
        if rectification is None:
            return None
        (embedding,) = self._embedder.embed([rectification.warp(self.matcher.picture.colour)])
        (attempt,) = self.matcher.match_rectified([(rectification, embedding.feature_map)])
        return attempt


def _is_confusable(features: Mapping[Stage, MatchFeatures]) -> bool:
    """Whether a pair that does not show the same could be taken for one that does."""
    return bool(features.keys() & {PARTIAL, RECTIFIED, KEYPOINTS}) or (
        WHOLE in features and features[WHOLE].correlation > MIN_TRAINING_CORRELATION
    )


def shows_same_scene(cosine: float, features: Mapping[Stage, MatchFeatures]) -> bool:
    """Whether two unchanged pictures are so alike that they count as one scene, neither same nor different."""
    whole, part, again = (features.get(name) for name in (WHOLE, PARTIAL, RECTIFIED))
    return (
        cosine >= MIN_SCENE_COSINE
        or (whole is not None and whole.correlation >= MIN_SCENE_CORRELATION)
        or (part is not None and part.correlation >= MIN_SCENE_CORRELATION and part.inliers >= MIN_SCENE_INLIERS)
        or (
            again is not None
            and again.mean_cell_cosine >= MIN_SCENE_CELL_COSINE
            and again.inliers >= 2 * MIN_SCENE_INLIERS
        )
    )


class TrainingLibrary:
    """A library of pictures that changed copies of some of them are compared with.

    Parameters
    ----------
    embedder : the model.
    paths : the pictures' files.
    learnt : the first 16 hex digits of SHA-256 of files that the model was fitted on: they are never copied.
    seed : of all random choices.
    copies : how many pictures are copied.
    """

    def __init__(
        self,
        embedder: OnnxEmbedder,
        paths: Sequence[Path],
        learnt: frozenset[str],
        seed: int,
        copies: int = DEFAULT_COPIES,
    ) -> None:
        self._embedder, self._paths, self._seed = embedder, paths, seed
        fresh = [number for number, path in enumerate(paths) if sha256(path)[:16] not in learnt]
        Random(seed).shuffle(fresh)
        self.copied = fresh[:copies]
        self._outside = self.copied[: len(self.copied) * ABSENT_PERCENT // 100]
        outside = set(self._outside)
        self._inside = [number for number in range(len(paths)) if number not in outside]
        embedded = in_parallel("Embedding the library", self._embed, self._inside)
        self._library = np.stack([one.vectors[Kind.SAME] for one in embedded]).astype(np.float32)
        self._maps = [one.feature_map for one in embedded]

    def _original(self, number: int) -> Image.Image:
        return Image.open(self._paths[number]).convert("RGB")

    def _embed(self, number: int) -> Embedding:
        return self._embedder.embed([np.asarray(self._original(number))])[0]

    def compare_copies(self) -> list[list[ComparedPair]]:
        """Return every copy's pairs with its nearest pictures, without those that show one scene with it."""
        return in_parallel("Comparing copies", self._compare_copy, self.copied)

    def _compare_copy(self, number: int) -> list[ComparedPair]:
        random = Random(f"proofs {self._seed} {number}")
        behind = self._original(random.choice([other for other in self._outside if other != number]))
        copy = Query.of(self._embedder, augment_copy(self._original(number), behind, random))
        cosines = copy.cosines(self._library)
        nearest = np.argsort(-cosines, kind="stable")[:CANDIDATES_PER_COPY]
        collected = list(self._features(copy, cosines, nearest))
        strangers = [
            at
            for at, features in zip(nearest, collected, strict=True)
            if _is_confusable(features) and self._inside[at] != number
        ]
        original = Query.of(self._embedder, self._original(number))
        alike = original.cosines(self._library)
        originals = dict(zip(strangers, self._features(original, alike, strangers, keypoints=False), strict=True))
        return [
            ComparedPair(features, self._inside[at] == number)
            for at, features in zip(nearest, collected, strict=True)
            if at not in originals or not shows_same_scene(float(alike[at]), originals[at])
        ]

    def _features(
        self,
        query: Query,
        cosines: NDArray[np.float32],
        numbers: Sequence[int] | NDArray[np.intp],
        *,
        keypoints: bool = True,
    ) -> Iterator[dict[Stage, MatchFeatures]]:
        maps = [(at, unpack(self._maps[at])) for at in numbers]
        candidates = [
            (Candidate(float(cosines[at]), made), partial(self._original_of, at) if keypoints else None)
            for at, made in maps
            if made is not None
        ]
        yield from features_by_stage(query, self._embedder, candidates)

    def _original_of(self, at: int) -> Original:
        """Return a picture in the library as a search matches keypoints with it."""
        pixels = np.asarray(self._original(self._inside[at]))
        return Original(pixels, self._embedder.keypoints(pixels))


def in_parallel(doing: str, work: Callable[[T], R], over: Sequence[T]) -> list[R]:
    """Return ``work`` of each element, in order, computed on two threads, with a progress bar."""
    with ThreadPoolExecutor(2) as pool:
        return list(track(pool.map(work, over), doing, len(over), console=_console, transient=True))
