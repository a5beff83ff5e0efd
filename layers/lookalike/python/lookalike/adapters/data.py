"""The folder one machine's data lives in."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from lookalike.errors import SettingsError


class DataFolder:
    """Everything the one-machine service keeps, readable by its owner alone.

    Opening it makes it (mode 0700) where it is missing and takes away other users' access where it is not.
    Raises SettingsError where that cannot be done.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.chmod(0o700)
        except OSError as error:
            raise SettingsError(f"data folder {path}: {error.strerror}") from error

    @property
    def catalog(self) -> Path:
        """The SQLite file of applications, libraries, pictures and local maps."""
        return self.path / "catalog.db"

    @property
    def originals(self) -> Path:
        """The folder of the pictures as they were given."""
        return self.path / "originals"

    def lock(self) -> None:
        """Keep every other server off this folder until :meth:`unlock` or this process's end, however it ends.

        Raises SettingsError if another server has it. Commands that only read and write the catalog need no lock.
        """
        lock = os.open(self.path / "server.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(lock, 32).decode(errors="replace").strip() or "unknown"
            os.close(lock)
            raise SettingsError(f"data folder {self.path}: in use by another server (process {holder})") from error
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        self._lock = lock

    def unlock(self) -> None:
        """Let another server have the folder."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
