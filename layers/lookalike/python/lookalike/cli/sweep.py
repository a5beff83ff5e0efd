"""``lookalike sweep``: finds near-duplicates in a bare folder or in a library."""

from __future__ import annotations

import sys
import time
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from lookalike import bootstrap
from lookalike.cli.folder_library import bring_up, folder_library, id_of
from lookalike.cli.one_application import one_application
from lookalike.cli.report_page import printable
from lookalike.cli.report_words import WORDS, Language, Words, preferred_language
from lookalike.cli.store_options import DataOption, StackOption, settings_for
from lookalike.cli.sweep_report import Report, once
from lookalike.domain.duplicates import Level
from lookalike.domain.job import Job, JobKind, JobState
from lookalike.domain.library import Library
from lookalike.embedding.lazy import LazyEmbedder
from lookalike.errors import InvalidArgument, LibraryNotFound, PictureNotFound, SettingsError
from lookalike.ports import Ports
from lookalike.service.duplicate_clusters import FoundCluster, cluster_page, dismiss
from lookalike.service.duplicates import settle
from lookalike.service.job_errors import JobFailed
from lookalike.service.job_runner import run_jobs
from lookalike.service.jobs import find_job, list_jobs, save_job, start_job
from lookalike.service.libraries import find_library
from lookalike.service.model_view import current
from lookalike.settings import Settings
from lookalike.stores.local.picture_folder import PictureFolder

#: Clusters read at a time.
_PAGE = 100

#: Files that could not be read and are named on the terminal.
_MAX_NAMED = 10

#: Seconds between two looks at a job that a server does.
_POLL_SECONDS = 0.5

app = typer.Typer()


@app.command()
def sweep(
    folder: Annotated[
        Path | None, typer.Argument(help="A folder of pictures, which is read and left as it is.", show_default=False)
    ] = None,
    library: Annotated[str | None, typer.Option(help="Sweep this library instead of a folder.")] = None,
    report: Annotated[
        Path, typer.Option(help="For a folder: where the report goes, and what the next sweep need not do again.")
    ] = Path("duplicates"),
    not_same: Annotated[
        list[Path] | None,
        typer.Option(
            "--not-same", help="For a folder: these files are not the same as each other; name it twice or more."
        ),
    ] = None,
    language: Annotated[
        Language | None,
        typer.Option(
            help="For a folder: the language of the report. [default: that of the locale]", show_default=False
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="For a library: the application's name, or its access key. [default: the only one]"),
    ] = None,
    data: DataOption = None,
    stack: StackOption = None,
) -> None:
    """Find near-duplicates: identical pictures, the same picture in other sizes or crops, and similar ones.

    Only what was added or changed since the last sweep is compared. A sweep that is stopped goes on where it was.
    """
    if (folder is None) == (library is None):
        raise InvalidArgument("folder", "name a folder, or a library with --library")
    if folder is not None:
        _sweep_folder(folder, report, not_same or [], WORDS[language or preferred_language()])
    elif library is not None:
        _sweep_library(settings_for(data, stack), name, library)


def _sweep_folder(folder: Path, target: Path, not_same: list[Path], words: Words) -> None:
    if not folder.is_dir():
        raise InvalidArgument("folder", f"{folder}: there is no such folder")
    folder, target = folder.resolve(), target.resolve()
    if target == folder:
        raise InvalidArgument("--report", "the report needs a folder of its own")
    settings = replace(Settings.from_environment(data=None), log_level="WARNING")
    embedder = LazyEmbedder(settings.model, settings.model_threads)
    with closing(PictureFolder(target / ".kept", embedder)) as stores:
        ports = bootstrap.build(replace(settings, data=target), stores=stores, embedder=embedder)
        brought = bring_up(ports, folder, stores.originals, target, _Progress("read"))
        swept = folder_library(ports)
        if not_same:
            _mark(ports, swept, folder, not_same)
        _finish(ports, _started(ports, swept, alone=True))
        settle(ports, swept.uid)
        found = once((level, _clusters(ports, swept, level)) for level in Level)
    page = Report(target, folder, words).write(brought, found)
    counts = ", ".join(f"{len(clusters)} {level}" for level, clusters in found)
    typer.echo(f"{brought.pictures} pictures, clusters: {counts}")
    if brought.refused:
        typer.echo(f"{len(brought.refused)} files could not be read: {_named(brought.refused)}", err=True)
    typer.echo(f"report: {page}")


