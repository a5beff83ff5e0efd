"""One SQLite file: durable writes that share an fsync, and reads that never wait for a write."""

from __future__ import annotations

import os
import re
import sqlite3
import stat
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar, cast

from lookalike.errors import SettingsError, Unavailable
from lookalike.stores.local.disk_errors import READ_ONLY_REASON, is_read_only
from lookalike.stores.local.group_commit import GroupCommit
from lookalike.stores.local.sqlite_errors import NEVER_WRITES_AGAIN, WRITE_REFUSED, code_of, is_damage, reason_of

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], object]

#: Seconds that a write waits for another process's transaction.
_MAX_BUSY_SECONDS = 10.0

#: Seconds between a refusal to open the file for writing and the next trial, at least.
_MIN_RETRY_SECONDS = 1.0

#: The remedy for a damaged file, shown to the operator.
_REMEDY = "restore it from a backup"

_CREATE_TABLE = re.compile(r"\s*CREATE TABLE (\w+)")

#: A file's modification time in nanoseconds and size in bytes, by which changes are noticed; None: there is no file.
_Stamp = tuple[int, int] | None


class Database:
    """A SQLite file in WAL mode with synchronous=FULL: a write is on the disk when its call returns.

    Safe to use from several threads and processes. A read takes a connection from a pool and sees the last commit of
    any process. Writes of several threads that wait at the same time share one transaction, hence one fsync; each still
    has its own result or error.

    Opening an up-to-date file writes nothing. On a disk that refuses writes the file is read with SQLite's
    ``immutable``, every write raises Unavailable, and writes resume once the disk takes them.

    Parameters
    ----------
    path : the file; created with mode 0600, like the files SQLite puts beside it.
    migrations : the SQL statements of each migration. The file's ``PRAGMA user_version`` is the number of migrations
        applied; opening applies the others.
    existing : refuse a file without any migration, instead of applying the first.

    Raises
    ------
    SettingsError : the file is not a database, cannot be opened, or was written by a newer version.
    """

    def __init__(self, path: Path, migrations: Sequence[Sequence[str]], *, existing: bool = False) -> None:
        self.path = path
        self._migrations = migrations
        self._existing = existing
        self._idle: deque[sqlite3.Connection] = deque()
        self._closed = False
        self._transacting = threading.Lock()
        self._group: GroupCommit[Work] = GroupCommit(self._commit)
        self._writer: sqlite3.Connection | None = None
        self._uri = path.absolute().as_uri()
        self._immutable_stamps: tuple[_Stamp, _Stamp] | None = None  # of file and log, while read as immutable
        self._refusal: str | None = None  # why the disk refused the last write
        self._damage: str | None = None
        self._retry_at = 0.0
        try:
            self._writer = self._open()
            self._refusal = READ_ONLY_REASON if is_read_only(path) else None
        except (OSError, sqlite3.Error) as error:
            if not self._open_immutable(error):
                remedy = f"; {_REMEDY}" if is_damage(error) else ""
                raise SettingsError(f"{path}: cannot be used ({reason_of(error)}){remedy}") from error

    def close(self) -> None:
        """Wait for the write under way and close the file. Calls after this raise Unavailable."""
        with self._transacting:
            self._closed = True
            if self._writer is not None:
                self._writer.close()
        self._empty_pool()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection for reading, the caller's own until the block ends. Raises Unavailable."""
        if self._closed:
            raise Unavailable(f"{self.path}: closed")
        if self._immutable_stamps is not None and self._immutable_stamps != self._stamps():
            self._reopen()
        pool = self._idle
        try:
            connection = pool.pop() if pool else self._connect()
        except IndexError:  # another thread took the last one in between
            connection = self._connect()
        except sqlite3.DatabaseError as error:
            raise self._translate(error) from error
        try:
            yield connection
        except sqlite3.DatabaseError as error:
            raise self._translate(error) from error
        finally:
            pool.append(connection)
            if self._closed or pool is not self._idle:
                with suppress(IndexError):  # emptying the pool has closed it already
                    pool.pop().close()

    def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run ``work`` in a transaction and return its result once durable.

        An exception from ``work`` undoes its changes, but none of the other work in the transaction. ``work`` may run
        twice, so it must change nothing but the database. Raises Unavailable if SQLite fails: disk full, read-only or
        failing, locked by another process for too long.
        """
        return cast("T", self._group(work))

    def problems(self) -> list[str]:
        """Return one line per problem with the file. Tries a durable write again if the last one was refused."""
        if self._refusal is not None and time.monotonic() >= self._retry_at:
            self._retry_at = time.monotonic() + _MIN_RETRY_SECONDS
            version = f"PRAGMA user_version = {len(self._migrations)}"  # changes nothing, and is written all the same
            with suppress(Unavailable):
                self.write(lambda connection: connection.execute(version))
        lines = []
        if self._refusal is not None:
            lines.append(f"{self.path.name} takes no writes ({self._refusal}); what it holds is served")
        if self._damage is not None:
            lines.append(f"{self.path.name} is damaged ({self._damage}); {_REMEDY}")
        return lines

    def _open(self) -> sqlite3.Connection:
        """Create or open the file, bring it up to date, and return a connection for writing."""
        _create_file(self.path)
        connection = self._connect()
        try:
            self._migrate(connection)
        except (sqlite3.Error, SettingsError):
            connection.close()
            raise
        return connection

    def _open_immutable(self, error: Exception) -> bool:
        """Return whether the file can be read, after opening it for writing has failed with ``error``.

        SQLite's ``immutable`` neither locks the file nor reads its log, so it is for a file that nobody can write and
        whose log is empty. Each read compares the stamps, in case the file has changed all the same.
        """
        if isinstance(error, sqlite3.Error) and code_of(error) not in WRITE_REFUSED:
            return False
        stamps = self._stamps()
        log = stamps[1]
        if stamps[0] is None or (log is not None and log[1]):
            return False
        self._immutable_stamps, self._refusal = stamps, self._refusal_reason(error)
        try:
            with self.reading() as connection:
                version = self._schema_version(connection)
                if version == len(self._migrations):
                    self._require_tables(connection)
        except Unavailable:
            return False
        finally:
            self._empty_pool()
        if version < len(self._migrations):
            raise SettingsError(
                f"{self.path}: has to be brought up to date, and the disk takes no writes ({self._refusal})"
            )
        return True

    def _reopen(self) -> None:
        """Open the file for writing if the disk now allows it, else as immutable in its present state."""
        with self._transacting:
            self._ensure_writer()
            if self._immutable_stamps is not None:
                self._immutable_stamps = self._stamps()
                self._empty_pool()

    def _ensure_writer(self) -> bool:
        """Return whether there is a connection for writing, opening one if the disk now allows it."""
        if self._writer is not None:
            return True
        if time.monotonic() < self._retry_at:
            return False
        self._retry_at = time.monotonic() + _MIN_RETRY_SECONDS
        immutable_stamps, self._immutable_stamps = self._immutable_stamps, None
        try:
            self._writer = self._open()
        except (OSError, sqlite3.Error, SettingsError) as error:
            self._immutable_stamps, self._refusal = immutable_stamps, self._refusal_reason(error)
            return False
        self._empty_pool()
        return True

    def _empty_pool(self) -> None:
        """Close the idle connections, and each one in use when it is returned."""
        pool, self._idle = self._idle, deque()
        with suppress(IndexError):
            while True:
                pool.pop().close()

    def _stamps(self) -> tuple[_Stamp, _Stamp]:
        return _stamp(self.path), _stamp(self.path.with_name(f"{self.path.name}-wal"))

    def _connect(self) -> sqlite3.Connection:
        uri = self._uri if self._immutable_stamps is None else f"{self._uri}?mode=ro&immutable=1"
        connection = sqlite3.connect(
            uri, uri=True, timeout=_MAX_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA synchronous = FULL")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _schema_version(self, connection: sqlite3.Connection) -> int:
        """Return the number of migrations applied. Raises SettingsError if it is impossible."""
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if version > len(self._migrations):
            raise SettingsError(
                f"{self.path}: written by a newer lookalike (schema {version}; this one knows {len(self._migrations)})"
            )
        if self._existing and version == 0:
            raise SettingsError(
                f"{self.path}: holds nothing, although the folder has been in use; restore {self.path.name} and, if "
                f"there is one, {self.path.name}-wal from a backup"
            )
        return version

    def _require_tables(self, connection: sqlite3.Connection) -> None:
        """Raise SettingsError if a table of the migrations is missing."""
        statements = [one for migration in self._migrations for one in migration]
        made = {found[1] for one in statements if (found := _CREATE_TABLE.match(one))}
        there = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        if missing := sorted(made - there):
            raise SettingsError(f"{self.path}: has lost its table {' and '.join(missing)}; {_REMEDY}")

    def _migrate(self, connection: sqlite3.Connection) -> None:
        if self._schema_version(connection) == len(self._migrations) and _is_wal(connection):
            self._require_tables(connection)
            return
        _switch_to_wal(connection)
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statements in self._migrations[self._schema_version(connection) :]:
                for statement in statements:
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {len(self._migrations)}")
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    def _commit(self, batch: Sequence[Work]) -> Sequence[object]:
        with self._transacting:
            if self._closed:
                return [Unavailable(f"{self.path}: closed")] * len(batch)
            if not self._ensure_writer() or self._writer is None:
                return [Unavailable(f"{self.path}: takes no writes ({self._refusal})")] * len(batch)
            try:
                outcomes = self._commit_together(self._writer, batch)
            except sqlite3.DatabaseError as error:
                outcomes = [self._write_failed(error)] * len(batch)
            return outcomes

    def _commit_together(self, writer: sqlite3.Connection, batch: Sequence[Work]) -> Sequence[object]:
        writer.execute("BEGIN IMMEDIATE")
        try:
            return self._run_and_commit(writer, batch)
        except sqlite3.DatabaseError:
            # Each work gets a transaction of its own, so that one's failure does not fail the others.
            return [self._commit_alone(work) for work in batch]

    def _commit_alone(self, work: Work) -> object:
        if self._writer is None:
            return Unavailable(f"{self.path}: takes no writes ({self._refusal})")
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            return self._run_and_commit(self._writer, [work])[0]
        except sqlite3.DatabaseError as error:
            return self._write_failed(error)

    def _run_and_commit(self, writer: sqlite3.Connection, batch: Sequence[Work]) -> list[object]:
        """Run the works in the open transaction and commit it; roll back if SQLite fails."""
        try:
            outcomes = [_run_in_savepoint(writer, work) for work in batch]
            writer.execute("COMMIT")
        finally:
            if writer.in_transaction:
                writer.execute("ROLLBACK")
        self._refusal = None
        return outcomes

    def _write_failed(self, error: sqlite3.DatabaseError) -> Exception:
        """Return the exception of a failed write, and note whether the disk refuses writes."""
        if code_of(error) in WRITE_REFUSED:
            self._refusal = self._refusal_reason(error)
        if code_of(error) in NEVER_WRITES_AGAIN and self._writer is not None:
            self._writer.close()  # a later write reopens the file, once no connection of this process holds it open
            self._writer = None
            self._empty_pool()
            self._retry_at = time.monotonic() + _MIN_RETRY_SECONDS
        return self._translate(error)

    def _refusal_reason(self, error: Exception) -> str:
        """Return why the disk refused a write. Of a read-only disk SQLite only says that a file cannot be opened."""
        with suppress(OSError):
            if is_read_only(self.path):
                return READ_ONLY_REASON
        return reason_of(error)

    def _translate(self, error: sqlite3.DatabaseError) -> Exception:
        """Return Unavailable for a failure of the disk, and ``error`` itself for a mistake in our SQL."""
        remedy = ""
        if is_damage(error):
            self._damage, remedy = reason_of(error), f"; {_REMEDY}"
        mistakes = (sqlite3.ProgrammingError, sqlite3.IntegrityError, sqlite3.NotSupportedError)
        return error if isinstance(error, mistakes) else Unavailable(f"{self.path}: {reason_of(error)}{remedy}")


def _run_in_savepoint(writer: sqlite3.Connection, work: Work) -> object:
    """Return the work's result, or the exception it raised, undone. Raises SQLite's own errors."""
    writer.execute("SAVEPOINT work")
    try:
        outcome = work(writer)
    except sqlite3.DatabaseError:
        raise
    except Exception as error:  # group commit raises it to the work's caller
        writer.execute("ROLLBACK TO work")
        outcome = error
    writer.execute("RELEASE work")
    return outcome


def _is_wal(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal")


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """Put a new file into WAL mode.

    Several processes may open it at once. For this statement SQLite does not wait for a lock, as two connections that
    read and want to write would wait for each other for ever, so it is repeated while it fails as locked.
    """
    deadline = time.monotonic() + _MAX_BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _stamp(path: Path) -> _Stamp:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _create_file(path: Path) -> None:
    """Create the file with mode 0600, or change an existing file's mode to that.

    An existing file must be opened by SQLite alone: by POSIX, closing any descriptor of a file drops all locks that the
    process holds on it, and with them those of its other connections.
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    if stat.S_IMODE(path.stat().st_mode) != 0o600 and not is_read_only(path):
        path.chmod(0o600)
