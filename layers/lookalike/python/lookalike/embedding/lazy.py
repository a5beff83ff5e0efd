"""The model and its verifier, loaded on first use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lookalike.domain.geometry import QueryView
from lookalike.domain.library import Kind
from lookalike.domain.picture import Embedding, Pixels
from lookalike.embedding.model_path import find_model
from lookalike.once import once
from lookalike.ports import Embedder, QueryVerifier, Verifier

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lookalike.domain.keypoints import Keypoints
    from lookalike.embedding.embedder import OnnxEmbedder
    from lookalike.verification.verifier import FeatureMapVerifier


class LazyEmbedder(Embedder):
    """An OnnxEmbedder that is loaded on first use, which raises ModelError if that fails.

    Parameters
    ----------
    model : the configured ONNX file, if any.
    threads : threads of one pass.
    """

    def __init__(self, model: str | None, threads: int) -> None:
        self._model = model
        self._threads = threads

    @once
    def loaded(self) -> OnnxEmbedder:
        """The embedder, loaded."""
        from lookalike.embedding.embedder import OnnxEmbedder  # noqa: PLC0415 - onnxruntime is slow to import

        return OnnxEmbedder(find_model(self._model), threads=self._threads)

    @property
    def model(self) -> str:
        return self.loaded.model

    def embed(self, pictures: Sequence[Pixels]) -> Sequence[Embedding]:
        return self.loaded.embed(pictures)

    def keypoints(self, pixels: Pixels) -> Keypoints:
        return self.loaded.keypoints(pixels)

    def score(self, kind: Kind, cosine: float) -> float:
        return self.loaded.score(kind, cosine)

    def threshold(self, kind: Kind) -> float:
        return self.loaded.threshold(kind)

    def codebook(self, kind: Kind) -> NDArray[np.float32]:
        return self.loaded.codebook(kind)


class LazyVerifier(Verifier):
    """A FeatureMapVerifier with the scorer of an embedder's model, which its first use loads."""

    def __init__(self, embedder: LazyEmbedder) -> None:
        self._embedder = embedder

    @once
    def loaded(self) -> FeatureMapVerifier:
        """The verifier, loaded."""
        from lookalike.verification.verifier import FeatureMapVerifier  # noqa: PLC0415 - few functions need it

        return FeatureMapVerifier(self._embedder.loaded.match_scorer)

    def query(self, pixels: Pixels, views: Sequence[QueryView]) -> QueryVerifier:
        return self.loaded.query(pixels, views)
