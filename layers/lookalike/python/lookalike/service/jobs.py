"""Jobs as their clients know them: start, look at, pause, resume, cancel.

A job is a record of its tenant's. What waits for a runner is in a queue beside it: one partition for all tenants, which
runners read. An entry is written before its job, and removed after it has finished, so that no job is ever forgotten.

One job of a kind works on a library at a time. Its claim is a record of the library's, which is written before the job:
whoever meets the claim of a job that is not there yet writes the job itself. So all who ask at once get the same job,
whoever was first, and a caller that stops after its claim has started its job all the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict

from lookalike.domain.job import Job, JobKind, JobState
from lookalike.domain.library import Library
from lookalike.domain.record import Record
from lookalike.errors import InvalidArgument, RevisionConflict, Unavailable
from lookalike.ports import Ports
from lookalike.service.catalog_writes import MAX_ATTEMPTS
from lookalike.service.job_errors import JobFinished, JobInProgress, JobIsOther, JobNotFound

#: Names of jobs.
_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")

#: Jobs of a tenant that are kept; of the finished ones, the oldest go.
MAX_KEPT = 100

#: Milliseconds for which the claim of a job that is not there is of one that is about to be written; later, the job was
#: one of those that are not kept any more. A call takes half a minute at most.
CLAIM_MS = 600_000

#: Records read at a time.
_PAGE = 200

QUEUE = "jobs-queue"


def start_job(ports: Ports, library: Library, kind: JobKind, id_: str) -> tuple[Job, bool]:
    """Start a job on a library; return it, and whether it is new: one of that name that does the same is returned.

    Raises InvalidArgument for the name, JobIsOther if the job of that name does something else, and JobInProgress if
    another job does the same to the library now.
    """
    if not is_job_id(id_):
        raise InvalidArgument("job", "must be 1 to 128 letters, digits, dots, underscores and hyphens")
    job, created = _claimed(ports, library, kind, id_)
    if job.id != id_:
        raise JobInProgress(job.id)
    return job, created


def start_or_join(ports: Ports, library: Library, kind: JobKind, id_: str) -> tuple[Job, bool]:
    """Start a job of that name, which is new, on a library, or return the one that does the same; and whether it is new."""
    return _claimed(ports, library, kind, id_)


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


def _claimed(ports: Ports, library: Library, kind: JobKind, id_: str) -> tuple[Job, bool]:
    """Return the job that does this to the library: that of the name if it is there, the one that has claimed it, or a new one.

    Raises JobIsOther, and Unavailable if claims change too fast.
    """
    partition = working_partition(library.uid)
    for _ in range(MAX_ATTEMPTS):
        known = job_of(ports, library.tenant, id_)
        if known is not None:
            return _same(known, library, kind), False
        held = ports.records.record(partition, kind)
        holder = None if held is None else _holder(ports, library, kind, held)
        if holder is not None:
            return holder, False
        now = ports.clock()
        claim = Record(
            partition, kind, json.dumps({"id": id_, "created": now}), 1 if held is None else held.revision + 1
        )
        try:
            ports.records.put_record(claim, None if held is None else held.revision)
        except RevisionConflict:  # another caller was faster: its job is the one
            continue
        job = _same(_written(ports, library, kind, id_, now), library, kind)
        _forget_old(ports, library.tenant)
        return job, True
    raise Unavailable(f"jobs: {partition} changes too fast")


def _same(job: Job, library: Library, kind: JobKind) -> Job:
    """Return the job. Raises JobIsOther if it does something else."""
    if (job.kind, job.uid) != (kind, library.uid):
        raise JobIsOther(job.id)
    return job


def _holder(ports: Ports, library: Library, kind: JobKind, held: Record) -> Job | None:
    """Return the job of a claim if it has not finished, written now if its caller has not yet; None if it has no claim any more."""
    id_, created = _claim_of(held)
    job = job_of(ports, library.tenant, id_)
    if job is None and created > ports.clock() - CLAIM_MS:
        job = _written(ports, library, kind, id_, created)
    if job is None or job.state.finished or (job.kind, job.uid) != (kind, library.uid):
        return None
    return job


def _claim_of(held: Record) -> tuple[str, int]:
    """Return the name of the job that a claim is of, and when that was made; 0 of one by a version that did not say so."""
    if not held.body.startswith("{"):
        return held.body, 0
    said = json.loads(held.body)
    return said["id"], said["created"]


def _written(ports: Ports, library: Library, kind: JobKind, id_: str, created: int) -> Job:
    """Write the job of a claim, unless somebody has; return it."""
    job = Job(library.tenant, id_, kind, library.name, library.uid, created=created, updated=created, revision=1)
    _enqueue(ports, job)
    try:
        ports.records.put_record(_record_of(job), None)
    except RevisionConflict:
        return find_job(ports, library.tenant, id_)
    return job


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
