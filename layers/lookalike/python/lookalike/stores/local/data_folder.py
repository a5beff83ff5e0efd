"""The folder one machine's data lives in."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from pathlib import Path
from typing import Self

from lookalike.errors import SettingsError
from lookalike.stores.local.disk_errors import NO_WRITES, is_read_only

#: One of these is the first thing that a data folder ever holds.
_CATALOG, _LOCK = "catalog.db", "server.lock"

#: Of these there is none before the catalog has been made and flushed to the disk.
_ORIGINALS, _DEAD_LETTERS, _LOG = "originals", "dead-letters.jsonl", f"{_CATALOG}-wal"


class DataFolder:
    """Everything the one-machine service keeps, readable by its owner alone.

    Opening it makes it (mode 0700) where it is missing or empty, and takes away other users' access where it is
    not. Raises SettingsError where that cannot be done, for a folder of anything else, and for one that has lost its
    catalog: those are left as they are.

    ``used``: it has been in use, so its catalog holds something.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.used = self._has_been_used()
            names = {entry.name for entry in path.iterdir()} - {"lost+found"}  # a disk of its own has that
            if names and not names & {_CATALOG, _LOCK}:
                raise SettingsError(
                    f"data folder {path}: holds other files and no {_CATALOG}; name a folder of its own"
                )
            if stat.S_IMODE(path.stat().st_mode) != 0o700 and not is_read_only(path):
                path.chmod(0o700)
        except OSError as error:
            raise SettingsError(f"data folder {path}: {error.strerror}") from error

    @classmethod
    def existing(cls, path: Path) -> Self:
        """The data folder that is there. Makes nothing: raises SettingsError if none is."""
        try:
            if path.is_dir() and any((_size(path / _CATALOG), _size(path / _LOG), _traces(path))):
                return cls(path)
        except OSError as error:
            raise SettingsError(f"data folder {path}: {error.strerror}") from error
        raise SettingsError(f"no data folder at {path}")

    def mark_as_used(self) -> None:
        """Note that the catalog has been made: from now on the folder is refused without it.

        The note is the folder of originals. Raises SettingsError.
        """
        if self.used:
            return
        try:
            self.originals.mkdir(mode=0o700, exist_ok=True)
            folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise SettingsError(f"{self.originals}: cannot be made ({error.strerror})") from error
        self.used = True

    def require_originals(self) -> None:
        """Raise SettingsError if nothing is left of the originals that the catalog's pictures point at."""
        if not self.originals.is_dir() or not any(entry.name != "lost+found" for entry in self.originals.iterdir()):
            raise SettingsError(
                f"data folder {self.path}: {_CATALOG} holds pictures, and {_ORIGINALS} is missing or empty; restore "
                f"{_ORIGINALS} from the same backup, or mount its disk. Nothing has been changed"
            )

    def _has_been_used(self) -> bool:
        """Raise SettingsError if it has been, and its catalog is gone."""
        traces = _traces(self.path)  # before the size: another process may be making the catalog just now
        size = _size(self.path / _CATALOG)
        if not size and _size(self.path / _LOG):  # a log comes after its file's first page
            traces.append(_LOG)
        if traces and not size:
            raise SettingsError(
                f"data folder {self.path}: {_CATALOG} is {'missing' if size is None else 'empty'}, and "
                f"{' and '.join(traces)} {'is' if len(traces) == 1 else 'are'} there: its applications and pictures are "
                f"lost. Restore {_CATALOG} from a backup, or name another folder to start anew. Nothing has been changed"
            )
        return bool(traces)

    @staticmethod
    def is_there(path: Path) -> bool:
        """Whether a folder that can be looked into has a catalog."""
        try:
            return (path / _CATALOG).exists()
        except OSError:
            return False

    @property
    def catalog(self) -> Path:
        """The SQLite file of applications, libraries, pictures and local maps."""
        return self.path / _CATALOG

    @property
    def originals(self) -> Path:
        """The folder of the pictures as they were given."""
        return self.path / _ORIGINALS

    @property
    def dead_letters(self) -> Path:
        """The file of messages that never will succeed."""
        return self.path / _DEAD_LETTERS

    def lock(self) -> None:
        """Keep every other server off this folder until :meth:`unlock` or this process's end, however it ends.

        Raises SettingsError if another server has it, or if the lock's file cannot be used. Commands that only read
        and write the catalog need no lock.
        """
        path = self.path / _LOCK
        try:
            lock = _open_lock(path)
        except OSError as error:
            raise SettingsError(f"{path}: cannot be opened ({error.strerror})") from error
        if lock is None:
            return
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _write_holder(lock)
        except BlockingIOError as error:
            holder = os.pread(lock, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(lock)
            raise SettingsError(f"data folder {self.path}: in use by another server (process {holder})") from error
        except OSError as error:
            os.close(lock)
            raise SettingsError(f"{path}: cannot be locked ({error.strerror})") from error
        self._lock = lock

    def unlock(self) -> None:
        """Let another server have the folder."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _open_lock(path: Path) -> int | None:
    """A lock file's descriptor; None if there is none on a read-only disk, where no server could write."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None


def _write_holder(lock: int) -> None:
    """Write this process's number, for whoever finds the folder in use; a disk that takes no writes goes without."""
    try:
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    except OSError as error:
        read_only = fcntl.fcntl(lock, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
        if not read_only and error.errno not in NO_WRITES:
            raise


def _traces(path: Path) -> list[str]:
    """What says that the folder has had a catalog."""
    return [name for name in (_ORIGINALS, _DEAD_LETTERS) if (path / name).exists()]


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None
