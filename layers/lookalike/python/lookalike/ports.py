"""What the use cases need of the world, as small protocols. Every store adapter passes one contract suite.

A revision-checked write is the one primitive of change: ``put(picture, previous)`` takes effect only when the
stored revision is still ``previous``. Everything else (duplicate refusal, soft deletion, purge) is built on it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lookalike.limits.call import Call, Job, processors
from lookalike.limits.fair_share import FairShare
from lookalike.limits.rate_limiter import Leases
from lookalike.limits.stranger_limit import Strangers
from lookalike.model import (
    Affine,
    Application,
    Box,
    Candidate,
    DeadLetter,
    Embedding,
    Generation,
    Grey,
    Key,
    Kind,
    Library,
    Picture,
    Pixels,
    Proof,
    Query,
    RemovedLibrary,
    Upload,
    UploadedObject,
    View,
)
from lookalike.settings import Settings


class Clock(Protocol):
    """The time."""

    @abstractmethod
    def __call__(self) -> int:
        """Unix milliseconds."""


class ApplicationLookup(Protocol):
    """Applications by what a caller says of itself."""

    @abstractmethod
    def application(self, access_key: str) -> Application | None:
        """The application with that access key."""

    @abstractmethod
    def application_by_id(self, app_id: str) -> Application | None:
        """The application with that app id."""


class Applications(ApplicationLookup, Protocol):
    """Who may call."""

    @abstractmethod
    def applications(self) -> Sequence[Application]:
        """All of them, by creation time."""

    @abstractmethod
    def save_application(self, application: Application) -> None:
        """Create it, or replace the one with the same access key. Durable on return.

        Raises RevisionConflict if another application has that app id or that name, and then nothing has changed.
        """

    @abstractmethod
    def remove_application(self, access_key: str) -> None:
        """Take it away; an unknown key does not matter. Durable on return."""


class Catalog(Protocol):
    """The truth: libraries and picture rows. Every write is durable when the call returns.

    Every method may raise :class:`~lookalike.errors.Unavailable`.
    """

    @abstractmethod
    def library(self, tenant: str, name: str) -> Library | None:
        """The tenant's library of that name."""

    @abstractmethod
    def libraries(self, tenant: str) -> Sequence[Library]:
        """All libraries of a tenant, by name."""

    @abstractmethod
    def create_library(self, library: Library) -> None:
        """Make it. Raises LibraryExists if the tenant has one of that name; two racing calls make one."""

    @abstractmethod
    def remove_library(self, library: Library, now: int) -> None:
        """Take it away at once, however much it holds: its name is free, and its rows wait for a sweep.

        ``now`` is Unix milliseconds. Raises LibraryNotFound if the tenant's library of that name has another uid, or
        there is none.
        """

    @abstractmethod
    def removed_libraries(self, before: int, limit: int) -> Sequence[RemovedLibrary]:
        """Libraries removed before that Unix millisecond and not forgotten, oldest first, ``limit`` at most."""

    @abstractmethod
    def forget_library(self, uid: str) -> None:
        """Nothing is left of a removed library: it no longer waits to be swept. An unknown uid does not matter."""

    @abstractmethod
    def picture(self, key: Key) -> Picture | None:
        """The row, in whatever state."""

    @abstractmethod
    def changed(self, revisions: Mapping[Key, int]) -> Mapping[Key, Picture | None]:
        """Of rows whose revision is not the one given here: each as it is now, None if there is none any more.

        Rows that are as they were are left out. It sees every write that had returned before it was called.
        """

    @abstractmethod
    def pictures(self, library: str, after: str | None, limit: int) -> Sequence[Picture]:
        """Rows of a library (uid) in whatever state, in the store's own fixed order, ``limit`` at most.

        ``after`` is the id of the last row of the page before (None: from the start); it need not be there any more.
        A walk that goes on until a page is empty meets every row that is there all the while exactly once, whatever
        is added and removed beside it.
        """

    @abstractmethod
    def pictures_by_prefix(self, library: str, prefix: str, limit: int) -> Sequence[Picture]:
        """Rows of a library whose id starts with ``prefix``, in whatever state, by id, ``limit`` at most."""

    @abstractmethod
    def put(self, picture: Picture, previous: int | None) -> None:
        """Write the row if its stored revision is ``previous`` (None: there is no row).

        Raises RevisionConflict otherwise, and then nothing has changed.
        """

    @abstractmethod
    def remove(self, key: Key, revision: int) -> None:
        """Take the row away for good if its stored revision is ``revision``; RevisionConflict otherwise."""

    @abstractmethod
    def waiting_for_purge(self, before: int, limit: int, since: int = 0) -> Sequence[Picture]:
        """Rows not live whose ``deleted_at`` is from ``since`` on and before ``before``, both Unix milliseconds.

        Oldest first, ``limit`` at most.
        """

    @abstractmethod
    def scan(self, kind: Kind) -> Iterator[Sequence[Picture]]:
        """Every row of a kind in whatever state, in batches, to fill an index from."""


