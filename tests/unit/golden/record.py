"""Records what the built model makes of the small pictures, and the figures that follow from it.

Run it from the repository's root: after a picture was added, after a new model, or after a change that is meant to
change figures. Then read what it has changed: ``python -m tests.unit.golden.record``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lookalike.domain.library import Kind
from lookalike.domain.picture import Embedding, Pixels
from lookalike.embedding.embedder import OnnxEmbedder
from lookalike.embedding.model_path import find_model
from tests.support.keypoints import of_patches
from tests.unit.golden.figures import CARD, EXPECTED, KERNELS, RECORDED, digest_of, figures, run, written


class RecordingEmbedder:
    """The real embedder, remembering what it has made."""

    def __init__(self, real: OnnxEmbedder) -> None:
        self.model = real.model
        self.score, self.threshold, self.codebook = real.score, real.threshold, real.codebook
        self.seen = real.seen
        self.keypoints = of_patches
        self.made: dict[str, Embedding] = {}
        self._real = real

    def embed(self, pictures: Sequence[Pixels]) -> Sequence[Embedding]:
        """What the real one makes of each."""
        embeddings = self._real.embed(pictures)
        self.made |= {digest_of(pixels): made for pixels, made in zip(pictures, embeddings, strict=True)}
        return embeddings


def main() -> None:
    """Write embeddings, the card's calibrations and figures beside this file."""
    if not KERNELS.items() <= os.environ.items():
        run("tests.unit.golden.record")
        return
    model = find_model(None)
    real = OnnxEmbedder(model)
    embedder = RecordingEmbedder(real)
    made = figures(embedder, real.match_scorer)
    digests = sorted(embedder.made)
    embeddings = [embedder.made[digest] for digest in digests]
    np.savez_compressed(
        RECORDED,
        digests=np.array(digests),
        vectors=np.stack([[of.vectors[kind] for kind in Kind] for of in embeddings]),
        maps=np.stack([np.frombuffer(of.feature_map, np.uint8) for of in embeddings]),
    )
    card = json.loads(Path(model.parent / "card.json").read_text())
    read = {kind: {name: card["calibration"][kind][name] for name in ("slope", "offset", "threshold")} for kind in Kind}
    CARD.write_text(json.dumps({"name": card["name"], "calibration": read, "proof": card["proof"]}, indent=1) + "\n")
    EXPECTED.write_text(written(made))


if __name__ == "__main__":
    main()
