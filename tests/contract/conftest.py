"""The adapters every contract suite runs over: a store joins by one more entry in its list."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import pytest

from lookalike.domain.picture import Picture
from lookalike.ports import (
    Applications,
    Catalog,
    Counters,
    Embeddings,
    Generations,
    MapStore,
    ModelFiles,
    PictureStore,
    Records,
    Uploads,
    VectorIndex,
)
from lookalike.stores.aws.dynamodb_applications import DynamoApplications
from lookalike.stores.aws.dynamodb_catalog import DynamoCatalog
from lookalike.stores.aws.dynamodb_counters import DynamoCounters
from lookalike.stores.aws.dynamodb_embeddings import DynamoEmbeddings
from lookalike.stores.aws.dynamodb_generations import DynamoGenerations
from lookalike.stores.aws.dynamodb_maps import DynamoMaps
from lookalike.stores.aws.dynamodb_records import DynamoRecords
from lookalike.stores.aws.dynamodb_table import Table
from lookalike.stores.aws.dynamodb_uploads import DynamoUploads
from lookalike.stores.aws.opensearch_index import OpenSearchIndex
from lookalike.stores.aws.s3_models import S3Models
from lookalike.stores.aws.s3_objects import CONFIG, S3Store
from lookalike.stores.aws.segment_compaction import Limits
from lookalike.stores.aws.segment_index import LIMITS, SegmentIndex
from lookalike.stores.aws.segment_objects import SegmentObjects
from lookalike.stores.local.model_folder import ModelFolder
from lookalike.stores.local.original_files import FolderStore
from lookalike.stores.local.sqlite_stores import SqliteStores
from lookalike.stores.vectors.file_keeper import FileKeeper
from lookalike.stores.vectors.index import FaissIndex
from lookalike.stores.vectors.segment_folder import SegmentFolder
from tests.servers.dynamodb import server
from tests.servers.opensearch.server import shared_index
from tests.support.emulated import aws
from tests.support.fakes import (
    MemoryApplications,
    MemoryCatalog,
    MemoryCounters,
    MemoryEmbeddings,
    MemoryGenerations,
    MemoryIndex,
    MemoryMaps,
    MemoryOriginals,
    MemoryRecords,
    MemoryUploads,
)

T = TypeVar("T")
Opening = Callable[[Path], AbstractContextManager[T]]


def sqlite(store: Callable[[SqliteStores], T]) -> Opening[T]:
    """One of the stores of a new file."""

    @contextmanager
    def opening(folder: Path) -> Iterator[T]:
        with closing(SqliteStores(folder / "catalog.db")) as stores:
            yield store(stores)

    return opening


def dynamodb(store: Callable[[Table], T]) -> Opening[T]:
    """A store on a new table, at Amazon's own engine where it can run, else at moto."""
    return lambda _folder: nullcontext(store(server.new_table()))


@contextmanager
def folder_store(folder: Path) -> Iterator[FolderStore]:
    yield FolderStore(folder / "originals")


@contextmanager
def s3_store(_folder: Path) -> Iterator[S3Store]:
    with aws() as make:
        client = make("s3", config=CONFIG)
        client.create_bucket(Bucket="originals")
        yield S3Store(client, "originals")


@contextmanager
def model_folder(folder: Path) -> Iterator[ModelFolder]:
    yield ModelFolder(folder / "models")


@contextmanager
def s3_models(_folder: Path) -> Iterator[S3Models]:
    with aws() as make:
        client = make("s3", config=CONFIG)
        client.create_bucket(Bucket="originals")
        yield S3Models(client, "originals")


@contextmanager
def faiss(_folder: Path) -> Iterator[FaissIndex]:
    index = FaissIndex()
    yield index
    index.close()


@contextmanager
def faiss_compacting_early(_folder: Path) -> Iterator[FaissIndex]:
    """Seals and merges all the time, where a small test would otherwise see tails only."""
    index = FaissIndex(max_mutable_rows=3)
    yield index
    index.close()


@contextmanager
def faiss_in_files(folder: Path) -> Iterator[FaissIndex]:
    """Keeps each sealed segment in a file, and searches it there."""
    with closing(SqliteStores(folder / "catalog.db")) as stores:
        keeper = FileKeeper(SegmentFolder(folder / "segments"), stores.changes)
        index = FaissIndex(max_mutable_rows=3, keeper=keeper)
        keeper.start(index)
        yield index
        index.close()


@contextmanager
def opensearch(_folder: Path) -> Iterator[OpenSearchIndex]:
    yield shared_index()


@contextmanager
def segments(_folder: Path, limits: Limits = LIMITS) -> Iterator[SegmentIndex]:
    """Segments in S3 beside a log in the table."""
    with aws() as make:
        client = make("s3", config=CONFIG)
        client.create_bucket(Bucket="originals")
        yield SegmentIndex(
            server.new_table(), SegmentObjects(client, "originals"), lambda _uid: iter(()), limits=limits
        )


