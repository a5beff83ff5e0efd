"""Which files of a watched folder are nobody's pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pathspec import GitIgnoreSpec
from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

from lookalike.observability import logger

#: The file that says what is ignored in its folder and below, in the syntax of ``.gitignore``.
NAME = ".lookalikeignore"

#: What storage devices and operating systems put among pictures, in lower case: thumbnails, what was thrown away, old
#: states, what a disk check found.
_FOLDERS = frozenset(
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
_FILES = frozenset({"desktop.ini", "ehthumbs.db", "ehthumbs_vista.db", "thumbs.db"})

#: Bytes of the ignore file that are read.
_LONGEST = 64 * 1024


class Ignored:
    """What a walk through a watched folder passes over.

    The ignore file lies in the folder itself, not in those below, which others may fill. It is read by :meth:`refresh`;
    a line of it that is no pattern is said in the log.
    """

    def __init__(self, root: Path) -> None:
        self._path = root / NAME
        self._said = b""
        self._spec = GitIgnoreSpec([])

    def refresh(self) -> None:
        """Read the ignore file again, if it has changed."""
        try:
            said = _read(self._path)
        except OSError:  # there is none, or it cannot be read
            said = b""
        if said != self._said:
            self._said, self._spec = said, GitIgnoreSpec(_patterns(said))

    def folder(self, path: str) -> bool:
        """Whether the folder at that path below the root is passed over, with all that is in it."""
        name = path.rpartition("/")[2]
        return name.startswith(".") or name.lower() in _FOLDERS or self._spec.match_file(f"{path}/")

    def file(self, path: str) -> bool:
        """Whether the file at that path below the root is passed over."""
        name = path.rpartition("/")[2]
        return name.startswith(".") or name.lower() in _FILES or self._spec.match_file(path)


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_LONGEST)


def _patterns(said: bytes) -> Iterator[GitIgnoreSpecPattern]:
    for number, line in enumerate(said.decode("utf-8", "surrogateescape").splitlines(), 1):
        try:
            yield GitIgnoreSpecPattern(line)
        except ValueError as reason:
            logger.warning(f"{NAME}, line {number} is passed over", extra={"reason": str(reason)})