def _named(files: Collection[str]) -> str:
    """Return the first names; the report has them all, with the reasons."""
    more = len(files) - _MAX_NAMED
    return ", ".join(printable(name) for name in sorted(files)[:_MAX_NAMED]) + (f" and {more} more" if more > 0 else "")


def _mark(ports: Ports, library: Library, folder: Path, files: list[Path]) -> None:
    """Remember that the files are not the same. Raises InvalidArgument."""
    try:
        ids = [id_of((folder / file).resolve().relative_to(folder)) for file in files]
        dismiss(ports, library, ids)
    except (ValueError, PictureNotFound) as error:
        raise InvalidArgument("--not-same", f"{error}: no picture of the folder; name it as from within it") from None


def _sweep_library(settings: Settings, name: str | None, library: str) -> None:
    """Sweep a library here, or have the server sweep it that has its data folder open."""
    with _ports(settings) as (ports, here):
        tenant = one_application(ports.applications, name).tenant
        job = _started(ports, _library(ports, tenant, library), alone=False)
        job = _finish(ports, job) if here else _awaited(ports, job)
    result = job.result
    typer.echo(
        f"{job.done} pictures, {result.get('compared', 0)} of them compared; clusters: "
        + ", ".join(f"{result.get(level, 0)} {level}" for level in Level)
    )
    typer.echo(f"look at them in the console: /console/l/{library}/duplicates")


def _library(ports: Ports, tenant: str, name: str) -> Library:
    """Return the tenant's library of that name. Raises InvalidArgument."""
    try:
        return find_library(ports, tenant, name)
    except LibraryNotFound:
        raise InvalidArgument("--library", f"the application has none called {name}") from None


@contextmanager
def _ports(settings: Settings) -> Iterator[tuple[Ports, bool]]:
    """Yield the ports, and whether jobs are done here: no server has the data folder open."""
    try:
        ports = bootstrap.build(settings)
    except SettingsError as error:
        if settings.data is None or "in use by another server" not in str(error):
            raise
        with bootstrap.rows(settings) as ports:
            yield ports, False
        return
    with closing(ports):
        yield current(ports), True


def _started(ports: Ports, library: Library, *, alone: bool) -> Job:
    """Return the library's unfinished sweep, which goes on, or a new one; ``alone``: no other process runs jobs here."""
    for job in list_jobs(ports, library.tenant):
        if job.uid == library.uid and job.kind is JobKind.DUPLICATES and not job.state.finished:
            if not alone and job.state.runnable:
                return job
            return save_job(ports, job.but(state=JobState.QUEUED, leased_until=0))
    return start_job(ports, library, JobKind.DUPLICATES, f"sweep-{ports.clock()}")[0]


def _finish(ports: Ports, job: Job) -> Job:
    """Do the job here, and return it. Raises JobFailed."""
    tell = _Progress("compared")

    def step() -> bool:
        now = find_job(ports, job.tenant, job.id)
        tell(now.done, now.total)
        return True

    while (now := find_job(ports, job.tenant, job.id)).state.runnable:
        run_jobs(ports, step)
        if find_job(ports, job.tenant, job.id).revision == now.revision:
            time.sleep(_POLL_SECONDS)  # another runner has it
    return _done(now)


def _awaited(ports: Ports, job: Job) -> Job:
    """Wait for the server that does the job, and return it. Raises JobFailed."""
    tell = _Progress("compared")
    while (now := find_job(ports, job.tenant, job.id)).state.runnable:
        tell(now.done, now.total)
        time.sleep(_POLL_SECONDS)
    return _done(now)


def _done(job: Job) -> Job:
    if job.state is not JobState.DONE:
        raise JobFailed(job.id, job.state, job.detail)
    return job


def _clusters(ports: Ports, library: Library, level: Level) -> list[FoundCluster]:
    found: list[FoundCluster] = []
    after = ""
    while True:
        page = cluster_page(ports, library, level, after, _PAGE)
        found += page.clusters
        after = page.after
        if not after:
            return found


class _Progress:
    """Prints how far something is: on a terminal in one line, elsewhere nothing."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._last = 0.0

    def __call__(self, done: int, total: int) -> None:
        """Say how much is done."""
        if not sys.stderr.isatty() or (done < total and time.monotonic() - self._last < 0.1):
            return
        self._last = time.monotonic()
        sys.stderr.write(f"\r{self._what} {done} of {total}" + ("\n" if done >= total else ""))
        sys.stderr.flush()
