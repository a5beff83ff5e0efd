"""Keypoints, their descriptors, and affine matching by them.

After ORB (Rublee et al., "ORB: an efficient alternative to SIFT or SURF", 2011): Harris corners on four scales,
oriented by their intensity centroid and described by 256 brightness comparisons (BRIEF, Calonder et al., 2010). Used
where the feature maps decide nothing: keypoints are many, small, and invariant to rotation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.domain.geometry import Affine, Box
from lookalike.domain.picture import Grey, Pixels

#: Pixels: longer side of the picture that keypoints are detected in.
LONGER_SIDE = 384

#: Scales of the pyramid that keypoints are detected on.
_SCALES = (1.0, 0.71, 0.5, 0.354)

#: Keypoints a picture at most, of all scales together.
MAX_KEYPOINTS = 400

#: Pixels: radius of the disc whose intensity centroid gives a keypoint's orientation (ORB: 15).
_ORIENTATION_RADIUS = 15

#: Bits of a descriptor (ORB: 256).
_DESCRIPTOR_BITS = 256

#: Pixels: standard deviation of the descriptor's sample points around the keypoint.
_SAMPLE_SIGMA = 6.0

#: Pixels: largest offset of a sample point in x and in y.
_MAX_SAMPLE_OFFSET = 12.0

#: Pixels between a keypoint and the picture's border at least, so that its disc and its samples lie inside.
_MARGIN = 18

#: Harris's k ("A combined corner and edge detector", 1988).
_HARRIS_K = 0.04

#: Smallest Harris response of a keypoint: above that of noise of less than one grey level.
_MIN_RESPONSE = 1e3

#: Largest Hamming distance of matched descriptors, in bits (exclusive).
MAX_HAMMING = 80

#: Largest ratio of the nearest to the second nearest Hamming distance (Lowe's ratio test, exclusive).
MAX_RATIO = 0.85

#: Inlier threshold of a hypothesis from one match, as a share of the candidate's longer side.
COARSE_TOLERANCE = 0.05

#: Inlier thresholds of the affine fits that refine a hypothesis, one after another, as shares of the longer side.
REFINE_TOLERANCES = (0.05, 0.03, 0.02, 0.02)

#: Side of a grid cell, as a share of the longer side: inliers in one cell count as one.
_GRID_CELL = 1 / 120

#: Hypotheses refined at most, those with the most inliers.
_MAX_HYPOTHESES = 5

#: Smallest number of distinct inliers that an affine transform is fitted to.
_MIN_MATCHES = 4

#: Smallest singular value of an affine transform, in longer sides.
_MIN_SCALE = 0.15

#: Largest singular value of an affine transform, in longer sides.
_MAX_SCALE = 6.0

#: Largest ratio of its singular values.
_MAX_ANISOTROPY = 3.0

_Image = NDArray[np.float32]
_Floats = NDArray[np.float32]
_Complex = NDArray[np.complex64]

_rng = np.random.default_rng(256)
_BRIEF_PAIRS: _Complex = (
    np.clip(_rng.normal(0, _SAMPLE_SIGMA, (2, 2, _DESCRIPTOR_BITS)), -_MAX_SAMPLE_OFFSET, _MAX_SAMPLE_OFFSET)
    .astype(np.float32)
    .transpose(1, 2, 0)
    .copy()
    .view(np.complex64)[..., 0]
)

_y, _x = np.mgrid[-_ORIENTATION_RADIUS : _ORIENTATION_RADIUS + 1, -_ORIENTATION_RADIUS : _ORIENTATION_RADIUS + 1]
_inside = _x**2 + _y**2 <= _ORIENTATION_RADIUS**2
_DISC_X, _DISC_Y = _x[_inside], _y[_inside]


def resized_grey(pixels: Pixels | Grey) -> Grey:
    """Return a picture in grey levels, uint8 (height, width), its longer side LONGER_SIDE pixels."""
    image = Image.fromarray(pixels)
    scale = LONGER_SIDE / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    method = Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC
    return np.asarray(image.convert("L").resize((width, height), method))


@dataclass(frozen=True, slots=True, eq=False)
class Keypoints:
    """The keypoints of a picture.

    ``relative_size`` is the picture's width and height by the longer one, float64 (2,). ``xy`` are positions as
    fractions of width and height, float64 (n, 2). ``orientation_scale``, complex64 (n,), are a unit vector's direction
    by the scale. ``descriptors``, and ``mirrored_descriptors`` of the mirrored picture, are −1 or 1, float32 (n, 256).
    """

    relative_size: NDArray[np.float64]
    xy: NDArray[np.float64]
    orientation_scale: _Complex
    descriptors: _Floats
    mirrored_descriptors: _Floats

    @staticmethod
    def detect_and_describe(grey: Grey) -> Keypoints:
        """Return the keypoints of a picture whose longer side is LONGER_SIDE, uint8 (height, width). Deterministic."""
        height, width = grey.shape
        shares = np.square(_SCALES) ** 0.75
        found = [
            _detect_on_scale(grey, scale, round(MAX_KEYPOINTS * share))
            for scale, share in zip(_SCALES, (shares / shares.sum()).tolist(), strict=True)
        ]
        xy, orientation_scale, descriptors, mirrored = (np.concatenate(parts) for parts in zip(*found, strict=True))
        relative_size = np.array([width, height]) / max(width, height)
        return Keypoints(relative_size, xy, orientation_scale, descriptors, mirrored)


@dataclass(frozen=True, slots=True)
class KeypointMatch:
    """An affine ``transform`` from query to candidate. ``region`` bounds its ``inliers`` distinct inliers in the
    candidate."""

    inliers: int
    transform: Affine
    region: Box


def match_keypoints(query: Keypoints, picture: Keypoints) -> KeypointMatch | None:
    """Match the query's keypoints, or those of its mirror image, with a candidate's; None if hardly any match."""
    found = [
        _match(query, descriptors, mirrored, picture)
        for descriptors, mirrored in ((query.descriptors, False), (query.mirrored_descriptors, True))
    ]
    return max((one for one in found if one is not None), key=lambda one: one.inliers, default=None)


def _match(query: Keypoints, descriptors: _Floats, mirrored: bool, picture: Keypoints) -> KeypointMatch | None:
    """Match one set of the query's descriptors: hypotheses from single matches, each refined by affine fits."""
    query_rows, candidate_rows = _mutual_ratio_matches(descriptors, picture.descriptors)
    if len(query_rows) < _MIN_MATCHES:
        return None
    source, target = _in_longer_sides(query, query_rows), _in_longer_sides(picture, candidate_rows)
    turned, orientation_scale = (
        (-source.conj(), -query.orientation_scale[query_rows].conj())
        if mirrored
        else (source, query.orientation_scale[query_rows])
    )
    # A single match gives rotation and scale of the whole picture.
    rotations = picture.orientation_scale[candidate_rows] / orientation_scale
    hypotheses = (
        np.abs(rotations[:, None] * (turned[None] - turned[:, None]) + target[:, None] - target[None])
        <= COARSE_TOLERANCE
    )
    best = None
    for hypothesis in np.argsort(-hypotheses.sum(axis=1), kind="stable")[:_MAX_HYPOTHESES]:
        found = _fit_affine(
            query.xy[query_rows], picture.xy[candidate_rows], picture.relative_size, hypotheses[hypothesis]
        )
        if found is not None and (best is None or found.inliers > best.inliers):
            best = found
    return best


