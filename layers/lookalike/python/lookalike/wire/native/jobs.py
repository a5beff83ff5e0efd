"""Calls on jobs: list, start, look at, pause, resume, cancel, and what they found."""

from __future__ import annotations

from lookalike.domain.application import Application
from lookalike.domain.job import Job, JobKind
from lookalike.ports import Ports
from lookalike.service import jobs
from lookalike.service.job_errors import JobNotFound
from lookalike.service.permissions import require_library
from lookalike.wire.http import Request
from lookalike.wire.native import reading
from lookalike.wire.native.dialect import Reply
from lookalike.wire.native.job_answers import JobsSaid, job_path, job_said, report_said
from lookalike.wire.native.requests import JobGiven


def list_of_jobs(ports: Ports, application: Application, _request: Request) -> Reply:
    """List the caller's jobs, the latest first. The latest hundred are kept, and those that have not finished."""
    known = jobs.list_jobs(ports, application.tenant)
    libraries = application.policy.libraries
    return Reply(JobsSaid(jobs=tuple(job_said(job) for job in known if not libraries or job.library in libraries)))


def put_job(ports: Ports, application: Application, request: Request) -> Reply:
    """Start a job by a name of your own. May be repeated: one of that name that does the same is returned."""
    said = reading.body_of(request, JobGiven)
    library = reading.library_of(ports, application, said.library, "/library")
    job, created = jobs.start_job(ports, library, JobKind(said.kind), request.arguments["job"])
    return Reply(job_said(job), 201 if created else 200, headers=(("location", job_path(job.id)),))


def get_job(ports: Ports, application: Application, request: Request) -> Reply:
    """Look at a job: its state, and how much of it is done."""
    return Reply(job_said(_job(ports, application, request)))


def pause_job(ports: Ports, application: Application, request: Request) -> Reply:
    """Pause a job. It stops within seconds, and goes on from there when it is resumed."""
    return Reply(job_said(jobs.pause_job(ports, application.tenant, _job(ports, application, request).id)))


def resume_job(ports: Ports, application: Application, request: Request) -> Reply:
    """Let a paused job go on; one that is not paused stays as it is."""
    return Reply(job_said(jobs.resume_job(ports, application.tenant, _job(ports, application, request).id)))


def cancel_job(ports: Ports, application: Application, request: Request) -> Reply:
    """Cancel a job. What it has found so far is not shown."""
    return Reply(job_said(jobs.cancel_job(ports, application.tenant, _job(ports, application, request).id)))


def get_report(ports: Ports, application: Application, request: Request) -> Reply:
    """Say what a job has done: all of it once it is done, and so far before."""
    return Reply(report_said(_job(ports, application, request)))


def _job(ports: Ports, application: Application, request: Request) -> Job:
    """Return the job of the path. Raises JobNotFound, and NotPermitted for one of a library that is not the key's."""
    job = jobs.find_job(ports, application.tenant, _id(request))
    require_library(application, job.library)
    return job


def _id(request: Request) -> str:
    """Return the job's name in the path. Raises JobNotFound for one that none may have."""
    id_ = request.arguments["job"]
    if not jobs.is_job_id(id_):
        raise JobNotFound("that")
    return id_
