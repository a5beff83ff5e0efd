"""The folder one machine's data lives in."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Self

from lookalike.errors import SettingsError

#: One of these is the first thing that a data folder ever holds.
_CATALOG, _LOCK = "catalog.db", "server.lock"


class DataFolder:
    """Everything the one-machine service keeps, readable by its owner alone.

    Opening it makes it (mode 0700) where it is missing or empty, and takes away other users' access where it is
    not. Raises SettingsError where that cannot be done, and for a folder of anything else, which is left as it is.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            names = {entry.name for entry in path.iterdir()} - {"lost+found"}  # a disk of its own has that
            if names and not names & {_CATALOG, _LOCK}:
                raise SettingsError(
                    f"data folder {path}: holds other files and no {_CATALOG}; name a folder of its own"
                )
            path.chmod(0o700)
        except OSError as error:
            raise SettingsError(f"data folder {path}: {error.strerror}") from error

    @classmethod
    def existing(cls, path: Path) -> Self:
        """The data folder that is there. Makes nothing: raises SettingsError if none is."""
        try:
            found = (path / _CATALOG).is_file()
        except OSError as error:
            raise SettingsError(f"data folder {path}: {error.strerror}") from error
        if not found:
            raise SettingsError(f"no data folder at {path}")
        return cls(path)

    @property
    def catalog(self) -> Path:
        """The SQLite file of applications, libraries, pictures and local maps."""
        return self.path / _CATALOG

    @property
    def originals(self) -> Path:
        """The folder of the pictures as they were given."""
        return self.path / "originals"

    @property
    def dead_letters(self) -> Path:
        """The file of messages that never will succeed."""
        return self.path / "dead-letters.jsonl"

    def lock(self) -> None:
        """Keep every other server off this folder until :meth:`unlock` or this process's end, however it ends.

        Raises SettingsError if another server has it, or if the lock's file cannot be used. Commands that only read
        and write the catalog need no lock.
        """
        path = self.path / _LOCK
        try:
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise SettingsError(f"{path}: cannot be opened ({error.strerror})") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
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
