"""Figures of the documentation show what the engine does today."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL.PngImagePlugin import PngImageFile

from docs.figures import search

#: Bytes that a figure may take in the repository.
MAX_BYTES = 200_000


def test_the_searches_are_drawn_as_they_are_answered() -> None:
    answered = search.answers()
    with PngImageFile(search.FIGURE) as figure:
        shown = json.loads(figure.text["answers"])
        assert [(one.query, one.picture) for one in answered] == [(query, picture) for query, picture, _ in shown]
        for one, (_, _, score) in zip(answered, shown, strict=True):
            assert one.score == (None if score is None else pytest.approx(score, abs=1e-3))
        drawn = np.asarray(search.draw(answered).convert("RGB"), np.int16)
        assert np.abs(drawn - np.asarray(figure.convert("RGB"), np.int16)).mean() < 3, "draw it again"
    assert search.FIGURE.stat().st_size < MAX_BYTES
