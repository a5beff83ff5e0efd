"""All ports together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from lookalike.limits.call import Call, Job, processors
from lookalike.limits.fair_share import FairShare
from lookalike.limits.rate_limiter import RateLimiter
from lookalike.limits.unknown_key_limiter import UnknownKeyLimiter
from lookalike.ports.applications import Applications, Counters
from lookalike.ports.backlog import Backlogs
from lookalike.ports.catalog import Catalog
from lookalike.ports.clock import Clock
from lookalike.ports.embeddings import Models, View
from lookalike.ports.fetcher import Fetcher
from lookalike.ports.finder import Finder
from lookalike.ports.index import VectorIndex
from lookalike.ports.models import Embedder, Verifier
from lookalike.ports.objects import MapStore, PictureStore
from lookalike.ports.records import Records
from lookalike.ports.staging import StagedFiles
from lookalike.ports.stores import Stores
from lookalike.ports.uploads import DeadLetters, Uploads, UploadStore
from lookalike.settings import Settings


@dataclass(frozen=True, slots=True)
class Ports:
    """One of each port: everything that a use case works with. Made by :func:`lookalike.bootstrap.build`.

    ``rate_limiter``, ``unknown_keys`` and ``processors`` limit what this process does. ``finder`` decides where
    pictures are looked for; None: in the thread that asks. ``call`` is the current call: each call has a copy of the ports
    of its own. ``narrowed`` is the catalog of a call whose application may not see all of it, and
    ``capacity`` the number of live pictures that all libraries of its tenant may hold together; None: any number.
    ``models`` opens other models than that of ``embedder``; ``view`` is how the model of the call sees the stores, None if
    there was only ever one.
    """

    settings: Settings
    stores: Stores
    embedder: Embedder
    verifier: Verifier
    fetch: Fetcher
    clock: Clock
    rate_limiter: RateLimiter = field(default_factory=RateLimiter)
    unknown_keys: UnknownKeyLimiter = field(default_factory=UnknownKeyLimiter)
    processors: FairShare = field(default_factory=processors)
    finder: Finder | None = None
    call: Call = field(default_factory=Call)
    narrowed: Catalog | None = None
    models: Models | None = None
    view: View | None = None
    capacity: int | None = None

    @property
    def applications(self) -> Applications:
        """The applications that may call."""
        return self.stores.applications

    @property
    def catalog(self) -> Catalog:
        """Libraries and picture rows."""
        if self.narrowed is not None:
            return self.narrowed
        return self.stores.catalog if self.view is None else self.view.catalog

    @property
    def index(self) -> VectorIndex:
        """The vector index."""
        return self.stores.index if self.view is None else self.view.index

    @property
    def originals(self) -> PictureStore:
        """Original files."""
        return self.stores.originals

    @property
    def maps(self) -> MapStore:
        """Local maps."""
        return self.stores.maps if self.view is None else self.view.maps

    @property
    def uploads(self) -> Uploads:
        """Records of uploaded objects."""
        return self.stores.uploads

    @property
    def counters(self) -> Counters:
        """Counts of calls."""
        return self.stores.counters

    @property
    def records(self) -> Records:
        """What the service keeps for itself."""
        return self.stores.records

    @property
    def objects(self) -> UploadStore:
        """Uploaded objects."""
        return self.stores.objects

    @property
    def staged(self) -> StagedFiles:
        """Files sent ahead."""
        return self.stores.staged

    @property
    def dead_letters(self) -> DeadLetters:
        """Messages that cannot succeed."""
        return self.stores.dead_letters

    @property
    def backlogs(self) -> Backlogs:
        """How far the service is behind."""
        return self.stores.backlogs

    def problems(self) -> Sequence[str]:
        """Return what is wrong with the stores' contents, or prevents writes, a line each."""
        return self.stores.problems()

    def close(self) -> None:
        """Close the stores."""
        self.stores.close()

    def job(self, tenant: str) -> Job:
        """Return the current call's work on behalf of a tenant."""
        return Job(tenant, self.call, self.processors)
