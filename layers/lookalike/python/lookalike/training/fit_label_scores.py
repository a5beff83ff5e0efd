"""Fits the scores of `similar` and `product` of a model that is there to labelled pictures and strangers.

    python -m lookalike.training.fit_label_scores --pictures MANIFEST.csv --model layers/model/model.onnx

The table has the columns ``path``, ``label`` and ``task``; the pictures of a task are a library of their own, but for
tasks of `same`. Each picture is searched for among the others of its library, and photographs of the other libraries as
well: strangers, so that one search in four has nothing to find. A score becomes how often such a first answer has the
label of its query.

Only classes of which the model's learnt.txt names a picture are used. The yardstick leaves just these out, so it judges
by other pictures. Of the card the scores of these two kinds change, and the record of their fit: vectors stay.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.library import Kind
from lookalike.embedding.embedder import OnnxEmbedder
from lookalike.embedding.library_embedding import mean_of_looks, mirrored_middle
from lookalike.embedding.model_path import CARD
from lookalike.errors import LookalikeError
from lookalike.training import logistic
from lookalike.training.fit_scores import NO_THRESHOLD
from lookalike.training.fitted_card import sha256, sha256_of_all, write_card
from lookalike.training.fitted_model import LEARNT
from lookalike.training.picture_files import read
from lookalike.training.progress import parallel_map

#: Of the searches that scores are fitted to, one in so many has nothing to find.
STRANGERS = 4

#: The kinds whose scores are fitted.
KINDS = (Kind.SIMILAR, Kind.PRODUCT)


@dataclass(frozen=True, slots=True)
class Labelled:
    """A picture file, its class, and the library that it is in."""

    path: Path
    label: str
    library: str


@dataclass(frozen=True, slots=True, eq=False)
class Vectors:
    """Vectors of one kind, float32 (pictures, DIMENSION): as queries, and as a library stores them."""

    whole: NDArray[np.float32]
    stored: NDArray[np.float32]


def read_table(table: Path) -> list[Labelled]:
    """Return the labelled pictures of a table, those of `same` left out. Raises OSError or KeyError if it is none."""
    with table.open(newline="", encoding="utf-8-sig") as file:
        return [
            Labelled(table.parent / row["path"], row["label"], row["task"])
            for row in csv.DictReader(file)
            if row["label"] and not row["task"].startswith(Kind.SAME)
        ]


def of_learnt_classes(pictures: Sequence[Labelled], learnt: Path) -> list[Labelled]:
    """Return the pictures of classes of which a list of digests, 16 hex digits a line, names a picture."""
    digests = set(learnt.read_text().split())
    classes = {(picture.library, picture.label) for picture in pictures if sha256(picture.path)[:16] in digests}
    return [picture for picture in pictures if (picture.library, picture.label) in classes]


def embed(embedder: OnnxEmbedder, pictures: Sequence[Labelled]) -> dict[Kind, Vectors]:
    """Return the vectors of the pictures by kind, rounded as stores have them. Raises PictureError."""

    def looks(picture: Labelled) -> NDArray[np.float16]:
        pixels = read(picture.path).pixels
        made = embedder.embed([pixels, mirrored_middle(pixels)])
        return np.stack([[one.vectors[kind] for one in made] for kind in KINDS])

    made = np.stack(parallel_map("Embedding the pictures", looks, pictures)).astype(np.float32)
    return {
        kind: Vectors(
            made[:, number, 0],
            mean_of_looks(made[:, number, 0], made[:, number, 1]).astype(np.float16).astype(np.float32),
        )
        for number, kind in enumerate(KINDS)
    }


def first_answers(
    pictures: Sequence[Labelled], vectors: Vectors, seed: int = 1
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the cosine of the first answer to every search, and whether it has its query's label.

    In each library every picture is searched for among the others, and a third as many strangers of other libraries.
    """
    libraries = np.array([picture.library for picture in pictures])
    labels = np.array([f"{picture.library}/{picture.label}" for picture in pictures])
    cosines, right = [], []
    for library in sorted(set(libraries.tolist())):
        own, others = np.flatnonzero(libraries == library), np.flatnonzero(libraries != library)
        count = min(len(own) // (STRANGERS - 1), len(others))
        asked = np.concatenate([own, np.array(Random(seed).sample(others.tolist(), count), np.int64)])
        near = vectors.whole[asked] @ vectors.stored[own].T
        near[asked[:, None] == own[None, :]] = -1  # a picture is no answer to itself
        first = near.argmax(axis=1)
        cosines.append(near.max(axis=1))
        right.append(labels[own][first] == labels[asked])
    return np.concatenate(cosines).astype(np.float64), np.concatenate(right)


def fit(pictures: Sequence[Labelled], vectors: Mapping[Kind, Vectors]) -> dict[Kind, dict[str, float]]:
    """Return the card's calibration of both kinds."""
    fitted = {}
    for kind in KINDS:
        cosines, right = first_answers(pictures, vectors[kind])
        slope, offset = logistic.fit_logistic(cosines, logistic.platt_targets(right))
        fitted[kind] = {"slope": round(slope, 3), "offset": round(offset, 3), "threshold": NO_THRESHOLD}
        print(f"{kind}: {len(right)} searches, {right.mean():.1%} right; {fitted[kind]}", file=sys.stderr)
    return fitted


def _record(pictures: Sequence[Labelled]) -> dict[str, Any]:
    """Return the card's entry that says what the scores of both kinds were fitted to."""
    return {
        "kinds": list(KINDS),
        "pictures": len(pictures),
        "strangers_are_one_search_in": STRANGERS,
        "pictures_sha256": sha256_of_all([picture.path for picture in pictures]),
    }


def main() -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(description="Fit the scores of similar and product to labelled pictures.")
    parser.add_argument("--pictures", type=Path, required=True, help="CSV with the columns path, label and task")
    parser.add_argument("--model", type=Path, required=True, help="the model file; its card is changed")
    given = parser.parse_args()
    folder = given.model.parent
    try:
        pictures = of_learnt_classes(read_table(given.pictures), folder / LEARNT)
        fitted = fit(pictures, embed(OnnxEmbedder(given.model), pictures))
        card = json.loads((folder / CARD).read_text())
        entries = {"calibration": card["calibration"] | fitted, "fit": card["fit"] | {"scores": _record(pictures)}}
        write_card(folder / CARD, {"name": card["name"], **entries})
    except (OSError, KeyError, LookalikeError) as error:
        print(f"fit_label_scores: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
