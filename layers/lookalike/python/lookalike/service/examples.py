"""Searching by examples: pictures, or a part of one, that matches are to be like, and pictures that they are not to be like.

Examples are loaded one after the other, and each is dropped before the next: a search that held one while it waits for
room for another could wait for ever.

In ``similar`` and ``product`` all examples make one query vector (:func:`combined`). In ``same`` every example is searched
for, and a picture found by several has its best match.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.geometry import IDENTITY, Affine, Box, GeometricMatch
from lookalike.domain.library import Kind
from lookalike.domain.picture import Decoded, Embedding, Key, Pixels, Vector
from lookalike.domain.search import Found, LookTaken, Match, QueryPicture
from lookalike.errors import InvalidArgument, TooManyItems
from lookalike.imaging.decode import digest_of
from lookalike.ports import Ports
from lookalike.service.finding import embedded, find, nearest, ranked
from lookalike.service.identity import identical
from lookalike.service.image_source import Source, load
from lookalike.service.looking import Scope
from lookalike.service.looks import WHOLE_LOOK
from lookalike.service.ranking import verified_score
from lookalike.verification.affine import compose, crop_transform

#: Examples of a search, the query counted; and as many minus-examples.
MAX_EXAMPLES = 8

#: Weight of the mean of the minus-examples beside 1 of the examples: that of Qdrant's average vector, twice the mean of
#: positive examples less that of negative ones. Rocchio's formula gives irrelevant texts a fifth of the weight of relevant
#: ones (Manning, Raghavan and Schütze, "Introduction to information retrieval", 2008, section 9.1.1), but nobody points
#: at those. Below 1, the examples cannot be cancelled out.
MINUS_WEIGHT = 0.5

#: Length of a mean of unit vectors, which is 1 where they are one, below which it has no direction.
_MIN_LENGTH = 1e-3

#: Pixels by which an edge of a box may miss that of a pixel: rounding of fractions.
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Examples:
    """What matches are to be like: ``query``, or only the part of it in ``box``, and all of ``also``; and not like ``without``."""

    query: Source
    box: Box | None = None
    also: tuple[Source, ...] = ()
    without: tuple[Source, ...] = ()

    def check(self) -> None:
        """Raise InvalidArgument for a box that is not within the picture, and TooManyItems beyond MAX_EXAMPLES."""
        if self.box is not None and not _is_within(self.box):
            raise InvalidArgument(
                "box", "must be [left, top, right, bottom], fractions of the picture: 0 ≤ left < right ≤ 1"
            )
        if 1 + len(self.also) > MAX_EXAMPLES:
            raise TooManyItems("also", f"more than {MAX_EXAMPLES} examples, the query counted")
        if len(self.without) > MAX_EXAMPLES:
            raise TooManyItems("without", f"more than {MAX_EXAMPLES} minus-examples")


@dataclass(frozen=True, slots=True)
class FoundByExamples:
    """What was found; ``query`` is the first example, uncropped.

    ``number`` tells for which example a picture was found; the query is 0, and so is the example of those left out.
    """

    found: Found
    query: QueryPicture
    number: Mapping[Key, int] = field(default_factory=dict)

    def ranked(self, scope: Scope, window: int) -> list[Match]:
        """Return the first ``window`` places of the ranked list, each match with the number of its example."""
        matches = ranked(scope, self.found, window)
        if not any(self.number.values()):
            return matches
        return [replace(match, example=self.number.get(match.candidate.key, 0)) for match in matches]


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """A loaded example: a picture, or a part of one, of which ``whole`` is the size.

    ``to_part`` moves the whole picture's points to those of ``picture``.
    """

    picture: Decoded
    whole: QueryPicture
    to_part: Affine = IDENTITY


def load_example(ports: Ports, source: Source, tenant: str, box: Box | None = None) -> Example:
    """Load a picture, and take the part of it in ``box``. Errors: as of :func:`~lookalike.service.image_source.load`."""
    picture = load(ports, source, tenant).picture
    height, width = picture.pixels.shape[:2]
    whole = QueryPicture(width, height)
    if box is None:
        return Example(picture, whole)
    left, right = _edges(box.left, box.right, width)
    top, bottom = _edges(box.top, box.bottom, height)
    if (right - left, bottom - top) == (width, height):
        return Example(picture, whole)
    with ports.job(tenant).turn():
        part = _part(picture, picture.pixels[top:bottom, left:right])
    return Example(part, whole, crop_transform(Box(left / width, top / height, right / width, bottom / height)))


def find_by_examples(scope: Scope, examples: Examples) -> FoundByExamples:
    """Return what is found for the examples, without what is like a minus-example.

    In ``same``, that is what matches one: what is identical, what agrees with it, and what differs from it, but from the
    examples no less. In other kinds the query vector turns away from minus-examples, and only identical pictures are left
    out.
    """
    if not examples.also and not examples.without:
        return FoundByExamples(*_find(scope, examples.query, examples.box))
    return _for_each(scope, examples) if scope.kind is Kind.SAME else _for_all(scope, examples)


def combined(examples: Sequence[Vector], without: Sequence[Vector]) -> Vector:
    """Return the query vector: the unit mean of the examples' less MINUS_WEIGHT of the mean of the minus-examples'.

    Examples that cancel each other out have no mean; then the first one stands for all.
    """
    if len(examples) == 1 and not without:
        return examples[0]
    first, *_ = several = np.stack(examples).astype(np.float32)
    mean = several.mean(axis=0)
    length = np.linalg.norm(mean)
    query: NDArray[np.float32] = mean / length if length >= _MIN_LENGTH else first / np.linalg.norm(first)
    if without:
        query -= MINUS_WEIGHT * np.stack(without).astype(np.float32).mean(axis=0)
    query /= np.linalg.norm(query)
    return query.astype(np.float16)


def _for_all(scope: Scope, examples: Examples) -> FoundByExamples:
    """Search once, for the vector that the examples make together."""
    liked = [_embedded(scope, source, box) for source, box in _boxed(examples)]
    disliked = [_embedded(scope, source, None) for source in examples.without]
    vector = combined([one.vector for one in liked], [one.vector for one in disliked])
    laps = [time.perf_counter()]
    candidates = nearest(scope, Embedding({scope.kind: vector}), [one.picture for one in liked])
    laps.append(time.perf_counter())

    def identical_to(picture: Decoded) -> set[Key]:
        return identical(scope.ports, scope.job, candidates.values(), picture)

    away = {key for one in disliked for key in identical_to(one.picture)}
    number: dict[Key, int] = {}
    for position, one in enumerate(liked):
        number = dict.fromkeys(identical_to(one.picture) - away, position) | number
    laps.append(time.perf_counter())
    kept = {key: candidate for key, candidate in candidates.items() if key not in away}
    everything = [*liked, *disliked]
    search_ms, verify_ms = (1000 * (end - begin) for begin, end in pairwise(laps))
    embed_ms = sum(one.embed_ms for one in everything)
    look = LookTaken(WHOLE_LOOK.name, len(everything), 0.0, embed_ms, search_ms, verify_ms)
    return FoundByExamples(Found(kept, frozenset(number), verified=None, looks=(look,)), liked[0].whole, number)


def _for_each(scope: Scope, examples: Examples) -> FoundByExamples:
    """Search for one example after the other, and give each picture the best of its matches."""
    found = [_find(scope, source, box) for source, box in _boxed(examples)]
    likes = [one for one, _ in found]
    dislikes = [_find(scope, source, None)[0] for source in examples.without]
    threshold = scope.ports.embedder.threshold(scope.kind)
    keys = dict.fromkeys(key for one in likes for key in one.candidates)
    number = {key: _best(likes, key) for key in keys}
    kept = {
        key: position
        for key, position in number.items()
        if not any(_excludes(dislike, key, likes[position], threshold) for dislike in dislikes)
    }
    looks = tuple(look for one in (*likes, *dislikes) for look in one.looks)
    return FoundByExamples(replace(_merged(likes, kept), looks=looks), found[0][1], kept)


def _boxed(examples: Examples) -> list[tuple[Source, Box | None]]:
    """Return all examples, each with the box that it is cut to."""
    return [(examples.query, examples.box), *((source, None) for source in examples.also)]


def _find(scope: Scope, source: Source, box: Box | None) -> tuple[Found, QueryPicture]:
    """Search for one example; return what was found, as it lies on the whole example, and the example's size."""
    example = load_example(scope.ports, source, scope.job.tenant, box)
    found = find(scope, example.picture)
    if found.verified and example.to_part != IDENTITY:
        placed = {
            key: replace(match, transform=compose(example.to_part, match.transform))
            for key, match in found.verified.items()
        }
        found = replace(found, verified=placed)
    return found, example.whole