def _fit_affine(
    source: NDArray[np.float64],
    target: NDArray[np.float64],
    relative_size: NDArray[np.float64],
    fitting: NDArray[np.bool_],
) -> KeypointMatch | None:
    """Fit an affine transform to the inliers, and again to its own inliers, with falling tolerance.

    ``source`` and ``target`` are float64 (n, 2), ``fitting`` is bool (n,). None if too few are left, or the transform
    scales or shears too much.
    """
    points = np.column_stack([source, np.ones(len(source))])
    for tolerance in REFINE_TOLERANCES:
        if len(_distinct(target[fitting] * relative_size)) < _MIN_MATCHES:
            return None
        ridge = 1e-6 * np.eye(3)
        matrix = np.linalg.solve(points[fitting].T @ points[fitting] + ridge, points[fitting].T @ target[fitting])
        fitting = np.hypot(*((points @ matrix - target) * relative_size).T) <= tolerance
    inliers = len(_distinct(target[fitting] * relative_size))
    largest, smallest = np.linalg.svd(matrix[:2] * relative_size, compute_uv=False)
    if inliers < _MIN_MATCHES or smallest < _MIN_SCALE or largest > min(_MAX_SCALE, _MAX_ANISOTROPY * smallest):
        return None
    (left, top), (right, bottom) = target[fitting].min(axis=0).tolist(), target[fitting].max(axis=0).tolist()
    (a, d), (b, e), (c, f) = matrix.tolist()
    return KeypointMatch(inliers, (a, b, c, d, e, f), Box(left, top, right, bottom))


