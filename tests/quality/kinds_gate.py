"""Compares the figures of tests/quality/kinds.py with stored ones, beside which a change must not fall.

expected.json holds, for each set and size that was stored, every gated figure and the limit that a run may reach, in
percent. The limit is as far away as chance brings one in twenty engines that are as good: z standard deviations of a
binomial share of that many queries, and one query at the least.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.quality import kinds
from tests.quality.gate import EXPECTED
from tests.quality.measure import Figures

#: One-sided 95 % of a normal distribution, in standard deviations.
Z = 1.645

#: Fewest queries of a gated figure: of fewer, chance decides.
MIN_COUNT = 4

#: The drawn kinds of each group that figures are means of.
GROUPS: Mapping[str, Sequence[str]] = {
    "documents": (
        *("invoice", "form", "receipt", "letter", "table", "business card", "ticket"),
        *("qr", "barcode", "chart", "blank page"),
    ),
    "designs": ("slide", "quote card", "poster", "shop card", "comic", "logo", "icon"),
    "cards, flags, faces": ("playing card", "flag", "face", "pattern", "cut-out"),
    "recoloured": ("part recoloured", "whole recoloured"),
}


@dataclass(frozen=True, slots=True)
class Gated:
    """A share of ``count`` queries, which a change must not lower; or must not raise, if ``falling``."""

    share: float
    count: int
    falling: bool = False

    @property
    def tolerance(self) -> float:
        """How far away an engine that is as good may be; a share of none or of all is taken to be half a query less."""
        smoothed = (self.share * self.count + 0.5) / (self.count + 1)
        return max(1 / self.count, Z * math.sqrt(smoothed * (1 - smoothed) / self.count))

    def stored(self) -> dict[str, float]:
        """Return the figure and its limit, in percent."""
        limit = min(1.0, self.share + self.tolerance) if self.falling else max(0.0, self.share - self.tolerance)
        return {"figure": _percent(self.share), "at_most" if self.falling else "at_least": _percent(limit)}


def gated(figures: Figures) -> dict[str, Gated]:
    """Return the gated figures by name."""
    found: dict[str, Gated] = {}
    if "drawings" in figures:
        found |= _drawings(figures["drawings"])
    if "close" in figures:
        every = list(figures["close"]["kinds"].values())
        found[f"close sisters above {kinds.ALARM}"] = _mean(every, "alarms", "strangers", falling=True)
        found["copies of close sisters right first"] = _mean(every, "right_first", "copies")
    for name, one in figures.get("among themselves", {}).items():
        found[f"{name}: others above {kinds.ALARM}"] = Gated(one["alarms"], one["pictures"], falling=True)
    if "attacks" in figures:
        found |= _attacks(figures["attacks"])
    return {name: one for name, one in found.items() if one.count >= MIN_COUNT}


def shortfalls(figures: Figures, pictures: str, expected: Path = EXPECTED) -> list[str]:
    """Return a line for every figure beyond its limit. Raises KeyError if none are stored for these pictures."""
    stored: dict[str, dict[str, float]] = json.loads(expected.read_text())[pictures]["figures"]
    measured = {name: _percent(one.share) for name, one in gated(figures).items()}
    return [line for name, limits in stored.items() for line in _beyond(name, measured.get(name), limits)]


def store(figures: Figures, pictures: str, about: str, expected: Path = EXPECTED) -> None:
    """Store these figures as the ones to reach with these pictures."""
    content: dict[str, Any] = json.loads(expected.read_text()) if expected.exists() else {}
    content[pictures] = {"about": about, "figures": {name: one.stored() for name, one in gated(figures).items()}}
    expected.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def _beyond(name: str, measured: float | None, limits: Mapping[str, float]) -> Iterator[str]:
    if measured is None:
        yield f"{name}: not measured, stored {limits['figure']}"
    elif measured < limits.get("at_least", 0.0) or measured > limits.get("at_most", 100.0):
        limit = f"at least {limits['at_least']}" if "at_least" in limits else f"at most {limits['at_most']}"
        yield f"{name}: {measured}, stored {limits['figure']}, {limit}"


def _drawings(task: Figures) -> Iterator[tuple[str, Gated]]:
    every = task["kinds"]
    for group, names in (*GROUPS.items(), ("all kinds", list(every))):
        some = [every[name] for name in names if name in every]
        if some:
            yield f"strangers above {kinds.ALARM}: {group}", _mean(some, "alarms", "strangers", falling=True)
            yield f"copies right first: {group}", _mean(some, "right_first", "copies")
    recoloured = [every[name] for name in GROUPS["recoloured"] if name in every]
    if recoloured:
        name = f"strangers above {kinds.RECOLOURED}: recoloured"
        yield name, _mean(recoloured, "above_recoloured", "strangers", falling=True)
    for change in next(iter(every.values()))["by_change"]:
        share = sum(one["by_change"][change] for one in every.values()) / len(every)
        count = sum(one["copies"] for one in every.values()) // len(next(iter(every.values()))["by_change"])
        yield f"copies right first: {change}", Gated(share, count)
    several = [one for one in every.values() if one["several"]]
    yield "copies with several answers, right first", _mean(several, "ordered", "several")
    yield f"copies with another above {kinds.ALARM}", _mean(list(every.values()), "others", "copies", falling=True)
    yield (
        f"copies saved once more, first: score at least {kinds.RECOMPRESSED}",
        _mean(list(every.values()), "surely", "recompressed"),
    )
    yield f"drawings answered above {kinds.ALARM}: right", Gated(task["sure_right"], task["sure"])


def _attacks(task: Figures) -> Iterator[tuple[str, Gated]]:
    every = list(task["attacks"].values())
    yield "attacks: right first", _mean(every, "right_first", "copies")
    yield "attacks: another first", _mean(every, "wrong_first", "copies", falling=True)
    for name, one in task["attacks"].items():
        yield f"{name}: right first", Gated(one["right_first"], one["copies"])
    yield "photographs that are not there: answered", Gated(task["answered"], task["strangers"], falling=True)
    yield f"photographs answered above {kinds.ALARM}: right", Gated(task["sure_right"], task["sure"])


def _mean(some: Sequence[Figures], share: str, count: str, *, falling: bool = False) -> Gated:
    queries = sum(one[count] for one in some)
    return Gated(sum(one[share] * one[count] for one in some) / max(1, queries), queries, falling)


def _percent(share: float) -> float:
    return round(100 * share, 1)
