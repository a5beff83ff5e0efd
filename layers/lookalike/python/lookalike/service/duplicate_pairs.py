"""Judging pairs of stored pictures, by what is stored of them: no picture is embedded that has a feature map.

Searches embed a query once more as a doubtful candidate shows it. Here that is left out: among strangers it takes two thirds of
the time, and of 102 pairs of copies it verified one more, whose pictures other pairs connect.

A pair's verdict depends on nothing but the two pictures: each pair is verified by itself, as searches for the same picture
verify, with the newer picture as the query, and if that proves nothing the other way round. So it does not matter when, or
in which order, pairs are judged.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.duplicates import End, Level, Pair
from lookalike.domain.geometry import IDENTITY, GeometricMatch, QueryView
from lookalike.domain.keypoints import Keypoints
from lookalike.domain.library import Kind, Library
from lookalike.domain.picture import Embedding, Picture, Pixels
from lookalike.domain.search import Candidate, Query
from lookalike.errors import PictureError
from lookalike.imaging.decode import FORMATS
from lookalike.imaging.file_headers import open_picture_file
from lookalike.imaging.rendition import RENDITION_SIDE, rendition
from lookalike.imaging.to_rgb import DECODE_ERRORS
from lookalike.ports import Embedder, Ports, QueryVerifier
from lookalike.service.originals import BUDGET
from lookalike.service.passing_library import PassingMaps
from lookalike.service.ranking import verified_score
from lookalike.service.renditions import Renditions
from lookalike.service.reranking import Reranker

#: Pictures that each one is compared with at most: its nearest.
MAX_NEIGHBOURS = 25

#: Smallest cosine of pictures that are verified in libraries of kind ``same``: of 210 copies (crops to 70 %, borders,
#: stickers, half size, poor JPEGs, mirrored), the one with the smallest has 0.37; a photograph has two strangers so near.
MIN_COSINE = 0.35

#: Smallest calibrated score of a cosine from which on two pictures are similar; and in kinds without feature maps, from
#: which on they are verified.
MIN_SIMILAR_SCORE = 0.9

#: Pictures whose pixels are kept for the next pairs: 2 MB each.
_MAX_SIDES = 32


@dataclass(frozen=True, slots=True, eq=False)
class _Side:
    """A picture as a side of pairs: its end, its feature map, and itself as a query."""

    end: End
    feature_map: bytes
    query: QueryVerifier


class Judge:
    """Finds the neighbours of stored pictures of a library, and judges pairs of them.

    Parameters
    ----------
    ports : of the job.
    library : theirs.
    """

    def __init__(self, ports: Ports, library: Library) -> None:
        self._ports = ports
        self._library = library
        self._job = ports.job(library.tenant)
        self._embedder = _NoPasses(ports.embedder)
        self._sides: OrderedDict[str, _Side | None] = OrderedDict()

    def neighbours(self, row: Picture) -> list[Candidate]:
        """Return the pictures nearest to a stored one that are near enough to be judged, the nearest first."""
        query = Query(
            kind=row.kind,
            libraries=(row.key.library,),
            model=row.model,
            vectors=row.vector.astype(np.float32)[None],
            k=MAX_NEIGHBOURS + 1,
        )
        found = [one for one in self._ports.index.search(query) if one.key != row.key]
        return [one for one in found if self._is_near(one)][:MAX_NEIGHBOURS]

    def pair(self, row: Picture, other: Picture) -> Pair | None:
        """Return how near two pictures are; None if they have nothing in common."""
        older, newer = sorted((row, other), key=lambda one: (one.added, one.key.id))
        cosine = float(np.clip(older.vector.astype(np.float32) @ newer.vector.astype(np.float32), -1.0, 1.0))
        if older.digest == newer.digest:
            return Pair(self._end(older), self._end(newer), Level.IDENTICAL, cosine, 1.0)
        proof, turned = self._proof(older, newer, cosine)
        score = self._ports.embedder.score(older.kind, cosine)
        if proof is not None:
            agrees = proof.agreement is not None and proof.agreement.agrees
            level, score = Level.SAME if agrees else Level.SIMILAR, verified_score(proof)
        elif self._is_similar(older.kind, cosine):
            level = Level.SIMILAR
        else:
            return None
        return Pair(self._end(older), self._end(newer), level, cosine, score, proof, turned)

    def _is_near(self, candidate: Candidate) -> bool:
        if self._library.kind is Kind.SAME:
            return candidate.cosine >= MIN_COSINE
        return self._is_similar(self._library.kind, candidate.cosine)

    def _is_similar(self, kind: Kind, cosine: float) -> bool:
        embedder = self._ports.embedder
        return cosine >= embedder.threshold(kind) and embedder.score(kind, cosine) >= MIN_SIMILAR_SCORE

    def _proof(self, older: Picture, newer: Picture, cosine: float) -> tuple[GeometricMatch | None, bool]:
        """Return how one lies on the other, and whether it is the older one that lies on the newer one."""
        first, second = self._side(older), self._side(newer)
        if first is None or second is None or not (first.feature_map and second.feature_map):
            return None, False
        proof = self._verify(second, older, first, cosine)
        if proof is not None:
            return proof, False
        return self._verify(first, newer, second, cosine), True

    def _verify(self, query: _Side, row: Picture, shown: _Side, cosine: float) -> GeometricMatch | None:
        candidate = Candidate.of(row, cosine)
        ports = self._ports
        reranker = Reranker(
            query.query,
            self._embedder,
            PassingMaps({candidate.object_key: shown.feature_map}),
            Renditions(ports.originals, ports.embedder, self._job),
            self._job,
            keypoints=False,
            min_agreement=ports.settings.min_agreement,
        )
        return reranker.verify([candidate]).matches.get(row.key)

    def _end(self, row: Picture) -> End:
        side = self._side(row)
        return End(row.key.id, row.added) if side is None else side.end

    def _side(self, row: Picture) -> _Side | None:
        """Return the picture as a side of pairs; None if its original is missing or damaged."""
        key = row.object_key
        if key not in self._sides:
            self._sides[key] = self._read(row)
            if len(self._sides) > _MAX_SIDES:
                self._sides.popitem(last=False)
        self._sides.move_to_end(key)
        return self._sides[key]

    def _read(self, row: Picture) -> _Side | None:
        data = self._ports.originals.get(row.object_key)
        if data is None:
            return None
        with BUDGET.decoding(self._job) as room:
            pixels = rendition(data, RENDITION_SIDE, room)
        if pixels is None:
            return None
        end = End(row.key.id, row.added, *_size(data, pixels), len(data))
        feature_map = self._feature_map(row, pixels)
        view = QueryView(IDENTITY, feature_map, full=True)
        return _Side(end, feature_map, self._ports.verifier.query(pixels, [view]))

    def _feature_map(self, row: Picture, pixels: Pixels) -> bytes:
        """Return the stored feature map; libraries of other kinds than ``same`` store none, so there it is made."""
        stored = self._ports.maps.maps([row.object_key]).get(row.object_key)
        if stored is not None or row.kind is Kind.SAME:
            return stored or b""
        with self._job.turn():
            return self._ports.embedder.embed([pixels])[0].feature_map


class _NoPasses(Embedder):
    """An embedder that makes no feature maps: what is to be matched once more matches nothing."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    @property
    def model(self) -> str:
        return self._embedder.model

    def embed(self, pictures: Sequence[Pixels]) -> Sequence[Embedding]:
        return [Embedding({})] * len(pictures)

    def seen(self, pixels: Pixels) -> Pixels:
        return self._embedder.seen(pixels)

    def keypoints(self, pixels: Pixels) -> Keypoints:
        return self._embedder.keypoints(pixels)

    def score(self, kind: Kind, cosine: float) -> float:
        return self._embedder.score(kind, cosine)

    def threshold(self, kind: Kind) -> float:
        return self._embedder.threshold(kind)

    def codebook(self, kind: Kind) -> NDArray[np.float32] | None:
        return self._embedder.codebook(kind)


def _size(data: bytes, pixels: Pixels) -> tuple[int, int]:
    """Return the picture's width and height, upright; its rendition tells whether orientation has swapped them."""
    try:
        file = open_picture_file(data, FORMATS)
    except (*DECODE_ERRORS, PictureError):
        return 0, 0
    height, width = pixels.shape[:2]
    swapped = (file.width > file.height) != (width > height) and file.width != file.height and width != height
    return (file.height, file.width) if swapped else (file.width, file.height)
