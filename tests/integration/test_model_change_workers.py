"""Processes that search beside the server look with the model that the server's search looks with, before and after a switch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from lookalike import bootstrap
from lookalike.domain.library import Kind, LibraryRef
from lookalike.domain.search import Found
from lookalike.embedding.kept_models import model_files, ref_of
from lookalike.imaging.decode import FORMATS, Bounds
from lookalike.ports import Finder, Looking, Ports
from lookalike.server.workers.process import WorkerProcess
from lookalike.service.add import Add, add
from lookalike.service.image_source import Source
from lookalike.service.model_change import back, begin, switch
from lookalike.service.model_drop import drop
from lookalike.service.model_fill import Watch, fill
from lookalike.service.model_view import current
from lookalike.service.search import Search, search
from lookalike.settings import Settings
from tests.support.photographs import NAMES, ROOT, cropped, jpeg, photograph, png

pytestmark = pytest.mark.slow  # both models are opened in two processes

BOUNDS = Bounds(1 << 24, 1, 5000, 1 << 24, FORMATS)
REFS = {kind: LibraryRef("tenant", kind.value, kind) for kind in (Kind.SAME, Kind.SIMILAR)}


@dataclass
class Both(Finder):
    """Has a worker look, and this process, too."""

    worker: WorkerProcess
    models: list[str] = field(default_factory=list)

    def find(self, looking: Looking) -> Found:
        there, here = self.worker.find(looking), looking.here(looking.job)
        assert without_times(there) == without_times(here)
        self.models.append("" if looking.model is None else looking.model.name)
        return there


def without_times(found: Found) -> Found:
    looks = tuple(replace(look, prepare_ms=0.0, embed_ms=0.0, search_ms=0.0, verify_ms=0.0) for look in found.looks)
    return replace(found, looks=looks)


@pytest.fixture
def ports(tmp_path: Path) -> Iterator[Ports]:
    with closing(bootstrap.build(Settings(data=tmp_path / "data", log_level="ERROR"))) as made:
        for name in NAMES[:5]:
            for ref in REFS.values():
                add(made, Add(ref, Source(BOUNDS, data=png(photograph(name, 300)))))
        yield made


def test_workers_look_with_the_model_of_the_search(ports: Ports) -> None:
    worker = WorkerProcess(ports.settings)
    both = Both(worker)

    def look(model: str) -> None:
        both.models.clear()
        for ref in REFS.values():
            for name in NAMES[:3]:
                query = Source(BOUNDS, data=jpeg(cropped(photograph(name, 300), 0.6), 80))
                search(replace(current(ports), finder=both), Search(ref, query))
        assert {*both.models} == {model}

    look("")
    files = model_files(ROOT / "layers/model/large/model.onnx")
    ref = ref_of(files["card.json"])
    ports.stores.model_files.keep(ref.card, files)
    begin(ports, ref, rate=1000)
    look("lite0-224-2")
    fill(ports, 0)
    switch(ports, Watch())
    look("lite2-260-1")
    back(ports)
    look("lite0-224-2")
    switch(ports, Watch())
    drop(ports, 0, Watch())
    look("lite2-260-1")
    worker.end()
