"""The model and the verifier."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias

from lookalike.domain.geometry import Affine, Box, Proof, View
from lookalike.domain.library import Kind
from lookalike.domain.picture import Embedding, Grey, Pixels

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Embedder(Protocol):
    """Turns pixels into vectors. Safe to call from several threads."""

    @property
    @abstractmethod
    def model(self) -> str:
        """Names the model; vectors of different names are never compared."""

    @abstractmethod
    def embed(self, pictures: Sequence[Pixels]) -> Sequence[Embedding]:
        """One embedding per picture. Deterministic; finite unit vectors for any pixels."""

    @abstractmethod
    def score(self, kind: Kind, cosine: float) -> float:
        """The calibrated score in (0, 1) of a cosine; strictly increasing."""

    @abstractmethod
    def threshold(self, kind: Kind) -> float:
        """The cosine from which a picture of this kind counts as found; for ``same``, at precision 0.99."""

    @abstractmethod
    def codebook(self, kind: Kind) -> NDArray[np.float32] | None:
        """A product quantiser trained on vectors of this kind, shape (DIMENSION / 2, 16, 2); None if there is none."""


Originals: TypeAlias = "Callable[[Sequence[int]], Sequence[Grey | None]]"
"""The originals of a few pictures, small and grey, by their places among those that are compared; None for one that
cannot be had."""


class Comparison(Protocol):
    """A query, ready to be compared with pictures."""

    @abstractmethod
    def prove(
        self, pictures: Sequence[tuple[float, bytes]], originals: Originals | None = None
    ) -> Sequence[Proof | None]:
        """For each picture, given its cosine and its local map, the proof that it shows the same as the query; None
        where there is none.

        Where local maps prove nothing, ``originals`` is asked for the few that may be worth it, once at most.
        Deterministic. Bytes that are no local map prove nothing.
        """


Look = Callable[[Affine, Box, float], bytes]
"""Looks at the query again, straightened: given the transform that moves its points to a picture's, the part of the
picture that it covers, and the picture's width by its height, the local map of what it shows of that part."""


class Verifier(Protocol):
    """Proves by local maps of one model that pictures show the same. Safe to call from several threads."""

    @abstractmethod
    def compare(self, pixels: Pixels, views: Sequence[View], look: Look) -> Comparison:
        """Get ready to compare a query in its ``views``.

        ``look`` is asked where the views leave doubt.
        """
