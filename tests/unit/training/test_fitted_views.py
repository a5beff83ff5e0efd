"""What is fitted is fitted on the whole of a query and, for ``same``, on its corners."""

from __future__ import annotations

import numpy as np
import pytest

from lookalike.domain.geometry import IDENTITY
from lookalike.domain.library import Kind
from lookalike.embedding.query_crops import CORNER_BOXES
from lookalike.training.fitted_views import fitted_crops, fitted_views
from lookalike.verification.affine import crop_transform

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)


@pytest.mark.parametrize("kind", [Kind.SIMILAR, Kind.PRODUCT])
def test_other_kinds_show_the_whole_picture_alone(kind: Kind) -> None:
    (shown,) = fitted_crops(kind, PIXELS)
    assert np.array_equal(shown, PIXELS)


def test_same_shows_the_whole_and_its_four_corners() -> None:
    whole, *corners = fitted_views(Kind.SAME, PIXELS)
    assert (whole.to_view, whole.full) == (IDENTITY, True)
    assert [view.to_view for view in corners] == [crop_transform(box) for box in CORNER_BOXES]
    assert not any(view.full for view in corners)
    shown = fitted_crops(Kind.SAME, PIXELS)
    assert [view.shape for view in shown] == [(20, 30, 3), *[(12, 18, 3)] * 4]
