"""Puts down what a stack on AWS costs in a month in which nobody calls it, by the table of ``docs/cost.md``.

A test counts the units and computes that table (``tests/integration/test_costs.py``); nothing is measured here.
"""

from __future__ import annotations

from tests.bench.report import Report
from tests.support import documents

#: Dollars a month that a stack of that many pictures should cost at most while nobody calls it.
MAX_IDLE = {10_000: "≤ 2 $"}


def measure(report: Report) -> None:
    """Report a row for each row of the table: the month without its calls."""
    for pictures, domain, *_, calls, month in documents.table("docs/cost.md", "pictures | domain"):
        idle = float(month) - float(calls)
        aim = MAX_IDLE.get(int(pictures.replace(",", "")), "")
        report.add("An idle month on AWS, by docs/cost.md", f"{pictures} pictures, {domain}", idle, "$", aim=aim)
