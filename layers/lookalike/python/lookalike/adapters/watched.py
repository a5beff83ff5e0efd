"""A folder whose files count as uploads."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lookalike.errors import InvalidArgument, Unavailable
from lookalike.model import UploadedObject

#: The bucket that its files are in, and what their keys begin with.
BUCKET, PREFIX = "watch", "uploads/"

#: Beside ``a.jpg``, what is said of it is in ``a.jpg.json``.
_SIDECAR = ".json"

#: Bytes of it that are read: far more than a picture's row takes.
_LONGEST_WORDS = 64 * 1024


class WatchedFolder:
    """Files of ``<app id>/<library>/…`` as objects: the port UploadStore.

    Hidden files and folders, and what is no plain file, are not there.

    Parameters
    ----------
    root : the folder. None: there is nothing.
    """

    def __init__(self, root: Path | None) -> None:
        self._root = root

    def keys(self) -> Iterator[tuple[str, str]]:
        """Every object's key and sequencer.

        A sequencer is the time of the last change to the file or to what is said of it, as the file system's inodes
        have it: that grows even where an older file is moved over a newer one.
        """
        if self._root is None:
            return
        for folder, folders, names in os.walk(self._root):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            here = Path(folder)
            for name in sorted(name for name in names if not name.startswith(".") and not name.endswith(_SIDECAR)):
                found = _look(here / name)
                if found is not None:
                    said = _look(here / (name + _SIDECAR))
                    changed = max(found.st_ctime_ns, 0 if said is None else said.st_ctime_ns)
                    yield f"{PREFIX}{(here / name).relative_to(self._root).as_posix()}", f"{changed:016x}"

    def head(self, _bucket: str, key: str) -> UploadedObject | None:
        """The file as it is now, without its bytes. Its words are in ``<file>.json``, an object.

        Raises InvalidArgument if that is no such JSON.
        """
        path = self._path(key)
        found = None if path is None else _look(path)
        if path is None or found is None:
            return None
        return UploadedObject(_etag(found), found.st_size, _words(path.with_name(path.name + _SIDECAR)))

    def read(self, _bucket: str, key: str, etag: str) -> bytes | None:
        """Its bytes; None if it is gone, or is not that one any more. Raises Unavailable."""
        path = self._path(key)
        if path is None:
            return None
        try:
            with path.open("rb") as file:
                data = file.read() if _etag(os.fstat(file.fileno())) == etag else b""
                found = os.fstat(file.fileno())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Unavailable(f"{path}: {error.strerror}") from error
        return data if _etag(found) == etag else None

    def remove(self, _bucket: str, key: str, etag: str) -> None:
        """Take it away, and what is said of it, if it is still that one. Raises Unavailable."""
        path = self._path(key)
        found = None if path is None else _look(path)
        if path is None or found is None or _etag(found) != etag:
            return
        try:
            path.unlink(missing_ok=True)
            path.with_name(path.name + _SIDECAR).unlink(missing_ok=True)
        except OSError as error:
            raise Unavailable(f"{path}: {error.strerror}") from error

    def _path(self, key: str) -> Path | None:
        """Where the object is; None if no object of the folder can have that key."""
        parts = key.removeprefix(PREFIX).split("/")
        if self._root is None or not key.startswith(PREFIX) or "\0" in key:
            return None
        if any(not part or part.startswith(".") for part in parts):
            return None
        return self._root.joinpath(*parts)


def _look(path: Path) -> os.stat_result | None:
    """The file's status; None if there is no plain file that can be looked at."""
    try:
        found = path.stat()
    except OSError:  # gone, a name too long, a link in a circle
        return None
    return found if stat.S_ISREG(found.st_mode) else None


def _etag(found: os.stat_result) -> str:
    return f"{found.st_ctime_ns:x}-{found.st_size:x}"


def _words(path: Path) -> Mapping[str, str]:
    if _look(path) is None:
        return {}
    try:
        with path.open("rb") as file:
            said = json.loads(file.read(_LONGEST_WORDS))
    except (OSError, RecursionError, ValueError) as reason:
        raise InvalidArgument(path.name, "cannot be read as JSON") from reason
    if not isinstance(said, dict):
        raise InvalidArgument(path.name, "must hold a JSON object")
    return {name.lower(): _word(name.lower(), value) for name, value in said.items() if value is not None}


def _word(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if name == "tags" and isinstance(value, list):
        return ",".join(str(tag) for tag in value)
    return json.dumps(value, ensure_ascii=False)
