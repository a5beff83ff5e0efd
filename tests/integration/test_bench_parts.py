"""``make bench`` says which part it measures, and leaves the figures of those that are done."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.bench.__main__ import measure
from tests.bench.report import Report


def first(report: Report) -> None:
    report.add("group", "name", 2.0, "ms", floor=1.0)


def interrupted(report: Report) -> None:
    report.add("group", "half", 1.0, "ms")
    raise KeyboardInterrupt


def test_each_part_is_named_as_it_begins(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def second(report: Report) -> None:
        assert capsys.readouterr().err.endswith("bench: second, part 2 of 2\n")
        first(report)

    report = measure({"first": first, "second": second}, tmp_path / "build/bench.json")
    assert len(report.rows) == 2
    assert json.loads((tmp_path / "build/bench.json").read_text())["figures"] == report.figures()


def test_an_interrupted_run_leaves_what_it_has_measured(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    file.write_text("the figures of an earlier run")
    with pytest.raises(KeyboardInterrupt):
        measure({"first": first, "second": interrupted}, file)
    figures = json.loads(file.read_text())["figures"]
    assert [(one["name"], one["ratio"]) for one in figures] == [("name", 2.0)]
    assert list(tmp_path.iterdir()) == [file]
