"""Colours: whether one affine map takes the original's colours to the query's everywhere.

A tint, a filter, more contrast, grey and a negative are such a map. Where a part needs a map of its own, it is recoloured.
A quadratic map fits any design of few colours, recoloured or not: ten numbers a channel fit six colours. An affine one
fits any four: the fields of a flag, and those of another. Of so few colours a plainer map is asked for: a change of
brightness and contrast, which may differ from channel to channel, of the original or of what it is in grey. White, black
and one brand's colour fit even that, whatever the colour: there the hue tells. A tint turns hues, too, and the grounds of
black, grey and white with them, so hues are compared in the light that these show.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.geometry import MAX_HUE_TURNED, MAX_VIVIDLY_TURNED
from lookalike.verification.overlay import Overlay

#: Pixels a side of the cells whose mean colours are compared.
CELL_SIDE = 2

#: Largest difference in any channel, of 0..1, that counts as the same colour.
MAX_DIFFERENCE = 0.12

#: Smallest number of covered cells that a map is fitted to.
_MIN_CELLS = 30

#: Smallest distance from grey, in opponent colours of 0..1, of a colour that has a hue.
MIN_CHROMA = 0.12

#: Smallest cosine of two hues that count as one: 60 degrees.
MIN_HUE_COSINE = 0.5

#: Smallest distance from grey of a vivid colour, and smallest cosine of two vivid hues that count as one: 45 degrees.
MIN_VIVID_CHROMA = 0.2
MIN_VIVID_COSINE = 0.7071

#: Smallest value of each channel, of 0..1, of white and grey that tell the light, and their smallest share of the area.
_MIN_NEUTRAL = 0.15
_MIN_NEUTRAL_SHARE = 0.05

#: Brightness of the light that is told, as bounds of a ratio.
_LIGHT = (0.3, 3.0)

#: Steps of the robust fit, and its scale in colours of 0..1.
_STEPS = 8
_SCALE = 0.05

#: Distance from black and from white, of 0..1, at which a channel is saturated.
_SATURATION = 0.01

#: Ridge of the fit, as a share of the cells.
_RIDGE = 1e-4

#: Factor of the ridge for what depends on the place: it explains light, not parts.
_LIGHT_RIDGE = 100.0

#: Largest number of colours of a picture that a plain map must explain.
MAX_FEW_COLOURS = 5

#: Levels a channel in which colours are counted, and the smallest share of the cells of one that counts.
_LEVELS = 8
_MIN_COLOUR_SHARE = 0.02

#: Change of contrast, and of brightness in 0..1, of a plain map.
_CONTRASTS = (0.4, 1.6)
_MAX_BRIGHTENING = 0.3

#: Variance of a channel, of 0..1, below which its contrast is not told.
_MIN_VARIANCE = 1e-4

#: Shares of red, green and blue in grey (ITU-R BT.601).
_GREY = np.array([0.299, 0.587, 0.114], np.float32)

_Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class ColourDifference:
    """Shares, in 0..1, of covered cells that are ``recoloured``, and whose hue is turned: ``hue_turned``, ``vividly_turned``.

    Turned ones count as recoloured where they are too many. ``difference`` is the mean difference of covered cells before any map, of 0..1, as in :func:`_smallest_differences`.
    ``cells``, bool (rows, columns), are those that are recoloured.
    """

    recoloured: float
    hue_turned: float
    vividly_turned: float
    difference: float
    cells: NDArray[np.bool_]


def compare_colours(overlay: Overlay) -> ColourDifference:
    """Compare mean colours of cells of an overlay in RGB; nothing differs where too few are covered."""
    covered = _cell_means(overlay.covered[..., None].astype(np.float32))[..., 0] > 0.99
    if np.count_nonzero(covered) < _MIN_CELLS:
        return ColourDifference(0.0, 0.0, 0.0, 0.0, np.zeros(covered.shape, bool))
    original, query = (_cell_means(pixels / np.float32(255)) for pixels in (overlay.original, overlay.query))
    inputs = _as_inputs(original)
    mapped = np.clip(inputs @ _colour_map(inputs[covered], query[covered]), 0, 1)
    recoloured = _opened(covered & (_smallest_differences(mapped, query) > MAX_DIFFERENCE))
    if _has_few_colours(original[covered]):
        recoloured |= _not_plainly_mapped(original, query, covered)
    hues, other_hues = _opponent_colours(original), _opponent_colours(query)
    vivid = _turned(hues, other_hues, MIN_VIVID_CHROMA, MIN_VIVID_COSINE)
    if vivid.any():
        vivid &= _turned(hues, _relit(original, query, covered), MIN_VIVID_CHROMA, MIN_VIVID_COSINE)
    turned_at_all = _turned(hues, other_hues, MIN_CHROMA, MIN_HUE_COSINE)
    for turned, most in ((turned_at_all, MAX_HUE_TURNED), (vivid, MAX_VIVIDLY_TURNED)):
        if turned[covered].mean() > most:
            recoloured |= turned & covered
    return ColourDifference(
        recoloured=float(recoloured[covered].mean()),
        hue_turned=float(turned_at_all[covered].mean()),
        vividly_turned=float(vivid[covered].mean()),
        difference=float(_smallest_differences(original, query)[covered].mean()),
        cells=recoloured,
    )


def _has_few_colours(colours: _Floats) -> bool:
    """Whether cells, float32 (cells, 3), have so few colours that an affine map fits them whatever the others are."""
    levels = np.clip(colours * _LEVELS, 0, _LEVELS - 1).astype(np.intp)
    counts = np.bincount(levels @ np.array([_LEVELS**2, _LEVELS, 1]))
    return bool(np.count_nonzero(counts >= _MIN_COLOUR_SHARE * len(colours)) <= MAX_FEW_COLOURS)


def _not_plainly_mapped(original: _Floats, query: _Floats, covered: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the covered cells, bool (rows, columns), whose colours the best of three plain maps does not explain.

    A map of the means meets all colours half way, a robust one most of them exactly.
    """
    grey = np.repeat((original @ _GREY)[..., None], 3, axis=2)
    fewest = covered
    for one, steps in ((original, 1), (grey, 1), (original, _STEPS)):
        differences = _smallest_differences(_plainly_mapped(one, query, covered, steps), query)
        fewest = min(fewest, _opened(covered & (differences > MAX_DIFFERENCE)), key=np.count_nonzero)
        if not fewest.any():
            break
    return fewest


