"""The JSON that calls on jobs and duplicates answer with, and how it is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from lookalike.domain.duplicates import Level, Pair
from lookalike.domain.job import Job, JobKind, JobState
from lookalike.domain.library import Library
from lookalike.service.duplicate_clusters import ClusterPage, FoundCluster
from lookalike.service.duplicate_records import SweepState
from lookalike.service.groups import name_of
from lookalike.wire.native import BASE
from lookalike.wire.native.answers import (
    Path,
    PictureSaid,
    ProofSaid,
    Said,
    Time,
    one_of,
    picture_said,
    proof_said,
    time_said,
)


class JobSaid(Said, frozen=True, kw_only=True):
    """A job. ``done`` of ``total`` pictures; ``total`` is absent while it is unknown. ``detail``: why it has failed."""

    id: str
    path: Path = msgspec.field(name="self")
    kind: Annotated[str, one_of(*JobKind)]
    library: str
    state: Annotated[str, one_of(*JobState)]
    done: int
    total: int | UnsetType = UNSET
    created: Time
    updated: Time
    detail: str = ""


class JobsSaid(Said, frozen=True, kw_only=True):
    """Jobs, the latest first."""

    jobs: tuple[JobSaid, ...]


class LevelsSaid(Said, frozen=True, kw_only=True):
    """Numbers of clusters by level."""

    identical: int
    same: int
    similar: int


class ReportSaid(Said, frozen=True, kw_only=True):
    """What a job has done. ``compared``: pictures that were compared with their neighbours; ``judged``: pairs of them."""

    job: JobSaid
    compared: int
    judged: int
    pairs: int
    clusters: LevelsSaid


class DuplicateSaid(PictureSaid, frozen=True, kw_only=True):
    """A picture of a cluster, with its size in pixels, upright, and in bytes; absent where its file cannot be read."""

    width: int | UnsetType = UNSET
    height: int | UnsetType = UNSET
    bytes: int | UnsetType = UNSET


class PairSaid(Said, frozen=True, kw_only=True):
    """Two pictures of a cluster, by id, and what they have in common. The proof lays ``b`` on ``a``."""

    a: str
    b: str
    level: Annotated[str, one_of(*Level)]
    score: float
    cosine: float
    proof: ProofSaid | UnsetType = UNSET


class ClusterSaid(Said, frozen=True, kw_only=True):
    """Pictures that belong together, the largest first, and the pairs that connect them, the nearest first."""

    pictures: tuple[DuplicateSaid, ...]
    pairs: tuple[PairSaid, ...]


class SweptSaid(Said, frozen=True, kw_only=True):
    """The sweep that found what is shown. ``clusters`` are those that it found, whatever has changed since."""

    job: str
    finished: Time
    clusters: LevelsSaid


class DuplicatesSaid(Said, frozen=True, kw_only=True):
    """A page of clusters; ``next`` is absent from the last one. Without ``swept``, the library was never swept."""

    swept: SweptSaid | UnsetType = UNSET
    clusters: tuple[ClusterSaid, ...]
    next: str = ""


def job_path(id_: str) -> str:
    """Return the path of a job."""
    return f"{BASE}/jobs/{id_}"


def job_said(job: Job) -> JobSaid:
    """Return a job."""
    return JobSaid(
        id=job.id,
        path=job_path(job.id),
        kind=job.kind.value,
        library=job.library,
        state=job.state.value,
        done=job.done,
        total=job.total if job.cursor or job.state.finished else UNSET,
        created=time_said(job.created),
        updated=time_said(job.updated),
        detail=job.detail,
    )


def report_said(job: Job) -> ReportSaid:
    """Return what a job has done."""
    counted = job.result
    return ReportSaid(
        job=job_said(job),
        compared=counted.get("compared", 0),
        judged=counted.get("judged", 0),
        pairs=counted.get("pairs", 0),
        clusters=_levels(counted),
    )


def duplicates_said(library: Library, page: ClusterPage, following: str) -> DuplicatesSaid:
    """Return a page of clusters; ``following`` is the cursor of the next one."""
    return DuplicatesSaid(
        swept=UNSET if page.sweep is None else _swept_said(page.sweep),
        clusters=tuple(_cluster_said(library, one) for one in page.clusters),
        next=following,
    )


def _swept_said(sweep: SweepState) -> SweptSaid:
    return SweptSaid(job=sweep.job, finished=time_said(sweep.finished), clusters=_levels(sweep.counts))


def _levels(counts: Mapping[str, int]) -> LevelsSaid:
    return LevelsSaid(**{level.value: counts.get(level.value, 0) for level in Level})


def _cluster_said(library: Library, found: FoundCluster) -> ClusterSaid:
    ends = {end.id: end for pair in found.cluster.pairs for end in (pair.older, pair.newer)}
    ordered = sorted(ends.values(), key=lambda end: (-end.width * end.height, -end.bytes, end.id))
    pictures = []
    for end in ordered:
        said = picture_said(library, found.rows[end.id])
        known = {name: getattr(said, name) for name in PictureSaid.__struct_fields__}
        pictures.append(
            DuplicateSaid(**known, width=end.width or UNSET, height=end.height or UNSET, bytes=end.bytes or UNSET)
        )
    names = {id_: name_of(library, row) for id_, row in found.rows.items()}
    return ClusterSaid(pictures=tuple(pictures), pairs=tuple(_pair_said(pair, names) for pair in found.cluster.pairs))


def _pair_said(pair: Pair, names: Mapping[str, str]) -> PairSaid:
    below, above = (pair.newer, pair.older) if pair.turned else (pair.older, pair.newer)
    return PairSaid(
        a=names[below.id],
        b=names[above.id],
        level=pair.level.value,
        score=pair.score,
        cosine=pair.cosine,
        proof=UNSET if pair.proof is None else proof_said(pair.proof),
    )
