"""Filling an index that was lost, is busy, refuses rows, and is written to meanwhile."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from lookalike.domain.library import Kind
from lookalike.domain.picture import Key, Picture
from lookalike.errors import IndexWriteError, Unavailable
from lookalike.service.reindex import reindex
from tests.contract.rows import deleted, row
from tests.support.fakes import MemoryCatalog, MemoryIndex, memory_ports


class Moody(MemoryIndex):
    """Fails the first writes as it is told, and never takes the row called ``bad``."""

    def __init__(self, *moods: str) -> None:
        super().__init__()
        self.moods = list(moods)
        self.sizes: list[int] = []

    def write(self, pictures: Sequence[Picture], *, wait: bool = True) -> None:
        assert not wait
        self.sizes.append(len(pictures))
        mood = self.moods.pop(0) if self.moods else "fine"
        if mood == "down":
            raise Unavailable("down")
        late = [one for one in pictures if mood == "busy" and one.key.id.endswith("7")]
        bad = {one.key: "never" for one in pictures if one.key.id == "bad"}
        super().write([one for one in pictures if one not in late and one.key not in bad], wait=wait)
        if late or bad:
            raise IndexWriteError(frozenset(one.key for one in late), bad)


@pytest.fixture
def catalog() -> MemoryCatalog:
    made = MemoryCatalog()
    for number in range(1200):
        made.put(row("uid", f"p{number}"), None)
    made.put(deleted(row("uid", "gone"), 2), None)
    made.put(row("uid", "other", kind=Kind.SAME), None)
    return made


def test_every_row_of_the_kind_is_written_whatever_the_index_does_at_first(catalog: MemoryCatalog) -> None:
    index, told, pauses = Moody("down", "busy", "fine", "down", "busy"), list[int](), list[float]()
    done = reindex(memory_ports(catalog=catalog, index=index), Kind.SIMILAR, told.append, pauses.append)
    assert (done.rows, done.rejected) == (1201, {})
    assert index.rows.keys() == catalog.rows.keys() - {Key("uid", "other")}
    assert index.count("uid") == 1200
    assert told == [500, 1000, 1201]
    assert len(pauses) == 4
    assert max(index.sizes) == 500


def test_what_is_refused_is_said_and_the_rest_is_written(catalog: MemoryCatalog) -> None:
    catalog.put(row("uid", "bad"), None)
    index = Moody("busy")
    done = reindex(memory_ports(catalog=catalog, index=index), Kind.SIMILAR, lambda _: None, lambda _: None)
    assert (done.rows, done.rejected) == (1201, {Key("uid", "bad"): "never"})
    assert len(index.rows) == 1201


def test_what_was_written_meanwhile_stays(catalog: MemoryCatalog) -> None:
    index = Moody()
    index.write([row("uid", "p3", 9, brief="newer")], wait=False)
    reindex(memory_ports(catalog=catalog, index=index), Kind.SIMILAR, lambda _: None)
    assert index.rows[Key("uid", "p3")].metadata.brief == "newer"


def test_an_index_that_stays_away_is_an_error(catalog: MemoryCatalog) -> None:
    index, pauses = Moody(*["down"] * 20), list[float]()
    with pytest.raises(Unavailable, match="500 rows"):
        reindex(memory_ports(catalog=catalog, index=index), Kind.SIMILAR, lambda _: None, pauses.append)
    assert 60 < sum(pauses) < 120
