"""Searching a library, or several."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from lookalike.domain.library import Identity, Kind, Library, LibraryRef
from lookalike.domain.search import Candidate, LookTaken, Match, Reason, TagFilter
from lookalike.imaging.decode import Decoded
from lookalike.ports import Ports
from lookalike.service.current import current
from lookalike.service.identity import identical, rows_of
from lookalike.service.image_source import Source, load
from lookalike.service.looking import Found, Scope, look_for
from lookalike.service.ranking import WINDOW, Page, merged, rank

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
    ranked, looks = _ranked(ports, [library], picture, depth, WINDOW, command.tags)
    matches, behind = current(ports.catalog, ranked, command.start, end - command.start, command.tags)
    return Page(tuple(matches), more=len(ranked) > behind, looks=looks)


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
    lists = [_ranked(ports, some, picture, depth, depth, None)[0] for some in _by_kind(command.libraries)]
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
) -> tuple[list[Match], tuple[LookTaken, ...]]:
    """Return the first ``window`` places of the list of matches in libraries of one kind, and the looks that found them.

    The index is asked for ``depth`` candidates a look.
    """
    scope = Scope(ports, ports.job(libraries[0].tenant), libraries, depth, tags)
    known = _identical_rows(ports, libraries, picture, tags)
    found = look_for(scope, picture, known) if scope.kind is Kind.SAME else _nearest(scope, picture, known)
    matches = rank(
        found.candidates.values(),
        found.exact,
        lambda cosine: ports.embedder.score(scope.kind, cosine),
        ports.embedder.threshold(scope.kind),
        found.verified,
        window,
    )
    return matches, found.looks


def _nearest(scope: Scope, picture: Decoded, known: Iterable[Candidate]) -> Found:
    """Return the pictures nearest to the whole picture."""
    with scope.job.turn():
        embeddings = scope.ports.embedder.embed([picture.pixels])
    candidates = {candidate.key: candidate for candidate in (*scope.nearest(embeddings), *known)}
    exact = identical(scope.ports, scope.job, candidates.values(), picture)
    return Found(candidates, frozenset(exact), verified=None)


def _identical_rows(
    ports: Ports, libraries: Sequence[Library], picture: Decoded, tags: TagFilter | None
) -> Iterator[Candidate]:
    """Yield the catalog's rows with the picture's pixels as candidates: an approximate index may miss them."""
    for library in libraries:
        rows = rows_of(ports, library, picture) if library.identity is Identity.PICTURE else ()
        for row in rows:
            if row is not None and row.live and (tags is None or tags.keeps(row.metadata.tags)):
                yield Candidate.of(row, cosine=1.0)
