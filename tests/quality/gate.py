"""Compares figures with stored ones, which a change must not fall below.

expected.json holds, for each picture set that was ever stored, what was measured and how far below it a run may be
(in percent): random numbers are settled, but processors add up floating-point numbers differently, which now and
then swaps two answers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.quality.measure import SERVICE, Figures

EXPECTED = Path(__file__).with_name("expected.json")

#: How far below a stored figure a run may be, in percent points: one of a quick run's queries without a match, or four
#: of the others.
TOLERANCE = 3.5


def gated(figures: Figures) -> dict[str, float]:
    """Return the gated figures, in percent, by name."""
    return {name: round(100 * share, 1) for name, share in _watched(figures)}


def _watched(figures: Figures) -> Iterator[tuple[str, float]]:
    for name, task in figures.items():
        if name == "same":
            whole, answers = task["methods"][SERVICE]["all"], task["answers"]
            yield "same recall_at_1", whole["recall_at_1"]
            yield "same micro_average_precision", whole["micro_average_precision"]
            for key in ("recall", "precision_of_first", "no_answer_when_nothing_matches"):
                yield f"same answers {key}", answers[key]
        else:
            for key in ("recall_at_1", "mean_average_precision_at_r", "mean_average_precision_at_100"):
                yield f"{name} {key}", task["methods"][SERVICE][key]


def shortfalls(figures: Figures, pictures: str, expected: Path = EXPECTED) -> list[str]:
    """Return a line for every figure that has fallen. Raises KeyError if none are stored for these pictures."""
    stored = json.loads(expected.read_text())[pictures]
    measured = gated(figures)
    return [
        f"{name}: {measured.get(name, 0.0)}, stored {value}, tolerance {stored['tolerance']}"
        for name, value in stored["figures"].items()
        if measured.get(name, 0.0) < value - stored["tolerance"]
    ]


def store(figures: Figures, pictures: str, about: str, expected: Path = EXPECTED) -> None:
    """Store these figures as the ones to reach with these pictures."""
    content: dict[str, Any] = json.loads(expected.read_text()) if expected.exists() else {}
    content[pictures] = {"about": about, "tolerance": TOLERANCE, "figures": gated(figures)}
    expected.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
