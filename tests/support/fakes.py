"""Every port in memory: honest about its contract, small, and fast enough for thousands of calls."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.domain.application import Application
from lookalike.domain.backlog import Backlog
from lookalike.domain.geometry import WHOLE, Agreement, GeometricMatch, QueryView
from lookalike.domain.inventory import IndexEntry, StoredFile, StoredMap
from lookalike.domain.keypoints import Keypoints, KeypointView, Original
from lookalike.domain.library import Kind, Library, RemovedLibrary
from lookalike.domain.model_change import ModelRef, ModelsInUse
from lookalike.domain.picture import DIMENSION, Embedding, Key, Picture, Pixels, Vector
from lookalike.domain.record import Record
from lookalike.domain.search import Candidate, Generation, Query
from lookalike.domain.staged import PostForm
from lookalike.domain.upload import DeadLetter, Upload, UploadedObject
from lookalike.errors import (
    LibraryExists,
    LibraryNotFound,
    ModelError,
    PictureExists,
    RevisionConflict,
    RevisionMismatch,
    UrlUnreachable,
)
from lookalike.ports import (
    Applications,
    Backlogs,
    BatchVerification,
    Catalog,
    Clock,
    Counters,
    DeadLetters,
    Embedder,
    Embeddings,
    Fetcher,
    Generations,
    Indices,
    MapStore,
    ModelFiles,
    Models,
    PictureStore,
    Ports,
    QueryVerifier,
    Records,
    StagedFiles,
    Stores,
    Uploads,
    UploadStore,
    VectorIndex,
    Verifier,
)
from lookalike.ports.applications import Tally
from lookalike.settings import Settings


def an_error(kind: type[Exception], text: str) -> Exception:
    """An error of that kind, in whose message the text stands."""
    if kind is RevisionMismatch:
        return RevisionMismatch(Key("library", text), 1)
    return PictureExists(Key("library", "id"), text) if kind is PictureExists else kind(text)


class MemoryApplications(Applications):
    """Applications by access key; no two share an app id or a name."""

    def __init__(self, *applications: Application) -> None:
        self.lock = threading.Lock()
        self.rows = {application.access_key: application for application in applications}

    def application(self, access_key: str) -> Application | None:
        return self.rows.get(access_key)

    def application_by_id(self, app_id: str) -> Application | None:
        with self.lock:
            return next((row for row in self.rows.values() if row.app_id == app_id), None)

    def applications(self) -> Sequence[Application]:
        with self.lock:
            return sorted(self.rows.values(), key=lambda row: row.created)

    def save_application(self, application: Application) -> None:
        with self.lock:
            others = (row for key, row in self.rows.items() if key != application.access_key)
            if any(application.app_id == row.app_id or application.name == row.name for row in others):
                raise RevisionConflict(application.app_id)
            self.rows[application.access_key] = application

    def remove_application(self, access_key: str) -> None:
        with self.lock:
            self.rows.pop(access_key, None)


class MemoryCatalog(Catalog):
    """Libraries and rows in dictionaries; a lock makes every write one step."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.by_name: dict[tuple[str, str], Library] = {}
        self.rows: dict[Key, Picture] = {}
        self.removed: dict[str, RemovedLibrary] = {}
        self.named_elsewhere: dict[tuple[str, str], str] = {}

    def library(self, tenant: str, name: str) -> Library | None:
        return self.by_name.get((tenant, name))

    def libraries(self, tenant: str) -> Sequence[Library]:
        with self.lock:
            return sorted((one for one in self.by_name.values() if one.tenant == tenant), key=lambda one: one.name)

    def create_library(self, library: Library) -> None:
        with self.lock:
            if (library.tenant, library.name) in self.by_name:
                raise LibraryExists(library.name)
            self.by_name[library.tenant, library.name] = library

    def change_library(self, library: Library) -> None:
        with self.lock:
            stored = self.by_name.get((library.tenant, library.name))
            if stored is None or stored.uid != library.uid:
                raise LibraryNotFound(library.name)
            self.by_name[library.tenant, library.name] = replace(stored, capacity=library.capacity)

    def remove_library(self, library: Library, now: int) -> None:
        with self.lock:
            stored = self.by_name.get((library.tenant, library.name))
            if stored is None or stored.uid != library.uid:
                raise LibraryNotFound(library.name)
            del self.by_name[library.tenant, library.name]
            self.removed[library.uid] = RemovedLibrary(library.uid, library.kind, now)

    def removed_libraries(self, before: int, limit: int) -> Sequence[RemovedLibrary]:
        with self.lock:
            waiting = [one for one in self.removed.values() if one.removed < before]
        return sorted(waiting, key=lambda one: one.removed)[:limit]

    def forget_library(self, uid: str) -> None:
        with self.lock:
            self.removed.pop(uid, None)
            self.named_elsewhere = {key: id_ for key, id_ in self.named_elsewhere.items() if key[0] != uid}

    def alias(self, library: str, name: str) -> str | None:
        return self.named_elsewhere.get((library, name))

    def aliases(self, library: str, after: str, limit: int) -> Sequence[tuple[str, str]]:
        with self.lock:
            found = [
                (name, id_) for (uid, name), id_ in self.named_elsewhere.items() if uid == library and name > after
            ]
        return sorted(found)[:limit]

    def save_aliases(self, library: str, aliases: Mapping[str, str]) -> None:
        with self.lock:
            self.named_elsewhere |= {(library, name): id_ for name, id_ in aliases.items()}

    def claim_alias(self, library: str, name: str, id_: str, instead: str | None) -> bool:
        with self.lock:
            there = None if instead is None else self.rows.get(Key(library, instead))
            if self.named_elsewhere.get((library, name)) != instead or (there is not None and there.live):
                return False
            self.named_elsewhere[library, name] = id_
            return True

    def remove_alias(self, library: str, name: str, id_: str) -> None:
        with self.lock:
            if self.named_elsewhere.get((library, name)) == id_:
                del self.named_elsewhere[library, name]

    def missing_libraries(self, uids: Set[str]) -> Set[str]:
        with self.lock:
            return uids - {one.uid for one in self.by_name.values()} - self.removed.keys()

    def picture(self, key: Key) -> Picture | None:
        return self.rows.get(key)

    def changed(self, revisions: Mapping[Key, int]) -> Mapping[Key, Picture | None]:
        with self.lock:
            rows = {key: self.rows.get(key) for key in revisions}
        return {key: row for key, row in rows.items() if row is None or row.revision != revisions[key]}

    def pictures(self, library: str, after: str | None, limit: int) -> Sequence[Picture]:
        rows = self.pictures_by_prefix(library, "", len(self.rows))
        return [row for row in rows if after is None or row.key.id > after][:limit]

    def pictures_by_prefix(self, library: str, prefix: str, limit: int) -> Sequence[Picture]:
        with self.lock:
            found = [row for key, row in self.rows.items() if key.library == library and key.id.startswith(prefix)]
        return sorted(found, key=lambda row: row.key.id)[:limit]

    def put(self, picture: Picture, previous: int | None) -> None:
        with self.lock:
            self._check(picture.key, previous)
            self.rows[picture.key] = picture

    def put_called(self, picture: Picture, previous: int | None, name: str) -> None:
        with self.lock:
            if self.named_elsewhere.get((picture.key.library, name)) != picture.key.id:
                raise RevisionConflict(picture.key.id)
            self._check(picture.key, previous)
            self.rows[picture.key] = picture

    def remove(self, key: Key, revision: int) -> None:
        with self.lock:
            self._check(key, revision)
            del self.rows[key]

    def _check(self, key: Key, revision: int | None) -> None:
        stored = self.rows.get(key)
        if (None if stored is None else stored.revision) != revision:
            raise RevisionConflict(key.id)

    def waiting_for_purge(self, before: int, limit: int, since: int = 0) -> Sequence[Picture]:
        with self.lock:
            waiting = [(row.deleted_at, row) for row in self.rows.values() if row.deleted_at is not None]
        return [row for at, row in sorted(waiting, key=lambda pair: pair[0]) if since <= at < before][:limit]

    def scan(self, kind: Kind) -> Iterator[Sequence[Picture]]:
        with self.lock:
            rows = [row for row in self.rows.values() if row.kind is kind]
        yield rows

    def every_row(self) -> Iterator[Sequence[Picture]]:
        with self.lock:
            rows = list(self.rows.values())
        yield rows


