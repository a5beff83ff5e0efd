"""What the server and a worker say to each other.

The server asks to look for a picture. The worker asks for the nearest pictures, any number of times, and then answers.
Candidates of the index are named in the answer by their number in the order in which they came, so that none goes back.
"""

from __future__ import annotations

import marshal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

import numpy as np

from lookalike.domain.geometry import GeometricMatch
from lookalike.domain.library import Library
from lookalike.domain.model_change import ModelRef
from lookalike.domain.picture import Decoded, Key
from lookalike.domain.search import Candidate, Found, LookTaken, TagFilter
from lookalike.ports import Looking


class Word(StrEnum):
    """What a frame says; it is the first item of its content."""

    OPEN = "open"  #: to a worker, once: the settings
    READY = "ready"  #: from it: the model is loaded
    FIND = "find"  #: to it: a question, and the picture's pixels
    NEAREST = "nearest"  #: from it: how many vectors, and the vectors
    CANDIDATES = "candidates"  #: to it: what is nearest
    STOP = "stop"  #: to it: nobody waits any more
    FOUND = "found"  #: from it: the answer
    FAILED = "failed"  #: from it: why there is none


@dataclass(frozen=True, slots=True)
class Question:
    """A picture to be looked for; its pixels, of shape (height, width, 3), are sent behind."""

    tenant: str
    libraries: tuple[Library, ...]
    depth: int
    tags: TagFilter | None
    height: int
    width: int
    digest: str
    file_digest: str
    format: str
    hidden: str | None
    model: ModelRef | None

    @classmethod
    def of(cls, looking: Looking) -> Self:
        """Make the question of what is to be looked for."""
        picture = looking.picture
        height, width = picture.pixels.shape[:2]
        return cls(
            looking.job.tenant,
            tuple(looking.libraries),
            looking.depth,
            looking.tags,
            height,
            width,
            picture.digest,
            picture.file_digest,
            picture.format,
            picture.hidden,
            looking.model,
        )

    def picture(self, data: bytearray) -> Decoded:
        """Return the picture with these pixels. Raises ValueError if they are not as many."""
        pixels = np.frombuffer(data, np.uint8).reshape(self.height, self.width, 3)
        pixels.flags.writeable = False
        return Decoded(pixels, self.digest, self.file_digest, self.format, self.hidden)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a worker has found.

    ``numbers`` are those of the index's candidates; −1 is the first of ``others``, which the worker has from the catalog,
    −2 the second. Places in ``numbers`` name candidates in ``exact`` and ``verified``, which is None if nothing can be
    verified.
    """

    numbers: tuple[int, ...]
    others: tuple[Candidate, ...]
    exact: tuple[int, ...]
    verified: tuple[tuple[int, GeometricMatch], ...] | None
    settled: bool
    looks: tuple[LookTaken, ...]

    @classmethod
    def of(cls, found: Found, number: Mapping[int, int]) -> Self:
        """Make the answer of what was found, given the numbers of the index's candidates by their ``id()``."""
        others = [one for one in found.candidates.values() if id(one) not in number]
        numbers = {**number} | {id(one): -1 - place for place, one in enumerate(others)}
        place = {key: place for place, key in enumerate(found.candidates)}
        return cls(
            numbers=tuple(numbers[id(one)] for one in found.candidates.values()),
            others=tuple(others),
            exact=tuple(sorted(place[key] for key in found.exact)),
            verified=None
            if found.verified is None
            else tuple((place[key], one) for key, one in found.verified.items()),
            settled=found.settled,
            looks=found.looks,
        )

    def found(self, candidates: Sequence[Candidate]) -> Found:
        """Return what was found, given the index's candidates in their order. Raises IndexError for another's numbers."""
        named = [candidates[number] if number >= 0 else self.others[-1 - number] for number in self.numbers]
        return Found(
            candidates={one.key: one for one in named},
            exact=frozenset(named[place].key for place in self.exact),
            verified=None if self.verified is None else {named[place].key: one for place, one in self.verified},
            settled=self.settled,
            looks=self.looks,
        )


def pack_candidates(candidates: Sequence[Candidate]) -> bytes:
    """Pack what a worker has to know of candidates: all but revisions and metadata.

    Both processes are one program on one machine, so the interpreter's own format may serve: it is ten times faster
    than JSON.
    """
    return marshal.dumps(
        [
            (one.key.library, one.key.id, one.digest if one.digest != one.key.id else None, one.object_key, one.cosine)
            for one in candidates
        ]
    )


def unpack_candidates(data: bytes | bytearray) -> list[Candidate]:
    """Return the candidates that were packed, without revisions and metadata."""
    return [
        Candidate(Key(library, id_), 0, 0, id_ if digest is None else digest, object_key, cosine)
        for library, id_, digest, object_key, cosine in marshal.loads(data)  # noqa: S302  # packed by the server
    ]
