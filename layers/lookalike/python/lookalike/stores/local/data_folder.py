"""The folder that holds all data of one machine."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from pathlib import Path
from typing import Self

from lookalike.errors import SettingsError
from lookalike.stores.durable_files import flush
from lookalike.stores.local.disk_errors import WRITE_REFUSED, is_read_only

#: One of these two is the first entry of a new data folder.
_CATALOG = "catalog.db"
_LOCK = "server.lock"

#: None of these three exists before the catalog has been created and flushed to the disk. The last is SQLite's
#: write-ahead log.
_ORIGINALS = "originals"
_DEAD_LETTERS = "dead-letters.jsonl"
_WAL = f"{_CATALOG}-wal"

#: Made by the first file in it.
_STAGED = "staged"
#: Made by the first change of models.
_MODELS = "models"
#: Made by the first segment that is sealed; derived from the catalog.
_SEGMENTS = "segments"
#: There while a server runs, and after one was killed.
_CONTROL = "server.sock"


class DataFolder:
    """The folder that holds all data of one machine, accessible to its owner alone.

    Opening creates the folder with mode 0700 if it is missing, and removes other users' access from an existing one.

    Attributes
    ----------
    path : the folder.
    used : whether the folder has been in use, so that its catalog must have a schema.

    Raises
    ------
    SettingsError : the folder cannot be created or changed, holds other files, or has lost its catalog. In the last
        two cases the folder is unchanged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.used = self._is_used()
            names = {entry.name for entry in path.iterdir()} - {"lost+found"}  # in the root folder of a disk
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
        """Open an existing data folder. Raises SettingsError, and creates nothing, if there is none."""
        try:
            if path.is_dir() and any((_size_of(path / _CATALOG), _size_of(path / _WAL), _traces_of_use(path))):
                return cls(path)
        except OSError as error:
            raise SettingsError(f"data folder {path}: {error.strerror}") from error
        raise SettingsError(f"no data folder at {path}")

    def mark_as_used(self) -> None:
        """Record that the catalog has been created: from now on the folder is refused without it.

        The record is the existence of the folder of originals. Raises SettingsError.
        """
        if self.used:
            return
        try:
            self.originals.mkdir(mode=0o700, exist_ok=True)
            flush(self.path)
        except OSError as error:
            raise SettingsError(f"{self.originals}: cannot be made ({error.strerror})") from error
        self.used = True

    def require_originals(self) -> None:
        """Raise SettingsError if the folder of originals is missing or empty."""
        if not self.originals.is_dir() or not any(entry.name != "lost+found" for entry in self.originals.iterdir()):
            raise SettingsError(
                f"data folder {self.path}: {_CATALOG} holds pictures, and {_ORIGINALS} is missing or empty; restore "
                f"{_ORIGINALS} from the same backup, or mount its disk. Nothing has been changed"
            )

    def _is_used(self) -> bool:
        """Return whether the folder has been in use. Raises SettingsError if it has been and its catalog is lost."""
        traces = _traces_of_use(self.path)  # before the size, as another process may be creating the catalog
        size = _size_of(self.path / _CATALOG)
        if not size and _size_of(self.path / _WAL):  # SQLite writes the log only after its file's first page
            traces.append(_WAL)
        if traces and not size:
            raise SettingsError(
                f"data folder {self.path}: {_CATALOG} is {'missing' if size is None else 'empty'}, and "
                f"{' and '.join(traces)} {'is' if len(traces) == 1 else 'are'} there: its applications and pictures are "
                f"lost. Restore {_CATALOG} from a backup, or name another folder to start anew. Nothing has been changed"
            )
        return bool(traces)

    @staticmethod
    def has_catalog(path: Path) -> bool:
        """Return whether a folder has a catalog; False if it cannot be read."""
        try:
            return (path / _CATALOG).exists()
        except OSError:
            return False

    @property
    def catalog(self) -> Path:
        """The SQLite file of applications, libraries, pictures, local maps, uploads and counts."""
        return self.path / _CATALOG

    @property
    def originals(self) -> Path:
        """The folder of the pictures' original files."""
        return self.path / _ORIGINALS

    @property
    def staged(self) -> Path:
        """The folder of files sent ahead of the call that uses them."""
        return self.path / _STAGED

    @property
    def models(self) -> Path:
        """The folder of models other than the configured one."""
        return self.path / _MODELS

    @property
    def segments(self) -> Path:
        """The folder of the index's files, which are made again from the catalog where they are missing."""
        return self.path / _SEGMENTS

    @property
    def control(self) -> Path:
        """The socket by which commands ask the running server."""
        return self.path / _CONTROL

    @property
    def dead_letters(self) -> Path:
        """The file of messages that will never succeed."""
        return self.path / _DEAD_LETTERS

    def lock(self) -> None:
        """Exclude every other server from this folder until :meth:`unlock` or the end of this process.

        Commands that only read and write the catalog need no lock. Raises SettingsError if another server holds the
        lock, or if the lock file cannot be used.
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
            _write_pid(lock)
        except BlockingIOError as error:
            holder = os.pread(lock, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(lock)
            raise FolderInUse(self.path, holder) from error
        except OSError as error:
            os.close(lock)
            raise SettingsError(f"{path}: cannot be locked ({error.strerror})") from error
        self._lock = lock

    def unlock(self) -> None:
        """Release the lock, if held."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


class FolderInUse(SettingsError):  # noqa: N818 - named by what it says
    """Another server has the data folder open."""

    def __init__(self, path: Path, holder: str) -> None:
        super().__init__(f"data folder {path}: in use by another server (process {holder})")


def _open_lock(path: Path) -> int | None:
    """Return a lock file's descriptor; None if the file is missing on a read-only disk, where no server can write."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None


def _write_pid(lock: int) -> None:
    """Write this process's id for other servers' error messages, unless the disk refuses writes. Raises OSError."""
    try:
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    except OSError as error:
        read_only = fcntl.fcntl(lock, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
        if not read_only and error.errno not in WRITE_REFUSED:
            raise


def _traces_of_use(path: Path) -> list[str]:
    """Return the entries that show that the folder has had a catalog."""
    return [name for name in (_ORIGINALS, _DEAD_LETTERS) if (path / name).exists()]


def _size_of(path: Path) -> int | None:
    """Return a file's size in bytes; None if there is no file."""
    return path.stat().st_size if path.is_file() else None