class MemoryIndex(VectorIndex):
    """Compares the query with every row; keeps hidden rows, as versioned writes need, and nothing of removed ones."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.rows: dict[Key, Picture] = {}

    def write(self, pictures: Sequence[Picture], *, wait: bool = True) -> None:
        with self.lock:
            for picture in pictures:
                if picture.revision > self._revision(picture.key):
                    self.rows[picture.key] = picture

    def remove(self, pictures: Sequence[Picture], *, wait: bool = False) -> None:
        with self.lock:
            for picture in pictures:
                if picture.revision >= self._revision(picture.key):
                    self.rows.pop(picture.key, None)

    def _revision(self, key: Key) -> int:
        row = self.rows.get(key)
        return -1 if row is None else row.revision

    def search(self, query: Query) -> Sequence[Candidate]:
        with self.lock:
            rows = [row for row in self.rows.values() if self._asked_for(row, query)]
        cosines = [float(np.max(query.vectors @ row.vector.astype(np.float32))) for row in rows]
        ranked = sorted(zip(cosines, rows, strict=True), key=lambda one: (-one[0], one[1].key.library, one[1].key.id))
        return [Candidate.of(row, cosine) for cosine, row in ranked[: query.k]]

    @staticmethod
    def _asked_for(row: Picture, query: Query) -> bool:
        return (
            row.live
            and row.kind is query.kind
            and row.key.library in query.libraries
            and row.model == query.model
            and (query.tags is None or query.tags.keeps(row.metadata.tags))
        )

    def count(self, *libraries: str) -> int:
        with self.lock:
            return sum(row.live and row.key.library in libraries for row in self.rows.values())

    def generations(self) -> Mapping[Kind, str]:
        return {}

    def entries(self) -> Iterator[Sequence[IndexEntry]]:
        with self.lock:
            rows = list(self.rows.values())
        yield [_entry(row) for row in rows]

    def held(self, kind: Kind, keys: Sequence[Key]) -> Sequence[IndexEntry]:
        with self.lock:
            return [_entry(self.rows[key]) for key in keys if key in self.rows]


def _entry(row: Picture) -> IndexEntry:
    return IndexEntry(row.key, row.kind, row.revision, row.live, row.model)


class MemoryOriginals(PictureStore):
    """Files in a dictionary. All were written long ago."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def stored(self) -> Iterator[Sequence[StoredFile]]:
        yield [StoredFile(name, 0, len(data)) for name, data in list(self.files.items())]

    def name_of(self, key: str) -> str:
        return key

    def remove_stored(self, names: Sequence[str]) -> None:
        self.remove(names)

    def put(self, key: str, data: bytes) -> None:
        self.files[key] = data

    def get(self, key: str) -> bytes | None:
        return self.files.get(key)

    def size(self, key: str) -> int | None:
        data = self.get(key)
        return None if data is None else len(data)

    def place(self, key: str, content_type: str, seconds: int) -> str:
        return f"https://memory.example/{key}?type={content_type}&seconds={seconds}"

    def remove(self, keys: Sequence[str]) -> None:
        for key in keys:
            self.files.pop(key, None)


