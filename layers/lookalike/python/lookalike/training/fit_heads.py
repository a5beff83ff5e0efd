"""Fits the heads and the projection of the feature map: closed forms, no gradient."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.library import Kind
from lookalike.domain.picture import DIMENSION
from lookalike.training import efficientnet_onnx, torch_weights
from lookalike.training.fit_inputs import FitError, Labels, Pictures
from lookalike.training.heads import Head, Heads, Projection, descriptors_by_kind, principal, whitening
from lookalike.training.onnx_session import OnnxSession

#: Numbers in a cell of the feature map.
CELL_DIMENSION = 32

#: Cells of each picture that the projection of cells is fitted on.
CELLS_PER_PICTURE = 30


def fit_heads(
    weights: torch_weights.Weights, pictures: Pictures, learn: Sequence[int], known: Labels
) -> tuple[Heads, dict[str, NDArray[np.float32]]]:
    """Fit the heads on the pictures of these numbers, augmented copies of them, and their labels.

    Returns the heads and, by kind, the projected vectors of the copies, which codebooks can be trained on. Raises
    FitError if no label is of a picture.
    """
    labels = np.array([known.labels.get(pictures.paths[i], "") for i in learn])
    if known.labels and not labels.any():
        raise FitError("none of the labels is of a picture in the folder")
    session = OnnxSession(efficientnet_onnx.Network(weights).descriptors().cells().model().SerializeToString())
    originals = session.run("pictures", [partial(pictures.original, i) for i in learn])
    pairs = [(i, which) for i in learn for which in range(pictures.copies)]
    copies = session.run("changed copies", [partial(pictures.copy, *pair, learn) for pair in pairs])
    twins = _rows_of_pairs(pictures, learn, known)
    kinds, vectors = {}, {}
    for kind, descriptors in descriptors_by_kind(efficientnet_onnx.size_of(weights).taps).items():
        print(f"head of {kind}", file=sys.stderr)
        library, changed = (np.concatenate([of[name] for name in descriptors], axis=1) for of in (originals, copies))
        if kind == Kind.SAME:
            moved = np.concatenate([changed, library[twins[:, 0]]])
            unmoved = np.concatenate([np.repeat(library, pictures.copies, axis=0), library[twins[:, 1]]])
            projection = whitening(library, moved, unmoved, DIMENSION)
        elif known.labels:
            projection = whitening(library, *_within_classes(library, labels), DIMENSION)
        else:
            projection = principal(library, DIMENSION, power=0.25)
        kinds[kind] = Head(descriptors, projection)
        vectors[kind] = projection.apply(changed)
    return Heads(kinds, _fit_map(originals["cells"], pictures.seed)), vectors


def _rows_of_pairs(pictures: Pictures, learn: Sequence[int], known: Labels) -> NDArray[np.int64]:
    """Return the labelled pairs that are learnt from as rows of ``learn``, of shape (pairs, 2)."""
    row_of = {pictures.paths[i]: row for row, i in enumerate(learn)}
    rows = [(row_of[a], row_of[b]) for a, b in known.pairs if {a, b} <= row_of.keys()]
    return np.array(rows, np.int64).reshape(-1, 2)


def _within_classes(
    library: NDArray[np.float32], labels: NDArray[np.str_]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return every labelled row, and for each the mean of the rows with its label."""
    known = labels != ""
    means = {label: library[labels == label].mean(axis=0) for label in set(labels[known].tolist())}
    return library[known], np.stack([means[label] for label in labels[known].tolist()])


def _fit_map(cells: NDArray[np.float32], seed: int) -> Projection:
    """Return the projection of the feature map's cells; ``cells`` has shape (pictures, channels, side, side)."""
    rows = cells.reshape(*cells.shape[:2], -1).transpose(0, 2, 1)
    chosen = np.random.default_rng(seed).integers(rows.shape[1], size=(len(rows), CELLS_PER_PICTURE))
    sample = np.take_along_axis(rows, chosen[..., None], axis=1).reshape(-1, rows.shape[2])
    return principal(sample, CELL_DIMENSION, power=0.35)
