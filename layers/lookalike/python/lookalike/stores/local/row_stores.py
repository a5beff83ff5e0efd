"""The rows of one machine, and its originals to be read, without what a server holds: the index."""

from __future__ import annotations

from typing import NoReturn

from lookalike.errors import SettingsError
from lookalike.stores.local.original_files import FolderReader
from lookalike.stores.local.sqlite_backed import SqliteBacked
from lookalike.stores.local.sqlite_stores import SqliteStores


class RowStores(SqliteBacked):
    """What a process may use while another one serves the data folder. Anything else raises SettingsError.

    Originals can be read; to write one raises Unavailable.
    """

    def __init__(self, sqlite: SqliteStores, originals: FolderReader) -> None:
        super().__init__(sqlite)
        self._originals = originals

    @property
    def model_files(self) -> NoReturn:
        raise _served()

    @property
    def indices(self) -> NoReturn:
        raise _served()

    @property
    def index(self) -> NoReturn:
        raise _served()

    @property
    def originals(self) -> FolderReader:
        return self._originals

    @property
    def objects(self) -> NoReturn:
        raise _served()

    @property
    def staged(self) -> NoReturn:
        raise _served()

    @property
    def backlogs(self) -> NoReturn:
        raise _served()

    @property
    def dead_letters(self) -> NoReturn:
        raise _served()

    def close(self) -> None:
        """Does nothing: whoever opened the rows closes them."""


def _served() -> SettingsError:
    return SettingsError("a server has this data folder open")
