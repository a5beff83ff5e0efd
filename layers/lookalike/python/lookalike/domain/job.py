"""Jobs: work that takes longer than a call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum


class JobKind(StrEnum):
    """What a job does."""

    DUPLICATES = "duplicates"  #: finds near-duplicates in a library


class JobState(StrEnum):
    """State of a job."""

    QUEUED = "queued"  #: waits for a runner
    RUNNING = "running"
    PAUSED = "paused"  #: goes on where it was once it is resumed
    CANCELLED = "cancelled"
    DONE = "done"
    FAILED = "failed"

    @property
    def finished(self) -> bool:
        """Whether nothing more happens to the job."""
        return self in (JobState.CANCELLED, JobState.DONE, JobState.FAILED)

    @property
    def runnable(self) -> bool:
        """Whether a runner may take the job."""
        return self in (JobState.QUEUED, JobState.RUNNING)


@dataclass(frozen=True, slots=True)
class Job:
    """A job of a tenant's, which its client has named ``id``.

    ``library`` is the name and ``uid`` the uid of the library that it works on. ``created`` and ``updated`` are Unix
    milliseconds. ``done`` of ``total`` is what is done; ``total`` is 0 while it is unknown. ``cursor`` tells the next runner
    where to go on. ``result`` counts what was found. ``detail`` says why a job has failed.

    A runner holds the job until ``leased_until``, Unix milliseconds; ``fence`` grows with every runner that takes it, and
    ``revision`` with every write, so that a runner whose lease went to another one can write no more. ``failures`` counts
    the times in succession that a store did not answer.
    """

    tenant: str
    id: str
    kind: JobKind
    library: str
    uid: str
    created: int
    updated: int
    state: JobState = JobState.QUEUED
    done: int = 0
    total: int = 0
    cursor: str = ""
    result: Mapping[str, int] = field(default_factory=dict)
    detail: str = ""
    leased_until: int = 0
    fence: int = 0
    failures: int = 0
    revision: int = 0

    def but(self, **changes: object) -> Job:
        """Copy of the job with some fields changed."""
        return replace(self, **changes)  # type: ignore[arg-type]  # dataclasses.replace checks the names itself
