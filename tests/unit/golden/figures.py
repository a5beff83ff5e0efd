"""The golden figures: all that verifier, ranking and scores make of the small pictures beside this file, as plain lists.

Dataclasses are written as lists in the order of their fields, so that renaming a field changes no figure. Floats are
written as Python repeats them, which is exact: what is read again is the same to the bit.

Run as a module, it prints the figures that follow from what is recorded.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, replace
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.domain.geometry import WHOLE, GeometricMatch
from lookalike.domain.keypoints import Keypoints, Original
from lookalike.domain.library import Kind, LibraryRef
from lookalike.domain.picture import Embedding, Key, Metadata, Pixels
from lookalike.domain.search import Candidate, Match
from lookalike.embedding.feature_map import unpack
from lookalike.embedding.model_card import Calibration
from lookalike.imaging.decode import Bounds
from lookalike.ports import Embedder, Ports
from lookalike.service.add import Add, add
from lookalike.service.image_source import Source
from lookalike.service.looks import query_views
from lookalike.service.ranking import merged, rank
from lookalike.service.reranking import run_stages
from lookalike.service.search import Search, search
from lookalike.training.fitted_views import fitted_crops, fitted_views
from lookalike.verification.match_score import MatchScorer
from lookalike.verification.quadrilaterals import detect_quadrilaterals
from lookalike.verification.ransac import SimilarityTransform, ransac_similarity
from lookalike.verification.stages import (
    Candidate as MatchCandidate,
)
from lookalike.verification.stages import (
    MatchAttempt,
    QueryMatcher,
    Rectification,
    rectification_of,
)
from lookalike.verification.verifier import FeatureMapVerifier
from tests.support.fakes import memory_ports
from tests.support.keypoints import of_patches

FOLDER = Path(__file__).parent
LIBRARY = ("one", "two", "three", "four")
QUERIES = ("copy", "mirrored", "crop", "turned", "print", "small", "framed", "stranger")

#: What the embedder made of every picture that it was shown: a map and the kinds' vectors by the pixels' digest.
RECORDED = FOLDER / "embeddings.npz"
#: The parts of the model's card that its maps are read by.
CARD = FOLDER / "card.json"
EXPECTED = FOLDER / "expected.json"

#: OpenBLAS sums in another order on each kind of processor, which changes last bits. These are the kernels that it has
#: for Haswell, which every x86-64 processor with AVX2 can run, and the blocks that it has for Haswell's cache of 256 kB.
KERNELS = {"OPENBLAS_CORETYPE": "Haswell", "OPENBLAS_L2_SIZE": "256"}

_BOUNDS = Bounds(1 << 20, 1, 4096, 1 << 24, frozenset({"PNG", "JPEG"}))


class RecordedEmbedder:
    """:class:`lookalike.ports.Embedder` that remembers what a model once made, so that no model is needed.

    It knows only pictures whose every pixel is as it was: one that it does not know is itself a figure that has changed.
    """

    def __init__(self) -> None:
        card = json.loads(CARD.read_text())
        self.model: str = card["name"]
        self.match_scorer = MatchScorer.from_card(card["proof"])
        self._calibration = {kind: Calibration(**card["calibration"][kind]) for kind in Kind}
        with np.load(RECORDED) as arrays:
            made = zip(arrays["digests"].tolist(), arrays["vectors"], arrays["maps"], strict=True)
            self._made: Mapping[str, Embedding] = {
                digest: Embedding(dict(zip(Kind, vectors, strict=True)), feature_map.tobytes())
                for digest, vectors, feature_map in made
            }
        self.known = frozenset(self._made)
        self.asked: set[str] = set()

    def embed(self, pictures: Sequence[Pixels]) -> Sequence[Embedding]:
        """What was made of each. Raises AssertionError for pixels that no model was shown."""
        digests = [digest_of(pixels) for pixels in pictures]
        self.asked.update(digests)
        unknown = [digest for digest in digests if digest not in self._made]
        assert not unknown, (
            "the model is shown pixels that it was not shown before: what cuts or warps them has changed"
        )
        return [self._made[digest] for digest in digests]

    def seen(self, pixels: Pixels) -> Pixels:
        """The pixels themselves, by which the embedding is found."""
        return pixels

    def keypoints(self, pixels: Pixels) -> Keypoints:
        """Those of a detector without a model."""
        return of_patches(pixels)

    def score(self, kind: Kind, cosine: float) -> float:
        return self._calibration[kind].score(cosine)

    def threshold(self, kind: Kind) -> float:
        return self._calibration[kind].threshold

    def codebook(self, kind: Kind) -> None:
        """None: what searches by it is no figure here."""


def digest_of(pixels: Pixels) -> str:
    """Names pixels."""
    return hashlib.sha256(repr(pixels.shape).encode() + np.ascontiguousarray(pixels).tobytes()).hexdigest()[:32]


def figures(embedder: Embedder, scorer: MatchScorer) -> dict[str, Any]:
    """All golden figures, as JSON has them."""
    verifier = FeatureMapVerifier(scorer)
    made = {
        "searches": {kind.value: _searches(kind, embedder, verifier) for kind in Kind},
        "stages": {query: dict(_stages(query, embedder, scorer)) for query in QUERIES},
        "frames": {
            query: [quadrilateral.corners.tolist() for quadrilateral in detect_quadrilaterals(_pixels(query))]
            for query in QUERIES
        },
        "transforms": _transforms(),
        "scores": {kind.value: [embedder.score(kind, number / 8) for number in range(-8, 9)] for kind in Kind},
        "ranking": _ranking(embedder),
    }
    return dict(json.loads(json.dumps(made)))


def run(module: str) -> str:
    """What a module prints, in a process of its own with the same kernels on every x86-64 processor."""
    command = [sys.executable, "-m", module]
    return subprocess.run(
        command, env=os.environ | KERNELS, cwd=FOLDER.parents[2], check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def written(made: Mapping[str, Any]) -> str:
    """Figures as the file has them: one line a list of plain values."""
    return "{\n" + ",\n".join(f" {json.dumps(name)}: {_lines(value, 2)}" for name, value in made.items()) + "\n}\n"


def _lines(value: Any, depth: int) -> str:
    indent = " " * depth
    if isinstance(value, dict) and value:
        inner = ",\n".join(f"{indent}{json.dumps(name)}: {_lines(one, depth + 1)}" for name, one in value.items())
        return "{\n" + inner + "\n" + indent[1:] + "}"
    if isinstance(value, list) and any(isinstance(one, list) for one in value):
        return "[\n" + ",\n".join(indent + json.dumps(one) for one in value) + "\n" + indent[1:] + "]"
    return json.dumps(value)


def _searches(kind: Kind, embedder: Embedder, verifier: FeatureMapVerifier) -> dict[str, list[Any]]:
    """What each query finds through the use cases, and the library's own pictures."""
    ports = memory_ports(embedder=embedder, verifier=verifier)
    ref = LibraryRef("tenant", "library", kind)
    for name in LIBRARY:
        add(ports, Add(ref, _source(name), metadata=Metadata(brief=name)))
    return {name: _found(ports, ref, name) for name in (*QUERIES, "one")}


