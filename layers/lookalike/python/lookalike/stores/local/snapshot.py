"""A snapshot of a data folder: a data folder of its own, made in seconds while the server runs.

Originals never change once they are written, so they are hard links where the disk allows it. The order makes the copy whole:
originals are linked, then the catalog is copied as it is at one moment (SQLite's backup), then the originals are linked
that have come meanwhile. An original is written before its row and removed after it. So every row of the copy has its
original, unless one was added and replaced again within those moments; then the catalog is copied once more. The index's
files are linked, too, before the catalog.
"""

# ruff: noqa: S608  # statements are put together from constants; every value is bound

from __future__ import annotations

import errno
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from lookalike.domain.picture import Key, object_key
from lookalike.errors import SettingsError
from lookalike.stores.durable_files import flush
from lookalike.stores.local.data_folder import DataFolder
from lookalike.stores.local.disk_errors import WRITE_REFUSED
from lookalike.stores.local.original_files import FolderReader
from lookalike.stores.local.sqlite_errors import reason_of

#: What a snapshot says of itself, beside its data.
ABOUT = "snapshot.json"

#: End of the name of a folder that is being written.
_PART = ".part"

#: End of the name of the list of the index's files.
_LIST = ".json"

#: Copies of the catalog until each of its rows has its original.
_ATTEMPTS = 5

#: Condition of a picture that somebody can search: those of removed libraries wait to be swept.
_LIVE = "state = 'live' AND library NOT IN (SELECT uid FROM removed_libraries)"

