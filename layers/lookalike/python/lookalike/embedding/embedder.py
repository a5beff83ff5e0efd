"""The embedder: one pass of an ONNX model returns a vector for each kind, and the feature map."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.keypoints import Keypoints
from lookalike.domain.library import Kind
from lookalike.domain.picture import DIMENSION, Embedding, Pixels
from lookalike.embedding import keypoint_card, model_card
from lookalike.embedding.feature_map import CELLS_SHAPE, FeatureMap, thumbnail
from lookalike.embedding.keypoint_detector import OnnxKeypointDetector
from lookalike.embedding.preprocess import square
from lookalike.embedding.session import open_session
from lookalike.errors import ModelError
from lookalike.once import once
from lookalike.ports import Embedder
from lookalike.verification.match_score import MatchScorer

INPUT = "pictures"
MAP = "map"


class OnnxEmbedder(Embedder):
    """Runs an ONNX file with a card beside it.

    The graph takes ``pictures``, uint8 RGB (N, side, side, 3), and returns ``same``, ``similar`` and ``product``, each
    float32 (N, 256) and L2-normalised, and, if its card names it, ``map``, int8 (N, 14, 14, 32).

    Parameters
    ----------
    model : the ONNX file.
    threads : threads of one pass. One is best where requests run side by side.
    keypoints : the ONNX file that detects keypoints. It is checked at once, and loaded when keypoints are first wanted.

    Raises
    ------
    ModelError : the file cannot be used; one line gives the reason.
    """

    def __init__(self, model: Path, threads: int = 1, keypoints: Path | None = None) -> None:
        self._card = model_card.load(model)
        self._keypoint_model, self._threads = keypoints or keypoint_card.find_keypoint_model(model), threads
        keypoint_card.check(self._keypoint_model)
        self._outputs = [*Kind, *([MAP] if self._card.has_feature_map else [])]
        self._session = open_session(model, threads)
        answered = {output.name: output.shape for output in self._session.get_outputs()}
        if missing := [name for name in self._outputs if name not in answered]:
            raise ModelError(f"{model}: it does not answer {', '.join(missing)}, as its card says it does")
        for kind in Kind:
            if answered[kind][-1] != DIMENSION:
                raise ModelError(f"{model}: its output {kind} has {answered[kind][-1]} numbers, not {DIMENSION}")
        if self._card.has_feature_map and tuple(answered[MAP][1:]) != CELLS_SHAPE:
            raise ModelError(f"{model}: its output {MAP} has the shape {answered[MAP]}, not (N, *{CELLS_SHAPE})")

    @property
    def model(self) -> str:
        """The model's name in its card."""
        return self._card.name

    def embed(self, pictures: Sequence[Pixels]) -> list[Embedding]:
        """Return one embedding a picture, uint8 RGB (height, width, 3).

        Each is a pass of its own: a batch is no faster on a CPU, and takes more memory.
        """
        return [self._embed(pixels) for pixels in pictures]

    def seen(self, pixels: Pixels) -> Pixels:
        """Return the square that the model takes, uint8 RGB (side, side, 3)."""
        return square(pixels, self._card.side)

    def keypoints(self, pixels: Pixels) -> Keypoints:
        """Return the keypoints of a picture, uint8 RGB (height, width, 3). Raises ModelError if their model cannot be loaded."""
        return self._detector.detect(pixels)

    @once
    def _detector(self) -> OnnxKeypointDetector:
        return OnnxKeypointDetector(self._keypoint_model, self._threads)

    def _embed(self, pixels: Pixels) -> Embedding:
        squared = self.seen(pixels)
        answers = dict(zip(self._outputs, self._session.run(self._outputs, {INPUT: squared[None]}), strict=True))
        # Rounded once, here, so that every store keeps the same numbers.
        vectors = {kind: answers[kind][0].astype(np.float16) for kind in Kind}
        if not self._card.has_feature_map:
            return Embedding(vectors)
        height, width = pixels.shape[:2]
        return Embedding(vectors, FeatureMap(width, height, answers[MAP][0], thumbnail(squared)).pack())

    def score(self, kind: Kind, cosine: float) -> float:
        """Return the calibrated score of a cosine, in (0, 1)."""
        return self._card.calibration[kind].score(cosine)

    def threshold(self, kind: Kind) -> float:
        """Return the cosine from which on a picture counts as found."""
        return self._card.calibration[kind].threshold

    @property
    def match_scorer(self) -> MatchScorer:
        """The card's scorer of geometric matches."""
        return self._card.match_scorer

    def codebook(self, kind: Kind) -> NDArray[np.float32]:
        """Return the product quantiser's centroids for vectors of this kind, float32 (128, 16, 2)."""
        return self._card.codebooks[kind]
