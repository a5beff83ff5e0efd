"""A holding as text, the same in every store."""

from __future__ import annotations

import json

from lookalike.domain.picture import Key
from lookalike.domain.upload import Holding


def holding_text(holding: Holding) -> str:
    """JSON of it."""
    return json.dumps([holding.picture.library, holding.picture.id, holding.added, holding.words])


def holding_of(text: str) -> Holding:
    """The holding that :func:`holding_text` wrote."""
    library, picture, added, words = json.loads(text)
    return Holding(Key(library, picture), added, words)
