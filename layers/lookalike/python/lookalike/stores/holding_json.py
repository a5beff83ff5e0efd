"""Holdings as JSON, the same in every store."""

from __future__ import annotations

import json

from lookalike.domain.picture import Key
from lookalike.domain.upload import Holding


def holding_to_json(holding: Holding) -> str:
    """Return the JSON of a holding."""
    return json.dumps([holding.picture.library, holding.picture.id, holding.added, holding.metadata_digest])


def holding_from_json(text: str) -> Holding:
    """Return the holding of :func:`holding_to_json`. Raises RecursionError, TypeError or ValueError if damaged."""
    library, picture, added, words = json.loads(text)
    return Holding(Key(library, picture), added, words)
