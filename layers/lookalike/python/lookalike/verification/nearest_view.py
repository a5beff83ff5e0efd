"""Which view of a query shows a picture."""

from __future__ import annotations

from collections.abc import Sequence

from lookalike.domain.geometry import WHOLE, QueryView
from lookalike.embedding.feature_map import unpack
from lookalike.verification.matching import mean_cell_cosine


def nearest_view(views: Sequence[QueryView], feature_map: bytes) -> int | None:
    """Return the number of the full view whose cells are most like those of a picture, given its feature map.

    None if no view is full and has a feature map, or if the bytes are none.
    """
    picture = unpack(feature_map)
    if picture is None:
        return None
    unpacked = ((number, unpack(view.feature_map)) for number, view in enumerate(views) if view.full)
    cosines = {number: mean_cell_cosine(made, picture, WHOLE) for number, made in unpacked if made is not None}
    return max(cosines, key=cosines.__getitem__, default=None)
