"""A large library in SQLite, whose rows the database itself copies: a second for 100,000."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median

from lookalike.domain.library import Identity, Kind, Library, LibraryRef
from lookalike.ports import Ports
from lookalike.service.groups import list_pictures
from lookalike.service.libraries import create_library
from lookalike.stores.local.sqlite_stores import SqliteStores
from tests.contract.rows import row
from tests.support.fakes import memory_ports

#: Pictures of a page.
PAGE = 100


@contextmanager
def large_library(folder: Path, pictures: int) -> Iterator[tuple[Ports, Library]]:
    """Ports with a library whose pictures are 00000000, 00000001, and so on."""
    path = folder / "catalog.db"
    with closing(SqliteStores(path)) as stores:
        ref = LibraryRef("tenant", "large", Kind.SIMILAR, Identity.OWN)
        library = create_library(memory_ports(catalog=stores.catalog), ref)
        stores.catalog.put(row(library.uid, "0" * 8, brief="b"), None)
    with closing(sqlite3.connect(path)) as connection, connection:
        columns = [name for _, name, *_ in connection.execute("PRAGMA table_info(pictures)")]
        copied = ", ".join({"id": "printf('%08d', n)", "checksum": "NULL"}.get(name, name) for name in columns)
        connection.execute(  # names of our own
            f"WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {pictures - 1}) "  # noqa: S608
            f"INSERT INTO pictures ({', '.join(columns)}) SELECT {copied} FROM pictures, numbers"
        )
    with closing(SqliteStores(path, existing=True)) as stores:
        yield memory_ports(catalog=stores.catalog), library


def page_milliseconds(ports: Ports, library: Library, after: str | None, repeats: int = 9) -> float:
    """Processor time of a page behind that picture, the median of several."""
    times = []
    for _ in range(repeats):
        began = time.process_time()
        page = list_pictures(ports, library, after, PAGE)
        times.append(1000 * (time.process_time() - began))
        assert len(page.pictures) == PAGE
    return median(times)
