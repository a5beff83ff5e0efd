"""Fits how the verifier reads its evidence: the card's "proof", from a folder of pictures.

    python -m lookalike.training.fit_match_score --pictures DIR [--apart DIR] [--model layers/model/model.onnx]

Changed copies (:mod:`~lookalike.training.augment`) are made of pictures that no head was fitted on; those that learnt.txt names fill the
library. Every copy is compared with its nearest pictures, as a search does, and four logistic regressions learn when
both show the same: of whole pictures, of parts, of parts looked at again, and, last, of corners, where these three leave
it open. The threshold is left as it is.

Two photographs of one scene prove each other, and should, though no folder says which ones they are. So a pair whose
unchanged original already looks like the other picture is left out. What lies in --apart, and what shows the same in
other files, is neither copied nor in the library: the model may be judged by it. Five minutes on two idle cores.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from random import Random
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.progress import track

from lookalike.domain.library import Kind
from lookalike.domain.picture import Embedding, Pixels
from lookalike.embedding.embedder import OnnxEmbedder
from lookalike.embedding.feature_map import FeatureMap, unpack
from lookalike.embedding.model_card import CARD
from lookalike.service.reranking import looking
from lookalike.training import export_onnx
from lookalike.training.augment import attack
from lookalike.training.fit_model import SUFFIXES
from lookalike.verification.keypoints import Keypoints, resized_grey
from lookalike.verification.match_score import LogisticWeights, MatchFeatures, MatchScorer, card_entry, feature_vector
from lookalike.verification.query_views import query_crops, views_of_crops
from lookalike.verification.verifier import (
    MIN_BLOCKS,
    MIN_WHOLE_CORRELATION,
    FeatureMapQueryVerifier,
    FeatureMapVerifier,
)
from lookalike.verification.whole_image import EightOrientations

#: Copies made unless the command line says otherwise.
DEFAULT_COPIES = 760

#: Percent of the copies whose original is kept out of the library.
ABSENT_PERCENT = 20

#: Smallest cosine of two files that are taken for one picture.
MIN_DUPLICATE_COSINE = 0.92

#: Nearest pictures that a copy is compared with.
CANDIDATES_PER_COPY = 25

#: Nearest pictures that are compared by keypoints, whatever the feature maps say.
KEYPOINT_CANDIDATES = 3

#: Smallest probability of an attempt that is matched again and compared by keypoints.
MIN_RETRY_PROBABILITY = 0.01

#: Smallest cosine of two originals that show one scene.
MIN_SCENE_COSINE = 0.65

#: Smallest block correlation of two originals, one laid on the other, that show one scene.
MIN_SCENE_CORRELATION = 0.6

#: Smallest number of inlier cells beside that correlation, where a part is matched.
MIN_SCENE_INLIERS = 20

#: Smallest mean cosine of cells, after rectification, of two originals that show one scene.
MIN_SCENE_CELL_COSINE = 0.45

#: Smallest block correlation of a pair that the feature-map stages are fitted on.
MIN_TRAINING_CORRELATION = 0.25

#: L2 penalty of each stage's regression. Keypoints have few examples, so theirs is small.
RIDGE: Mapping[str, float] = {"whole": 0.3, "part": 0.3, "again": 0.3, "corners": 0.03}

#: Smallest number of positive, and of negative, examples that a stage is fitted to.
MIN_EXAMPLES = 10

_console = Console(stderr=True)

T = TypeVar("T")
R = TypeVar("R")

Stage = str
WHOLE, PARTIAL, RECTIFIED, KEYPOINTS = "whole", "part", "again", "corners"
FEATURES: Mapping[Stage, tuple[str, ...]] = {
    WHOLE: ("cosine", "correlation"),
    PARTIAL: ("cosine", "correlation", "matches", "inliers"),
    RECTIFIED: ("cosine", "correlation", "matches", "inliers", "mean_cell_cosine"),
    KEYPOINTS: ("correlation", "keypoints"),
}


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """A picture that is searched for: its pixels and its views' embeddings."""

    pixels: Pixels
    embeddings: Sequence[Embedding]

    @classmethod
    def of(cls, embedder: OnnxEmbedder, picture: Image.Image) -> Query:
        """Embedded as a search does it."""
        pixels = np.asarray(picture.convert("RGB"))
        return cls(pixels, embedder.embed(query_crops(Kind.SAME, pixels)))

    def cosines(self, library: NDArray[np.float32]) -> NDArray[np.float32]:
        """With each row of the library, the best of all views."""
        vectors = np.stack([one.vectors[Kind.SAME] for one in self.embeddings]).astype(np.float32)
        best: NDArray[np.float32] = (vectors @ library.T).max(axis=0)
        return best

    @property
    def feature_map(self) -> FeatureMap:
        """Of the whole picture. Raises ValueError if the model makes none."""
        made = unpack(self.embeddings[0].feature_map)
        if made is None:
            raise ValueError("the model makes no local maps")
        return made

    def query_verifier(self, embedder: OnnxEmbedder) -> FeatureMapQueryVerifier:
        """Ready to be compared."""
        views = views_of_crops(self.embeddings)
        return FeatureMapVerifier(embedder.match_scorer).query(self.pixels, views, looking(embedder, self.pixels))


