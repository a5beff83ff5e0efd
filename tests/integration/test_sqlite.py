"""SQLite: group commit, failures of a disk, other processes, schemas, modes."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from lookalike.domain.application import Application
from lookalike.domain.library import Identity, Kind, Library
from lookalike.domain.picture import Key
from lookalike.domain.upload import Holding, Upload, UploadState
from lookalike.errors import RevisionConflict, SettingsError, Unavailable
from lookalike.stores.local import sqlite_catalog, sqlite_schema
from lookalike.stores.local import sqlite_database as database_module
from lookalike.stores.local.sqlite_database import Database
from lookalike.stores.local.sqlite_stores import SqliteStores
from tests.contract.rows import application, contents, deleted, library, row

SCHEMA = (("CREATE TABLE numbers (number INTEGER PRIMARY KEY, data BLOB) STRICT",),)


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[SqliteStores]:
    opened = SqliteStores(tmp_path / "catalog.db")
    yield opened
    opened.close()


@pytest.fixture
def numbers(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "numbers.db", SCHEMA)
    yield database
    database.close()


def insert(number: int, data: bytes = b"") -> Callable[[sqlite3.Connection], int]:
    def work(connection: sqlite3.Connection) -> int:
        connection.execute("INSERT INTO numbers VALUES (?, ?)", (number, data))
        return number

    return work


def writer(database: Database) -> sqlite3.Connection:
    assert database._writer is not None
    return database._writer


def kept(database: Database) -> list[int]:
    with database.reading() as connection:
        return [number for (number,) in connection.execute("SELECT number FROM numbers ORDER BY number")]


def in_one_batch(database: Database, *works: Callable[[sqlite3.Connection], object]) -> list[Future[object]]:
    """Run works so that they surely share a batch: they gather while another transaction is held open."""
    held, go = threading.Event(), threading.Event()

    def hold(_connection: sqlite3.Connection) -> None:
        held.set()
        go.wait(10)

    with ThreadPoolExecutor(len(works) + 1) as pool:
        pool.submit(database.write, hold)
        held.wait(10)
        futures = []
        for number, work in enumerate(works):
            futures.append(pool.submit(database.write, work))
            while len(database._group._waiting) <= number:
                threading.Event().wait(0.001)
        go.set()
    return futures


class TestGroupCommit:
    def test_waiting_writes_share_one_commit(self, numbers: Database) -> None:
        statements: list[str] = []
        writer(numbers).set_trace_callback(statements.append)
        futures = in_one_batch(numbers, *(insert(number) for number in range(20)))
        assert [future.result() for future in futures] == list(range(20))
        assert statements.count("COMMIT") == 2  # the one that was held, and one for all twenty
        assert kept(numbers) == list(range(20))

    def test_refused_write_leaves_its_neighbours_alone(self, numbers: Database) -> None:
        def refuse(connection: sqlite3.Connection) -> None:
            insert(99)(connection)
            raise RevisionConflict("mine")

        first, refused, last = in_one_batch(numbers, insert(1), refuse, insert(2))
        assert (first.result(), last.result()) == (1, 2)
        with pytest.raises(RevisionConflict, match="mine"):
            refused.result()
        assert kept(numbers) == [1, 2]

    def test_write_the_disk_has_no_room_for_leaves_its_neighbours_alone(self, numbers: Database) -> None:
        pages = writer(numbers).execute("PRAGMA page_count").fetchone()[0]
        writer(numbers).execute(f"PRAGMA max_page_count = {pages + 3}")
        first, too_big, last = in_one_batch(numbers, insert(1), insert(2, bytes(1 << 20)), insert(3))
        assert (first.result(), last.result()) == (1, 3)
        with pytest.raises(Unavailable, match="full"):
            too_big.result()
        assert kept(numbers) == [1, 3]

    def test_mistake_stays_a_mistake(self, numbers: Database) -> None:
        numbers.write(insert(1))
        with pytest.raises(sqlite3.IntegrityError):
            numbers.write(insert(1))
        with pytest.raises(ZeroDivisionError):
            numbers.write(lambda _connection: 1 // 0)
        assert numbers.write(insert(2)) == 2

    def test_every_commit_is_flushed(self, numbers: Database) -> None:
        full = 2  # of PRAGMA synchronous
        assert writer(numbers).execute("PRAGMA synchronous").fetchone() == (full,)
        assert writer(numbers).execute("PRAGMA journal_mode").fetchone() == ("wal",)


class TestReads:
    def test_read_waits_for_no_write_and_sees_none_half_done(self, numbers: Database) -> None:
        seen: list[list[int]] = []

        def write(connection: sqlite3.Connection) -> None:
            insert(1)(connection)
            reader = threading.Thread(target=lambda: seen.append(kept(numbers)))
            reader.start()
            reader.join(10)

        numbers.write(write)
        assert seen == [[]]
        assert kept(numbers) == [1]

    def test_connections_are_used_again(self, numbers: Database) -> None:
        with numbers.reading() as first, numbers.reading() as second:
            assert first is not second
        for _ in range(10):
            kept(numbers)
        assert len(numbers._idle) == 2

    def test_purge_and_prefix_queries_walk_an_index(self, stores: SqliteStores) -> None:
        statements: list[str] = []
        with stores.database.reading() as connection:
            connection.set_trace_callback(statements.append)
        stores.catalog.waiting_for_purge(5, 10)
        stores.catalog.pictures_by_prefix("library", "ab", 10)
        stores.catalog.picture(Key("library", "a"))
        list(stores.catalog.scan(Kind.SAME))
        list(stores.uploads.holders(Key("library", "a")))
        with stores.database.reading() as connection:
            plans = [str(connection.execute(f"EXPLAIN QUERY PLAN {one}").fetchall()) for one in list(statements)]
        assert len(plans) == 5
        assert "pictures_not_live (deleted_at>? AND deleted_at<?)" in plans[0]
        assert "(library=? AND id>? AND id<?)" in plans[1]
        assert "(library=? AND id=?)" in plans[2]
        assert "pictures_of_kind (kind=? AND rowid>?)" in plans[3]
        assert "uploads_holding (library=? AND id=? AND source>?)" in plans[4]
        assert not any("TEMP B-TREE" in plan for plan in plans[1:])

    def test_scan_goes_through_many_batches(self, stores: SqliteStores, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sqlite_catalog, "_SCAN_ROWS", 7)
        for number in range(23):
            stores.catalog.put(row("library", f"p{number}", kind=Kind.SAME if number % 5 else Kind.SIMILAR), None)
        batches = [[one.key.id for one in batch] for batch in stores.catalog.scan(Kind.SAME)]
        assert [len(batch) for batch in batches] == [7, 7, 4]
        assert [one for batch in batches for one in batch] == [f"p{number}" for number in range(23) if number % 5]


class TestLife:
    def test_everything_is_there_when_opened_again(self, tmp_path: Path) -> None:
        path = tmp_path / "catalog.db"
        before = SqliteStores(path)
        one, other = row("uid", "a", 5, brief="猫", tags=("1",)), deleted(row("uid", "b", 1), 2, at=3)
        before.applications.save_application(application("shop"))
        before.catalog.create_library(library("tenant", "same_hq", "uid"))
        before.catalog.put(one, None)
        before.catalog.put(other, None)
        before.maps.put_map("uid/a/5", b"map")
        before.close()
        after = SqliteStores(path)
        assert after.applications.application("access-shop") == application("shop")
        assert after.catalog.library("tenant", "same_hq") == library("tenant", "same_hq", "uid")
        assert contents(after.catalog.picture(one.key)) == contents(one)
        assert [found.key for found in after.catalog.waiting_for_purge(4, 10)] == [other.key]
        assert after.maps.maps(["uid/a/5"]) == {"uid/a/5": b"map"}
        after.close()

    def test_files_are_the_owners_alone(self, stores: SqliteStores, tmp_path: Path) -> None:
        stores.applications.save_application(application("shop"))
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
        assert modes == {"catalog.db": 0o600, "catalog.db-wal": 0o600, "catalog.db-shm": 0o600}

    def test_opening_a_file_again_leaves_its_locks_alone(self, tmp_path: Path) -> None:
        """Else the last connection of another process would take the log away from under the first."""
        stores, again = SqliteStores(tmp_path / "catalog.db"), SqliteStores(tmp_path / "catalog.db")
        stores.applications.save_application(application("shop"))
        code = "import sqlite3, sys; list(sqlite3.connect(sys.argv[1]).execute('SELECT * FROM applications'))"
        subprocess.run([sys.executable, "-W", "ignore", "-c", code, str(tmp_path / "catalog.db")], check=True)
        assert (tmp_path / "catalog.db-wal").exists()
        again.close()
        stores.close()

    def test_closed_catalog_is_unavailable(self, tmp_path: Path) -> None:
        stores = SqliteStores(tmp_path / "catalog.db")
        stores.close()
        stores.close()
        with pytest.raises(Unavailable, match="closed"):
            stores.applications.application("a")
        with pytest.raises(Unavailable, match="closed"):
            stores.applications.save_application(application("shop"))

    def test_many_may_open_a_new_file_at_once(self, tmp_path: Path) -> None:
        def open_and_close(path: Path) -> None:
            SqliteStores(path).close()

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(open_and_close, [tmp_path / "catalog.db"] * 8))

    def test_a_file_that_another_holds_while_it_is_made_is_waited_for(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """SQLite itself does not wait where a file becomes a WAL one."""
        path = tmp_path / "catalog.db"
        with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
            other.execute("BEGIN IMMEDIATE")
            threading.Timer(0.2, other.execute, ["COMMIT"]).start()
            SqliteStores(path).close()
        monkeypatch.setattr(database_module, "_MAX_BUSY_SECONDS", 0.1)
        with closing(sqlite3.connect(tmp_path / "held.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(SettingsError, match="locked"):
                SqliteStores(tmp_path / "held.db")


class TestOtherProcesses:
    def test_application_made_by_another_process_is_seen_at_once(self, stores: SqliteStores) -> None:
        code = (
            "import sys; from pathlib import Path; from lookalike.stores.local.sqlite_stores import SqliteStores; "
            "from tests.contract.rows import application; "
            "SqliteStores(Path(sys.argv[1])).applications.save_application(application('shop'))"
        )
        assert stores.applications.application("access-shop") is None
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code, str(stores.database.path)],
            check=True,
            cwd=Path(__file__).parents[2],
        )
        assert stores.applications.application("access-shop") == application("shop")

    def test_write_waits_for_another_process_but_not_for_ever(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(database_module, "_MAX_BUSY_SECONDS", 0.2)
        numbers = Database(tmp_path / "numbers.db", SCHEMA)
        other = sqlite3.connect(numbers.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="locked"):
            numbers.write(insert(1))
        assert kept(numbers) == []
        release = threading.Timer(0.05, lambda: None)
        release.start()
        other.execute("COMMIT")
        assert numbers.write(insert(1)) == 1
        release.join()
        other.close()
        numbers.close()


class TestSchema:
    def test_next_version_brings_an_old_file_up_to_date(self, tmp_path: Path) -> None:
        path = tmp_path / "numbers.db"
        old = Database(path, SCHEMA)
        old.write(insert(7))
        old.close()
        new = Database(
            path, (*SCHEMA, ("ALTER TABLE numbers ADD COLUMN name TEXT", "UPDATE numbers SET name = 'seven'"))
        )
        with new.reading() as connection:
            assert connection.execute("SELECT number, name FROM numbers").fetchall() == [(7, "seven")]
            assert connection.execute("PRAGMA user_version").fetchone() == (2,)
        new.close()

    def test_catalog_of_the_first_version_goes_on(self, tmp_path: Path) -> None:
        path = tmp_path / "catalog.db"
        first = Database(path, sqlite_schema.MIGRATIONS[:1])
        first.write(
            lambda connection: connection.execute("INSERT INTO libraries VALUES ('t', 'n', 'u', 'same', 'own', 1)")
        )
        first.write(
            lambda connection: connection.execute("INSERT INTO applications VALUES ('ak', 'sk', '1', 't', 'n', 1, 1)")
        )
        first.close()
        stores = SqliteStores(path)
        assert stores.applications.applications() == [Application("ak", "sk", "1", "t", "n", created=1)]
        (kept,) = stores.catalog.libraries("t")
        stores.catalog.remove_library(kept, now=2)
        assert [one.uid for one in stores.catalog.removed_libraries(3, 10)] == ["u"]
        stores.close()

    def test_libraries_of_the_version_before_have_no_capacity_until_they_are_given_one(self, tmp_path: Path) -> None:
        path = tmp_path / "catalog.db"
        before = Database(path, sqlite_schema.MIGRATIONS[:5])
        before.write(
            lambda connection: connection.execute("INSERT INTO libraries VALUES ('t', 'n', 'u', 'same', 'own', 1)")
        )
        before.close()
        stores = SqliteStores(path)
        kept = Library("t", "n", "u", Kind.SAME, Identity.OWN, 1)
        assert stores.catalog.libraries("t") == [kept]
        stores.catalog.change_library(replace(kept, capacity=7))
        stores.close()
        again = SqliteStores(path)
        assert again.catalog.library("t", "n") == replace(kept, capacity=7)
        again.close()

    def test_uploads_of_the_version_before_are_known(self, tmp_path: Path) -> None:
        path = tmp_path / "catalog.db"
        before = Database(path, sqlite_schema.MIGRATIONS[:3])
        rows = [("a", "1", "u", "p", 7, 0), ("b", "2", "u", "q", 8, 1), ("c", "3", None, None, None, 0)]
        before.write(lambda connection: connection.executemany("INSERT INTO uploads VALUES (?, ?, ?, ?, ?, ?)", rows))
        before.close()
        stores = SqliteStores(path)
        made = Upload("a", "1", Holding(Key("u", "p"), 7))
        assert stores.uploads.upload("a") == made
        assert stores.uploads.upload("b") == Upload("b", "2", Holding(Key("u", "q"), 8), UploadState.ADDING)
        assert stores.uploads.upload("c") == Upload("c", "3", state=UploadState.UNSURE)
        assert list(stores.uploads.holders(Key("u", "p"))) == [made]
        stores.uploads.save_upload(Upload("a", "2"), made)
        stores.close()

    def test_migration_may_hold_semicolons(self, tmp_path: Path) -> None:
        trigger = """
            CREATE TRIGGER kept AFTER INSERT ON numbers BEGIN
                UPDATE numbers SET data = CAST('a;b' AS BLOB) WHERE number = new.number;
                DELETE FROM numbers WHERE number < new.number;
            END
        """
        numbers = Database(tmp_path / "numbers.db", (*SCHEMA, (trigger,)))
        numbers.write(insert(1))
        numbers.write(insert(2))
        with numbers.reading() as connection:
            assert connection.execute("SELECT number, data FROM numbers").fetchall() == [(2, b"a;b")]
        numbers.close()

    def test_failing_migration_changes_nothing(self, tmp_path: Path) -> None:
        path = tmp_path / "numbers.db"
        Database(path, SCHEMA).close()
        with pytest.raises(SettingsError, match="cannot be used"):
            Database(path, (*SCHEMA, ("ALTER TABLE numbers ADD COLUMN name TEXT", "ALTER TABLE nothing ADD COLUMN x")))
        same = Database(path, SCHEMA)
        same.write(insert(1))
        same.close()

    def test_file_of_a_newer_version_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "catalog.db"
        SqliteStores(path).close()
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA user_version = 99")
        connection.close()
        with pytest.raises(SettingsError, match=r"newer lookalike \(schema 99"):
            SqliteStores(path)

    def test_file_that_is_no_database_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "catalog.db"
        path.write_bytes(b"no database, but long enough to be looked at" * 100)
        with pytest.raises(SettingsError, match="not a database"):
            SqliteStores(path)

    def test_missing_folder_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match="missing"):
            SqliteStores(tmp_path / "missing/catalog.db")
