"""Looking for a picture in libraries of kind ``same``: look after look, until the answer is settled."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.geometry import GeometricMatch, QueryView
from lookalike.domain.library import Kind, Library
from lookalike.domain.picture import Decoded, Embedding, Key
from lookalike.domain.search import Candidate, Found, LookTaken, Query, TagFilter
from lookalike.limits.call import Job
from lookalike.ports import Ports
from lookalike.service.identity import identical
from lookalike.service.looks import CORNERS_LOOK, PART_LOOKS, WHOLE_LOOK, Look, View, query_views
from lookalike.service.renditions import Renditions
from lookalike.service.reranking import BATCH_SIZE, Reranker, Undecided, agrees_enough
from lookalike.service.view_matching import match_nearest_view, stands_out
from lookalike.verification.affine import share_inside, shared

#: Smallest share of the query that lies on a picture if no other look is taken: the rest may show another picture.
#: Of a copy in a border of a tenth it is 0.84.
MIN_SETTLED_SHARE = 0.9

#: Pictures found by the whole look from which on the corners are looked at, too.
MIN_SEVERAL = 2

#: Share that a view and a verified picture have in common from which on the view shows that picture and nothing new.
MIN_SEEN_SHARE = 0.7

#: Smallest cosine of a candidate beyond the first batch: the 26th nearest of a copy has 0.2, of 19 in 20 copies below
#: 0.38, while copies themselves have 0.4 and more.
MIN_FURTHER_COSINE = 0.3


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a search looks: in ``libraries`` of one kind, for the ``depth`` nearest pictures with ``tags``."""

    ports: Ports
    job: Job
    libraries: Sequence[Library]
    depth: int
    tags: TagFilter | None

    @property
    def kind(self) -> Kind:
        """The libraries' kind."""
        return self.libraries[0].kind

    def nearest(self, embeddings: Sequence[Embedding]) -> Sequence[Candidate]:
        """Return the pictures nearest to any of the embeddings, by descending cosine."""
        return self.nearest_to(np.stack([embedding.vectors[self.kind] for embedding in embeddings]))

    def nearest_to(self, vectors: NDArray[np.floating]) -> Sequence[Candidate]:
        """Return the pictures nearest to any of the vectors, shape (V, DIMENSION), by descending cosine."""
        self.ports.call.check()
        return self.ports.index.search(
            Query(
                kind=self.kind,
                libraries=tuple(library.uid for library in self.libraries),
                model=self.ports.embedder.model,
                vectors=vectors.astype(np.float32),
                k=self.depth,
                tags=self.tags,
            )
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Sought:
    """What is looked for: a picture, where, and the originals read meanwhile."""

    scope: Scope
    picture: Decoded
    renditions: Renditions


@dataclass(frozen=True, slots=True)
class _FoundSoFar(Found):
    """What was found by the looks taken so far, and what originals may decide of the whole look."""

    undecided: Undecided | None = None

    def as_found(self) -> Found:
        """Return it without what is undecided."""
        return Found(self.candidates, self.exact, self.verified, self.settled, self.looks)


def look_for(scope: Scope, picture: Decoded, known: Iterable[Candidate]) -> Found:
    """Take the looks in order until the answer is settled; ``known`` are candidates that the index may miss.

    The whole look settles it if the very picture is found, or if nearly all of the query lies on a picture: of a page or a
    collage only parts do, and other parts may show further pictures. Where it has found several pictures, the library
    holds changed copies, and the corners find those that are cut from the query. A later look settles the answer if
    anything is verified by then. What feature maps leave undecided of the whole is decided by originals, which cost more
    than looks at windows and are needed by fewer copies, after these. None of this depends on the page of answers that was
    asked for.
    """
    sought = _Sought(scope, picture, Renditions(scope.ports.originals, scope.ports.embedder, scope.job))
    found = _take(WHOLE_LOOK, sought, _FoundSoFar(), known)
    if found.verified is None or (found.settled and len(found.exact) + len(found.verified) >= MIN_SEVERAL):
        return _take(CORNERS_LOOK, sought, found).as_found()
    for look in PART_LOOKS:
        if look.after_originals and not found.settled:
            found = _decided(found)
        if not found.settled:
            found = _take(look, sought, found)
    return _decided(found).as_found()


def _decided(found: _FoundSoFar) -> _FoundSoFar:
    """Return what is found with what originals decide of the whole look, if nothing is verified by then."""
    if found.undecided is None or found.verified is None or found.settled:
        return found
    began = time.perf_counter()
    verified = {**found.verified, **found.undecided.decide()}
    whole, *others = found.looks
    whole = replace(whole, verify_ms=whole.verify_ms + 1000 * (time.perf_counter() - began))
    settled = _settles(WHOLE_LOOK, verified.values())
    return replace(found, verified=verified, settled=settled, undecided=None, looks=(whole, *others))


def _take(look: Look, sought: _Sought, found: _FoundSoFar, known: Iterable[Candidate] = ()) -> _FoundSoFar:
    """Take one look: make its views, embed them, search for them, and verify what is near."""
    scope, picture = sought.scope, sought.picture
    laps = [time.perf_counter()]
    with scope.job.turn():
        views = _unseen(look.views(picture.pixels), found.verified or {})
        laps.append(time.perf_counter())
        embeddings = scope.ports.embedder.embed([view.pixels for view in views]) if views else []
        laps.append(time.perf_counter())
    if views:
        near = {candidate.key: candidate for candidate in (*scope.nearest(embeddings), *known)}
        laps.append(time.perf_counter())
        new = [candidate for key, candidate in near.items() if key not in found.candidates]
        found = _with_candidates(found, near, identical(scope.ports, scope.job, new, picture))
        found = _with_matches(found, look, sought, views, embeddings, list(near.values()))
        laps.append(time.perf_counter())
    milliseconds = [1000 * (end - begin) for begin, end in pairwise(laps)]
    return replace(found, looks=(*found.looks, LookTaken(look.name, len(views), *milliseconds)))


def _unseen(views: Sequence[View], verified: Mapping[Key, GeometricMatch]) -> Sequence[View]:
    """Return the views less those of verified pictures; none if pieces of the query are all that is left of them."""
    unseen = [
        view
        for view in views
        if not any(shared(view.to_view, match.transform) >= MIN_SEEN_SHARE for match in verified.values())
    ]
    return unseen if len(unseen) == len(views) or any(view.full for view in unseen) else []


def _with_candidates(found: _FoundSoFar, near: Mapping[Key, Candidate], exact: Collection[Key]) -> _FoundSoFar:
    """Return what is found with more candidates: each keeps its best cosine."""
    better = {
        key: candidate
        for key, candidate in near.items()
        if key not in found.candidates or candidate.cosine > found.candidates[key].cosine
    }
    return replace(found, candidates={**found.candidates, **better}, exact=found.exact.union(exact))


def _with_matches(
    found: _FoundSoFar,
    look: Look,
    sought: _Sought,
    views: Sequence[View],
    embeddings: Sequence[Embedding],
    near: Sequence[Candidate],
) -> _FoundSoFar:
    """Return what is found with those of the candidates, which come by cosine, that match one of the views."""
    if found.verified is None or not all(embedding.feature_map for embedding in embeddings):
        return replace(found, verified=None)
    embedded = query_views(views, embeddings)
    unknown = [one for one in near if one.key not in found.exact and one.key not in found.verified]
    candidates = unknown[:BATCH_SIZE] + [one for one in unknown[BATCH_SIZE:] if one.cosine >= MIN_FURTHER_COSINE]
    reranked = _reranker(look, sought, embedded).verify(candidates)
    matches = reranked.matches
    if look.view_keypoints and not matches and stands_out(unknown):
        matches = _by_view_keypoints(sought, views, embedded, unknown[0])
    verified = {**found.verified, **matches}
    settled = bool(found.exact) or _settles(look, verified.values())
    return replace(found, verified=verified, settled=settled, undecided=found.undecided or reranked.undecided)


def _reranker(look: Look, sought: _Sought, views: Sequence[QueryView]) -> Reranker:
    ports = sought.scope.ports
    return Reranker(
        ports.verifier.query(sought.picture.pixels, views),
        ports.embedder,
        ports.maps,
        sought.renditions,
        sought.scope.job,
        keypoints=look.keypoints,
        min_agreement=ports.settings.min_agreement,
    )


def _by_view_keypoints(
    sought: _Sought, views: Sequence[View], embedded: Sequence[QueryView], candidate: Candidate
) -> dict[Key, GeometricMatch]:
    """Return the candidate's match with one of the views by keypoints, if there is one and enough agrees."""
    scope = sought.scope
    match = match_nearest_view(scope.ports, scope.job, views, embedded, candidate, sought.renditions)
    if match is None or not agrees_enough(match, scope.ports.settings.min_agreement):
        return {}
    return {candidate.key: match}


def _settles(look: Look, matches: Collection[GeometricMatch]) -> bool:
    """Whether no look is needed after this one, given all matches so far."""
    if look is not WHOLE_LOOK:
        return bool(matches)
    return any(share_inside(match.transform) >= MIN_SETTLED_SHARE for match in matches)
