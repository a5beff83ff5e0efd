"""Runs the tasks of a picture set; records matches, misses and false alarms."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.library import Kind, LibraryRef
from lookalike.domain.search import Reason
from lookalike.training.picture_files import image
from lookalike.training.progress import parallel_map
from tests.quality import metrics
from tests.quality.families import FAMILIES, draw
from tests.quality.methods import Answer, Files, OnDisk, Remembered, Service
from tests.quality.metrics import Ranking, Real, Truth, Whole
from tests.quality.sets import Copies, Labelled

Figures = dict[str, Any]

SERVICE = "lookalike"

#: Answers requested where copies are searched.
COPIES_PLACES = 50

#: Answers requested where labels decide, if no class is larger.
LABELLED_PLACES = 100

#: Answers that a search reaches at most.
WINDOW = 1000

#: First answers needed to judge scores: with 200, the standard error of a share of one half is 3.5 points, as much as
#: the scores of the shipped models are off by.
MIN_JUDGED = 200

#: Searches that are timed one by one.
TIMED = 15

#: Worst cases kept of every family and task.
WORST = 3


@dataclass(frozen=True, slots=True)
class Query:
    """A changed copy as a file, and the number of its picture in the library; -1 for none."""

    file: bytes
    family: str
    match: int


@dataclass(frozen=True, slots=True)
class Case:
    """A failed query: the query, the answer, and the right answer."""

    task: str
    family: str
    alarm: bool
    query: bytes
    found: bytes | None
    wanted: bytes | None
    remark: str


@dataclass(slots=True)
class Findings:
    """Figures by task, and the worst cases."""

    figures: dict[str, Figures] = field(default_factory=dict)
    cases: list[Case] = field(default_factory=list)


def queries(copies: Copies, per_family: int, seed: int) -> list[Query]:
    """Draw ``per_family`` copies of each family, of random pictures, and a fourth as many without a match."""
    plan: list[tuple[str, int, bool]] = []
    for family in FAMILIES:
        chosen = Random(f"yardstick {seed} {family}").sample(range(len(copies.library)), _most(copies, per_family))
        plan += [(family, number, True) for number in chosen]
    names = list(FAMILIES)
    plan += [(names[i % len(names)], i % len(copies.outside), False) for i in range(len(plan) // 4)]

    def one(planned: tuple[str, int, bool]) -> Query:
        family, number, inside = planned
        random = Random(f"yardstick {seed} {planned}")
        photo = (copies.library if inside else copies.outside)[number]
        other = random.choice([other for other in copies.outside if other != photo] or copies.outside)
        pictures = image(photo.path.read_bytes()), image(other.path.read_bytes())
        file = io.BytesIO()
        draw(family, *pictures, random).save(file, "JPEG", quality=90)
        return Query(file.getvalue(), family, number if inside else -1)

    return parallel_map("same: draw", one, plan)


def _most(copies: Copies, per_family: int) -> int:
    return min(per_family, len(copies.library))


def same(
    findings: Findings, service: Service, baselines: Sequence[Remembered], copies: Copies, asked: list[Query]
) -> None:
    """Measure the `same` task: the whole ranking beside the baselines', then the part that a caller sees."""
    ref = LibraryRef("yardstick", "same", Kind.SAME)
    files = OnDisk([photo.path for photo in (*copies.library, *copies.crowd)])
    sought = [query.file for query in asked]
    service.fill(ref, files)
    whole = service.ask(ref, sought, COPIES_PLACES, uncut=True)
    seen = service.ask(ref, sought, COPIES_PLACES)
    ranking = Ranking.of([[(one.index, one.score) for one in answers] for answers in whole], COPIES_PLACES)
    nowhere = [-1] * len(asked)
    rankings = {SERVICE: ranking}
    rankings |= {method.name: method.rank(sought, files, COPIES_PLACES, nowhere) for method in baselines}
    match = np.array([query.match for query in asked])
    bins = metrics.reliability(*_first(ranking, _is(ranking, match)))
    findings.figures["same"] = {
        "library": len(files),
        "queries": int((match >= 0).sum()),
        "queries_without_match": int((match < 0).sum()),
        "milliseconds": service.milliseconds(ref, sought, TIMED),
        "methods": {name: _by_family(one, asked, match) for name, one in rankings.items()},
        "answers": answers_worth(seen, match),
        "reliability": [asdict(one) for one in bins],
    }
    for family in FAMILIES:
        numbers = [number for number, query in enumerate(asked) if query.family == family]
        findings.cases += _misses(numbers, asked, seen, whole, files)
        findings.cases += _alarms(numbers, asked, seen, files)


