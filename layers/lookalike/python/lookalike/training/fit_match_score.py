"""Fits how the verifier reads its evidence: the card's "proof", from a folder of pictures.

    python -m lookalike.training.fit_match_score --pictures DIR [--apart DIR] [--model layers/model/model.onnx]

Changed copies (:mod:`~lookalike.training.augment`) are made of pictures that no head was fitted on; those that learnt.txt names fill the
library. Every copy is compared with its nearest pictures, as a search does, and four logistic regressions learn when
both show the same: of whole pictures, of parts, of parts looked at again, and, last, of corners, where these three leave
it open. The threshold is left as it is.

Two photographs of one scene prove each other, and should, though no folder says which ones they are. So a pair whose
unchanged original already looks like the other picture is left out. What lies in --apart, and what shows the same in
other files, is neither copied nor in the library: the model may be judged by it. Five minutes on two idle cores.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from random import Random
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.progress import track

from lookalike.domain.library import Kind
from lookalike.domain.picture import Embedding, Pixels
from lookalike.embedding.embedder import OnnxEmbedder
from lookalike.embedding.feature_map import LocalMap, unpack
from lookalike.embedding.model_card import CARD
from lookalike.service.reranking import looking
from lookalike.training import export_onnx
from lookalike.training.augment import augment_copy
from lookalike.training.picture_files import SUFFIXES
from lookalike.verification.keypoints import Corners, scaled
from lookalike.verification.match_score import Evidence, ProofCalibration, Weights, measures
from lookalike.verification.query_views import shown, views
from lookalike.verification.verifier import LEAST_BLOCKS, LEAST_CONGRUENCE, LocalMapComparison, LocalMapVerifier
from lookalike.verification.whole_image import Orientations

#: Copies made if nobody says how many, and of how many a hundred the original is kept out of the library.
COPIES, OUTSIDE = 760, 20

#: Pictures that are so alike are one picture.
ONE_PICTURE = 0.92

#: How many of its nearest pictures a copy is compared with.
NEAREST = 25

#: How many of the nearest are compared by their corners; and others, if they are probable enough.
NEAREST_BY_CORNERS = 3

#: Less probable overlays are not looked at again.
LEAST_PROBABLE = 0.01

#: Originals that look so alike, or lie on each other so well, show one scene.
SCENE_COSINE, SCENE_CORRELATION, SCENE_INLIERS, SCENE_LIKENESS = 0.65, 0.6, 20, 0.45

#: Whole pictures that correlate less are nothing to learn from.
LEAST_CORRELATION = 0.25

#: What large weights cost. Corners are asked but seldom, and of what little there is much must be learnt.
RIDGE: Mapping[str, float] = {"whole": 0.3, "part": 0.3, "again": 0.3, "corners": 0.03}

#: Of fewer pairs, the same or not, a look learns nothing.
LEAST_SEEN = 10

_console = Console(stderr=True)

T = TypeVar("T")
R = TypeVar("R")

Look = str
WHOLE, PART, AGAIN, CORNERS = "whole", "part", "again", "corners"
USES: Mapping[Look, tuple[str, ...]] = {
    WHOLE: ("cosine", "correlation"),
    PART: ("cosine", "correlation", "matches", "inliers"),
    AGAIN: ("cosine", "correlation", "matches", "inliers", "likeness"),
    CORNERS: ("correlation", "corners"),
}


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """A picture that is searched for: its pixels and its views' embeddings."""

    pixels: Pixels
    embeddings: Sequence[Embedding]

    @classmethod
    def of(cls, embedder: OnnxEmbedder, picture: Image.Image) -> Query:
        """Embedded as a search does it."""
        pixels = np.asarray(picture.convert("RGB"))
        return cls(pixels, embedder.embed(views(Kind.SAME, pixels)))

    def cosines(self, library: NDArray[np.float32]) -> NDArray[np.float32]:
        """With each row of the library, the best of all views."""
        vectors = np.stack([one.vectors[Kind.SAME] for one in self.embeddings]).astype(np.float32)
        best: NDArray[np.float32] = (vectors @ library.T).max(axis=0)
        return best

    @property
    def local_map(self) -> LocalMap:
        """Of the whole picture. Raises ValueError if the model makes none."""
        made = unpack(self.embeddings[0].local_map)
        if made is None:
            raise ValueError("the model makes no local maps")
        return made

    def comparison(self, embedder: OnnxEmbedder) -> LocalMapComparison:
        """Ready to be compared."""
        looks = shown(self.embeddings)
        return LocalMapVerifier(embedder.proof).compare(self.pixels, looks, looking(embedder, self.pixels))