class VectorIndex(Protocol):
    """What finds neighbours. Derived from the catalog; may be lost and filled again.

    Writes are versioned: one that carries an older or the same revision than the index holds changes nothing
    and is a success, so replays and disorder converge.
    """

    @abstractmethod
    def write(self, pictures: Sequence[Picture], *, wait: bool = True) -> None:
        """Bring the index to these rows. With ``wait``, later searches see them. A row not live is hidden.

        Raises Unavailable; IndexWriteError, an Unavailable too, if it knows which rows failed: the others are written.
        """

    @abstractmethod
    def remove(self, pictures: Sequence[Picture], *, wait: bool = False) -> None:
        """Take rows out for good, each if the index holds nothing newer than its revision. Raises Unavailable."""

    @abstractmethod
    def search(self, query: Query) -> Sequence[Candidate]:
        """The k best, by cosine from high to low, equal cosines by library and id. Raises Unavailable."""

    @abstractmethod
    def count(self, library: str) -> int:
        """How many live pictures a library (uid) has, as far as the index knows."""


class PictureStore(Protocol):
    """Originals: bytes under each picture's ``object_key``. Durable on return.

    A key is ``<library uid>/<picture id>/<revision of the add>-<first 16 hex digits of the file's digest>``.
    """

    @abstractmethod
    def put(self, key: str, data: bytes) -> None:
        """Keep ``data`` under ``key``, replacing what was there."""

    @abstractmethod
    def get(self, key: str) -> bytes | None:
        """What is kept there."""

    @abstractmethod
    def remove(self, keys: Sequence[str]) -> None:
        """Forget them; unknown keys do not matter."""


class MapStore(Protocol):
    """Local maps, under the same keys as the originals. Durable on return."""

    @abstractmethod
    def put_map(self, key: str, data: bytes) -> None:
        """Keep a map."""

    @abstractmethod
    def maps(self, keys: Sequence[str]) -> Mapping[str, bytes]:
        """Those of the maps that are there."""

    @abstractmethod
    def remove_maps(self, keys: Sequence[str]) -> None:
        """Forget them; unknown keys do not matter."""


class Uploads(Protocol):
    """What uploaded objects have become. Durable on return."""

    @abstractmethod
    def upload(self, source: str) -> Upload | None:
        """What is known of that object."""

    @abstractmethod
    def save_upload(self, upload: Upload, known: Upload | None) -> None:
        """Remember it if what is stored of its source is still ``known`` (None: nothing).

        Sequencer, state and the holding's ``added`` tell whether it is. Raises RevisionConflict otherwise, and then
        nothing has changed.
        """

    @abstractmethod
    def holders(self, picture: Key) -> Iterator[Upload]:
        """The uploads that hold this picture, in no order.

        One saved before the call is among them. They are read as they are asked for, each as it is then.
        """


class Counters(Protocol):
    """Counts that never pass a limit, whoever counts at the same time. Durable on return.

    Every method may raise :class:`~lookalike.errors.Unavailable`.
    """

    @abstractmethod
    def take(self, name: str, wanted: int, limit: int | None, expires: int | None = None) -> int:
        """Raise the count of that name by ``wanted`` or, where it would pass ``limit``, by what is left; by how much.

        An unknown name stands at 0. It may give less than is left, never more. From ``expires`` on, Unix
        milliseconds, the count may be forgotten; None: never.
        """

    @abstractmethod
    def counted(self, name: str) -> int:
        """Where the count of that name stands."""

    @abstractmethod
    def forget_counts(self, now: int) -> None:
        """Forget those that have expired at Unix milliseconds ``now``, if the store does not do so by itself."""


class UploadStore(Protocol):
    """Where uploaded objects lie. Every method may raise Unavailable."""

    @abstractmethod
    def head(self, bucket: str, key: str) -> UploadedObject | None:
        """The object as it is now, without its bytes. Raises InvalidArgument if what is said of it cannot be read."""

    @abstractmethod
    def read(self, bucket: str, key: str, etag: str) -> bytes | None:
        """Its bytes; None if it is gone, or is not that one any more."""

    @abstractmethod
    def remove(self, bucket: str, key: str, etag: str) -> None:
        """Take it away if it is still that one."""

    @abstractmethod
    def place(self, bucket: str, key: str) -> str:
        """Where an operator finds the object: a path, or an address."""


class DeadLetters(Protocol):
    """Where messages end that will never succeed. Durable on return."""

    @abstractmethod
    def send(self, letter: DeadLetter) -> None:
        """Keep it for the operator. Raises Unavailable."""


class Generations(Protocol):
    """Which indices of a kind are read and written. Durable on return."""

    @abstractmethod
    def generation(self, kind: Kind) -> Generation | None:
        """What holds for that kind; None if no index was ever made."""

    @abstractmethod
    def save_generation(self, kind: Kind, generation: Generation, previous: Generation | None) -> None:
        """Change it if it is still ``previous``. Raises RevisionConflict otherwise, and then nothing has changed."""


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


Originals = Callable[[Sequence[int]], Sequence[Grey | None]]
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


class Fetcher(Protocol):
    """Downloads what a caller's URL points at, and never touches an address that is not public."""

    @abstractmethod
    def __call__(self, url: str, max_bytes: int) -> bytes:
        """The body. Raises a UrlError."""


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
