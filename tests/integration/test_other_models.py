"""A folder of data that another model's vectors are in: they are not compared with, and the start says so."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from lookalike import bootstrap
from lookalike.domain.library import Kind, LibraryRef
from lookalike.domain.picture import Metadata
from lookalike.imaging.decode import Bounds
from lookalike.ports import Ports
from lookalike.service.add import Add, add
from lookalike.service.delete import Delete, delete
from lookalike.service.image_source import Source
from lookalike.service.search import Search, search
from lookalike.settings import Settings
from tests.support.fakes import TinyEmbedder, TinyVerifier
from tests.support.photographs import jpeg, photograph, png

BOUNDS = Bounds(max_bytes=8 << 20, min_side=1, max_side=5000, max_pixels=1 << 24, formats=frozenset({"JPEG", "PNG"}))
LIBRARY_REF = LibraryRef("tenant", "similar", Kind.SIMILAR)


class Embedder(TinyEmbedder):
    def codebook(self, kind: Kind) -> None:
        """None, so vectors are scanned exactly."""


class OtherEmbedder(Embedder):
    model = "other"


def service(data: Path, embedder: Embedder) -> Ports:
    return bootstrap.build(Settings(data=data), embedder=embedder, verifier=TinyVerifier())


def added(ports: Ports, *names: str) -> None:
    for name in names:
        add(ports, Add(LIBRARY_REF, Source(BOUNDS, data=png(photograph(name, 100))), metadata=Metadata(brief=name)))


def found(ports: Ports, name: str) -> set[str]:
    query = Source(BOUNDS, data=jpeg(photograph(name, 90)))
    return {match.candidate.metadata.brief for match in search(ports, Search(LIBRARY_REF, query)).matches}


def test_pictures_of_another_model_are_not_found_and_the_start_says_so(
    tmp_path: Path, log_lines: Callable[[], list[dict[str, Any]]]
) -> None:
    data = tmp_path / "data"
    with closing(service(data, Embedder())) as ports:
        added(ports, "chelsea.png", "coffee.png", "rocket.jpg")
        delete(ports, Delete(LIBRARY_REF, Source(BOUNDS, data=png(photograph("rocket.jpg", 100)))))
        assert found(ports, "chelsea.png") == {"chelsea.png", "coffee.png"}
        assert ports.index.count(ports.catalog.libraries("tenant")[0].uid) == 2
    assert log_lines() == []
    with closing(service(data, OtherEmbedder())) as ports:
        (line,) = log_lines()
        assert line["level"] == "WARNING"
        assert line["message"] == (
            f"2 pictures in {data} were added with the model tiny: other does not find them; give it a folder of its "
            "own, and add them again"
        )
        (library,) = ports.catalog.libraries("tenant")
        assert found(ports, "chelsea.png") == set()
        assert ports.index.count(library.uid) == 0
        added(ports, "camera.png")
        assert found(ports, "chelsea.png") == {"camera.png"}
        assert ports.index.count(library.uid) == 1
    with closing(service(data, Embedder())) as ports:
        assert found(ports, "chelsea.png") == {"chelsea.png", "coffee.png"}
        assert ports.index.count(ports.catalog.libraries("tenant")[0].uid) == 2