@dataclass(frozen=True, slots=True)
class Seen:
    """One piece of evidence, by which look, and whether both do show the same."""

    look: Look
    evidence: Evidence
    same: bool


@dataclass(frozen=True, slots=True)
class Compared:
    """A copy beside a picture: what each look says, and whether both do show the same."""

    looks: Mapping[Look, Evidence]
    same: bool


def seen(
    query: Query, embedder: OnnxEmbedder, candidates: Sequence[tuple[float, LocalMap, Callable[[], Corners] | None]]
) -> list[dict[Look, Evidence]]:
    """What each look says of each candidate, given its cosine, its local map and, if wanted, its corners.

    The candidates come by cosine.
    """
    comparison = query.comparison(embedder)
    orientations = Orientations(query.local_map.thumbnail)
    found = []
    for place, (cosine, picture, corners) in enumerate(candidates):
        looks, probable = _looks(comparison, orientations, cosine, picture)
        if corners is not None and (place < NEAREST_BY_CORNERS or probable):
            laid = comparison.corners(cosine, picture, corners())
            looks |= {} if laid is None else {CORNERS: laid.evidence}
        found.append(looks)
    return found


def _looks(
    comparison: LocalMapComparison, orientations: Orientations, cosine: float, picture: LocalMap
) -> tuple[dict[Look, Evidence], bool]:
    """What the maps say, and whether it is probable at all."""
    looks = {}
    covered = orientations.on(picture.thumbnail.astype(np.float32)).agreement
    if covered.blocks >= LEAST_BLOCKS:
        looks[WHOLE] = Evidence(cosine, covered.blocks, covered.correlation)
    part = comparison.part(cosine, picture)
    if part is None:
        return looks, False
    if part.proves:
        looks[PART] = part.evidence
    probable = part.proof.probability >= LEAST_PROBABLE
    if probable:
        again = comparison.again(part)
        if again is not None and again.proves:
            looks[AGAIN] = again.evidence
    return looks, probable


def _striking(looks: Mapping[Look, Evidence]) -> bool:
    """Whether there is anything to be explained, were the two not the same."""
    return bool(looks.keys() & {PART, AGAIN, CORNERS}) or (
        WHOLE in looks and looks[WHOLE].correlation > LEAST_CORRELATION
    )


def of_one_scene(cosine: float, looks: Mapping[Look, Evidence]) -> bool:
    """Whether an unchanged picture looks so much like another that nobody can call them different."""
    whole, part, again = (looks.get(name) for name in (WHOLE, PART, AGAIN))
    return (
        cosine >= SCENE_COSINE
        or (whole is not None and whole.correlation >= SCENE_CORRELATION)
        or (part is not None and part.correlation >= SCENE_CORRELATION and part.inliers >= SCENE_INLIERS)
        or (again is not None and again.likeness >= SCENE_LIKENESS and again.inliers >= 2 * SCENE_INLIERS)
    )