@dataclass(frozen=True, slots=True, eq=False)
class _Embedded:
    """An example's vector, its picture without pixels, its whole size, and the milliseconds that embedding it took."""

    vector: Vector
    picture: Decoded
    whole: QueryPicture
    embed_ms: float


def _embedded(scope: Scope, source: Source, box: Box | None) -> _Embedded:
    example = load_example(scope.ports, source, scope.job.tenant, box)
    began = time.perf_counter()
    vector = embedded(scope, example.picture).vectors[scope.kind]
    embed_ms = 1000 * (time.perf_counter() - began)
    no_pixels = np.empty((0, 0, 3), np.uint8)
    return _Embedded(vector, replace(example.picture, pixels=no_pixels), example.whole, embed_ms)


def _best(found: Sequence[Found], key: Key) -> int:
    """Return the number of the example that a picture matches best, of equals the first."""
    return max(range(len(found)), key=lambda number: _strength(found[number], key))


def _strength(found: Found, key: Key) -> tuple[int, float]:
    """Return how well a picture matches: it is identical, verified with a score, or near with a cosine; or nothing of it."""
    if key in found.exact:
        return 3, 0.0
    if found.verified is not None and key in found.verified:
        return 2, verified_score(found.verified[key])
    return (1, found.candidates[key].cosine) if key in found.candidates else (0, 0.0)


