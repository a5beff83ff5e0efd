"""Fits the heads, the calibration and the codebooks from a folder of pictures: closed forms, minutes on a CPU.

    python -m lookalike.training.fit_model --pictures DIR --weights build/weights --name lite0-224-2 [--judged CSV]

Any pictures do, a thousand or more; they need no labels. Four fifths of them are learnt from, with changed copies
(:mod:`~lookalike.training.augment`); on the rest the calibration is measured. With --judged, labels say which first answers are right, and the
scores of `similar` and `product` are how often they are; the heads do not see these labels. What people know of the pictures helps: pairs of the same picture
teach `same` what else to look past, labels teach `product` and `similar` what may differ within a class. First answers
of the right class were measured to rise from 56 to 65 % among clothes that were not fitted on, and from 64 to 74 % among
groceries whose library was; of classes that had no labels, from 80 to 84 %, while mAP@R falls by 3 points.

Written to this folder: heads.npz, codebooks.npz, model.onnx, learnt.txt (which pictures were used, so that nobody
judges the model by them), and last, in card.json, what the fit knows: name, digests, calibration, how it was fitted. What
people write in the card (sources, licences, measured quality) is left as it is, but quality goes with the name it was
measured under. Give a new name whenever a vector would change. `lookalike model fit` does the same for your pictures.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # faiss then adds up in the same order every time; read when it is imported

import faiss
import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image

from lookalike.domain.library import Kind
from lookalike.domain.picture import DIMENSION
from lookalike.embedding.model_card import CARD, CODEBOOK_SHAPE, CODEBOOKS
from lookalike.embedding.preprocess import square
from lookalike.errors import InvalidArgument, PictureError
from lookalike.training import efficientnet_onnx, export_onnx, logistic, torch_weights
from lookalike.training import picture_files as files
from lookalike.training.augment import attack
from lookalike.training.heads import Head, Heads, Projection, looks_at, principal, whitening
from lookalike.training.labelled_csv import read_labels
from lookalike.training.progress import side_by_side
from lookalike.verification.query_views import views

SUFFIXES = files.SUFFIXES

#: The fewest pictures that a head of 256 numbers can be fitted on, four fifths of them; a thousand and more are better.
LEAST = 400

#: Changed copies made of every picture.
COPIES = 3

#: Which pictures were used, by the first 16 hex digits of each file's SHA-256, a line each.
LEARNT = "learnt.txt"

#: What a card calls the sources of the pictures that its heads and its scores were fitted on.
HEADS_LEARNT_FROM = "pictures the heads and the scores were fitted on"

#: Numbers in a cell of the local map, and how many cells of a picture its projection is fitted on.
CELL, CELLS_PER_PICTURE = 32, 30

#: Pictures of the folder that are so alike before anything was done to them may be two photographs of one thing;
#: nobody labelled them, so they count neither as right nor as wrong.
DOUBTFUL = 0.65

#: `similar` and `product` have no such cosine: their answer is a ranking, cut by the caller.
EVERYTHING = -1.0

#: Rounds in which right and wrong answers are counted, each without another part of the classes in the library; so
#: for one query in so many there is nothing to find, as in the measurement of `same`.
ROUNDS = 5

#: Fewer labelled pictures to search for say nothing about scores.
LEAST_JUDGED = 100

#: Without labels: the scores that a light copy (the tenth of them that is least alike) and a stranger (the hundredth
#: most alike) get.
LIGHT_COPY_SCORE, STRANGER_SCORE = 0.98, 0.1

Arrays = dict[str, NDArray[Any]]


class FitError(Exception):
    """The pictures do not do; one line says why."""


@dataclass(frozen=True, slots=True)
class Known:
    """What people know of the pictures: pairs that are the same one, and what they show.

    ``labels`` teach `product` and `similar` what may differ within a class. ``judged`` are labels, too, that only say
    which answers are right, so that scores can be measured; without them those of ``labels`` do.
    """

    pairs: Sequence[tuple[Path, Path]] = ()
    labels: Mapping[Path, str] = field(default_factory=dict)
    judged: Mapping[Path, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pictures:
    """Files in a settled order, and changed copies of them that depend on the seed alone."""

    paths: tuple[Path, ...]
    seed: int
    copies: int = COPIES

    def original(self, number: int) -> Image.Image:
        """A picture as it is."""
        return files.image(self.paths[number].read_bytes())

    def copy(self, number: int, which: int, backgrounds: Sequence[int]) -> Image.Image:
        """A changed copy of a picture; one of ``backgrounds`` may show behind it."""
        random = Random(f"{self.seed} {number} {which}")
        return attack(self.original(number), self.original(random.choice(backgrounds)), random)

    def light_copy(self, number: int) -> Image.Image:
        """What a website makes of a picture: smaller, and saved again."""
        picture = self.original(number)
        picture.thumbnail((400, 400))
        return picture


class Model:
    """A graph under onnxruntime, answering for many pictures."""

    def __init__(self, model: bytes) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._side = self._session.get_inputs()[0].shape[1]
        self._outputs = [output.name for output in self._session.get_outputs()]

    def describe(self, stage: str, draw: Sequence[Callable[[], Image.Image]], kind: Kind | None = None) -> Arrays:
        """Every output for every picture drawn, shape (pictures, …); with ``kind``, (pictures, views, …)."""

        def one(drawn: Callable[[], Image.Image]) -> list[NDArray[Any]]:
            pixels = np.asarray(drawn())
            batch = [square(view, self._side) for view in (views(kind, pixels) if kind else [pixels])]
            answers: list[NDArray[Any]] = self._session.run(self._outputs, {"pictures": np.stack(batch)})
            return answers if kind else [answer[0] for answer in answers]

        rows = side_by_side(stage, one, draw)
        return {name: np.stack([row[i] for row in rows]) for i, name in enumerate(self._outputs)}


def fit_heads(
    weights: torch_weights.Weights, pictures: Pictures, learn: Sequence[int], known: Known
) -> tuple[Heads, dict[str, NDArray[np.float32]]]:
    """The heads, from the pictures of these numbers, changed copies of them, and what is known of them.

    Beside them what they make of the copies, by kind: what codebooks can be trained on.
    """
    labels = np.array([known.labels.get(pictures.paths[i], "") for i in learn])
    if known.labels and not labels.any():
        raise FitError("none of the labels is of a picture in the folder")
    model = Model(efficientnet_onnx.Network(weights).descriptors().cells().model().SerializeToString())
    originals = model.describe("pictures", [partial(pictures.original, i) for i in learn])
    pairs = [(i, which) for i in learn for which in range(pictures.copies)]
    copies = model.describe("changed copies", [partial(pictures.copy, *pair, learn) for pair in pairs])
    place = {pictures.paths[i]: row for row, i in enumerate(learn)}
    twins = np.array([(place[a], place[b]) for a, b in known.pairs if {a, b} <= place.keys()], np.int64).reshape(-1, 2)
    kinds, vectors = {}, {}
    for kind, descriptors in looks_at(efficientnet_onnx.size_of(weights).taps).items():
        print(f"head of {kind}", file=sys.stderr)
        library, changed = (np.concatenate([of[name] for name in descriptors], axis=1) for of in (originals, copies))
        if kind == Kind.SAME:
            strayed = np.concatenate([changed, library[twins[:, 0]]])
            home = np.concatenate([np.repeat(library, pictures.copies, axis=0), library[twins[:, 1]]])
            projection = whitening(library, strayed, home, DIMENSION)
        elif known.labels:
            projection = whitening(library, *_within_classes(library, labels), DIMENSION)
        else:
            projection = principal(library, DIMENSION, power=0.25)
        kinds[kind] = Head(descriptors, projection)
        vectors[kind] = projection.of(changed)
    return Heads(kinds, _fit_map(originals["cells"], pictures.seed)), vectors


def _within_classes(
    library: NDArray[np.float32], labels: NDArray[np.str_]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Every labelled row, and beside it the mean of the rows that share its label."""
    known = labels != ""
    means = {label: library[labels == label].mean(axis=0) for label in set(labels[known].tolist())}
    return library[known], np.stack([means[label] for label in labels[known].tolist()])


