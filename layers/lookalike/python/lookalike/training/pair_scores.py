"""Scores labelled pairs of picture files exactly as a search would."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.geometry import GeometricMatch
from lookalike.domain.keypoints import Original
from lookalike.domain.library import Identity, Kind
from lookalike.domain.picture import Embedding, Pixels
from lookalike.embedding.embedder import OnnxEmbedder
from lookalike.embedding.library_embedding import embed_for_library
from lookalike.errors import InvalidArgument, PictureError
from lookalike.imaging.rendition import RENDITION_SIDE, rendition
from lookalike.ports import QueryVerifier
from lookalike.service.looks import PART_LOOKS, WHOLE_LOOK, query_views
from lookalike.service.reranking import run_stages
from lookalike.service.view_matching import MIN_VIEW_COSINE, ViewMatcher
from lookalike.training.fitted_views import fitted_crops
from lookalike.training.labelled_csv import Pair
from lookalike.training.picture_files import read
from lookalike.training.progress import parallel_map, track
from lookalike.verification.match_score import MatchScorer
from lookalike.verification.verifier import FeatureMapVerifier


def digests_of(pairs: Iterable[Pair], table: Path) -> dict[Path, str]:
    """Return the digest of every file of these pairs: files with the same pixels have the same digest.

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


def without_repeats(pairs: Iterable[Pair], digests: Mapping[Path, str], table: Path) -> list[Pair]:
    """Return the pairs without repeats: of pairs with the same pixels, only the first counts.

    Raises InvalidArgument, with the lines in ``table``, for a pair that is called right here and wrong there.
    """
    embeddings: dict[tuple[str, str], Pair] = {}
    for pair in pairs:
        before = embeddings.setdefault((digests[pair.query], digests[pair.picture]), pair)
        if before.right != pair.right:
            reason = f"{pair.right:d}, and {before.right:d} for the same two pictures in line {before.line}"
            raise InvalidArgument("--pairs", f"{table}, line {pair.line}: {reason}")
    return list(embeddings.values())


class PairScorer:
    """Scores pairs of one kind as a search does. Every file is embedded once.

    All methods raise PictureError for a file that cannot be used.
    """

    def __init__(self, embedder: OnnxEmbedder, kind: Kind) -> None:
        self._embedder, self._kind = embedder, kind
        self._query, self._picture = cache(self._embed_query), cache(self._embed_picture)

    def cosines(self, pairs: Sequence[Pair]) -> NDArray[np.float64]:
        """Return each pair's largest cosine over the crops of its query, float64 (pairs,)."""
        return np.array(
            [self._cosine(self._query(pair.query), pair) for pair in track(pairs, "Embedding the pairs", len(pairs))]
        )

    def probabilities(self, pairs: Sequence[Pair], scorer: MatchScorer) -> NDArray[np.float64]:
        """Return the probability of each pair's best match, were it alone in a library, float64 (pairs,); 0 for none.

        A search finds the picture if that is ``scorer.min_probability`` or more.
        """
        return np.array([self._probability(pair, scorer) for pair in track(pairs, "Comparing the pairs", len(pairs))])

    def _cosine(self, embeddings: Sequence[Embedding], pair: Pair) -> float:
        picture = self._picture(pair.picture)
        vectors = np.stack([one.vectors[self._kind] for one in embeddings]).astype(np.float32)
        return float(np.max(vectors @ picture.vectors[self._kind].astype(np.float32)))

    def _probability(self, pair: Pair, scorer: MatchScorer) -> float:
        verifier = FeatureMapVerifier(scorer, exhaustive=True)
        pixels, original = read(pair.query).pixels, self._original(pair.picture)
        matches = []
        for look in (WHOLE_LOOK, *PART_LOOKS):
            if views := look.views(pixels):
                embeddings = self._embedder.embed([view.pixels for view in views])
                embedded = query_views(views, embeddings)
                query = verifier.query(pixels, embedded)
                matches.append(self._match(query, embeddings, pair, original if look.keypoints else None))
                candidate = self._candidate(embeddings, pair)
                if look is WHOLE_LOOK and original is not None and _is_placed(query, candidate, original.pixels):
                    return 1.0  # whatever the scorer thinks of it
                if look.view_keypoints and original is not None and candidate[0] >= MIN_VIEW_COSINE:
                    matcher = ViewMatcher(verifier, self._embedder)
                    matches.append(matcher.match_nearest(views, embedded, candidate, original))
        return max((match.probability for match in matches if match is not None), default=0.0)

    def _original(self, path: Path) -> Original | None:
        pixels = rendition(path.read_bytes(), RENDITION_SIDE)
        return None if pixels is None else Original(pixels, self._embedder.keypoints(pixels))

    def _match(
        self, query: QueryVerifier, embeddings: Sequence[Embedding], pair: Pair, original: Original | None
    ) -> GeometricMatch | None:
        """Return the most probable match of all stages, given the embeddings of the query's views."""
        candidate = self._candidate(embeddings, pair)
        load = None if original is None else (lambda numbers: dict.fromkeys(numbers, original))
        (match,) = run_stages(query, self._embedder, [candidate], load).matches()
        return match

    def _candidate(self, embeddings: Sequence[Embedding], pair: Pair) -> tuple[float, bytes]:
        """Return the cosine of a pair's picture, given the embeddings of the query's views, and its feature map."""
        return self._cosine(embeddings, pair), self._picture(pair.picture).feature_map

    def _embed_query(self, path: Path) -> Sequence[Embedding]:
        return self._embedder.embed(fitted_crops(self._kind, read(path).pixels))

    def _embed_picture(self, path: Path) -> Embedding:
        return embed_for_library(self._embedder, self._kind, Identity.PICTURE, read(path).pixels)


def _is_placed(query: QueryVerifier, candidate: tuple[float, bytes], original: Pixels) -> bool:
    """Whether the agreement of query and original proves a place that no feature map or keypoint does."""
    fitting = (place for place in query.place([candidate]).values() if query.fits(place, original))
    agreements = [query.agreement(match, original) for match in fitting]
    return any(agreement is not None and agreement.proves for agreement in agreements)
