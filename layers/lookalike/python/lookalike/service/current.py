"""Matches as the catalog has them now: the index, which found them, may be behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lookalike.domain.picture import Picture
from lookalike.domain.search import Match, Reason, TagFilter
from lookalike.ports import Catalog


def current(
    catalog: Catalog, ranked: Sequence[Match], start: int, count: int, tags: TagFilter | None = None
) -> tuple[list[Match], int]:
    """The ``count`` matches from position ``start`` that still hold, and the position behind the last of them.

    Those that are gone make room for what follows. What was said anew of a picture is shown as it was said, so an
    update that has returned is seen by every search that begins after it. Only what is shown is read from the catalog.
    """
    kept: list[Match] = []
    position, size = start, count
    while len(kept) < count and position < len(ranked):
        some = ranked[position : position + size]
        changed = catalog.changed({match.candidate.key: match.candidate.revision for match in some})
        for match in some:
            position += 1
            key = match.candidate.key
            now = _renewed(match, changed[key], tags) if key in changed else match
            if now is not None:
                kept.append(now)
            if len(kept) == count:
                break
        size *= 2  # where much is gone, few reads find what is left
    if start == 0 and kept and kept[0].reason is Reason.EXACT:
        kept[0] = replace(kept[0], score=1.0)  # it may have become the first that is identical
    return kept, position


def _renewed(match: Match, row: Picture | None, tags: TagFilter | None) -> Match | None:
    """The match with what is said of its picture now; None if the picture it was found by is gone."""
    candidate = match.candidate
    if row is None or not row.live or row.added != candidate.added:
        return None
    if tags is not None and not tags.keeps(row.metadata.tags):
        return None
    return replace(match, candidate=replace(candidate, revision=row.revision, metadata=row.metadata))
