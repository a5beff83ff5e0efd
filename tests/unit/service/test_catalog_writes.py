"""Compare-and-set of catalog rows."""

from __future__ import annotations

import pytest

from lookalike.domain.picture import Key, Picture
from lookalike.errors import Unavailable
from lookalike.service.catalog_writes import MAX_ATTEMPTS, compare_and_set, write_row
from tests.contract.rows import contents, deleted, described, row, unit
from tests.faults.faults import Faults, Kind, Plan
from tests.support.fakes import MemoryCatalog, memory_ports

KEY = Key("library", "a")


class Contended(MemoryCatalog):
    """Changes the row before each of the first ``writes`` writes, as another process might."""

    def __init__(self, writes: int) -> None:
        super().__init__()
        self.rows[KEY] = row("library", "a")
        self.writes = writes

    def put(self, picture: Picture, previous: int | None) -> None:
        if self.writes:
            self.writes -= 1
            found = self.rows[picture.key]
            self.rows[picture.key] = found.but(revision=found.revision + 1)
        super().put(picture, previous)


def renamed(current: Picture | None) -> Picture | None:
    return None if current is None else described(current.but(revision=current.revision + 1), brief="new")


def test_a_lost_race_is_repeated_with_the_newer_row() -> None:
    catalog = Contended(MAX_ATTEMPTS - 1)
    written = compare_and_set(memory_ports(catalog=catalog), KEY, renamed)
    assert written is catalog.rows[KEY]
    assert (written.revision, written.metadata.brief) == (MAX_ATTEMPTS + 1, "new")


def test_a_row_that_changes_too_fast_is_left_alone() -> None:
    catalog = Contended(MAX_ATTEMPTS)
    with pytest.raises(Unavailable, match="library/a changes too fast"):
        compare_and_set(memory_ports(catalog=catalog), KEY, renamed)
    assert catalog.rows[KEY].metadata.brief == ""


@pytest.mark.parametrize("kind", [Kind.LOST, Kind.REPEATED])
def test_a_write_whose_answer_is_lost_is_done(kind: Kind) -> None:
    catalog, faults = MemoryCatalog(), Faults()
    ports = faults.wrap(memory_ports(catalog=catalog))
    for previous, one in ((None, row("library", "a")), (1, deleted(row("library", "a"), 2))):
        faults.expect(Plan(kind))
        assert write_row(ports, one, previous)
        assert contents(catalog.rows[KEY]) == contents(one)


def test_a_write_that_is_refused_or_not_known_to_be_done_is_not_done() -> None:
    catalog, faults = MemoryCatalog(), Faults()
    ports = faults.wrap(memory_ports(catalog=catalog))
    for plan in (Plan(Kind.REFUSED), Plan(Kind.LOST, times=2)):
        faults.expect(plan)
        with pytest.raises(Unavailable):
            write_row(ports, row("library", "a"), None)


def test_another_write_of_the_same_revision_is_another_write() -> None:
    catalog = MemoryCatalog()
    catalog.put(row("library", "a", brief="other"), None)
    assert not write_row(memory_ports(catalog=catalog), row("library", "a", brief="mine"), None)
    assert not write_row(memory_ports(catalog=catalog), row("library", "a", brief="other", vector=unit(0, 1)), None)


@pytest.mark.parametrize("rows", [{}, {KEY: row("library", "a")}], ids=["no row", "a row"])
def test_a_step_without_a_result_writes_nothing(rows: dict[Key, Picture]) -> None:
    catalog = MemoryCatalog()
    catalog.rows.update(rows)
    seen: list[Picture | None] = []
    assert compare_and_set(memory_ports(catalog=catalog), KEY, seen.append) is None
    assert seen == [rows.get(KEY)]
    assert catalog.rows == rows
