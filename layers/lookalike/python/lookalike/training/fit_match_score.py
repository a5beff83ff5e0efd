"""Fits the scorer of geometric matches, the card's "proof", from a folder of pictures.

    python -m lookalike.training.fit_match_score --pictures DIR [--apart DIR] [--model layers/model/model.onnx]

Changed copies (:mod:`~lookalike.training.augment`) are made of pictures that no head was fitted on; those that
learnt.txt names fill the library. Every copy is compared with its nearest pictures, as a search does, and a logistic
regression is fitted to each of four stages: whole pictures, parts, parts after rectification, and, last, keypoints,
where the other three decide nothing. The threshold is left as it is.

Two photographs of one scene match each other, and should, though no folder says which ones they are. So a pair whose
unchanged original already looks like the other picture is left out. Pictures in --apart, and files that show the same,
are neither copied nor in the library: the model may be judged by them. Five minutes on two idle cores.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.domain.library import Kind
from lookalike.embedding.embedder import OnnxEmbedder
from lookalike.embedding.model_path import CARD
from lookalike.training import export_onnx
from lookalike.training.match_examples import (
    ABSENT_PERCENT,
    CANDIDATES_PER_COPY,
    DEFAULT_COPIES,
    FEATURES,
    KEYPOINTS,
    MIN_TRAINING_CORRELATION,
    PARTIAL,
    RECTIFIED,
    WHOLE,
    ComparedPair,
    Example,
    Stage,
    TrainingLibrary,
    in_parallel,
)
from lookalike.training.picture_files import SUFFIXES
from lookalike.verification.match_score import LogisticWeights, MatchFeatures, MatchScorer, card_entry, feature_vector
from lookalike.verification.stages import MIN_WHOLE_CORRELATION

#: Smallest cosine of two files that are taken for one picture.
MIN_DUPLICATE_COSINE = 0.92

#: L2 penalty of each stage's regression. Keypoints have few examples, so theirs is small.
RIDGE: Mapping[Stage, float] = {WHOLE: 0.3, PARTIAL: 0.3, RECTIFIED: 0.3, KEYPOINTS: 0.03}

#: Smallest number of positive, and of negative, examples that a stage is fitted to.
MIN_EXAMPLES = 10


def learn(
    copies: Sequence[Sequence[ComparedPair]], before: MatchScorer
) -> tuple[list[Example], dict[Stage, LogisticWeights]]:
    """Return all examples, and the regressions of the stages that have enough of them.

    Keypoints are fitted where the other stages, as just fitted, decide nothing.
    """
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
    """Return the pairs for which a search comes to keypoints: none if it accepts a wrong match without them.

    A copy's own picture is mostly accepted without them. Then the others count as if it were not in the library, since
    most pictures that people search for are not.
    """
    verified = [_is_verified(one.features, scorer) for one in copy]
    if any(sure and not one.same for one, sure in zip(copy, verified, strict=True)):
        return []
    return [one for one, sure in zip(copy, verified, strict=True) if not sure]


def _is_verified(features: Mapping[Stage, MatchFeatures], scorer: MatchScorer) -> bool:
    """Whether a search accepts the match without keypoints."""
    weights = {WHOLE: scorer.whole, PARTIAL: scorer.partial, RECTIFIED: scorer.rectified}
    return any(
        weights[stage].probability(found) >= scorer.min_probability
        for stage, found in features.items()
        if stage in weights and (stage != WHOLE or found.correlation >= MIN_WHOLE_CORRELATION)
    )


def _all(stage: Stage, copies: Sequence[Sequence[ComparedPair]]) -> list[Example]:
    return [Example(stage, one.features[stage], one.same) for copy in copies for one in copy if stage in one.features]


def fit(examples: Sequence[Example], stage: Stage) -> LogisticWeights:
    """Return the logistic regression of one stage, with an L2 penalty."""
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
    return LogisticWeights(**{name: fitted.get(name, 0.0) for name in (one.name for one in fields(LogisticWeights))})


def without_duplicates(embedder: OnnxEmbedder, paths: Sequence[Path], judged: Sequence[Path]) -> list[Path]:
    """Return the files that show none of the ``judged`` pictures."""
    if not judged:
        return list(paths)

    def vector(path: Path) -> NDArray[np.float16]:
        return embedder.embed([np.asarray(Image.open(path).convert("RGB"))])[0].vectors[Kind.SAME]

    ours, theirs = (np.stack(in_parallel("Setting apart", vector, of)).astype(np.float32) for of in (paths, judged))
    return [
        path for path, alike in zip(paths, (ours @ theirs.T).max(axis=1), strict=True) if alike < MIN_DUPLICATE_COSINE
    ]


def find_pictures(folders: Sequence[Path]) -> list[Path]:
    """Return the picture files in these folders and all below them, sorted."""
    return sorted(path for folder in folders for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)


def main(given: Sequence[str] | None = None) -> int:
    """Run the command line."""
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
    library = TrainingLibrary(embedder, paths, learnt, arguments.seed, arguments.copies)
    card = arguments.model.parent / CARD
    content = json.loads(card.read_text())
    examples, fitted = learn(library.compare_copies(), embedder.match_scorer)
    content["proof"] |= {stage: card_entry(weights) for stage, weights in fitted.items()}
    content["proof"]["remark"] = (
        f"Fitted by fit_match_score on {len(library.copied)} changed copies of pictures that no head was fitted on"
        f"{' and that nothing is judged by' if arguments.apart else ''}, {ABSENT_PERCENT} % of them with nothing to find, each "
        f"with its {CANDIDATES_PER_COPY} nearest; keypoints where feature maps decide nothing. Pairs that show one scene left out."
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