class MemoryMaps(MapStore):
    """Local maps in a dictionary."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def put_map(self, key: str, data: bytes) -> None:
        self.files[key] = data

    def maps(self, keys: Sequence[str]) -> Mapping[str, bytes]:
        return {key: self.files[key] for key in keys if key in self.files}

    def remove_maps(self, keys: Sequence[str]) -> None:
        for key in keys:
            self.files.pop(key, None)

    def stored_maps(self) -> Iterator[Sequence[StoredMap]]:
        yield [StoredMap(key, len(data)) for key, data in list(self.files.items())]


class MemoryUploads(Uploads):
    """What objects have become, by source."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.rows: dict[str, Upload] = {}

    def upload(self, source: str) -> Upload | None:
        return self.rows.get(source)

    def save_upload(self, upload: Upload, known: Upload | None) -> None:
        with self.lock:
            if _stamp(self.rows.get(upload.source)) != _stamp(known):
                raise RevisionConflict(upload.source)
            self.rows[upload.source] = upload

    def holders(self, picture: Key) -> Iterator[Upload]:
        with self.lock:
            sources = [one.source for one in self.rows.values() if one.holds and one.holds.picture == picture]
        for source in sources:
            now = self.rows[source]
            if now.holds is not None and now.holds.picture == picture:
                yield now


