"""The model's card: inputs and outputs of a model file, and the calibration of its cosines.

A model is three files in one folder: the ONNX graph, ``card.json`` and ``codebooks.npz``.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.library import Kind
from lookalike.domain.picture import DIMENSION
from lookalike.embedding.model_path import CARD, CODEBOOKS, read_file
from lookalike.errors import ModelError
from lookalike.verification.match_score import NEVER_MATCHES, MatchScorer

#: Shape of a 4-bit product quantiser: 128 parts of a vector, 16 centroids each, of two numbers.
CODEBOOK_SHAPE = (DIMENSION // 2, 16, 2)


@dataclass(frozen=True, slots=True)
class Calibration:
    """A kind's scores, ``1 / (1 + exp(offset − slope · cosine))``, and the cosine from which on a picture counts as
    found."""

    slope: float
    offset: float
    threshold: float

    def score(self, cosine: float) -> float:
        """Return the score of a cosine, in (0, 1)."""
        return 1.0 / (1.0 + math.exp(self.offset - self.slope * cosine))


@dataclass(frozen=True, slots=True, eq=False)
class Card:
    """A model's card.

    ``side`` is the side of the square input, in pixels; ``has_feature_map``: the graph returns feature maps.
    ``match_scorer`` scores geometric matches. ``codebooks`` holds a float32 array of shape CODEBOOK_SHAPE a kind.
    """

    name: str
    side: int
    has_feature_map: bool
    calibration: Mapping[Kind, Calibration]
    match_scorer: MatchScorer
    codebooks: Mapping[Kind, NDArray[np.float32]]


def load(model: Path) -> Card:
    """Return the card beside a model file, once the digests of graph and codebooks have been checked.

    Raises ModelError, in one line, if a file is missing, broken or not the one that the card describes, or if the
    vectors' dimension is not this service's.
    """
    folder = model.parent
    try:
        content = json.loads(read_file(folder / CARD))
        check_file(model, content["files"]["model.onnx"])
        check_file(folder / CODEBOOKS, content["files"][CODEBOOKS])
        dimension = int(content["dimension"])
        if dimension != DIMENSION:
            raise ModelError(f"{folder / CARD}: its vectors have {dimension} numbers, this service's have {DIMENSION}")
        has_map = "map" in content["outputs"]
        return Card(
            name=str(content["name"]),
            side=int(content["input"]["side"]),
            has_feature_map=has_map,
            calibration={kind: _calibration(content["calibration"][kind]) for kind in Kind},
            match_scorer=MatchScorer.from_card(content["proof"]) if has_map else NEVER_MATCHES,
            codebooks=_codebooks(folder / CODEBOOKS),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{folder / CARD}: not a model's card: {error!r}") from error


def name_of(model: Path) -> str:
    """Return the name in the card beside a model file, without checking either. Raises ModelError."""
    try:
        return str(json.loads(read_file(model.parent / CARD))["name"])
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{model.parent / CARD}: not a model's card: {error!r}") from error


def check_file(path: Path, digest: str) -> None:
    """Raise ModelError unless a file has the digest that the card names."""
    found = hashlib.sha256(read_file(path)).hexdigest()
    if found != digest:
        raise ModelError(
            f"{path}: its SHA-256 is {found[:16]}…, its card says {digest[:16]}…: truncated, or another model's; "
            "run `make model`"
        )


def _calibration(values: Mapping[str, Any]) -> Calibration:
    calibration = Calibration(float(values["slope"]), float(values["offset"]), float(values["threshold"]))
    if not (calibration.slope > 0 and math.isfinite(calibration.offset)):
        raise ValueError("a score that does not grow with the cosine")
    return calibration


def _codebooks(path: Path) -> dict[Kind, NDArray[np.float32]]:
    with np.load(path, allow_pickle=False) as arrays:
        codebooks = {kind: np.ascontiguousarray(arrays[kind], np.float32) for kind in Kind}
    for kind, codebook in codebooks.items():
        if codebook.shape != CODEBOOK_SHAPE:
            raise ModelError(f"{path}: the codebook of {kind} has shape {codebook.shape}, not {CODEBOOK_SHAPE}")
    return codebooks
