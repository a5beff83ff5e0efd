"""Calls on a library's near-duplicates: look for them, list them, and say which are none."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from lookalike.domain.application import Application
from lookalike.domain.duplicates import Level
from lookalike.domain.job import JobKind
from lookalike.domain.library import Library
from lookalike.errors import InvalidArgument, PictureNotFound, SignAmbiguous
from lookalike.ports import Ports
from lookalike.service.duplicate_clusters import cluster_page, dismiss, reconsider
from lookalike.service.jobs import start_or_join
from lookalike.wire import forms
from lookalike.wire.http import Request
from lookalike.wire.native import limits, reading
from lookalike.wire.native.dialect import Reply
from lookalike.wire.native.job_answers import duplicates_said, job_path, job_said
from lookalike.wire.native.requests import DismissGiven


def find_duplicates(ports: Ports, application: Application, request: Request) -> Reply:
    """Look for near-duplicates in a library. This starts a job; one that does so already is returned."""
    library = reading.library_of(ports, application, request.arguments["library"])
    job, created = start_or_join(ports, library, JobKind.DUPLICATES, f"duplicates-{secrets.token_hex(8)}")
    return Reply(job_said(job), 201 if created else 200, headers=(("location", job_path(job.id)),))


def list_duplicates(ports: Ports, application: Application, request: Request) -> Reply:
    """List clusters of near-duplicates, as the last sweep found them. What is gone or was dismissed since is left out."""
    library = reading.library_of(ports, application, request.arguments["library"])
    query = forms.query(request)
    level = Level(reading.one_of(query, "level", Level.SAME, Level.IDENTICAL, Level.SIMILAR))
    after = reading.listed_after(query.text("after")) or ""
    if not (after.isascii() and len(after) <= limits.MAX_CLUSTER_CURSOR):
        raise InvalidArgument("after", "is no cursor of this API: send next of the page before")
    limit = reading.whole(query, "limit", most=limits.MAX_CLUSTERS, default=limits.DEFAULT_CLUSTERS)
    page = cluster_page(ports, library, level, after, limit)
    return Reply(duplicates_said(library, page, reading.cursor_of(page.after) if page.after else ""))


def dismiss_duplicates(ports: Ports, application: Application, request: Request) -> Reply:
    """Say that pictures are not the same as each other. No later sweep shows them together because of each other."""
    _mark(dismiss, ports, application, request)
    return Reply(status=204)


def reconsider_duplicates(ports: Ports, application: Application, request: Request) -> Reply:
    """Take back that these very pictures are not the same as each other."""
    _mark(reconsider, ports, application, request)
    return Reply(status=204)


def _mark(
    mark: Callable[[Ports, Library, tuple[str, ...]], None], ports: Ports, application: Application, request: Request
) -> None:
    """Mark the pictures that the body names. Raises InvalidArgument, PictureNotFound or SignAmbiguous."""
    said = reading.body_of(request, DismissGiven)
    library = reading.library_of(ports, application, request.arguments["library"])
    ids = tuple(reading.checked_id(id_, f"/pictures/{number}") for number, id_ in enumerate(said.pictures))
    try:
        mark(ports, library, ids)
    except (PictureNotFound, SignAmbiguous) as error:
        error.field = f"/pictures/{ids.index(error.name)}" if error.name in ids else "/pictures"
        raise
