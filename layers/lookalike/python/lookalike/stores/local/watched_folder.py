"""A folder whose files count as uploads."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lookalike.domain.upload import UploadedObject
from lookalike.errors import InvalidArgument, Unavailable
from lookalike.observability import logger
from lookalike.ports import UploadStore

if TYPE_CHECKING:
    from lookalike.stores.local.ignore_file import Ignored

#: The bucket that its files are in, and what their keys begin with.
BUCKET, PREFIX = "watch", "uploads/"

#: Beside ``a.jpg``, what is said of it is in ``a.jpg.json``.
_SIDECAR = ".json"

#: Bytes of it that are read: far more than a picture's row takes.
_LONGEST_WORDS = 64 * 1024

#: How files and folders are opened: never by way of a link, never waiting for a pipe's other end.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_FOLDER = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC

#: Of a path: there is no such file, or a link on the way, or one that is no plain file.
_NOT_THERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO})


class WatchedFolder(UploadStore):
    """Files of ``<app id>/<library>/…`` as objects.

    Hidden files and folders, and what is no plain file, are not there. Neither are links to folders, nor links that
    lead out of an application's folder: nothing else of this machine is ever read. Each folder on the way to a file is
    opened by itself, so none can be made a link meanwhile.

    Parameters
    ----------
    root : the folder. None: there is nothing.
    """

    def __init__(self, root: Path | None) -> None:
        self._root = root
        self._ignored: Ignored | None = None
        self._told: set[str] = set()

    def keys(self) -> Iterator[tuple[str, str]]:
        """Every object's key and sequencer, but of files that are nobody's pictures, or are said to be ignored.

        A sequencer is the time of the last change to the file or to what is said of it, as the file system's inodes
        have it: that grows even where an older file is moved over a newer one. Each link that is not followed is said
        in the log once.
        """
        if self._root is None:
            return
        if self._ignored is None:
            from lookalike.stores.local.ignore_file import Ignored  # noqa: PLC0415 - only one machine has its library

            self._ignored = Ignored(self._root)
        ignored = self._ignored
        ignored.refresh()
        for folder, folders, names in os.walk(self._root):
            below = Path(folder).relative_to(self._root).as_posix()
            prefix = "" if below == "." else f"{below}/"
            folders[:] = sorted(name for name in folders if not ignored.folder(prefix + name))
            for name in folders:
                if os.path.islink(os.path.join(folder, name)):  # noqa: PTH114, PTH118 - often, and much faster so
                    self._tell(prefix + name, "a link to a folder is not followed; mount that folder here instead")
            beside = frozenset(names)
            pictures = [name for name in names if not name.endswith(_SIDECAR) and not ignored.file(prefix + name)]
            for name in sorted(pictures):
                changed = self._changed(prefix + name)
                if changed is not None:
                    said = self._changed(prefix + name + _SIDECAR) if name + _SIDECAR in beside else None
                    yield f"{PREFIX}{prefix}{name}", f"{max(changed, said or 0):016x}"

    def head(self, _bucket: str, key: str) -> UploadedObject | None:
        """The file as it is now, without its bytes. Its words are in ``<file>.json``, an object.

        Raises InvalidArgument if that is no such JSON.
        """
        with self._opened(key) as file:
            if file is None:
                return None
            found = os.fstat(file)
        return UploadedObject(_etag(found), found.st_size, self._words(key + _SIDECAR))

    def read(self, _bucket: str, key: str, etag: str) -> bytes | None:
        """Its bytes; None if it is gone, or is not that one any more. Raises Unavailable."""
        try:
            with self._opened(key) as file:
                if file is None or _etag(os.fstat(file)) != etag:
                    return None
                with open(file, "rb", closefd=False) as reader:
                    data = reader.read()
                return data if _etag(os.fstat(file)) == etag else None
        except OSError as error:
            raise self._unavailable(key, error) from error

    def remove(self, _bucket: str, key: str, etag: str) -> None:
        """Take it away, and what is said of it, if it is still that one. Of a link that leads to it, the link goes.

        Raises Unavailable.
        """
        with self._opened(key) as file:
            if file is None or _etag(os.fstat(file)) != etag:
                return
        *folders, name = _parts(key) or [""]
        try:
            with self._folder(folders) as folder:
                for one in (name, name + _SIDECAR):
                    with suppress(FileNotFoundError):
                        os.unlink(one, dir_fd=folder)
        except OSError as error:
            raise self._unavailable(key, error) from error

    def place(self, _bucket: str, key: str) -> str:
        """Where an operator finds the file: its path."""
        return os.path.abspath(f"{self._root}/{key.removeprefix(PREFIX)}")  # noqa: PTH100 - links stay as they are

    def _unavailable(self, key: str, error: OSError) -> Unavailable:
        return Unavailable(f"{self.place(BUCKET, key)}: {error.strerror}")

    def _changed(self, below: str) -> int | None:
        """When a plain file, or the link that leads to one, was last changed; None if there is none that is read."""
        path = f"{self._root}/{below}"
        try:
            found = os.lstat(path)
            if not stat.S_ISLNK(found.st_mode):
                return found.st_ctime_ns if stat.S_ISREG(found.st_mode) else None
            if not stat.S_ISREG((target := os.stat(path)).st_mode):  # noqa: PTH116 - often, and much faster so
                return None
        except OSError:  # gone, a name too long, a link in a circle or to nowhere
            return None
        if self._target(below.split("/")) is None:
            self._tell(below, "a link that leads out of its application's folder is not followed")
            return None
        return max(found.st_ctime_ns, target.st_ctime_ns)

    def _tell(self, below: str, reason: str) -> None:
        if below not in self._told:
            self._told.add(below)
            logger.warning(
                "passed over", extra={"operation": "watch", "file": f"{self._root}/{below}", "reason": reason}
            )

    @contextmanager
    def _opened(self, key: str) -> Iterator[int | None]:
        """The plain file that the object is, open to read; None if there is none. Raises Unavailable."""
        try:
            file = self._open(_parts(key))
        except OSError as error:
            raise self._unavailable(key, error) from error
        try:
            yield file if file is not None and stat.S_ISREG(os.fstat(file).st_mode) else None
        finally:
            if file is not None:
                os.close(file)

    def _open(self, parts: list[str] | None) -> int | None:
        """The file at that path, or where the links on it lead. Raises OSError if it is there and cannot be opened."""
        if parts is None or self._root is None:
            return None
        file = self._open_plainly(parts)
        if file is not None:
            return file
        target = self._target(parts)
        return None if target is None or target == parts else self._open_plainly(target)

    def _open_plainly(self, parts: Sequence[str]) -> int | None:
        try:
            with self._folder(parts[:-1]) as folder:
                return os.open(parts[-1], _FILE, dir_fd=folder)
        except OSError as error:
            if error.errno in _NOT_THERE:
                return None
            raise

    @contextmanager
    def _folder(self, parts: Sequence[str]) -> Iterator[int]:
        """A folder below the root, open, each one on the way by itself. Raises OSError, also where one is a link."""
        folder = os.open(self._root or "", _FOLDER & ~os.O_NOFOLLOW)  # which link this is the operator has said
        try:
            for part in parts:
                above, folder = folder, os.open(part, _FOLDER, dir_fd=folder)
                os.close(above)
            yield folder
        finally:
            os.close(folder)

    def _target(self, parts: Sequence[str]) -> list[str] | None:
        """Where a path with links in it leads, if it stays in the application's folder."""
        root = os.path.realpath(self._root or "")
        inside = os.path.join(root, parts[0], "")  # noqa: PTH118 - with a slash at its end
        target = os.path.realpath(os.path.join(root, *parts))  # noqa: PTH118
        return target[len(root) :].strip("/").split("/") if target.startswith(inside) else None

    def _words(self, key: str) -> Mapping[str, str]:
        name = key.rpartition("/")[2]
        try:
            with self._opened(key) as file:
                if file is None:
                    return {}
                said = json.loads(os.read(file, _LONGEST_WORDS))
        except (OSError, RecursionError, ValueError) as reason:
            raise InvalidArgument(name, "cannot be read as JSON") from reason
        if not isinstance(said, dict):
            raise InvalidArgument(name, "must hold a JSON object")
        return {word.lower(): _word(word.lower(), value) for word, value in said.items() if value is not None}


def _parts(key: str) -> list[str] | None:
    """The path of the object below the root; None if no object of the folder can have that key."""
    parts = key.removeprefix(PREFIX).split("/")
    if not key.startswith(PREFIX) or "\0" in key or any(not part or part.startswith(".") for part in parts):
        return None
    return parts


def _etag(found: os.stat_result) -> str:
    return f"{found.st_ctime_ns:x}-{found.st_size:x}"


def _word(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if name == "tags" and isinstance(value, list):
        return ",".join(str(tag) for tag in value)
    return json.dumps(value, ensure_ascii=False)
