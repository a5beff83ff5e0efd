"""The embedder over the built model."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

from lookalike.domain.library import Kind
from lookalike.domain.picture import DIMENSION, Embedding, Pixels
from lookalike.embedding.embedder import OnnxEmbedder
from lookalike.embedding.feature_map import unpack
from lookalike.embedding.model_card import CODEBOOK_SHAPE, load, name_of
from lookalike.embedding.model_path import CARD, CODEBOOKS, find_model
from lookalike.errors import ModelError
from tests.support.photographs import NAMES, photograph

MODEL = find_model(None)


@pytest.fixture(scope="module")
def embedder() -> OnnxEmbedder:
    return OnnxEmbedder(MODEL)


@pytest.fixture(scope="module")
def photographs() -> list[Pixels]:
    return [np.asarray(photograph(name)) for name in NAMES]


def numbers(embeddings: Sequence[Embedding]) -> list[bytes]:
    """Everything in embeddings, to the bit."""
    return [b"".join(made.vectors[kind].tobytes() for kind in Kind) + made.feature_map for made in embeddings]


def cosine(a: Embedding, b: Embedding, kind: Kind) -> float:
    return float(a.vectors[kind].astype(np.float32) @ b.vectors[kind].astype(np.float32))


def test_its_name_is_read_without_loading_it() -> None:
    assert name_of(MODEL) == load(MODEL).name


def test_several_at_once_are_the_same_as_one_by_one(embedder: OnnxEmbedder, photographs: list[Pixels]) -> None:
    together = numbers(embedder.embed(photographs))
    assert together == [numbers(embedder.embed([pixels]))[0] for pixels in photographs]
    assert len(set(together)) == len(photographs)


def test_what_a_pass_sees_has_the_pictures_vectors_to_the_bit(
    embedder: OnnxEmbedder, photographs: list[Pixels]
) -> None:
    for pixels in (*photographs[:4], *hostile().values()):
        seen = embedder.seen(pixels)
        assert seen.shape[0] * seen.shape[1] <= 300 * 300
        (made,), (of_seen,) = embedder.embed([pixels]), embedder.embed([seen])
        assert all(np.array_equal(made.vectors[kind], of_seen.vectors[kind]) for kind in Kind)


def test_another_session_gives_the_same_bits(embedder: OnnxEmbedder, photographs: list[Pixels]) -> None:
    assert numbers(OnnxEmbedder(MODEL).embed(photographs[:4])) == numbers(embedder.embed(photographs[:4]))


def test_threads_share_an_embedder(embedder: OnnxEmbedder, photographs: list[Pixels]) -> None:
    expected = numbers(embedder.embed(photographs))
    with ThreadPoolExecutor(2) as pool:
        made = list(pool.map(lambda i: numbers(embedder.embed([photographs[i % len(photographs)]]))[0], range(40)))
    assert made == [expected[i % len(photographs)] for i in range(40)]


def test_more_threads_in_a_pass_change_nothing_that_matters(embedder: OnnxEmbedder, photographs: list[Pixels]) -> None:
    for one, two in zip(embedder.embed(photographs), OnnxEmbedder(MODEL, threads=2).embed(photographs), strict=True):
        assert all(np.allclose(one.vectors[kind], two.vectors[kind], atol=5e-4) for kind in Kind)


def test_nothing_is_made_of_nothing(embedder: OnnxEmbedder) -> None:
    assert embedder.embed([]) == []


def hostile() -> dict[str, Pixels]:
    noise = np.random.default_rng(5)
    flat = {f"flat {value}": np.full((300, 200, 3), value, np.uint8) for value in (0, 1, 127, 128, 255)}
    shapes = {
        f"{h}×{w}": noise.integers(0, 256, (h, w, 3), np.uint8) for h, w in ((1, 1), (1, 5000), (5000, 1), (2, 3))
    }
    red = np.zeros((64, 64, 3), np.uint8)
    red[..., 0] = 255
    stripes = np.zeros((224, 224, 3), np.uint8)
    stripes[::2] = 255
    upside_down = np.asarray(photograph("chelsea.png"))[::-1, ::-1]  # a view with negative strides
    return (
        flat
        | shapes
        | {
            "noise": noise.integers(0, 256, (224, 224, 3), np.uint8),
            "red": red,
            "stripes": stripes,
            "view": upside_down,
        }
    )


@pytest.mark.parametrize("name", hostile())
def test_whatever_the_pixels_the_vectors_are_finite_and_of_length_one(embedder: OnnxEmbedder, name: str) -> None:
    (made,) = embedder.embed([hostile()[name]])
    for kind in Kind:
        vector = made.vectors[kind]
        assert vector.shape == (DIMENSION,)
        assert vector.dtype == np.float16
        assert np.isfinite(vector).all()
        assert np.linalg.norm(vector.astype(np.float64)) == pytest.approx(1, abs=1e-3)
    assert unpack(made.feature_map) is not None


@pytest.mark.parametrize("kind", Kind)
def test_a_light_copy_scores_high_and_another_picture_low(
    embedder: OnnxEmbedder, photographs: list[Pixels], kind: Kind
) -> None:
    originals = embedder.embed(photographs)
    copies = embedder.embed([np.asarray(photograph(name, 320)) for name in NAMES])
    for i, original in enumerate(originals):
        assert embedder.score(kind, cosine(original, copies[i], kind)) > 0.97
        assert all(embedder.score(kind, cosine(original, other, kind)) < 0.35 for other in originals[i + 1 :])


def test_same_finds_changed_copies_of_a_photograph(embedder: OnnxEmbedder, photographs: list[Pixels]) -> None:
    originals = embedder.embed(photographs)
    for i, name in enumerate(NAMES):
        picture = photograph(name)
        cropped = picture.crop((picture.width // 10, picture.height // 10, picture.width, picture.height))
        for changed in (
            cropped,
            picture.convert("L").convert("RGB"),
            picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        ):
            (made,) = embedder.embed([np.asarray(changed)])
            cosines = [cosine(made, original, Kind.SAME) for original in originals]
            assert int(np.argmax(cosines)) == i


def test_thresholds_and_codebooks_are_those_of_the_card(embedder: OnnxEmbedder) -> None:
    card = json.loads((MODEL.parent / CARD).read_text())
    assert embedder.model == card["name"]
    assert {kind: embedder.threshold(kind) for kind in Kind} == {
        kind: card["calibration"][kind]["threshold"] for kind in Kind
    }
    assert 0.5 < embedder.threshold(Kind.SAME) < 0.9
    with np.load(MODEL.parent / CODEBOOKS) as codebooks:
        for kind in Kind:
            assert embedder.codebook(kind).shape == CODEBOOK_SHAPE
            assert np.array_equal(embedder.codebook(kind), codebooks[kind])


def graph(outputs: dict[str, int]) -> bytes:
    """An ONNX model that answers these outputs, of so many numbers each."""
    nodes, results = [], []
    for name, size in outputs.items():
        value = helper.make_tensor("", TensorProto.FLOAT, [1, size], [1.0] * size)
        nodes.append(helper.make_node("Constant", [], [name], value=value))
        results.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, size]))
    pictures = helper.make_tensor_value_info("pictures", TensorProto.UINT8, ["N", 224, 224, 3])
    body = helper.make_graph(nodes, "made-up", [pictures], results)
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    serialised: bytes = model.SerializeToString()
    return serialised


def put_in_place(folder: Path, model: bytes) -> Path:
    """A model folder whose card agrees that this is its graph."""
    shutil.copy(MODEL.parent / CODEBOOKS, folder)
    card: dict[str, Any] = json.loads((MODEL.parent / CARD).read_text())
    card["files"]["model.onnx"] = hashlib.sha256(model).hexdigest()
    (folder / CARD).write_text(json.dumps(card))
    (folder / "model.onnx").write_bytes(model)
    return folder / "model.onnx"


@pytest.mark.parametrize(
    ("model", "line"),
    [
        (b"no graph at all", "onnxruntime cannot load it"),
        (b"", "onnxruntime cannot load it"),
        (graph({"same": 256, "similar": 256}), "it does not answer product, map, as its card says it does"),
        (graph({"same": 256, "similar": 256, "product": 128, "map": 4}), "its output product has 128 numbers, not 256"),
        (graph({"same": 256, "similar": 256, "product": 256, "map": 4}), "its output map has the shape [1, 4], not"),
    ],
)
def test_a_graph_that_is_of_no_use_is_refused_with_one_line(tmp_path: Path, model: bytes, line: str) -> None:
    with pytest.raises(ModelError) as refused:
        OnnxEmbedder(put_in_place(tmp_path, model))
    assert line in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_truncated_model_is_refused(tmp_path: Path) -> None:
    path = put_in_place(tmp_path, MODEL.read_bytes())
    path.write_bytes(MODEL.read_bytes()[:-1000])
    with pytest.raises(ModelError, match="truncated"):
        OnnxEmbedder(path)
