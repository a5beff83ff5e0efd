"""The configured model, and those that are kept beside the pictures."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lookalike.domain.model_change import ModelRef, ModelsInUse
from lookalike.embedding.lazy import KeptEmbedder, LazyVerifier
from lookalike.embedding.model_path import CARD, CODEBOOKS, GRAPH, find_model, read_file
from lookalike.errors import ModelError
from lookalike.ports import Embedder, Models, Verifier

if TYPE_CHECKING:
    from lookalike.ports import Stores

#: Hexadecimal digits of a digest that name a model's card and graph.
_DIGITS = 16


def model_files(model: Path) -> Mapping[str, bytes]:
    """Return the three files of a model, given its ONNX file. Raises ModelError."""
    folder = model.parent
    return {GRAPH: read_file(model), CODEBOOKS: read_file(folder / CODEBOOKS), CARD: read_file(folder / CARD)}


def ref_of(card: bytes) -> ModelRef:
    """Return what names the model of a card. Raises ModelError."""
    try:
        content = json.loads(card)
        name, graph = str(content["name"]), str(content["files"][GRAPH])
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"not a model's card: {error!r}") from error
    return ModelRef(name, hashlib.sha256(card).hexdigest()[:_DIGITS], graph[:_DIGITS])


class KeptModels(Models):
    """Opens each model once.

    Parameters
    ----------
    configured : the model that the settings name, or None for the one that comes along; with its embedder and verifier.
    threads : threads of one pass.
    stores : where models are kept, and which are in use.
    seconds : for which the models in use are remembered. With 0 they are read by every call.
    """

    def __init__(
        self,
        configured: tuple[str | None, Embedder, Verifier],
        threads: int,
        stores: Callable[[], Stores],
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path, *_ = configured
        self._configured = configured[1:]
        self._threads = threads
        self._stores = stores
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._opened: dict[str, tuple[Embedder, Verifier]] = {}
        self._remembered: tuple[float, ModelsInUse | None] | None = None

    def in_use(self) -> ModelsInUse | None:
        remembered = self._remembered
        if remembered is not None and self._clock() < remembered[0]:
            return remembered[1]
        models = self._stores().embeddings.models()
        if self._seconds:
            self._remembered = self._clock() + self._seconds, models
        return models

    def configured(self) -> ModelRef:
        return ref_of(read_file(find_model(self._path).parent / CARD))

    def configured_files(self) -> Mapping[str, bytes]:
        return model_files(find_model(self._path))

    def opened(self, ref: ModelRef) -> tuple[Embedder, Verifier]:
        known = self._opened.get(ref.card)
        if known is not None:
            return known
        with self._lock:
            if ref.card not in self._opened:
                self._opened[ref.card] = self._open(ref)
            return self._opened[ref.card]

    def _open(self, ref: ModelRef) -> tuple[Embedder, Verifier]:
        if self._is_configured(ref):
            return self._configured
        embedder = KeptEmbedder(ref.name, lambda: self._stores().model_files.folder(ref.card), self._threads)
        return embedder, LazyVerifier(embedder)

    def _is_configured(self, ref: ModelRef) -> bool:
        """Whether the settings name this very model; False if what they name is not there."""
        try:
            return self.configured().card == ref.card
        except ModelError:
            return False
