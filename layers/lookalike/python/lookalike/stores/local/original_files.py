"""Originals as files in a folder."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from lookalike.domain.inventory import StoredFile
from lookalike.errors import SettingsError, Unavailable
from lookalike.ports.listing import UnlistedPictures
from lookalike.stores.durable_files import flush, write_new
from lookalike.stores.local.disk_errors import READ_ONLY_REASON, WRITE_REFUSED, is_read_only

#: Seconds between a refused write and the next trial, at least.
_MIN_RETRY_SECONDS = 1.0

#: Size of a trial write.
_PROBE_BYTES = 4096

#: Name of the file of a key, its folder's before its own.
_NAME = re.compile("[0-9a-f]{64}")


class FolderReader(UnlistedPictures):
    """Reads originals that another process keeps by a :class:`FolderStore`. Every write raises Unavailable."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, key: str, data: bytes) -> None:
        raise Unavailable(f"{self._root}: only read from here")

    def get(self, key: str) -> bytes | None:
        try:
            return self.path_of(key).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unavailable(error) from error

    def size(self, key: str) -> int | None:
        try:
            return self.path_of(key).stat().st_size
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unavailable(error) from error

    def place(self, key: str, content_type: str, seconds: int) -> Path:
        """Return the path of the original's file."""
        return self.path_of(key)

    def remove(self, keys: Sequence[str]) -> None:
        raise Unavailable(f"{self._root}: only read from here")

    def name_of(self, key: str) -> str:
        return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()

    def path_of(self, key: str) -> Path:
        """Return the path of a key's file."""
        name = self.name_of(key)
        return self._root / name[:2] / name[2:]

    def _unavailable(self, error: OSError) -> Unavailable:
        return Unavailable(f"{self._root}: {error.strerror}")


class FolderStore(FolderReader):
    """Keeps each original in a file of its own.

    A key's file is ``<2 hex>/<62 hex>``, the SHA-256 of the key: keys contain callers' ids, which may contain any
    character, climb out of the folder or exceed the length of a file name. A file is written under a temporary name,
    flushed and moved into place, and its folder is flushed: after a crash it is whole or absent. Concurrent puts share
    flushes in the file system's journal, which was measured to be faster than one thread that flushes for all, file by
    file or with syncfs.

    Only one process at a time may put, as opening the store deletes files that a crash left half written.

    Parameters
    ----------
    root : the folder, created with mode 0700 if missing; files have mode 0600. An existing folder on a disk that
        refuses writes can be read.

    Raises
    ------
    SettingsError : the folder cannot be used.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._incoming = root / "incoming"
        self._prepared = False
        self._refusal: str | None = None  # why the disk refused the last write
        self._retry_at = 0.0
        there = root.is_dir()
        try:
            self._prepare()
            self._refusal = READ_ONLY_REASON if is_read_only(root) else None
        except OSError as error:
            if not there or error.errno not in WRITE_REFUSED:
                raise SettingsError(f"{root}: cannot keep pictures here ({error.strerror})") from error
            self._refusal = error.strerror

    def problems(self) -> list[str]:
        """Return one line per problem with the folder. Tries a write again if the last one was refused."""
        if self._refusal is not None and time.monotonic() >= self._retry_at:
            self._retry_at = time.monotonic() + _MIN_RETRY_SECONDS
            with suppress(Unavailable):
                self._write(None, bytes(_PROBE_BYTES))
        return [] if self._refusal is None else [f"{self._root.name} take no writes ({self._refusal})"]

    def put(self, key: str, data: bytes) -> None:
        self._write(self.path_of(key), data)

    def remove(self, keys: Sequence[str]) -> None:
        self._remove([self.path_of(key) for key in keys])

    def stored(self) -> Iterator[Sequence[StoredFile]]:
        for shard in range(256):
            try:
                yield list(_files_of(self._root / f"{shard:02x}"))
            except OSError as error:
                raise self._unavailable(error) from error

    def remove_stored(self, names: Sequence[str]) -> None:
        self._remove([self._root / name[:2] / name[2:] for name in names if _NAME.fullmatch(name)])

    def _remove(self, paths: Sequence[Path]) -> None:
        try:
            for path in paths:
                path.unlink(missing_ok=True)
            for folder in {path.parent for path in paths}:
                flush(folder)
        except OSError as error:
            raise self._unavailable(error) from error

    def _prepare(self) -> None:
        """Create missing folders, and delete files that a crash left half written. Raises OSError."""
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in ("incoming", *(f"{shard:02x}" for shard in range(256))):
            (self._root / name).mkdir(mode=0o700, exist_ok=True)
        for left in self._incoming.iterdir():
            with suppress(OSError):  # a file left behind only takes up space
                left.unlink()
        flush(self._root)
        self._prepared = True

    def _write(self, path: Path | None, data: bytes) -> None:
        """Write a file durably and move it to ``path``; None: delete it, as it was a trial. Raises Unavailable."""
        temporary = self._incoming / uuid4().hex
        try:
            if not self._prepared:
                self._prepare()
            write_new(temporary, data)
            if path is None:
                temporary.unlink()
            else:
                temporary.replace(path)
                flush(path.parent)
        except OSError as error:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            if error.errno in WRITE_REFUSED:
                self._refusal = error.strerror
            raise self._unavailable(error) from error
        self._refusal = None


def _files_of(folder: Path) -> Iterator[StoredFile]:
    """Yield the files that :meth:`FolderStore.put` has made in a folder of the store. Raises OSError."""
    if not folder.is_dir():
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            name = f"{folder.name}{entry.name}"
            with suppress(FileNotFoundError):  # removed meanwhile
                if _NAME.fullmatch(name):
                    found = entry.stat()
                    yield StoredFile(name, found.st_mtime_ns // 1_000_000, found.st_size)