def _fit_map(cells: NDArray[np.float32], seed: int) -> Projection:
    """The projection of the local map's cells; ``cells`` has shape (pictures, channels, side, side)."""
    rows = cells.reshape(*cells.shape[:2], -1).transpose(0, 2, 1)
    chosen = np.random.default_rng(seed).integers(rows.shape[1], size=(len(rows), CELLS_PER_PICTURE))
    sample = np.take_along_axis(rows, chosen[..., None], axis=1).reshape(-1, rows.shape[2])
    return principal(sample, CELL, power=0.35)


def measure_calibration(
    model: Model, pictures: Pictures, learn: Sequence[int], rest: Sequence[int], known: Known
) -> dict[str, Any]:
    """How each kind's cosines are to be read, measured with pictures that no head was fitted on.

    `same`: every fifth of the rest is kept out of the library; queries are changed copies of all of the rest, so that
    one in five has nothing to find. What shows behind a copy is not in the library either. The other kinds: by the
    labels, if there are any, else by light copies and strangers.
    """
    read: dict[str, Any]
    outside = rest[::5]
    originals = model.describe("library", [partial(pictures.original, i) for i in (*learn, *rest)])
    inside = [*learn, *(i for i in rest if i not in outside)]
    rows = np.flatnonzero(~np.isin((*learn, *rest), outside))
    library = {kind: originals[kind][rows] for kind in Kind}
    labels = np.array([(known.judged or known.labels).get(pictures.paths[i], "") for i in (*learn, *rest)])
    asked = np.arange(len(labels)) >= len(learn)
    if (labels[asked] != "").sum() >= LEAST_JUDGED:
        read = {kind: _judged(originals[kind], labels, asked) | {"threshold": EVERYTHING} for kind in Kind}
    else:
        light = model.describe("light copies", [partial(pictures.light_copy, i) for i in inside])
        read = {kind: _anchored(library[kind], light[kind]) | {"threshold": EVERYTHING} for kind in Kind}
    pairs = [(i, which) for i in rest for which in range(pictures.copies)]
    copies = [partial(pictures.copy, *pair, outside) for pair in pairs]
    queries = model.describe("queries", copies, Kind.SAME)[Kind.SAME]
    truth = np.array([i for i, _ in pairs])[:, None] == np.array(inside)[None, :]
    alike = originals[Kind.SAME][asked] @ library[Kind.SAME].T >= DOUBTFUL
    doubtful = np.repeat(alike, pictures.copies, axis=0) & ~truth
    cosines = np.where(doubtful, -1, (queries @ library[Kind.SAME].T).max(axis=1))
    read[Kind.SAME] = _first_answers(cosines, truth)
    return read


