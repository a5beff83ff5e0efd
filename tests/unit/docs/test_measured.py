"""Figures that several pages, or a page and a model's card, have are the same everywhere."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from PIL.PngImagePlugin import PngImageFile

from docs.figures import growth
from lookalike.settings import MAX_IN_SEGMENTS
from tests.support import documents
from tests.support.documents import ROOT, table


def quality(card: str) -> Any:
    return json.loads((ROOT / card).read_text())["quality"]


SMALL, LARGE = quality("layers/model/card.json"), quality("layers/model/large/card.json")


def numbers(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"\d+(?:\.\d+)?", text)]


def test_what_same_finds_is_what_the_card_says() -> None:
    measured = SMALL["same"]["searches"]["among_1000"]
    names = (
        "right_one_first",
        "of_copies_changed_in_three_ways",
        "micro_average_precision",
        "no_answer_where_nothing_matches",
    )
    rows = table("docs/quality.md", "percent | among 1,000 pictures")
    assert [[float(cell) for cell in row[1:]] for row in rows] == [[measured[name]] for name in names]
    for name in names[2:]:
        assert str(measured["by_the_labels"][name]) in documents.prose("docs/quality.md")


def test_what_the_other_kinds_find_is_what_the_cards_say() -> None:
    rows = {row[0]: row[1:] for row in table("docs/quality.md", "on pictures that no model was fitted on")}
    similar, product, same, costs = (numbers(cells[0]) + numbers(cells[1]) for cells in rows.values())
    found = [
        [card["similar"][f"{name}_mean_average_precision_at_100"] for name in ("caltech", "clothing")]
        for card in (SMALL, LARGE)
    ]
    assert similar == [*found[0], *found[1]]
    groceries = ("grocery_recall_at_1", "grocery_recall_at_1_one_picture_a_class")
    assert product == [card["product"][name] for card in (SMALL, LARGE) for name in groceries]
    views = LARGE["same"]["five_views"]
    assert same[2:] == [views["recall_at_1"], views["recall_at_25"]]
    assert re.search(rf"five views {same[0]}, {same[1]}", LARGE["same"]["remark"])
    assert costs[2:] == [LARGE["cost"]["times_lite0_224"], LARGE["cost"]["mebibytes"]]


@pytest.mark.parametrize(
    ("row", "page", "figures"),
    [
        ("changed copies", "docs/quality.md", ("98.6",)),
        ("searches with nothing to find", "docs/quality.md", ("99.7",)),
        ("add to `same_hq`; search in `similar`", "docs/speed.md", ("17.3 ms", "1.31 ×", "14.9 ms", "1.21 ×")),
        ("search in `same_hq`", "docs/speed.md", ("55 ms", "118 ms")),
        ("memory a picture takes", "docs/speed.md", ("171 bytes",)),
    ],
)
def test_the_readme_repeats_the_pages(row: str, page: str, figures: tuple[str, ...]) -> None:
    (cells,) = [cells for cells in table("README.md", "| measured | how") if cells[0].startswith(row)]
    tables = [line for line in documents.prose(page).splitlines() if line.startswith("|")]
    for figure in figures:
        assert figure in cells[1]
        assert any(figure in line for line in tables), figure


@pytest.mark.parametrize("page", ["README.md", "docs/operate.md"])
def test_what_the_index_takes_is_what_was_measured(page: str) -> None:
    (start,) = [
        row for row in table("docs/speed.md", "processor time | resident") if "from the index's files" in row[0]
    ]
    (resident,) = numbers(start[2])
    (files,) = re.findall(r"The files are (\d+) bytes a picture", documents.prose("docs/speed.md"))
    parts = re.split(r"\n- |\n\n", documents.prose(page))
    (said,) = [" ".join(part.split()) for part in parts if f"{files} bytes in" in part]
    assert f"{resident:.0f} bytes of memory" in said


@pytest.mark.parametrize("page", ["README.md", "docs/aws.md", "docs/decisions/0013-segments-without-a-service.md"])
def test_pages_say_how_many_pictures_segments_are_meant_for(page: str) -> None:
    assert re.findall(r"(?i)up to some ([\d,]+)\s", documents.prose(page)) == [f"{MAX_IN_SEGMENTS:,}"]


def test_the_curves_of_growth_are_those_of_the_table() -> None:
    with PngImageFile(growth.FIGURE) as drawn:
        curves = json.loads(drawn.text["answers"])
    rows = table("docs/speed.md", "pictures | one view | five views")
    assert len(rows) > 3
    for column, name in enumerate(("one view", "five views"), start=1):
        points = {int(row[0].replace(",", "")): numbers(row[column]) for row in rows}
        assert points == {pictures: [pytest.approx(ms, rel=0.05)] for pictures, ms in curves[name]}
        exact = {int(row[0].replace(",", "")): [numbers(row[-1])[column - 1]] for row in rows}
        assert exact == {pictures: [pytest.approx(ms, rel=0.05)] for pictures, ms in curves[f"{name}{growth.EXACT}"]}