def _distinct(xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the grid cells that hold a point, float64 (cells, 2)."""
    cells: NDArray[np.float64] = np.unique(np.rint(xy / _GRID_CELL), axis=0)
    return cells


def _in_longer_sides(keypoints: Keypoints, rows: NDArray[np.intp]) -> _Complex:
    """Return keypoints' positions x + iy in longer sides of their picture, complex64 (rows,)."""
    x, y = (keypoints.xy[rows] * keypoints.relative_size).T
    plane: _Complex = (x + 1j * y).astype(np.complex64)
    return plane


def _mutual_ratio_matches(query: _Floats, candidate: _Floats) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return rows of both that are mutual nearest neighbours by Hamming distance and pass the ratio test."""
    if not len(query) or len(candidate) < 2:
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    hamming = (_DESCRIPTOR_BITS - query @ candidate.T) / 2
    nearest = hamming.argmin(axis=1)
    rows = np.arange(len(hamming))
    smallest = hamming[rows, nearest]
    second = np.partition(hamming, 1, axis=1)[:, 1]
    good = (hamming.argmin(axis=0)[nearest] == rows) & (smallest < MAX_HAMMING) & (smallest < MAX_RATIO * second)
    return np.flatnonzero(good), nearest[good]


def _detect_on_scale(grey: Grey, scale: float, maximum: int) -> tuple[NDArray[np.float64], _Complex, _Floats, _Floats]:
    """Return xy, orientation and scale, and both descriptors of the strongest keypoints on one scale."""
    height, width = (max(1, round(side * scale)) for side in grey.shape)
    if min(height, width) <= 2 * _MARGIN + 2:
        empty = np.zeros((0, _DESCRIPTOR_BITS), np.float32)
        return np.zeros((0, 2)), np.zeros(0, np.complex64), empty, empty
    shrunk = grey if scale == 1 else Image.fromarray(grey).resize((width, height), Image.Resampling.BILINEAR)
    pixels = np.asarray(shrunk, np.float32)
    y, x = _non_maximum_suppression(_harris_response(pixels), maximum)
    at = (y * width + x)[:, None]
    around = pixels.ravel()[at + (_DISC_Y * width + _DISC_X)]
    rotations = around @ _DISC_X.astype(np.float32) + 1j * (around @ _DISC_Y.astype(np.float32))
    rotations = (rotations / np.maximum(np.abs(rotations), 1e-6)).astype(np.complex64)
    smooth = _blur(_blur(pixels)).ravel()
    descriptors, mirrored = (
        _steered_brief(smooth, width, at, sample_pairs, rotations)
        for sample_pairs in (_BRIEF_PAIRS, _BRIEF_PAIRS.conj())
    )
    xy = np.column_stack([(x + 0.5) / width, (y + 0.5) / height])
    return xy, (rotations / np.float32(scale)).astype(np.complex64), descriptors, mirrored


def _steered_brief(
    smooth: _Image, width: int, at: NDArray[np.intp], sample_pairs: _Complex, rotations: _Complex
) -> _Floats:
    """Return BRIEF descriptors with sample points rotated by each keypoint's orientation, float32 (n, 256)."""
    offsets = sample_pairs[:, None] * rotations[:, None]
    steps = np.rint(offsets.imag).astype(np.intp) * width + np.rint(offsets.real).astype(np.intp)
    first, second = smooth[at + steps]
    return np.where(first < second, np.float32(1), np.float32(-1))


def _non_maximum_suppression(response: _Image, maximum: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return rows and columns of the strongest local maxima off the border."""
    rows = np.maximum(np.maximum(response[:-2], response[1:-1]), response[2:])
    peaks = np.maximum(np.maximum(rows[:, :-2], rows[:, 1:-1]), rows[:, 2:])
    inner = slice(_MARGIN - 1, 1 - _MARGIN)
    middle = response[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
    y, x = np.nonzero((middle >= peaks[inner, inner]) & (middle > _MIN_RESPONSE))
    kept = np.argsort(-middle[y, x], kind="stable")[:maximum]
    return y[kept] + _MARGIN, x[kept] + _MARGIN


def _harris_response(pixels: _Image) -> _Image:
    """Return the Harris response: large where grey levels change in both directions."""
    across, down = np.zeros_like(pixels), np.zeros_like(pixels)
    across[:, 1:-1] = pixels[:, 2:] - pixels[:, :-2]
    down[1:-1] = pixels[2:] - pixels[:-2]
    xx, yy, xy = _blur(across * across), _blur(down * down), _blur(across * down)
    response: _Image = xx * yy - xy * xy - np.float32(_HARRIS_K) * (xx + yy) ** 2
    return response


def _blur(pixels: _Image) -> _Image:
    """Return the picture after a binomial filter, five pixels wide, applied twice in each direction."""
    blurred = np.pad(pixels, 2, mode="edge")
    for _ in range(2):
        blurred = (blurred[:-2] + 2 * blurred[1:-1] + blurred[2:]) * np.float32(0.25)
        blurred = (blurred[:, :-2] + 2 * blurred[:, 1:-1] + blurred[:, 2:]) * np.float32(0.25)
    return blurred
