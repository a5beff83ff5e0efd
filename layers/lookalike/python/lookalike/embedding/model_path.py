"""Finds the model file."""

from __future__ import annotations

from pathlib import Path

from lookalike.errors import ModelError

#: The model layer's path in Lambda, and the path that `make model` writes to in a checkout.
PLACES = (Path("/opt/model/model.onnx"), Path(__file__).resolve().parents[4] / "model" / "model.onnx")


def find_model(configured: str | None) -> Path:
    """Return the model file: the configured one, else the first of PLACES that exists.

    Raises ModelError, with the remedy, if there is none.
    """
    if configured:
        path = Path(configured)
        if not path.is_file():
            raise ModelError(f"LOOKALIKE_MODEL names {path}, and no file is there: correct it, or unset it")
        return path
    for path in PLACES:
        if path.is_file():
            return path
    raise ModelError(f"no model at {' or '.join(map(str, PLACES))}: run `make model`")
