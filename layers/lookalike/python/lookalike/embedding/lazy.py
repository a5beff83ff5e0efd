"""The model and its verifier, loaded by their first use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lookalike.domain.geometry import View
from lookalike.domain.library import Kind
from lookalike.domain.picture import Embedding, Pixels
from lookalike.embedding.model_path import find_model
from lookalike.once import once
from lookalike.ports import Comparison, Embedder, Look, Verifier

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lookalike.embedding.embedder import OnnxEmbedder
    from lookalike.verification.verifier import LocalMapVerifier


class LazyEmbedder(Embedder):
    """An OnnxEmbedder that its first use loads, and raises ModelError where that fails.

    Parameters
    ----------
    model : the ONNX file that is configured, if one is.
    threads : how many threads one pass uses.
    """

    def __init__(self, model: str | None, threads: int) -> None:
        self._model = model
        self._threads = threads

    @once
    def loaded(self) -> OnnxEmbedder:
        """The embedder itself."""
        from lookalike.embedding.embedder import OnnxEmbedder  # noqa: PLC0415 - onnxruntime is slow to import

        return OnnxEmbedder(find_model(self._model), threads=self._threads)

    @property
    def model(self) -> str:
        return self.loaded.model

    def embed(self, pictures: Sequence[Pixels]) -> Sequence[Embedding]:
        return self.loaded.embed(pictures)

    def score(self, kind: Kind, cosine: float) -> float:
        return self.loaded.score(kind, cosine)

    def threshold(self, kind: Kind) -> float:
        return self.loaded.threshold(kind)

    def codebook(self, kind: Kind) -> NDArray[np.float32]:
        return self.loaded.codebook(kind)


class LazyVerifier(Verifier):
    """A LocalMapVerifier calibrated for the model of an embedder, which its first use loads."""

    def __init__(self, embedder: LazyEmbedder) -> None:
        self._embedder = embedder

    @once
    def loaded(self) -> LocalMapVerifier:
        """The verifier itself."""
        from lookalike.verification.verifier import LocalMapVerifier  # noqa: PLC0415 - few functions need it

        return LocalMapVerifier(self._embedder.loaded.proof)

    def compare(self, pixels: Pixels, views: Sequence[View], look: Look) -> Comparison:
        return self.loaded.compare(pixels, views, look)
