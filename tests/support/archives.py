"""Exports and imports of archives in tests."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from lookalike.domain.application import Application
from lookalike.domain.picture import Picture
from lookalike.ports import Ports
from lookalike.transfer import importing
from lookalike.transfer.archive_api_target import ArchiveApiTarget
from lookalike.transfer.archive_source import ArchiveSource
from lookalike.transfer.archive_target import ArchiveTarget
from lookalike.transfer.exporting import Export, Exported, Stored, chosen
from lookalike.transfer.importing import Plan
from lookalike.transfer.journal import Journal
from lookalike.transfer.outcomes import Totals
from lookalike.transfer.target import Target
from tests.support.transfers import HandlersClient, Silent


def exported(ports: Ports, application: Application, folder: Path, *names: str) -> Exported:
    """Write libraries to an archive."""
    stored = Stored(ports.catalog, ports.originals, ports.maps)
    return Export(stored, chosen(ports.catalog, application.tenant, names), folder).run(lambda _: None)


def put_back(
    ports: Ports,
    application: Application,
    folder: Path,
    *names: str,
    rename: str | None = None,
    reembed: bool = False,
    by_api: bool = False,
) -> Totals:
    """Import an archive, and check that all of it is there afterwards."""
    archive = ArchiveSource(folder, names)
    target: Target
    if by_api:
        target = ArchiveApiTarget(HandlersClient(application, ports), archive, rename=rename)
    else:
        target = ArchiveTarget(ports, application, archive, rename=rename, reembed=reembed)
    with closing(Journal(folder.with_name(f"{folder.name}.journal"), target.name)) as kept:
        plan = Plan(archive, target, kept, 3)
        importing.prepare(plan)
        stopped = importing.run(plan, Silent())
        assert not stopped, stopped
        held, wanted = importing.verify(plan)
        assert held == wanted
        return kept.totals()


def contents(ports: Ports, application: Application, name: str) -> dict[str, tuple[object, ...]]:
    """All that is stored of a library's live pictures but its uid, by id."""
    library = ports.catalog.library(application.tenant, name)
    assert library is not None
    rows = [row for row in ports.catalog.pictures(library.uid, None, 10_000) if row.live]
    return {row.key.id: (*_fields(row), *_files(ports, row)) for row in rows}


def _fields(row: Picture) -> tuple[object, ...]:
    said = (row.revision, row.added, row.digest, row.file_digest, row.model, row.metadata, row.sign_version)
    return (row.kind, *said, row.vector.tobytes())


def _files(ports: Ports, row: Picture) -> tuple[object, ...]:
    return ports.originals.get(row.object_key), ports.maps.maps([row.object_key]).get(row.object_key)
