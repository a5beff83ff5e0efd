"""One SQLite file: durable writes that share their fsync, and reads that never wait for a write."""

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
from lookalike.observability import printable
from lookalike.stores.local.disk_errors import READ_ONLY, is_read_only
from lookalike.stores.local.group_commit import GroupCommit

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], object]

#: How long a write waits for another process's transaction, in seconds.
_BUSY_SECONDS = 10.0

#: After the disk has refused to be opened for writing, it is tried again no sooner than so many seconds later.
_RETRY_SECONDS = 1.0

#: SQLite's primary codes of a disk that takes no writes, and of one that has changed what was written.
_NO_WRITES = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN})
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})

#: Codes after which a connection can never write again, whatever becomes of the disk: it has the file open to read.
_READ_ONLY = frozenset({sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN})

#: What can be done about a damaged file.
_RESTORE = "restore it from a backup"

_TABLE = re.compile(r"\s*CREATE TABLE (\w+)")

#: What tells whether somebody has written to a file: modification time in nanoseconds, and size.
_Stamp = tuple[int, int] | None


class Database:
    """A SQLite file in WAL mode with synchronous=FULL: a write is on the disk when the call returns.

    Safe to use from several threads and processes. Reads take a connection of their own out of a pool and see the
    last commit of any process. Writes of several threads that wait at the same time share one transaction, hence
    one fsync, and each still has its own result or error.

    Opening a file that is up to date writes nothing. On a disk that takes no writes the file is read as it is, every
    write raises Unavailable, and writing begins again by itself once the disk allows it.

    Parameters
    ----------
    path : the file; made with mode 0600, like the files SQLite puts beside it.
    migrations : the SQL statements of each. The file's ``PRAGMA user_version`` says how many migrations it has been
        through; the others are applied now. A migration never changes once released; new ones are appended.
    existing : refuse a file that has been through no migration at all, instead of applying the first.

    Raises SettingsError if the file is no database, cannot be opened, or was written by a newer version.
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
        self._as_is: tuple[_Stamp, _Stamp] | None = None  # of the file and its log, when they are read as they are
        self._refusal: str | None = None  # why the disk took no write, last
        self._damage: str | None = None
        self._retry_at = 0.0
        try:
            self._writer = self._open()
            self._refusal = READ_ONLY if is_read_only(path) else None
        except (OSError, sqlite3.Error) as error:
            if not self._open_as_is(error):
                remedy = f"; {_RESTORE}" if is_damage(error) else ""
                raise SettingsError(f"{path}: cannot be used ({_reason(error)}){remedy}") from error

    def close(self) -> None:
        """Finish, behind the write under way. Calls after this raise Unavailable."""
        with self._transacting:
            self._closed = True
            if self._writer is not None:
                self._writer.close()
        self._empty_pool()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection to read with, the caller's own until the block ends. Raises Unavailable."""
        if self._closed:
            raise Unavailable(f"{self.path}: closed")
        if self._as_is is not None and self._as_is != self._stamps():
            self._open_again()
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
                with suppress(IndexError):  # whoever empties the pool has closed it already
                    pool.pop().close()

    def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run ``work`` in a transaction; on return it is durable.

        What ``work`` raises undoes what it did, and nothing of its neighbours. It may run a second time, so it
        changes nothing but the database. Raises Unavailable where SQLite fails: disk full, read-only or failing,
        locked by another process for too long.
        """
        return cast("T", self._group(work))

    def problems(self) -> list[str]:
        """What is wrong with the file, a line each. A disk that took no write is asked again, so it may take a flush."""
        if self._refusal is not None and time.monotonic() >= self._retry_at:
            self._retry_at = time.monotonic() + _RETRY_SECONDS
            version = f"PRAGMA user_version = {len(self._migrations)}"  # says what is so already, and has to be written
            with suppress(Unavailable):
                self.write(lambda connection: connection.execute(version))
        lines = []
        if self._refusal is not None:
            lines.append(f"{self.path.name} takes no writes ({self._refusal}); what it holds is served")
        if self._damage is not None:
            lines.append(f"{self.path.name} is damaged ({self._damage}); {_RESTORE}")
        return lines

    def _open(self) -> sqlite3.Connection:
        """A connection to write with, to a file that is up to date."""
        _make(self.path)
        connection = self._connect()
        try:
            self._migrate(connection)
        except (sqlite3.Error, SettingsError):
            connection.close()
            raise
        return connection

    def _open_as_is(self, error: Exception) -> bool:
        """Whether the file can be read although the disk failed with ``error`` when it was opened to be written.

        SQLite's ``immutable`` neither locks nor looks at the log, so it is for a file that nobody can write to and
        whose log is empty. Each read looks whether the file has changed after all.
        """
        if isinstance(error, sqlite3.Error) and _code(error) not in _NO_WRITES:
            return False
        stamps = self._stamps()
        log = stamps[1]
        if stamps[0] is None or (log is not None and log[1]):
            return False
        self._as_is, self._refusal = stamps, self._why(error)
        try:
            with self.reading() as connection:
                version = self._version(connection)
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

    def _open_again(self) -> None:
        """Open the file to write, if the disk allows it now; else as it is now. Keeps what is open if neither works."""
        with self._transacting:
            self._try_to_open()
            if self._as_is is not None:
                self._as_is = self._stamps()
                self._empty_pool()

    def _try_to_open(self) -> bool:
        """Whether there is a connection that may write; makes one if the disk allows it now."""
        if self._writer is not None:
            return True
        if time.monotonic() < self._retry_at:
            return False
        self._retry_at = time.monotonic() + _RETRY_SECONDS
        read_as_is, self._as_is = self._as_is, None
        try:
            self._writer = self._open()
        except (OSError, sqlite3.Error, SettingsError) as error:
            self._as_is, self._refusal = read_as_is, self._why(error)
            return False
        self._empty_pool()
        return True

    def _empty_pool(self) -> None:
        """Close the idle connections, and those in use when they come back."""
        pool, self._idle = self._idle, deque()
        with suppress(IndexError):
            while True:
                pool.pop().close()

    def _stamps(self) -> tuple[_Stamp, _Stamp]:
        return _stamp(self.path), _stamp(self.path.with_name(f"{self.path.name}-wal"))

    def _connect(self) -> sqlite3.Connection:
        uri = self._uri if self._as_is is None else f"{self._uri}?mode=ro&immutable=1"
        connection = sqlite3.connect(
            uri, uri=True, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA synchronous = FULL")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _version(self, connection: sqlite3.Connection) -> int:
        """How many migrations the file has been through. Raises SettingsError if that cannot be."""
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
        """Raise SettingsError if a table that the migrations have made is not there."""
        made = {found[1] for statements in self._migrations for one in statements if (found := _TABLE.match(one))}
        there = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        if missing := sorted(made - there):
            raise SettingsError(f"{self.path}: has lost its table {' and '.join(missing)}; {_RESTORE}")

    def _migrate(self, connection: sqlite3.Connection) -> None:
        if self._version(connection) == len(self._migrations) and _is_wal(connection):
            self._require_tables(connection)
            return
        _switch_to_wal(connection)
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statements in self._migrations[self._version(connection) :]:
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
            if not self._try_to_open() or self._writer is None:
                return [Unavailable(f"{self.path}: takes no writes ({self._refusal})")] * len(batch)
            try:
                outcomes = self._transact_each(self._writer, batch)
            except sqlite3.DatabaseError as error:
                outcomes = [self._refused(error)] * len(batch)
            return outcomes

    def _transact_each(self, writer: sqlite3.Connection, batch: Sequence[Work]) -> Sequence[object]:
        writer.execute("BEGIN IMMEDIATE")
        try:
            return self._transact(writer, batch)
        except sqlite3.DatabaseError:
            # One work's failure is not its neighbours': each has a transaction of its own now.
            return [self._alone(work) for work in batch]

    def _alone(self, work: Work) -> object:
        if self._writer is None:
            return Unavailable(f"{self.path}: takes no writes ({self._refusal})")
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            return self._transact(self._writer, [work])[0]
        except sqlite3.DatabaseError as error:
            return self._refused(error)

    def _transact(self, writer: sqlite3.Connection, batch: Sequence[Work]) -> list[object]:
        """The open transaction's works and its commit; rolled back if SQLite fails."""
        try:
            outcomes = [_attempt(writer, work) for work in batch]
            writer.execute("COMMIT")
        finally:
            if writer.in_transaction:
                writer.execute("ROLLBACK")
        self._refusal = None
        return outcomes

    def _refused(self, error: sqlite3.DatabaseError) -> Exception:
        """What a write that failed raises; remembers what the disk is like."""
        if _code(error) in _NO_WRITES:
            self._refusal = self._why(error)
        if _code(error) in _READ_ONLY and self._writer is not None:
            self._writer.close()  # a later write opens the file again, and with it what this process shares of it
            self._writer = None
            self._empty_pool()
            self._retry_at = time.monotonic() + _RETRY_SECONDS
        return self._translate(error)

    def _why(self, error: Exception) -> str:
        """Why the disk took no write: SQLite says of a read-only one that a file cannot be opened."""
        with suppress(OSError):
            if is_read_only(self.path):
                return READ_ONLY
        return _reason(error)

    def _translate(self, error: sqlite3.DatabaseError) -> Exception:
        """Unavailable for what goes wrong on a disk; a mistake in our SQL stays what it is."""
        remedy = ""
        if is_damage(error):
            self._damage, remedy = _reason(error), f"; {_RESTORE}"
        mistakes = (sqlite3.ProgrammingError, sqlite3.IntegrityError, sqlite3.NotSupportedError)
        return error if isinstance(error, mistakes) else Unavailable(f"{self.path}: {_reason(error)}{remedy}")