@contextmanager
def segments_compacting_early(folder: Path) -> Iterator[SegmentIndex]:
    """Makes and merges segments after every few writes."""
    with segments(folder, Limits(log_rows=3, kept_ms=0)) as index:
        write = index.write

        def write_and_compact(pictures: Sequence[Picture], *, wait: bool = True) -> None:
            write(pictures, wait=False)

        index.write = write_and_compact  # type: ignore[method-assign]
        yield index


def memory(fake: Callable[[], T]) -> Opening[T]:
    """The fakes that other tests trust, held to the same contracts."""
    return lambda _folder: nullcontext(fake())


#: Its name in the tests' says which of the two it is.
DYNAMODB = "moto" if server.missing() else "dynamodb"


def pytest_report_collectionfinish() -> str:
    """Say what stands in for DynamoDB, and why."""
    missing = server.missing()
    return f"DynamoDB: moto, because {missing}" if missing else "DynamoDB: DynamoDB Local"


CATALOGS: dict[str, Opening[Catalog]] = {
    "sqlite": sqlite(lambda stores: stores.catalog),
    "memory": memory(MemoryCatalog),
    DYNAMODB: dynamodb(DynamoCatalog),
}
APPLICATIONS: dict[str, Opening[Applications]] = {
    "sqlite": sqlite(lambda stores: stores.applications),
    "memory": memory(MemoryApplications),
    DYNAMODB: dynamodb(lambda table: DynamoApplications(table, server.sealer())),
}
MAP_STORES: dict[str, Opening[MapStore]] = {
    "sqlite": sqlite(lambda stores: stores.maps),
    "memory": memory(MemoryMaps),
    DYNAMODB: dynamodb(DynamoMaps),
}
UPLOADS: dict[str, Opening[Uploads]] = {
    "sqlite": sqlite(lambda stores: stores.uploads),
    "memory": memory(MemoryUploads),
    DYNAMODB: dynamodb(DynamoUploads),
}
COUNTERS: dict[str, Opening[Counters]] = {
    "sqlite": sqlite(lambda stores: stores.counters),
    "memory": memory(MemoryCounters),
    DYNAMODB: dynamodb(DynamoCounters),
}
RECORDS: dict[str, Opening[Records]] = {
    "sqlite": sqlite(lambda stores: stores.records),
    "memory": memory(MemoryRecords),
    DYNAMODB: dynamodb(DynamoRecords),
}
EMBEDDINGS: dict[str, Opening[Embeddings]] = {
    "sqlite": sqlite(lambda stores: stores.embeddings),
    "memory": memory(MemoryEmbeddings),
    DYNAMODB: dynamodb(DynamoEmbeddings),
}
MODEL_FILES: dict[str, Opening[ModelFiles]] = {"folder": model_folder, "s3": s3_models}
GENERATIONS: dict[str, Opening[Generations]] = {
    "memory": memory(MemoryGenerations),
    DYNAMODB: dynamodb(DynamoGenerations),
}
VECTOR_INDICES: dict[str, Opening[VectorIndex]] = {
    "faiss": faiss,
    "faiss compacting early": faiss_compacting_early,
    "faiss in files": faiss_in_files,
    "opensearch": opensearch,
    f"segments {DYNAMODB}": segments,
    f"segments compacting early {DYNAMODB}": segments_compacting_early,
    "memory": memory(MemoryIndex),
}
PICTURE_STORES: dict[str, Opening[PictureStore]] = {
    "folder": folder_store,
    "s3": s3_store,
    "memory": memory(MemoryOriginals),
}


def each(stores: dict[str, Opening[T]]) -> Any:
    """A fixture that is every one of the stores in turn."""

    @pytest.fixture(params=stores)
    def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[T]:
        with stores[request.param](tmp_path) as opened:
            yield opened

    return store


catalog = each(CATALOGS)
applications = each(APPLICATIONS)
maps = each(MAP_STORES)
uploads = each(UPLOADS)
counters = each(COUNTERS)
records = each(RECORDS)
embeddings = each(EMBEDDINGS)
model_files = each(MODEL_FILES)
generations = each(GENERATIONS)
index = each(VECTOR_INDICES)
originals = each(PICTURE_STORES)


@pytest.fixture
def machine_runs(request: pytest.FixtureRequest) -> int:
    """How often a test of states is run: each has some hundred calls, which a network makes slow."""
    return 5 if DYNAMODB in request.node.callspec.params.values() else 30


@pytest.fixture
def uid() -> str:
    """A library nobody else uses."""
    return uuid4().hex


@pytest.fixture
def together() -> Callable[[list[Callable[[], object]]], list[object]]:
    """Runs calls at the same time, a thread each; answers what each returned, or the exception it raised."""

    def run(calls: list[Callable[[], object]]) -> list[object]:
        start = threading.Barrier(len(calls))
        outcomes: list[object] = [None] * len(calls)

        def call(position: int) -> None:
            start.wait()
            try:
                outcomes[position] = calls[position]()
            except Exception as error:
                outcomes[position] = error

        threads = [threading.Thread(target=call, args=(position,)) for position in range(len(calls))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return outcomes

    return run
