"""What other models than the one in a picture's row make of it, and the models themselves."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from lookalike.domain.model_change import ModelRef, ModelsInUse
from lookalike.ports.catalog import Catalog
from lookalike.ports.index import VectorIndex
from lookalike.ports.models import Embedder, Verifier
from lookalike.ports.objects import MapStore

if TYPE_CHECKING:
    from lookalike.domain.picture import Vector


class Embeddings(Protocol):
    """Vectors and local maps by the name of their model and by object key; and which models are in use.

    A row has the vector of one model itself. Every write is durable on return. Every method may raise Unavailable.
    """

    @abstractmethod
    def models(self) -> ModelsInUse | None:
        """Return the models in use; None if they were never changed. Sees every write that had returned before."""

    @abstractmethod
    def save_models(self, models: ModelsInUse, previous: ModelsInUse | None) -> ModelsInUse:
        """Write the models in place of ``previous``; return them with their new revision.

        Raises RevisionConflict if others are stored; nothing has changed then.
        """

    @abstractmethod
    def forget_models(self) -> None:
        """Forget that models were ever changed."""

    @abstractmethod
    def put(self, model: str, key: str, vector: Vector, feature_map: bytes) -> None:
        """Store what a model makes of the original of an object key, in place of what is there."""

    @abstractmethod
    def vectors(self, model: str, keys: Sequence[str]) -> Mapping[str, Vector]:
        """Return the vectors that there are, by object key. Sees every write that had returned before the call."""

    @abstractmethod
    def maps(self, model: str, keys: Sequence[str]) -> Mapping[str, bytes]:
        """Return the local maps that there are, by object key; empty bytes where the model makes none."""

    @abstractmethod
    def remove(self, models: Sequence[str], keys: Sequence[str]) -> None:
        """Remove what these models made of these; unknown ones are ignored."""

    @abstractmethod
    def keys(self, model: str) -> Iterator[Sequence[str]]:
        """Iterate over the object keys of a model, in batches and in no order. One put meanwhile may be missing."""


class ModelFiles(Protocol):
    """The files of models, by the digest of their cards. Every method may raise Unavailable."""

    @abstractmethod
    def keep(self, card: str, files: Mapping[str, bytes]) -> None:
        """Store a model's files by their names, all or none. Durable on return."""

    @abstractmethod
    def folder(self, card: str) -> Path:
        """Return a folder on this machine with the files. Raises ModelError if there are none."""

    @abstractmethod
    def remove(self, card: str) -> None:
        """Remove a model's files; an unknown one is ignored."""


class Indices(Protocol):
    """A vector index for each model. Every method may raise Unavailable."""

    @abstractmethod
    def of(self, model: Embedder) -> VectorIndex:
        """Return the model's index."""

    @abstractmethod
    def make(self, model: Embedder) -> None:
        """Make an index for a further model. One that is there is left as it is."""

    @abstractmethod
    def drop(self, model: str, live: str) -> None:
        """Remove a model's index for good. ``live`` names the model that searches use from now on, without another."""


class Models(Protocol):
    """Opens models. Safe to call from several threads."""

    @abstractmethod
    def in_use(self) -> ModelsInUse | None:
        """Return the models in use, as they are or were a short while ago; None if they were never changed."""

    @abstractmethod
    def configured(self) -> ModelRef:
        """Return the model that the settings name. Raises ModelError."""

    @abstractmethod
    def configured_files(self) -> Mapping[str, bytes]:
        """Return the files of the model that the settings name. Raises ModelError."""

    @abstractmethod
    def opened(self, ref: ModelRef) -> tuple[Embedder, Verifier]:
        """Return a model and its verifier, which are opened once. Raises ModelError or Unavailable."""


@dataclass(frozen=True, slots=True)
class View:
    """The stores as one model sees them: rows, index and local maps have what it makes of the pictures.

    ``model`` is that model. Pictures that are added are embedded by the ``second``, too, unless it is None. ``of_two``: some
    vectors are beside their rows.
    """

    model: ModelRef
    catalog: Catalog
    index: VectorIndex
    maps: MapStore
    second: Embedder | None = None
    of_two: bool = False