def _judged(vectors: NDArray[np.float32], labels: NDArray[np.str_], asked: NDArray[np.bool_]) -> dict[str, float]:
    """How likely a first answer has the label of its query, at its cosine.

    Labelled rows of ``asked`` are searched for among all labelled rows but themselves, ROUNDS times, each time without
    every ROUNDS-th class: an answer to a query of such a class is wrong however alike it is.
    """
    known = np.flatnonzero(labels != "")
    queries = np.flatnonzero(asked & (labels != ""))
    cosines = vectors[queries] @ vectors[known].T
    cosines[queries[:, None] == known[None, :]] = -1
    _, number = np.unique(labels[known], return_inverse=True)
    x, right = [], []
    for first in range(ROUNDS):
        there = np.where(number % ROUNDS == first, -1, cosines)
        best = there.argmax(axis=1)
        x.append(np.take_along_axis(there, best[:, None], axis=1)[:, 0])
        right.append(labels[known][best] == labels[queries])
    slope, offset = logistic.logistic(np.concatenate(x).astype(np.float64), np.concatenate(right).astype(np.float64))
    return {"slope": round(slope, 3), "offset": round(offset, 3)}


def _anchored(library: NDArray[np.float32], light: NDArray[np.float32]) -> dict[str, float]:
    """The logistic curve through two points: what light copies and what strangers reach."""
    high = float(np.quantile((library * light).sum(axis=1), 0.1))
    strangers = library @ library.T
    low = float(np.quantile(strangers[np.triu_indices(len(library), 1)], 0.99))
    top, bottom = (float(np.log(score / (1 - score))) for score in (LIGHT_COPY_SCORE, STRANGER_SCORE))
    slope = (top - bottom) / (high - low)
    return {"slope": round(slope, 3), "offset": round(slope * low - bottom, 3)}


