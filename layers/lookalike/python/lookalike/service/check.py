"""Asking a library whether it holds a picture, and else what it holds that is nearest."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from lookalike.domain.library import Identity, Library
from lookalike.domain.picture import Decoded, Key, Picture
from lookalike.domain.search import Found, Match, Reason
from lookalike.ports import Ports
from lookalike.service.current import current
from lookalike.service.finding import depth_of, embedded, find, nearest, ranked
from lookalike.service.identity import identical, locate
from lookalike.service.image_source import Source, load
from lookalike.service.looking import Scope
from lookalike.service.ranking import WINDOW

#: Largest score of a picture that is near by its vector where geometry has verified nothing: it is more likely another one.
MAX_UNVERIFIED_SCORE = 0.5

#: Nearest pictures among which an identical one is: its vector is the very same.
_TWINS = 20


@dataclass(frozen=True, slots=True, eq=False)
class Check:
    """Whether a library holds a picture.

    ``picture`` is the identical live picture. If there is none, ``nearest`` is the best match, however far away; None if
    the library holds nothing.
    """

    picture: Picture | None
    nearest: Match | None = None


def check(ports: Ports, library: Library, source: Source) -> Check:
    """Return the identical picture that the library holds, or else the nearest one.

    A nearest one by vector alone may be below the threshold of searches; where geometry verified nothing of it, its score
    is MAX_UNVERIFIED_SCORE at most. Raises a UrlError or a PictureError if the picture cannot be loaded, Unavailable if a
    store does not answer, and Busy or Abandoned if the answer is no longer wanted.
    """
    picture = load(ports, source, library.tenant).picture
    known = _held_by_digest(ports, library, picture)
    if known is not None:
        return Check(known)
    scope = Scope(ports, ports.job(library.tenant), (library,), depth_of(library.kind) + 2, None)
    found = find(scope, picture)
    matches = ranked(scope, found, WINDOW)
    known = next(_held(ports, matches), None)
    if known is not None:
        return Check(known)
    near = [match for match in matches if match.reason is not Reason.EXACT]
    near += _further(scope, found, {match.candidate.key for match in matches})
    return Check(None, next(iter(current(ports.catalog, near, 0, 1)[0]), None))


def held(ports: Ports, library: Library, source: Source) -> Picture | None:
    """Return the identical picture that the library holds, None if there is none; nothing is verified for it.

    It costs what an add does. Errors: as of :func:`check`.
    """
    picture = load(ports, source, library.tenant).picture
    known = _held_by_digest(ports, library, picture)
    if known is not None or library.identity is Identity.PICTURE:
        return known
    scope = Scope(ports, ports.job(library.tenant), (library,), _TWINS, None)
    candidates = nearest(scope, embedded(scope, picture), [picture])
    for key in identical(ports, scope.job, candidates.values(), picture):
        row = ports.catalog.picture(key)
        if row is not None and row.live and row.added == candidates[key].added:
            return row
    return None


def _held_by_digest(ports: Ports, library: Library, picture: Decoded) -> Picture | None:
    """Return the picture's row where a picture is its own id: nothing has to be embedded."""
    row = locate(ports, library, picture)[1] if library.identity is Identity.PICTURE else None
    return row if row is not None and row.live else None


def _held(ports: Ports, matches: Sequence[Match]) -> Iterator[Picture]:
    """Yield the current rows of the identical pictures that are still there."""
    for match in matches:
        if match.reason is Reason.EXACT:
            row = ports.catalog.picture(match.candidate.key)
            if row is not None and row.live and row.added == match.candidate.added:
                yield row


def _further(scope: Scope, found: Found, matched: Collection[Key]) -> list[Match]:
    """Return the candidates that are no matches by their vectors, however far away, the nearest first."""
    best = 1.0 if found.verified is None else MAX_UNVERIFIED_SCORE
    others = (candidate for key, candidate in found.candidates.items() if key not in matched)
    near = sorted(others, key=lambda candidate: (-candidate.cosine, candidate.key.library, candidate.key.id))
    score = scope.ports.embedder.score
    return [Match(candidate, best * score(scope.kind, candidate.cosine), Reason.VECTOR) for candidate in near]
