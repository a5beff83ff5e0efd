"""Where the model is looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from lookalike.embedding import model_path
from lookalike.errors import ModelError
from tests.support.photographs import ROOT


def test_a_configured_model_is_used(tmp_path: Path) -> None:
    model = tmp_path / "another.onnx"
    model.touch()
    assert model_path.find_model(str(model)) == model


def test_a_configured_model_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"LOOKALIKE_MODEL names .*gone\.onnx, and no file is there"):
        model_path.find_model(str(tmp_path / "gone.onnx"))


@pytest.mark.parametrize("configured", [None, ""])
def test_the_layer_in_lambda_goes_before_the_checkout(
    configured: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = (tmp_path / "layer.onnx", tmp_path / "checkout.onnx")
    monkeypatch.setattr(model_path, "PLACES", places)
    with pytest.raises(ModelError, match=r"no model at .*layer\.onnx or .*checkout\.onnx: run `make model`"):
        model_path.find_model(configured)
    places[1].touch()
    assert model_path.find_model(configured) == places[1]
    places[0].touch()
    assert model_path.find_model(configured) == places[0]


def test_the_places_do_not_depend_on_the_working_directory() -> None:
    in_lambda, in_the_checkout = model_path.PLACES
    assert in_lambda == Path("/opt/model/model.onnx")
    assert in_the_checkout == ROOT / "layers/model/model.onnx"
