"""The check of a second model's vectors and index, while there is one: what the live model has is checked in full before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from lookalike.domain.consistency import Fault, Report
from lookalike.domain.model_change import Phase
from lookalike.domain.picture import Picture, State
from lookalike.ports import Ports
from lookalike.service.consistency import DEFAULT_NAMES, MAX_NAMES
from lookalike.service.known_libraries import KnownLibraries, removed_libraries
from lookalike.service.model_fill import Filler, Watch
from lookalike.service.model_view import seen_with, shown
from lookalike.service.second_look import GRACE_MS, fault_of


def with_second_model(ports: Ports, report: Report, *, repair: bool, names: int = DEFAULT_NAMES) -> Report:
    """Return the report with what differs in the second model's index, and mend that if asked to.

    Pictures that the model has no vector of are embedded by it. A model that is being filled is not looked at yet. So many
    findings of each fault are named, MAX_NAMES at most.
    """
    models = ports.stores.embeddings.models()
    if models is None or models.other is None or not models.has_two:
        return report
    if models.phase not in (Phase.FILLED, Phase.RETIRED):
        return report
    seen = seen_with(ports, models, models.other)
    found, examples = Counter(report.found), {fault: list(named) for fault, named in report.examples.items()}
    libraries = KnownLibraries(ports)
    for fault, row in differing_rows(seen, report.began - GRACE_MS):
        found[fault] += 1
        named = examples.setdefault(fault, [])
        if len(named) < min(names, MAX_NAMES):
            named.append(f"{libraries.name(row.key)} ({seen.embedder.model})")
    mended = Counter(report.mended)
    if repair and found != Counter(report.found):
        Filler(seen, models, Watch()).pass_over(write_all=True)
        left = Counter(fault for fault, _ in differing_rows(seen, report.began))
        mended += found - Counter(report.found) - left
    shown_names = {fault: tuple(named) for fault, named in examples.items()}
    return replace(report, found=dict(found), mended=dict(mended), examples=shown_names)


def differing_rows(seen: Ports, before: int) -> Iterator[tuple[Fault, Picture]]:
    """Yield rows that the model's index does not have as they are, and rows that it has no vector of.

    Rows changed after ``before``, in Unix milliseconds, may be written just now, and are passed over; so are those of
    removed libraries. A picture whose original is lost can have no other vector: it is missed as an original, and not here.
    """
    model, removed = seen.embedder.model, removed_libraries(seen)
    for batch in seen.stores.catalog.every_row():
        rows = [row for row in batch if row.revision <= before and row.state is not State.DAMAGED]
        rows = [row for row in rows if row.key.library not in removed]
        rows = shown(rows, model, seen.stores.embeddings)
        lacking = [row for row in rows if row.live and row.model != model]
        yield from ((Fault.OTHER_MODEL, row) for row in lacking if seen.originals.size(row.object_key))
        yield from differing(seen, [row for row in rows if not row.live or row.model == model])


def differing(seen: Ports, rows: Sequence[Picture]) -> Iterator[tuple[Fault, Picture]]:
    """Yield those of the rows that the model's index does not have as they are."""
    for kind, same in groupby(sorted(rows, key=lambda row: row.kind), key=lambda row: row.kind):
        some = list(same)
        entries = {entry.key: entry for entry in seen.index.held(kind, [row.key for row in some])}
        for row in some:
            fault = fault_of(row, entries.get(row.key))
            if fault is not None:
                yield fault, row
