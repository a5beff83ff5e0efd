"""Models in folders of a data folder."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from lookalike.errors import ModelError, Unavailable
from lookalike.ports import ModelFiles
from lookalike.stores.durable_files import flush, write_new

#: Names of the models' folders.
_CARD = re.compile("[0-9a-f]{16}")


class ModelFolder(ModelFiles):
    """Keeps each model in a folder of its own, which is written beside its place and moved there when it is whole."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def keep(self, card: str, files: Mapping[str, bytes]) -> None:
        place = self._place(card)
        part = place.with_name(f"{card}.part")
        try:
            if place.is_dir():
                return
            shutil.rmtree(part, ignore_errors=True)
            self._root.mkdir(mode=0o700, exist_ok=True)
            part.mkdir(mode=0o700)
            for name, data in files.items():
                write_new(part / name, data)
            flush(part)
            part.rename(place)
            flush(self._root)
        except OSError as error:
            shutil.rmtree(part, ignore_errors=True)
            raise Unavailable(f"{place}: the model cannot be kept ({error.strerror}); nothing has changed") from error

    def folder(self, card: str) -> Path:
        place = self._place(card)
        if not place.is_dir():
            raise ModelError(
                f"{place}: the model that the pictures are searched with is missing; restore it from a backup of the data folder"
            )
        return place

    def remove(self, card: str) -> None:
        place = self._place(card)
        with suppress(OSError):
            gone = place.with_name(f"{card}.part")
            place.rename(gone)  # no half of a model stays under its name
            shutil.rmtree(gone, ignore_errors=True)

    def _place(self, card: str) -> Path:
        if _CARD.fullmatch(card) is None:
            raise ModelError(f"{card!r}: no card's digest")
        return self._root / card
