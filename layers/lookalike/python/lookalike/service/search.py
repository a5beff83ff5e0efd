"""Finding pictures in a library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lookalike.embedding.views import boxes, views
from lookalike.model import Candidate, Embedding, Key, Kind, Library, Pixels, Proof, Query, Shelf, TagFilter
from lookalike.picture.decode import Decoded
from lookalike.ports import Ports
from lookalike.service.proof import looking, prove
from lookalike.service.ranking import WINDOW, Page, page, rank
from lookalike.service.source import Source, load

#: How deep the index is asked. Few depths, so that neighbouring pages are cut from the very same list; and never so
#: shallow that which candidates are proved would depend on the page.
_DEPTHS = (100, 300, WINDOW)
_DEPTHS_SAME = (300, WINDOW)


@dataclass(frozen=True, slots=True)
class Search:
    """Find pictures like this one on that shelf: ``count`` of them from position ``start``."""

    shelf: Shelf
    source: Source
    start: int = 0
    count: int = 300
    tags: TagFilter | None = None


def search(ports: Ports, command: Search) -> Page:
    """The page asked for; empty where the library does not exist.

    Raises a UrlError or a PictureError if the picture cannot be had.
    """
    picture = load(ports, command.source).picture
    library = ports.catalog.library(command.shelf.tenant, command.shelf.name)
    if library is None or command.start >= WINDOW:
        return Page((), more=False)
    embeddings = ports.embedder.embed(views(library.kind, picture.pixels))
    near = _near(ports, command, library, embeddings)
    found = {candidate.key: candidate for candidate in near}
    exact = _identical(ports, command, library, picture)
    if exact is not None:
        found[exact.key] = exact
    ranked = rank(
        found.values(),
        picture.digest,
        lambda cosine: ports.embedder.score(library.kind, cosine),
        ports.embedder.threshold(library.kind),
        _proofs(ports, library, picture.pixels, embeddings, [one for one in near if one.digest != picture.digest]),
    )
    return page(ranked, command.start, command.count)


def _near(ports: Ports, command: Search, library: Library, embeddings: Sequence[Embedding]) -> Sequence[Candidate]:
    # One more than the page's end says whether anything remains; another makes up for the identical picture,
    # which the catalog may add in front.
    end = min(command.start + command.count, WINDOW)
    depths = _DEPTHS_SAME if library.kind is Kind.SAME else _DEPTHS
    return ports.index.search(
        Query(
            kind=library.kind,
            libraries=(library.uid,),
            model=ports.embedder.model,
            vectors=np.stack([embedding.vectors[library.kind] for embedding in embeddings]).astype(np.float32),
            k=next(depth for depth in depths if depth >= end) + 2,
            tags=command.tags,
        )
    )


def _proofs(
    ports: Ports, library: Library, pixels: Pixels, embeddings: Sequence[Embedding], candidates: Sequence[Candidate]
) -> Mapping[Key, Proof] | None:
    """None if there could be none: the kind is another, or the model makes no local maps."""
    maps = [embedding.local_map for embedding in embeddings]
    if library.kind is not Kind.SAME or not all(maps):
        return None
    shown = list(zip(boxes(library.kind), maps, strict=True))
    comparison = ports.verifier.compare(pixels, shown, looking(ports.embedder, pixels))
    return prove(comparison, ports.maps, ports.originals, candidates)


def _identical(ports: Ports, command: Search, library: Library, picture: Decoded) -> Candidate | None:
    """The identical picture straight from the catalog, so that no approximation ever misses it."""
    row = ports.catalog.picture(Key(library.uid, picture.digest))
    if row is None or not row.live or (command.tags is not None and not command.tags.keeps(row.tags)):
        return None
    return Candidate(
        key=row.key,
        revision=row.revision,
        added=row.added,
        digest=row.digest,
        object_key=row.object_key,
        cosine=1.0,
        brief=row.brief,
        label=row.label,
        desc=row.desc,
        tags=row.tags,
    )
