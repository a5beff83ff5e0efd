"""A disk that fills in the middle of an import, an export or a snapshot: one line, nothing half done, and it goes on."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from lookalike import bootstrap
from lookalike.domain.application import Application
from lookalike.domain.library import Identity, Kind, LibraryRef
from lookalike.errors import SettingsError
from lookalike.ports import Ports
from lookalike.service.add import Add, add
from lookalike.service.image_source import Source
from lookalike.service.libraries import create_library
from lookalike.settings import Settings
from lookalike.stores.local import snapshot
from lookalike.transfer import importing, report
from lookalike.transfer.archive_source import ArchiveSource
from lookalike.transfer.columns import Columns
from lookalike.transfer.exporting import Export, Stored, chosen
from lookalike.transfer.importing import Plan
from lookalike.transfer.journal import Journal, Line
from lookalike.transfer.outcomes import Outcome, Totals
from lookalike.transfer.rows import SourceError
from lookalike.transfer.sources import open_source
from lookalike.transfer.stores_target import StoresTarget
from lookalike.transfer.target import Wanted
from tests.integration.test_disk import BOUNDS, Embedder
from tests.support.baidu import picture
from tests.support.fakes import TinyVerifier
from tests.support.mounts import SmallDisk, small_disk
from tests.support.transfers import Silent

SHOP = Application("ak", "sk", "10000001", "tenant", "shop")
PICTURES = 60


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk", 64) as made:
        yield made


def service(data: Path) -> Ports:
    return bootstrap.build(Settings(data=data), embedder=Embedder(), verifier=TinyVerifier())


@pytest.fixture
def ports(tmp_path: Path) -> Iterator[Ports]:
    with closing(service(tmp_path / "data")) as made:
        yield made


@pytest.fixture
def filled(ports: Ports) -> Ports:
    ref = LibraryRef("tenant", "shop", Kind.SIMILAR, Identity.OWN)
    library = create_library(ports, ref)
    for number in range(PICTURES):
        add(ports, Add(ref, image_source(number), id=f"{number:02}"), library)
    return ports


def image_source(number: int) -> Source:
    return Source(BOUNDS, data=picture(number, size=(200, 150)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "pictures"
    made.mkdir()
    noise = random.Random(1)
    for number in range(PICTURES):
        made.joinpath(f"{number:02}.png").write_bytes(picture(number) + noise.randbytes(3000))
    return made


def imported(ports: Ports, folder: Path, journal: Path) -> tuple[str, Totals]:
    target = StoresTarget(ports, SHOP, Wanted("shop"))
    with closing(Journal(journal, target.name)) as kept:
        plan = Plan(open_source(folder, Columns()), target, kept, 3)
        importing.prepare(plan)
        stopped = importing.run(plan, Silent())
        return stopped, kept.totals()


def test_an_export(filled: Ports, disk: SmallDisk) -> None:
    stored = Stored(filled.catalog, filled.originals, filled.maps)
    libraries = chosen(filled.catalog, "tenant", ())
    before = disk.free()
    with pytest.raises(OSError, match="No space left on device"):
        Export(stored, libraries, disk.path / "archive").run(lambda _: None)
    assert [file.name for file in (disk.path / "archive").iterdir()] == ["export.json"]
    assert disk.free() >= before - 16384
    disk.resize(4096)
    assert Export(stored, libraries, disk.path / "archive").run(lambda _: None).manifest.rows == PICTURES
    assert len(list(ArchiveSource(disk.path / "archive").rows())) == PICTURES


def test_a_snapshot(filled: Ports, disk: SmallDisk, tmp_path: Path) -> None:
    originals = sum(file.stat().st_blocks // 2 for file in (tmp_path / "data/originals").rglob("*") if file.is_file())
    for kilobytes in (64, originals + 16):  # the originals do not fit, and the catalog does not
        disk.resize(kilobytes)
        with pytest.raises(SettingsError, match=r"^\S*/disk/\S*: .*(No space left|disk is full)"):
            snapshot.take_snapshot(tmp_path / "data", disk.path / "kept", "now")
        assert not [*disk.path.iterdir()]
    disk.resize(8192)
    assert snapshot.take_snapshot(tmp_path / "data", disk.path / "kept", "now").pictures == PICTURES


def test_the_stores_of_an_import(disk: SmallDisk, folder: Path, tmp_path: Path) -> None:
    disk.resize(400)
    with closing(service(disk.path / "data")) as ports:
        stopped, totals = imported(ports, folder, tmp_path / "journal")
        assert "10 rows in a row have failed" in stopped
        assert totals.counts[Outcome.FAILED] >= 10
        held = sum(row.live for row in ports.catalog.pictures(_uid(ports), None, 1000))
        assert held == totals.counts.get(Outcome.ADDED, 0)
    disk.resize(8192)
    with closing(service(disk.path / "data")) as ports:
        stopped, totals = imported(ports, folder, tmp_path / "journal")
        assert (stopped, totals.counts) == ("", {Outcome.ADDED: PICTURES})


def test_the_journal_and_the_report_of_an_import(ports: Ports, disk: SmallDisk, folder: Path) -> None:
    for kilobytes in (44, 80, 120, 160):
        disk.resize(kilobytes)
        for file in disk.path.iterdir():
            file.unlink()
        with suppress(SourceError):  # before anything was imported
            stopped, _ = imported(ports, folder, disk.path / "journal")
            assert not stopped or "the journal cannot be written (database or disk is full)" in stopped
    disk.resize(4096)
    stopped, totals = imported(ports, folder, disk.path / "journal")
    assert (stopped, totals.done, totals.in_library) == ("", PICTURES, PICTURES)
    assert sum(row.live for row in ports.catalog.pictures(_uid(ports), None, 1000)) == PICTURES
    disk.resize(shutil.disk_usage(disk.path).used // 1024)
    with pytest.raises(OSError, match="No space left"):
        report.write_report(disk.path / "report.csv", _lines(10_000))
    assert not [*disk.path.glob("report*")]


def _lines(number: int) -> Iterator[Line]:
    return (Line(one, "added", "", str(one), "x" * 100, "") for one in range(number))


def _uid(ports: Ports) -> str:
    library = ports.catalog.library("tenant", "shop")
    assert library is not None
    return library.uid
