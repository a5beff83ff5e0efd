"""Checking the stores against the catalog, which is the truth, and mending what differs.

A survey (:mod:`~lookalike.service.survey`) tells what differs at first sight. Every such difference is looked at again by
its name, and counts only if it is still there, and if the picture was last changed longer ago than writes take to reach the
index. What is found is mended in the order of the harm that it does, a batch at a time.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import groupby, islice
from pathlib import Path
from typing import Protocol

import numpy as np

from lookalike.domain.consistency import Fault, Finding, Report
from lookalike.ports import Ports
from lookalike.service.deep_check import look_deep
from lookalike.service.known_libraries import KnownLibraries, removed_libraries
from lookalike.service.purge import SWEEP_AFTER_MS
from lookalike.service.second_look import SecondLook
from lookalike.service.survey import Survey, survey

#: Findings of one batch.
_BATCH = 100

#: Findings of each fault that a report names, unless it is asked for others.
DEFAULT_NAMES = 10

#: Findings of each fault that a report can name: 10 MB or so.
MAX_NAMES = 100_000


class Mend(Protocol):
    """Mends findings of one fault."""

    def __call__(self, fault: Fault, findings: list[Finding]) -> int:
        """Return how many are mended."""


def check(
    ports: Ports,
    *,
    mend: Mend | None = None,
    deep: int = 0,
    names: int = DEFAULT_NAMES,
    tell: Callable[[str], None] = lambda _: None,
) -> Report:
    """Compare all stores with the catalog; mend what differs, if told how. Return what was found.

    ``deep`` originals, drawn at random, are embedded again and searched by themselves. The report names so many findings of
    each fault, MAX_NAMES at most. ``tell`` is told what is being done.
    Raises Unavailable if a store does not answer, and OSError if there is no room for temporary files.
    """
    began, clock = ports.clock(), time.monotonic()
    map_size = _map_size(ports)
    with tempfile.TemporaryDirectory(prefix="lookalike-check-") as folder:
        tell("listing")
        seen = _survey(ports, Path(folder), deep, map_size)
    removed = removed_libraries(ports)  # again: of one that is removed meanwhile nothing is to be said either
    libraries = KnownLibraries(ports)
    tally = _Tally(libraries, min(names, MAX_NAMES))
    look = SecondLook(ports, began, map_size, removed.keys())
    tell("looking again")
    for fault, batch in _batches(_findings(ports, look, seen, libraries)):
        tally.add(fault, batch)
        if mend is not None:
            tell(f"mending {fault}")
            tally.mended[fault] += mend(fault, batch)
    return Report(
        began,
        time.monotonic() - clock,
        seen.totals,
        {fault: tally.found[fault] for fault in Fault if fault in tally.found},
        {fault: tally.mended[fault] for fault in Fault if tally.mended[fault]},
        {fault: tuple(names) for fault, names in tally.examples.items()},
        look.settling,
        len(seen.sample),
        max(removed.values()) + SWEEP_AFTER_MS if removed else None,
    )


def _survey(ports: Ports, folder: Path, deep: int, map_size: int) -> Survey:
    removed, signed = removed_libraries(ports).keys(), KnownLibraries(ports).signed
    return survey(ports, folder, deep, map_size=map_size, removed=removed, signed=signed)


@dataclass(slots=True)
class _Tally:
    libraries: KnownLibraries
    names: int
    found: Counter[Fault] = field(default_factory=Counter)
    mended: Counter[Fault] = field(default_factory=Counter)
    examples: dict[Fault, list[str]] = field(default_factory=dict)

    def add(self, fault: Fault, batch: list[Finding]) -> None:
        self.found[fault] += len(batch)
        named = self.examples.setdefault(fault, [])
        named += [self._name(one) for one in batch[: max(self.names - len(named), 0)]]

    def _name(self, finding: Finding) -> str:
        return finding.name if finding.key is None else self.libraries.name(finding.key)


def _findings(ports: Ports, look: SecondLook, seen: Survey, libraries: KnownLibraries) -> Iterator[Finding]:
    """Yield what is found, in the order of harm. Each store is read again only if something in it differs."""
    lost_libraries = ports.catalog.missing_libraries(seen.libraries - libraries.by_uid.keys())
    yield from look.entries(seen.ghosts)
    yield from look.rows(seen.stale)
    yield from look.rows(seen.missing)
    yield from look.own_faults(seen, lost_libraries)
    yield from look_deep(ports, libraries, look.sample(seen))
    yield from look.entries(seen.hidden)
    if not seen.unreadable:  # what no row points to may be what a row pointed to that cannot be read
        yield from look.orphan_files(seen.orphan_files)
        yield from look.orphan_maps(seen.orphan_maps)


def _batches(findings: Iterator[Finding]) -> Iterator[tuple[Fault, list[Finding]]]:
    """Yield neighbours of one fault together, few at a time."""
    for fault, same in groupby(findings, key=lambda one: one.fault):
        while batch := list(islice(same, _BATCH)):
            yield fault, batch


def _map_size(ports: Ports) -> int:
    """Return the bytes of every local map that the present model makes; 0 if it makes none."""
    return len(ports.embedder.embed([np.zeros((64, 64, 3), np.uint8)])[0].feature_map)
