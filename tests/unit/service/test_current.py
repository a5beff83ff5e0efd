"""What is shown holds now, whatever the index still says; pages are cuts of one list all the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.domain.library import Identity, Kind, LibraryRef
from lookalike.domain.picture import Key, Metadata, Picture
from lookalike.domain.search import Candidate, Match, Reason, TagFilter
from lookalike.errors import Unavailable
from lookalike.service.add import Add, add
from lookalike.service.current import current
from lookalike.service.delete import Delete, delete
from lookalike.service.libraries import create_library
from lookalike.service.ranking import WINDOW
from lookalike.service.search import Search, SearchGroups, search, search_groups
from lookalike.service.update import Update, update
from tests.contract.rows import deleted, row
from tests.support.fakes import MemoryCatalog, MemoryIndex, memory_ports
from tests.unit.service.test_faults import source


class Behind(MemoryIndex):
    """Takes no writes once it is told so: other callers have been answered, and it does not know."""

    stopped = False

    def write(self, pictures: Sequence[Picture], *, wait: bool = True) -> None:
        if self.stopped:
            raise Unavailable("busy")
        super().write(pictures, wait=wait)


class CountingCatalog(MemoryCatalog):
    """Says how many rows were asked for, read by read."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []

    def changed(self, revisions: Mapping[Key, int]) -> Mapping[Key, Picture | None]:
        self.asked.append(len(revisions))
        return super().changed(revisions)


def ranked(count: int) -> list[Match]:
    """Matches as an index answers them, best first."""
    scores = np.linspace(0.9, 0.1, max(count, 1))
    rows = [row("uid", f"{number:04}") for number in range(count)]
    return [
        Match(Candidate(one.key, 1, 1, one.digest, one.object_key, 0.5), float(score), Reason.VECTOR)
        for one, score in zip(rows, scores, strict=False)
    ]


def holding(count: int, gone: Sequence[int] = ()) -> CountingCatalog:
    """A catalog with the rows of these matches, of which some are deleted."""
    catalog = CountingCatalog()
    for number in range(count):
        one = row("uid", f"{number:04}")
        catalog.put(deleted(one, 2) if number in gone else one, None)
    return catalog


@given(st.integers(0, 300), st.integers(0, 300), st.integers(1, 100), st.sets(st.integers(0, 299)))
def test_a_page_is_what_holds_from_its_first_position_on(length: int, start: int, count: int, gone: set[int]) -> None:
    matches, catalog = ranked(length), holding(length, tuple(gone))
    kept, behind = current(catalog, matches, start, count)
    expected = [match for number, match in enumerate(matches) if number >= start and number not in gone]
    assert kept == expected[:count]
    assert behind == (matches.index(kept[-1]) + 1 if len(kept) == count else max(length, start))


@given(st.integers(0, 400), st.integers(1, 90))
def test_pages_follow_each_other_without_a_gap(length: int, count: int) -> None:
    matches, catalog = ranked(length), holding(length)
    pages = [current(catalog, matches, start, count)[0] for start in range(0, length, count)]
    assert [match for page in pages for match in page] == matches


def test_only_what_is_shown_is_read() -> None:
    catalog = holding(1000)
    current(catalog, ranked(1000), 20, 10)
    assert catalog.asked == [10]


def test_where_much_is_gone_reads_are_few() -> None:
    catalog = holding(1000, range(990))
    kept, behind = current(catalog, ranked(1000), 0, 1)
    assert ([match.candidate.key.id for match in kept], behind) == (["0990"], 991)
    assert len(catalog.asked) == 10


@pytest.fixture
def index() -> Behind:
    return Behind()


class TestSearch:
    library_ref = LibraryRef("tenant", "similar", Kind.SIMILAR)

    def test_a_picture_that_is_gone_is_not_shown_and_its_place_is_filled(self, index: Behind) -> None:
        ports = memory_ports(index=index)
        for number in range(6):
            add(ports, Add(self.library_ref, source(number), metadata=Metadata(brief=str(number))))
        before = search(ports, Search(self.library_ref, source(0), count=3))
        index.stopped = True
        second = before.matches[1].candidate.metadata.brief
        delete(ports, Delete(self.library_ref, source(int(second))))
        after = search(ports, Search(self.library_ref, source(0), count=3))
        assert len(after.matches) == 3
        assert after.more
        assert second not in [match.candidate.metadata.brief for match in after.matches]
        assert [match.score for match in after.matches] == sorted((m.score for m in after.matches), reverse=True)
        rest = search(ports, Search(self.library_ref, source(0), start=4, count=9))
        assert (len(rest.matches), rest.more) == (2, False)

    def test_what_is_said_anew_is_shown(self, index: Behind) -> None:
        ports = memory_ports(index=index)
        add(ports, Add(self.library_ref, source(1), metadata=Metadata(brief="old", tags=("1",))))
        index.stopped = True
        update(ports, Update(self.library_ref, source(1), change={"brief": "new", "tags": ("2",)}))
        for looked_for in (source(1), source(2)):
            (match,) = search(ports, Search(self.library_ref, looked_for)).matches
            assert (match.candidate.metadata.brief, match.candidate.metadata.tags) == ("new", ("2",))
        for tag, count in (("1", 0), ("2", 0)):  # the index still files it under 1, where it is no longer to be found
            wanted = TagFilter(any_of=frozenset({tag}))
            assert len(search(ports, Search(self.library_ref, source(2), tags=wanted)).matches) == count

    def test_an_id_that_has_another_picture_now_is_not_found_by_the_old_one(self, index: Behind) -> None:
        ports = memory_ports(index=index)
        ref = LibraryRef("tenant", "shop", Kind.SIMILAR, Identity.OWN)
        library = create_library(ports, ref)
        add(ports, Add(ref, source(1), id="a"))
        index.stopped = True
        delete(ports, Delete(ref, ("a",)))
        add(ports, Add(ref, source(2), id="a"))
        assert search_groups(ports, SearchGroups((library,), source(1), 10)) == []

    def test_of_those_identical_the_first_that_is_left_has_the_score_1(self, index: Behind) -> None:
        ports = memory_ports(index=index)
        ref = LibraryRef("tenant", "shop", Kind.SIMILAR, Identity.OWN)
        library = create_library(ports, ref)
        for id_ in ("a", "b"):
            add(ports, Add(ref, source(1), id=id_))
        index.stopped = True
        delete(ports, Delete(ref, ("a",)))
        (match,) = search_groups(ports, SearchGroups((library,), source(1), 1, threshold=1.0))
        assert (match.candidate.key.id, match.score, match.reason) == ("b", 1.0, Reason.EXACT)

    def test_a_window_is_never_passed(self) -> None:
        catalog = holding(WINDOW + 5)
        assert len(current(catalog, ranked(WINDOW), WINDOW - 3, 10)[0]) == 3
