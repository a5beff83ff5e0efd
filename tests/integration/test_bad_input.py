"""Degenerate pictures, through the embedder and the use cases of every kind, with the real model."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from lookalike.domain.library import Kind, LibraryRef
from lookalike.domain.picture import DIMENSION, Metadata
from lookalike.domain.search import Reason
from lookalike.embedding.embedder import OnnxEmbedder
from lookalike.embedding.feature_map import unpack
from lookalike.embedding.model_path import find_model
from lookalike.imaging.decode import Bounds, decode
from lookalike.ports import Ports
from lookalike.service.add import Add, add
from lookalike.service.image_source import Source
from lookalike.service.search import Search, search
from lookalike.stores.vectors.index import FaissIndex
from lookalike.training.fitted_views import fitted_crops
from lookalike.verification.verifier import FeatureMapVerifier
from tests.support import photographs
from tests.support.fakes import memory_ports

#: Wider than any dialect's: a picture of one pixel is one.
BOUNDS = Bounds(max_bytes=8 << 20, min_side=1, max_side=4096, max_pixels=4096 * 4096, formats=frozenset({"PNG"}))

Array = NDArray[np.generic]

#: Per file found: its brief, its score, why.
Answer = list[tuple[str, float, Reason]]


def flat() -> dict[str, Array]:
    colours = {"black": (0, 0, 0), "white": (255, 255, 255), "grey": (127, 127, 127), "red": (255, 0, 0)}
    sizes = ((200, 300), (64, 64))
    return {
        f"flat {name} {h}×{w}": np.full((h, w, 3), colour, np.uint8)
        for name, colour in colours.items()
        for h, w in sizes
    }


def tiny(chance: np.random.Generator) -> dict[str, Array]:
    sizes = ((1, 1), (1, 2), (2, 1), (3, 2), (8, 8), (15, 15))
    return {f"tiny {h}×{w}": chance.integers(0, 256, (h, w, 3), np.uint8) for h, w in sizes}


def slim(chance: np.random.Generator) -> dict[str, Array]:
    sizes = ((1, 4096), (4096, 1), (15, 4096), (4096, 15))
    noise = {f"slim noise {h}×{w}": chance.integers(0, 256, (h, w, 3), np.uint8) for h, w in sizes}
    plain = {f"slim grey {h}×{w}": np.full((h, w, 3), 90, np.uint8) for h, w in sizes}
    bars = np.zeros((20, 4000, 3), np.uint8)
    bars[:, ::40] = (0, 0, 255)
    return noise | plain | {"slim bars": bars}


def noise(chance: np.random.Generator) -> dict[str, Array]:
    made: dict[str, Array] = {f"noise {n}": chance.integers(0, 256, (240, 240, 3), np.uint8) for n in range(3)}
    made["noise, grey"] = np.repeat(chance.integers(0, 256, (240, 320, 1), np.uint8), 3, axis=2)
    made["noise, black and white"] = np.repeat(255 * chance.integers(0, 2, (300, 240, 1), np.uint8), 3, axis=2)
    made["noise, weak"] = chance.normal(128, 3, (240, 240, 3)).astype(np.uint8)
    return made


def nearly_black(chance: np.random.Generator) -> dict[str, Array]:
    made: dict[str, Array] = {
        f"nearly black, {top} at most": chance.integers(0, top + 1, (200, 200, 3), np.uint8) for top in (1, 3, 8)
    }
    point = np.zeros((200, 200, 3), np.uint8)
    point[37, 120] = 255
    slope = np.zeros((200, 200, 3), np.uint8)
    slope[:] = np.linspace(0, 6, 200).astype(np.uint8)[None, :, None]
    return made | {"nearly black, one point": point, "nearly black, slope": slope}


def transparent(chance: np.random.Generator) -> dict[str, Array]:
    """With an alpha channel: what shows is laid on white."""
    hidden = chance.integers(0, 256, (180, 180, 4), np.uint8)
    hidden[..., 3] = 0
    fading = np.zeros((200, 260, 4), np.uint8)
    fading[..., 2], fading[..., 3] = 200, np.linspace(0, 255, 260).astype(np.uint8)
    cloud = chance.integers(0, 256, (200, 200, 2), np.uint8)
    made: dict[str, Array] = {"transparent, all hidden": hidden, "transparent, fading": fading}
    made["transparent, grey cloud"] = cloud
    for name in ("disc", "cross"):
        icon = Image.new("RGBA", (256, 256), (0, 0, 0, 0))
        draw = ImageDraw.Draw(icon)
        if name == "disc":
            draw.ellipse((90, 90, 166, 166), fill=(220, 30, 30, 255))
        else:
            draw.line((40, 60, 200, 220), fill=(30, 90, 30, 160), width=12)
            draw.line((40, 220, 200, 60), fill=(30, 90, 30, 160), width=12)
        made[f"transparent, {name}"] = np.asarray(icon)
    return made


def round_things() -> dict[str, Array]:
    """Little more than one outline, and a photograph that is round: any of them can be laid on any other.

    A small disc on white is not among them: it is the other one on white, scaled and in another colour.
    """
    shapes: dict[str, tuple[Any, Any, int, tuple[int, int]]] = {
        "disc, white on black": ("black", "white", 100, (150, 150)),
        "disc, red on blue": ((30, 30, 60), (220, 40, 40), 120, (140, 160)),
    }
    made: dict[str, Array] = {}
    for name, (ground, colour, radius, (x, y)) in shapes.items():
        image = Image.new("RGB", (300, 300), ground)
        ImageDraw.Draw(image).ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
        made[name] = np.asarray(image)
    ring = Image.new("RGB", (300, 300), "white")
    ImageDraw.Draw(ring).ellipse((30, 30, 270, 270), outline="red", width=25)
    made["ring"] = np.asarray(ring)
    eye = photographs.photograph("retina.jpg").convert("RGB")
    eye.thumbnail((400, 400))
    return made | {"an eye": np.asarray(eye)}


def png(pixels: Array) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def files() -> dict[str, bytes]:
    chance = np.random.default_rng(3)
    made = (
        flat()
        | tiny(chance)
        | slim(chance)
        | noise(chance)
        | nearly_black(chance)
        | transparent(chance)
        | round_things()
    )
    return {name: png(pixels) for name, pixels in made.items()}


FILES = files()


@pytest.fixture(scope="module")
def embedder() -> OnnxEmbedder:
    return OnnxEmbedder(find_model(None))


def ref(kind: Kind) -> LibraryRef:
    return LibraryRef("tenant", kind, kind)


def fill(embedder: OnnxEmbedder, index: FaissIndex, names: Sequence[str]) -> Ports:
    """All pictures in a library of each kind, in that order."""
    ports = memory_ports(embedder=embedder, verifier=FeatureMapVerifier(embedder.match_scorer), index=index)
    for kind in Kind:
        for name in names:
            add(ports, Add(ref(kind), Source(BOUNDS, data=FILES[name]), metadata=Metadata(brief=name)))
    return ports


def ask(ports: Ports, kind: Kind, names: Sequence[str] = tuple(FILES)) -> dict[str, Answer]:
    """What a search for each picture finds."""
    answers = {}
    for name in names:
        matches = search(ports, Search(ref(kind), Source(BOUNDS, data=FILES[name]))).matches
        answers[name] = [(match.candidate.metadata.brief, match.score, match.reason) for match in matches]
    return answers


@pytest.fixture(scope="module")
def ports(embedder: OnnxEmbedder) -> Iterator[Ports]:
    index = FaissIndex({kind: embedder.codebook(kind) for kind in Kind})
    yield fill(embedder, index, list(FILES))
    index.close()


@pytest.fixture(scope="module")
def answers(ports: Ports) -> Mapping[Kind, dict[str, Answer]]:
    return {kind: ask(ports, kind) for kind in Kind}


def test_no_two_pictures_are_the_same() -> None:
    """If two files had one digest, a search with one would rightly find the other."""
    assert len({decode(file, BOUNDS).digest for file in FILES.values()}) == len(FILES)


@pytest.mark.parametrize("name", FILES)
def test_vectors_of_every_view_are_finite_and_of_length_one(embedder: OnnxEmbedder, name: str) -> None:
    pixels = decode(FILES[name], BOUNDS).pixels
    for kind in Kind:
        made = embedder.embed(fitted_crops(kind, pixels))
        assert len(made) == len(fitted_crops(kind, pixels))
        for embedding in made:
            vector = embedding.vectors[kind].astype(np.float64)
            assert vector.shape == (DIMENSION,)
            assert np.isfinite(vector).all()
            assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-3)
            assert unpack(embedding.feature_map) is not None


@pytest.mark.parametrize("kind", Kind)
def test_scores_are_in_order_and_one_is_for_the_identical_picture_alone(
    answers: Mapping[Kind, dict[str, Answer]], kind: Kind
) -> None:
    for name, found in answers[kind].items():
        assert found[0] == (name, 1.0, Reason.EXACT)
        scores = [score for _, score, _ in found]
        assert all(0 < score < 1 for score in scores[1:])
        narrow = np.array(scores, np.float32)
        assert (np.diff(narrow) < 0).all()
        assert len({brief for brief, _, _ in found}) == len(found)


def test_none_is_taken_to_be_the_same_as_another(answers: Mapping[Kind, dict[str, Answer]]) -> None:
    false = {(name, other) for name, found in answers[Kind.SAME].items() for other, _, _ in found if other != name}
    assert false == set()


@pytest.mark.parametrize("kind", Kind)
def test_asked_again_the_answer_is_the_same(
    ports: Ports, answers: Mapping[Kind, dict[str, Answer]], kind: Kind
) -> None:
    names = list(FILES)[::4]
    assert ask(ports, kind, names) == {name: answers[kind][name] for name in names}


def test_another_process_that_was_filled_in_another_order_answers_the_same(
    answers: Mapping[Kind, dict[str, Answer]],
) -> None:
    """Another session of the model and an index whose rows lie elsewhere."""
    embedder = OnnxEmbedder(find_model(None))
    index = FaissIndex({kind: embedder.codebook(kind) for kind in Kind}, max_mutable_rows=7)
    ports = fill(embedder, index, list(FILES)[::-1])
    assert {kind: ask(ports, kind) for kind in Kind} == answers
    index.close()