def _found(ports: Ports, ref: LibraryRef, name: str) -> list[Any]:
    return [_match(match) for match in search(ports, Search(ref, _source(name))).matches]


def _match(match: Match) -> list[Any]:
    candidate, found = match.candidate, match.geometric_match
    return [
        candidate.metadata.brief,
        candidate.cosine,
        match.score,
        match.reason,
        None if found is None else _plain(found),
    ]


def _plain(found: GeometricMatch) -> list[Any]:
    of = found.agreement
    agreement = None if of is None else [of.share, of.weakest, of.recoloured, of.hue_turned, len(of.regions)]
    return [*astuple(replace(found, agreement=None))[:-1], agreement]


def _stages(query: str, embedder: Embedder, scorer: MatchScorer) -> Iterator[tuple[str, dict[str, Any]]]:
    """Per picture of the library what every stage of the verifier finds, whether or not a search would come to it."""
    pixels = _pixels(query)
    embeddings = embedder.embed(fitted_crops(Kind.SAME, pixels))
    views = query_views(fitted_views(Kind.SAME, pixels), embeddings)
    matcher = FeatureMapVerifier(scorer).query(pixels, views).matcher
    for name in LIBRARY:
        picture = _pixels(name)
        (embedding,) = embedder.embed([picture])
        cosine = max(_cosine(view, embedding) for view in embeddings)
        feature_map = unpack(embedding.feature_map)
        assert feature_map is not None
        candidate = MatchCandidate(cosine, feature_map)
        (first,), (whole,) = matcher.match_partial([candidate]), matcher.match_whole([candidate])
        again = None if first is None else rectification_of(first)
        original = Original(picture, of_patches(picture))
        view = matcher.keypoint_views.view(0)
        assert view is not None
        stages = {
            "whole": whole,
            "part": first,
            "again": _rematched(embedder, matcher, again),
            "corners": matcher.match_keypoints(candidate, view, of_patches(view.pixels), original),
        }
        exhaustive = FeatureMapVerifier(scorer, exhaustive=True).query(pixels, views)
        (best,) = run_stages(
            exhaustive, embedder, [(cosine, embedding.feature_map)], partial(_given, {0: original})
        ).matches()
        seen = {stage: _stage(found) for stage, found in stages.items() if found is not None}
        yield name, {"cosine": cosine, **seen, "best": None if best is None else _plain(best)}


def _given(originals: Mapping[int, Original], numbers: Sequence[int]) -> Mapping[int, Original]:
    """Loads the originals that are there."""
    return {number: originals[number] for number in numbers}


def _rematched(embedder: Embedder, matcher: QueryMatcher, rectification: Rectification | None) -> MatchAttempt | None:
    if rectification is None:
        return None
    (embedding,) = embedder.embed([rectification.warp(matcher.picture.colour)])
    (attempt,) = matcher.match_rectified([(rectification, embedding.feature_map)])
    return attempt