def _plainly_mapped(colours: _Floats, query: _Floats, covered: NDArray[np.bool_], steps: int) -> NDArray[np.floating]:
    """Return colours with the query's brightness and contrast, each channel by itself, within bounds.

    The first step is a fit of all colours, each further one of those that the one before explains.
    """
    inputs, outputs = colours[covered].astype(np.float64), query[covered].astype(np.float64)
    weights, target = np.ones((len(inputs), 1)), outputs
    for _ in range(steps):
        total = weights.sum()
        centre, mean = (weights * inputs).sum(axis=0) / total, (weights * target).sum(axis=0) / total
        across, products = inputs - centre, (inputs - centre) * (target - mean)
        variance = np.maximum((weights * across * across).sum(axis=0) / total, _MIN_VARIANCE)
        contrast = np.clip((weights * products).sum(axis=0) / total / variance, *_CONTRASTS)
        brightening = np.clip(mean - contrast * centre, -_MAX_BRIGHTENING, _MAX_BRIGHTENING)
        target, weights = _next_fit(inputs * contrast + brightening, outputs)
    return np.asarray(np.clip(colours * contrast + brightening, 0, 1))


def _next_fit(
    mapped: NDArray[np.float64], query: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the colours, float64 (cells, 3), and weights, float64 (cells, 1), that a robust fit asks for next.

    What was brighter than white before it was cut off may be as bright as it likes.
    """
    beyond = ((query > 1 - _SATURATION) & (mapped > query)) | ((query < _SATURATION) & (mapped < query))
    target = np.where(beyond, mapped, query)
    residuals = np.abs(mapped - target).max(axis=1, keepdims=True)
    return target, 1 / (1 + (residuals / _SCALE) ** 2)


def _cell_means(pixels: _Floats) -> _Floats:
    """Return means over cells of CELL_SIDE pixels a side, float32 (rows, columns, channels)."""
    rows, columns = pixels.shape[0] // CELL_SIDE, pixels.shape[1] // CELL_SIDE
    strips = pixels[: rows * CELL_SIDE].reshape(rows, CELL_SIDE, -1).sum(axis=1)
    cells = strips[:, : columns * CELL_SIDE * pixels.shape[2]].reshape(rows, columns, CELL_SIDE, -1).sum(axis=2)
    return np.asarray(cells / np.float32(CELL_SIDE**2))


def _as_inputs(colours: _Floats) -> NDArray[np.float64]:
    """Return what a colour may depend on, float64 (rows, columns, 8): a constant, the original's colour, and light.

    Light, and what it does to the brightness, may change from one side of a print to the other.
    """
    rows, columns, _ = colours.shape
    y, x = np.meshgrid(np.linspace(-1, 1, rows), np.linspace(-1, 1, columns), indexing="ij")
    brightness = colours.mean(axis=2)
    return np.dstack([np.ones_like(x), colours, x, y, x * brightness, y * brightness]).astype(np.float64)


def _colour_map(inputs: NDArray[np.float64], query: _Floats) -> NDArray[np.float64]:
    """Return the map, float64 (8, 3), from inputs, float64 (cells, 8), to the query's colours, robustly fitted."""
    ridge = _RIDGE * len(inputs) * np.diag([1, 1, 1, 1, *4 * [_LIGHT_RIDGE]])
    weights, target = np.ones((len(inputs), 1)), query.astype(np.float64)
    for _ in range(_STEPS):
        weighted = inputs * weights
        matrix = np.linalg.solve(inputs.T @ weighted + ridge, weighted.T @ target)
        target, weights = _next_fit(inputs @ matrix, query)
    return np.asarray(matrix)


def _smallest_differences(mapped: NDArray[np.floating], query: _Floats) -> NDArray[np.floating]:
    """Return each cell's difference to the most alike of the mapped cell and its neighbours: edges may be blurred."""
    rows, columns, _ = query.shape
    padded = np.pad(mapped, ((1, 1), (1, 1), (0, 0)), mode="edge")
    differences = [
        np.abs(padded[down : down + rows, right : right + columns] - query).max(axis=2)
        for down in range(3)
        for right in range(3)
    ]
    return np.asarray(np.min(differences, axis=0))


def _opened(cells: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the cells that are part of a set square of 2 × 2: single ones are coarse chroma of a compressed picture."""
    squares = cells[:-1, :-1] & cells[1:, :-1] & cells[:-1, 1:] & cells[1:, 1:]
    opened = np.zeros_like(cells)
    for rows in (slice(None, -1), slice(1, None)):
        for columns in (slice(None, -1), slice(1, None)):
            opened[rows, columns] |= squares
    return opened


def _relit(original: _Floats, query: _Floats, covered: NDArray[np.bool_]) -> NDArray[np.complex64]:
    """Return the opponent colours of the query in the original's light, which white and grey tell; 0 without any."""
    neutral = covered & (np.abs(_opponent_colours(original)) < MIN_CHROMA) & (original.min(axis=2) > _MIN_NEUTRAL)
    if np.count_nonzero(neutral) < _MIN_NEUTRAL_SHARE * np.count_nonzero(covered):
        return np.zeros(covered.shape, np.complex64)
    light = np.clip(query[neutral].mean(axis=0) / original[neutral].mean(axis=0), *_LIGHT)
    return _opponent_colours(query * (light.mean() / light))


def _turned(
    first: NDArray[np.complex64], second: NDArray[np.complex64], least_chroma: float, least_cosine: float
) -> NDArray[np.bool_]:
    """Return which of two opponent colours are both as far from grey, in hues of a smaller cosine."""
    chroma, other = np.abs(first), np.abs(second)
    coloured = (chroma > least_chroma) & (other > least_chroma)
    return coloured & ((first * second.conj()).real < least_cosine * chroma * other)


def _opponent_colours(colours: _Floats) -> NDArray[np.complex64]:
    """Return red against green, and yellow against blue, as real and imaginary parts, complex64 of the same shape."""
    red, green, blue = np.moveaxis(colours, -1, 0)
    return np.asarray((red - green) + 1j * ((red + green) / 2 - blue), np.complex64)
