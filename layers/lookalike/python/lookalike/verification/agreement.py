"""Agreement: how much of two pictures that lie on each other agrees, and which parts do not.

A frame, a banner or an outline proves that two pictures are of one kind. Only what lies inside tells whether they are the
same picture: block by block, the query must correlate with the original within a pixel, nothing may stand out in one place
that the original does not explain, and one affine map of colours must take the original's to the query's everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.geometry import MAX_CLEAN_NOISE, MAX_CONCENTRATION, Affine, Agreement, Box
from lookalike.verification.affine import homogeneous
from lookalike.verification.block_search import BlockMatches, match_blocks
from lookalike.verification.colour_map import CELL_SIDE, compare_colours
from lookalike.verification.overlay import Matrix, Overlays, Picture
from lookalike.verification.regions import MAX_REGIONS, Grid, boxes_of
from lookalike.verification.registration import COARSE, FINE, distance, register
from lookalike.verification.residual import RESIDUAL_CELL_SIDE, find_residual, may_concentrate
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

#: The same in clean pictures: of a club and a spade some blocks have 0.8, of copies few have less than 0.9.
MIN_CORRELATION_IN_CLEAN = 0.9

#: Correlation (exclusive) up to which a block disagrees beyond doubt.
MAX_DISAGREEING_CORRELATION = 0.6

#: Share of the original's sides that registration may move a corner of the query before it is begun anew, to the pixel.
_MAX_WANDERING = 0.01

#: Smallest share that agrees at once from an exact start, for finer registration to be worth its time: crops have 0.85,
#: strangers 0.1 at most.
MIN_PROMISING_SHARE = 0.5

#: Blocks a side of the windows of which the weakest is looked for.
_WINDOW = 5

#: Smallest weight of a window, as a share of the whole picture's.
_MIN_WINDOW_WEIGHT = 0.02


def measure_agreement(query: Picture, original: Picture, transform: Affine, *, exact: bool = False) -> Agreement | None:
    """Return how much of two pictures agrees, given the transform from fractions of the query to the original's.

    ``exact``: the transform is good to a pixel of a thumbnail, not to a cell. None if it moves the query off the original.
    """
    try:
        overlays = Overlays(query, original, transform)
    except ValueError:
        return None
    comparisons = _comparisons(overlays, homogeneous(transform), exact=exact)
    found = max(comparisons, key=lambda one: (one.agreement.agrees, one.agreement.share))
    return found.with_regions(overlays.frame)


def _comparisons(overlays: Overlays, start: Matrix, *, exact: bool) -> Iterator[_Comparison]:
    """Yield comparisons under maps registered from ``start``, until one agrees.

    Only where something disagrees is it worth asking whether it lies a pixel off, or askew; and whether lines of a form
    were taken for the next ones, where registration has led far from an exact start. An exact start that leads to little
    is another picture's.
    """
    matrix = register(overlays, start, COARSE)
    yield (found := _Comparison.of(overlays, matrix))
    if exact and found.agreement.share < MIN_PROMISING_SHARE:
        return
    if not found.agreement.agrees:
        matrix = register(overlays, matrix, FINE)
        yield (found := _Comparison.of(overlays, matrix))
    if exact and not found.agreement.agrees and distance(start, matrix) > _MAX_WANDERING:
        yield _Comparison.of(overlays, register(overlays, start, FINE))


@dataclass(frozen=True, slots=True, eq=False)
class _Comparison:
    """Two pictures compared under one registered map: their ``agreement``, and what does not agree.

    ``disagreeing``, bool (rows, columns), are blocks, ``recoloured`` and ``unexplained`` are cells of their own sides. ``sizes`` are width and height, in pixels,
    of the overlays in grey and in colour that these belong to.
    """

    agreement: Agreement
    disagreeing: NDArray[np.bool_]
    recoloured: NDArray[np.bool_]
    unexplained: NDArray[np.bool_]
    sizes: tuple[tuple[int, int], tuple[int, int]]

    @staticmethod
    def of(overlays: Overlays, matrix: Matrix) -> _Comparison:
        """Compare two pictures."""
        grey = equally_sharp(overlays.grey(matrix).without_rim(_RIM))
        blocks = match_blocks(grey, BLOCK_SIDE, REACH)
        weights, noise = _weights(blocks)
        total = float(weights.sum())
        least = MIN_CORRELATION_IN_CLEAN if noise < MAX_CLEAN_NOISE else MIN_CORRELATION
        disagreeing = np.where(blocks.correlation < MAX_DISAGREEING_CORRELATION, weights, 0)
        unlike = np.where(blocks.correlation < least, weights, 0)
        colour = overlays.colour(matrix)
        colours = compare_colours(colour)
        agreement = Agreement(
            share=1 - float(unlike.sum()) / total if total else 1.0,
            weakest=1 - _largest_share(disagreeing, weights),
            recoloured=colours.recoloured,
            hue_turned=colours.hue_turned,
            noise=noise,
            blocks=int(np.count_nonzero(weights)),
            colour_difference=colours.difference,
            block_difference=max(_differences(blocks)[disagreeing > 0].tolist(), default=0.0),
            vividly_turned=colours.vividly_turned,
        )
        unexplained = np.zeros((0, 0), bool)
        if agreement.agrees and may_concentrate(blocks):
            residual = find_residual(grey)
            agreement = replace(agreement, concentration=residual.concentration)
            unexplained = residual.ratios > MAX_CONCENTRATION
        sizes = (grey.width + 2 * _RIM, grey.height + 2 * _RIM), (colour.width, colour.height)
        shown = disagreeing if disagreeing.any() or unexplained.any() else unlike
        return _Comparison(agreement, shown > 0, colours.cells, unexplained, sizes)

    def with_regions(self, frame: Box) -> Agreement:
        """Return the agreement with the regions that do not agree, in a frame of the original.

        What noise leaves of two pictures that agree is no region.
        """
        grey, colour = self.sizes
        cells = Grid(frame, *grey, RESIDUAL_CELL_SIDE // 2, RESIDUAL_CELL_SIDE, _RIM)
        blocks = Grid(frame, *grey, BLOCK_SIDE // 2, BLOCK_SIDE, _RIM)
        regions = boxes_of(self.unexplained, cells) + boxes_of(self.disagreeing, blocks)
        recoloured = boxes_of(self.recoloured, Grid(frame, *colour, CELL_SIDE, CELL_SIDE))
        return replace(
            self.agreement,
            regions=() if self.agreement.structure_agrees else regions[:MAX_REGIONS],
            recoloured_regions=() if self.agreement.colours_agree else recoloured,
        )


def _weights(blocks: BlockMatches) -> tuple[NDArray[np.float32], float]:
    """Return the blocks' weights, and the noise as a share of their deviations.

    A weight is the root of the larger deviation; 0 for plain ground and what is not covered.
    """
    deviation = np.maximum(blocks.deviation, blocks.other_deviation)
    compared = (blocks.coverage > _MIN_COVERAGE) & (deviation > MIN_DEVIATION)
    # What differs in half of the blocks is noise: of compression, of a print, or of a camera.
    differing = _unshared(blocks)[compared]
    noise = float(np.median(differing * deviation[compared])) if len(differing) else 0.0
    relative = float(np.median(differing)) if len(differing) else 0.0
    compared &= deviation > min(_DEVIATION_TO_NOISE * noise, MIN_DEVIATION_IN_NOISE)
    weights: NDArray[np.float32] = np.sqrt(np.where(compared, np.minimum(deviation, _MAX_WEIGHT_DEVIATION), 0))
    return weights, relative


def _unshared(blocks: BlockMatches) -> NDArray[np.float32]:
    """Return what blocks do not share, as shares of their standard deviations."""
    return np.asarray(np.sqrt(1 - np.square(np.clip(blocks.correlation, 0, 1))))


def _differences(blocks: BlockMatches) -> NDArray[np.float32]:
    """Return what blocks do not share, as standard deviations in grey levels."""
    return np.asarray(_unshared(blocks) * np.maximum(blocks.deviation, blocks.other_deviation))


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