def _is(ranking: Ranking, match: Whole) -> Truth:
    right: Truth = (ranking.found == match[:, None]) & (match[:, None] >= 0)
    return right


def _first(ranking: Ranking, right: Truth) -> tuple[Real, Truth]:
    """Return the scores of the first answers, and whether these are right."""
    there = ranking.found[:, 0] >= 0
    return ranking.scores[there, 0], right[there, 0]


def _by_family(ranking: Ranking, asked: Sequence[Query], match: Whole) -> Figures:
    """Return recall and micro average precision of all queries and of each family, with all queries without a match."""
    right, families = _is(ranking, match), np.array([query.family for query in asked])
    figures: Figures = {}
    for name, of_family in (("all", match >= 0), *((name, (match >= 0) & (families == name)) for name in FAMILIES)):
        counted = of_family | (match < 0)
        wanted = int(of_family.sum())
        figures[name] = {
            "recall_at_1": metrics.recall_at(1, right[of_family]),
            "recall_at_10": metrics.recall_at(10, right[of_family]),
            "micro_average_precision": metrics.micro_average_precision(ranking.scores[counted], right[counted], wanted),
        }
    return figures


def answers_worth(seen: Sequence[Sequence[Answer]], match: Whole) -> Figures:
    """Return recall and precision of the answers that callers get, and how often an empty answer is right."""
    rights = [[one.index == wanted for one in answers] for answers, wanted in zip(seen, match, strict=True)]
    first = [right[0] for right in rights if right]
    every = [one for right in rights for one in right]
    nothing = [not answers for answers, wanted in zip(seen, match, strict=True) if wanted < 0]
    reasons: Counter[tuple[Reason, bool]] = Counter(
        (answers[0].reason, right[0]) for answers, right in zip(seen, rights, strict=True) if answers
    )
    return {
        "recall": sum(bool(right and right[0]) for right in rights) / max(1, int((match >= 0).sum())),
        "precision_of_first": sum(first) / max(1, len(first)),
        "precision_of_all": sum(every) / max(1, len(every)),
        "no_answer_when_nothing_matches": sum(nothing) / max(1, len(nothing)),
        "first_by_reason": {
            str(reason): {"right": reasons[reason, True], "wrong": reasons[reason, False]}
            for reason in Reason
            if reasons[reason, True] + reasons[reason, False]
        },
    }


def _misses(
    numbers: Sequence[int],
    asked: Sequence[Query],
    seen: Sequence[Sequence[Answer]],
    whole: Sequence[Sequence[Answer]],
    files: Files,
) -> list[Case]:
    """Return queries whose picture is not first, the lowest scores first."""
    cases: list[tuple[float, Case]] = []
    for number in numbers:
        query, answers = asked[number], seen[number]
        if query.match < 0 or (answers and answers[0].index == query.match):
            continue
        places = {one.index: (place, one.score) for place, one in enumerate(whole[number], 1)}
        place, score = places.get(query.match, (0, 0.0))
        remark = f"candidate {place}, score {score:.2f}" if place else f"not among {COPIES_PLACES} candidates"
        found = files[answers[0].index] if answers else None
        case = Case("same", query.family, False, query.file, found, files[query.match], remark)
        cases.append((score, case))
    return [case for _, case in sorted(cases, key=lambda one: one[0])[:WORST]]


