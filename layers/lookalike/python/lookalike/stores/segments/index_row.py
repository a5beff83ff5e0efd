"""What an index holds of a picture, and what a log of an index's writes holds of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from lookalike.domain.picture import DIMENSION, Picture, Vector
from lookalike.stores.segments.packed_candidate import pack, pack_id, tags_of

#: Vectors as bytes: IEEE 754 half precision, little-endian on every machine.
_FLOAT16 = np.dtype("<f2")

_NO_VECTOR = np.zeros(DIMENSION, _FLOAT16)

_decode = msgspec.msgpack.Decoder(list[tuple[str, str, str, int, bool, bool, bytes, bytes]]).decode


@dataclass(frozen=True, slots=True, eq=False)
class IndexRow:
    """A picture as an index holds it, or that it was removed for good.

    A row that searches do not find has neither vector nor metadata.

    Attributes
    ----------
    record : the packed candidate; of a row that is not live, its id alone.
    """

    id: str
    kind: str
    model: str
    revision: int
    live: bool
    removed: bool
    vector: Vector
    record: bytes

    @property
    def version(self) -> tuple[int, bool]:
        """What orders the rows of a picture: the greatest counts. A removal counts more than a write of its revision."""
        return self.revision, self.removed

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags of a live row."""
        return tags_of(self.record) if self.live else ()

    @classmethod
    def of(cls, picture: Picture, *, removed: bool = False) -> IndexRow:
        """Return the row of a catalog row, or of its removal."""
        live = picture.live and not removed
        return cls(
            id=picture.key.id,
            kind=str(picture.kind),
            model=picture.model,
            revision=picture.revision,
            live=live,
            removed=removed,
            vector=picture.vector.astype(_FLOAT16, copy=False) if live else _NO_VECTOR,
            record=pack(picture) if live else pack_id(picture),
        )


def encode_rows(rows: Sequence[IndexRow]) -> bytes:
    """Return rows as MessagePack."""
    return msgspec.msgpack.encode([_plain(row) for row in rows])


def decode_rows(data: bytes) -> list[IndexRow]:
    """Return the rows of :func:`encode_rows`. Raises ValueError for other bytes."""
    return [_row(*values) for values in _decode(data)]


def _plain(row: IndexRow) -> tuple[Any, ...]:
    vector = row.vector.tobytes() if row.live else b""
    return row.id, row.kind, row.model, row.revision, row.live, row.removed, vector, row.record


def _row(
    id_: str, kind: str, model: str, revision: int, live: bool, removed: bool, vector: bytes, record: bytes
) -> IndexRow:
    numbers = np.frombuffer(vector, _FLOAT16) if live else _NO_VECTOR
    if numbers.shape != (DIMENSION,):
        raise ValueError(f"a vector of {len(numbers)} numbers")
    return IndexRow(id_, kind, model, revision, live, removed, numbers, record)
