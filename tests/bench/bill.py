"""Puts down what a stack on AWS costs in a month in which nobody calls it, by the tables of ``docs/cost.md``.

A test counts the units and computes those tables (``tests/integration/test_costs.py``); nothing is measured here.
"""

from __future__ import annotations

from tests.bench.report import Report
from tests.support import documents

GROUP = "An idle month on AWS, computed by docs/cost.md and not measured"

#: What a stack with as little as possible should cost at most, up to a hundred thousand pictures.
AIM = "≤ 2 $"


def measure(report: Report) -> None:
    """Report a row for each row of the tables of both stores: the month without its calls."""
    for pictures, metrics, _, idle, *_ in documents.table("docs/cost.md", "pictures with segments | metrics"):
        aim = AIM if metrics == "none" and int(pictures.replace(",", "")) <= 100_000 else ""
        report.add(GROUP, f"{pictures} pictures, segments, Metrics={metrics}", float(idle), "$", aim=aim)
    for pictures, domain, *_, calls, month in documents.table("docs/cost.md", "pictures | domain"):
        report.add(GROUP, f"{pictures} pictures, {domain}", float(month) - float(calls), "$")
