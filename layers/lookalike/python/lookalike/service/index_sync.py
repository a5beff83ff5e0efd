"""Bringing the vector index to where the catalog is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from lookalike.domain.picture import Key, Picture
from lookalike.errors import IndexWriteError, LookalikeError
from lookalike.observability import logger, why
from lookalike.ports import Ports


@dataclass(frozen=True, slots=True)
class Indexed:
    """What the index did not take: rows that may be taken later, and rows that never will, each with its reason."""

    again: frozenset[Key] = frozenset()
    refused: Mapping[Key, str] = field(default_factory=dict)


def index(ports: Ports, rows: Iterable[Picture]) -> Indexed:
    """Write rows to the index, of each picture the newest alone, without waiting for searches to see them."""
    newest: dict[Key, Picture] = {}
    for row in rows:
        if row.key not in newest or row.revision > newest[row.key].revision:
            newest[row.key] = row
    if not newest:
        return Indexed()
    try:
        return _write(ports, list(newest.values()))
    except Exception:  # one row is at fault, or our code: which one shows when each goes alone
        logger.exception("index write failed", extra={"operation": "index", "pictures": len(newest)})
        return _one_by_one(ports, list(newest.values()))


def _write(ports: Ports, rows: Sequence[Picture]) -> Indexed:
    try:
        ports.index.write(rows, wait=False)
    except IndexWriteError as error:
        return Indexed(error.again, error.refused)
    except LookalikeError as error:
        if not error.retryable:
            raise
        facts = {"operation": "index", "pictures": len(rows), **why(error)}
        logger.warning("index not reached", exc_info=error, extra=facts)
        return Indexed(again=frozenset(row.key for row in rows))
    return Indexed()


def _one_by_one(ports: Ports, rows: Sequence[Picture]) -> Indexed:
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
            again |= done.again
            refused |= done.refused
    if len(broken) == len(rows):
        return Indexed(again=frozenset(broken))
    return Indexed(frozenset(again), refused | broken)
