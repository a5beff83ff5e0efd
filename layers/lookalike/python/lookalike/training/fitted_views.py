"""The views of a query that heads, and the scores of matches, are fitted on.

A search takes its looks one after another, and seldom looks at corners. Fitting wants views that every query has.
"""

from __future__ import annotations

from collections.abc import Sequence

from lookalike.domain.library import Kind
from lookalike.domain.picture import Pixels
from lookalike.service.looks import View, corner_views, whole_view


def fitted_views(kind: Kind, pixels: Pixels) -> Sequence[View]:
    """Return the whole of a query, uint8 RGB, and for ``same`` its four corners, too."""
    return [*whole_view(pixels), *(corner_views(pixels) if kind is Kind.SAME else ())]


def fitted_crops(kind: Kind, pixels: Pixels) -> list[Pixels]:
    """Return what these views show, to be embedded."""
    return [view.pixels for view in fitted_views(kind, pixels)]
