"""Files of a watched folder that are not uploads: hidden ones, the system's own, and those the ignore file lists."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pathspec import GitIgnoreSpec
from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

from lookalike.observability import logger

#: The ignore file, in the syntax of ``.gitignore``.
FILE_NAME = ".lookalikeignore"

#: Folders that storage devices and operating systems put among pictures, in lower case: thumbnails, recycle bins,
#: snapshots, fragments found by disk checks.
_SYSTEM_FOLDERS = frozenset(
    {
        "#recycle",
        "#snapshot",
        "$recycle.bin",
        "@eadir",
        "@recently-snapshot",
        "@recycle",
        "@tmp",
        "__macosx",
        "lost+found",
        "recycler",
        "system volume information",
    }
)

#: Files that operating systems put among pictures, in lower case.
_SYSTEM_FILES = frozenset({"desktop.ini", "ehthumbs.db", "ehthumbs_vista.db", "thumbs.db"})

#: Bytes of the ignore file that are read, at most.
_MAX_BYTES = 64 * 1024


class IgnoreRules:
    """Decides which files and folders a walk through a watched folder passes over.

    Only the ignore file in the watched folder itself counts, as others may fill the folders below. :meth:`reload` reads
    it. A line that is not a pattern is logged and skipped.
    """

    def __init__(self, root: Path) -> None:
        self._path = root / FILE_NAME
        self._content = b""
        self._spec = GitIgnoreSpec([])

    def reload(self) -> None:
        """Read the ignore file, and parse it if it has changed."""
        try:
            content = _read(self._path)
        except OSError:  # missing or unreadable
            content = b""
        if content != self._content:
            self._content, self._spec = content, GitIgnoreSpec(_patterns(content))

    def ignores_folder(self, path: str) -> bool:
        """Return whether the folder at this path below the root is passed over, with all its contents."""
        name = path.rpartition("/")[2]
        return name.startswith(".") or name.lower() in _SYSTEM_FOLDERS or self._spec.match_file(f"{path}/")

    def ignores_file(self, path: str) -> bool:
        """Return whether the file at this path below the root is passed over."""
        name = path.rpartition("/")[2]
        return name.startswith(".") or name.lower() in _SYSTEM_FILES or self._spec.match_file(path)


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_MAX_BYTES)


def _patterns(content: bytes) -> Iterator[GitIgnoreSpecPattern]:
    for number, line in enumerate(content.decode("utf-8", "surrogateescape").splitlines(), 1):
        try:
            yield GitIgnoreSpecPattern(line)
        except ValueError as reason:
            logger.warning(f"{FILE_NAME}, line {number} is passed over", extra={"reason": str(reason)})
