"""``lookalike import``: adds the pictures of a folder or a table to a library."""

from __future__ import annotations

import json
import time
from contextlib import AbstractContextManager, closing, suppress
from pathlib import Path

import typer

from lookalike.cli.import_options import (
    DryRunOption,
    DuplicateOption,
    EncodingOption,
    JournalOption,
    JsonOption,
    KeyOption,
    KindOption,
    LibraryOption,
    MapOption,
    NameOption,
    RateOption,
    ReembedOption,
    RenameOption,
    ReportOption,
    RestartOption,
    RootOption,
    SourceArgument,
    UrlOption,
    WorkersOption,
)
from lookalike.cli.import_progress import counts, shown, telling
from lookalike.cli.import_target import Where
from lookalike.cli.import_vendor import GroupOption, Migration, VendorKeyOption, VendorOption, VendorUrlOption, told
from lookalike.cli.interruption import INTERRUPTED, sigterm_interrupts
from lookalike.cli.screen import note
from lookalike.cli.store_options import DataOption, StackOption
from lookalike.domain.library import Identity
from lookalike.errors import InvalidArgument, MissingArgument
from lookalike.transfer import importing, journal, qiniu_listing, report
from lookalike.transfer.archive_format import is_archive
from lookalike.transfer.archive_source import ArchiveSource
from lookalike.transfer.importing import Plan
from lookalike.transfer.journal import JournalError
from lookalike.transfer.outcomes import Outcome, Totals
from lookalike.transfer.pace import Pace
from lookalike.transfer.rows import Source
from lookalike.transfer.target import NotShown, OnDuplicate, Target, TargetError, Wanted

#: Exit statuses: some rows were refused for good; some have failed, or the import was broken off, and it is to be run
#: again; it was interrupted.
REFUSED, AGAIN = 3, 4

app = typer.Typer()


