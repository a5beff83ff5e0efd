"""Proving candidates of kind ``same`` by their local maps."""

from __future__ import annotations

from collections.abc import Sequence

from lookalike.embedding.congruence import Affine
from lookalike.embedding.straighten import straighten
from lookalike.model import Box, Candidate, Key, Pixels, Proof
from lookalike.ports import Comparison, Embedder, Look, MapStore

#: So many candidates' maps come in one call, and so many candidates are proved at most.
BATCH, MOST = 25, 200


def prove(comparison: Comparison, maps: MapStore, candidates: Sequence[Candidate]) -> dict[Key, Proof]:
    """The proofs of candidates, which come by cosine: batch after batch, as long as a batch still proves one."""
    proofs: dict[Key, Proof] = {}
    for begin in range(0, min(len(candidates), MOST), BATCH):
        found = _prove_batch(comparison, maps, candidates[begin : min(begin + BATCH, MOST)])
        if not found:
            break
        proofs |= found
    return proofs


def looking(embedder: Embedder, query: Pixels) -> Look:
    """Looks at the query again, straightened, with that embedder."""

    def look(transform: Affine, part: Box, proportion: float) -> bytes:
        return embedder.embed([straighten(query, transform, part, proportion)])[0].local_map

    return look


def _prove_batch(comparison: Comparison, maps: MapStore, batch: Sequence[Candidate]) -> dict[Key, Proof]:
    stored = maps.maps([candidate.object_key for candidate in batch])
    mapped = [candidate for candidate in batch if candidate.object_key in stored]
    proofs = comparison.prove([(candidate.cosine, stored[candidate.object_key]) for candidate in mapped])
    return {candidate.key: proof for candidate, proof in zip(mapped, proofs, strict=True) if proof is not None}
