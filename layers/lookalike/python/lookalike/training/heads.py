"""The heads on top of the trunk: what they look at, and the matrices that make 256 numbers of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def looks_at(taps: Sequence[int]) -> dict[str, tuple[str, ...]]:
    """What each kind of search looks at, ``same`` among them at these blocks: names of descriptors.

    They are average (``gap``) or generalised-mean (``gem``) pooling of the last activation (``head``) or of the
    expansion in the block of that number; ``centre`` and ``gemcentre`` are the same two with the middle of the picture
    counting most; ``colour`` is a histogram of colours. What a picture is of lies in its middle: looking there gains
    more than any other layer, except for copies, whose middle may be elsewhere.
    """
    return {
        "same": ("gem_head", *(f"gem_{tap}" for tap in taps)),
        "similar": ("centre_head", "gemcentre_head"),
        "product": ("centre_head", "gemcentre_head", "colour"),
    }


def descriptors(taps: Sequence[int]) -> tuple[str, ...]:
    """Every descriptor that any kind looks at, once."""
    return tuple(dict.fromkeys(name for names in looks_at(taps).values() for name in names))


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """``unit(matrix · (x − mean))``; ``mean`` is float32 (inputs,), ``matrix`` float16 (outputs, inputs)."""

    mean: NDArray[np.float32]
    matrix: NDArray[np.float16]

    def of(self, x: NDArray[Any]) -> NDArray[np.float32]:
        """The projection of rows: float32 (rows, outputs), L2-normalised."""
        y = (x - self.mean) @ self.matrix.T.astype(np.float32)
        unit: NDArray[np.float32] = y / np.linalg.norm(y, axis=1, keepdims=True)
        return unit


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """A projection of several descriptors put one behind another."""

    descriptors: tuple[str, ...]
    projection: Projection


@dataclass(frozen=True, slots=True, eq=False)
class Heads:
    """A head per kind and the projection of the local map's cells."""

    kinds: Mapping[str, Head]
    map: Projection

    def save(self, path: Path) -> None:
        """Write ``<kind>_mean`` and ``<kind>_matrix`` for every kind and ``map``, and what each kind ``_looks_at``."""
        projections = {kind: head.projection for kind, head in self.kinds.items()} | {"map": self.map}
        arrays: dict[str, NDArray[Any]] = {f"{name}_mean": projection.mean for name, projection in projections.items()}
        arrays |= {f"{name}_matrix": projection.matrix for name, projection in projections.items()}
        arrays |= {f"{kind}_looks_at": np.array(head.descriptors) for kind, head in self.kinds.items()}
        np.savez(path, allow_pickle=False, **arrays)


def load(path: Path) -> Heads:
    """The heads that :meth:`Heads.save` wrote. Raises OSError or ValueError if there are none."""
    with np.load(path, allow_pickle=False) as arrays:
        seen = {kind: tuple(arrays[f"{kind}_looks_at"].tolist()) for kind in looks_at(())}
        projections = {name: Projection(arrays[f"{name}_mean"], arrays[f"{name}_matrix"]) for name in (*seen, "map")}
    kinds = {kind: Head(names, projections[kind]) for kind, names in seen.items()}
    return Heads(kinds, projections["map"])


def whitening(library: NDArray[Any], copies: NDArray[Any], originals: NDArray[Any], outputs: int) -> Projection:
    """Look past what attacks change: shrink the directions in which a copy strays from its original.

    Rows of ``copies`` and ``originals`` belong together. The covariance of their differences, nine parts, with one
    part of its mean variance in every direction, is undone; then the ``outputs`` directions in which the library's
    rows differ most are kept, evened out by half (:func:`principal` with power 0.25). After Mikolajczyk and Matas, "Improving descriptors for fast tree matching
    by optimal linear projection", ICCV 2007.
    """
    mean = library.mean(axis=0, dtype=np.float64)
    strayed = copies.astype(np.float64) - originals
    noise = strayed.T @ strayed / len(strayed)
    noise = 0.9 * noise + 0.1 * np.trace(noise) / len(noise) * np.eye(len(noise))
    values, vectors = np.linalg.eigh(noise)
    undo = (vectors / np.sqrt(values)) @ vectors.T
    variances, kept = _largest((library - mean) @ undo, outputs)
    return _projection(mean, (kept * variances**-0.25).T @ undo)


def principal(library: NDArray[Any], outputs: int, power: float) -> Projection:
    """Principal components, each divided by its variance to the ``power``: 0.5 whitens, 0.25 does half of that."""
    mean = library.mean(axis=0, dtype=np.float64)
    variances, kept = _largest(library - mean, outputs)
    return _projection(mean, (kept * variances**-power).T)


def _largest(centred: NDArray[np.float64], count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The ``count`` largest variances, and the directions they lie in as columns, each with its sign settled."""
    values, vectors = np.linalg.eigh(centred.T @ centred / len(centred))
    values, vectors = values[: -count - 1 : -1], vectors[:, : -count - 1 : -1]
    signs = np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(count)])
    return values, vectors * signs


def _projection(mean: NDArray[np.float64], matrix: NDArray[np.float64]) -> Projection:
    """The scale does not matter, as the result is normalised; this one suits float16."""
    return Projection(mean.astype(np.float32), (matrix / np.abs(matrix).max()).astype(np.float16))
