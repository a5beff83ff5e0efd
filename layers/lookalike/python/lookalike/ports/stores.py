"""All stores together."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol

from lookalike.ports.applications import Applications, Counters
from lookalike.ports.backlog import Backlogs
from lookalike.ports.catalog import Catalog
from lookalike.ports.embeddings import Embeddings, Indices, ModelFiles
from lookalike.ports.index import VectorIndex
from lookalike.ports.objects import MapStore, PictureStore
from lookalike.ports.records import Records
from lookalike.ports.staging import StagedFiles
from lookalike.ports.uploads import DeadLetters, Uploads, UploadStore


class Stores(Protocol):
    """The ports that store something: in an AWS account, or on one machine.

    The first use of a property may open its store, and may raise SettingsError.
    """

    @property
    @abstractmethod
    def applications(self) -> Applications:
        """The applications that may call."""

    @property
    @abstractmethod
    def catalog(self) -> Catalog:
        """Libraries and picture rows."""

    @property
    @abstractmethod
    def index(self) -> VectorIndex:
        """The vector index."""

    @property
    @abstractmethod
    def originals(self) -> PictureStore:
        """Original files."""

    @property
    @abstractmethod
    def maps(self) -> MapStore:
        """Local maps."""

    @property
    @abstractmethod
    def embeddings(self) -> Embeddings:
        """Vectors and local maps of other models than those in the rows."""

    @property
    @abstractmethod
    def model_files(self) -> ModelFiles:
        """Models that are kept beside the pictures."""

    @property
    @abstractmethod
    def indices(self) -> Indices:
        """A vector index for each model."""

    @property
    @abstractmethod
    def uploads(self) -> Uploads:
        """Records of uploaded objects."""

    @property
    @abstractmethod
    def counters(self) -> Counters:
        """Counts of calls."""

    @property
    @abstractmethod
    def records(self) -> Records:
        """What the service keeps for itself: jobs, and what they found."""

    @property
    @abstractmethod
    def objects(self) -> UploadStore:
        """Uploaded objects."""

    @property
    @abstractmethod
    def staged(self) -> StagedFiles:
        """Files sent ahead."""

    @property
    @abstractmethod
    def dead_letters(self) -> DeadLetters:
        """Messages that cannot succeed."""

    @property
    @abstractmethod
    def backlogs(self) -> Backlogs:
        """How far the service is behind."""

    @abstractmethod
    def problems(self) -> Sequence[str]:
        """Return what is wrong with their contents, or prevents writes while reads go on, a line each."""

    @abstractmethod
    def unreachable(self) -> Sequence[str]:
        """Return a line about each kind of data that exists although there are no applications.

        Empty for stores that would have to read a whole table for it.
        """

    @abstractmethod
    def close(self) -> None:
        """Close the stores that were opened."""
