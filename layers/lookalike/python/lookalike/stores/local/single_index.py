"""One index for whatever model."""

from __future__ import annotations

from lookalike.errors import SettingsError
from lookalike.ports import Embedder, Indices, VectorIndex


class SingleIndex(Indices):
    """Answers the same index for every model, and makes and drops none."""

    def __init__(self, index: VectorIndex) -> None:
        self._index = index

    def of(self, model: Embedder) -> VectorIndex:
        """Return the index."""
        return self._index

    def make(self, model: Embedder) -> None:
        raise SettingsError(f"{model.model}: no further index is made here")

    def drop(self, model: str, live: str) -> None:
        raise SettingsError(f"{model}: no index is dropped here")