def _stamp(upload: Upload | None) -> object:
    return upload and (upload.sequencer, upload.state, upload.holds and upload.holds.added)


class MemoryObjects(UploadStore):
    """Uploaded objects by bucket and key, each with its words. ``put`` answers what S3 would call its ETag."""

    def __init__(self) -> None:
        self.files: dict[tuple[str, str], tuple[bytes, Mapping[str, str]]] = {}
        self.sizes: dict[tuple[str, str], int] = {}
        self.read_keys: list[str] = []

    def put(self, bucket: str, key: str, data: bytes, **words: str) -> str:
        self.files[bucket, key] = data, words
        return self._etag(data)

    @staticmethod
    def _etag(data: bytes) -> str:
        return hashlib.sha256(data).hexdigest()[:32]

    def head(self, bucket: str, key: str) -> UploadedObject | None:
        if (bucket, key) not in self.files:
            return None
        data, words = self.files[bucket, key]
        return UploadedObject(self._etag(data), self.sizes.get((bucket, key), len(data)), words)

    def read(self, bucket: str, key: str, etag: str) -> bytes | None:
        self.read_keys.append(key)
        data, _ = self.files.get((bucket, key), (None, {}))
        return None if data is None or self._etag(data) != etag else data

    def remove(self, bucket: str, key: str, etag: str) -> None:
        if (found := self.head(bucket, key)) is not None and found.etag == etag:
            del self.files[bucket, key]

    def place(self, bucket: str, key: str) -> str:
        return f"memory:{bucket}/{key}"


class MemoryStaging(StagedFiles):
    """Files sent ahead, by key. The service takes them itself; tests put them."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def post_form(self, key: str, max_bytes: int, seconds: int) -> PostForm | None:
        return None

    def read(self, key: str) -> bytes | None:
        return self.files.get(key)

    def remove(self, key: str) -> None:
        self.files.pop(key, None)

    def remove_older(self, before: int) -> None:
        """Nothing: no file here has a time."""


@dataclass(slots=True)
class SetBacklog(Backlogs):
    """A backlog that is what it is set to."""

    value: Backlog = field(default_factory=Backlog)

    def backlog(self) -> Backlog:
        return self.value


class MemoryDeadLetters(DeadLetters):
    """Letters in a list."""

    def __init__(self) -> None:
        self.letters: list[DeadLetter] = []

    def send(self, letter: DeadLetter) -> None:
        self.letters.append(letter)


class MemoryGenerations(Generations):
    """Names of indices, by kind."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.rows: dict[Kind, Generation] = {}

    def generation(self, kind: Kind) -> Generation | None:
        return self.rows.get(kind)

    def save_generation(self, kind: Kind, generation: Generation, previous: Generation | None) -> None:
        with self.lock:
            if self.rows.get(kind) != previous:
                raise RevisionConflict(kind)
            self.rows[kind] = generation


