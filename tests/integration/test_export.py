"""The exporter, on the real weights: it still recognises what is in a photograph, and it makes the committed model."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from lookalike.embedding.preprocess import square
from lookalike.training import efficientnet_onnx as network
from lookalike.training import export_onnx, heads, torch_weights
from tests.support.photographs import ROOT, photograph

WEIGHTS = ROOT / "build/weights"
SCRIPT = "lookalike.training.export_onnx"


@dataclass(frozen=True, slots=True)
class Made:
    """One of the models that are made here: of which weights, in which folder, for which network."""

    weights: Path
    folder: Path
    network: network.Size


SMALL = Made(WEIGHTS, export_onnx.FOLDER, network.LITE0)
LARGE = Made(ROOT / "build/weights-large", export_onnx.FOLDER / "large", network.LITE2)
BOTH = pytest.mark.parametrize("size", [SMALL, LARGE], ids=["small", "large"])


def session(model: bytes) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])


def pictures(*names: str, side: int = network.LITE0.side) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.stack([square(np.asarray(photograph(name)), side) for name in names])


CATS = {281, 282, 285}  # tabby, tiger cat, Egyptian cat
CUPS = {967, 968}  # espresso, cup


@pytest.mark.parametrize(
    ("size", "name", "classes", "at_least"),
    [
        (SMALL, "chelsea.png", CATS, 0.9),
        (SMALL, "coffee.png", CUPS, 0.8),
        (LARGE, "chelsea.png", CATS, 0.83),
        (LARGE, "coffee.png", CUPS, 0.85),
    ],
    ids=["small-cat", "small-cup", "large-cat", "large-cup"],
)
def test_photographs_are_recognised(size: Made, name: str, classes: set[int], at_least: float) -> None:
    """Wrong strides, padding or normalisation cost this certainty, while shapes and finite numbers stay."""
    classifier = session(export_onnx.build(size.weights, classes=True))
    (logits,) = classifier.run(["classes"], {"pictures": pictures(name, side=size.network.side)})[0]
    likely = np.exp(logits - logits.max())
    likely /= likely.sum()
    assert int(likely.argmax()) in classes
    assert likely[sorted(classes)].sum() > at_least


@pytest.mark.parametrize(("size", "entries", "numbers"), [(SMALL, 296, 4_694_073), (LARGE, 386, 6_150_232)])
def test_the_weights_are_all_there(size: Made, entries: int, numbers: int) -> None:
    weights = torch_weights.read(export_onnx.find_weights(size.weights))
    assert len(weights) == entries
    assert sum(array.size for array in weights.values()) == numbers
    assert network.size_of(weights) == size.network


@BOTH
def test_the_model_is_made_to_the_byte_as_its_card_says(size: Made) -> None:
    model, again = (export_onnx.build(size.weights, size.folder) for _ in range(2))
    promised = json.loads((size.folder / export_onnx.CARD).read_text())["files"]
    assert hashlib.sha256(model).hexdigest() == promised["model.onnx"]
    assert hashlib.sha256((size.folder / export_onnx.HEADS).read_bytes()).hexdigest() == promised["heads.npz"]
    assert model == again
    assert model == (size.folder / "model.onnx").read_bytes()


def test_neither_model_takes_the_other_s_vectors_for_its_own() -> None:
    names = [json.loads((size.folder / export_onnx.CARD).read_text())["name"] for size in (SMALL, LARGE)]
    assert [name[: len(size.network.name)] for name, size in zip(names, (SMALL, LARGE), strict=True)] == [
        network.LITE0.name,
        network.LITE2.name,
    ]


@BOTH
def test_the_graph_computes_what_the_heads_file_says(size: Made) -> None:
    weights = torch_weights.read(export_onnx.find_weights(size.weights))
    committed = heads.load(size.folder / export_onnx.HEADS)
    taken = session(network.Network(weights).descriptors().cells().model().SerializeToString())
    names = [output.name for output in taken.get_outputs()]
    seen = pictures("chelsea.png", "china.jpg", "coins.png", side=size.network.side)
    looked_at = dict(zip(names, taken.run(names, {"pictures": seen}), strict=True))
    model = session(export_onnx.build(size.weights, size.folder))
    for kind, head in committed.kinds.items():
        expected = head.projection.apply(np.concatenate([looked_at[name] for name in head.descriptors], axis=1))
        assert np.allclose(model.run([kind], {"pictures": seen})[0], expected, atol=2e-5)
    cells = looked_at["cells"].transpose(0, 2, 3, 1)
    expected = committed.map.apply(cells.reshape(-1, cells.shape[3])).reshape(3, 14, 14, 32) * 127
    (made,) = model.run(["map"], {"pictures": seen})
    assert made.dtype == np.int8
    assert np.abs(made - expected).max() < 0.51


def descriptors(*seen: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> dict[str, np.ndarray[Any, Any]]:
    model = network.Network(torch_weights.read(export_onnx.find_weights(WEIGHTS))).descriptors().model()
    taken = session(model.SerializeToString())
    names = [output.name for output in taken.get_outputs()]
    return dict(zip(names, taken.run(names, {"pictures": np.stack(seen)}), strict=True))


def test_every_descriptor_has_its_length() -> None:
    for name, rows in descriptors(*pictures("chelsea.png", "coins.png")).items():
        length = network.COLOUR_LENGTH if name == "colour" else 1
        assert np.allclose(np.linalg.norm(rows, axis=1), length, atol=1e-5), name


def test_the_middle_counts_most() -> None:
    """Another border changes what the whole is like more than what the middle is like."""
    (cat,) = pictures("chelsea.png")
    framed = np.zeros_like(cat)
    framed[40:-40, 40:-40] = cat[40:-40, 40:-40]
    seen = descriptors(cat, framed)
    alike = {name: float(a @ b) for name, (a, b) in seen.items()}
    assert alike["gemcentre_head"] > alike["gem_head"]
    away = np.zeros_like(cat)
    away[:, :112] = cat[:, :112]
    colours = descriptors(cat, framed, away)["colour"]
    assert colours[0] @ colours[1] > colours[0] @ colours[2]


def test_colours_near_each_other_are_alike_and_others_are_not() -> None:
    flat = [np.full((224, 224, 3), colour, np.uint8) for colour in ((200, 30, 30), (215, 40, 30), (30, 30, 200))]
    colours = descriptors(*flat)["colour"] / network.COLOUR_LENGTH
    assert colours.shape == (3, network.COLOUR_LEVELS**3)
    assert colours[0] @ colours[1] > 0.9
    assert colours[0] @ colours[2] < 0.1


def test_a_picture_is_seen_the_same_in_any_batch() -> None:
    model = session(export_onnx.build(WEIGHTS))
    seen = pictures("chelsea.png", "china.jpg", "coins.png")
    together = model.run(None, {"pictures": seen})
    for i in range(3):
        alone = model.run(None, {"pictures": seen[i : i + 1]})
        assert all(np.array_equal(one[0], several[i]) for one, several in zip(alone, together, strict=True))


@pytest.mark.parametrize(
    ("size", "uneven"), [(SMALL, {(0, 0, 1, 1), (1, 1, 2, 2)}), (LARGE, {(0, 0, 1, 1)})], ids=["small", "large"]
)
def test_padding_puts_the_odd_pixel_at_the_bottom_and_right(size: Made, uneven: set[tuple[int, ...]]) -> None:
    """TensorFlow's SAME at even sides: 3×3 filters get 0 and 1 pixels, 5×5 filters 1 and 2."""
    model = network.Network(torch_weights.read(export_onnx.find_weights(size.weights))).classes().model()
    pads = {
        tuple(attribute.ints) for node in model.graph.node for attribute in node.attribute if attribute.name == "pads"
    }
    assert {pad for pad in pads if pad[:2] != pad[2:]} == uneven


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", SCRIPT, *arguments], capture_output=True, text=True, check=False)


