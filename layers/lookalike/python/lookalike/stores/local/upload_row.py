"""An upload's record as a row of SQLite."""

from __future__ import annotations

from lookalike.domain.picture import Key
from lookalike.domain.upload import Holding, Upload, UploadState
from lookalike.stores.holding_json import holding_from_json, holding_to_json
from lookalike.stores.local.sqlite_rows import Row, is_text

COLUMNS = "source, sequencer, library, id, added, words, state, leaves, cleared"
VALUES = ", ".join("?" * (COLUMNS.count(",") + 1))


def row_of(upload: Upload) -> tuple[object, ...]:
    """Return an upload's columns, in the order of :data:`COLUMNS`."""
    held: tuple[object, ...] = (None, None, None, "")
    if (holds := upload.holds) is not None:
        held = (holds.picture.library, holds.picture.id, holds.added, holds.metadata_digest)
    leaves = None if upload.leaves is None else holding_to_json(upload.leaves)
    return (upload.source, upload.sequencer, *held, upload.state, leaves, upload.cleared)


def upload_of(row: Row) -> Upload:
    """Return a row's upload. Raises RecursionError, TypeError or ValueError if the row is damaged."""
    source, sequencer, library, picture, added, words, state, leaves, cleared = row
    if not all(is_text(text) for text in (source, sequencer, library or "", picture or "", words)):
        raise ValueError("text that is not UTF-8")
    holds = None if library is None else Holding(Key(library, picture), added, words)
    left = None if leaves is None else holding_from_json(leaves)
    return Upload(source, sequencer, holds, UploadState(state), left, bool(cleared))