class TinyEmbedder(Embedder):
    """A thumbnail of 16×16 RGB, projected to DIMENSION by a fixed random matrix: alike pictures, near vectors."""

    model = "tiny"
    _projection = np.random.default_rng(0).standard_normal((16 * 16 * 3 + 1, DIMENSION)).astype(np.float32)

    def embed(self, pictures: Sequence[Pixels]) -> Sequence[Embedding]:
        return [self._embedding(pixels) for pixels in pictures]

    def seen(self, pixels: Pixels) -> Pixels:
        return pixels

    def keypoints(self, pixels: Pixels) -> Keypoints:
        return Keypoints.none()

    def _embedding(self, pixels: Pixels) -> Embedding:
        thumbnail = np.asarray(Image.fromarray(pixels).resize((16, 16), Image.Resampling.BOX), np.float32)
        # The constant keeps a grey picture from being the zero vector.
        features = np.append(thumbnail.ravel() / 127.5 - 1, np.float32(0.1))
        vector = features @ self._projection
        unit = (vector / np.linalg.norm(vector)).astype(np.float16)
        return Embedding(dict.fromkeys(Kind, unit), feature_map=unit.tobytes())

    def score(self, kind: Kind, cosine: float) -> float:
        return 1 / (1 + float(np.exp(-4 * cosine)))

    def threshold(self, kind: Kind) -> float:
        return 0.9 if kind is Kind.SAME else -1.0

    def codebook(self, kind: Kind) -> NDArray[np.float32] | None:
        return None


class OtherEmbedder(TinyEmbedder):
    """Another model: its vectors are the other's, in another order and of the mirrored picture."""

    model = "new"

    def embed(self, pictures: Sequence[Pixels]) -> Sequence[Embedding]:
        return [self._other(self._embedding(pixels[:, ::-1])) for pixels in pictures]

    def _other(self, embedding: Embedding) -> Embedding:
        vectors = {kind: np.roll(vector, 7) for kind, vector in embedding.vectors.items()}
        return Embedding(vectors, next(iter(vectors.values())).tobytes())


class TinyBatch(BatchVerification):
    """Asks for one original where nothing matches, and learns nothing from it."""

    def __init__(self, found: Sequence[GeometricMatch | None]) -> None:
        self.found = found

    def rectified_views(self) -> Mapping[int, Pixels]:
        return {}

    def match_rectified(self, feature_maps: Mapping[int, bytes]) -> TinyBatch:
        return self

    def keypoint_candidates(self) -> Sequence[int]:
        return [0] if self.found and not any(self.found) else []

    def keypoint_view(self) -> KeypointView | None:
        return None

    def match_keypoints(self, view: KeypointView, keypoints: Keypoints, originals: Mapping[int, Original]) -> TinyBatch:
        return self

    def matches(self) -> Sequence[GeometricMatch | None]:
        return self.found


class TinyQueryVerifier(QueryVerifier):
    """Matches pictures whose map, TinyEmbedder's vector, is nearly that of one of the views."""

    def __init__(self, views: Sequence[QueryView]) -> None:
        maps = [view.feature_map for view in views if view.feature_map]
        self.views = [np.frombuffer(data, np.float16).astype(np.float32) for data in maps]

    def match_feature_maps(self, candidates: Sequence[tuple[float, bytes]]) -> TinyBatch:
        return TinyBatch([self._match(np.frombuffer(data, np.float16).astype(np.float32)) for _, data in candidates])

    def place(self, candidates: Sequence[tuple[float, bytes]]) -> Mapping[int, GeometricMatch]:
        return {}

    def fits(self, place: GeometricMatch, rendition: Pixels) -> bool:
        return True

    def agreement(self, match: GeometricMatch, rendition: Pixels) -> Agreement | None:
        return Agreement(share=1.0, weakest=1.0, recoloured=0.0, hue_turned=0.0)

    def _match(self, picture: NDArray[np.float32]) -> GeometricMatch | None:
        cosine = max((float(view @ picture) for view in self.views), default=0.0)
        if cosine < 0.97:
            return None
        return GeometricMatch(min(cosine, 0.999), 100, cosine, (1.0, 0.0, 0.0, 0.0, 1.0, 0.0), WHOLE)


class TinyVerifier(Verifier):
    """Goes with TinyEmbedder."""

    def query(self, pixels: Pixels, views: Sequence[QueryView]) -> TinyQueryVerifier:
        return TinyQueryVerifier(views)


