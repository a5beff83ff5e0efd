"""What is recorded of the small pictures is what the embedder makes of them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from lookalike.domain.library import Kind
from lookalike.embedding.embedder import OnnxEmbedder
from lookalike.embedding.feature_map import unpack
from lookalike.embedding.model_path import find_model
from tests.unit.golden.figures import CARD, FOLDER, LIBRARY, RecordedEmbedder


@pytest.fixture(scope="module")
def embedder() -> OnnxEmbedder:
    return OnnxEmbedder(find_model(None))


@pytest.mark.parametrize("name", LIBRARY)
def test_the_recording_is_this_model_s(embedder: OnnxEmbedder, name: str) -> None:
    """Nearly, as sums within a pass come in another order on another processor; thumbnails are Pillow's, and exact."""
    pixels = np.asarray(Image.open(FOLDER / f"{name}.png").convert("RGB"))
    (made,), (recorded,) = embedder.embed([pixels]), RecordedEmbedder().embed([pixels])
    for kind in Kind:
        assert np.allclose(made.vectors[kind], recorded.vectors[kind], atol=2e-3)
    ours, theirs = unpack(made.feature_map), unpack(recorded.feature_map)
    assert ours is not None
    assert theirs is not None
    assert (ours.width, ours.height) == (theirs.width, theirs.height)
    assert np.abs(ours.cells.astype(int) - theirs.cells).max() <= 2
    assert np.array_equal(ours.thumbnail, theirs.thumbnail)


def test_the_recorded_calibrations_are_the_card_s(embedder: OnnxEmbedder) -> None:
    recorded = RecordedEmbedder()
    assert (recorded.model, recorded.match_scorer) == (embedder.model, embedder.match_scorer)
    assert json.loads(CARD.read_text()).keys() == {"name", "calibration", "proof"}
    for kind in Kind:
        assert recorded.threshold(kind) == embedder.threshold(kind)
        assert recorded.score(kind, 0.5) == embedder.score(kind, 0.5)
