"""The model and its verifier, loaded on first use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lookalike.domain.geometry import QueryView
from lookalike.domain.library import Kind
from lookalike.domain.picture import Embedding, Pixels
from lookalike.embedding.model_path import GRAPH, find_model
from lookalike.errors import ModelError
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

    def seen(self, pixels: Pixels) -> Pixels:
        return self.loaded.seen(pixels)

    def keypoints(self, pixels: Pixels) -> Keypoints:
        return self.loaded.keypoints(pixels)

    def score(self, kind: Kind, cosine: float) -> float:
        return self.loaded.score(kind, cosine)

    def threshold(self, kind: Kind) -> float:
        return self.loaded.threshold(kind)

    def codebook(self, kind: Kind) -> NDArray[np.float32]:
        return self.loaded.codebook(kind)


class KeptEmbedder(LazyEmbedder):
    """An embedder of a model that is kept beside the pictures, whose name is known before it is loaded.

    Parameters
    ----------
    name : in the model's card.
    folder : returns the folder of its files. May raise ModelError or Unavailable.
    threads : threads of one pass.
    """

    def __init__(self, name: str, folder: Callable[[], Path], threads: int) -> None:
        super().__init__(None, threads)
        self._name = name
        self._folder = folder

    @once
    def loaded(self) -> OnnxEmbedder:
        """The embedder, loaded. Raises ModelError if it is another model."""
        from lookalike.embedding.embedder import OnnxEmbedder  # noqa: PLC0415 - onnxruntime is slow to import

        folder = self._folder()
        loaded = OnnxEmbedder(folder / GRAPH, threads=self._threads)
        if loaded.model != self._name:
            raise ModelError(f"{folder}: its model is {loaded.model}, not {self._name}")
        return loaded

    @property
    def model(self) -> str:
        return self._name


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