class MemoryCounters(Counters):
    """Counts by name."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.counts: dict[str, tuple[int, int | None]] = {}
        self.parts: dict[str, dict[str, int]] = {}
        self.calls = 0

    def take(self, name: str, wanted: int, limit: int | None, expires: int | None = None, part: str = "") -> int:
        with self.lock:
            self.calls += 1
            count, _ = self.counts.get(name, (0, None))
            given = wanted if limit is None else max(0, min(wanted, limit - count))
            if given:
                self.counts[name] = (count + given, expires)
            if given and part:
                parts = self.parts.setdefault(name, {})
                parts[part] = parts.get(part, 0) + given
            return given

    def tally(self, name: str) -> Tally:
        return Tally(self.counted(name), self.parts.get(name, {}))

    def counted(self, name: str) -> int:
        self.calls += 1
        return self.counts.get(name, (0, None))[0]

    def forget_counts(self, now: int) -> None:
        with self.lock:
            self.counts = {
                name: (count, expires)
                for name, (count, expires) in self.counts.items()
                if expires is None or expires > now
            }


class MemoryRecords(Records):
    """Records by partition and key."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.rows: dict[tuple[str, str], Record] = {}

    def record(self, partition: str, key: str) -> Record | None:
        return self.rows.get((partition, key))

    def records(self, partition: str, after: str, limit: int) -> Sequence[Record]:
        with self.lock:
            found = [row for (where, key), row in self.rows.items() if where == partition and key > after]
        return sorted(found, key=lambda row: row.key)[:limit]

    def put_record(self, record: Record, previous: int | None) -> None:
        with self.lock:
            stored = self.rows.get((record.partition, record.key))
            if (None if stored is None else stored.revision) != previous:
                raise RevisionConflict(record.key)
            self.rows[record.partition, record.key] = record

    def save_records(self, records: Sequence[Record]) -> None:
        with self.lock:
            self.rows |= {(record.partition, record.key): record for record in records}

    def remove_records(self, partition: str, keys: Sequence[str]) -> None:
        with self.lock:
            for key in keys:
                self.rows.pop((partition, key), None)


