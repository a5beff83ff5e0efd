"""Refreshing matches from the catalog, which may be ahead of the index that found them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lookalike.domain.picture import Picture
from lookalike.domain.search import Match, Reason, TagFilter
from lookalike.ports import Catalog


def current(
    catalog: Catalog, ranked: Sequence[Match], start: int, count: int, tags: TagFilter | None = None
) -> tuple[list[Match], int]:
    """Return the ``count`` matches from position ``start`` that still hold, and the position after the last of them.

    Matches of deleted pictures make room for the next ones, and changed metadata replaces the index's: so a search sees
    every update that returned before it began. Only the rows of matches shown are read from the catalog.
    """
    kept: list[Match] = []
    position, size = start, count
    while len(kept) < count and position < len(ranked):
        some = ranked[position : position + size]
        changed = catalog.changed({match.candidate.key: match.candidate.revision for match in some})
        for match in some:
            position += 1
            key = match.candidate.key
            now = _with_current_row(match, changed[key], tags) if key in changed else match
            if now is not None:
                kept.append(now)
            if len(kept) == count:
                break
        size *= 2  # so that few reads suffice where many pictures are gone
    if start == 0 and kept and kept[0].reason is Reason.EXACT:
        kept[0] = replace(kept[0], score=1.0)  # it may have become the first identical one
    return kept, position


def _with_current_row(match: Match, row: Picture | None, tags: TagFilter | None) -> Match | None:
    """Return the match with the row's metadata; None if the picture that was found is gone."""
    candidate = match.candidate
    if row is None or not row.live or row.added != candidate.added:
        return None
    if tags is not None and not tags.keeps(row.metadata.tags):
        return None
    return replace(match, candidate=replace(candidate, revision=row.revision, metadata=row.metadata))
