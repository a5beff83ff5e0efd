"""Bringing the vector index up to date with the catalog."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from lookalike.domain.picture import Key, Picture
from lookalike.errors import IndexWriteError, LookalikeError
from lookalike.observability import error_fields, logger
from lookalike.ports import Ports, VectorIndex


@dataclass(frozen=True, slots=True)
class SyncResult:
    """Rows that the index did not take: those to retry, and those that it will never take, with the reason."""

    retryable: frozenset[Key] = frozenset()
    rejected: Mapping[Key, str] = field(default_factory=dict)


def sync_index(ports: Ports, rows: Iterable[Picture], removed: Iterable[Picture] = ()) -> SyncResult:
    """Write rows to the index, only the newest of each picture, without waiting until searches see them.

    Rows that were ``removed`` for good, of other pictures, are removed there.
    """
    written, gone = _newest(rows), _newest(removed)
    done = _write_all(ports.index, written) if written else SyncResult()
    left = _try(lambda: ports.index.remove(gone), gone) if gone else SyncResult()
    return SyncResult(done.retryable | left.retryable, {**done.rejected, **left.rejected})


def sync_rows(index: VectorIndex, rows: Iterable[Picture]) -> SyncResult:
    """Write rows to an index, likewise."""
    written = _newest(rows)
    return _write_all(index, written) if written else SyncResult()


def _newest(rows: Iterable[Picture]) -> list[Picture]:
    """Return the newest row of each picture."""
    newest: dict[Key, Picture] = {}
    for row in rows:
        if row.key not in newest or row.revision > newest[row.key].revision:
            newest[row.key] = row
    return list(newest.values())


def _write_all(index: VectorIndex, rows: Sequence[Picture]) -> SyncResult:
    try:
        return _write(index, rows)
    except Exception:  # a single row may be the cause: each is written alone to find it
        logger.exception("index write failed", extra={"operation": "index", "pictures": len(rows)})
        return _one_by_one(index, rows)


def _write(index: VectorIndex, rows: Sequence[Picture]) -> SyncResult:
    return _try(lambda: index.write(rows, wait=False), rows)


def _try(send: Callable[[], None], rows: Sequence[Picture]) -> SyncResult:
    """Send rows to the index; return which of them it did not take. Raises errors that are no store's."""
    try:
        send()
    except IndexWriteError as error:
        return SyncResult(error.again, error.refused)
    except LookalikeError as error:
        if not error.retryable:
            raise
        log_fields = {"operation": "index", "pictures": len(rows), **error_fields(error)}
        logger.warning("index not reached", exc_info=error, extra=log_fields)
        return SyncResult(retryable=frozenset(row.key for row in rows))
    return SyncResult()


def _one_by_one(index: VectorIndex, rows: Sequence[Picture]) -> SyncResult:
    """Write each row alone. Rows that fail while others succeed are rejected; if all fail, none is to blame."""
    retryable: set[Key] = set()
    rejected: dict[Key, str] = {}
    broken: dict[Key, str] = {}
    for row in rows:
        try:
            done = _write(index, [row])
        except Exception as error:  # whatever it is: the rows after this one must not wait for it
            broken[row.key] = repr(error)
        else:
            retryable |= done.retryable
            rejected |= done.rejected
    if len(broken) == len(rows):
        return SyncResult(retryable=frozenset(broken))
    return SyncResult(frozenset(retryable), rejected | broken)
