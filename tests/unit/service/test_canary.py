"""The canary, and its schedule's handler."""

from __future__ import annotations

from dataclasses import replace

import pytest

from functions.canary.app import handler
from lookalike.domain.picture import Picture
from lookalike.handlers.canary import CanaryUnwellError
from lookalike.handlers.process_ports import serving
from lookalike.ports import Ports
from lookalike.service import canary
from lookalike.service.add import Add, add
from lookalike.service.image_source import Source
from lookalike.service.model_change import begin, switch
from lookalike.service.model_fill import Watch, fill
from lookalike.service.reports import Reported, last_report
from tests.support.baidu import picture
from tests.support.fakes import (
    GivenModels,
    MemoryIndex,
    MemoryStores,
    OtherEmbedder,
    SetClock,
    TinyEmbedder,
    memory_ports,
)

MINUTE_MS = 60_000


def rows(ports: Ports) -> list[Picture]:
    library = ports.catalog.library(canary.LIBRARY.tenant, canary.LIBRARY.name)
    return [] if library is None else list(ports.catalog.pictures(library.uid, None, 100))


def test_the_schedules_run_keeps_its_report(caplog: pytest.LogCaptureFixture) -> None:
    ports = memory_ports()
    with serving(ports):
        done = handler({}, None)
    kept = last_report(ports, Reported.CANARY)
    assert kept is not None
    assert kept["well"]
    assert kept.items() >= done.items()
    said = vars(caplog.records[-1])
    assert (said["message"], said["operation"]) == ("canary", "canary")
    assert said["gone_seconds"] >= 0
    assert [row.live for row in rows(ports)] == [False]


def test_the_schedules_run_is_by_the_model_that_searches_use() -> None:
    stores = MemoryStores()
    models = GivenModels(lambda: stores, TinyEmbedder(), OtherEmbedder())
    ports = replace(memory_ports(), stores=stores, models=models)
    begin(ports, models.ref("new"), 1000)
    fill(ports, 0)
    switch(ports, Watch())
    with serving(ports):
        handler({}, None)
    (row,) = rows(ports)
    assert row.model == "new"


def test_one_that_is_not_found_is_an_error_and_its_report_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canary, "MAX_SECONDS", 0.0)
    monkeypatch.setattr(MemoryIndex, "write", lambda *_, **__: None)
    monkeypatch.setattr(canary, "_POLL_SECONDS", 0.0)
    monkeypatch.setattr(canary, "_score", lambda *_: 0.0)
    ports = memory_ports()
    with serving(ports), pytest.raises(CanaryUnwellError, match="not found"):
        handler({}, None)
    kept = last_report(ports, Reported.CANARY)
    assert kept is not None
    assert (kept["well"], kept["found_seconds"]) == (False, None)
    assert not any(row.live for row in rows(ports)), "it is deleted all the same"


def test_what_a_killed_canary_has_left_is_deleted_once_it_is_old() -> None:
    clock = SetClock(1_767_323_045_000)
    ports = memory_ports(clock=clock)
    add(ports, Add(canary.LIBRARY, Source(canary._BOUNDS, data=picture(1)), id="canary-killed"))
    assert canary.run_canary(ports).well
    assert [row.key.id for row in rows(ports) if row.live] == ["canary-killed"], "it may be at work still"
    clock.now += 11 * MINUTE_MS
    assert canary.run_canary(ports).well
    assert [row.key.id for row in rows(ports) if row.live] == []
