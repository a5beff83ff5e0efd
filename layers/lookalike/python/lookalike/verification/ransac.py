"""Similarity transforms, mirrored ones too, that lay points on points: RANSAC for several sets of points at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.complex64]
"""Points of a plane, x + iy."""

#: Pairs of points guessed from, for each of both senses of rotation.
GUESSES = 128

#: The least and the most a transform may scale.
LEAST_SCALE, MOST_SCALE = 0.3, 3.0

#: How often the transform is fitted again to the points that it fits.
_FITS = 2

#: Far from every point of any picture, but not so far that its square would overflow.
_NOWHERE = 1e6

_chance = np.random.default_rng(128)
_FIRST, _SECOND = _chance.random((2, GUESSES), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Transform:
    """Moves z to ``scale · z + shift``, mirrored beforehand (z̄ for z) if ``mirrored``."""

    scale: complex
    shift: complex
    mirrored: bool

    def of(self, points: Points) -> Points:
        """Where the points are moved to."""
        moved: Points = np.complex64(self.scale) * (points.conj() if self.mirrored else points)
        return moved + np.complex64(self.shift)

    def inverse(self, points: Points) -> Points:
        """What is moved to the points."""
        moved: Points = (points - np.complex64(self.shift)) / np.complex64(self.scale)
        return moved.conj() if self.mirrored else moved


def pad(sets: list[Points]) -> Points:
    """Sets of points as rows of one length, filled up with points that are nowhere."""
    rows = np.full((len(sets), max(map(len, sets))), _NOWHERE, np.complex64)
    for row, points in zip(rows, sets, strict=True):
        row[: len(points)] = points
    return rows


def align(here: Points, there: Points, counts: NDArray[np.intp], near: float, apart: float) -> list[Transform | None]:
    """Per row the transform that moves most points of ``here`` to within ``near`` of their partners in ``there``.

    Both have shape (rows, points), padded by :func:`pad`; a row's first ``counts`` points count. Guesses are made
    from pairs of points that are ``apart`` at least, the same ones every time. None: not one guess was possible.
    """
    first = (_FIRST * counts[:, None]).astype(np.intp)
    second = (_SECOND * np.maximum(counts[:, None] - 1, 0)).astype(np.intp)
    second += second >= first
    second = np.minimum(second, counts[:, None] - 1)
    rows = np.arange(len(here))
    z1, z2, w1, w2 = (of[rows[:, None], at] for of in (here, there) for at in (first, second))
    guesses = [_guess(z1, z2, w1, w2, apart), _guess(z1.conj(), z2.conj(), w1, w2, apart)]
    fits = np.concatenate(
        [_fitting(scale, shift, mirrored, here, there, near) for mirrored, (scale, shift) in enumerate(guesses)], axis=1
    )
    best = fits.argmax(axis=1)
    scale, shift = (np.concatenate([guess[i] for guess in guesses], axis=1)[rows, best] for i in (0, 1))
    mirrored = best >= GUESSES
    scale, shift = _refine(scale, shift, np.where(mirrored[:, None], here.conj(), here), there, near)
    return [
        Transform(complex(scale[row]), complex(shift[row]), bool(mirrored[row])) if fits[row, best[row]] else None
        for row in rows
    ]


def _guess(z1: Points, z2: Points, w1: Points, w2: Points, apart: float) -> tuple[Points, Points]:
    """The transforms that move z1 to w1 and z2 to w2; to nowhere where there is none that is allowed."""
    there, here = w2 - w1, z2 - z1
    possible = np.abs(here) >= apart
    scale = np.divide(there, here, out=np.zeros_like(there), where=possible)
    size = np.abs(scale)
    possible &= (size >= LEAST_SCALE) & (size <= MOST_SCALE)
    return np.where(possible, scale, 0), np.where(possible, w1 - scale * z1, np.complex64(-_NOWHERE))


def _fitting(
    scale: Points, shift: Points, mirrored: int, here: Points, there: Points, near: float
) -> NDArray[np.float32]:
    """How many points each transform (rows, guesses) fits. Distances come from two matrix products a row."""
    y = -here.imag if mirrored else here.imag
    points = np.stack([here.real, y, np.ones_like(y), there.real, there.imag], axis=1)
    one, none = np.ones_like(scale.real), np.zeros_like(scale.real)
    along = np.stack([scale.real, -scale.imag, shift.real, -one, none], axis=2) @ points
    across = np.stack([scale.imag, scale.real, shift.imag, none, -one], axis=2) @ points
    along *= along
    across *= across
    along += across
    # A product with ones counts faster than counting does.
    fits: NDArray[np.float32] = (along <= near * near).astype(np.float32) @ np.ones(along.shape[2], np.float32)
    return fits


def _refine(scale: Points, shift: Points, here: Points, there: Points, near: float) -> tuple[Points, Points]:
    """Least squares over the points that fit, as long as no fewer fit afterwards."""
    fits = np.abs(scale[:, None] * here + shift[:, None] - there) <= near
    for _ in range(_FITS):
        weight = fits / np.maximum(fits.sum(axis=1, keepdims=True), 1)
        middle, target = ((weight * of).sum(axis=1, keepdims=True) for of in (here, there))
        z, w = here - middle, there - target
        spread = (weight * np.abs(z) ** 2).sum(axis=1)
        new = (weight * z.conj() * w).sum(axis=1) / np.maximum(spread, 1e-12)
        moved = target[:, 0] - new * middle[:, 0]
        refitted = np.abs(new[:, None] * here + moved[:, None] - there) <= near
        size = np.abs(new)
        better = (refitted.sum(axis=1) >= fits.sum(axis=1)) & (size >= LEAST_SCALE) & (size <= MOST_SCALE)
        scale = np.where(better, new, scale).astype(np.complex64)
        shift = np.where(better, moved, shift).astype(np.complex64)
        fits = np.where(better[:, None], refitted, fits)
    return scale, shift
