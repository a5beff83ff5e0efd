"""Looks: the ways in which a search for the same picture looks at its query, in their order.

A look makes views of the query. Each view is embedded and searched for, and what is near to any of them is matched with
them. Another way of looking is another entry of PART_LOOKS.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lookalike.domain.geometry import IDENTITY, Affine, Box, QueryView
from lookalike.domain.picture import Embedding, Pixels
from lookalike.domain.search import LookTaken
from lookalike.embedding.query_crops import CORNER_BOXES, crop
from lookalike.limits.call import Call
from lookalike.verification.affine import crop_transform
from lookalike.verification.pixelation import smoothed_if_pixelated
from lookalike.verification.quadrilaterals import detect_quadrilaterals
from lookalike.verification.windows import detect_windows

#: The middle of a query: 0.7 of each side.
MIDDLE = Box(0.15, 0.15, 0.85, 0.85)


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What a look shows the model.

    ``pixels`` are uint8 RGB (height, width, 3), ``to_view`` moves the query's points to the view's. ``full``: the view
    shows a picture from edge to edge, not a piece of one.
    """

    pixels: Pixels
    to_view: Affine
    full: bool


@dataclass(frozen=True, slots=True)
class Look:
    """A way of looking.

    ``views`` makes the views of a query, given its pixels; none if there is nothing to look at in this way.
    ``keypoints``: originals are read for what feature maps leave undecided, and matched with the whole query: before the
    first look that is taken ``after_originals``.
    ``view_keypoints``: where a look verifies nothing, the nearest picture's is read, and matched with the view that shows it.
    """

    name: str
    views: Callable[[Pixels], Sequence[View]]
    keypoints: bool = False
    after_originals: bool = False
    view_keypoints: bool = False


def report_looks(call: Call, looks: Sequence[LookTaken]) -> None:
    """Tell a call how long the stages of its search have taken, all looks together."""
    for look in looks:
        call.looked("prepare", look.prepare_ms)
        call.looked("embed", look.embed_ms)
        call.looked("search", look.search_ms)
        call.looked("verify", look.verify_ms)


def whole_view(pixels: Pixels) -> Sequence[View]:
    """Return the whole picture."""
    return [View(pixels, IDENTITY, full=True)]


def smoothed_view(pixels: Pixels) -> Sequence[View]:
    """Return the whole picture without squares, if it is pixelated."""
    smoothed = smoothed_if_pixelated(pixels)
    return [] if smoothed is None else [View(smoothed, IDENTITY, full=True)]


def window_views(pixels: Pixels) -> Sequence[View]:
    """Return the pictures on a page, in a collage or a screenshot, or within a plain border."""
    return [View(crop(pixels, box), crop_transform(box), full=True) for box in detect_windows(pixels)]


def quadrilateral_views(pixels: Pixels) -> Sequence[View]:
    """Return pictures that lie askew within the picture, as seen from straight ahead, and beside them its middle.

    Edges of a screen or a print are often found a little beside its picture, but then most of the middle is the picture:
    with it, 3 more of 98 photographs of prints and screens are verified, for a third of a pass where nothing is.
    """
    views = [View(found.rectified(pixels), found.to_unit_square, full=True) for found in detect_quadrilaterals(pixels)]
    return [*views, View(crop(pixels, MIDDLE), crop_transform(MIDDLE), full=False)] if views else []


def corner_views(pixels: Pixels) -> Sequence[View]:
    """Return the four corners."""
    return [View(crop(pixels, box), crop_transform(box), full=False) for box in CORNER_BOXES]


def query_views(views: Sequence[View], embeddings: Sequence[Embedding]) -> list[QueryView]:
    """Return the views as they are matched, given their embeddings in the same order."""
    return [
        QueryView(view.to_view, embedding.feature_map, view.full)
        for view, embedding in zip(views, embeddings, strict=True)
    ]


#: The first look of every search, which settles most searches for copies.
WHOLE_LOOK = Look("whole", whole_view, keypoints=True)

#: The looks where the whole picture settles nothing, in order.
PART_LOOKS = (
    Look("smoothed", smoothed_view),
    Look("windows", window_views, view_keypoints=True),
    Look("quadrilaterals", quadrilateral_views, after_originals=True, view_keypoints=True),
)

#: The look where the library holds several copies, and where the model makes no feature maps: there the best cosine of any
#: view counts. As one of PART_LOOKS it verified one copy in 272 that the others did not.
CORNERS_LOOK = Look("corners", corner_views)