@app.command()
def import_pictures(
    source: SourceArgument,
    library: LibraryOption = None,
    mapped: MapOption = "",
    kind: KindOption = None,
    encoding: EncodingOption = None,
    root: RootOption = None,
    on_duplicate: DuplicateOption = OnDuplicate.RETURN,
    rename: RenameOption = None,
    reembed: ReembedOption = False,
    vendor: VendorOption = None,
    group: GroupOption = None,
    vendor_key: VendorKeyOption = None,
    vendor_url: VendorUrlOption = qiniu_listing.ADDRESS,
    name: NameOption = None,
    data: DataOption = None,
    stack: StackOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    workers: WorkersOption = None,
    rate: RateOption = None,
    journal_file: JournalOption = None,
    report_file: ReportOption = None,
    restart: RestartOption = False,
    dry: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Add the pictures of a folder, a table or an archive to a library.

    Run it again after any interruption: it goes on where it was. Exit status: 0 all in, 3 some refused, 4 run it again.
    """
    where = Where(name, data, stack, url, key)
    if is_archive(source):
        opened, target = _archived(where, source, library, rename, reembed=reembed, make=not dry)
    else:
        opened = Migration(vendor, group, vendor_key, vendor_url).opened(source, mapped, encoding, root)
        target = where.library(Wanted(_given(library), kind, on_duplicate, vendor=told(vendor)), make=not dry)
    files = _Files(opened.path, journal_file, report_file, forget=restart and not dry)
    with sigterm_interrupts(), target as into, closing(files.opened(f"{into.name} {on_duplicate}", dry=dry)) as kept:
        raise typer.Exit(_run(Plan(opened, into, kept, where.many(workers), dry, Pace(rate)), files, as_json=as_json))


def _archived(
    where: Where, source: Path, library: str | None, rename: str | None, *, reembed: bool, make: bool
) -> tuple[Source, AbstractContextManager[Target]]:
    archive = ArchiveSource(source, [library] if library else ())
    return archive, where.archived(archive, rename, reembed=reembed, make=make)


def _given(library: str | None) -> str:
    if library is None:
        raise MissingArgument("--library", remedy="name the library to add to")
    return library


class _Files:
    """The files beside a source."""

    def __init__(self, source: Path, journal_file: Path | None, report_file: Path | None, *, forget: bool) -> None:
        beside = source.resolve()
        self.journal = journal_file or beside.with_name(f"{beside.name}{journal.ENDING}")
        self.report = report_file or beside.with_name(f"{beside.name}{report.ENDING}")
        for option, file in (("--journal", self.journal), ("--report", self.report)):
            if not file.parent.is_dir():
                raise InvalidArgument(option, f"{file.parent}: there is no such folder")
        if forget:
            self._forget()

    def opened(self, target: str, *, dry: bool) -> journal.Journal:
        """Open the journal of an import into ``target``; a dry one is forgotten."""
        return journal.Journal(None if dry else self.journal, target)

    def _forget(self) -> None:
        """Remove the journal."""
        for ending in ("", "-wal", "-shm"):
            self.journal.with_name(f"{self.journal.name}{ending}").unlink(missing_ok=True)


def _run(plan: Plan, files: _Files, *, as_json: bool) -> int:
    """Import, write the report, and return the exit status."""
    started = importing.prepare(plan)
    _say_before(plan, started, as_json=as_json)
    status, stopped, held, began = 0, "", None, time.monotonic()
    try:
        if started.in_library:
            _look_for_earlier(plan)
        with shown(plan.journal.totals(), as_json=as_json) as progress:
            stopped = importing.run(plan, telling(progress, plan.target))
        held = None if plan.dry or stopped else _verified(plan)
    except (TargetError, JournalError) as error:
        stopped = str(error)
    except KeyboardInterrupt:
        status, stopped = INTERRUPTED, "interrupted"
    finally:
        unreported = _report(plan, files.report)
    totals = plan.journal.totals()
    _say(plan, totals, held, stopped or unreported, as_json=as_json)
    for line in plan.target.estimate(totals.counts.get(Outcome.ADDED, 0), time.monotonic() - began) if plan.dry else ():
        note(line)
    if not unreported:
        note(f"the report is {files.report}")
    stopped = stopped or unreported
    return status or _status_of(totals, stopped)


def _say_before(plan: Plan, started: Totals, *, as_json: bool) -> None:
    """Print what the operator should know of the rows, which have been read, before any of them is done."""
    if plan.source.has_ids and plan.target.identity is Identity.PICTURE:
        note("a picture is its own id in this library; the report says which one each id became")
    for one in () if as_json else plan.source.notes():
        note(one)
    if started.done:
        note(f"{started.done:,} of {started.rows:,} rows were tried before: {', '.join(started.lines())}")


def _look_for_earlier(plan: Plan) -> None:
    """Have pictures added again that an earlier run added, and that the library does not hold any more."""
    with suppress(NotShown):  # said at the end
        held, wanted = importing.verify(plan)
        if held < wanted:
            gone = f"{wanted - held:,}"
            note(f"pictures of an earlier run that were not in the library any more, and are added again: {gone}")


def _verified(plan: Plan) -> tuple[int, int] | None:
    """Return how many pictures the library holds, and how many it should; None if the key may not look."""
    try:
        return importing.verify(plan)
    except NotShown as error:
        note(f"what was added is not looked up afterwards: {error.explanation}")
        return None


def _report(plan: Plan, file: Path) -> str:
    """Write the report; return why it could not be written, empty if it was."""
    try:
        report.write_report(file, plan.journal.lines(), signs=plan.target.identity is Identity.PICTURE)
    except OSError as error:
        return f"{file}: the report cannot be written ({error.strerror or error})"
    return ""


def _status_of(totals: Totals, stopped: str) -> int:
    if stopped or totals.counts.get(Outcome.FAILED):
        return AGAIN
    return REFUSED if totals.counts.get(Outcome.REFUSED) else 0


def _say(plan: Plan, totals: Totals, held: tuple[int, int] | None, stopped: str, *, as_json: bool) -> None:
    """Print what has become of the rows."""
    if as_json:
        verified = {} if held is None else {"verified": held[0], "of": held[1]}
        notes = [*plan.source.notes()]
        typer.echo(json.dumps({**counts(totals), **verified, "stopped": stopped, "notes": notes, "end": True}))
    else:
        would = " (a trial: nothing was added)" if plan.dry else ""
        typer.echo(f"{totals.rows:,} rows: {', '.join(totals.lines()) or 'none done'}{would}")
        if held is not None:
            typer.echo(f"The library holds {held[0]:,} of {held[1]:,} pictures.")
    if stopped:
        note(f"broken off: {stopped}; run the same command again, and it goes on where it was")
    elif totals.counts.get(Outcome.FAILED):
        note("some rows have failed for a reason that may pass; run the same command again to try them again")
