"""The embedder: one pass of an ONNX model makes a vector per kind and the local map."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from lookalike.domain.library import Kind
from lookalike.domain.picture import DIMENSION, Embedding, Pixels
from lookalike.embedding import model_card
from lookalike.embedding.feature_map import CELLS, LocalMap, thumbnail
from lookalike.embedding.preprocess import square
from lookalike.errors import ModelError
from lookalike.ports import Embedder
from lookalike.verification.match_score import ProofCalibration

INPUT = "pictures"
MAP = "map"


class OnnxEmbedder(Embedder):
    """Runs an ONNX file with a card beside it.

    The graph takes ``pictures``, uint8 RGB of shape (N, side, side, 3), and answers ``same``, ``similar`` and
    ``product``, each float32 (N, 256) and L2-normalised, and, if its card names it, ``map``, int8.

    Parameters
    ----------
    model : the ONNX file.
    threads : how many threads one pass uses. One is best where requests come side by side.

    Raises
    ------
    ModelError : the file cannot be used; one line says why.
    """

    def __init__(self, model: Path, threads: int = 1) -> None:
        self._card = model_card.load(model)
        self._outputs = [*Kind, *([MAP] if self._card.local_map else [])]
        self._session = _session(model, threads)
        answered = {output.name: output.shape for output in self._session.get_outputs()}
        if missing := [name for name in self._outputs if name not in answered]:
            raise ModelError(f"{model}: it does not answer {', '.join(missing)}, as its card says it does")
        for kind in Kind:
            if answered[kind][-1] != DIMENSION:
                raise ModelError(f"{model}: its output {kind} has {answered[kind][-1]} numbers, not {DIMENSION}")
        if self._card.local_map and tuple(answered[MAP][1:]) != CELLS:
            raise ModelError(f"{model}: its output {MAP} has the shape {answered[MAP]}, not (N, *{CELLS})")

    @property
    def model(self) -> str:
        """The card's name of the model."""
        return self._card.name

    def embed(self, pictures: Sequence[Pixels]) -> list[Embedding]:
        """One embedding per picture.

        Each is a pass of its own: several in one are no faster on a CPU, and their memory adds up.
        """
        return [self._embed(pixels) for pixels in pictures]

    def _embed(self, pixels: Pixels) -> Embedding:
        squared = square(pixels, self._card.side)
        answers = dict(zip(self._outputs, self._session.run(self._outputs, {INPUT: squared[None]}), strict=True))
        # Rounded here, once, so that every store keeps the same numbers.
        vectors = {kind: answers[kind][0].astype(np.float16) for kind in Kind}
        if not self._card.local_map:
            return Embedding(vectors)
        height, width = pixels.shape[:2]
        return Embedding(vectors, LocalMap(width, height, answers[MAP][0], thumbnail(squared)).pack())

    def score(self, kind: Kind, cosine: float) -> float:
        """The calibrated score of a cosine, in (0, 1)."""
        return self._card.calibration[kind].score(cosine)

    def threshold(self, kind: Kind) -> float:
        """The cosine from which a picture counts as found."""
        return self._card.calibration[kind].threshold

    @property
    def proof(self) -> ProofCalibration:
        """How what a verifier sees of two local maps is to be read."""
        return self._card.proof

    def codebook(self, kind: Kind) -> NDArray[np.float32]:
        """The product quantiser's centroids for vectors of this kind, float32 (128, 16, 2)."""
        return self._card.codebooks[kind]


def _session(model: Path, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # waiting threads leave the core alone
    options.log_severity_level = 4  # what goes wrong is raised; it need not be printed as well
    try:
        return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions have no common base but this
        reason = str(error).splitlines()[0]
        raise ModelError(f"{model}: onnxruntime cannot load it: {reason}") from error