def _excludes(minus: Found, key: Key, found: Found, threshold: float) -> bool:
    """Whether a picture that was found for an example is left out because of what was found for a minus-example."""
    if key in minus.exact:
        return True
    if minus.verified is None:
        return key in minus.candidates and minus.candidates[key].cosine >= threshold
    match = minus.verified.get(key)
    if match is None:
        return False
    if match.agreement is not None and match.agreement.agrees:
        return True
    return _strength(minus, key) >= _strength(found, key)


def _merged(found: Sequence[Found], number: Mapping[Key, int]) -> Found:
    """Return each picture as it was found for the example of its ``number``."""
    return Found(
        {key: found[position].candidates[key] for key, position in number.items()},
        frozenset(key for key, position in number.items() if key in found[position].exact),
        None if any(one.verified is None for one in found) else _matches(found, number),
    )


def _matches(found: Sequence[Found], number: Mapping[Key, int]) -> dict[Key, GeometricMatch]:
    matches = ((key, (found[position].verified or {}).get(key)) for key, position in number.items())
    return {key: match for key, match in matches if match is not None}


def _part(picture: Decoded, pixels: Pixels) -> Decoded:
    """Return a part of a picture as a picture of its own, which no file holds.

    What a part hides is not known, so a part of a picture that hides something is identical to none.
    """
    digest = digest_of(pixels)
    return replace(picture, pixels=pixels, digest=digest, file_digest=digest)


def _edges(low: float, high: float, side: int) -> tuple[int, int]:
    """Return the first pixel of a side that is touched by a part, and the one after the last: at least one lies between."""
    first = min(math.floor(low * side + _ROUNDING), side - 1)
    return first, max(math.ceil(high * side - _ROUNDING), first + 1)


def _is_within(box: Box) -> bool:
    """Whether a box has an area, and lies within the picture."""
    return 0 <= box.left < box.right <= 1 and 0 <= box.top < box.bottom <= 1
