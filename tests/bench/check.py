"""Measures ``check``: all stores of a data folder compared with its catalog, beside reading them alone.

python -m tests.bench.check [--quick]
"""

from __future__ import annotations

import argparse
import sqlite3
import time
import tracemalloc
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from rich.console import Console

from lookalike.domain.library import Identity, Kind, Library
from lookalike.domain.picture import DIMENSION
from lookalike.embedding.embedder import OnnxEmbedder
from lookalike.ports import Ports
from lookalike.service.consistency import check
from lookalike.stores.local import picture_row
from lookalike.stores.local.original_files import FolderStore
from lookalike.stores.local.sqlite_stores import SqliteStores
from tests.bench.model import MODEL
from tests.bench.pipeline import service
from tests.bench.report import Report
from tests.bench.stores import LIBRARY, batches

T = TypeVar("T")

#: Every original is this: a check reads names and sizes.
ORIGINAL = b"1"


def measure(report: Report, *, quick: bool) -> None:
    """Check a folder of 100,000 pictures of ``similar`` in which nothing differs."""
    size = 2_000 if quick else 100_000
    with service(partial(fill, size=size)) as ports:
        reading, _ = took(partial(read, ports))
        checking, found = took(partial(check, ports))
        if found.left or found.settling or found.totals.live != size or found.totals.files != size:
            raise RuntimeError(f"a check has gone wrong: {found}")
        tracemalloc.start()
        check(ports)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    group = f"check of {size:,} pictures"
    report.add(group, "all stores read and compared", checking, "s", floor=reading, aim="seconds")
    report.add(group, "memory that it takes, at most", peak / 1e6, "MB")


def fill(data: Path, *, size: int) -> None:
    """Write a catalog and the originals of its rows."""
    file = data / "catalog.db"
    model = OnnxEmbedder(MODEL).model
    with closing(SqliteStores(file)) as stores:
        stores.catalog.create_library(Library("bench", "similar", LIBRARY, Kind.SIMILAR, Identity.PICTURE, created=1))
    originals = FolderStore(data / "originals")
    vectors = np.zeros((size, DIMENSION), np.float16)
    vectors[np.arange(size), np.arange(size) % DIMENSION] = 1
    with closing(sqlite3.connect(file)) as connection, connection:
        for batch in batches(vectors):
            rows = [replace(row, model=model, file_size=len(ORIGINAL)) for row in batch]
            connection.executemany(picture_row.INSERT, [picture_row.row_of(row) for row in rows])
            for row in rows:
                path = originals.path_of(row.object_key)
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(ORIGINAL)


def read(ports: Ports) -> None:
    """Read all rows, and what the other stores list, and do nothing with them."""
    for batches_of in (ports.index.entries, ports.originals.stored, ports.maps.stored_maps, ports.catalog.every_row):
        for _ in batches_of():
            pass


def took(work: Callable[[], T]) -> tuple[float, T]:
    """Return the seconds of processor time that some work takes, and its result."""
    began = time.process_time()
    result = work()
    return time.process_time() - began, result


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small folder: shows that it works, not how fast it is")
    report = Report()
    measure(report, quick=parser.parse_args().quick)
    report.print(Console())


if __name__ == "__main__":
    main()
