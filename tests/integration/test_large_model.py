"""The large model, made by ``make model SIZE=large``: its local map, of fewer and other cells, still proves copies."""

from __future__ import annotations

import pytest

from lookalike.domain.library import Kind, LibraryRef
from lookalike.domain.picture import Metadata
from lookalike.domain.search import Reason
from lookalike.embedding.embedder import OnnxEmbedder
from lookalike.embedding.model_path import find_model
from lookalike.imaging.decode import Bounds
from lookalike.ports import Ports
from lookalike.service.add import Add, add
from lookalike.service.image_source import Source
from lookalike.service.search import Search, search
from lookalike.verification.verifier import FeatureMapVerifier
from tests.support.fakes import memory_ports
from tests.support.photographs import ROOT, cropped, jpeg, photograph, png

BOUNDS = Bounds(max_bytes=8 << 20, min_side=1, max_side=5000, max_pixels=1 << 24, formats=frozenset({"JPEG", "PNG"}))
LIBRARY_REF = LibraryRef("tenant", "same_hq", Kind.SAME)
PRESENT = ("astronaut.png", "chelsea.png", "china.jpg", "coins.png", "rocket.jpg")


@pytest.fixture(scope="module")
def ports() -> Ports:
    embedder = OnnxEmbedder(find_model(str(ROOT / "layers/model/large/model.onnx")))
    made = memory_ports(embedder=embedder, verifier=FeatureMapVerifier(embedder.match_scorer))
    for name in PRESENT:
        add(made, Add(LIBRARY_REF, Source(BOUNDS, data=png(photograph(name))), metadata=Metadata(brief=name)))
    return made


@pytest.mark.parametrize("name", PRESENT)
def test_a_part_is_proved(ports: Ports, name: str) -> None:
    query = jpeg(cropped(photograph(name), 0.8), 60)
    (match,) = search(ports, Search(LIBRARY_REF, Source(BOUNDS, data=query))).matches
    assert (match.candidate.metadata.brief, match.reason) == (name, Reason.VERIFIED)
    assert match.geometric_match is not None
    a, b, c, d, e, f = match.geometric_match.transform
    assert (a, b, d, e) == pytest.approx((0.8, 0, 0, 0.8), abs=0.1)
    assert ((a + b) / 2 + c, (d + e) / 2 + f) == pytest.approx((0.5, 0.5), abs=0.05)


@pytest.mark.parametrize("name", ["coffee.png", "motorcycle_left.png"])
def test_what_is_not_there_is_not_found(ports: Ports, name: str) -> None:
    assert search(ports, Search(LIBRARY_REF, Source(BOUNDS, data=jpeg(photograph(name), 60)))).matches == ()