def test_the_script_writes_the_classifier(tmp_path: Path) -> None:
    done = run("--weights", WEIGHTS, "--output", tmp_path / "deeper/classes.onnx", "--classes")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "deeper/classes.onnx").read_bytes() == export_onnx.build(WEIGHTS, classes=True)
    assert [path.name for path in (tmp_path / "deeper").iterdir()] == ["classes.onnx"]


def test_the_script_says_what_is_missing(tmp_path: Path) -> None:
    done = run("--weights", tmp_path, "--output", tmp_path / "model.onnx")
    assert done.returncode == 1
    assert done.stderr == f"export: {tmp_path}: 0 .pth files where one is wanted; see requirements.txt here\n"


def test_a_model_that_differs_from_the_card_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = json.loads((export_onnx.FOLDER / export_onnx.CARD).read_text())
    other["files"]["model.onnx"] = "0" * 64
    (tmp_path / "card.json").write_text(json.dumps(other))
    shutil.copy(export_onnx.FOLDER / export_onnx.HEADS, tmp_path)
    monkeypatch.setattr(
        sys,
        "argv",
        ["export.py", "--weights", str(WEIGHTS), "--heads", str(tmp_path), "--output", str(tmp_path / "model.onnx")],
    )
    assert export_onnx.main() == 1
    assert not (tmp_path / "model.onnx").exists()