def _alarms(
    numbers: Sequence[int], asked: Sequence[Query], seen: Sequence[Sequence[Answer]], files: Files
) -> list[Case]:
    """Return queries whose first answer is another picture, the highest scores first."""
    cases: list[tuple[float, Case]] = []
    for number in numbers:
        query = asked[number]
        for one in seen[number][:1]:
            if one.index != query.match:
                wanted = files[query.match] if query.match >= 0 else None
                remark = f"{one.reason}, score {one.score:.3f}"
                cases.append(
                    (one.score, Case("same", query.family, True, query.file, files[one.index], wanted, remark))
                )
    return [case for _, case in sorted(cases, key=lambda one: -one[0])[:WORST]]


def labelled(findings: Findings, service: Service, baselines: Sequence[Remembered], task: Labelled) -> None:
    """Measure a task judged by labels, without queries whose label the library lacks."""
    names = np.array([photo.label for photo in task.library])
    every = [(photo, -1) for photo in task.queries] or [(photo, own) for own, photo in enumerate(task.library)]
    counts = np.array([(names == photo.label).sum() - (own >= 0) for photo, own in every])
    relevant, asked = counts[counts > 0], [one for one, count in zip(every, counts, strict=True) if count]
    photos, own = [photo for photo, _ in asked], [own for _, own in asked]
    places = min(WINDOW - 1, max(LABELLED_PLACES, int(relevant.max())))
    files, sought = OnDisk([photo.path for photo in task.library]), OnDisk([photo.path for photo in photos])

    ref = LibraryRef("yardstick", task.name, task.kind)
    service.fill(ref, files)
    pages = service.ask(ref, sought, places + 1)
    answers = [
        [(one.index, one.score) for one in page if one.index != mine] for page, mine in zip(pages, own, strict=True)
    ]
    rankings = {SERVICE: Ranking.of(answers, places)}
    rankings |= {method.name: method.rank(sought, files, places, own) for method in baselines}

    wanted = np.array([photo.label for photo in photos])
    rights = {name: (names[one.found] == wanted[:, None]) & (one.found >= 0) for name, one in rankings.items()}
    bins = metrics.reliability(*_first(rankings[SERVICE], rights[SERVICE]))
    findings.figures[task.name] = {
        "kind": str(task.kind),
        "library": len(files),
        "queries": len(photos),
        "classes": len(set(names.tolist())),
        "milliseconds": service.milliseconds(ref, sought, TIMED),
        "methods": {name: _by_labels(right, relevant) for name, right in rights.items()},
        "reliability": [asdict(one) for one in bins],
        "calibration_error": metrics.calibration_error(bins),
    }
    findings.cases += _wrong_firsts(task, wanted, rankings[SERVICE], rights[SERVICE], sought, files)


def _by_labels(right: Truth, relevant: Whole) -> Figures:
    return {
        "recall_at_1": metrics.recall_at(1, right),
        "recall_at_5": metrics.recall_at(5, right),
        "mean_average_precision_at_r": metrics.mean_average_precision(right, relevant),
        "mean_average_precision_at_100": metrics.mean_average_precision(right, relevant, 100),
        "precision_at_10": float(right[:, :10].mean()),
    }


def _wrong_firsts(
    task: Labelled,
    wanted: NDArray[np.str_],
    ranking: Ranking,
    right: Truth,
    sought: Files,
    files: Files,
) -> list[Case]:
    """Return queries whose first answer has another label: the highest scores, and the lowest-ranked right answers."""
    wrong = np.flatnonzero((ranking.found[:, 0] >= 0) & ~right[:, 0])
    nearest = np.where(right.any(axis=1), right.argmax(axis=1), right.shape[1])
    cases = []
    for alarm, order in ((True, -ranking.scores[wrong, 0]), (False, -nearest[wrong])):
        for row in wrong[np.argsort(order, kind="stable")][: 2 * WORST]:
            first, place = ranking.found[row, 0], nearest[row]
            there = place < right.shape[1]
            remark = f"{wanted[row]}, not {task.library[first].label}; score {ranking.scores[row, 0]:.2f}; " + (
                f"first right answer: {place + 1}" if there else "no right answer"
            )
            best = files[ranking.found[row, place]] if there else None
            cases.append(Case(task.name, task.name, alarm, sought[row], files[first], best, remark))
    return cases
