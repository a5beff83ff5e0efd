"""Figures of the documentation show what the engine does today."""

from __future__ import annotations

import json
from types import ModuleType

import numpy as np
import pytest
from PIL.PngImagePlugin import PngImageFile

from docs.figures import drawing, engine, kinds, search, stages

#: Bytes that a figure may take in the repository.
MAX_BYTES = 200_000


@pytest.mark.parametrize("figure", [search, stages])
def test_searches_are_drawn_as_they_are_answered(figure: ModuleType) -> None:
    answered = engine.answers(figure.queries())
    with PngImageFile(figure.FIGURE) as committed:
        shown = json.loads(committed.text["answers"])
        assert [[one.query, one.stage, one.picture] for one in answered] == [said[:3] for said in shown]
        for one, (*_, score) in zip(answered, shown, strict=True):
            assert one.score == (None if score is None else pytest.approx(score, abs=5e-3))
        drawn = np.asarray(drawing.draw(figure.queries(), answered).convert("RGB"), np.int16)
        assert np.abs(drawn - np.asarray(committed.convert("RGB"), np.int16)).mean() < 3, "draw it again"
    assert figure.FIGURE.stat().st_size < MAX_BYTES
    if figure is stages:
        assert [one.query[0] for one in answered] == [str(one.stage) for one in answered] == list("1234")


def test_what_is_told_apart_is_drawn_as_it_is_answered() -> None:
    told = kinds.told()
    with PngImageFile(kinds.FIGURE) as committed:
        shown = json.loads(committed.text["answers"])
        for one, (kind, *answers) in zip(told, shown, strict=True):
            assert one.kind == kind
            for answer, said in zip((one.own, one.other), answers, strict=True):
                assert (answer and answer[0]) == (said and said[0])
                assert (answer and answer[1]) == (said and pytest.approx(said[1], abs=5e-3))
        drawn = np.asarray(kinds.draw(told).convert("RGB"), np.int16)
        assert np.abs(drawn - np.asarray(committed.convert("RGB"), np.int16)).mean() < 3, "draw it again"
    assert kinds.FIGURE.stat().st_size < MAX_BYTES
    for one in told:
        assert one.own is None or one.other is None or one.own[1] > one.other[1]
