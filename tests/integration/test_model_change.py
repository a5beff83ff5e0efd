"""A change of models on one machine: nothing is lost or doubled, and answers are those of a library made anew."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest

from lookalike import bootstrap
from lookalike.domain.consistency import Fault, Report
from lookalike.domain.library import Identity, Kind, LibraryRef
from lookalike.domain.model_change import Phase
from lookalike.domain.picture import Key, Metadata, Picture
from lookalike.domain.search import Generation
from lookalike.imaging.decode import Bounds
from lookalike.ports import Ports
from lookalike.ports.clock import unix_milliseconds
from lookalike.server import model_changes
from lookalike.server.commands import run_check
from lookalike.server.model_changes import ModelChanges
from lookalike.service.add import Add, add
from lookalike.service.applications import create_application
from lookalike.service.consistency import check
from lookalike.service.delete import Delete, delete
from lookalike.service.image_source import Source
from lookalike.service.libraries import create_library
from lookalike.service.lost_originals import with_lost_now
from lookalike.service.model_change import ChangeRefused, back, begin, switch
from lookalike.service.model_drop import drop
from lookalike.service.model_fill import Progress, Stopped, Watch, fill
from lookalike.service.model_progress import note_fill
from lookalike.service.model_view import current, seen_with
from lookalike.service.restore import restore
from lookalike.service.search import Search, search
from lookalike.service.second_look import GRACE_MS
from lookalike.service.update import Update, update
from lookalike.settings import Settings
from lookalike.stores.aws.dynamodb_applications import DynamoApplications
from lookalike.stores.aws.dynamodb_catalog import DynamoCatalog
from lookalike.stores.aws.dynamodb_embeddings import DynamoEmbeddings
from lookalike.stores.aws.dynamodb_generations import DynamoGenerations
from lookalike.stores.aws.dynamodb_maps import DynamoMaps
from lookalike.stores.aws.opensearch_admin import create_index
from lookalike.stores.aws.opensearch_client import connect
from lookalike.stores.aws.opensearch_index import OpenSearchIndex
from lookalike.stores.aws.opensearch_models import OpenSearchModels
from lookalike.stores.aws.s3_models import S3Models
from lookalike.stores.aws.s3_objects import CONFIG, S3Store
from lookalike.wire.status import details
from tests.servers.dynamodb import server as dynamodb
from tests.servers.opensearch.server import PATIENCE
from tests.servers.opensearch.server import shared as opensearch
from tests.support.fakes import GivenModels, MemoryStores, OtherEmbedder, TinyEmbedder, TinyVerifier, memory_ports
from tests.support.photographs import NAMES, jpeg, photograph, png

BOUNDS = Bounds(max_bytes=8 << 20, min_side=1, max_side=5000, max_pixels=1 << 24, formats=frozenset({"JPEG", "PNG"}))


def opened(data: Path, *embedders: TinyEmbedder) -> Ports:
    stores: list[Ports] = []
    models = GivenModels(lambda: stores[0].stores, *(embedders or (TinyEmbedder(), OtherEmbedder())))
    first = next(iter(models.embedders.values()))
    ports = bootstrap.build(Settings(data=data), embedder=first, verifier=TinyVerifier(), models=models)
    stores.append(ports)
    return ports


@dataclass
class Service:
    """Calls as they come to a server: each sees the models that are in use when it begins."""

    raw: Ports
    tenant: str = ""

    def __post_init__(self) -> None:
        known = self.raw.applications.applications()
        self.tenant = (known[0] if known else create_application(self.raw.applications, self.raw.clock, "one")).tenant

    @property
    def ports(self) -> Ports:
        return current(self.raw)

    def ref(self, kind: Kind) -> LibraryRef:
        return LibraryRef(self.tenant, f"own-{kind}", kind, Identity.OWN)

    def add(self, name: str, kind: Kind = Kind.SAME, *, replace_: bool = False, file: str | None = None) -> None:
        source = Source(BOUNDS, data=png(photograph(file or name, 60)))
        add(self.ports, Add(self.ref(kind), source, Metadata(brief=name), id=name, replace=replace_))

    def found(self, name: str, kind: Kind = Kind.SAME) -> list[tuple[str, float, str]]:
        query = Source(BOUNDS, data=jpeg(photograph(name, 50)))
        matches = search(self.ports, Search(self.ref(kind), query)).matches
        return [(one.candidate.key.id, round(one.score, 3), one.candidate.metadata.brief) for one in matches]

    def settle(self) -> None:
        """Wait until searches see what does not wait for them."""
        if self.raw.settings.data is None:
            time.sleep(0.5)

    def answers(self) -> dict[tuple[str, Kind], list[tuple[str, float, str]]]:
        self.settle()
        return {(name, kind): self.found(name, kind) for name in NAMES for kind in (Kind.SAME, Kind.SIMILAR)}

    def count(self) -> int:
        return sum(self.ports.index.count(library.uid) for library in self.ports.catalog.libraries(self.tenant))


def stack() -> Ports:
    """Stores as a stack has them: DynamoDB, S3 and OpenSearch."""
    table = dynamodb.new_table()
    session = boto3.session.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1")
    client = session.client("s3", endpoint_url=dynamodb.moto(), config=CONFIG)
    bucket = f"originals-{uuid4().hex}"
    client.create_bucket(Bucket=bucket)
    domain, generations = connect(opensearch(), connections=20), DynamoGenerations(table)
    for kind in Kind:
        name = f"lookalike-{bucket}-{kind}-1"
        create_index(domain, name, replicas=0, refresh_interval="10ms")
        generations.save_generation(kind, Generation(name, (name,)), None)
    stores = MemoryStores(
        applications=DynamoApplications(table, dynamodb.sealer()),
        catalog=DynamoCatalog(table),
        maps=DynamoMaps(table),
        embeddings=DynamoEmbeddings(table),
        originals=S3Store(client, bucket),
        model_files=S3Models(client, bucket),
        indices=OpenSearchModels(domain, table, PATIENCE),
        index=OpenSearchIndex(domain, generations, seconds=PATIENCE),
    )
    models = GivenModels(lambda: stores, TinyEmbedder(), OtherEmbedder())
    return replace(memory_ports(), stores=stores, models=models, clock=unix_milliseconds)


@pytest.fixture(params=["one machine", "stack"])
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Service]:
    with closing(opened(tmp_path / "data") if request.param == "one machine" else stack()) as ports:
        yield filled(ports)


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Service]:
    with closing(opened(tmp_path / "data")) as ports:
        yield filled(ports)


def filled(ports: Ports) -> Service:
    made = Service(ports)
    for kind in (Kind.SAME, Kind.SIMILAR):
        create_library(ports, made.ref(kind))
    for name in NAMES[:6]:
        made.add(name)
        made.add(name, Kind.SIMILAR)
    return made


def anew(service: Service, folder: Path) -> Service:
    """A service that has had the new model from the start, with the same pictures."""
    ports = opened(folder, OtherEmbedder())
    made = Service(ports)
    for library in service.raw.catalog.libraries(service.tenant):
        create_library(ports, replace(made.ref(library.kind)))
        for row in service.raw.catalog.pictures(library.uid, None, 1000):
            if row.live:
                source = Source(BOUNDS, data=service.raw.originals.get(row.object_key))
                add(ports, Add(made.ref(library.kind), source, row.metadata, id=row.key.id))
    return made


def begun(service: Service) -> None:
    models = service.raw.models
    assert isinstance(models, GivenModels)
    begin(service.raw, models.ref("new"), rate=1000)


def test_a_model_goes_live_and_back_and_the_other_one_is_dropped(service: Service, tmp_path: Path) -> None:
    before = service.answers()
    begun(service)
    assert service.answers() == before
    assert fill(service.raw, 0).phase is Phase.FILLED
    assert service.answers() == before
    switch(service.raw, Watch())
    with closing((fresh := anew(service, tmp_path / "anew")).raw):
        expected = fresh.answers()
    assert expected != before
    assert service.answers() == expected
    assert service.count() == 12
    back(service.raw)
    assert service.answers() == before
    switch(service.raw, Watch())
    service.add(NAMES[7])
    delete(service.ports, Delete(service.ref(Kind.SAME), (NAMES[0],)))
    after = service.answers()
    left = drop(service.raw, 0, Watch())
    assert left is not None
    assert left.other is None
    assert service.answers() == after
    assert check(service.ports).found == {}
    assert {row.model for batch in service.raw.stores.catalog.every_row() for row in batch if row.live} == {"new"}
    assert not any(keys for model in ("tiny", "new") for keys in service.raw.stores.embeddings.keys(model))


def test_what_is_written_meanwhile_is_in_both(service: Service, tmp_path: Path) -> None:
    begun(service)
    service.add(NAMES[7])
    fill(service.raw, 0)
    service.add(NAMES[8])
    service.add(NAMES[1], replace_=True, file=NAMES[9])
    delete(service.ports, Delete(service.ref(Kind.SAME), (NAMES[2],)))
    delete(service.ports, Delete(service.ref(Kind.SAME), (NAMES[3],)))
    (library,) = [one for one in service.raw.catalog.libraries(service.tenant) if one.kind is Kind.SAME]
    restore(service.ports, library, NAMES[3])
    update(service.ports, Update(service.ref(Kind.SAME), NAMES[4], {"brief": "changed"}))
    old = service.answers()
    switch(service.raw, Watch())
    with closing((fresh := anew(service, tmp_path / "anew")).raw):
        assert service.answers() == fresh.answers()
    back(service.raw)
    assert service.answers() == old
    models = service.raw.stores.embeddings.models()
    assert models is not None
    assert models.other is not None
    for one in (models.live, models.other):
        assert check(seen_with(service.raw, models, one)).found == {}


def test_a_fill_that_is_stopped_goes_on_and_a_kill_loses_nothing(here: Service, tmp_path: Path) -> None:
    service = here
    begun(service)
    told: list[int] = []
    with pytest.raises(Stopped):
        fill(
            service.raw,
            0,
            Watch(stopped=lambda: len(list(next(iter(service.raw.stores.embeddings.keys("new")), []))) > 3),
        )
    done = {key for keys in service.raw.stores.embeddings.keys("new") for key in keys}
    assert 3 < len(done) < 12
    service.raw.close()
    with closing(opened(tmp_path / "data")) as ports:
        again = Service(ports)
        fill(ports, 0, Watch(lambda progress: told.append(progress.embedded)))
        assert max(told) == 12 - len(done)
        switch(ports, Watch())
        with closing((fresh := anew(again, tmp_path / "anew")).raw):
            assert again.answers() == fresh.answers()
    with closing(opened(tmp_path / "data")) as ports:
        again = Service(ports)
        assert again.ports.embedder.model == "new"
        with closing((fresh := anew(again, tmp_path / "anew2")).raw):
            assert again.answers() == fresh.answers()


#: Drops the model that is not used, of a data folder, and says when it begins.
DROP = """
import sys
from pathlib import Path
from tests.integration.test_model_change import Watch, drop, opened
ports = opened(Path(sys.argv[1]))
print("begun", flush=True)
drop(ports, 0, Watch())
"""

#: Kills of one that drops, each on a folder of its own.
KILLS = 5


def test_a_drop_that_is_killed_at_any_moment_is_ended_by_the_next_one(here: Service, tmp_path: Path) -> None:
    begun(here)
    fill(here.raw, 0)
    switch(here.raw, Watch())
    for name in NAMES[6:9]:
        here.add(name)
    delete(here.ports, Delete(here.ref(Kind.SAME), (NAMES[0],)))
    expected = here.answers()
    here.raw.close()
    seconds, left = 0.0, 0
    for number in range(KILLS + 1):
        data = tmp_path / f"data{number}"
        shutil.copytree(tmp_path / "data", data)
        process = subprocess.Popen([sys.executable, "-c", DROP, str(data)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        began = time.monotonic()
        if number == 0:  # says how long it takes
            assert process.wait() == 0
            seconds = time.monotonic() - began
        else:
            time.sleep(seconds * (number - 1) / KILLS)  # the first at once, so that one at least has not ended
            process.kill()
            process.wait()
        process.stdout.close()
        with closing(opened(data)) as ports:
            service = Service(ports)
            assert service.answers() == expected
            models = ports.stores.embeddings.models()
            assert models is not None
            if models.other is not None:
                left += 1
                if models.phase is Phase.DROPPING:
                    for step in (partial(switch, ports, Watch()), partial(back, ports)):
                        with pytest.raises(ChangeRefused, match="reembed --drop finishes that"):
                            step()
                drop(ports, 0, Watch())
            assert service.answers() == expected
            assert check(service.ports).found == {}
            assert {row.model for batch in ports.catalog.every_row() for row in batch if row.live} == {"new"}
            assert not any(keys for model in ("tiny", "new") for keys in ports.stores.embeddings.keys(model))
    assert left, "some were killed before they had ended"


def put_back(service: Service, row: Picture, data: bytes) -> None:
    service.raw.originals.put(row.object_key, data)


def added_again(service: Service, row: Picture, _data: bytes) -> None:
    service.add(row.key.id, replace_=True)


def deleted(service: Service, row: Picture, _data: bytes) -> None:
    delete(service.ports, Delete(service.ref(Kind.SAME), (row.key.id,)))


@pytest.mark.parametrize("mend", [put_back, added_again, deleted])
@pytest.mark.parametrize("is_live", [False, True], ids=["before it is live", "after the switch"])
def test_a_lost_original_is_told_by_name_until_it_is_there_again(
    here: Service, mend: Callable[[Service, Picture, bytes], None], is_live: bool
) -> None:
    (library,) = [one for one in here.raw.catalog.libraries(here.tenant) if one.kind is Kind.SAME]
    rows = [here.raw.catalog.picture(Key(library.uid, name)) for name in NAMES[:2]]
    files = {row: here.raw.originals.get(row.object_key) or b"" for row in rows if row is not None}
    here.raw.originals.remove([row.object_key for row in files])
    begun(here)
    models = fill(here.raw, 0)
    if is_live:
        models = switch(here.raw, Watch(), leave_lost=True)
    told = with_lost_now(here.raw, models)
    assert (told.lost, set(told.examples)) == (2, {f"own-same/{name}" for name in NAMES[:2]})
    first, second = files
    mend(here, first, files[first])
    told = with_lost_now(here.raw, models)
    assert (told.lost, told.examples) == (1, (f"own-same/{second.key.id}",))
    mend(here, second, files[second])
    assert with_lost_now(here.raw, models).lost == 0


def later(service: Service) -> Ports:
    """The service as it is once nothing of it is too young to be judged."""
    return current(replace(service.raw, clock=lambda: unix_milliseconds() + 2 * GRACE_MS))


def test_pictures_that_the_second_model_lacks_are_all_named(service: Service) -> None:
    begun(service)
    fill(service.raw, 0)
    keys = [key for some in service.raw.stores.embeddings.keys("new") for key in some]
    service.raw.stores.embeddings.remove(["new"], keys)
    names: dict[int, tuple[str, ...]] = {}
    for count in (5, 100):
        asked = {"repair": False, "deep": 0, "rate": 1000.0, "names": count}
        report = Report.of_json(run_check(later(service), asked, lambda _: None))
        assert report.found == {Fault.OTHER_MODEL: 12}
        names[count] = report.examples[Fault.OTHER_MODEL]
    assert len(names[5]) == 5
    assert sorted(names[100]) == sorted(
        f"own-{kind}/{name} (new)" for kind in (Kind.SAME, Kind.SIMILAR) for name in NAMES[:6]
    )


@pytest.mark.parametrize("when", ["before the fill", "before the switch", "after the switch"])
def test_a_library_that_is_removed_meanwhile_is_in_nobodys_way(service: Service, when: str) -> None:
    (library,) = [one for one in service.raw.catalog.libraries(service.tenant) if one.kind is Kind.SIMILAR]
    told: list[tuple[int, int]] = []

    def remove(now: str) -> None:
        if now == when:
            service.raw.catalog.remove_library(library, unix_milliseconds())

    begun(service)
    remove("before the fill")
    fill(service.raw, 0, Watch(lambda progress: told.append((progress.done, progress.total))))
    expected = 6 if when == "before the fill" else 12
    assert told[-1] == (expected, expected)
    remove("before the switch")
    assert switch(service.raw, Watch()).lost == 0
    remove("after the switch")
    asked = {"repair": True, "deep": 20, "rate": 1000.0}
    report = Report.of_json(run_check(later(service), asked, lambda _: None))
    assert (report.found, report.totals.live, report.totals.removed) == ({}, 6, 6)
    drop(service.raw, 0, Watch())
    report = Report.of_json(run_check(later(service), asked, lambda _: None))
    assert (report.found, report.totals.live, report.totals.removed) == ({}, 6, 6)


def test_status_says_how_far_a_fill_is(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_changes, "SETTLE_SECONDS", 0.0)
    monkeypatch.setattr(model_changes, "SETTLE_SECONDS_AWS", 0.0)
    monkeypatch.setattr(model_changes, "_NOTED_SECONDS", 0.0)
    said: list[dict[str, Any]] = []

    def status() -> dict[str, Any]:
        return details(current(service.raw), service.raw.catalog.libraries(service.tenant))

    def noted(ports: Ports, progress: Progress) -> None:
        note_fill(ports, progress)
        said.append(status()["other_model"])

    monkeypatch.setattr(model_changes, "note_fill", noted)
    assert "other_model" not in status()
    models = service.raw.models
    assert isinstance(models, GivenModels)
    with closing(ModelChanges(service.raw)) as changes:
        step = {"step": "begin", "model": asdict(models.ref("new")), "rate": 1000}
        changes.command(service.raw, step, lambda _: None)
        until(lambda: status()["other_model"]["phase"] == "filled")
        assert [(one["model"], one["phase"], one["done"], one["total"]) for one in said] == [
            ("new", "filling", 6, 12),
            ("new", "filling", 12, 12),
        ] * 2
        assert status()["other_model"].keys() == {"model", "phase", "began"}
        changes.command(service.raw, {"step": "drop"}, lambda _: None)
        assert "other_model" not in status()


def until(done: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not done():
        assert time.monotonic() < end
        time.sleep(0.05)
