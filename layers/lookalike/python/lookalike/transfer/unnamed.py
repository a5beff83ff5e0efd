"""Picture files that lie beside those of a table, and that no row of it names."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from lookalike.transfer.folder import has_ending

#: Files that are remembered at most; a larger table says nothing of files without rows.
_MAX_FILES = 1_000_000


class Named:
    """The files that rows have named, by folder."""

    def __init__(self) -> None:
        self._folders: dict[str, set[str]] = {}
        self._count = 0

    def see(self, file: Path | None) -> None:
        """Remember the file of a row, if it has one."""
        if file is not None and self._count < _MAX_FILES:
            folder, name = os.path.split(os.path.normpath(file))
            self._folders.setdefault(folder, set()).add(name)
            self._count += 1

    def notes(self) -> Sequence[str]:
        """Return a line that says how many picture files lie in the same folders and are not named, if there are any."""
        if self._count >= _MAX_FILES:
            return []
        others = sum(_others(folder, names) for folder, names in self._folders.items())
        return [f"picture files beside those of the rows that no row names: {others}"] if others else []


def _others(folder: str, names: set[str]) -> int:
    try:
        with os.scandir(folder or os.curdir) as entries:
            return sum(has_ending(one.name) and one.name not in names and one.is_file() for one in entries)
    except (OSError, ValueError):
        return 0
