"""All stores together."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol

from lookalike.ports.applications import Applications, Counters
from lookalike.ports.catalog import Catalog
from lookalike.ports.index import VectorIndex
from lookalike.ports.objects import MapStore, PictureStore
from lookalike.ports.uploads import DeadLetters, Uploads, UploadStore


class Stores(Protocol):
    """The ports that keep something: of an AWS account, or of one machine.

    A store may be opened by the first use of its property, which may raise SettingsError.
    """

    @property
    @abstractmethod
    def applications(self) -> Applications:
        """Who may call."""

    @property
    @abstractmethod
    def catalog(self) -> Catalog:
        """Libraries and picture rows."""

    @property
    @abstractmethod
    def index(self) -> VectorIndex:
        """Finds neighbours."""

    @property
    @abstractmethod
    def originals(self) -> PictureStore:
        """Pictures as they were given."""

    @property
    @abstractmethod
    def maps(self) -> MapStore:
        """Local maps."""

    @property
    @abstractmethod
    def uploads(self) -> Uploads:
        """What uploaded objects have become."""

    @property
    @abstractmethod
    def counters(self) -> Counters:
        """Counts of calls."""

    @property
    @abstractmethod
    def objects(self) -> UploadStore:
        """Uploaded objects."""

    @property
    @abstractmethod
    def dead_letters(self) -> DeadLetters:
        """Messages that will never succeed."""

    @abstractmethod
    def problems(self) -> Sequence[str]:
        """What is wrong with what they hold, or keeps them from being written, a line each, while all else goes on."""

    @abstractmethod
    def unreachable(self) -> Sequence[str]:
        """What is there although no application is, a line each; nothing where that takes reading a whole table."""

    @abstractmethod
    def close(self) -> None:
        """Close what was opened."""
