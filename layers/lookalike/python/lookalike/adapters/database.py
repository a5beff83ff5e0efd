"""One SQLite file: durable writes that share their fsync, and reads that never wait for a write."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar, cast

from lookalike.adapters.commit import GroupCommit
from lookalike.errors import SettingsError, Unavailable

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], object]

#: How long a write waits for another process's transaction, in seconds.
_BUSY_SECONDS = 10.0


class Database:
    """A SQLite file in WAL mode with synchronous=FULL: a write is on the disk when the call returns.

    Safe to use from several threads and processes. Reads take a connection of their own out of a pool and see the
    last commit of any process. Writes of several threads that wait at the same time share one transaction, hence
    one fsync, and each still has its own result or error.

    Parameters
    ----------
    path : the file; made with mode 0600, like the files SQLite puts beside it.
    migrations : the SQL statements of each. The file's ``PRAGMA user_version`` says how many migrations it has been
        through; the others are applied now. A migration never changes once released; new ones are appended.

    Raises SettingsError if the file is no database, cannot be opened, or was written by a newer version.
    """

    def __init__(self, path: Path, migrations: Sequence[Sequence[str]]) -> None:
        self.path = path
        self._idle: deque[sqlite3.Connection] = deque()
        self._closed = False
        self._transacting = threading.Lock()
        self._group: GroupCommit[Work] = GroupCommit(self._commit)
        try:
            _make(path)
            self._writer = self._connect()
        except (OSError, sqlite3.Error) as error:
            raise SettingsError(f"{path}: cannot be opened ({error})") from error
        try:
            self._migrate(migrations)
        except sqlite3.Error as error:
            self._writer.close()
            raise SettingsError(f"{path}: cannot be used ({error})") from error
        except SettingsError:
            self._writer.close()
            raise

    def close(self) -> None:
        """Finish, behind the write under way. Calls after this raise Unavailable."""
        with self._transacting:
            self._closed = True
            self._writer.close()
        while self._idle:
            self._idle.pop().close()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection to read with, the caller's own until the block ends. Raises Unavailable."""
        if self._closed:
            raise Unavailable(f"{self.path}: closed")
        try:
            connection = self._idle.pop() if self._idle else self._connect()
        except IndexError:  # another thread took the last one in between
            connection = self._connect()
        try:
            yield connection
        except sqlite3.DatabaseError as error:
            raise self._translate(error) from error
        finally:
            self._idle.append(connection)
            if self._closed:
                self._idle.pop().close()

    def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run ``work`` in a transaction; on return it is durable.

        What ``work`` raises undoes what it did, and nothing of its neighbours. It may run a second time, so it
        changes nothing but the database. Raises Unavailable where SQLite fails: disk full, I/O error, locked by
        another process for too long.
        """
        return cast("T", self._group(work))

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA synchronous = FULL")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _migrate(self, migrations: Sequence[Sequence[str]]) -> None:
        self._switch_to_wal()
        self._writer.execute("BEGIN IMMEDIATE")
        try:
            version = self._writer.execute("PRAGMA user_version").fetchone()[0]
            if version > len(migrations):
                raise SettingsError(
                    f"{self.path}: written by a newer lookalike (schema {version}; this one knows {len(migrations)})"
                )
            for statements in migrations[version:]:
                for statement in statements:
                    self._writer.execute(statement)
            self._writer.execute(f"PRAGMA user_version = {len(migrations)}")
            self._writer.execute("COMMIT")
        finally:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")

    def _switch_to_wal(self) -> None:
        """Put a new file into WAL mode. Several may open it at once, and for this one statement SQLite does not wait
        (two that read and want to write would wait for each other for ever): it says locked, and is asked again."""
        patience = time.monotonic() + _BUSY_SECONDS
        while True:
            try:
                self._writer.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > patience:
                    raise
                time.sleep(0.01)
            else:
                return

    def _commit(self, batch: Sequence[Work]) -> Sequence[object]:
        with self._transacting:
            if self._closed:
                return [Unavailable(f"{self.path}: closed")] * len(batch)
            try:
                self._writer.execute("BEGIN IMMEDIATE")
            except sqlite3.DatabaseError as error:
                return [self._translate(error)] * len(batch)
            try:
                return self._transact(batch)
            except sqlite3.DatabaseError:
                # One work's failure is not its neighbours': each has a transaction of its own now.
                return [self._alone(work) for work in batch]

    def _alone(self, work: Work) -> object:
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            return self._transact([work])[0]
        except sqlite3.DatabaseError as error:
            return self._translate(error)

    def _transact(self, batch: Sequence[Work]) -> list[object]:
        """The open transaction's works and its commit; rolled back if SQLite fails."""
        try:
            outcomes = [self._attempt(work) for work in batch]
            self._writer.execute("COMMIT")
        finally:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
        return outcomes

    def _attempt(self, work: Work) -> object:
        self._writer.execute("SAVEPOINT work")
        try:
            outcome = work(self._writer)
        except sqlite3.DatabaseError:
            raise
        except Exception as error:  # raised again, to the caller whose work it is
            self._writer.execute("ROLLBACK TO work")
            outcome = error
        self._writer.execute("RELEASE work")
        return outcome

    def _translate(self, error: sqlite3.DatabaseError) -> Exception:
        """Unavailable for what goes wrong on a disk; a mistake in our SQL stays what it is."""
        mistakes = (sqlite3.ProgrammingError, sqlite3.IntegrityError, sqlite3.NotSupportedError)
        return error if isinstance(error, mistakes) else Unavailable(f"{self.path}: {error}")


def _make(path: Path) -> None:
    """Make the file with mode 0600, or give it that mode.

    A file that is there is never opened but by SQLite: closing it would take away the locks that other connections
    of this process hold on it (POSIX has it so), and then nobody knows any more that the file is in use.
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    path.chmod(0o600)
