"""Pairs of picture files as a search sees them that finds the one by the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.library import Kind
from lookalike.domain.picture import Embedding
from lookalike.embedding.embedder import OnnxEmbedder
from lookalike.errors import InvalidArgument, PictureError
from lookalike.imaging.grey_thumbnail import grey_thumbnail
from lookalike.service.reranking import looking
from lookalike.training.labelled_csv import Pair
from lookalike.training.picture_files import read
from lookalike.training.progress import parallel_map, track
from lookalike.verification import keypoints
from lookalike.verification.match_score import ProofCalibration
from lookalike.verification.quadrilaterals import frames
from lookalike.verification.query_views import framed_by, shown, views
from lookalike.verification.verifier import LocalMapVerifier


def look(pairs: Iterable[Pair], table: Path) -> dict[Path, str]:
    """The digest of every picture of these pairs: by it a search knows that two files have the same pixels.

    Raises InvalidArgument if files cannot be used as pictures, with the line of the first in ``table``.
    """
    lines: dict[Path, int] = {}
    for pair in pairs:
        for path in (pair.query, pair.picture):
            lines.setdefault(path, pair.line)
    refused: dict[Path, str] = {}

    def digest(path: Path) -> str:
        try:
            return read(path).digest
        except PictureError as error:
            refused[path] = str(error)
            return ""

    digests = dict(zip(lines, parallel_map("Looking at the pictures", digest, list(lines)), strict=True))
    if refused:
        first = next(path for path in lines if path in refused)
        more = f"; and {len(refused) - 1} more" if len(refused) > 1 else ""
        raise InvalidArgument("--pairs", f"{table}, line {lines[first]}: {first}: {refused[first]}{more}")
    return digests


def once(pairs: Iterable[Pair], digests: Mapping[Path, str], table: Path) -> list[Pair]:
    """The pairs without those that were judged before: files with the same pixels are the same evidence.

    Raises InvalidArgument, with the lines in ``table``, for a pair that is called right here and wrong there.
    """
    seen: dict[tuple[str, str], Pair] = {}
    for pair in pairs:
        before = seen.setdefault((digests[pair.query], digests[pair.picture]), pair)
        if before.right != pair.right:
            reason = f"{pair.right:d}, and {before.right:d} for the same two pictures in line {before.line}"
            raise InvalidArgument("--pairs", f"{table}, line {pair.line}: {reason}")
    return list(seen.values())


class Sight:
    """What searches of one kind see. Every file is embedded once.

    All methods raise PictureError for a file that cannot be used.
    """

    def __init__(self, embedder: OnnxEmbedder, kind: Kind) -> None:
        self._embedder, self._kind = embedder, kind
        self._query, self._picture = cache(self._embed_query), cache(self._embed_picture)

    def cosines(self, pairs: Sequence[Pair]) -> NDArray[np.float64]:
        """Of every pair the largest over the views of its query."""
        return np.array(
            [self._cosine(self._query(pair.query), pair) for pair in track(pairs, "Embedding the pairs", len(pairs))]
        )

    def probabilities(self, pairs: Sequence[Pair], proof: ProofCalibration) -> NDArray[np.float64]:
        """Of every pair how probable its best proof is, were it alone in a library; 0 where nothing proves it.

        A search finds the picture if that is ``proof.least`` or more.
        """
        return np.array([self._probability(pair, proof) for pair in track(pairs, "Comparing the pairs", len(pairs))])

    def _cosine(self, looks: Sequence[Embedding], pair: Pair) -> float:
        picture = self._picture(pair.picture)
        vectors = np.stack([one.vectors[self._kind] for one in looks]).astype(np.float32)
        return float(np.max(vectors @ picture.vectors[self._kind].astype(np.float32)))

    def _probability(self, pair: Pair, proof: ProofCalibration) -> float:
        pixels, seen = read(pair.query).pixels, self._query(pair.query)
        compare = partial(LocalMapVerifier(proof).compare, pixels, look=looking(self._embedder, pixels))
        picture = self._picture(pair.picture)
        original = grey_thumbnail(pair.picture.read_bytes(), keypoints.SIDE)
        proofs = [compare(shown(seen)).best(self._cosine(seen, pair), picture.local_map, original)]
        within = frames(pixels)
        if within:
            seen = self._embedder.embed([frame.cut(pixels) for frame in within])
            proofs.append(compare(framed_by(within, seen)).best(self._cosine(seen, pair), picture.local_map, None))
        return max((one.probability for one in proofs if one is not None), default=0.0)

    def _embed_query(self, path: Path) -> Sequence[Embedding]:
        return self._embedder.embed(views(self._kind, read(path).pixels))

    def _embed_picture(self, path: Path) -> Embedding:
        (picture,) = self._embedder.embed([read(path).pixels])
        return picture
