"""Comparing two pictures that need not be in any library."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lookalike.domain.geometry import GeometricMatch
from lookalike.domain.library import Kind
from lookalike.domain.picture import Embedding
from lookalike.domain.search import Reason
from lookalike.ports import Ports
from lookalike.service.finding import embedded, ranked
from lookalike.service.image_source import Source, load
from lookalike.service.looking import Scope, look_for
from lookalike.service.passing_library import PassingLibrary


@dataclass(frozen=True, slots=True)
class Comparison:
    """How two pictures compare.

    ``same_score`` is 1 for identical ones; otherwise ``same`` tells how the second lies on the first if geometry verifies
    that both show the same, and 0 says that it does not. ``similar`` and ``product`` are calibrated scores in (0, 1): what
    a search in a library of that kind answers.
    """

    identical: bool
    same: GeometricMatch | None
    same_score: float
    similar: float
    product: float


def compare(ports: Ports, tenant: str, a: Source, b: Source) -> Comparison:
    """Return what a search for ``b`` answers in a library of callers' ids that holds ``a`` and nothing else.

    In ``same``, the looks are those of any search. The other way round the answer may differ a little: the query is looked
    at in more ways than what is stored. Raises a UrlError or a PictureError if one cannot be loaded, and Busy or Abandoned
    if the answer is no longer wanted.
    """
    passing = PassingLibrary(ports, tenant)
    scope = Scope(passing.ports, passing.ports.job(tenant), (passing.library,), depth=1, tags=None)
    held = _add(scope, passing, a)
    picture = load(ports, b, tenant).picture
    asked = embedded(scope, picture)
    match = next(iter(ranked(scope, look_for(scope, picture, ()), 1)), None)
    similar, product = (_score(ports, kind, held, asked) for kind in (Kind.SIMILAR, Kind.PRODUCT))
    if match is None:
        return Comparison(identical=False, same=None, same_score=0.0, similar=similar, product=product)
    identical = match.reason is Reason.EXACT
    return Comparison(identical, match.geometric_match, match.score, similar, product)


def _add(scope: Scope, passing: PassingLibrary, source: Source) -> Embedding:
    """Add a picture to the library; return its embedding, and let its pixels go: the next picture needs the room."""
    loaded = load(scope.ports, source, passing.library.tenant)
    embedding = embedded(scope, loaded.picture)
    passing.add("a", loaded.data, loaded.picture, embedding)
    return embedding


def _score(ports: Ports, kind: Kind, one: Embedding, other: Embedding) -> float:
    """Return the calibrated score of the cosine of two pictures."""
    cosine = float(one.vectors[kind].astype(np.float32) @ other.vectors[kind].astype(np.float32))
    return ports.embedder.score(kind, min(max(cosine, -1.0), 1.0))
