"""The thresholds that were measured keep their values, whatever their names and wherever they stand.

No picture can be made for every one of them, so they are held as what they are: all numbers of the module-level
assignments but 0 and 1, of all modules together, each as often as it stands there. Renaming, moving and splitting change none. A
number that is new, or meant to be another, is changed here by hand, with ``make quality`` for its reason.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[3] / "layers/lookalike/python/lookalike"

#: Where what is measured stands: folders, and single modules.
PLACES = (
    "embedding",
    "verification",
    "training/logistic.py",
    "service/originals.py",
    "service/reranking.py",
    "service/ranking.py",
    "service/search.py",
)

#: Each number, as often as it stands in them.
NUMBERS: Counter[float] = Counter(
    {
        0.0001: 1,  # stood within a function before
        0.012: 1,
        0.015: 1,
        0.02: 3,
        0.03: 2,
        0.04: 1,
        0.08: 1,
        0.15: 4,
        0.25: 1,
        0.3: 2,
        0.33: 1,
        0.45: 1,
        0.5: 3,
        0.55: 1,
        0.7: 4,
        0.8: 1,
        0.85: 2,
        0.88: 1,
        0.9: 1,
        0.99: 2,
        0.999: 1,
        1.5: 2,
        2: 16,
        3: 5,
        4: 14,
        5: 4,
        6: 3,
        7: 1,
        8: 5,
        9: 1,
        10: 1,
        12: 1,
        14: 2,
        16: 1,
        20: 2,
        24: 1,
        25: 1,
        29: 1,
        30: 1,
        32: 3,
        48: 2,
        56: 1,
        60: 2,
        64: 1,
        68: 1,
        90: 1,
        96: 1,
        100: 5,
        127: 1,
        128: 2,
        192: 2,
        200: 1,
        256: 1,
        300: 2,
        320: 2,
        384: 1,
        1000: 1,
        2000: 1,
        4096: 4,
        10000: 1,
        1000000: 1,
    }
)


def numbers_of(path: Path) -> Iterator[float]:
    """The numbers of a module's own assignments, in order."""
    for statement in ast.parse(path.read_text()).body:
        if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign) and statement.value is not None:
            for node in ast.walk(statement.value):
                value = node.value if isinstance(node, ast.Constant) else None
                if isinstance(value, int | float) and value not in (
                    0,
                    1,
                ):  # nor True and False, which are equal to them
                    yield float(value)


def test_every_number_is_as_it_was() -> None:
    paths = [path for place in PLACES for path in sorted((PACKAGE / place).rglob("*.py")) or [PACKAGE / place]]
    found = Counter(number for path in paths for number in numbers_of(path))
    assert not found - NUMBERS, f"numbers that were not there: {found - NUMBERS}"
    assert not NUMBERS - found, f"numbers that are gone: {NUMBERS - found}"