@dataclass(frozen=True, slots=True)
class Example:
    """One piece of evidence, by which look, and whether both do show the same."""

    stage: Stage
    features: MatchFeatures
    same: bool


@dataclass(frozen=True, slots=True)
class ComparedPair:
    """A copy beside a picture: what each look says, and whether both do show the same."""

    features: Mapping[Stage, MatchFeatures]
    same: bool


def features_by_stage(
    query: Query, embedder: OnnxEmbedder, candidates: Sequence[tuple[float, FeatureMap, Callable[[], Keypoints] | None]]
) -> list[dict[Stage, MatchFeatures]]:
    """What each look says of each candidate, given its cosine, its local map and, if wanted, its corners.

    The candidates come by cosine.
    """
    query_verifier = query.query_verifier(embedder)
    orientations = EightOrientations(query.feature_map.thumbnail)
    found = []
    for place, (cosine, picture, corners) in enumerate(candidates):
        features, probable = _looks(query_verifier, orientations, cosine, picture)
        if corners is not None and (place < KEYPOINT_CANDIDATES or probable):
            laid = query_verifier.match_by_keypoints(cosine, picture, corners())
            features |= {} if laid is None else {KEYPOINTS: laid.features}
        found.append(features)
    return found


def _looks(
    query_verifier: FeatureMapQueryVerifier, orientations: EightOrientations, cosine: float, picture: FeatureMap
) -> tuple[dict[Stage, MatchFeatures], bool]:
    """What the maps say, and whether it is probable at all."""
    features = {}
    covered = orientations.best_match(picture.thumbnail.astype(np.float32)).correlation
    if covered.blocks >= MIN_BLOCKS:
        features[WHOLE] = MatchFeatures(cosine, covered.blocks, covered.correlation)
    part = query_verifier.match_partial(cosine, picture)
    if part is None:
        return features, False
    if part.sufficient:
        features[PARTIAL] = part.features
    probable = part.match.probability >= MIN_RETRY_PROBABILITY
    if probable:
        again = query_verifier.match_rectified(part)
        if again is not None and again.sufficient:
            features[RECTIFIED] = again.features
    return features, probable


def _is_confusable(features: Mapping[Stage, MatchFeatures]) -> bool:
    """Whether there is anything to be explained, were the two not the same."""
    return bool(features.keys() & {PARTIAL, RECTIFIED, KEYPOINTS}) or (
        WHOLE in features and features[WHOLE].correlation > MIN_TRAINING_CORRELATION
    )


