"""The keypoint detector's file and its card, which names the file's digest, licence and origin."""

from __future__ import annotations

import json
from pathlib import Path

from lookalike.embedding.model_card import check_file
from lookalike.embedding.model_path import CARD, read_file
from lookalike.errors import ModelError

#: Where the keypoint model lies beside a model.
_BESIDE = Path("keypoints/model.onnx")

#: Its path in Lambda's layer, and the path that `make model` writes to in a checkout. Every model uses the same, so a fitted
#: one, in a folder of its own, needs none beside it.
PLACES = (Path("/opt/model") / _BESIDE, Path(__file__).resolve().parents[4] / "model" / _BESIDE)


def find_keypoint_model(model: Path) -> Path:
    """Return the keypoint model beside a model, else the first of PLACES that exists, else the last."""
    return next(filter(Path.is_file, (model.parent / _BESIDE, *PLACES)), PLACES[-1])


def check(model: Path) -> None:
    """Raise ModelError, in one line, if the file or its card is missing or broken, or the digest is another."""
    card = model.parent / CARD
    try:
        digest = str(json.loads(read_file(card))["files"][model.name])
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{card}: not a model's card: {error!r}") from error
    check_file(model, digest)
