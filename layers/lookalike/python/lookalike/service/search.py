"""Searching a library, or several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lookalike.domain.geometry import Box
from lookalike.domain.library import Kind, Library, LibraryRef
from lookalike.domain.search import Match, Reason, TagFilter
from lookalike.errors import InvalidArgument
from lookalike.ports import Ports
from lookalike.service.current import current
from lookalike.service.examples import Examples, find_by_examples, load_example
from lookalike.service.finding import depth_of, find, ranked
from lookalike.service.image_source import Source, load
from lookalike.service.looking import Scope
from lookalike.service.looks import report_looks
from lookalike.service.ranking import WINDOW, Page, merged

#: Pictures that a search in groups finds: a limit of OpenSearch (``index.max_result_window``).
MAX_FOUND = 10_000


@dataclass(frozen=True, slots=True)
class Search:
    """Find pictures like this one: ``count`` matches from position ``start``.

    It is looked for ``within`` a library by name, or libraries of one tenant and one kind. With ``box``, only that part of the picture is searched for, while transforms still move points of the whole. Of
    matches, those with a score of at least ``threshold`` count; identical pictures pass any. ``also`` are more examples of
    what to find, ``without`` are examples of what not to find (:mod:`~lookalike.service.examples`).
    """

    within: LibraryRef | tuple[Library, ...]
    source: Source
    start: int = 0
    count: int = 300
    tags: TagFilter | None = None
    box: Box | None = None
    threshold: float = 0.0
    also: tuple[Source, ...] = ()
    without: tuple[Source, ...] = ()


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
    """Return a page of matches; an empty one if there is no library.

    Raises InvalidArgument for libraries of different kinds and for a box that is not within the picture, TooManyItems for
    too many examples, a UrlError or a PictureError if a picture cannot be loaded, and Busy or Abandoned if the answer is no
    longer wanted.
    """
    if isinstance(command.within, LibraryRef):
        tenant = command.within.tenant
        library = ports.catalog.library(tenant, command.within.name)
        return _page(ports, tenant, () if library is None else (library,), command)
    if len({library.kind for library in command.within}) > 1:
        raise InvalidArgument("libraries", "must be of one kind")
    if not command.within:
        return Page((), more=False)
    return _page(ports, command.within[0].tenant, command.within, command)


def _page(ports: Ports, tenant: str, libraries: Sequence[Library], command: Search) -> Page:
    examples = Examples(command.source, command.box, command.also, command.without)
    examples.check()
    if not libraries or command.start >= WINDOW:
        return Page((), more=False, query=load_example(ports, command.source, tenant).whole)
    # One more than the page's end says whether anything remains; another makes up for the identical picture,
    # which the catalog may add in front.
    end = min(command.start + command.count, WINDOW)
    scope = Scope(ports, ports.job(tenant), libraries, depth_of(libraries[0].kind, end) + 2, command.tags)
    by_examples = find_by_examples(scope, examples)
    report_looks(ports.call, by_examples.found.looks)
    passing = _of_at_least(command.threshold, by_examples.ranked(scope, WINDOW))
    matches, behind = current(ports.catalog, passing, command.start, end - command.start, command.tags)
    return Page(tuple(matches), more=len(passing) > behind, looks=by_examples.found.looks, query=by_examples.query)


def search_groups(ports: Ports, command: SearchGroups) -> list[Match]:
    """Return the matches in several libraries of one tenant, best first.

    The libraries may be of different kinds: each kind has a query of its own, and scores are comparable between kinds.
    Raises a UrlError or a PictureError if the picture cannot be loaded, and Busy or Abandoned if the answer is no longer
    wanted.
    """
    if not command.libraries:
        return []
    tenant = command.libraries[0].tenant
    picture = load(ports, command.source, tenant).picture
    count = min(command.count, MAX_FOUND)
    depth = min(max(count, depth_of(Kind.SAME)) + 2, MAX_FOUND)
    scopes = [Scope(ports, ports.job(tenant), some, depth, None) for some in _by_kind(command.libraries)]
    found = [find(scope, picture) for scope in scopes]
    for one in found:
        report_looks(ports.call, one.looks)
    lists = [ranked(scope, one, depth) for scope, one in zip(scopes, found, strict=True)]
    return current(ports.catalog, _of_at_least(command.threshold, merged(lists, depth)), 0, count)[0]


def _of_at_least(threshold: float, matches: Sequence[Match]) -> list[Match]:
    """Return the matches with this score or more; identical pictures pass any threshold."""
    return [match for match in matches if match.reason is Reason.EXACT or match.score >= threshold]


def _by_kind(libraries: Sequence[Library]) -> Iterator[Sequence[Library]]:
    for kind in Kind:
        some = [library for library in libraries if library.kind is kind]
        if some:
            yield some