def shows_same_scene(cosine: float, features: Mapping[Stage, MatchFeatures]) -> bool:
    """Whether an unchanged picture looks so much like another that nobody can call them different."""
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
    """A library of pictures, and what is seen when changed copies of some are compared with it."""

    def __init__(
        self,
        embedder: OnnxEmbedder,
        paths: Sequence[Path],
        learnt: frozenset[str],
        seed: int,
        copies: int = DEFAULT_COPIES,
    ) -> None:
        self._embedder, self._paths, self._seed = embedder, paths, seed
        fresh = [number for number, path in enumerate(paths) if _digest(path)[:16] not in learnt]
        Random(seed).shuffle(fresh)
        self.copied = fresh[:copies]
        self._outside = self.copied[: len(self.copied) * ABSENT_PERCENT // 100]
        outside = set(self._outside)
        self._inside = [number for number in range(len(paths)) if number not in outside]
        embedded = _in_parallel("Embedding the library", self._embed, self._inside)
        self._library = np.stack([one.vectors[Kind.SAME] for one in embedded]).astype(np.float32)
        self._maps = [one.feature_map for one in embedded]

    def _original(self, number: int) -> Image.Image:
        return Image.open(self._paths[number]).convert("RGB")

    def _embed(self, number: int) -> Embedding:
        return self._embedder.embed([np.asarray(self._original(number))])[0]

    def compare_copies(self) -> list[list[ComparedPair]]:
        """Of every copy beside its nearest pictures, but for those that show one scene with it."""
        return _in_parallel("Comparing copies", self._compare_copy, self.copied)

    def _compare_copy(self, number: int) -> list[ComparedPair]:
        random = Random(f"proofs {self._seed} {number}")
        behind = self._original(random.choice([other for other in self._outside if other != number]))
        copy = Query.of(self._embedder, attack(self._original(number), behind, random))
        cosines = copy.cosines(self._library)
        nearest = np.argsort(-cosines, kind="stable")[:CANDIDATES_PER_COPY]
        collected = list(self._looks(copy, cosines, nearest))
        strangers = [
            at
            for at, features in zip(nearest, collected, strict=True)
            if _is_confusable(features) and self._inside[at] != number
        ]
        original = Query.of(self._embedder, self._original(number))
        alike = original.cosines(self._library)
        originals = dict(zip(strangers, self._looks(original, alike, strangers, corners=False), strict=True))
        return [
            ComparedPair(features, self._inside[at] == number)
            for at, features in zip(nearest, collected, strict=True)
            if at not in originals or not shows_same_scene(float(alike[at]), originals[at])
        ]

    def _looks(
        self,
        query: Query,
        cosines: NDArray[np.float32],
        numbers: Sequence[int] | NDArray[np.intp],
        *,
        corners: bool = True,
    ) -> Iterator[dict[Stage, MatchFeatures]]:
        maps = [(at, unpack(self._maps[at])) for at in numbers]
        of = [(partial(self._corners, at) if corners else None) for at in numbers]
        candidates = [
            (float(cosines[at]), one, found) for (at, one), found in zip(maps, of, strict=True) if one is not None
        ]
        yield from features_by_stage(query, self._embedder, candidates)

    def _corners(self, at: int) -> Keypoints:
        """Of a picture in the library, as a search sees it."""
        return Keypoints.detect_and_describe(resized_grey(np.asarray(self._original(self._inside[at]))))


def learn(
    copies: Sequence[Sequence[ComparedPair]], before: MatchScorer
) -> tuple[list[Example], dict[Stage, LogisticWeights]]:
    """What there is to learn from, and the regressions of all looks that have enough of it."""
    examples = _all(WHOLE, copies) + _all(PARTIAL, copies) + _all(RECTIFIED, copies)
    fitted = {stage: fit(examples, stage) for stage in (WHOLE, PARTIAL, RECTIFIED) if _has_enough(examples, stage)}
    without = replace(
        before,
        whole=fitted.get(WHOLE, before.whole),
        partial=fitted.get(PARTIAL, before.partial),
        rectified=fitted.get(RECTIFIED, before.rectified),
    )
    examples += _all(KEYPOINTS, [undecided(copy, without) for copy in copies])
    return examples, fitted | ({KEYPOINTS: fit(examples, KEYPOINTS)} if _has_enough(examples, KEYPOINTS) else {})


def undecided(copy: Sequence[ComparedPair], scorer: MatchScorer) -> list[ComparedPair]:
    """Where a search asks for corners: nowhere if a picture is proved without them.

    A copy's own picture is proved most of the time. Then the others are looked at as if it were not in the library, as
    most pictures are not that people search for.
    """
    proved = [_is_verified(one.features, scorer) for one in copy]
    if any(sure and not one.same for one, sure in zip(copy, proved, strict=True)):
        return []
    return [one for one, sure in zip(copy, proved, strict=True) if not sure]


def _is_verified(features: Mapping[Stage, MatchFeatures], scorer: MatchScorer) -> bool:
    """Whether that is proof without corners."""
    read = {WHOLE: scorer.whole, PARTIAL: scorer.partial, RECTIFIED: scorer.rectified}
    return any(
        read[stage].probability(features) >= scorer.min_probability
        for stage, features in features.items()
        if stage in read and (stage != WHOLE or features.correlation >= MIN_WHOLE_CORRELATION)
    )


def _all(stage: Stage, copies: Sequence[Sequence[ComparedPair]]) -> list[Example]:
    return [Example(stage, one.features[stage], one.same) for copy in copies for one in copy if stage in one.features]


def fit(examples: Sequence[Example], stage: Stage) -> LogisticWeights:
    """The logistic regression of one look."""
    mine = [
        one
        for one in examples
        if one.stage == stage and (stage == KEYPOINTS or one.features.correlation > MIN_TRAINING_CORRELATION)
    ]
    columns = FEATURES[stage]
    x = np.array([[*(feature_vector(one.features)[name] for name in columns), -1.0] for one in mine])
    y = np.array([one.same for one in mine], np.float64)
    weights = np.zeros(x.shape[1])
    for _ in range(60):  # Newton's method
        p = 1 / (1 + np.exp(-(x @ weights).clip(-30, 30)))
        slope = x.T @ (p - y) + RIDGE[stage] * weights
        curve = (x * (p * (1 - p))[:, None]).T @ x + RIDGE[stage] * np.eye(len(weights))
        weights -= np.linalg.solve(curve, slope)
    fitted = dict(zip((*columns, "offset"), weights.round(3).tolist(), strict=True))
    return LogisticWeights(**{name: fitted.get(name, 0.0) for name in LogisticWeights.__dataclass_fields__})


def without_duplicates(embedder: OnnxEmbedder, paths: Sequence[Path], judged: Sequence[Path]) -> list[Path]:
    """The pictures that are none of those that something is judged by."""
    if not judged:
        return list(paths)

    def vector(path: Path) -> NDArray[np.float16]:
        return embedder.embed([np.asarray(Image.open(path).convert("RGB"))])[0].vectors[Kind.SAME]

    ours, theirs = (np.stack(_in_parallel("Setting apart", vector, of)).astype(np.float32) for of in (paths, judged))
    return [
        path for path, alike in zip(paths, (ours @ theirs.T).max(axis=1), strict=True) if alike < MIN_DUPLICATE_COSINE
    ]


def find_pictures(folders: Sequence[Path]) -> list[Path]:
    """The pictures in these folders, through and through."""
    return sorted(path for folder in folders for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _in_parallel(doing: str, work: Callable[[T], R], over: Sequence[T]) -> list[R]:
    with ThreadPoolExecutor(2) as pool:
        return list(track(pool.map(work, over), doing, len(over), console=_console, transient=True))


def main(given: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Fit the proof's probabilities from a folder of pictures.")
    parser.add_argument("--pictures", type=Path, required=True, nargs="+", help="folders of pictures")
    parser.add_argument("--apart", type=Path, nargs="+", default=[], help="folders of pictures to judge by, not to use")
    parser.add_argument("--copies", type=int, default=DEFAULT_COPIES)
    parser.add_argument(
        "--model", type=Path, default=export_onnx.FOLDER / "model.onnx", help="the model; its card is changed"
    )
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args(given)
    embedder = OnnxEmbedder(arguments.model)
    paths = without_duplicates(embedder, find_pictures(arguments.pictures), find_pictures(arguments.apart))
    learnt = frozenset((arguments.model.parent / "learnt.txt").read_text().split())
    collection = TrainingLibrary(embedder, paths, learnt, arguments.seed, arguments.copies)
    card = arguments.model.parent / CARD
    content = json.loads(card.read_text())
    examples, fitted = learn(collection.compare_copies(), embedder.match_scorer)
    content["proof"] |= {stage: card_entry(weights) for stage, weights in fitted.items()}
    content["proof"]["remark"] = (
        f"Fitted by proofs.py on {len(collection.copied)} changed copies of pictures that no head was fitted on"
        f"{' and that nothing is judged by' if arguments.apart else ''}, {ABSENT_PERCENT} % of them with nothing to find, each "
        f"with its {CANDIDATES_PER_COPY} nearest; corners where the other looks prove nothing. Pairs that show one scene left out."
    )
    card.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    for stage in FEATURES:
        mine = [one for one in examples if one.stage == stage]
        learnt_of = f"{len(mine)} seen, {sum(one.same for one in mine)} the same"
        print(
            stage,
            f"{learnt_of}:",
            json.dumps(content["proof"][stage]) if stage in fitted else "too few, left as it was",
        )
    return 0


def _has_enough(examples: Sequence[Example], stage: Stage) -> bool:
    same = [one.same for one in examples if one.stage == stage]
    return min(sum(same), len(same) - sum(same)) >= MIN_EXAMPLES


if __name__ == "__main__":
    sys.exit(main())
