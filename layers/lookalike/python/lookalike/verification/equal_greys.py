"""Pictures whose colours have about the same grey, such as red shapes on a green of the same brightness.

Their thumbnails and their greys are next to flat, so that nothing is matched there. What they show lies along another axis
of colours: the principal one (principal component analysis: Hotelling, 1933). Along it they are compared as any others are
in grey.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.domain.geometry import IDENTITY, WHOLE, GeometricMatch
from lookalike.embedding.feature_map import THUMBNAIL_SIDE, FeatureMap
from lookalike.verification.matching import ViewFeatures
from lookalike.verification.overlay import Axis, Picture

#: Largest standard deviation, in grey levels, of thumbnails that show next to nothing: of 2,500 photographs and posters one
#: has less.
MAX_GREY_DEVIATION = 6.0

#: Largest mean difference of two such thumbnails, in grey levels.
MAX_GREY_DIFFERENCE = 3.0

#: Largest ratio of the proportions of two pictures that are laid on each other as wholes.
MAX_PROPORTION = 1.05

#: Pictures that the query is laid on at most, the nearest ones.
MAX_PLACED = 3

#: Smallest ratio of the deviations along the principal axis and of greys.
MIN_DEVIATION_RATIO = 2.0

#: Width and height, in pixels, at which deviations are measured.
_SMALL = THUMBNAIL_SIDE, THUMBNAIL_SIDE

#: Weights of red, green and blue in a grey (ITU-R BT.601).
_LUMINANCE = np.array([0.299, 0.587, 0.114])

#: Grey level of the mean colour.
_MIDDLE = 128.0


def place_whole(views: Sequence[ViewFeatures], candidates: Sequence[FeatureMap]) -> dict[int, GeometricMatch]:
    """Return the first candidates that the whole query may lie on though both show next to nothing in grey, by number.

    The probabilities are 0: a place proves nothing.
    """
    flat = [view for view in views if view.to_view == IDENTITY and _is_flat(view.thumbnail)]
    found = [number for number, one in enumerate(candidates) for view in flat if _may_be_same(view, one)]
    return {number: GeometricMatch(0.0, 0, 0.0, IDENTITY, WHOLE) for number in list(dict.fromkeys(found))[:MAX_PLACED]}


def _may_be_same(view: ViewFeatures, candidate: FeatureMap) -> bool:
    proportion = (view.sqrt_aspect_ratio / candidate.sqrt_aspect_ratio) ** 2
    difference = np.abs(view.thumbnail.astype(np.float32) - candidate.thumbnail).mean()
    return (
        1 / MAX_PROPORTION <= proportion <= MAX_PROPORTION
        and _is_flat(candidate.thumbnail)
        and bool(difference <= MAX_GREY_DIFFERENCE)
    )


def _is_flat(grey: NDArray[np.uint8] | NDArray[np.float32]) -> bool:
    return bool(grey.std() < MAX_GREY_DEVIATION)


def telling_axis(original: Picture) -> Axis | None:
    """Return the principal axis of a picture's colours if its greys, next to flat, tell less; None if they do not."""
    if not _is_flat(np.asarray(original.grey.resize(_SMALL, Image.Resampling.BOX), np.float32)):
        return None
    colours = np.asarray(original.colour.resize(_SMALL, Image.Resampling.BOX), np.float64).reshape(-1, 3)
    least = max(MIN_DEVIATION_RATIO * float((colours @ _LUMINANCE).std()), MAX_GREY_DEVIATION)
    variances, axes = np.linalg.eigh(np.cov(colours.T))
    if math.sqrt(max(float(variances[-1]), 0.0)) < least:
        return None
    principal: NDArray[np.float64] = axes[:, -1]
    largest = int(np.argmax(np.abs(principal)))
    red, green, blue = (principal * np.sign(principal[largest])).tolist()
    return red, green, blue, _MIDDLE - float(colours.mean(axis=0) @ (red, green, blue))