def _stage(found: MatchAttempt) -> list[Any]:
    return [found.sufficient, _plain(found.match), [*astuple(found.features)]]


def _transforms() -> dict[str, list[Any]]:
    """Transforms found of points of which ever fewer fit: where the guesses that are made decide."""
    chance = np.random.default_rng(2)
    here, there = [], []
    for fitting in range(24, 3, -1):
        points = chance.uniform(0, 1, 40) + 1j * chance.uniform(0, 1, 40)
        moved = points * np.exp(1j * chance.uniform(0, 6)) * chance.uniform(0.6, 1.5) + 0.1
        moved += chance.normal(0, 0.02, 40) + 1j * chance.normal(0, 0.02, 40)
        moved[fitting:] = chance.uniform(0, 1, 40 - fitting) + 1j * chance.uniform(0, 1, 40 - fitting)
        here.append((points.conj() if fitting % 2 else points).astype(np.complex64))
        there.append(moved.astype(np.complex64))
    # How near points are to each other's partners, and how far apart those are that guesses are made from.
    bounds = {"cells": (1 / 14, 1.5 / 14), "far apart": (1 / 14, 0.6), "nearer": (1 / 28, 1.5 / 14)}
    return {
        name: [
            None if one is None else _transform(one.transform)
            for one in ransac_similarity(list(zip(here, there, strict=True)), near, apart)
        ]
        for name, (near, apart) in bounds.items()
    }


def _transform(found: SimilarityTransform) -> list[Any]:
    return [found.scale.real, found.scale.imag, found.translation.real, found.translation.imag, found.reflected]


def _cosine(one: Embedding, other: Embedding) -> float:
    ours, theirs = (of.vectors[Kind.SAME].astype(np.float32) for of in (one, other))
    return float(ours @ theirs)


def _ranking(embedder: Embedder) -> dict[str, list[Any]]:
    """Ranked lists of made-up candidates: ties, one that is identical twice, proofs as sure as each other."""
    cosines = (0.91, 0.5, 0.91, 0.87, 0.1, 0.9999, 0.87, 1.0, -0.2, 0.91)
    candidates = [_candidate(number, cosine) for number, cosine in enumerate(cosines)]
    probabilities = {1: 0.9949, 2: 0.9951, 3: 0.9951, 5: 0.12, 6: 0.9951, 9: 1.0}
    verified = {
        candidates[number].key: GeometricMatch(probability, 20 + number, 0.9, (1, 0, 0, 0, 1, 0), WHOLE)
        for number, probability in probabilities.items()
    }
    exact = [candidate.key for candidate in candidates if candidate.digest == "7" * 64]
    lists = {
        kind.value: rank(candidates, exact, partial(embedder.score, kind), embedder.threshold(kind)) for kind in Kind
    }
    lists["proved"] = rank(candidates, exact, partial(embedder.score, Kind.SAME), 0.0, verified)
    lists["window"] = rank(candidates, [], partial(embedder.score, Kind.SIMILAR), -1.0, window=4)
    lists["merged"] = merged([lists["proved"], lists["similar"]], 12)
    return {name: [_place(match) for match in ranked] for name, ranked in lists.items()}


def _candidate(number: int, cosine: float) -> Candidate:
    digest = f"{number}" * 64 if number != 3 else "7" * 64
    return Candidate(
        Key("library", f"{number}"), 1, 1, digest, f"library/{number}/1", cosine, metadata=Metadata(brief=f"{number}")
    )


def _place(match: Match) -> list[Any]:
    return [match.candidate.metadata.brief, match.score, match.reason]


def _file(name: str) -> Path:
    return FOLDER / f"{name}.{'png' if name in LIBRARY else 'jpg'}"


def _source(name: str) -> Source:
    return Source(_BOUNDS, data=_file(name).read_bytes())


def _pixels(name: str) -> NDArray[np.uint8]:
    return np.asarray(Image.open(BytesIO(_file(name).read_bytes())).convert("RGB"))


def differences(found: Any, wanted: Any, place: str = "") -> Iterable[str]:
    """Where two trees of figures differ, as text."""
    if isinstance(found, dict) and isinstance(wanted, dict) and found.keys() == wanted.keys():
        for name in wanted:
            yield from differences(found[name], wanted[name], f"{place}/{name}")
    elif isinstance(found, list) and isinstance(wanted, list) and len(found) == len(wanted):
        for number, (one, other) in enumerate(zip(found, wanted, strict=True)):
            yield from differences(one, other, f"{place}/{number}")
    elif found != wanted or type(found) is not type(wanted):
        yield f"{place}: {found!r}, was {wanted!r}"


def main() -> None:
    """Print the figures, and whether the model was shown just what it was shown when they were recorded."""
    embedder = RecordedEmbedder()
    made = figures(embedder, embedder.match_scorer)
    print(json.dumps({"figures": made, "not shown": sorted(embedder.known - embedder.asked)}))


if __name__ == "__main__":
    main()
