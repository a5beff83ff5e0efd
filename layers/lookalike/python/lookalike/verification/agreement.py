"""Agreement: how much of two pictures that lie on each other agrees, and which parts do not.

A frame, a banner or an outline proves that two pictures are of one kind. Only what lies inside tells whether they are the
same picture: block by block, the query must correlate with the original within a pixel, and one affine map of colours must
take the original's to the query's everywhere.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.geometry import Affine, Agreement
from lookalike.verification.affine import homogeneous
from lookalike.verification.block_search import BlockMatches, match_blocks
from lookalike.verification.colour_map import CELL_SIDE, compare_colours
from lookalike.verification.overlay import Matrix, Overlays, Picture
from lookalike.verification.regions import Grid, boxes_of
from lookalike.verification.registration import COARSE, FINE, register
from lookalike.verification.sharpness import equally_sharp

#: Pixels a side of the blocks that are compared.
BLOCK_SIDE = 16

#: Pixels of an overlay's edge that are not compared.
_RIM = 4

#: Pixels that a block may lie off its place.
REACH = 1

#: Smallest standard deviation (exclusive), in grey levels, in either picture, of a block that is compared: in clean
#: pictures, and however noisy they are.
MIN_DEVIATION = 5.0
MIN_DEVIATION_IN_NOISE = 15.0

#: A block is compared where its deviation is larger than so many times the noise.
_DEVIATION_TO_NOISE = 2.0

#: Standard deviation from which on more contrast does not weigh more.
_MAX_WEIGHT_DEVIATION = 60.0

#: Smallest share (exclusive) of a block that the query must cover.
_MIN_COVERAGE = 0.98

#: Smallest correlation of a block that agrees: text of two pages reaches 0.7, a copy's blocks are above 0.9.
MIN_CORRELATION = 0.8

#: Correlation (exclusive) up to which a block disagrees beyond doubt.
MAX_DISAGREEING_CORRELATION = 0.6

#: Blocks a side of the windows of which the weakest is looked for.
_WINDOW = 5

#: Smallest weight of a window, as a share of the whole picture's.
_MIN_WINDOW_WEIGHT = 0.02


def measure_agreement(query: Picture, original: Picture, transform: Affine) -> Agreement | None:
    """Return how much of two pictures agrees, given the transform from fractions of the query to the original's.

    None if the transform moves the query off the original.
    """
    try:
        overlays = Overlays(query, original, transform)
    except ValueError:
        return None
    matrix = register(overlays, homogeneous(transform), COARSE)
    agreement = _agreement(overlays, matrix)
    if agreement.agrees:
        return agreement
    # Only where something disagrees is it worth asking whether it lies a pixel off, or askew.
    refined = _agreement(overlays, register(overlays, matrix, FINE))
    return max(agreement, refined, key=lambda one: (one.agrees, one.share))


def _agreement(overlays: Overlays, matrix: Matrix) -> Agreement:
    """Return the agreement under a registered map."""
    grey = equally_sharp(overlays.grey(matrix).without_rim(_RIM))
    blocks = match_blocks(grey, BLOCK_SIDE, REACH)
    weights, noise = _weights(blocks)
    total = float(weights.sum())
    share = 1 - float(weights[blocks.correlation < MIN_CORRELATION].sum()) / total if total else 1.0
    disagreeing = np.where(blocks.correlation < MAX_DISAGREEING_CORRELATION, weights, 0)
    colour = overlays.colour(matrix)
    colours = compare_colours(colour)
    width, height = grey.width + 2 * _RIM, grey.height + 2 * _RIM
    return Agreement(
        share=share,
        weakest=1 - _largest_share(disagreeing, weights),
        recoloured=colours.recoloured,
        hue_turned=colours.hue_turned,
        noise=noise,
        regions=boxes_of(disagreeing > 0, Grid(overlays.frame, width, height, BLOCK_SIDE // 2, BLOCK_SIDE, _RIM)),
        recoloured_regions=boxes_of(
            colours.cells, Grid(overlays.frame, colour.width, colour.height, CELL_SIDE, CELL_SIDE)
        ),
    )


def _weights(blocks: BlockMatches) -> tuple[NDArray[np.float32], float]:
    """Return the blocks' weights, and the noise as a share of their deviations.

    A weight is the root of the larger deviation; 0 for plain ground and what is not covered.
    """
    deviation = np.maximum(blocks.deviation, blocks.other_deviation)
    compared = (blocks.coverage > _MIN_COVERAGE) & (deviation > MIN_DEVIATION)
    # What differs in half of the blocks is noise: of compression, of a print, or of a camera.
    differing = np.sqrt(1 - np.square(np.clip(blocks.correlation, 0, 1)))[compared]
    noise = float(np.median(differing * deviation[compared])) if len(differing) else 0.0
    relative = float(np.median(differing)) if len(differing) else 0.0
    compared &= deviation > min(_DEVIATION_TO_NOISE * noise, MIN_DEVIATION_IN_NOISE)
    weights: NDArray[np.float32] = np.sqrt(np.where(compared, np.minimum(deviation, _MAX_WEIGHT_DEVIATION), 0))
    return weights, relative


def _largest_share(part: NDArray[np.float32], whole: NDArray[np.float32]) -> float:
    """Return the largest share of ``whole`` that ``part`` is in any window; of few weights it counts less."""
    total = float(whole.sum())
    if not total:
        return 0.0
    parts, wholes = _window_sums(part), _window_sums(whole)
    return float(np.max(parts / np.maximum(wholes, total * _MIN_WINDOW_WEIGHT)))


def _window_sums(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return sums over all windows of _WINDOW blocks a side, or of the whole picture where it has fewer."""
    rows, columns = (min(_WINDOW, side) for side in values.shape)
    sums = np.pad(values.astype(np.float64), ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    down = sums[rows:] - sums[:-rows]
    return np.asarray(down[:, columns:] - down[:, :-columns])
