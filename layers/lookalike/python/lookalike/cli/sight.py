"""Pairs of picture files as a search sees them that finds the one by the other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from lookalike.cli.tables import Pair
from lookalike.embedding import corners
from lookalike.embedding.embedder import OnnxEmbedder
from lookalike.embedding.evidence import ProofCalibration
from lookalike.embedding.verifier import LocalMapVerifier
from lookalike.embedding.views import boxes, views
from lookalike.errors import InvalidArgument, PictureError
from lookalike.model import Embedding, Kind
from lookalike.picture.decode import FORMATS, Bounds, Decoded, decode
from lookalike.picture.glance import glance
from lookalike.service.proof import looking

#: These are the user's own files, not strangers'.
_BOUNDS = Bounds(
    max_bytes=100 << 20,
    min_side=1,
    max_side=30_000,
    max_pixels=200_000_000,
    formats=FORMATS,
)

_console = Console(stderr=True)


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
        return np.array([self._cosine(pair) for pair in pairs])

    def probabilities(self, pairs: Iterable[Pair], proof: ProofCalibration) -> NDArray[np.float64]:
        """Of every pair how probable its best proof is, were it alone in a library; 0 where nothing proves it.

        A search finds the picture if that is ``proof.least`` or more.
        """
        return np.array([self._probability(pair, proof) for pair in _tracked(pairs, "Comparing the pairs")])

    def _cosine(self, pair: Pair) -> float:
        shown, picture = (
            np.stack([one.vectors[self._kind] for one in embedded.views]).astype(np.float32)
            for embedded in (self._query(pair.query), self._picture(pair.picture))
        )
        return float((shown @ picture[0]).max())

    def _probability(self, pair: Pair, proof: ProofCalibration) -> float:
        pixels = _decoded(pair.query).pixels
        shown = zip(boxes(self._kind), [one.local_map for one in self._query(pair.query).views], strict=True)
        comparison = LocalMapVerifier(proof).compare(pixels, list(shown), looking(self._embedder, pixels))
        original = glance(pair.picture.read_bytes(), corners.SIDE)
        (picture,) = self._picture(pair.picture).views
        best = comparison.best(self._cosine(pair), picture.local_map, original)
        return 0.0 if best is None else best.probability

    def _embed_query(self, path: Path) -> _Embedded:
        picture = _decoded(path)
        return _Embedded(picture.digest, self._embedder.embed(views(self._kind, picture.pixels)))

    def _embed_picture(self, path: Path) -> _Embedded:
        picture = _decoded(path)
        return _Embedded(picture.digest, self._embedder.embed([picture.pixels]))


def _tracked(pairs: Iterable[Pair], doing: str) -> Iterable[Pair]:
    return track(list(pairs), doing, console=_console, transient=True)


def _decoded(path: Path) -> Decoded:
    try:
        return decode(path.read_bytes(), _BOUNDS)
    except (PictureError, OSError) as error:
        raise InvalidArgument("--pairs", f"{path}: {error}") from error
