"""What a sweep has found, as it is now: clusters without what is gone, was replaced, or was marked as not the same."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lookalike.domain.duplicates import Cluster, Level, clusters
from lookalike.domain.library import Library
from lookalike.domain.picture import Picture
from lookalike.errors import InvalidArgument, TooManyItems
from lookalike.ports import Ports
from lookalike.service.duplicate_records import (
    MAX_CLUSTER,
    Marks,
    SweepState,
    cluster_pairs,
    clusters_partition,
    mark_digest,
    mark_record,
    marks_partition,
)
from lookalike.service.duplicate_state import current_rows, holds, last_sweep
from lookalike.service.groups import picture_in
from lookalike.service.jobs import all_records


@dataclass(frozen=True, slots=True)
class FoundCluster:
    """A cluster, with the current rows of its pictures by id."""

    cluster: Cluster
    rows: Mapping[str, Picture]


@dataclass(frozen=True, slots=True)
class ClusterPage:
    """A page of clusters. ``after`` is where the next one begins; empty after the last one. ``sweep`` found them."""

    clusters: tuple[FoundCluster, ...]
    after: str
    sweep: SweepState | None


def cluster_page(ports: Ports, library: Library, level: Level, after: str, limit: int) -> ClusterPage:
    """Return what the last sweep made of up to ``limit`` clusters of the level, after the position ``after``.

    What has changed since may part a cluster, or leave nothing of it; so a page may have another number of clusters.
    """
    state, _ = last_sweep(ports, library.uid)
    if state is None:
        return ClusterPage((), "", None)
    partition = clusters_partition(library.uid, state.generation, level)
    found = ports.records.records(partition, after, limit + 1)
    marks = Marks(all_records(ports, marks_partition(library.uid), f"{state.marked:013d}"))
    pairs = [[pair for pair in cluster_pairs(record) if not marks.holds(pair)] for record in found[:limit]]
    rows = current_rows(ports, library.uid, [pair for some in pairs for pair in some])
    shown = (cluster for some in pairs for cluster in clusters([pair for pair in some if holds(pair, rows)], level))
    following = found[limit - 1].key if len(found) > limit else ""
    return ClusterPage(tuple(FoundCluster(one, {id_: rows[id_] for id_ in one.ids}) for one in shown), following, state)


def dismiss(ports: Ports, library: Library, names: Sequence[str]) -> None:
    """Remember that these pictures are not the same as each other, as long as none of them is replaced.

    Raises InvalidArgument for less than two, TooManyItems, PictureNotFound or SignAmbiguous.
    """
    ports.records.save_records([mark_record(library.uid, ports.clock(), _ends(ports, library, names))])


def reconsider(ports: Ports, library: Library, names: Sequence[str]) -> None:
    """Forget that these very pictures are not the same as each other. Raises as :func:`dismiss`."""
    digest = mark_digest(json.dumps(sorted(_ends(ports, library, names))))
    partition = marks_partition(library.uid)
    keys = [record.key for record in all_records(ports, partition) if record.key.endswith(f"-{digest}")]
    ports.records.remove_records(partition, keys)


def _ends(ports: Ports, library: Library, names: Sequence[str]) -> list[tuple[str, int]]:
    """Return the pictures' ids and the revisions of their adds."""
    if len(names) > MAX_CLUSTER:
        raise TooManyItems("pictures", f"more than {MAX_CLUSTER}")
    rows = {row.key.id: row for row in (picture_in(ports, library, name) for name in names)}
    if len(rows) < 2:
        raise InvalidArgument("pictures", "must name two different pictures at least")
    return [(id_, row.added) for id_, row in rows.items()]
