"""Matching a picture within the query, by keypoints, with the picture nearest to it.

Where feature maps decide nothing, the whole query is matched by keypoints, but a window or a print is a small part of it, or
lies askew. The look that found it shows it large and from straight ahead, so here it is a query of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lookalike.domain.geometry import IDENTITY, GeometricMatch, QueryView
from lookalike.domain.keypoints import Original
from lookalike.domain.search import Candidate
from lookalike.limits.call import Job
from lookalike.ports import Embedder, Ports, QueryVerifier, Verifier
from lookalike.service.looks import View
from lookalike.service.renditions import Renditions
from lookalike.verification.affine import compose
from lookalike.verification.nearest_view import nearest_view

#: Smallest cosine of a look's nearest picture that is matched with the view that shows it. Of what was lost for want of
#: keypoints none had less.
MIN_VIEW_COSINE = 0.3

#: Smallest cosine that it is ahead of the next picture: of strangers one in twenty is, of what was lost for want of
#: keypoints in a library of 1,000 half, in one of 150 nearly all.
MIN_VIEW_MARGIN = 0.08

#: Views in which a picture within the query is matched at most: as it is, and once more as the first match lays it.
_MAX_KEYPOINT_VIEWS = 2


@dataclass(frozen=True, slots=True)
class ViewMatcher:
    """Matches views of one query by keypoints."""

    verifier: Verifier
    embedder: Embedder

    def match_nearest(
        self, views: Sequence[View], embedded: Sequence[QueryView], candidate: tuple[float, bytes], original: Original
    ) -> GeometricMatch | None:
        """Return the match of a candidate, given its cosine and feature map, with the view that is most like it.

        ``embedded`` are the same views with their feature maps; ``original`` is the candidate's rendition. The match is the whole query's, but what agrees is told by the view's own pixels. None if there
        is none, or if no view is full.
        """
        nearest = nearest_view(embedded, candidate[1])
        if nearest is None:
            return None
        view, shown = views[nearest], replace(embedded[nearest], to_view=IDENTITY)
        query = self.verifier.query(view.pixels, [shown])
        match = self._match(query, candidate, original)
        if match is None:
            return None
        agreement = query.agreement(match, original.pixels)
        return replace(match, agreement=agreement, transform=compose(view.to_view, match.transform))

    def _match(self, query: QueryVerifier, candidate: tuple[float, bytes], original: Original) -> GeometricMatch | None:
        batch = query.match_feature_maps([candidate])
        if batch.keypoint_candidates():
            for _ in range(_MAX_KEYPOINT_VIEWS):
                if (shown := batch.keypoint_view()) is not None:
                    batch = batch.match_keypoints(shown, self.embedder.keypoints(shown.pixels), {0: original})
        (match,) = batch.matches()
        return match


def stands_out(near: Sequence[Candidate]) -> bool:
    """Whether the first of these candidates, which come by cosine, is near, and much nearer than the next."""
    if not near or near[0].cosine < MIN_VIEW_COSINE:
        return False
    return len(near) == 1 or near[0].cosine - near[1].cosine >= MIN_VIEW_MARGIN


def match_nearest_view(
    ports: Ports,
    job: Job,
    views: Sequence[View],
    embedded: Sequence[QueryView],
    candidate: Candidate,
    renditions: Renditions,
) -> GeometricMatch | None:
    """Return the match of a candidate, read from the stores, with the view that is most like it.

    None if there is none, or if the candidate's feature map or original is not to be had.
    """
    feature_map = ports.maps.maps([candidate.object_key]).get(candidate.object_key, b"")
    with job.turn() as turn:
        original = renditions.with_keypoints([candidate], turn, [0]).get(0)
        if original is None:
            return None
        matcher = ViewMatcher(ports.verifier, ports.embedder)
        return matcher.match_nearest(views, embedded, (candidate.cosine, feature_map), original)
