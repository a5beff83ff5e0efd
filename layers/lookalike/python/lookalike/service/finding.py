"""What libraries of one kind hold like a picture, and its ranked list."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise

from lookalike.domain.library import Identity, Kind
from lookalike.domain.picture import Decoded, Embedding, Key
from lookalike.domain.search import Candidate, Found, LookTaken, Match
from lookalike.limits.call import Job
from lookalike.ports import Looking
from lookalike.service.identity import identical, rows_of
from lookalike.service.looking import Scope, look_for
from lookalike.service.looks import WHOLE_LOOK
from lookalike.service.ranking import WINDOW, rank

#: Candidates that the index is asked for. There are few values, so that neighbouring pages are cut from the same list, and
#: none so small that the page decides which candidates are verified.
_DEPTHS = (100, 300, WINDOW)
_DEPTHS_SAME = (300, WINDOW)


def depth_of(kind: Kind, end: int = 1) -> int:
    """Return how many candidates the index is asked for if the list is read up to position ``end``, WINDOW at most."""
    return next(depth for depth in (_DEPTHS_SAME if kind is Kind.SAME else _DEPTHS) if depth >= end)


def find(scope: Scope, picture: Decoded) -> Found:
    """Return what is found for a picture: here, or where the ports' finder has pictures of its kind looked for."""
    finder = scope.ports.finder
    if finder is None:
        return find_here(scope, picture)
    here = partial(_find_for, scope, picture)
    view = scope.ports.view
    model = None if view is None else view.model
    seen = None if scope.kind is Kind.SAME else scope.ports.embedder.seen
    return finder.find(
        Looking(scope.job, scope.libraries, scope.depth, scope.tags, picture, scope.nearest_to, here, model, seen)
    )


def find_here(scope: Scope, picture: Decoded) -> Found:
    """Return what is found for a picture: by looks in ``same``, by the vector of the whole picture in other kinds."""
    if scope.kind is Kind.SAME:
        return look_for(scope, picture, identical_rows(scope, picture))
    laps = [time.perf_counter()]
    embedding = embedded(scope, picture)
    laps.append(time.perf_counter())
    candidates = nearest(scope, embedding, [picture])
    laps.append(time.perf_counter())
    exact = identical(scope.ports, scope.job, candidates.values(), picture)
    laps.append(time.perf_counter())
    embed_ms, search_ms, verify_ms = (1000 * (end - begin) for begin, end in pairwise(laps))
    look = LookTaken(WHOLE_LOOK.name, 1, 0.0, embed_ms, search_ms, verify_ms)
    return Found(candidates, frozenset(exact), verified=None, looks=(look,))


def _find_for(scope: Scope, picture: Decoded, job: Job) -> Found:
    return find_here(replace(scope, job=job), picture)


def embedded(scope: Scope, picture: Decoded) -> Embedding:
    """Return the embedding of the whole picture."""
    with scope.job.turn():
        return scope.ports.embedder.embed([picture.pixels])[0]


def nearest(scope: Scope, embedding: Embedding, pictures: Sequence[Decoded]) -> dict[Key, Candidate]:
    """Return the candidates nearest to an embedding, and the catalog's rows of these pictures, of which digests count."""
    known = (candidate for picture in pictures for candidate in identical_rows(scope, picture))
    return {candidate.key: candidate for candidate in (*scope.nearest([embedding]), *known)}


def identical_rows(scope: Scope, picture: Decoded) -> Iterator[Candidate]:
    """Yield the catalog's rows with the picture's pixels as candidates: an approximate index may miss them."""
    for library in scope.libraries:
        rows = rows_of(scope.ports, library, picture) if library.identity is Identity.PICTURE else ()
        for row in rows:
            if row is not None and row.live and (scope.tags is None or scope.tags.keeps(row.metadata.tags)):
                yield Candidate.of(row, cosine=1.0)


def ranked(scope: Scope, found: Found, window: int) -> list[Match]:
    """Return the first ``window`` places of the ranked list of what was found."""
    embedder = scope.ports.embedder
    return rank(
        found.candidates.values(),
        found.exact,
        lambda cosine: embedder.score(scope.kind, cosine),
        embedder.threshold(scope.kind),
        found.verified,
        window,
    )
