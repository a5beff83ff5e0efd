"""Fits the curves that turn cosines into scores, on pictures that no head was fitted on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.domain.library import Kind
from lookalike.embedding.library_embedding import mean_of_looks, mirrored_middle
from lookalike.training import logistic
from lookalike.training.fit_inputs import FitError, Labels, Pictures
from lookalike.training.onnx_session import OnnxSession

#: Unlabelled pictures with a higher cosine than this may be two photographs of one thing: neither right nor wrong.
AMBIGUOUS_COSINE = 0.65

#: The threshold of `similar` and `product`, below every cosine: their answer is a ranking that the caller cuts.
NO_THRESHOLD = -1.0

#: Rounds in which first answers are counted, each without another fifth of the classes in the library. So one query in
#: ``ROUNDS`` has nothing to find, as in the measurement of `same`.
ROUNDS = 5

#: Labelled pictures to search for; fewer give no reliable scores.
MIN_JUDGED = 100

#: Without labels: the score of a light copy, at the tenth percentile of their cosines.
LIGHT_COPY_SCORE = 0.98

#: Without labels: the score of a stranger, at the 99th percentile of their cosines.
STRANGER_SCORE = 0.1


def measure_calibration(
    session: OnnxSession, pictures: Pictures, learn: Sequence[int], rest: Sequence[int], known: Labels
) -> dict[str, Any]:
    """Return each kind's calibration, the card's entry, measured with pictures that no head was fitted on.

    `same`: every fifth of the rest is left out of the library, and queries are augmented copies of all of the rest, so
    that one in five has nothing to find. Backgrounds of copies are not in the library either. The other kinds: by
    labels, if there are enough, else by light copies and strangers.
    """
    outside = rest[::5]
    originals = session.run("library", [partial(pictures.original, i) for i in (*learn, *rest)])
    stored = _stored(session, pictures, (*learn, *rest), originals)
    inside = [*learn, *(i for i in rest if i not in outside)]
    rows = np.flatnonzero(~np.isin((*learn, *rest), outside))
    library = {kind: stored[kind][rows] for kind in Kind}
    labels = np.array([(known.judged or known.labels).get(pictures.paths[i], "") for i in (*learn, *rest)])
    asked = np.arange(len(labels)) >= len(learn)
    calibration: dict[str, Any]
    if (labels[asked] != "").sum() >= MIN_JUDGED:
        calibration = {
            kind: _by_labels(originals[kind], stored[kind], labels, asked) | {"threshold": NO_THRESHOLD}
            for kind in Kind
        }
    else:
        light = session.run("light copies", [partial(pictures.light_copy, i) for i in inside])
        calibration = {
            kind: _by_anchors(originals[kind][rows], library[kind], light[kind]) | {"threshold": NO_THRESHOLD}
            for kind in Kind
        }
    pairs = [(i, which) for i in rest for which in range(pictures.copies)]
    copies = [partial(pictures.copy, *pair, outside) for pair in pairs]
    queries = session.run("queries", copies, Kind.SAME)[Kind.SAME]
    truth = np.array([i for i, _ in pairs])[:, None] == np.array(inside)[None, :]
    alike = originals[Kind.SAME][asked] @ library[Kind.SAME].T >= AMBIGUOUS_COSINE
    ambiguous = np.repeat(alike, pictures.copies, axis=0) & ~truth
    cosines = np.where(ambiguous, -1, (queries @ library[Kind.SAME].T).max(axis=1))
    calibration[Kind.SAME] = _by_first_answers(cosines, truth)
    return calibration


def _stored(
    session: OnnxSession, pictures: Pictures, numbers: Sequence[int], originals: Mapping[str, NDArray[np.float32]]
) -> dict[Kind, NDArray[np.float32]]:
    """Return the vectors that libraries store of these pictures, a row each, given those of the whole pictures."""
    middles = session.run("their middles", [partial(_middle, pictures, i) for i in numbers])
    means = {kind: mean_of_looks(originals[kind], middles[kind]) for kind in (Kind.SIMILAR, Kind.PRODUCT)}
    return {Kind.SAME: originals[Kind.SAME]} | means


def _middle(pictures: Pictures, number: int) -> Image.Image:
    return Image.fromarray(mirrored_middle(np.asarray(pictures.original(number))))


def _by_labels(
    whole: NDArray[np.float32], stored: NDArray[np.float32], labels: NDArray[np.str_], asked: NDArray[np.bool_]
) -> dict[str, float]:
    """Return the curve of how often a first answer has the label of its query, over its cosine.

    Rows of ``whole`` are pictures as queries, those of ``stored`` the same pictures as a library has them. Labelled
    rows of ``asked`` are searched for among all labelled rows but themselves, ROUNDS times, each time without every
    ROUNDS-th class: any answer to a query of a missing class is wrong.
    """
    known = np.flatnonzero(labels != "")
    queries = np.flatnonzero(asked & (labels != ""))
    cosines = whole[queries] @ stored[known].T
    cosines[queries[:, None] == known[None, :]] = -1
    _, number = np.unique(labels[known], return_inverse=True)
    x, right = [], []
    for first in range(ROUNDS):
        there = np.where(number % ROUNDS == first, -1, cosines)
        best = there.argmax(axis=1)
        x.append(np.take_along_axis(there, best[:, None], axis=1)[:, 0])
        right.append(labels[known][best] == labels[queries])
    slope, offset = logistic.fit_logistic(
        np.concatenate(x).astype(np.float64), np.concatenate(right).astype(np.float64)
    )
    return {"slope": round(slope, 3), "offset": round(offset, 3)}


def _by_anchors(
    whole: NDArray[np.float32], library: NDArray[np.float32], light: NDArray[np.float32]
) -> dict[str, float]:
    """Return the logistic curve through two points: LIGHT_COPY_SCORE and STRANGER_SCORE at their cosines."""
    high = float(np.quantile((library * light).sum(axis=1), 0.1))
    strangers = whole @ library.T
    low = float(np.quantile(strangers[np.triu_indices(len(library), 1)], 0.99))
    top, bottom = (float(np.log(score / (1 - score))) for score in (LIGHT_COPY_SCORE, STRANGER_SCORE))
    slope = (top - bottom) / (high - low)
    return {"slope": round(slope, 3), "offset": round(slope * low - bottom, 3)}


def _by_first_answers(cosines: NDArray[np.float32], truth: NDArray[np.bool_]) -> dict[str, float]:
    """Return the curve of how often the first answer is right, and the lowest cosine with MIN_PRECISION above it.

    Raises FitError if no cosine has that precision.
    """
    first = cosines.argmax(axis=1)[:, None]
    x = np.take_along_axis(cosines, first, axis=1)[:, 0].astype(np.float64)
    right = np.take_along_axis(truth, first, axis=1)[:, 0]
    found = logistic.threshold_at_precision(x, right)
    if found is None:
        raise FitError(f"no cosine is high enough for {logistic.MIN_PRECISION:.0%} right first answers: add pictures")
    slope, offset = logistic.fit_logistic(x, right.astype(np.float64))
    return {"slope": round(slope, 3), "offset": round(offset, 3), "threshold": round(found, 3)}