def _first_answers(cosines: NDArray[np.float32], truth: NDArray[np.bool_]) -> dict[str, float]:
    """How likely the first answer is right at its cosine, and the cosine from which on PRECISION of them are."""
    first = cosines.argmax(axis=1)[:, None]
    x = np.take_along_axis(cosines, first, axis=1)[:, 0].astype(np.float64)
    right = np.take_along_axis(truth, first, axis=1)[:, 0]
    found = logistic.threshold(x, right)
    if found is None:
        raise FitError(f"no cosine is high enough for {logistic.PRECISION:.0%} right first answers: add pictures")
    slope, offset = logistic.logistic(x, right.astype(np.float64))
    return {"slope": round(slope, 3), "offset": round(offset, 3), "threshold": round(found, 3)}


def train_codebook(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Centroids of a 4-bit product quantiser, float32 of shape CODEBOOK_SHAPE."""
    parts, centroids, _ = CODEBOOK_SHAPE
    quantiser = faiss.ProductQuantizer(DIMENSION, parts, centroids.bit_length() - 1)
    quantiser.cp.min_points_per_centroid = 1  # fewer are warned of 384 times, and do
    quantiser.train(np.ascontiguousarray(vectors, np.float32))
    codebook: NDArray[np.float32] = faiss.vector_to_array(quantiser.centroids).reshape(CODEBOOK_SHAPE)
    return codebook


def sha256(path: Path) -> str:
    """A file's SHA-256, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def sha256_of_all(paths: Sequence[Path]) -> str:
    """SHA-256 of the files' SHA-256s in hexadecimal, sorted, joined by line feeds: their names do not count."""
    return hashlib.sha256("\n".join(sorted(sha256(path) for path in paths)).encode()).hexdigest()


def how_fitted(pictures: Pictures, learn: Sequence[int], rest: Sequence[int]) -> dict[str, Any]:
    """What the same fit would need again, for the card."""
    return {
        "seed": pictures.seed,
        "learnt_from": len(learn),
        "copies_of_each": pictures.copies,
        "calibrated_on": len(rest),
        "pictures_sha256": sha256_of_all(pictures.paths),
        "pictures_sha256_is": "SHA-256 of the pictures' SHA-256s in hexadecimal, sorted, joined by line feeds",
    }


def write_card(path: Path, changes: Mapping[str, Any], begun: Mapping[str, Any] | None = None) -> None:
    """Replace these entries of a card, ``begun`` or the one that is there, and leave the others as they are.

    Quality was measured for the old name only. The card is there whole or not at all.
    """
    before = begun if begun is not None else json.loads(path.read_text()) if path.exists() else {}
    card = {name: entry for name, entry in before.items() if name != "quality" or before.get("name") == changes["name"]}
    unfinished = path.with_name(f"{path.name}.part")
    unfinished.write_text(json.dumps(card | dict(changes), indent=2, ensure_ascii=False) + "\n")
    unfinished.replace(path)


def begun_card(ours_in: Path) -> dict[str, Any]:
    """The card of a model that is still to be made: of the one that comes along, what holds for every model."""
    ours = json.loads((ours_in / CARD).read_text())
    begun = {name: ours[name] for name in ("licence", "notice", "proof") if name in ours}
    return begun | {"sources": [source for source in ours["sources"] if source["what"] != HEADS_LEARNT_FROM]}


def find_pictures(folder: Path) -> list[Path]:
    """The pictures below a folder; files that cannot be used are named on stderr. Raises FitError if too few are left."""
    if not folder.is_dir():
        raise FitError(f"{folder}: there is no such folder")
    refused: dict[Path, str] = {}

    def look(path: Path) -> None:
        try:
            files.read(path)
        except PictureError as error:
            refused[path] = str(error)

    paths = list(files.walk(folder))
    if len(paths) >= LEAST:
        side_by_side("looking at the pictures", look, paths)
    if refused:
        print(files.unusable(refused, folder), file=sys.stderr)
    found = list(
        dict.fromkeys(path.resolve() for path in paths if path not in refused)
    )  # as labels and pairs name them
    if len(found) < LEAST:
        raise FitError(f"{folder} has {len(found)} pictures; {LEAST} are the least, some thousands are better")
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """A fitted model. ``learnt`` are SHA-256s of the pictures; ``read`` and ``fitted`` are entries of the card."""

    name: str
    size: efficientnet_onnx.Size
    graph: bytes
    heads: Heads
    codebooks: Mapping[str, NDArray[np.float32]]
    learnt: Sequence[str]
    read: Mapping[str, Any]
    fitted: Mapping[str, Any]

    def write(self, folder: Path, begun: Mapping[str, Any] | None = None) -> None:
        """Write everything to a folder, the card last; it goes on from ``begun``, or from the one that is there."""
        self.heads.save(folder / export_onnx.HEADS)
        np.savez(folder / CODEBOOKS, allow_pickle=False, **self.codebooks)
        (folder / "model.onnx").write_bytes(self.graph)
        (folder / LEARNT).write_text("".join(f"{digest[:16]}\n" for digest in sorted(self.learnt)))
        write_card(folder / CARD, describe(self.name, self.size, self.read, self.fitted, folder), begun)


def completed(name: str, graph: bytes) -> str:
    """A name that ends in ``-``, with the first 8 hex digits of the graph's SHA-256 behind; any other as it is."""
    return f"{name}{hashlib.sha256(graph).hexdigest()[:8]}" if name.endswith("-") else name


def fit(
    paths: Sequence[Path], weights: torch_weights.Weights, known: Known, *, name: str, seed: int, copies: int
) -> Made:
    """Fit everything. A ``name`` that is empty or ends in ``-`` is completed: no two models may have the same.

    Raises FitError if the pictures do not do.
    """
    mixed = list(paths)
    Random(seed).shuffle(mixed)
    pictures = Pictures(tuple(mixed), seed, copies)
    learn, rest = range(len(mixed) * 4 // 5), range(len(mixed) * 4 // 5, len(mixed))

    size = efficientnet_onnx.size_of(weights)
    heads, vectors = fit_heads(weights, pictures, learn, known)
    graph = efficientnet_onnx.Network(weights).heads(heads).model().SerializeToString(deterministic=True)
    told = {"pairs": len(known.pairs), "labelled": len(known.labels), "judged": len(known.judged)}
    return Made(
        name=completed(name or f"{size.name}-", graph),
        size=size,
        graph=graph,
        heads=heads,
        codebooks={kind: train_codebook(vectors[kind]) for kind in vectors},
        learnt=[sha256(path) for path in mixed],
        read=measure_calibration(Model(graph), pictures, learn, rest, known),
        fitted=how_fitted(pictures, learn, rest) | told,
    )


def describe(
    name: str, size: efficientnet_onnx.Size, read: Mapping[str, Any], fitted: Mapping[str, Any], folder: Path
) -> dict[str, Any]:
    """What a card says of the model files in a folder."""
    outputs = {str(kind): {"type": "float32", "shape": ["N", DIMENSION], "norm": 1} for kind in Kind}
    cells = {"type": "int8", "shape": ["N", efficientnet_onnx.MAP_SIDE, efficientnet_onnx.MAP_SIDE, CELL]}
    return {
        "name": name,
        "dimension": DIMENSION,
        "input": {
            "name": "pictures",
            "type": "uint8",
            "shape": ["N", size.side, size.side, 3],
            "side": size.side,
            "channels": "RGB",
            "resize": "squashed to a square, bicubic",
        },
        "outputs": outputs | {"map": cells},
        "looks_at": looks_at(size.taps),
        "calibration": read,
        "fit": fitted,
        "files": {file: sha256(folder / file) for file in ("model.onnx", export_onnx.HEADS, CODEBOOKS)},
    }


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Fit heads, calibration and codebooks from a folder of pictures.")
    parser.add_argument("--pictures", type=Path, required=True, help="folder of pictures, searched through and through")
    parser.add_argument("--weights", type=Path, required=True, help="folder the weights package was installed in")
    parser.add_argument("--name", required=True, help="what to call the model; new whenever a vector changes")
    parser.add_argument("--output", type=Path, default=export_onnx.FOLDER, help="folder to write to")
    parser.add_argument("--judged", type=Path, help="CSV of picture files and labels, for the scores alone")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    try:
        paths, weights = (
            find_pictures(arguments.pictures.resolve()),
            torch_weights.read(export_onnx.find_weights(arguments.weights)),
        )
        known = Known(judged=read_labels(arguments.judged) if arguments.judged else {})
        arguments.output.mkdir(parents=True, exist_ok=True)
        made = fit(paths, weights, known, name=arguments.name, seed=arguments.seed, copies=COPIES)
        made.write(arguments.output)
    except (FitError, InvalidArgument, torch_weights.WeightsError) as error:
        print(f"fit: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
