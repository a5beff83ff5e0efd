"""Compare-and-set of catalog rows."""

from __future__ import annotations

import pytest

from lookalike.domain.picture import Key, Picture
from lookalike.errors import Unavailable
from lookalike.service.catalog_writes import MAX_ATTEMPTS, compare_and_set
from tests.contract.rows import described, row
from tests.support.fakes import MemoryCatalog, memory_ports

KEY = Key("library", "a")


class Contended(MemoryCatalog):
    """Changes the row behind each of the first ``writes`` reads, as another process might."""

    def __init__(self, writes: int) -> None:
        super().__init__()
        self.rows[KEY] = row("library", "a")
        self.writes = writes

    def picture(self, key: Key) -> Picture | None:
        found = super().picture(key)
        if self.writes and found is not None:
            self.writes -= 1
            self.rows[key] = found.but(revision=found.revision + 1)
        return found


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


@pytest.mark.parametrize("rows", [{}, {KEY: row("library", "a")}], ids=["no row", "a row"])
def test_a_step_without_a_result_writes_nothing(rows: dict[Key, Picture]) -> None:
    catalog = MemoryCatalog()
    catalog.rows.update(rows)
    seen: list[Picture | None] = []
    assert compare_and_set(memory_ports(catalog=catalog), KEY, seen.append) is None
    assert seen == [rows.get(KEY)]
    assert catalog.rows == rows
