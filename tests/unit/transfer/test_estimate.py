"""What a trial says that the import will take."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lookalike.ports import Ports
from lookalike.transfer import estimate
from lookalike.transfer.stores_target import StoresTarget
from lookalike.transfer.target import Wanted
from tests.conftest import ALICE
from tests.support import documents
from tests.support.baidu import picture
from tests.support.transfers import Importer


def test_dollars_are_those_of_the_page_of_costs() -> None:
    page = documents.prose("docs/cost.md")
    units = re.search(r"\| add \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|", page)
    assert units is not None

    def price(unit: str) -> float:
        found = re.search(rf"\| a (?:million )?{unit} \| ([\d.]+) \|", page)
        assert found is not None, unit
        return float(found[1])

    millions = zip(map(float, units.groups()), ("table read units", "table write units", "S3 puts"), strict=True)
    calls = sum(count * price(unit) for count, unit in millions) + price("function runs")
    run = 0.1 * price("function's second at 1769 MB")
    assert pytest.approx(calls / 1e6 + run) == estimate.DOLLARS_PER_ADD


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (0, []),
        (1, ["adding 1 pictures takes this machine about 1 s", "and costs 0.01 dollars"]),
        (10_000, ["adding 10,000 pictures takes this machine about 110 s", "and costs 0.16 dollars"]),
        (1_000_000, ["adding 1,000,000 pictures takes this machine about 3 h", "and costs 15.8"]),
    ],
)
def test_it_is_said_in_units_that_people_use(rows: int, said: list[str]) -> None:
    lines = estimate.lines(rows, 0.001 * rows, 0.02, 2, on_aws=True)
    assert len(lines) == len(said)
    assert all(line.startswith(beginning) for line, beginning in zip(lines, said, strict=True))
    assert len(estimate.lines(rows, 1, 0.02, 2, on_aws=False)) == (rows > 0)


def test_a_trial_embeds_a_few_pictures_and_stores_none(memory: Ports, tmp_path: Path) -> None:
    for number in range(12):
        (tmp_path / f"{number}.png").write_bytes(picture(number))
    target = StoresTarget(memory, ALICE, Wanted("shop"), make=False)
    importer = Importer(memory, ALICE, by_api=False)
    assert {line[0] for line in importer.run(tmp_path, "shop", dry=True)} == {"added"}
    assert memory.catalog.libraries(ALICE.tenant) == []
    assert target.estimate(12, 1.0) == ["adding 12 pictures takes this machine about 1 s"]


def test_samples_are_few() -> None:
    sampler, seen = estimate.Sampler(), list[int]()
    for number in range(10):
        sampler.sample(lambda number=number: seen.append(number))  # type: ignore[misc]
    assert seen == [0, 1, 2]
    assert sampler.seconds >= 0
    assert estimate.Sampler().seconds == 0
