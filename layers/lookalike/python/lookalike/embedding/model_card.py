"""The model's card: what a model file takes, what it answers, how its cosines are to be read.

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
from lookalike.errors import ModelError
from lookalike.verification.match_score import NO_PROOF, ProofCalibration

CARD = "card.json"
CODEBOOKS = "codebooks.npz"

#: A 4-bit product quantiser's centroids: 128 parts of a vector, 16 centroids each, of two numbers.
CODEBOOK_SHAPE = (DIMENSION // 2, 16, 2)


@dataclass(frozen=True, slots=True)
class Calibration:
    """How a kind's cosines are read: ``1 / (1 + exp(offset − slope · cosine))``, and the cosine that counts as found."""

    slope: float
    offset: float
    threshold: float

    def score(self, cosine: float) -> float:
        """The score of a cosine, in (0, 1)."""
        return 1.0 / (1.0 + math.exp(self.offset - self.slope * cosine))


@dataclass(frozen=True, slots=True, eq=False)
class Card:
    """What is known of a model.

    ``side`` is the side of the square input, in pixels. ``local_map`` says whether the graph makes local maps.
    ``proof`` says how what a verifier sees of two maps is to be read. ``codebooks`` holds a float32 array of shape CODEBOOK_SHAPE per kind.
    """

    name: str
    side: int
    local_map: bool
    calibration: Mapping[Kind, Calibration]
    proof: ProofCalibration
    codebooks: Mapping[Kind, NDArray[np.float32]]


def load(model: Path) -> Card:
    """The card beside a model file, after both and the codebooks were found to belong together.

    Raises ModelError with one line that says which file is missing, broken, not the one the card describes, or
    of another dimension than this service's.
    """
    folder = model.parent
    try:
        content = json.loads(_read(folder / CARD))
        _check(model, content["files"]["model.onnx"])
        _check(folder / CODEBOOKS, content["files"][CODEBOOKS])
        dimension = int(content["dimension"])
        if dimension != DIMENSION:
            raise ModelError(f"{folder / CARD}: its vectors have {dimension} numbers, this service's have {DIMENSION}")
        has_map = "map" in content["outputs"]
        return Card(
            name=str(content["name"]),
            side=int(content["input"]["side"]),
            local_map=has_map,
            calibration={kind: _calibration(content["calibration"][kind]) for kind in Kind},
            proof=ProofCalibration.of(content["proof"]) if has_map else NO_PROOF,
            codebooks=_codebooks(folder / CODEBOOKS),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{folder / CARD}: not a model's card: {error!r}") from error


def name_of(model: Path) -> str:
    """What the card beside a model file calls it; neither of the two is looked into any further. Raises ModelError."""
    try:
        return str(json.loads(_read(model.parent / CARD))["name"])
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{model.parent / CARD}: not a model's card: {error!r}") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}; run `make model`") from error


def _check(path: Path, digest: str) -> None:
    """Refuse a file that is not, to the last byte, the one the card was written for."""
    found = hashlib.sha256(_read(path)).hexdigest()
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
