"""First answers by two models: what a change of models would change, on a sample of pictures.

Each picture is searched by a smaller copy of its original, as a caller would have one, in its own library.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from lookalike.domain.library import Library
from lookalike.domain.model_change import ModelRef, ModelsInUse
from lookalike.domain.picture import Picture
from lookalike.errors import PictureError
from lookalike.imaging.preview import PreviewFormat, preview
from lookalike.ports import Ports
from lookalike.service.embedded_again import UNBOUNDED
from lookalike.service.image_source import Source
from lookalike.service.model_view import seen_with
from lookalike.service.search import Search, search

#: Longer side of the copies that are searched by, in pixels.
_SIDE = 400

#: Answers that are compared.
_ANSWERS = 10

#: Answers of each search that a report shows.
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class FoundPicture:
    """A picture that was found: its id, where its original is, its score, and whether it is the one that was searched by."""

    id: str
    object_key: str
    score: float
    itself: bool


@dataclass(frozen=True, slots=True)
class Pair:
    """The first answers of both models to one query. ``library`` is the library's name."""

    library: str
    id: str
    object_key: str
    live: tuple[FoundPicture, ...]
    other: tuple[FoundPicture, ...]

    @property
    def changed(self) -> bool:
        """Whether the first answer is another one, or there is none any more."""
        return [one.id for one in self.live[:1]] != [one.id for one in self.other[:1]]


@dataclass(frozen=True, slots=True)
class Comparison:
    """First answers of the live model and of the other one.

    ``compared`` pictures were searched by; of ``changed`` ones the first answer is another. ``itself_live`` and ``itself_other``
    count those that were the first answer to themselves. ``overlap`` is the mean share of ten answers that both models gave;
    ``live_ms`` and ``other_ms`` are medians. ``pairs`` are those whose first answers changed, then others.
    """

    live: str
    other: str
    compared: int = 0
    changed: int = 0
    itself_live: int = 0
    itself_other: int = 0
    overlap: float = 1.0
    live_ms: float = 0.0
    other_ms: float = 0.0
    pairs: tuple[Pair, ...] = field(default=())

    def to_plain(self) -> dict[str, Any]:
        """Return the comparison as JSON can write it."""
        return asdict(self)

    @classmethod
    def of_plain(cls, plain: Mapping[str, Any]) -> Comparison:
        """Return the comparison of :meth:`to_plain`."""
        pairs = tuple(
            Pair(
                one["library"],
                one["id"],
                one["object_key"],
                tuple(FoundPicture(**found) for found in one["live"]),
                tuple(FoundPicture(**found) for found in one["other"]),
            )
            for one in plain["pairs"]
        )
        return cls(**{**plain, "pairs": pairs})


def compare(
    ports: Ports, models: ModelsInUse, other: ModelRef, count: int, shown: int, tell: Callable[[int], None]
) -> Comparison:
    """Search by ``count`` pictures, drawn at random, with both models; the comparison has ``shown`` pairs at most.

    ``tell`` is told how many are done. Raises Unavailable or ModelError.
    """
    live_ports, other_ports = seen_with(ports, models, models.live), seen_with(ports, models, other)
    libraries = _libraries(ports)
    tally = _Tally()
    for number, row in enumerate(_sample(other_ports, libraries, count)):
        tell(number)
        library = libraries[row.key.library]
        copy = _copy(ports, row)
        if copy is not None:
            tally.add(row, library, *(_searched(one, library, copy) for one in (live_ports, other_ports)))
    return tally.comparison(models.live.name, other.name, shown)


@dataclass(slots=True)
class _Tally:
    pairs: list[Pair] = field(default_factory=list)
    times: list[tuple[float, float]] = field(default_factory=list)
    overlaps: list[float] = field(default_factory=list)

    def add(self, row: Picture, library: Library, live: _Answers, other: _Answers) -> None:
        mark = _marked(row)
        pair = Pair(library.name, row.key.id, row.object_key, mark(live.found), mark(other.found))
        self.pairs.append(pair)
        self.times.append((live.milliseconds, other.milliseconds))
        before, after = ({one.id for one in found} for found in (pair.live, pair.other))
        self.overlaps.append(len(before & after) / max(len(before | after), 1) if before | after else 1.0)

    def comparison(self, live: str, other: str, shown: int) -> Comparison:
        """Return the comparison of all that was added."""
        if not self.pairs:
            return Comparison(live, other)
        changed = [pair for pair in self.pairs if pair.changed]
        same = [pair for pair in self.pairs if not pair.changed]
        return Comparison(
            live=live,
            other=other,
            compared=len(self.pairs),
            changed=len(changed),
            itself_live=sum(any(one.itself for one in pair.live[:1]) for pair in self.pairs),
            itself_other=sum(any(one.itself for one in pair.other[:1]) for pair in self.pairs),
            overlap=statistics.fmean(self.overlaps),
            live_ms=statistics.median(live for live, _ in self.times),
            other_ms=statistics.median(other for _, other in self.times),
            pairs=tuple(_short(pair) for pair in [*changed, *same][:shown]),
        )


@dataclass(frozen=True, slots=True)
class _Answers:
    found: Sequence[tuple[str, str, float]]
    milliseconds: float


def _searched(ports: Ports, library: Library, copy: bytes) -> _Answers:
    began = time.perf_counter()
    matches = search(ports, Search((library,), Source(UNBOUNDED, data=copy), count=_ANSWERS)).matches
    milliseconds = 1000 * (time.perf_counter() - began)
    return _Answers([(one.candidate.key.id, one.candidate.object_key, one.score) for one in matches], milliseconds)


def _marked(row: Picture) -> Callable[[Sequence[tuple[str, str, float]]], tuple[FoundPicture, ...]]:
    def mark(found: Sequence[tuple[str, str, float]]) -> tuple[FoundPicture, ...]:
        return tuple(FoundPicture(id_, key, score, id_ == row.key.id) for id_, key, score in found)

    return mark


def _short(pair: Pair) -> Pair:
    return Pair(pair.library, pair.id, pair.object_key, pair.live[:_SHOWN], pair.other[:_SHOWN])


def _libraries(ports: Ports) -> dict[str, Library]:
    tenants = {application.tenant for application in ports.applications.applications()}
    return {library.uid: library for tenant in tenants for library in ports.stores.catalog.libraries(tenant)}


def _sample(ports: Ports, libraries: Mapping[str, Library], count: int) -> list[Picture]:
    """Draw live pictures that the model has a vector of, with equal chance (Vitter, algorithm R)."""
    sample: list[Picture] = []
    seen = 0
    for batch in ports.catalog.every_row():
        for row in batch:
            if not row.live or row.model != ports.embedder.model or row.key.library not in libraries:
                continue
            seen += 1
            if len(sample) < count:
                sample.append(row)
            elif (place := random.randrange(seen)) < count:  # noqa: S311 - no secret
                sample[place] = row
    return sample


def _copy(ports: Ports, row: Picture) -> bytes | None:
    """Return a smaller copy of a row's original; None if that is lost or damaged."""
    data = ports.originals.get(row.object_key)
    try:
        return None if data is None else preview(data, _SIDE, PreviewFormat.JPEG)
    except PictureError:
        return None