#: Errors of a disk that makes no hard link, or no more of them, or not to another disk.
_NO_LINK = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EACCES)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was copied: live pictures, and files of originals that were linked or copied."""

    pictures: int
    linked: int
    copied: int


class _Files:
    """Links files, or copies them where that cannot be."""

    def __init__(self) -> None:
        self.linked = 0
        self.copied = 0

    def take(self, source: Path, target: Path) -> None:
        """Link or copy a file that is not there yet. One that has gone meanwhile is left out."""
        try:
            os.link(source, target)
            self.linked += 1
        except FileExistsError:
            return
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
            self._copy(source, target)

    def _copy(self, source: Path, target: Path) -> None:
        if target.exists():
            return
        part = target.with_name(f"{target.name}{_PART}")
        with suppress(FileNotFoundError):
            shutil.copyfile(source, part)
            part.chmod(0o600)
            flush(part)
            part.replace(target)
            self.copied += 1


def take_snapshot(data: Path, destination: Path, made: str) -> Snapshot:
    """Copy a data folder, in use or not, to a folder that is not there yet; ``made`` says when. Raises SettingsError.

    A copy that is killed leaves a folder whose name ends in ``.part``, which the next one removes. One that fails leaves
    none, so that a disk that was filled is no fuller than before.
    """
    folder = DataFolder.existing(data)
    if destination.exists():
        raise SettingsError(f"{destination}: is there already; name another folder")
    return _make(folder, destination, lambda part: part.rename(destination), made)


def restore_snapshot(snapshot: Path, data: Path, *, aside: Path | None = None) -> Snapshot:
    """Make a data folder of a snapshot, which stays as it is. Raises SettingsError, and changes nothing then.

    A folder that is there is refused without ``aside``, the path that it is renamed to. It is locked all the while: it must
    have no server, and gets none before it is renamed. A restore that is killed leaves what :func:`take_snapshot` leaves,
    and the next one begins anew.
    """
    if not (snapshot / ABOUT).is_file():
        raise SettingsError(f"{snapshot}: no snapshot, or one that was not finished")
    if data.exists() and aside is None:
        raise SettingsError(f"{data}: is there already; --replace renames it, or name another folder with --data")
    if aside is not None and aside.exists():
        raise SettingsError(f"{aside}: is there already")
    source = DataFolder.existing(snapshot)
    replaced = DataFolder.existing(data) if data.exists() else None
    if replaced is not None:
        replaced.lock()
    try:
        if missing := next(_without_original(source.catalog, source.originals), None):
            raise SettingsError(f"{snapshot}: the original of {missing} is missing; nothing was restored")
        return _make(source, data, lambda part: _put(part, data, aside))
    finally:
        if replaced is not None:
            replaced.unlock()


def _put(part: Path, data: Path, aside: Path | None) -> None:
    """Rename a whole copy to the data folder, and the one that is there before it. Raises OSError, all as it was."""
    if aside is None or not data.exists():
        part.rename(data)
        return
    data.rename(aside)
    try:
        part.rename(data)
    except OSError:
        aside.rename(data)
        raise


def _make(folder: DataFolder, destination: Path, put: Callable[[Path], object], made: str | None = None) -> Snapshot:
    """Copy a data folder beside its destination, and let ``put`` rename the copy once it is whole and durable.

    ``made`` marks it as a snapshot of that time. Raises SettingsError, and leaves nothing then.
    """
    part = destination.with_name(f"{destination.name}{_PART}")
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(mode=0o700, parents=True)
        done = _copied(folder, part)
        if made is not None:
            (part / ABOUT).write_text(json.dumps({"made": made, "pictures": done.pictures}) + "\n")
        _flush_all(part)
        put(part)
        flush(destination.resolve().parent)
    except (OSError, SettingsError) as error:
        shutil.rmtree(part, ignore_errors=True)
        if isinstance(error, SettingsError):
            raise
        # A copy's error names the file that is read, also if it is the other one's disk that takes no more.
        at_fault = destination if error.errno in WRITE_REFUSED else error.filename or destination
        raise SettingsError(f"{at_fault}: {error.strerror}; nothing was made") from error
    return done


def _copied(folder: DataFolder, part: Path) -> Snapshot:
    files = _Files()
    copy = part / folder.catalog.name
    originals = part / folder.originals.name
    _take_originals(folder.originals, originals, files)
    for attempt in range(_ATTEMPTS):
        # Originals that are replaced between the two steps are missed; the last attempt lets nobody replace any.
        with _writes_held(folder.catalog) if attempt == _ATTEMPTS - 1 else nullcontext():
            _take_index(folder.segments, part / folder.segments.name)
            _copy_catalog(folder.catalog, copy)
            _take_missing(copy, folder.originals, originals, files)
        if next(_without_original(copy, originals), None) is None:
            break
    else:
        _require_lost_before(folder, copy, originals)
    if folder.dead_letters.is_file():
        shutil.copyfile(folder.dead_letters, part / folder.dead_letters.name)
    _take_models(folder.models, part / folder.models.name, files)
    return Snapshot(_pictures(copy), files.linked, files.copied)


def _take_index(source: Path, target: Path) -> None:
    """Take the index's files as far as they are there, before the catalog, whose log then has all changes since.

    If newer files are published before the catalog is copied, its log no longer knows these: the first start makes them
    again.
    """
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(mode=0o700)
    files = _Files()
    names = sorted(path.name for path in source.iterdir()) if source.is_dir() else []
    for name in sorted(
        names, key=lambda name: not name.endswith(_LIST)
    ):  # what it names is removed once it is replaced
        if not name.endswith(_PART):
            files.take(source / name, target / name)
    flush(target)


def _take_models(source: Path, target: Path, files: _Files) -> None:
    """Take the models that are kept beside the pictures: few, and never changed. One that is half written is left out."""
    for model in sorted(source.iterdir()) if source.is_dir() else ():
        if model.is_dir() and not model.name.endswith(_PART):
            into = target / model.name
            into.mkdir(mode=0o700, parents=True)
            for file in sorted(model.iterdir()):
                files.take(file, into / file.name)
            flush(into)


def _require_lost_before(folder: DataFolder, copy: Path, originals: Path) -> None:
    """Raise SettingsError for rows of the copy whose originals are not lost in the folder itself."""
    lost = set(_without_original(folder.catalog, folder.originals))
    if others := set(_without_original(copy, originals)) - lost:
        raise SettingsError(f"{len(others)} pictures changed too fast, {min(others)} among them; try again")


def _take_originals(source: Path, target: Path, files: _Files) -> None:
    target.mkdir(mode=0o700, exist_ok=True)
    for shard in sorted(source.iterdir()) if source.is_dir() else ():
        if len(shard.name) != 2 or not shard.is_dir():
            continue
        into = target / shard.name
        into.mkdir(mode=0o700, exist_ok=True)
        with os.scandir(shard) as entries:
            for file in entries:
                files.take(Path(file.path), into / file.name)


def _take_missing(catalog: Path, source: Path, target: Path, files: _Files) -> None:
    """Take the originals that rows of the catalog name and the target lacks: few, and soon, before they are replaced."""
    there, here = FolderReader(source), FolderReader(target)
    for _, key in list(_missing(catalog, target)):
        path = here.path_of(key)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        files.take(there.path_of(key), path)


def _copy_catalog(source: Path, target: Path) -> None:
    """Copy the catalog as it is at one moment. Raises SettingsError if it is damaged."""
    target.unlink(missing_ok=True)
    os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        with closing(_open(source)) as original, closing(sqlite3.connect(target)) as copy:
            original.backup(copy)
            fault = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        full = error.sqlite_errorcode == sqlite3.SQLITE_FULL  # an error of the copy, not of what is copied
        raise SettingsError(
            f"{target if full else source}: cannot be {'written' if full else 'copied'} ({reason_of(error)})"
        ) from error
    if fault != "ok":
        raise SettingsError(f"{source}: damaged ({fault}); nothing was made")
    for left in ("-wal", "-shm"):
        target.with_name(f"{target.name}{left}").unlink(missing_ok=True)


@contextmanager
def _writes_held(catalog: Path) -> Iterator[None]:
    """Let nobody write to a catalog meanwhile: writers wait. Raises SettingsError."""
    try:
        with closing(sqlite3.connect(catalog, timeout=10, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield
            connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        raise SettingsError(f"{catalog}: cannot be held ({reason_of(error)})") from error


def _open(catalog: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{catalog.absolute().as_uri()}?mode=ro", uri=True, timeout=10)


def _without_original(catalog: Path, originals: Path) -> Iterator[str]:
    """Iterate over the live pictures that have no original, by their library's name and their id."""
    return (name for name, _ in _missing(catalog, originals))


def _missing(catalog: Path, originals: Path) -> Iterator[tuple[str, str]]:
    """Iterate over the live pictures that have no original: library's name and id, and the original's key."""
    statement = (
        "SELECT coalesce(name, library), library, id, added, file_digest FROM pictures "
        f"LEFT JOIN libraries ON uid = library WHERE {_LIVE}"
    )
    files = FolderReader(originals)
    with closing(_open(catalog)) as connection:
        for name, library, id_, added, file_digest in connection.execute(statement):
            key = object_key(Key(library, id_), added, file_digest)
            if not files.path_of(key).exists():
                yield f"{name}/{id_}", key


def _pictures(catalog: Path) -> int:
    with closing(_open(catalog)) as connection:
        return int(connection.execute(f"SELECT count(*) FROM pictures WHERE {_LIVE}").fetchone()[0])


def _flush_all(folder: Path) -> None:
    """Make a folder's files but the originals durable, which are so already, and the entries of all folders."""
    for path in folder.iterdir():
        flush(path)
    for shard in (folder / "originals").iterdir():
        flush(shard)
    flush(folder)
