"""The gate: what searches find among the photographs that packages ship must not fall below the stored figures."""

from __future__ import annotations

import io
import json
import re
import subprocess
from pathlib import Path

import pytest
from rich.console import Console

from tests.quality import __main__ as yardstick
from tests.quality import gate, page, report
from tests.quality.measure import MIN_JUDGED, Findings
from tests.support.photographs import ROOT


@pytest.mark.slow
def test_searches_find_as_much_as_they_did(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures, page = tmp_path / "figures.json", tmp_path / "page.html"
    status = yardstick.main(["--quick", "--gate", "--json", str(figures), "--page", str(page)])
    printed = capsys.readouterr().out
    assert status == 0, printed
    assert "No figures are stored" not in printed
    tasks = json.loads(figures.read_text())["tasks"]
    assert set(tasks) == {"same", "product", "similar"}
    for task in tasks.values():
        assert set(task["methods"]) == {"lookalike", "pHash", "HSV histogram"}
    html = page.read_text()
    assert "data:image/jpeg;base64," in html
    assert not re.search(r"(src|href)='?\"?http", html)  # the page needs nothing else


@pytest.mark.slow
def test_libraries_of_one_kind_are_told_apart_as_they_were(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures, page = tmp_path / "figures.json", tmp_path / "page.html"
    status = yardstick.main(["--kinds", "--quick", "--gate", "--json", str(figures), "--page", str(page)])
    printed = capsys.readouterr().out
    assert status == 0, printed
    assert "No figures are stored" not in printed
    assert set(json.loads(figures.read_text())["tasks"]) == {"drawings", "close", "attacks", "cost"}


def test_make_quality_takes_pictures_and_options() -> None:
    """`make quality` runs what the tests above run."""
    command = ["make", "-n", "-o", "setup", "quality", "PICTURES=my photos", "OPTIONS=--quick --gate"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert '-m tests.quality --pictures "my photos" --quick --gate' in printed
    plain = subprocess.run([*command[:4], "quality"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "--pictures" not in plain


FIGURES = {
    "same": {
        "methods": {"lookalike": {"all": {"recall_at_1": 0.9, "micro_average_precision": 0.8}}},
        "answers": {"recall": 0.7, "precision_of_first": 1.0, "no_answer_when_nothing_matches": 0.99},
    },
    "similar": {
        "methods": {
            "lookalike": {
                "recall_at_1": 0.9,
                "mean_average_precision_at_r": 0.5,
                "mean_average_precision_at_100": 0.6,
            }
        }
    },
}


def test_a_figure_that_falls_below_its_tolerance_is_named(tmp_path: Path) -> None:
    expected = tmp_path / "expected.json"
    gate.store(FIGURES, "these", "a test", expected)
    assert gate.shortfalls(FIGURES, "these", expected) == []
    fallen = json.loads(json.dumps(FIGURES))
    fallen["same"]["answers"]["recall"] -= (gate.TOLERANCE + 0.2) / 100
    fallen["similar"]["methods"]["lookalike"]["recall_at_1"] -= (gate.TOLERANCE - 0.2) / 100
    assert [line.split(":")[0] for line in gate.shortfalls(fallen, "these", expected)] == ["same answers recall"]
    del fallen["similar"]  # a task that is no longer measured has fallen, too
    assert len(gate.shortfalls(fallen, "these", expected)) == 4
    with pytest.raises(KeyError):
        gate.shortfalls(FIGURES, "those", expected)


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        (MIN_JUDGED - 1, "199 are too few to judge scores by, 200 at the least"),
        (MIN_JUDGED, "off by 58.9 points on average"),
    ],
)
def test_few_answers_do_not_judge_scores(answers: int, says: str) -> None:
    task = {
        "library": 300,
        "queries": answers,
        "classes": 3,
        "methods": {},
        "reliability": [
            {"low": 0.1, "high": 0.2, "count": 9, "claimed": 0.1, "true": 0.2},
            {"low": 0.3, "high": 0.4, "count": answers - 9, "claimed": 0.3, "true": 0.9},
        ],
        "calibration_error": 0.589,
    }
    console = Console(width=yardstick.WIDTH, record=True, file=io.StringIO())
    report.show(console, {"product": task})
    for shown in (console.export_text(), page.render(Findings({"product": task}), "a test")):
        assert says in " ".join(shown.split())
        assert ("58.9" in shown) is (answers == MIN_JUDGED)
        assert "one in four" in shown
