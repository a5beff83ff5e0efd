"""Finding pictures in a library, or in several."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lookalike.domain.geometry import Proof, View
from lookalike.domain.library import Identity, Kind, Library, Shelf
from lookalike.domain.picture import Embedding, Key, Pixels
from lookalike.domain.search import Candidate, Match, Query, Reason, TagFilter
from lookalike.imaging.decode import Decoded
from lookalike.limits.call import Job
from lookalike.ports import PictureStore, Ports
from lookalike.service.current import current
from lookalike.service.identity import identical, rows_of
from lookalike.service.image_source import Source, load
from lookalike.service.ranking import WINDOW, Page, merged, rank
from lookalike.service.reranking import looking, prove
from lookalike.verification.quadrilaterals import frames
from lookalike.verification.query_views import framed_by, shown, views

#: How deep the index is asked. Few depths, so that neighbouring pages are cut from the very same list; and never so
#: shallow that which candidates are proved would depend on the page.
_DEPTHS = (100, 300, WINDOW)
_DEPTHS_SAME = (300, WINDOW)

#: Most pictures that a search in groups finds. OpenSearch answers no more to one query (its
#: ``index.max_result_window``).
MOST = 10_000


@dataclass(frozen=True, slots=True)
class Search:
    """Find pictures like this one on that shelf: ``count`` of them from position ``start``."""

    shelf: Shelf
    source: Source
    start: int = 0
    count: int = 300
    tags: TagFilter | None = None


@dataclass(frozen=True, slots=True)
class SearchGroups:
    """Find pictures like this one in all these libraries: the ``count`` best, of a score of ``threshold`` at least.

    Of several that are identical only the first can have the score 1, so none of them falls below any threshold.
    """

    libraries: tuple[Library, ...]
    source: Source
    count: int = 1
    threshold: float = 0.0


def search(ports: Ports, command: Search) -> Page:
    """The page asked for; empty where the library does not exist.

    Raises a UrlError or a PictureError if the picture cannot be had, and Busy or Abandoned if nobody waits any more.
    """
    picture = load(ports, command.source, command.shelf.tenant).picture
    library = ports.catalog.library(command.shelf.tenant, command.shelf.name)
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
    """What is found, best first. Libraries, all of one tenant, may be of different kinds: each kind has its own query,
    and all scores mean the same.

    Raises a UrlError or a PictureError if the picture cannot be had, and Busy or Abandoned if nobody waits any more.
    """
    if not command.libraries:
        return []
    picture = load(ports, command.source, command.libraries[0].tenant).picture
    count = min(command.count, MOST)
    depth = min(max(count, _DEPTHS_SAME[0]) + 2, MOST)
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
        embeddings = ports.embedder.embed(views(kind, picture.pixels))
    near = _near(ports, libraries, embeddings, depth, tags)
    found = {candidate.key: candidate for candidate in (*near, *_kept(ports, libraries, picture, tags))}
    exact = identical(ports, job, found.values(), picture)
    others = [candidate for candidate in found.values() if candidate.key not in exact]
    proofs = None
    if kind is Kind.SAME and all(embedding.local_map for embedding in embeddings):
        proofs = _proofs(ports, job, picture.pixels, shown(embeddings), others, ports.originals)
        if not proofs and not exact:
            framed, proofs = _framed(ports, job, libraries, picture.pixels, depth, tags)
            found |= {candidate.key: candidate for candidate in framed}
            exact = identical(ports, job, framed, picture)
    return rank(
        found.values(),
        exact,
        lambda cosine: ports.embedder.score(kind, cosine),
        ports.embedder.threshold(kind),
        proofs,
        window,
    )


def _framed(
    ports: Ports, job: Job, libraries: Sequence[Library], pixels: Pixels, depth: int, tags: TagFilter | None
) -> tuple[Sequence[Candidate], Mapping[Key, Proof]]:
    """What is near to the pictures within a picture, and the proofs that it is the same.

    Only asked where the whole picture is neither there nor proved: most pictures hold no other.
    """
    with job.turn():
        within = frames(pixels)
        if not within:
            return [], {}
        embeddings = ports.embedder.embed([frame.cut(pixels) for frame in within])
    near = _near(ports, libraries, embeddings, depth, tags)
    return near, _proofs(ports, job, pixels, framed_by(within, embeddings), near)


def _near(
    ports: Ports,
    libraries: Sequence[Library],
    embeddings: Sequence[Embedding],
    depth: int,
    tags: TagFilter | None,
) -> Sequence[Candidate]:
    """The ``depth`` pictures that are nearest to any of these, in libraries of one kind."""
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


def _proofs(
    ports: Ports,
    job: Job,
    pixels: Pixels,
    looks: Sequence[View],
    candidates: Sequence[Candidate],
    originals: PictureStore | None = None,
) -> Mapping[Key, Proof]:
    """Which of the candidates, which come by cosine, are proved in one of these looks at the query."""
    comparison = ports.verifier.compare(pixels, looks, looking(ports.embedder, pixels))
    return prove(comparison, ports.maps, originals, candidates, job)


def _kept(ports: Ports, libraries: Sequence[Library], picture: Decoded, tags: TagFilter | None) -> Iterator[Candidate]:
    """The pictures of the same pixels straight from the catalog, so that no approximation ever misses them."""
    for library in libraries:
        rows = rows_of(ports, library, picture) if library.identity is Identity.PICTURE else ()
        for row in rows:
            if row is not None and row.live and (tags is None or tags.keeps(row.metadata.tags)):
                yield Candidate.of(row, cosine=1.0)
