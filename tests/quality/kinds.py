"""Measure `same` in libraries of one kind and on hard copies: false alarms, copies found, and the cost of a search.

    python -m tests.quality --kinds [--quick | --sample] [--emoji] [--pictures DIR] [--seed N]

- Drawn kinds (tests/quality/drawings.py) share one library. It is asked with strangers, drawings of a kind that are not
  in it, of full, half and third size, blurred and saved poorly; and with light copies of its pictures.
- Close sisters (tests/quality/close_pairs.py), which differ from a picture in one letter, pip or digit, share another
  library, and are asked for alike.
- With --emoji, categories of Twemoji from a pinned wheel: each picture is asked among all of its category.
- Photographs are asked with the attacks of tests/quality/attacks.py. Without --pictures they are parts of about 170
  pixels: a tenth of such a part is a thumbnail, and figures are lower than those of photographs of the usual size.

Drawings and attacks depend on the seed alone. Fit and choose thresholds with the seed :data:`CHOOSING`; report figures
of :data:`REPORTING`, the default.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from random import Random

import numpy as np
from PIL import Image

from lookalike.domain.library import Kind, LibraryRef
from lookalike.domain.picture import Embedding, Pixels
from lookalike.embedding.embedder import OnnxEmbedder
from lookalike.service.image_source import Source
from lookalike.service.search import Search, search
from lookalike.training.picture_files import ANY_SIZE, image
from lookalike.training.progress import parallel_map
from tests.quality import attacks, close_pairs, drawings, metrics
from tests.quality.measure import WORST, Case, Figures, Findings
from tests.quality.methods import Answer, Files, OnDisk, Service, service
from tests.quality.sets import Copies

#: The seed for choosing thresholds and weights, and the seed of reported figures.
CHOOSING, REPORTING = 13, 2026

#: The score above which an answer counts as a false alarm: clients take recompressed pictures from about there on.
ALARM = 0.985

#: The score that a recompressed copy has at least: clients of the vendors count on it.
RECOMPRESSED = 0.98

#: The score that a picture which differs in colour alone may have at most.
RECOLOURED = 0.95

#: Limits of the bins of the reliability table.
BINS = (0.0, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.92, 0.94, 0.96, 0.97, 0.98, 0.985, 0.99, 0.995, 0.999, 0.9999, 1.0)

#: Answers that are asked for.
PLACES = 20

#: JPEG quality of every query.
QUALITY = 85


@dataclass(frozen=True, slots=True)
class Size:
    """Numbers of pictures and searches.

    ``members`` of each kind are in the library, ``strangers`` of each are not; ``copied`` members are asked as copies.
    ``attacked`` copies are made by each attack on at most ``photographs`` photographs. A category of ``emoji`` has at
    most that many pictures; ``timed`` searches of each sort are timed.
    """

    members: int
    strangers: int
    copied: int
    attacked: int
    emoji: int
    timed: int
    photographs: int


FULL = Size(members=20, strangers=20, copied=10, attacked=30, emoji=200, timed=20, photographs=1000)
SAMPLE = Size(members=20, strangers=10, copied=4, attacked=12, emoji=60, timed=12, photographs=1000)
QUICK = Size(members=5, strangers=2, copied=1, attacked=2, emoji=12, timed=3, photographs=40)


@dataclass(frozen=True, slots=True)
class Asked:
    """A query: the kind (or attack) it is of, the change made to it, and its picture in the library; -1: none."""

    file: bytes
    kind: str
    change: str
    match: int


def run(copies: Copies, emoji: Mapping[str, Sequence[bytes]], *, size: Size, seed: int) -> Findings:
    """Measure the drawn kinds, the categories of ``emoji``, and the attacks on the photographs of ``copies``."""
    findings = Findings()
    copies = replace(copies, library=copies.library[: size.photographs])
    with service() as running:
        drawn(findings, running, size, seed)
        close(findings, running, size, seed)
        for category, files in emoji.items():
            among_themselves(findings, running, f"emoji: {category}", files[: size.emoji])
        attacked(findings, running, copies, size, seed)
    return findings


def drawn(findings: Findings, running: Service, size: Size, seed: int) -> None:
    """False alarms and copies of every drawn kind, all in one library."""
    kinds = list(drawings.KINDS)
    libraries = parallel_map(
        "drawings: draw", lambda kind: drawings.library(kind, seed, size.members, size.strangers), kinds
    )
    files = [_png(picture) for one in libraries for picture in one.members]
    asked = [query for begin, one in enumerate(libraries) for query in _queries(one, begin * size.members, size, seed)]
    answers = _ask(running, LibraryRef("yardstick", "drawings", Kind.SAME), files, asked)
    findings.figures["drawings"] = {
        "library": len(files),
        "kinds": {kind: kind_figures(*_of(asked, answers, kind)) for kind in kinds},
        **_reliability(asked, answers),
    }
    findings.cases += _cases("drawings", asked, answers, files)


def close(findings: Findings, running: Service, size: Size, seed: int) -> None:
    """False alarms and copies of pictures that differ in one thing, all in one library."""
    libraries = close_pairs.libraries(seed, size.strangers)
    files = [_png(picture) for one in libraries for picture in one.members]
    asked = [
        query for number, one in enumerate(libraries) for query in _queries(one, number * size.strangers, size, seed)
    ]
    answers = _ask(running, LibraryRef("yardstick", "close", Kind.SAME), files, asked)
    findings.figures["close"] = {
        "library": len(files),
        "kinds": {kind: kind_figures(*_of(asked, answers, kind)) for kind in close_pairs.CLOSE},
        **_reliability(asked, answers),
    }
    findings.cases += _cases("close", asked, answers, files)


def _queries(library: drawings.DrawnLibrary, begin: int, size: Size, seed: int) -> list[Asked]:
    """Strangers of a kind, and copies of its first pictures, whose numbers in the library start from ``begin``.

    Each stranger is asked for as it is, and in one of the other sizes.
    """
    full, *others = drawings.SIZES
    queries = [
        Asked(_jpeg(drawings.SIZES[change](picture)), library.kind, change, -1)
        for number, picture in enumerate(library.strangers)
        for change in (full, others[number % len(others)])
    ]
    for number, picture in enumerate(library.members[: size.copied]):
        for change, apply in drawings.COPIES.items():
            random = Random(f"{seed} {library.kind} {number} {change}")
            queries.append(Asked(_jpeg(apply(picture, random)), library.kind, change, begin + number))
    return queries


def kind_figures(asked: Sequence[Asked], answers: Sequence[Sequence[Answer]]) -> Figures:
    """Figures of one kind.

    Shares of strangers that are answered, and answered above ALARM and RECOLOURED, in all and above ALARM by size; of copies whose picture comes first,
    in all and by change; of copies with another picture above ALARM among their answers (``others``); of the
    ``several`` copies that are answered with their picture and another one, whose picture comes first (``ordered``); and
    of the ``recompressed`` copies whose picture comes first, with a score of at least RECOMPRESSED (``surely``).
    """
    pairs = list(zip(asked, answers, strict=True))
    strangers = [page for query, page in pairs if query.match < 0]
    copies = [(query, page) for query, page in pairs if query.match >= 0]
    changes = dict.fromkeys(query.change for query, _ in copies)
    several = [
        (query, page) for query, page in copies if len(page) > 1 and any(one.index == query.match for one in page)
    ]
    recompressed = [page for query, page in copies if query.change == "recompressed" and _right(query, page)]
    return {
        "strangers": len(strangers),
        "answered": _share(bool(page) for page in strangers),
        "alarms": _share(any(one.score > ALARM for one in page) for page in strangers),
        "alarms_by_size": {
            change: _share(
                any(one.score > ALARM for one in page) for query, page in pairs if _is_stranger(query, change)
            )
            for change in drawings.SIZES
        },
        "above_recoloured": _share(any(one.score > RECOLOURED for one in page) for page in strangers),
        "copies": len(copies),
        "right_first": _share(_right(query, page) for query, page in copies),
        "several": len(several),
        "ordered": _share(_right(query, page) for query, page in several),
        "recompressed": len(recompressed),
        "surely": _share(page[0].score >= RECOMPRESSED for page in recompressed),
        "by_change": {
            change: _share(_right(query, page) for query, page in copies if query.change == change)
            for change in changes
        },
        "others": _share(any(one.score > ALARM and one.index != query.match for one in page) for query, page in copies),
    }


def among_themselves(findings: Findings, running: Service, name: str, files: Sequence[bytes]) -> None:
    """Each picture of a library asked among all: how often another is answered."""
    asked = [Asked(file, name, "", number) for number, file in enumerate(files)]
    pages = _ask(running, LibraryRef("yardstick", name, Kind.SAME), files, asked)
    others = [[one for one in page if one.index != query.match] for query, page in zip(asked, pages, strict=True)]
    findings.figures.setdefault("among themselves", {})[name] = {
        "pictures": len(files),
        "answered": _share(bool(page) for page in others),
        "alarms": _share(any(one.score > ALARM for one in page) for page in others),
        "others": sum(one.score > ALARM for page in others for one in page) / max(1, len(files)),
    }
    strangers = [replace(query, match=-1) for query in asked]
    findings.cases += _cases("among themselves", strangers, others, files)


def attacked(findings: Findings, running: Service, copies: Copies, size: Size, seed: int) -> None:
    """Hard copies of photographs, and the cost of a search among photographs."""
    ref = LibraryRef("yardstick", "photographs", Kind.SAME)
    files = OnDisk([photo.path for photo in (*copies.library, *copies.crowd)])
    asked = attack_queries(copies, size.attacked, seed)
    answers = _ask(running, ref, files, asked)
    strangers = [page for query, page in zip(asked, answers, strict=True) if query.match < 0]
    findings.figures["attacks"] = {
        "library": len(files),
        "attacks": {name: attack_figures(*_of(asked, answers, name)) for name in attacks.ATTACKS},
        "strangers": len(strangers),
        "answered": _share(bool(page) for page in strangers),
        "alarms": _share(any(one.score > ALARM for one in page) for page in strangers),
        **_reliability(asked, answers),
    }
    findings.cases += _cases("attacks", asked, answers, files)
    findings.figures["cost"] = cost(running, ref, _sorts(copies, asked, size.timed))


def attack_queries(copies: Copies, count: int, seed: int) -> list[Asked]:
    """``count`` copies of each attack, and a fifth as many of pictures that are not in the library."""
    plan: list[tuple[str, int, bool]] = []
    for name in attacks.ATTACKS:
        random = Random(f"{seed} {name}")
        plan += [(name, number, True) for number in random.sample(range(len(copies.library)), _most(copies, count))]
    names = list(attacks.ATTACKS)
    plan += [(names[i % len(names)], i % len(copies.outside), False) for i in range(max(1, len(plan) // 5))]

    def one(planned: tuple[str, int, bool]) -> Asked:
        name, number, inside = planned
        random = Random(f"{seed} {planned}")
        photo = (copies.library if inside else copies.outside)[number]
        rest = [other for other in copies.outside if other != photo] or list(copies.outside)
        beside = random.sample(rest, min(8, len(rest)))
        shown = attacks.draw(
            name, image(photo.path.read_bytes()), [image(other.path.read_bytes()) for other in beside], random
        )
        return Asked(_jpeg(shown), name, name, number if inside else -1)

    return parallel_map("attacks: draw", one, plan)


def _most(copies: Copies, count: int) -> int:
    return min(count, len(copies.library))


def attack_figures(asked: Sequence[Asked], answers: Sequence[Sequence[Answer]]) -> Figures:
    """Of one attack: copies whose picture comes first, and those whose first answer is another picture."""
    copies = [(query, page) for query, page in zip(asked, answers, strict=True) if query.match >= 0]
    right = [_right(query, page) for query, page in copies]
    wrong = [bool(page) and not first for (_, page), first in zip(copies, right, strict=True)]
    return {"copies": len(copies), "right_first": _share(right), "wrong_first": _share(wrong)}


class CountingEmbedder(OnnxEmbedder):
    """Counts the pictures that go through the model."""

    passes = 0

    def embed(self, pictures: Sequence[Pixels]) -> list[Embedding]:
        """As the embedder it stands for."""
        self.passes += len(pictures)
        return super().embed(pictures)


def _sorts(copies: Copies, asked: Sequence[Asked], count: int) -> dict[str, list[bytes]]:
    """Queries of three sorts: copies saved once more, hard copies, and pictures that are not in the library."""
    light = [drawings.recompressed(image(photo.path.read_bytes()), Random()) for photo in copies.library[:count]]
    hard = [query.file for query in asked if query.match >= 0]
    outside = [_jpeg(image(photo.path.read_bytes())) for photo in copies.outside[:count]]
    return {
        "recompressed copy": [_jpeg(picture) for picture in light],
        "hard copy": hard[:: max(1, len(hard) // count)][:count],
        "nothing there": outside,
    }


def cost(running: Service, ref: LibraryRef, sorts: Mapping[str, Sequence[bytes]]) -> Figures:
    """Means of searches one by one, with nothing remembered: passes of the model, milliseconds of processor and clock.

    ``pass``: processor milliseconds of one pass of the model in the same process.
    """
    embedder = CountingEmbedder(running.model)
    ports = replace(running.ports, embedder=embedder)
    pixels = np.random.default_rng(0).integers(0, 256, (600, 800, 3), np.uint8)
    figures: Figures = {"pass": _milliseconds(lambda: embedder.embed([pixels]), 20)[0], "searches": {}}
    for sort, files in sorts.items():
        embedder.passes = 0
        spent = [_milliseconds(partial(search, ports, Search(ref, Source(ANY_SIZE, file), count=10))) for file in files]
        processor, clock = np.array(spent).mean(axis=0).tolist()
        figures["searches"][sort] = {
            "searches": len(files),
            "passes": embedder.passes / max(1, len(files)),
            "processor": processor,
            "clock": clock,
        }
    return figures


def _milliseconds(work: Callable[[], object], times: int = 1) -> tuple[float, float]:
    """Processor and clock milliseconds of a call, means over ``times``."""
    processor, clock = time.process_time(), time.perf_counter()
    for _ in range(times):
        work()
    return 1000 * (time.process_time() - processor) / times, 1000 * (time.perf_counter() - clock) / times


def _ask(running: Service, ref: LibraryRef, files: Files, asked: Sequence[Asked]) -> list[list[Answer]]:
    running.fill(ref, files)
    return running.ask(ref, [query.file for query in asked], PLACES)


def _of(
    asked: Sequence[Asked], answers: Sequence[Sequence[Answer]], kind: str
) -> tuple[list[Asked], list[Sequence[Answer]]]:
    pairs = [(query, page) for query, page in zip(asked, answers, strict=True) if query.kind == kind]
    return [query for query, _ in pairs], [page for _, page in pairs]


def _is_stranger(query: Asked, change: str) -> bool:
    return query.match < 0 and query.change == change


def _right(query: Asked, page: Sequence[Answer]) -> bool:
    return bool(page) and page[0].index == query.match


def _share(truths: Iterable[bool]) -> float:
    flags = list(truths)
    return sum(flags) / max(1, len(flags))


def _reliability(asked: Sequence[Asked], answers: Sequence[Sequence[Answer]]) -> Figures:
    """Mean scores of first answers beside the share that is right, of strangers and copies together.

    A score of ``same`` says how much agrees: what is right above ALARM (``sure_right`` of ``sure``) is its promise.
    """
    firsts = [(page[0].score, _right(query, page)) for query, page in zip(asked, answers, strict=True) if page]
    scores = np.array([score for score, _ in firsts], np.float64)
    bins = metrics.reliability(scores, np.array([right for _, right in firsts], np.bool_), BINS)
    sure = [right for score, right in firsts if score > ALARM]
    return {"reliability": [asdict(one) for one in bins], "sure": len(sure), "sure_right": _share(sure)}


def _cases(task: str, asked: Sequence[Asked], answers: Sequence[Sequence[Answer]], files: Files) -> list[Case]:
    """The false alarms of every kind with the highest scores, and the first copies that are missed."""
    alarms: dict[str, list[tuple[float, Case]]] = {}
    misses: dict[str, list[Case]] = {}
    for query, page in zip(asked, answers, strict=True):
        if _right(query, page) or not (page or query.match >= 0):
            continue
        found = files[page[0].index] if page else None
        wanted = files[query.match] if query.match >= 0 else None
        score = page[0].score if page else 0.0
        remark = f"{query.change or 'stranger'}; " + (f"score {score:.4f}" if page else "no answer")
        case = Case(task, query.kind, query.match < 0, query.file, found, wanted, remark)
        if query.match < 0:
            alarms.setdefault(query.kind, []).append((score, case))
        else:
            misses.setdefault(query.kind, []).append(case)
    worst = [case for some in alarms.values() for _, case in sorted(some, key=lambda pair: -pair[0])[:WORST]]
    return worst + [case for some in misses.values() for case in some[:WORST]]


def _png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def _jpeg(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()
