"""Thresholds and stages of docs/verification.md are those of the code."""

from __future__ import annotations

import importlib
import json
import re

import pytest

from tests.support import documents
from tests.support.documents import ROOT, block, table

PAGE = "docs/verification.md"


@pytest.mark.parametrize("row", table(PAGE, "threshold | value | constant"), ids=lambda row: row[0])
def test_thresholds_are_the_codes(row: list[str]) -> None:
    name, path = re.findall(r"`([^`]+)`", row[2])
    module = importlib.import_module("lookalike." + path.removesuffix(".py").replace("/", "."))
    assert float(row[1]) == pytest.approx(getattr(module, name), abs=5e-5)


def test_the_least_probability_is_the_cards() -> None:
    least = json.loads((ROOT / "layers/model/card.json").read_text())["proof"]["least"]
    assert f"`proof.least`, {least}, verifies" in " ".join(documents.prose(PAGE).split())


def test_every_stage_that_is_drawn_is_explained() -> None:
    drawn = set(re.findall(r'"stage (\d):', block("mermaid", "a look at the query")))
    assert drawn == set(re.findall(r"^\*\*(\d)\. ", documents.prose(PAGE), re.MULTILINE)) == set("1234")
