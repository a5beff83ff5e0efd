"""The views of a query that verification matches, each with its place in the query."""

from __future__ import annotations

from collections.abc import Sequence

from lookalike.domain.geometry import WHOLE, QueryView
from lookalike.domain.picture import Embedding
from lookalike.embedding.query_crops import CROP_BOXES
from lookalike.verification.affine import crop_transform


def views_of_crops(embeddings: Sequence[Embedding]) -> list[QueryView]:
    """Return the views of the crops for ``same`` (:func:`~lookalike.embedding.query_crops.query_crops`), given their
    embeddings in the same order."""
    return [
        QueryView(crop_transform(box), embedding.feature_map, full=box == WHOLE)
        for box, embedding in zip(CROP_BOXES, embeddings, strict=True)
    ]
