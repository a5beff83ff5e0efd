"""Originals as files in a folder."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from lookalike.errors import SettingsError, Unavailable
from lookalike.ports import PictureStore
from lookalike.stores.local.disk_errors import NO_WRITES, READ_ONLY, is_read_only

#: A disk that took no write is tried again no sooner than so many seconds later, with so many bytes.
_RETRY_SECONDS, _BLOCK = 1.0, 4096


class FolderStore(PictureStore):
    """One file per original.

    A key's file is ``<2 hex>/<62 hex>``, the SHA-256 of the key: keys hold callers' ids, so they may hold any
    character, climb out of a folder or be longer than a file name may be. A file is written under a temporary name,
    flushed and moved into place, and its folder is flushed: after a crash it is whole or absent. Threads that put at
    the same time share flushes in the file system's journal; that was measured to be faster than one thread
    flushing for all, file by file or with syncfs.

    Parameters
    ----------
    root : the folder, made with mode 0700 if missing; files have mode 0600. Clears away what a crash left half
        written, so only one process at a time may put. Raises SettingsError if the folder cannot be used; one that
        is there can be read on a disk that takes no writes.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._incoming = root / "incoming"
        self._prepared = False
        self._refusal: str | None = None  # why the disk took no write, last
        self._retry_at = 0.0
        there = root.is_dir()
        try:
            self._prepare()
            self._refusal = READ_ONLY if is_read_only(root) else None
        except OSError as error:
            if not there or error.errno not in NO_WRITES:
                raise SettingsError(f"{root}: cannot keep pictures here ({error.strerror})") from error
            self._refusal = error.strerror

    def problems(self) -> list[str]:
        """What is wrong with the folder, a line each. A disk that took no write is asked again."""
        if self._refusal is not None and time.monotonic() >= self._retry_at:
            self._retry_at = time.monotonic() + _RETRY_SECONDS
            with suppress(Unavailable):
                self._write(None, bytes(_BLOCK))
        return [] if self._refusal is None else [f"{self._root.name} take no writes ({self._refusal})"]

    def put(self, key: str, data: bytes) -> None:
        """Keep ``data`` under ``key``, replacing what was there. Raises Unavailable."""
        self._write(self._path(key), data)

    def get(self, key: str) -> bytes | None:
        """What is kept there. Raises Unavailable."""
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unavailable(error) from error

    def remove(self, keys: Sequence[str]) -> None:
        """Forget them; unknown keys do not matter. Raises Unavailable."""
        paths = [self._path(key) for key in keys]
        try:
            for path in paths:
                path.unlink(missing_ok=True)
            for folder in {path.parent for path in paths}:
                _flush(folder)
        except OSError as error:
            raise self._unavailable(error) from error

    def _prepare(self) -> None:
        """Make what is missing of the folder, and remove what a crash left half written. Raises OSError."""
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in ("incoming", *(f"{shard:02x}" for shard in range(256))):
            (self._root / name).mkdir(mode=0o700, exist_ok=True)
        for left in self._incoming.iterdir():
            with suppress(OSError):  # it only takes up space
                left.unlink()
        _flush(self._root)
        self._prepared = True

    def _write(self, path: Path | None, data: bytes) -> None:
        """Write a file durably and move it to ``path``; None: away with it, it was a trial. Raises Unavailable."""
        temporary = self._incoming / uuid4().hex
        try:
            if not self._prepared:
                self._prepare()
            _write(temporary, data)
            if path is None:
                temporary.unlink()
            else:
                temporary.replace(path)
                _flush(path.parent)
        except OSError as error:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            if error.errno in NO_WRITES:
                self._refusal = error.strerror
            raise self._unavailable(error) from error
        self._refusal = None

    def _path(self, key: str) -> Path:
        name = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
        return self._root / name[:2] / name[2:]

    def _unavailable(self, error: OSError) -> Unavailable:
        return Unavailable(f"{self._root}: {error.strerror}")


def _write(path: Path, data: bytes) -> None:
    path.touch(0o600, exist_ok=False)
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _flush(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
