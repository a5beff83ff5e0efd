"""The benchmark of FAISS's graphs measures each of them, on a library too small to be fast or slow."""

from __future__ import annotations

from tests.bench.faiss_graphs import KINDS, measure
from tests.bench.graphs import GRAPHS, needs_native_code
from tests.bench.report import Report


def test_every_graph_that_opensearch_makes_by_faiss_is_measured() -> None:
    report = Report()
    measure(report, 500, 2)
    assert set(KINDS) == {name for name in GRAPHS if needs_native_code(name)}
    recalls = [row.value for row in report.rows if row.name.endswith("recall")]
    assert len(recalls) == 2 * len(KINDS)
    assert min(recalls) >= 0.98
    room = [row.value for row in report.rows if row.name == "memory a row"]
    assert room == sorted(room, reverse=True)
    assert all(row.value > 0 for row in report.rows)