class MemoryEmbeddings(Embeddings):
    """Vectors and maps by model and object key."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.used: ModelsInUse | None = None
        self.made: dict[str, dict[str, tuple[Vector, bytes]]] = {}

    def models(self) -> ModelsInUse | None:
        return self.used

    def save_models(self, models: ModelsInUse, previous: ModelsInUse | None) -> ModelsInUse:
        with self.lock:
            if (None if self.used is None else self.used.revision) != (None if previous is None else previous.revision):
                raise RevisionConflict("models")
            self.used = replace(models, revision=1 if previous is None else previous.revision + 1)
            return self.used

    def forget_models(self) -> None:
        self.used = None

    def put(self, model: str, key: str, vector: Vector, feature_map: bytes) -> None:
        with self.lock:
            self.made.setdefault(model, {})[key] = vector, feature_map

    def vectors(self, model: str, keys: Sequence[str]) -> Mapping[str, Vector]:
        made = self.made.get(model, {})
        return {key: made[key][0] for key in keys if key in made}

    def maps(self, model: str, keys: Sequence[str]) -> Mapping[str, bytes]:
        made = self.made.get(model, {})
        return {key: made[key][1] for key in keys if key in made}

    def remove(self, models: Sequence[str], keys: Sequence[str]) -> None:
        with self.lock:
            for model in models:
                for key in keys:
                    self.made.get(model, {}).pop(key, None)

    def keys(self, model: str) -> Iterator[Sequence[str]]:
        yield list(self.made.get(model, {}))


class MemoryModelFiles(ModelFiles):
    """Names of files, without folders."""

    def __init__(self) -> None:
        self.kept: dict[str, Mapping[str, bytes]] = {}

    def keep(self, card: str, files: Mapping[str, bytes]) -> None:
        self.kept.setdefault(card, files)

    def folder(self, card: str) -> Path:
        raise ModelError(f"{card}: in memory alone")

    def remove(self, card: str) -> None:
        self.kept.pop(card, None)


class MemoryIndices(Indices):
    """An index for each model."""

    def __init__(self) -> None:
        self.made: dict[str, VectorIndex] = {}

    def of(self, model: Embedder) -> VectorIndex:
        return self.made.setdefault(model.model, MemoryIndex())

    def make(self, model: Embedder) -> None:
        self.of(model)

    def drop(self, model: str, live: str) -> None:
        self.made.pop(model, None)


class GivenModels(Models):
    """Models by name; the first is the configured one."""

    def __init__(self, stores: Callable[[], Stores], *embedders: Embedder, verifier: Verifier | None = None) -> None:
        self.stores = stores
        self.embedders = {embedder.model: embedder for embedder in embedders}
        self.verifier = verifier or TinyVerifier()

    def ref(self, name: str) -> ModelRef:
        return ModelRef(name, hashlib.sha256(name.encode()).hexdigest()[:16], "graph of " + name)

    def in_use(self) -> ModelsInUse | None:
        return self.stores().embeddings.models()

    def configured(self) -> ModelRef:
        return self.ref(next(iter(self.embedders)))

    def configured_files(self) -> Mapping[str, bytes]:
        return {"model.onnx": b"graph", "codebooks.npz": b"books", "card.json": b"{}"}

    def opened(self, ref: ModelRef) -> tuple[Embedder, Verifier]:
        return self.embedders[ref.name], self.verifier


class MemoryWeb(Fetcher):
    """Pictures by URL; a value that is an exception is raised."""

    def __init__(self) -> None:
        self.answers: dict[str, bytes | Exception] = {}

    def __call__(self, url: str, max_bytes: int) -> bytes:
        answer = self.answers.get(url, UrlUnreachable(url))
        if isinstance(answer, Exception):
            raise answer
        return answer


class SetClock(Clock):
    """A clock that stands where it is set, in Unix milliseconds."""

    def __init__(self, now: int) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


@dataclass(frozen=True, slots=True)
class MemoryStores:
    """The port Stores, of whatever stores: those in memory, but for the ones that are given."""

    applications: Applications = field(default_factory=MemoryApplications)
    catalog: Catalog = field(default_factory=MemoryCatalog)
    index: VectorIndex = field(default_factory=MemoryIndex)
    originals: PictureStore = field(default_factory=MemoryOriginals)
    maps: MapStore = field(default_factory=MemoryMaps)
    uploads: Uploads = field(default_factory=MemoryUploads)
    counters: Counters = field(default_factory=MemoryCounters)
    records: Records = field(default_factory=MemoryRecords)
    embeddings: Embeddings = field(default_factory=MemoryEmbeddings)
    model_files: ModelFiles = field(default_factory=MemoryModelFiles)
    indices: Indices = field(default_factory=MemoryIndices)
    objects: UploadStore = field(default_factory=MemoryObjects)
    staged: StagedFiles = field(default_factory=MemoryStaging)
    dead_letters: DeadLetters = field(default_factory=MemoryDeadLetters)
    backlogs: Backlogs = field(default_factory=SetBacklog)
    wrong: Sequence[str] = ()

    def problems(self) -> Sequence[str]:
        return self.wrong

    def unreachable(self) -> Sequence[str]:
        return ()

    def close(self) -> None:
        """Nothing was opened."""


_STORES = {one.name for one in fields(MemoryStores)}


def memory_ports(*applications: Application, **given: Any) -> Ports:
    """One of each, empty but for the applications; stores and ports that are ``given`` by name take their places."""
    stores = {name: given.pop(name) for name in _STORES & given.keys()}
    chosen: dict[str, Any] = {
        "settings": Settings(),
        "stores": MemoryStores(**{"applications": MemoryApplications(*applications), **stores}),
        "embedder": TinyEmbedder(),
        "verifier": TinyVerifier(),
        "fetch": MemoryWeb(),
        "clock": SetClock(1_767_323_045_000),  # 2026-01-02T03:04:05Z
    }
    return Ports(**chosen | given)


def with_stores(ports: Ports, **given: Any) -> Ports:
    """The same ports, but for these stores, by name."""
    stores = {name: given.get(name, getattr(ports.stores, name)) for name in _STORES - {"wrong"}}
    return replace(ports, stores=MemoryStores(**stores, wrong=given.get("wrong", ())))
