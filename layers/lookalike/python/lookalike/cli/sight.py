"""Pairs of picture files as a search sees them that finds the one by the other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lookalike.cli.pictures import MADE
from lookalike.cli.progress import track
from lookalike.cli.tables import Pair
from lookalike.embedding import corners
from lookalike.embedding.embedder import OnnxEmbedder
from lookalike.embedding.evidence import ProofCalibration
from lookalike.embedding.frames import frames
from lookalike.embedding.verifier import LocalMapVerifier
from lookalike.embedding.views import framed_by, shown, views
from lookalike.errors import InvalidArgument, PictureError
from lookalike.model import Embedding, Kind
from lookalike.picture.decode import Decoded, decode
from lookalike.picture.glance import glance
from lookalike.service.proof import looking


@dataclass(frozen=True, slots=True, eq=False)
class _Embedded:
    """A picture: its digest, and the embeddings of its views."""

    digest: str
    views: Sequence[Embedding]


class Sight:
    """What searches of one kind see. Every file is embedded once.

    All methods raise InvalidArgument for a file that is no picture.
    """

    def __init__(self, embedder: OnnxEmbedder, kind: Kind) -> None:
        self._embedder, self._kind = embedder, kind
        self._query, self._picture = cache(self._embed_query), cache(self._embed_picture)

    def differing(self, pairs: Iterable[Pair]) -> list[Pair]:
        """Those that are not one picture twice: a search knows that by its pixels, and asks neither vector nor proof."""
        return [
            pair
            for pair in _tracked(pairs, "Embedding the pairs")
            if self._query(pair.query).digest != self._picture(pair.picture).digest
        ]

    def cosines(self, pairs: Iterable[Pair]) -> NDArray[np.float64]:
        """Of every pair the largest over the views of its query."""
        return np.array([self._cosine(self._query(pair.query).views, pair) for pair in pairs])

    def probabilities(self, pairs: Iterable[Pair], proof: ProofCalibration) -> NDArray[np.float64]:
        """Of every pair how probable its best proof is, were it alone in a library; 0 where nothing proves it.

        A search finds the picture if that is ``proof.least`` or more.
        """
        return np.array([self._probability(pair, proof) for pair in _tracked(pairs, "Comparing the pairs")])

    def _cosine(self, looks: Sequence[Embedding], pair: Pair) -> float:
        (picture,) = self._picture(pair.picture).views
        vectors = np.stack([one.vectors[self._kind] for one in looks]).astype(np.float32)
        return float(np.max(vectors @ picture.vectors[self._kind].astype(np.float32)))

    def _probability(self, pair: Pair, proof: ProofCalibration) -> float:
        pixels, seen = _decoded(pair.query).pixels, self._query(pair.query).views
        compare = partial(LocalMapVerifier(proof).compare, pixels, look=looking(self._embedder, pixels))
        (picture,) = self._picture(pair.picture).views
        original = glance(pair.picture.read_bytes(), corners.SIDE)
        proofs = [compare(shown(seen)).best(self._cosine(seen, pair), picture.local_map, original)]
        within = frames(pixels)
        if within:
            seen = self._embedder.embed([frame.cut(pixels) for frame in within])
            proofs.append(compare(framed_by(within, seen)).best(self._cosine(seen, pair), picture.local_map, None))
        return max((one.probability for one in proofs if one is not None), default=0.0)

    def _embed_query(self, path: Path) -> _Embedded:
        picture = _decoded(path)
        return _Embedded(picture.digest, self._embedder.embed(views(self._kind, picture.pixels)))

    def _embed_picture(self, path: Path) -> _Embedded:
        picture = _decoded(path)
        return _Embedded(picture.digest, self._embedder.embed([picture.pixels]))


def _tracked(pairs: Iterable[Pair], doing: str) -> Iterable[Pair]:
    every = list(pairs)
    return track(every, doing, len(every))


def _decoded(path: Path) -> Decoded:
    try:
        return decode(path.read_bytes(), MADE)
    except (PictureError, OSError) as error:
        raise InvalidArgument("--pairs", f"{path}: {error}") from error
