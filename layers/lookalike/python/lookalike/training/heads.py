"""The heads on top of the trunk: their descriptors, and the projections of these to 256 numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def descriptors_by_kind(taps: Sequence[int]) -> dict[str, tuple[str, ...]]:
    """Return the names of each kind's descriptors; ``same`` pools the expansions of the blocks ``taps``.

    A descriptor is the average (``gap``) or generalised mean (``gem``) of the last activation (``head``) or of the
    expansion in the block of that number; ``centre`` and ``gemcentre`` weight the centre of the picture; ``colour`` is a
    colour histogram. A picture's subject is mostly central: centre weights gain more than any further layer, except
    for copies, which may be shifted.
    """
    return {
        "same": ("gem_head", *(f"gem_{tap}" for tap in taps)),
        "similar": ("centre_head", "gemcentre_head"),
        "product": ("centre_head", "gemcentre_head", "colour"),
    }


def descriptors(taps: Sequence[int]) -> tuple[str, ...]:
    """Return the descriptors of all kinds, each once."""
    return tuple(dict.fromkeys(name for names in descriptors_by_kind(taps).values() for name in names))


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """The map ``unit(matrix · (x − mean))``; ``mean`` is float32 (inputs,), ``matrix`` float16 (outputs, inputs)."""

    mean: NDArray[np.float32]
    matrix: NDArray[np.float16]

    def apply(self, x: NDArray[Any]) -> NDArray[np.float32]:
        """Return the projection of rows: float32 (rows, outputs), L2-normalised."""
        y = (x - self.mean) @ self.matrix.T.astype(np.float32)
        unit: NDArray[np.float32] = y / np.linalg.norm(y, axis=1, keepdims=True)
        return unit


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """A projection of several descriptors, concatenated."""

    descriptors: tuple[str, ...]
    projection: Projection


@dataclass(frozen=True, slots=True, eq=False)
class Heads:
    """A head a kind, and the projection of the feature map's cells."""

    kinds: Mapping[str, Head]
    map: Projection

    def save(self, path: Path) -> None:
        """Write ``<kind>_mean`` and ``<kind>_matrix`` of every kind and ``map``, and ``<kind>_looks_at``: descriptors."""
        projections = {kind: head.projection for kind, head in self.kinds.items()} | {"map": self.map}
        arrays: dict[str, NDArray[Any]] = {f"{name}_mean": projection.mean for name, projection in projections.items()}
        arrays |= {f"{name}_matrix": projection.matrix for name, projection in projections.items()}
        arrays |= {f"{kind}_looks_at": np.array(head.descriptors) for kind, head in self.kinds.items()}
        np.savez(path, allow_pickle=False, **arrays)


def load(path: Path) -> Heads:
    """Return the heads that :meth:`Heads.save` wrote. Raises OSError or ValueError if there are none."""
    with np.load(path, allow_pickle=False) as arrays:
        names_by_kind = {kind: tuple(arrays[f"{kind}_looks_at"].tolist()) for kind in descriptors_by_kind(())}
        projections = {
            name: Projection(arrays[f"{name}_mean"], arrays[f"{name}_matrix"]) for name in (*names_by_kind, "map")
        }
    kinds = {kind: Head(names, projections[kind]) for kind, names in names_by_kind.items()}
    return Heads(kinds, projections["map"])


def whitening(library: NDArray[Any], copies: NDArray[Any], originals: NDArray[Any], outputs: int) -> Projection:
    """Return a projection that shrinks the directions in which augmented copies differ from their originals.

    Rows of ``copies`` and ``originals`` belong together. The covariance of their differences, nine parts mixed with one
    part of its mean variance in every direction, is whitened; then the ``outputs`` principal components of the library
    are kept, half whitened (:func:`principal` with power 0.25). After Mikolajczyk and Matas, "Improving descriptors for
    fast tree matching by optimal linear projection", ICCV 2007.
    """
    mean = library.mean(axis=0, dtype=np.float64)
    differences = copies.astype(np.float64) - originals
    noise = differences.T @ differences / len(differences)
    noise = 0.9 * noise + 0.1 * np.trace(noise) / len(noise) * np.eye(len(noise))
    values, vectors = np.linalg.eigh(noise)
    undo = (vectors / np.sqrt(values)) @ vectors.T
    variances, kept = _largest((library - mean) @ undo, outputs)
    return _projection(mean, (kept * variances**-0.25).T @ undo)


def principal(library: NDArray[Any], outputs: int, power: float) -> Projection:
    """Return principal components, each divided by its variance to the ``power``: 0.5 whitens, 0.25 half whitens."""
    mean = library.mean(axis=0, dtype=np.float64)
    variances, kept = _largest(library - mean, outputs)
    return _projection(mean, (kept * variances**-power).T)


def _largest(centred: NDArray[np.float64], count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the ``count`` largest variances, and their directions as columns, with canonical signs."""
    values, vectors = np.linalg.eigh(centred.T @ centred / len(centred))
    values, vectors = values[: -count - 1 : -1], vectors[:, : -count - 1 : -1]
    signs = np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(count)])
    return values, vectors * signs


def _projection(mean: NDArray[np.float64], matrix: NDArray[np.float64]) -> Projection:
    """Return a projection scaled for float16: the scale does not matter, as results are normalised."""
    return Projection(mean.astype(np.float32), (matrix / np.abs(matrix).max()).astype(np.float16))
