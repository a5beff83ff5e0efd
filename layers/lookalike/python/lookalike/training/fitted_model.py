"""A fitted model, and the files that it is written to."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.library import Kind
from lookalike.domain.picture import DIMENSION
from lookalike.embedding.model_path import CARD, CODEBOOKS
from lookalike.training import efficientnet_onnx, export_onnx
from lookalike.training.fit_heads import CELL_DIMENSION
from lookalike.training.fitted_card import sha256, write_card
from lookalike.training.heads import Heads, descriptors_by_kind

#: The file that lists the pictures used, by the first 16 hex digits of each file's SHA-256, a line each.
LEARNT = "learnt.txt"


@dataclass(frozen=True, slots=True, eq=False)
class FittedModel:
    """A fitted model.

    ``learnt`` are the pictures' SHA-256s; ``calibration`` and ``record`` are the card's entries of scores and of the fit.
    """

    name: str
    size: efficientnet_onnx.Size
    graph: bytes
    heads: Heads
    codebooks: Mapping[str, NDArray[np.float32]]
    learnt: Sequence[str]
    calibration: Mapping[str, Any]
    record: Mapping[str, Any]

    def write(self, folder: Path, base: Mapping[str, Any] | None = None) -> None:
        """Write all files to a folder, the card last; it continues ``base``, or the card that is there."""
        self.heads.save(folder / export_onnx.HEADS)
        np.savez(folder / CODEBOOKS, allow_pickle=False, **self.codebooks)
        (folder / "model.onnx").write_bytes(self.graph)
        (folder / LEARNT).write_text("".join(f"{digest[:16]}\n" for digest in sorted(self.learnt)))
        write_card(folder / CARD, self._entries(folder), base)

    def _entries(self, folder: Path) -> dict[str, Any]:
        """Return the card's entries, digests of the files in the folder included."""
        outputs = {str(kind): {"type": "float32", "shape": ["N", DIMENSION], "norm": 1} for kind in Kind}
        side = efficientnet_onnx.MAP_SIDE
        return {
            "name": self.name,
            "dimension": DIMENSION,
            "input": {
                "name": "pictures",
                "type": "uint8",
                "shape": ["N", self.size.side, self.size.side, 3],
                "side": self.size.side,
                "channels": "RGB",
                "resize": "squashed to a square, bicubic",
            },
            "outputs": outputs | {"map": {"type": "int8", "shape": ["N", side, side, CELL_DIMENSION]}},
            "looks_at": descriptors_by_kind(self.size.taps),
            "calibration": self.calibration,
            "fit": self.record,
            "files": {file: sha256(folder / file) for file in ("model.onnx", export_onnx.HEADS, CODEBOOKS)},
        }


def with_digest(name: str, graph: bytes) -> str:
    """Append the first 8 hex digits of the graph's SHA-256 to a name that ends in ``-``; return others unchanged."""
    return f"{name}{hashlib.sha256(graph).hexdigest()[:8]}" if name.endswith("-") else name
