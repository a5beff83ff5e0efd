"""The file that detects keypoints is found, and is the one that its card names."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from lookalike.embedding import keypoint_card
from lookalike.embedding.model_path import CARD
from lookalike.errors import ModelError
from tests.support.photographs import ROOT


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model file with its card."""
    path = tmp_path / "model.onnx"
    path.write_bytes(b"a graph")
    digest = hashlib.sha256(b"a graph").hexdigest()
    (tmp_path / CARD).write_text(json.dumps({"files": {"model.onnx": digest}}))
    return path


def refusal(model: Path) -> str:
    with pytest.raises(ModelError) as refused:
        keypoint_card.check(model)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_what_belongs_together_is_accepted(model: Path) -> None:
    keypoint_card.check(model)


@pytest.mark.parametrize("name", ["model.onnx", CARD])
def test_a_missing_file_is_named_with_what_to_do(model: Path, name: str) -> None:
    (model.parent / name).unlink()
    assert refusal(model) == f"{model.parent / name}: No such file or directory; run `make model`"


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: data + b" ", lambda data: b""])
def test_another_file_is_refused(model: Path, damage: Callable[[bytes], bytes]) -> None:
    model.write_bytes(damage(model.read_bytes()))
    assert re.match(rf"{re.escape(str(model))}: its SHA-256 is .*run `make model`$", refusal(model))


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"files": {}}', "\0"])
def test_a_garbled_card_is_refused(model: Path, text: str) -> None:
    (model.parent / CARD).write_text(text)
    assert refusal(model).startswith(f"{model.parent / CARD}: not a model's card")


def test_what_lies_beside_the_model_goes_before_the_layer_and_that_before_the_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = (tmp_path / "layer.onnx", tmp_path / "checkout.onnx")
    monkeypatch.setattr(keypoint_card, "PLACES", places)
    beside = tmp_path / "mine/keypoints/model.onnx"
    beside.parent.mkdir(parents=True)
    found = keypoint_card.find_keypoint_model(tmp_path / "mine/model.onnx")
    assert found == places[1]
    for place in (places[1], places[0], beside):
        place.touch()
        assert keypoint_card.find_keypoint_model(tmp_path / "mine/model.onnx") == place


def test_the_places_do_not_depend_on_the_working_directory() -> None:
    in_lambda, in_the_checkout = keypoint_card.PLACES
    assert in_lambda == Path("/opt/model/keypoints/model.onnx")
    assert in_the_checkout == ROOT / "layers/model/keypoints/model.onnx"


def test_the_card_names_licence_and_origin() -> None:
    card = json.loads((ROOT / "layers/model/keypoints" / CARD).read_text())
    (source,) = card["sources"]
    requirement = (ROOT / "layers/model/keypoints/requirements.txt").read_text()
    assert f"{source['package']}=={source['version']} \\\n    --hash=sha256:{source['wheel_sha256']}\n" in requirement
    assert card["licence"] == source["licence"] == "Apache-2.0"
    assert "Potje" in card["notice"]
