"""Searching a library, or several."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lookalike.domain.geometry import GeometricMatch, QueryView
from lookalike.domain.library import Identity, Kind, Library, LibraryRef
from lookalike.domain.picture import Embedding, Key, Pixels
from lookalike.domain.search import Candidate, Match, Query, Reason, TagFilter
from lookalike.embedding.query_crops import query_crops
from lookalike.imaging.decode import Decoded
from lookalike.limits.call import Job
from lookalike.ports import Ports
from lookalike.service.current import current
from lookalike.service.identity import identical, rows_of
from lookalike.service.image_source import Source, load
from lookalike.service.ranking import WINDOW, Page, merged, rank
from lookalike.service.reranking import Reranker
from lookalike.verification.quadrilaterals import detect_quadrilaterals
from lookalike.verification.query_views import views_of_crops, views_of_quadrilaterals

#: Candidates that the index is asked for. There are few values, so that neighbouring pages are cut from the same list, and
#: none so small that the page decides which candidates are verified.
_DEPTHS = (100, 300, WINDOW)
_DEPTHS_SAME = (300, WINDOW)

#: Pictures that a search in groups finds: a limit of OpenSearch (``index.max_result_window``).
MAX_FOUND = 10_000


@dataclass(frozen=True, slots=True)
class Search:
    """Find pictures like this one in that library: ``count`` matches from position ``start``."""

    library_ref: LibraryRef
    source: Source
    start: int = 0
    count: int = 300
    tags: TagFilter | None = None


@dataclass(frozen=True, slots=True)
class SearchGroups:
    """Find pictures like this one in these libraries: the ``count`` best with a score of at least ``threshold``.

    Identical pictures pass any threshold: only one answer can have the score 1, so the others score a little less.
    """

    libraries: tuple[Library, ...]
    source: Source
    count: int = 1
    threshold: float = 0.0


def search(ports: Ports, command: Search) -> Page:
    """Return a page of matches; an empty one if the library does not exist.

    Raises a UrlError or a PictureError if the picture cannot be loaded, and Busy or Abandoned if the answer is no longer
    wanted.
    """
    picture = load(ports, command.source, command.library_ref.tenant).picture
    library = ports.catalog.library(command.library_ref.tenant, command.library_ref.name)
    if library is None or command.start >= WINDOW:
        return Page((), more=False)
    # One more than the page's end says whether anything remains; another makes up for the identical picture,
    # which the catalog may add in front.
    end = min(command.start + command.count, WINDOW)
    depths = _DEPTHS_SAME if library.kind is Kind.SAME else _DEPTHS
    depth = next(depth for depth in depths if depth >= end) + 2
    ranked = _ranked(ports, [library], picture, depth, WINDOW, command.tags)
    matches, behind = current(ports.catalog, ranked, command.start, end - command.start, command.tags)
    return Page(tuple(matches), more=len(ranked) > behind)


def search_groups(ports: Ports, command: SearchGroups) -> list[Match]:
    """Return the matches in several libraries of one tenant, best first.

    The libraries may be of different kinds: each kind has a query of its own, and scores are comparable between kinds.
    Raises a UrlError or a PictureError if the picture cannot be loaded, and Busy or Abandoned if the answer is no longer
    wanted.
    """
    if not command.libraries:
        return []
    picture = load(ports, command.source, command.libraries[0].tenant).picture
    count = min(command.count, MAX_FOUND)
    depth = min(max(count, _DEPTHS_SAME[0]) + 2, MAX_FOUND)
    lists = [_ranked(ports, some, picture, depth, depth, None) for some in _by_kind(command.libraries)]
    ranked = [
        match for match in merged(lists, depth) if match.reason is Reason.EXACT or match.score >= command.threshold
    ]
    return current(ports.catalog, ranked, 0, count)[0]


def _by_kind(libraries: Sequence[Library]) -> Iterator[Sequence[Library]]:
    for kind in Kind:
        some = [library for library in libraries if library.kind is kind]
        if some:
            yield some


def _ranked(
    ports: Ports, libraries: Sequence[Library], picture: Decoded, depth: int, window: int, tags: TagFilter | None
) -> list[Match]:
    """The first ``window`` places of the list of matches in libraries of one kind; the index is asked for ``depth``."""
    kind = libraries[0].kind
    job = ports.job(libraries[0].tenant)
    with job.turn():
        embeddings = ports.embedder.embed(query_crops(kind, picture.pixels))
    near = _nearest(ports, libraries, embeddings, depth, tags)
    found = {candidate.key: candidate for candidate in (*near, *_identical_rows(ports, libraries, picture, tags))}
    exact = identical(ports, job, found.values(), picture)
    others = [candidate for candidate in found.values() if candidate.key not in exact]
    verified = None
    if kind is Kind.SAME and all(embedding.feature_map for embedding in embeddings):
        verified = _verify(ports, job, picture.pixels, views_of_crops(embeddings), others)
        if not verified and not exact:
            nearest_to_quadrilaterals, verified = _search_quadrilaterals(
                ports, job, libraries, picture.pixels, depth, tags
            )
            found |= {candidate.key: candidate for candidate in nearest_to_quadrilaterals}
            exact = identical(ports, job, nearest_to_quadrilaterals, picture)
    return rank(
        found.values(),
        exact,
        lambda cosine: ports.embedder.score(kind, cosine),
        ports.embedder.threshold(kind),
        verified,
        window,
    )


def _search_quadrilaterals(
    ports: Ports, job: Job, libraries: Sequence[Library], pixels: Pixels, depth: int, tags: TagFilter | None
) -> tuple[Sequence[Candidate], Mapping[Key, GeometricMatch]]:
    """Return the nearest neighbours of the quadrilaterals in a picture, and the matches among them.

    Only run where the whole picture is neither found nor verified: most pictures hold no other.
    """
    with job.turn():
        quadrilaterals = detect_quadrilaterals(pixels)
        if not quadrilaterals:
            return [], {}
        embeddings = ports.embedder.embed([quadrilateral.rectified(pixels) for quadrilateral in quadrilaterals])
    near = _nearest(ports, libraries, embeddings, depth, tags)
    return near, _verify(ports, job, pixels, views_of_quadrilaterals(quadrilaterals, embeddings), near, keypoints=False)


def _nearest(
    ports: Ports,
    libraries: Sequence[Library],
    embeddings: Sequence[Embedding],
    depth: int,
    tags: TagFilter | None,
) -> Sequence[Candidate]:
    """Return the ``depth`` pictures nearest to any of the embeddings, in libraries of one kind."""
    ports.call.check()
    kind = libraries[0].kind
    return ports.index.search(
        Query(
            kind=kind,
            libraries=tuple(library.uid for library in libraries),
            model=ports.embedder.model,
            vectors=np.stack([embedding.vectors[kind] for embedding in embeddings]).astype(np.float32),
            k=depth,
            tags=tags,
        )
    )


def _verify(
    ports: Ports,
    job: Job,
    pixels: Pixels,
    views: Sequence[QueryView],
    candidates: Sequence[Candidate],
    *,
    keypoints: bool = True,
) -> Mapping[Key, GeometricMatch]:
    """Return the candidates, which come by cosine, that match one of these views of the query."""
    query = ports.verifier.query(pixels, views)
    return Reranker(
        query, ports.embedder, ports.maps, ports.originals, job, keypoints, ports.settings.min_agreement
    ).verify(candidates)


def _identical_rows(
    ports: Ports, libraries: Sequence[Library], picture: Decoded, tags: TagFilter | None
) -> Iterator[Candidate]:
    """Yield the catalog's rows with the picture's pixels as candidates: an approximate index may miss them."""
    for library in libraries:
        rows = rows_of(ports, library, picture) if library.identity is Identity.PICTURE else ()
        for row in rows:
            if row is not None and row.live and (tags is None or tags.keeps(row.metadata.tags)):
                yield Candidate.of(row, cosine=1.0)
