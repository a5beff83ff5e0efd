"""Bringing the vector index to where the catalog is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from lookalike.domain.picture import Key, Picture
from lookalike.errors import IndexWriteError, LookalikeError
from lookalike.observability import logger, why
from lookalike.ports import Ports


@dataclass(frozen=True, slots=True)
class SyncResult:
    """What the index did not take: rows that may be taken later, and rows that never will, each with its reason."""

    retryable: frozenset[Key] = frozenset()
    rejected: Mapping[Key, str] = field(default_factory=dict)


def sync_index(ports: Ports, rows: Iterable[Picture]) -> SyncResult:
    """Write rows to the index, of each picture the newest alone, without waiting for searches to see them."""
    newest: dict[Key, Picture] = {}
    for row in rows:
        if row.key not in newest or row.revision > newest[row.key].revision:
            newest[row.key] = row
    if not newest:
        return SyncResult()
    try:
        return _write(ports, list(newest.values()))
    except Exception:  # one row is at fault, or our code: which one shows when each goes alone
        logger.exception("index write failed", extra={"operation": "index", "pictures": len(newest)})
        return _one_by_one(ports, list(newest.values()))


def _write(ports: Ports, rows: Sequence[Picture]) -> SyncResult:
    try:
        ports.index.write(rows, wait=False)
    except IndexWriteError as error:
        return SyncResult(error.again, error.refused)
    except LookalikeError as error:
        if not error.retryable:
            raise
        facts = {"operation": "index", "pictures": len(rows), **why(error)}
        logger.warning("index not reached", exc_info=error, extra=facts)
        return SyncResult(retryable=frozenset(row.key for row in rows))
    return SyncResult()


def _one_by_one(ports: Ports, rows: Sequence[Picture]) -> SyncResult:
    """Write each row alone. Those that break our code while others do not are at fault; if all do, it is none of them."""
    again: set[Key] = set()
    refused: dict[Key, str] = {}
    broken: dict[Key, str] = {}
    for row in rows:
        try:
            done = _write(ports, [row])
        except Exception as error:  # whatever it is, the rows behind this one must not wait for it
            broken[row.key] = repr(error)
        else:
            again |= done.retryable
            refused |= done.rejected
    if len(broken) == len(rows):
        return SyncResult(retryable=frozenset(broken))
    return SyncResult(frozenset(again), refused | broken)
