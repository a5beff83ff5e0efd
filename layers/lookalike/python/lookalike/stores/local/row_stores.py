"""The rows of one machine, without what a server holds: the index and the originals."""

from __future__ import annotations

from typing import NoReturn

from lookalike.errors import SettingsError
from lookalike.ports import Stores
from lookalike.stores.local.sqlite_applications import SqliteApplications
from lookalike.stores.local.sqlite_catalog import SqliteCatalog
from lookalike.stores.local.sqlite_counters import SqliteCounters
from lookalike.stores.local.sqlite_embeddings import SqliteEmbeddings
from lookalike.stores.local.sqlite_maps import SqliteMaps
from lookalike.stores.local.sqlite_records import SqliteRecords
from lookalike.stores.local.sqlite_stores import SqliteStores
from lookalike.stores.local.sqlite_uploads import SqliteUploads


class RowStores(Stores):
    """What a process may use while another one serves the data folder. Anything else raises SettingsError."""

    def __init__(self, stores: SqliteStores) -> None:
        self._stores = stores

    @property
    def applications(self) -> SqliteApplications:
        return self._stores.applications

    @property
    def catalog(self) -> SqliteCatalog:
        return self._stores.catalog

    @property
    def maps(self) -> SqliteMaps:
        return self._stores.maps

    @property
    def uploads(self) -> SqliteUploads:
        return self._stores.uploads

    @property
    def counters(self) -> SqliteCounters:
        return self._stores.counters

    @property
    def records(self) -> SqliteRecords:
        return self._stores.records

    @property
    def embeddings(self) -> SqliteEmbeddings:
        return self._stores.embeddings

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
    def originals(self) -> NoReturn:
        raise _served()

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

    def problems(self) -> list[str]:
        return self._stores.problems()

    def unreachable(self) -> list[str]:
        return self._stores.unreachable()

    def close(self) -> None:
        """Does nothing: whoever opened the rows closes them."""


def _served() -> SettingsError:
    return SettingsError("a server has this data folder open")
