"""Searches by a part of a picture, with the real model: what is found lies where it lies in the whole picture."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from lookalike.domain.geometry import Box
from lookalike.domain.library import Kind, LibraryRef
from lookalike.domain.overlap import overlap
from lookalike.domain.picture import Metadata
from lookalike.domain.search import QueryPicture, Reason
from lookalike.embedding.embedder import OnnxEmbedder
from lookalike.embedding.model_path import find_model
from lookalike.ports import Ports
from lookalike.service.add import Add, add
from lookalike.service.image_source import Source
from lookalike.service.search import Search, search
from lookalike.verification.affine import homogeneous
from lookalike.verification.verifier import FeatureMapVerifier
from tests.integration.test_same import BOUNDS
from tests.support.fakes import memory_ports
from tests.support.photographs import jpeg, photograph, png

LIBRARY_REF = LibraryRef("tenant", "same_hq", Kind.SAME)
PRESENT = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")


@pytest.fixture(scope="module")
def ports() -> Ports:
    embedder = OnnxEmbedder(find_model(None))
    made = memory_ports(embedder=embedder, verifier=FeatureMapVerifier(embedder.match_scorer))
    for name in PRESENT:
        add(made, Add(LIBRARY_REF, Source(BOUNDS, data=png(photograph(name))), metadata=Metadata(brief=name)))
    return made


def page_with(picture: Image.Image, left: int, top: int, side: int) -> Image.Image:
    """A noisy square page of ``side`` pixels with a picture on it."""
    noise = np.random.default_rng(1).integers(0, 256, (side, side, 3), np.uint8)
    page = Image.fromarray(noise)
    page.paste(picture, (left, top))
    return page


def test_a_part_of_a_page_lies_on_the_picture_where_it_lies_in_the_page(ports: Ports) -> None:
    shown = photograph("coffee.png", 400)
    page = page_with(shown, 150, 90, 700)
    box = Box(140 / 700, 80 / 700, (160 + shown.width) / 700, (100 + shown.height) / 700)  # drawn a little too large
    found = search(ports, Search(LIBRARY_REF, Source(BOUNDS, data=jpeg(page)), box=box))
    match = found.matches[0]
    assert (match.candidate.metadata.brief, match.reason) == ("coffee.png", Reason.VERIFIED)
    assert match.geometric_match is not None
    assert found.query == QueryPicture(700, 700)
    corners = np.array([(150, 150 + shown.width), (90, 90 + shown.height), (700, 700)]) / 700
    moved = homogeneous(match.geometric_match.transform)[:2] @ corners
    np.testing.assert_allclose(moved, [(0, 1), (0, 1)], atol=0.05)
    covering = overlap(match.geometric_match, box)
    assert covering.query_percent > 85
    assert covering.picture_percent > 95
    assert overlap(match.geometric_match).query_percent == pytest.approx(
        100 * shown.width * shown.height / 700**2, rel=0.1
    )


def test_a_part_of_a_picture_is_found_as_the_same_part_cut_from_it(ports: Ports) -> None:
    whole = photograph("chelsea.png")
    left, top, right, bottom = whole.width // 4, whole.height // 5, whole.width * 7 // 8, whole.height * 9 // 10
    box = Box(left / whole.width, top / whole.height, right / whole.width, bottom / whole.height)
    part = Image.fromarray(np.asarray(whole)[top:bottom, left:right])
    boxed = search(ports, Search(LIBRARY_REF, Source(BOUNDS, data=png(whole)), box=box)).matches
    alone = search(ports, Search(LIBRARY_REF, Source(BOUNDS, data=png(part)))).matches
    assert [(match.candidate, match.score) for match in boxed] == [(match.candidate, match.score) for match in alone]
    assert boxed[0].reason is Reason.VERIFIED
    match = boxed[0].geometric_match
    assert match is not None
    np.testing.assert_allclose(match.transform, (1, 0, 0, 0, 1, 0), atol=0.1)  # the whole lies on itself