class Collection:
    """A library of pictures, and what is seen when changed copies of some are compared with it."""

    def __init__(
        self, embedder: OnnxEmbedder, paths: Sequence[Path], learnt: frozenset[str], seed: int, copies: int = COPIES
    ) -> None:
        self._embedder, self._paths, self._seed = embedder, paths, seed
        fresh = [number for number, path in enumerate(paths) if _digest(path)[:16] not in learnt]
        Random(seed).shuffle(fresh)
        self.copied = fresh[:copies]
        self._outside = self.copied[: len(self.copied) * OUTSIDE // 100]
        outside = set(self._outside)
        self._inside = [number for number in range(len(paths)) if number not in outside]
        embedded = _side_by_side("Embedding the library", self._embed, self._inside)
        self._library = np.stack([one.vectors[Kind.SAME] for one in embedded]).astype(np.float32)
        self._maps = [one.local_map for one in embedded]

    def _original(self, number: int) -> Image.Image:
        return Image.open(self._paths[number]).convert("RGB")

    def _embed(self, number: int) -> Embedding:
        return self._embedder.embed([np.asarray(self._original(number))])[0]

    def evidence(self) -> list[list[Compared]]:
        """Of every copy beside its nearest pictures, but for those that show one scene with it."""
        return _side_by_side("Comparing copies", self._of_copy, self.copied)

    def _of_copy(self, number: int) -> list[Compared]:
        random = Random(f"proofs {self._seed} {number}")
        behind = self._original(random.choice([other for other in self._outside if other != number]))
        copy = Query.of(self._embedder, augment_copy(self._original(number), behind, random))
        cosines = copy.cosines(self._library)
        nearest = np.argsort(-cosines, kind="stable")[:NEAREST]
        collected = list(self._looks(copy, cosines, nearest))
        strangers = [
            at for at, looks in zip(nearest, collected, strict=True) if _striking(looks) and self._inside[at] != number
        ]
        original = Query.of(self._embedder, self._original(number))
        alike = original.cosines(self._library)
        originals = dict(zip(strangers, self._looks(original, alike, strangers, corners=False), strict=True))
        return [
            Compared(looks, self._inside[at] == number)
            for at, looks in zip(nearest, collected, strict=True)
            if at not in originals or not of_one_scene(float(alike[at]), originals[at])
        ]

    def _looks(
        self,
        query: Query,
        cosines: NDArray[np.float32],
        numbers: Sequence[int] | NDArray[np.intp],
        *,
        corners: bool = True,
    ) -> Iterator[dict[Look, Evidence]]:
        maps = [(at, unpack(self._maps[at])) for at in numbers]
        of = [(partial(self._corners, at) if corners else None) for at in numbers]
        candidates = [
            (float(cosines[at]), one, found) for (at, one), found in zip(maps, of, strict=True) if one is not None
        ]
        yield from seen(query, self._embedder, candidates)

    def _corners(self, at: int) -> Corners:
        """Of a picture in the library, as a search sees it."""
        return Corners.of(scaled(np.asarray(self._original(self._inside[at]))))


def learn(copies: Sequence[Sequence[Compared]], before: ProofCalibration) -> tuple[list[Seen], dict[Look, Weights]]:
    """What there is to learn from, and the regressions of all looks that have enough of it."""
    pieces = _all(WHOLE, copies) + _all(PART, copies) + _all(AGAIN, copies)
    taught = {look: fit(pieces, look) for look in (WHOLE, PART, AGAIN) if _enough(pieces, look)}
    without = replace(
        before,
        whole=taught.get(WHOLE, before.whole),
        part=taught.get(PART, before.part),
        again=taught.get(AGAIN, before.again),
    )
    pieces += _all(CORNERS, [left_open(copy, without) for copy in copies])
    return pieces, taught | ({CORNERS: fit(pieces, CORNERS)} if _enough(pieces, CORNERS) else {})


def left_open(copy: Sequence[Compared], proof: ProofCalibration) -> list[Compared]:
    """Where a search asks for corners: nowhere if a picture is proved without them.

    A copy's own picture is proved most of the time. Then the others are looked at as if it were not in the library, as
    most pictures are not that people search for.
    """
    proved = [_proved(one.looks, proof) for one in copy]
    if any(sure and not one.same for one, sure in zip(copy, proved, strict=True)):
        return []
    return [one for one, sure in zip(copy, proved, strict=True) if not sure]


def _proved(looks: Mapping[Look, Evidence], proof: ProofCalibration) -> bool:
    """Whether that is proof without corners."""
    read = {WHOLE: proof.whole, PART: proof.part, AGAIN: proof.again}
    return any(
        read[look].probability(evidence) >= proof.least
        for look, evidence in looks.items()
        if look in read and (look != WHOLE or evidence.correlation >= LEAST_CONGRUENCE)
    )


def _all(look: Look, copies: Sequence[Sequence[Compared]]) -> list[Seen]:
    return [Seen(look, one.looks[look], one.same) for copy in copies for one in copy if look in one.looks]


def fit(pieces: Sequence[Seen], look: Look) -> Weights:
    """The logistic regression of one look."""
    mine = [
        one for one in pieces if one.look == look and (look == CORNERS or one.evidence.correlation > LEAST_CORRELATION)
    ]
    columns = USES[look]
    x = np.array([[*(measures(one.evidence)[name] for name in columns), -1.0] for one in mine])
    y = np.array([one.same for one in mine], np.float64)
    weights = np.zeros(x.shape[1])
    for _ in range(60):  # Newton's method
        p = 1 / (1 + np.exp(-(x @ weights).clip(-30, 30)))
        slope = x.T @ (p - y) + RIDGE[look] * weights
        curve = (x * (p * (1 - p))[:, None]).T @ x + RIDGE[look] * np.eye(len(weights))
        weights -= np.linalg.solve(curve, slope)
    fitted = dict(zip((*columns, "offset"), weights.round(3).tolist(), strict=True))
    return Weights(**{name: fitted.get(name, 0.0) for name in Weights.__dataclass_fields__})


def apart_from(embedder: OnnxEmbedder, paths: Sequence[Path], judged: Sequence[Path]) -> list[Path]:
    """The pictures that are none of those that something is judged by."""
    if not judged:
        return list(paths)

    def vector(path: Path) -> NDArray[np.float16]:
        return embedder.embed([np.asarray(Image.open(path).convert("RGB"))])[0].vectors[Kind.SAME]

    ours, theirs = (np.stack(_side_by_side("Setting apart", vector, of)).astype(np.float32) for of in (paths, judged))
    return [path for path, alike in zip(paths, (ours @ theirs.T).max(axis=1), strict=True) if alike < ONE_PICTURE]


def find(folders: Sequence[Path]) -> list[Path]:
    """The pictures in these folders, through and through."""
    return sorted(path for folder in folders for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _side_by_side(doing: str, work: Callable[[T], R], over: Sequence[T]) -> list[R]:
    with ThreadPoolExecutor(2) as pool:
        return list(track(pool.map(work, over), doing, len(over), console=_console, transient=True))


def main(given: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Fit the proof's probabilities from a folder of pictures.")
    parser.add_argument("--pictures", type=Path, required=True, nargs="+", help="folders of pictures")
    parser.add_argument("--apart", type=Path, nargs="+", default=[], help="folders of pictures to judge by, not to use")
    parser.add_argument("--copies", type=int, default=COPIES)
    parser.add_argument(
        "--model", type=Path, default=export_onnx.FOLDER / "model.onnx", help="the model; its card is changed"
    )
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args(given)
    embedder = OnnxEmbedder(arguments.model)
    paths = apart_from(embedder, find(arguments.pictures), find(arguments.apart))
    learnt = frozenset((arguments.model.parent / "learnt.txt").read_text().split())
    collection = Collection(embedder, paths, learnt, arguments.seed, arguments.copies)
    card = arguments.model.parent / CARD
    content = json.loads(card.read_text())
    pieces, taught = learn(collection.evidence(), embedder.proof)
    content["proof"] |= {look: asdict(weights) for look, weights in taught.items()}
    content["proof"]["remark"] = (
        f"Fitted by proofs.py on {len(collection.copied)} changed copies of pictures that no head was fitted on"
        f"{' and that nothing is judged by' if arguments.apart else ''}, {OUTSIDE} % of them with nothing to find, each "
        f"with its {NEAREST} nearest; corners where the other looks prove nothing. Pairs that show one scene left out."
    )
    card.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    for look in USES:
        mine = [one for one in pieces if one.look == look]
        learnt_of = f"{len(mine)} seen, {sum(one.same for one in mine)} the same"
        print(
            look, f"{learnt_of}:", json.dumps(content["proof"][look]) if look in taught else "too few, left as it was"
        )
    return 0


def _enough(pieces: Sequence[Seen], look: Look) -> bool:
    same = [one.same for one in pieces if one.look == look]
    return min(sum(same), len(same) - sum(same)) >= LEAST_SEEN


if __name__ == "__main__":
    sys.exit(main())
