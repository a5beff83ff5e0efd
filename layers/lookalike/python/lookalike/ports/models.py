"""The model and the verifier."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from lookalike.domain.geometry import Agreement, GeometricMatch, QueryView
from lookalike.domain.library import Kind
from lookalike.domain.picture import Embedding, Pixels

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lookalike.domain.keypoints import Keypoints, KeypointView, Original


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
    def seen(self, pixels: Pixels) -> Pixels:
        """What a pass of the model sees of a picture: few pixels, whose vectors are the picture's to the bit."""

    @abstractmethod
    def keypoints(self, pixels: Pixels) -> Keypoints:
        """The keypoints of a picture, uint8 RGB (height, width, 3). Deterministic; none where nothing stands out."""

    @abstractmethod
    def score(self, kind: Kind, cosine: float) -> float:
        """The calibrated score in (0, 1) of a cosine; strictly increasing."""

    @abstractmethod
    def threshold(self, kind: Kind) -> float:
        """The cosine from which a picture of this kind counts as found; for ``same``, at precision 0.99."""

    @abstractmethod
    def codebook(self, kind: Kind) -> NDArray[np.float32] | None:
        """A product quantiser trained on vectors of this kind, shape (DIMENSION / 2, 16, 2); None if there is none."""


class Verifier(Protocol):
    """Verifies by geometry that pictures show the same. Safe to call from several threads."""

    @abstractmethod
    def query(self, pixels: Pixels, views: Sequence[QueryView]) -> QueryVerifier:
        """Prepare a query, uint8 RGB (height, width, 3), in its views."""


class QueryVerifier(Protocol):
    """A query, ready to be compared with batches of candidates."""

    @abstractmethod
    def match_feature_maps(self, candidates: Sequence[tuple[float, bytes]]) -> BatchVerification:
        """Compare the query with candidates, given each one's cosine and its packed feature map.

        Deterministic. Bytes that are no feature map never match.
        """

    @abstractmethod
    def place(self, candidates: Sequence[tuple[float, bytes]]) -> Mapping[int, GeometricMatch]:
        """Return where the query may lie on candidates, named by number, the likeliest first; few of them.

        Candidates are as in :meth:`match_feature_maps`. Such a place matches only if the agreement there proves it.
        """

    @abstractmethod
    def fits(self, place: GeometricMatch, rendition: Pixels) -> bool:
        """Whether the agreement may prove a place, given the original, uint8 RGB (height, width, 3): less than it costs."""

    @abstractmethod
    def agreement(self, match: GeometricMatch, rendition: Pixels) -> Agreement | None:
        """Return how much of the query agrees with an original, uint8 RGB (height, width, 3), that it was matched with.

        None if the match leaves nothing to compare.
        """


class BatchVerification(Protocol):
    """A batch of candidates between two stages of verification. Immutable: every stage returns the next state.

    Candidates are named by their number in the batch. A stage is a function of data: the caller embeds the views, and
    loads the originals, that a state asks for.
    """

    @abstractmethod
    def rectified_views(self) -> Mapping[int, Pixels]:
        """Return rectified views of the query, uint8 RGB, by the candidate that each is to be matched with; empty if
        the stage needs none."""

    @abstractmethod
    def match_rectified(self, feature_maps: Mapping[int, bytes]) -> BatchVerification:
        """Continue with the feature map of every rectified view."""

    @abstractmethod
    def keypoint_candidates(self) -> Sequence[int]:
        """Return the candidates whose originals are worth loading, once no rectified view is left; empty if a match
        is accepted."""

    @abstractmethod
    def keypoint_view(self) -> KeypointView | None:
        """Return the next view of the query whose keypoints are to be matched; None if a match is accepted, or if there is
        no further view."""

    @abstractmethod
    def match_keypoints(
        self, view: KeypointView, keypoints: Keypoints, originals: Mapping[int, Original]
    ) -> BatchVerification:
        """Continue with a view's keypoints and the originals of these candidates; those that could not be loaded are
        left out."""

    @abstractmethod
    def matches(self) -> Sequence[GeometricMatch | None]:
        """Return each candidate's accepted match; None if it has none."""
