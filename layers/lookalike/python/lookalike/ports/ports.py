"""All ports together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from lookalike.limits.call import Call, Job, processors
from lookalike.limits.fair_share import FairShare
from lookalike.limits.rate_limiter import Leases
from lookalike.limits.stranger_limit import Strangers
from lookalike.ports.applications import Applications, Counters
from lookalike.ports.catalog import Catalog
from lookalike.ports.clock import Clock
from lookalike.ports.fetcher import Fetcher
from lookalike.ports.index import VectorIndex
from lookalike.ports.models import Embedder, Verifier
from lookalike.ports.objects import MapStore, PictureStore
from lookalike.ports.stores import Stores
from lookalike.ports.uploads import DeadLetters, Uploads, UploadStore
from lookalike.settings import Settings


@dataclass(frozen=True, slots=True)
class Ports:
    """One of each: all that a use case works with. Made by :func:`lookalike.bootstrap.build`.

    ``leases`` are permits that this process holds, ``strangers`` what it knows of who calls, ``processors`` permits to
    compute in it. ``call`` is the call that is worked on: each has a copy of the ports of its own.
    """

    settings: Settings
    stores: Stores
    embedder: Embedder
    verifier: Verifier
    fetch: Fetcher
    clock: Clock
    leases: Leases = field(default_factory=Leases)
    strangers: Strangers = field(default_factory=Strangers)
    processors: FairShare = field(default_factory=processors)
    call: Call = field(default_factory=Call)

    @property
    def applications(self) -> Applications:
        """Who may call."""
        return self.stores.applications

    @property
    def catalog(self) -> Catalog:
        """Libraries and picture rows."""
        return self.stores.catalog

    @property
    def index(self) -> VectorIndex:
        """Finds neighbours."""
        return self.stores.index

    @property
    def originals(self) -> PictureStore:
        """Pictures as they were given."""
        return self.stores.originals

    @property
    def maps(self) -> MapStore:
        """Local maps."""
        return self.stores.maps

    @property
    def uploads(self) -> Uploads:
        """What uploaded objects have become."""
        return self.stores.uploads

    @property
    def counters(self) -> Counters:
        """Counts of calls."""
        return self.stores.counters

    @property
    def objects(self) -> UploadStore:
        """Uploaded objects."""
        return self.stores.objects

    @property
    def dead_letters(self) -> DeadLetters:
        """Messages that will never succeed."""
        return self.stores.dead_letters

    def problems(self) -> Sequence[str]:
        """What is wrong with what the stores hold, or keeps them from being written, a line each."""
        return self.stores.problems()

    def close(self) -> None:
        """Close what was opened for them."""
        self.stores.close()

    def job(self, tenant: str) -> Job:
        """The call's work on behalf of a tenant."""
        return Job(tenant, self.call, self.processors)