def is_damage(error: BaseException | None) -> bool:
    """Whether it says that a page of the file is not as SQLite has written it."""
    return isinstance(error, sqlite3.DatabaseError) and _code(error) in _DAMAGED


def _attempt(writer: sqlite3.Connection, work: Work) -> object:
    writer.execute("SAVEPOINT work")
    try:
        outcome = work(writer)
    except sqlite3.DatabaseError:
        raise
    except Exception as error:  # raised again, to the caller whose work it is
        writer.execute("ROLLBACK TO work")
        outcome = error
    writer.execute("RELEASE work")
    return outcome


def _is_wal(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal")


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """Put a new file into WAL mode. Several may open it at once, and for this one statement SQLite does not wait
    (two that read and want to write would wait for each other for ever): it says locked, and is asked again."""
    patience = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > patience:
                raise
            time.sleep(0.01)
        else:
            return


def _code(error: sqlite3.Error) -> int:
    """SQLite's primary code; 0 for what Python's own module raises."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _reason(error: Exception) -> str:
    """What is wrong, in one line that a terminal can show: SQLite and Python quote what a file holds."""
    return printable((error.strerror or str(error)) if isinstance(error, OSError) else str(error))


def _stamp(path: Path) -> _Stamp:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _make(path: Path) -> None:
    """Make the file with mode 0600, or give it that mode.

    A file that is there is never opened but by SQLite: closing it would take away the locks that other connections
    of this process hold on it (POSIX has it so), and then nobody knows any more that the file is in use.
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    if stat.S_IMODE(path.stat().st_mode) != 0o600 and not is_read_only(path):
        path.chmod(0o600)
