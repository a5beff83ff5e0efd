"""The model's card: what belongs together is loaded, anything else is refused with one line that says which file."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.domain.library import Kind
from lookalike.embedding import model_card
from lookalike.embedding.model_card import CODEBOOK_SHAPE, Calibration
from lookalike.embedding.model_path import CARD, CODEBOOKS
from lookalike.errors import ModelError
from lookalike.verification.match_score import MatchFeatures, card_entry

WEIGHTS = {"cosine": 6, "correlation": 2, "matches": -3, "inliers": 3, "likeness": 4, "corners": 2, "offset": 8}
PROOF = {
    "whole": WEIGHTS | {"matches": 0, "inliers": 0},
    "part": WEIGHTS,
    "again": WEIGHTS,
    "corners": WEIGHTS,
    "least": 0.9,
}

#: What the card calls the weights of each stage.
STAGES = {"whole": "whole", "partial": "part", "rectified": "again", "keypoints": "corners"}

Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model of three files; the card reads no ONNX, so the graph may be any bytes."""
    (tmp_path / "model.onnx").write_bytes(b"a graph")
    codebooks = {str(kind): np.full(CODEBOOK_SHAPE, i, np.float32) for i, kind in enumerate(Kind)}
    write_codebooks(tmp_path, codebooks)
    content = {
        "name": "made-up-1",
        "dimension": 256,
        "input": {"side": 64},
        "outputs": {"map": {}},
        "calibration": {kind: {"slope": 10, "offset": 5 + i, "threshold": 0.5} for i, kind in enumerate(Kind)},
        "proof": PROOF,
        "files": {name: sha256(tmp_path / name) for name in ("model.onnx", CODEBOOKS)},
    }
    (tmp_path / CARD).write_text(json.dumps(content))
    return tmp_path


def write_codebooks(folder: Path, codebooks: dict[str, Any]) -> None:
    np.savez(folder / CODEBOOKS, allow_pickle=False, **codebooks)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def edit(folder: Path, change: Change) -> None:
    content = json.loads((folder / CARD).read_text())
    change(content)
    (folder / CARD).write_text(json.dumps(content))


def refusal(folder: Path) -> str:
    with pytest.raises(ModelError) as refused:
        model_card.load(folder / "model.onnx")
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_what_belongs_together_is_loaded(folder: Path) -> None:
    loaded = model_card.load(folder / "model.onnx")
    assert loaded.name == model_card.name_of(folder / "model.onnx")
    assert (loaded.name, loaded.side, loaded.has_feature_map) == ("made-up-1", 64, True)
    assert [loaded.calibration[kind].offset for kind in Kind] == [5, 6, 7]
    assert [loaded.codebooks[kind].flat[0] for kind in Kind] == [0, 1, 2]
    assert {key: card_entry(getattr(loaded.match_scorer, name)) for name, key in STAGES.items()} == {
        key: PROOF[key] for key in STAGES.values()
    }
    assert loaded.match_scorer.min_probability == PROOF["least"]
    assert {(book.shape, book.dtype.name) for book in loaded.codebooks.values()} == {(CODEBOOK_SHAPE, "float32")}


def test_a_model_may_do_without_a_map(folder: Path) -> None:
    edit(folder, lambda content: (content["outputs"].clear(), content.pop("proof")))
    loaded = model_card.load(folder / "model.onnx")
    assert not loaded.has_feature_map
    everything = MatchFeatures(1.0, 49, 1.0, 196, 196)
    assert loaded.match_scorer.whole.probability(everything) < loaded.match_scorer.min_probability
    assert loaded.match_scorer.partial.probability(everything) < loaded.match_scorer.min_probability


@pytest.mark.parametrize("name", ["model.onnx", CARD, CODEBOOKS])
def test_a_missing_file_is_named_with_what_to_do(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert refusal(folder) == f"{folder / name}: No such file or directory; run `make model`"


@pytest.mark.parametrize("name", ["model.onnx", CODEBOOKS])
@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: data + b" ", lambda data: b"", lambda data: b"x" + data[1:]]
)
def test_a_file_that_differs_in_one_byte_is_refused(folder: Path, name: str, damage: Callable[[bytes], bytes]) -> None:
    (folder / name).write_bytes(damage((folder / name).read_bytes()))
    assert re.match(rf"{re.escape(str(folder / name))}: its SHA-256 is .*run `make model`$", refusal(folder))


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"files": {}}', "\0"])
def test_a_garbled_card_is_refused(folder: Path, text: str) -> None:
    (folder / CARD).write_text(text)
    assert refusal(folder).startswith(f"{folder / CARD}: not a model's card")


@pytest.mark.parametrize("key", ["name", "dimension", "input", "outputs", "calibration", "proof", "files"])
def test_a_card_that_leaves_something_out_is_refused(folder: Path, key: str) -> None:
    edit(folder, lambda content: content.pop(key))
    assert refusal(folder) == f"{folder / CARD}: not a model's card: KeyError('{key}')"


def test_another_dimension_is_refused(folder: Path) -> None:
    edit(folder, lambda content: content.update(dimension=512))
    assert refusal(folder) == f"{folder / CARD}: its vectors have 512 numbers, this service's have 256"


@pytest.mark.parametrize("slope", [0, -3, float("nan")])
def test_a_score_that_does_not_grow_is_refused(folder: Path, slope: float) -> None:
    edit(folder, lambda content: content["calibration"]["similar"].update(slope=slope))
    assert "a score that does not grow" in refusal(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"least": 0},
        {"least": 1},
        {"part": WEIGHTS | {"offset": float("inf")}},
        {"again": WEIGHTS | {"likeness": float("nan")}},
        {"whole": WEIGHTS | {"inliers": "many"}},
    ],
)
def test_a_calibration_of_proofs_that_means_nothing_is_refused(folder: Path, change: dict[str, Any]) -> None:
    edit(folder, lambda content: content["proof"].update(change))
    assert refusal(folder).startswith(f"{folder / CARD}: not a model's card: ValueError")


@pytest.mark.parametrize("codebooks", [{}, {kind: np.zeros((64, 16, 4), np.float32) for kind in Kind}])
def test_codebooks_of_another_shape_are_refused(folder: Path, codebooks: dict[str, Any]) -> None:
    write_codebooks(folder, codebooks)
    edit(folder, lambda content: content["files"].update({CODEBOOKS: sha256(folder / CODEBOOKS)}))
    assert "codebook of same" in refusal(folder) or "same is not a file in the archive" in refusal(folder)


@given(st.floats(-1.001, 1.001), st.floats(-1.001, 1.001))
def test_the_score_grows_with_the_cosine_and_stays_between_0_and_1(a: float, b: float) -> None:
    calibration = Calibration(11.0, 7.0, 0.7)
    low, high = sorted((a, b))
    assert 0 < calibration.score(low) <= calibration.score(high) < 1
    if high - low > 1e-9:  # far below one step of a float16 vector's cosine
        assert calibration.score(low) < calibration.score(high)
