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
from lookalike.service.second_look import SecondLook
from lookalike.service.survey import Survey, survey

#: Findings of one batch.
_BATCH = 100

#: Findings of each fault that a report names.
_MAX_EXAMPLES = 10


class Mend(Protocol):
    """Mends findings of one fault."""

    def __call__(self, fault: Fault, findings: list[Finding]) -> int:
        """Return how many are mended."""


def check(
    ports: Ports, *, mend: Mend | None = None, deep: int = 0, tell: Callable[[str], None] = lambda _: None
) -> Report:
    """Compare all stores with the catalog; mend what differs, if told how. Return what was found.

    ``deep`` originals, drawn at random, are embedded again and searched by themselves. ``tell`` is told what is being done.
    Raises Unavailable if a store does not answer, and OSError if there is no room for temporary files.
    """
    began, clock = ports.clock(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="lookalike-check-") as folder:
        tell("listing")
        seen = survey(ports, Path(folder), deep, makes_maps=_makes_maps(ports))
    tally = _Tally()
    look = SecondLook(ports, began)
    tell("looking again")
    for fault, batch in _batches(_findings(ports, look, seen)):
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
    )


@dataclass(slots=True)
class _Tally:
    found: Counter[Fault] = field(default_factory=Counter)
    mended: Counter[Fault] = field(default_factory=Counter)
    examples: dict[Fault, list[str]] = field(default_factory=dict)

    def add(self, fault: Fault, batch: list[Finding]) -> None:
        self.found[fault] += len(batch)
        names = self.examples.setdefault(fault, [])
        names += [one.name for one in batch[: _MAX_EXAMPLES - len(names)]]


def _findings(ports: Ports, look: SecondLook, seen: Survey) -> Iterator[Finding]:
    """Yield what is found, in the order of harm. Each store is read again only if something in it differs."""
    yield from look.entries(seen.ghosts)
    yield from look.rows(seen.stale)
    yield from look.rows(seen.missing)
    if seen.other_models or seen.unreadable or len(seen.lost_files) or len(seen.lost_maps):
        yield from look.own_faults(seen)
    yield from look_deep(ports, look.sample_with_originals(seen))
    yield from look.entries(seen.hidden)
    if not seen.unreadable:  # what no row points to may be what a row pointed to that cannot be read
        yield from look.orphan_files(seen.orphan_files)
        yield from look.orphan_maps(seen.orphan_maps)


def _batches(findings: Iterator[Finding]) -> Iterator[tuple[Fault, list[Finding]]]:
    """Yield neighbours of one fault together, few at a time."""
    for fault, same in groupby(findings, key=lambda one: one.fault):
        while batch := list(islice(same, _BATCH)):
            yield fault, batch


def _makes_maps(ports: Ports) -> bool:
    """Whether the present model makes local maps."""
    return bool(ports.embedder.embed([np.zeros((64, 64, 3), np.uint8)])[0].feature_map)
