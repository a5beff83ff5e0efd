"""The files of a model, and where it is found."""

from __future__ import annotations

from pathlib import Path

from lookalike.errors import ModelError

#: The files of a model, by the names that its card has for them.
GRAPH, CARD, CODEBOOKS = "model.onnx", "card.json", "codebooks.npz"

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


def read_file(path: Path) -> bytes:
    """Return a file's bytes. Raises ModelError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}; run `make model`") from error
