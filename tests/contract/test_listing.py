"""Pages of a library's pictures, by state and by tags, over every catalog."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from lookalike.domain.library import Kind, LibraryRef
from lookalike.domain.picture import Key, Metadata, State
from lookalike.domain.search import TagFilter
from lookalike.ports import Catalog, Ports
from lookalike.service import groups
from lookalike.service.groups import list_pictures
from lookalike.service.libraries import create_library
from tests.contract.rows import row
from tests.support.examples import examples
from tests.support.fakes import memory_ports

NAMES = [f"p{number}" for number in range(12)]
TAG_SETS = st.lists(st.sampled_from("xyz"), unique=True, max_size=3).map(tuple)
FILTERS = st.sampled_from(
    [None, TagFilter(frozenset("x")), TagFilter(any_of=frozenset("xy")), TagFilter(none_of=frozenset("z"))]
)


class Walk(RuleBasedStateMachine):
    """Walks over a library while rows come and go and change: what is there all the while is met exactly once."""

    ports: Ports
    numbers = itertools.count()

    @initialize(state=st.sampled_from([State.LIVE, State.DELETED]), tags=FILTERS)
    def begin(self, state: State, tags: TagFilter | None) -> None:
        name = f"library-{next(Walk.numbers)}"
        self.library = create_library(self.ports, LibraryRef("tenant", name, Kind.SIMILAR))
        self.state, self.tags = state, tags
        self.rows: dict[str, tuple[State, tuple[str, ...]]] = {}
        self.stayed: set[str] = set()
        self.revision = 0
        self.walking = False

    def _is_wanted(self, name: str) -> bool:
        state, tags = self.rows[name]
        return state is self.state and (self.tags is None or self.tags.keeps(tags))

    @rule(name=st.sampled_from(NAMES), state=st.sampled_from(list(State)[:3]), tags=TAG_SETS)
    def write(self, name: str, state: State, tags: tuple[str, ...]) -> None:
        key = Key(self.library.uid, name)
        now = self.ports.catalog.picture(key)
        self.revision += 1
        made = row(key.library, name, self.revision, state=state, deleted_at=None if state is State.LIVE else 1)
        self.ports.catalog.put(made.but(metadata=Metadata(tags=tags)), None if now is None else now.revision)
        self.rows[name] = state, tags
        if self.walking:
            self.stayed = {one for one in self.stayed if self._is_wanted(one)}

    @rule()
    def start(self) -> None:
        self.walking = True
        self.after: str | None = None
        self.met: list[str] = []
        self.stayed = {name for name in self.rows if self._is_wanted(name)}

    @rule(limit=st.integers(1, 4))
    def next_page(self, limit: int) -> None:
        if not self.walking:
            return
        page = list_pictures(self.ports, self.library, self.after, limit, state=self.state, tags=self.tags)
        names = [one.key.id for one in page.pictures]
        assert len(names) <= limit
        assert all(map(self._is_wanted, names))
        self.met += names
        self.after = page.after
        if page.after is None:
            assert self.stayed <= set(self.met)
            self.walking = False

    @invariant()
    def nothing_is_met_twice(self) -> None:
        if self.walking:
            assert len(self.met) == len(set(self.met))


def test_a_walk_meets_everything_exactly_once(
    catalog: Catalog, machine_runs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groups, "_MIN_ROWS_READ", 2)
    monkeypatch.setattr(groups, "_MAX_READS", 2)

    class Machine(Walk):
        ports = memory_ports(catalog=catalog)

    run_state_machine_as_test(Machine, settings=settings(max_examples=examples(machine_runs), stateful_step_count=25))


def test_a_page_of_which_the_filter_keeps_nothing_ends_after_some_reads(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groups, "_MIN_ROWS_READ", 2)
    monkeypatch.setattr(groups, "_MAX_READS", 3)
    ports = memory_ports(catalog=catalog)
    library = create_library(ports, LibraryRef("tenant", "library", Kind.SIMILAR))
    for name in NAMES:
        catalog.put(row(library.uid, name, tags=("x",) if name in ("p10", "p7") else ()), None)
    pages: list[list[str]] = []
    after = None
    while not pages or after is not None:
        page = list_pictures(ports, library, after, 1, tags=TagFilter(all_of=frozenset("x")))
        after = page.after
        pages.append([one.key.id for one in page.pictures])
    assert sorted(itertools.chain(*pages)) == ["p10", "p7"]
    assert [] in pages
    assert len(pages) <= 4
    assert list_pictures(ports, library, None, 100, state=State.DELETED).pictures == ()
