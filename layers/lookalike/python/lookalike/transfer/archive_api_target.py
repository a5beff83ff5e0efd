"""An archive's pictures into a running service, over its API: it makes vectors and maps of the originals anew."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

from lookalike.domain.library import Identity, Kind
from lookalike.transfer.api_client import ApiClient
from lookalike.transfer.api_target import ApiTarget
from lookalike.transfer.archive_format import Record
from lookalike.transfer.archive_source import ArchivedRow, ArchiveSource
from lookalike.transfer.journal import Entry
from lookalike.transfer.outcomes import Result, Totals
from lookalike.transfer.rows import Row, SourceError
from lookalike.transfer.target import TargetError, Wanted, Work
from lookalike.wire import label_codec

#: Rows that a thread takes at a time: their originals are in memory one by one.
_ROWS = 64


class ArchiveApiTarget:
    """Libraries of a running service that take an archive's pictures; those that are not there are made.

    Rows keep ids, briefs, labels, descriptions and tags. Revisions and times are the service's own.

    Raises InvalidArgument for a library that is there with another kind or identity, and for keys that may not add.
    """

    identity = Identity.OWN
    rows_per_call = _ROWS

    def __init__(
        self, client: ApiClient, archive: ArchiveSource, *, rename: str | None = None, make: bool = True
    ) -> None:
        self._client = client
        self._archive = archive
        self._targets: Mapping[str, ApiTarget] = {
            name: ApiTarget(
                client,
                Wanted(rename or name, Kind(said.kind), identity=Identity(said.identity), capacity=said.capacity),
                make=make,
            )
            for name, said in archive.libraries.items()
        }

    @property
    def name(self) -> str:
        """The names of the libraries, and when they were made."""
        return " ".join(target.name for target in self._targets.values())

    def tell(self, totals: Totals) -> None:
        """Tell the service how far the import is."""
        self._client.tell(totals.rows, totals.done)

    def put(self, works: Sequence[Work]) -> Iterable[tuple[Entry, Result]]:
        """Send the rows, library by library."""
        yield from self._each(works, ApiTarget.put)

    def try_out(self, works: Sequence[Work]) -> Iterable[tuple[Entry, Result]]:
        """Look whether the rows could be added."""
        yield from self._each(works, ApiTarget.try_out)

    def estimate(self, rows: int, trial_seconds: float) -> Sequence[str]:
        """Return how long the server takes at most."""
        return next((target.estimate(rows, trial_seconds) for target in self._targets.values()), [])

    def holds(self, id_: str) -> bool:
        """Whether the library that ``id_`` begins with holds a picture of the rest of it."""
        name, _, inner = id_.partition("/")
        return self._targets[name].holds(inner)

    def ids(self) -> Iterator[str]:
        """Iterate over the pictures of all these libraries, as ``library/id``."""
        for name, target in self._targets.items():
            yield from (f"{name}/{one}" for one in target.ids())

    def close(self) -> None:
        """Leave connections to the end of their threads."""

    def _each(
        self, works: Sequence[Work], do: Callable[[ApiTarget, Iterable[Work]], Iterable[tuple[Entry, Result]]]
    ) -> Iterator[tuple[Entry, Result]]:
        for name, some in groupby(works, key=lambda work: _library_of(work.row)):
            for entry, result in do(self._targets[name], (Work(self._row(one.row), one.entry) for one in some)):
                yield entry, replace(result, id=f"{name}/{result.id}") if result.id else result

    def _row(self, row: Row) -> Row:
        """Return the row as a table would have it, with its original."""
        record, original = _record_of(row), self._original(row)
        if hashlib.sha256(original).hexdigest() != record.file_digest:
            return Row(row.number, row.source, id=record.id, fault="its original is another file than its row says")
        return Row(
            number=row.number,
            source=row.source,
            id=record.id,
            base64=base64.b64encode(original).decode(),
            brief=record.brief,
            tags=record.tags,
            label=label_codec.to_json(record.label) if record.label else None,
            desc=record.desc or None,
            sign=record.old_sign,
        )

    def _original(self, row: Row) -> bytes:
        try:
            return self._archive.contents(_archived(row)).original
        except (SourceError, OSError) as error:
            raise TargetError(str(error)) from error


def _archived(row: Row) -> ArchivedRow:
    if not isinstance(row, ArchivedRow):
        raise TypeError(f"{row.source}: of no archive")
    return row


def _record_of(row: Row) -> Record:
    record = _archived(row).record
    if record is None:
        raise TypeError(f"{row.source}: of no archive")
    return record


def _library_of(row: Row) -> str:
    part = _archived(row).part
    return "" if part is None else part.library
