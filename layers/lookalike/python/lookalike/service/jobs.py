"""Jobs as their clients know them: start, look at, pause, resume, cancel.

A job is a record of its tenant's. What waits for a runner is in a queue beside it: one partition for all tenants, which
runners read. An entry is written before its job, and removed after it has finished, so that no job is ever forgotten.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict

from lookalike.domain.job import Job, JobKind, JobState
from lookalike.domain.library import Library
from lookalike.domain.record import Record
from lookalike.errors import InvalidArgument, RevisionConflict
from lookalike.ports import Ports
from lookalike.service.catalog_writes import MAX_ATTEMPTS
from lookalike.service.job_errors import JobFinished, JobInProgress, JobIsOther, JobNotFound

#: Names of jobs.
_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")

#: Jobs of a tenant that are kept; of the finished ones, the oldest go.
MAX_KEPT = 100

#: Records read at a time.
_PAGE = 200

QUEUE = "jobs-queue"


def start_job(ports: Ports, library: Library, kind: JobKind, id_: str) -> tuple[Job, bool]:
    """Start a job on a library; return it, and whether it is new: one of that name that does the same is returned.

    Raises InvalidArgument for the name, JobIsOther if the job of that name does something else, and JobInProgress if
    another job does the same to the library now.
    """
    if not is_job_id(id_):
        raise InvalidArgument("id", "must be 1 to 128 letters, digits, dots, underscores and hyphens")
    known = job_of(ports, library.tenant, id_)
    if known is not None:
        if (known.kind, known.uid) != (kind, library.uid):
            raise JobIsOther(id_)
        return known, False
    _reserve(ports, library, kind, id_)
    now = ports.clock()
    job = Job(library.tenant, id_, kind, library.name, library.uid, created=now, updated=now, revision=1)
    _enqueue(ports, job)
    try:
        ports.records.put_record(_record_of(job), None)
    except RevisionConflict:
        return find_job(ports, library.tenant, id_), False
    _forget_old(ports, library.tenant)
    return job, True


def is_job_id(text: str) -> bool:
    """Whether a job may have that name; not ``.`` and ``..``, which clients resolve in paths."""
    return _ID.fullmatch(text) is not None and text not in (".", "..")


def job_of(ports: Ports, tenant: str, id_: str) -> Job | None:
    """Return the tenant's job of that name; None if there is none."""
    record = ports.records.record(_partition(tenant), id_)
    return None if record is None else _job_of(record)


def find_job(ports: Ports, tenant: str, id_: str) -> Job:
    """Return the tenant's job of that name. Raises JobNotFound."""
    job = job_of(ports, tenant, id_)
    if job is None:
        raise JobNotFound(id_)
    return job


def list_jobs(ports: Ports, tenant: str) -> list[Job]:
    """Return the tenant's jobs, the latest first."""
    found = [_job_of(record) for record in all_records(ports, _partition(tenant))]
    return sorted(found, key=lambda job: (-job.created, job.id))


def pause_job(ports: Ports, tenant: str, id_: str) -> Job:
    """Pause the job; its runner stops at its next step. Raises JobNotFound, and JobFinished."""
    return _change_state(ports, tenant, id_, JobState.PAUSED)


def resume_job(ports: Ports, tenant: str, id_: str) -> Job:
    """Let a paused job go on where it was; one that is not paused stays as it is. Raises JobNotFound, and JobFinished."""
    return _change_state(ports, tenant, id_, JobState.QUEUED)


def cancel_job(ports: Ports, tenant: str, id_: str) -> Job:
    """Cancel the job; what it has found so far stays unseen. Raises JobNotFound, and JobFinished."""
    return _change_state(ports, tenant, id_, JobState.CANCELLED)


def queued_jobs(ports: Ports) -> Iterator[tuple[str, Job | None]]:
    """Yield the keys of the queue with their jobs, of all tenants; None for one that is not written, yet or any more."""
    for record in all_records(ports, QUEUE):
        entry = json.loads(record.body)
        yield record.key, job_of(ports, entry["tenant"], entry["id"])


def forget_entry(ports: Ports, key: str) -> None:
    """Remove an entry of the queue."""
    ports.records.remove_records(QUEUE, [key])


def save_job(ports: Ports, job: Job) -> Job:
    """Write the job in place of the one that it was made from. Raises RevisionConflict if another write was faster."""
    saved = job.but(revision=job.revision + 1, updated=ports.clock())
    ports.records.put_record(_record_of(saved), job.revision)
    return saved


def all_records(ports: Ports, partition: str, after: str = "") -> Iterator[Record]:
    """Yield the records of a partition by key, page by page."""
    while page := ports.records.records(partition, after, _PAGE):
        yield from page
        after = page[-1].key


def _change_state(ports: Ports, tenant: str, id_: str, state: JobState) -> Job:
    def changed(job: Job) -> Job | None:
        if job.state is state or (state is JobState.QUEUED and job.state is JobState.RUNNING):
            return None
        if job.state.finished:
            raise JobFinished(id_, job.state)
        return job.but(state=state, leased_until=0, failures=0)

    return _compare_and_set(ports, tenant, id_, changed)


def _compare_and_set(ports: Ports, tenant: str, id_: str, change: Callable[[Job], Job | None]) -> Job:
    """Save the changed job, and return it; None from ``change`` leaves it as it is."""
    for attempt in range(MAX_ATTEMPTS):
        job = find_job(ports, tenant, id_)
        changed = change(job)
        if changed is None:
            return job
        try:
            return save_job(ports, changed)
        except RevisionConflict:  # its runner has saved what it has done
            if attempt == MAX_ATTEMPTS - 1:
                raise
    raise JobNotFound(id_)


def _reserve(ports: Ports, library: Library, kind: JobKind, id_: str) -> None:
    """Record the job as the one that works on the library. Raises JobInProgress if another one does."""
    partition = working_partition(library.uid)
    held = ports.records.record(partition, kind)
    if held is not None and held.body != id_:
        other = job_of(ports, library.tenant, held.body)
        if other is not None and not other.state.finished:
            raise JobInProgress(other.id)
    revision = 1 if held is None else held.revision + 1
    try:
        ports.records.put_record(Record(partition, kind, id_, revision), None if held is None else held.revision)
    except RevisionConflict:
        winner = ports.records.record(partition, kind)
        if winner is None or winner.body != id_:
            raise JobInProgress("" if winner is None else winner.body) from None


def _enqueue(ports: Ports, job: Job) -> None:
    body = json.dumps({"tenant": job.tenant, "id": job.id})
    ports.records.save_records([Record(QUEUE, f"{job.created:013d}/{job.id}", body)])


def _forget_old(ports: Ports, tenant: str) -> None:
    """Remove the oldest finished jobs beyond MAX_KEPT."""
    old = [job.id for job in list_jobs(ports, tenant)[MAX_KEPT:] if job.state.finished]
    ports.records.remove_records(_partition(tenant), old)


def working_partition(uid: str) -> str:
    """Partition of the records that say which job works on a library."""
    return f"working/{uid}"


def _partition(tenant: str) -> str:
    return f"jobs/{tenant}"


def _record_of(job: Job) -> Record:
    said = asdict(job)
    revision = said.pop("revision")
    return Record(_partition(job.tenant), job.id, json.dumps(said), revision)


def _job_of(record: Record) -> Job:
    said = json.loads(record.body)
    said["kind"], said["state"] = JobKind(said["kind"]), JobState(said["state"])
    return Job(**said, revision=record.revision)
