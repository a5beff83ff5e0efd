"""A folder whose files are uploads."""

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
    from lookalike.stores.local.ignore_file import IgnoreRules

#: The bucket of the folder's files.
BUCKET = "watch"

#: Prefix of the files' keys.
PREFIX = "uploads/"

#: Suffix of sidecars: the metadata of ``a.jpg`` is in ``a.jpg.json``.
_SIDECAR = ".json"

#: Bytes of a sidecar that are read, at most: far more than any metadata that is accepted.
_MAX_SIDECAR_BYTES = 64 * 1024

#: Flags for opening files and folders: never through a link, never waiting for a pipe's other end.
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_FOLDER_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC

#: Error numbers of a path that leads to no plain file, or through a link.
_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO})


class WatchedFolder(UploadStore):
    """Files at ``<app id>/<library>/…`` as objects.

    Hidden files and folders, and everything but plain files, are treated as missing. So are links to folders, and links
    that lead out of an application's folder, so that no other file of this machine is ever read. Each folder on the way
    to a file is opened relative to the one before, so that none can be replaced by a link meanwhile.

    Parameters
    ----------
    root : the folder; None: there are no objects.
    """

    def __init__(self, root: Path | None) -> None:
        self._root = root
        self._ignore_rules: IgnoreRules | None = None
        self._warned: set[str] = set()

    def keys(self) -> Iterator[tuple[str, str]]:
        """Yield every object's key and sequencer, but for ignored files and sidecars.

        A sequencer is the time of the last change (ctime) to the file or its sidecar, 16 hexadecimal digits of
        nanoseconds. It grows even when an older file is moved over a newer one. Each link that is not followed is
        logged once.
        """
        if self._root is None:
            return
        rules = self._current_rules(self._root)
        for prefix, names in self._walk(self._root, rules):
            present = frozenset(names)
            for name in sorted(names):
                if not name.endswith(_SIDECAR) and not rules.ignores_file(prefix + name):
                    sequencer = self._sequencer(prefix + name, has_sidecar=name + _SIDECAR in present)
                    if sequencer is not None:
                        yield f"{PREFIX}{prefix}{name}", sequencer

    def head(self, _bucket: str, key: str) -> UploadedObject | None:
        """Return the file's etag, size and the metadata of its sidecar; None if there is no such file.

        Raises InvalidArgument if the sidecar is not a JSON object, and Unavailable.
        """
        with self._open_object(key) as file:
            if file is None:
                return None
            found = os.fstat(file)
        return UploadedObject(_etag(found), found.st_size, self._sidecar(key + _SIDECAR))

    def read(self, _bucket: str, key: str, etag: str) -> bytes | None:
        """Return the file's bytes; None if it is missing or its etag differs. Raises Unavailable."""
        try:
            with self._open_object(key) as file:
                if file is None or _etag(os.fstat(file)) != etag:
                    return None
                with open(file, "rb", closefd=False) as reader:
                    data = reader.read()
                return data if _etag(os.fstat(file)) == etag else None
        except OSError as error:
            raise self._unavailable(key, error) from error

    def remove(self, _bucket: str, key: str, etag: str) -> None:
        """Delete the file and its sidecar if its etag is the same; of a link, delete the link. Raises Unavailable."""
        with self._open_object(key) as file:
            if file is None or _etag(os.fstat(file)) != etag:
                return
        *folders, name = _parts(key) or [""]
        try:
            with self._open_folder(folders) as folder:
                for one in (name, name + _SIDECAR):
                    with suppress(FileNotFoundError):
                        os.unlink(one, dir_fd=folder)
        except OSError as error:
            raise self._unavailable(key, error) from error

    def place(self, _bucket: str, key: str) -> str:
        """Return the file's absolute path."""
        return os.path.abspath(f"{self._root}/{key.removeprefix(PREFIX)}")  # noqa: PTH100 - links stay as they are

    def _unavailable(self, key: str, error: OSError) -> Unavailable:
        return Unavailable(f"{self.place(BUCKET, key)}: {error.strerror}")

    def _current_rules(self, root: Path) -> IgnoreRules:
        if self._ignore_rules is None:
            from lookalike.stores.local.ignore_file import IgnoreRules  # noqa: PLC0415 - loaded by who watches a folder

            self._ignore_rules = IgnoreRules(root)
        self._ignore_rules.reload()
        return self._ignore_rules

    def _walk(self, root: Path, rules: IgnoreRules) -> Iterator[tuple[str, list[str]]]:
        """Yield each folder that is not ignored, as the prefix of its files' paths below the root, and their names."""
        for folder, folders, names in os.walk(root):
            relative = Path(folder).relative_to(root).as_posix()
            prefix = "" if relative == "." else f"{relative}/"
            folders[:] = sorted(name for name in folders if not rules.ignores_folder(prefix + name))
            for name in folders:
                if os.path.islink(os.path.join(folder, name)):  # noqa: PTH114, PTH118 - often, and much faster so
                    self._warn_once(prefix + name, "a link to a folder is not followed; mount that folder here instead")
            yield prefix, names

    def _sequencer(self, relative: str, *, has_sidecar: bool) -> str | None:
        changed = self._changed_ns(relative)
        if changed is None:
            return None
        sidecar = self._changed_ns(relative + _SIDECAR) if has_sidecar else None
        return f"{max(changed, sidecar or 0):016x}"

    def _changed_ns(self, relative: str) -> int | None:
        """Return when a plain file, or a link to one, last changed, in nanoseconds; None for one that is not read."""
        path = f"{self._root}/{relative}"
        try:
            found = os.lstat(path)
            if not stat.S_ISLNK(found.st_mode):
                return found.st_ctime_ns if stat.S_ISREG(found.st_mode) else None
            if not stat.S_ISREG((target := os.stat(path)).st_mode):  # noqa: PTH116 - often, and much faster so
                return None
        except OSError:  # missing, a name too long, a circular or dangling link
            return None
        if self._resolved(relative.split("/")) is None:
            self._warn_once(relative, "a link that leads out of its application's folder is not followed")
            return None
        return max(found.st_ctime_ns, target.st_ctime_ns)

    def _warn_once(self, relative: str, reason: str) -> None:
        if relative not in self._warned:
            self._warned.add(relative)
            logger.warning(
                "passed over", extra={"operation": "watch", "file": f"{self._root}/{relative}", "reason": reason}
            )

    @contextmanager
    def _open_object(self, key: str) -> Iterator[int | None]:
        """Open an object's file for reading, until the block ends; None if there is none. Raises Unavailable."""
        try:
            file = self._open_following_links(_parts(key))
        except OSError as error:
            raise self._unavailable(key, error) from error
        try:
            yield file if file is not None and stat.S_ISREG(os.fstat(file).st_mode) else None
        finally:
            if file is not None:
                os.close(file)

    def _open_following_links(self, parts: list[str] | None) -> int | None:
        """Open the file at a path, or the one its links lead to; None if there is none. Raises OSError."""
        if parts is None or self._root is None:
            return None
        file = self._open_without_links(parts)
        if file is not None:
            return file
        target = self._resolved(parts)
        return None if target is None or target == parts else self._open_without_links(target)

    def _open_without_links(self, parts: Sequence[str]) -> int | None:
        try:
            with self._open_folder(parts[:-1]) as folder:
                return os.open(parts[-1], _FILE_FLAGS, dir_fd=folder)
        except OSError as error:
            if error.errno in _ABSENT:
                return None
            raise

    @contextmanager
    def _open_folder(self, parts: Sequence[str]) -> Iterator[int]:
        """Open a folder below the root, relative to the one before it at each step. Raises OSError, also for a link."""
        folder = os.open(self._root or "", _FOLDER_FLAGS & ~os.O_NOFOLLOW)  # the operator may name a link to the root
        try:
            for part in parts:
                above, folder = folder, os.open(part, _FOLDER_FLAGS, dir_fd=folder)
                os.close(above)
            yield folder
        finally:
            os.close(folder)

    def _resolved(self, parts: Sequence[str]) -> list[str] | None:
        """Return the path that a path with links leads to; None if it leaves the application's folder."""
        root = os.path.realpath(self._root or "")
        inside = os.path.join(root, parts[0], "")  # noqa: PTH118 - keeps the slash at the end
        target = os.path.realpath(os.path.join(root, *parts))  # noqa: PTH118
        return target[len(root) :].strip("/").split("/") if target.startswith(inside) else None

    def _sidecar(self, key: str) -> Mapping[str, str]:
        """Return a sidecar's metadata by field in lower case; empty if it is missing. Raises InvalidArgument."""
        file_name = key.rpartition("/")[2]
        try:
            with self._open_object(key) as file:
                if file is None:
                    return {}
                metadata = json.loads(os.read(file, _MAX_SIDECAR_BYTES))
        except (OSError, RecursionError, ValueError) as reason:
            raise InvalidArgument(file_name, "cannot be read as JSON") from reason
        if not isinstance(metadata, dict):
            raise InvalidArgument(file_name, "must hold a JSON object")
        return {
            name.lower(): _metadata_value(name.lower(), value) for name, value in metadata.items() if value is not None
        }


def _parts(key: str) -> list[str] | None:
    """Return an object's path below the root; None if no object can have that key."""
    parts = key.removeprefix(PREFIX).split("/")
    if not key.startswith(PREFIX) or "\0" in key or any(not part or part.startswith(".") for part in parts):
        return None
    return parts


def _etag(found: os.stat_result) -> str:
    return f"{found.st_ctime_ns:x}-{found.st_size:x}"


def _metadata_value(name: str, value: Any) -> str:
    """Return a field's JSON value as text: tags separated by commas, other values than text as JSON."""
    if isinstance(value, str):
        return value
    if name == "tags" and isinstance(value, list):
        return ",".join(str(tag) for tag in value)
    return json.dumps(value, ensure_ascii=False)
