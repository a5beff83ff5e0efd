"""What every vector index must do. Sets are small here, and on small sets every index is exact."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import permutations
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from numpy.typing import NDArray

from lookalike.model import Candidate, Key, Kind, Picture, Query, State, TagFilter
from lookalike.ports import VectorIndex
from tests.contract.rows import MODEL, deleted, random_vectors, row, unit

Together = Callable[[list[Callable[[], object]]], list[object]]

#: An index may keep vectors in another precision than float16.
NEARLY = 2e-3


def ask(
    index: VectorIndex, libraries: str | Sequence[str], *views: NDArray[np.floating[Any]], **given: Any
) -> list[Candidate]:
    """Search libraries; ``given`` replaces any field of the query."""
    values: dict[str, Any] = {
        "kind": Kind.SIMILAR,
        "libraries": (libraries,) if isinstance(libraries, str) else tuple(libraries),
        "model": MODEL,
        "vectors": np.stack(views or (unit(1),)).astype(np.float32),
        "k": 10,
    }
    return list(index.search(Query(**values | given)))


def ids(found: Sequence[Candidate]) -> list[str]:
    return [candidate.key.id for candidate in found]


class TestSearch:
    def test_unknown_library_has_nothing(self, index: VectorIndex, uid: str) -> None:
        assert ask(index, uid) == []
        assert ask(index, [], k=3) == []
        assert index.count(uid) == 0

    def test_candidate_carries_what_an_answer_shows(self, index: VectorIndex, uid: str) -> None:
        one = row(uid, "a/猫", 7, added=5, brief='{"n": "Ü"}', label="l", desc='{"x": 1}', tags=("2", "1"))
        index.write([one])
        (found,) = ask(index, uid)
        assert found.cosine == pytest.approx(1, abs=NEARLY)
        assert found == Candidate(
            one.key, 7, 5, one.digest, one.object_key, found.cosine, one.brief, "l", one.desc, ("2", "1")
        )

    def test_nearest_come_first_and_no_more_than_k(self, index: VectorIndex, uid: str) -> None:
        index.write([row(uid, f"p{angle}", vector=unit(np.cos(angle / 9), np.sin(angle / 9))) for angle in range(9)])
        assert ids(ask(index, uid, k=4)) == ["p0", "p1", "p2", "p3"]
        assert ids(ask(index, uid, unit(0.2, 1), k=100))[:2] == ["p8", "p7"]
        assert len(ask(index, uid, k=100)) == 9
        cosines = [one.cosine for one in ask(index, uid, k=100)]
        assert cosines == pytest.approx([np.cos(angle / 9) for angle in range(9)], abs=NEARLY)

    def test_opposite_and_orthogonal_pictures_are_candidates_too(self, index: VectorIndex, uid: str) -> None:
        index.write([row(uid, "opposite", vector=unit(-1)), row(uid, "orthogonal", vector=unit(0, 1))])
        assert ids(ask(index, uid)) == ["orthogonal", "opposite"]

    def test_equal_cosines_come_by_library_and_id(self, index: VectorIndex, uid: str) -> None:
        libraries = [f"{uid}-{number}" for number in range(3)]
        names = ["b", "a", "c10", "c9", "B", "ä", "猫"]
        index.write([row(library, name) for name in names for library in reversed(libraries)])
        found = ask(index, libraries, k=100)
        assert [one.key for one in found] == [Key(library, name) for library in libraries for name in sorted(names)]
        assert [one.key for one in ask(index, libraries, k=9)] == [one.key for one in found[:9]]

    def test_best_view_counts(self, index: VectorIndex, uid: str) -> None:
        index.write(
            [row(uid, "a", vector=unit(1)), row(uid, "b", vector=unit(0, 1)), row(uid, "c", vector=unit(0, 0, 1))]
        )
        found = ask(index, uid, unit(0, 1, 0.1), unit(0, 0, 1), unit(0.3, 0, 1))
        assert ids(found) == ["c", "b", "a"]
        assert found[0].cosine == pytest.approx(1, abs=NEARLY)
        assert ids(ask(index, uid, unit(0, 1, 0.1), unit(0, 0, 1), k=1)) == ["c"]

    def test_libraries_models_and_kinds_are_apart(self, index: VectorIndex, uid: str) -> None:
        other = f"{uid}-other"
        index.write([row(uid, "mine"), row(other, "theirs"), row(uid, "old", model="model-0")])
        index.write([row(f"{uid}-same", "same", kind=Kind.SAME)])
        assert ids(ask(index, uid)) == ["mine"]
        assert ids(ask(index, [other, uid])) == ["theirs", "mine"] if other < uid else ["mine", "theirs"]
        assert ids(ask(index, [uid, uid])) == ["mine"]
        assert ids(ask(index, uid, model="model-0")) == ["old"]
        assert ask(index, uid, model="model-2") == []
        assert ask(index, f"{uid}-same") == []
        assert ids(ask(index, f"{uid}-same", kind=Kind.SAME)) == ["same"]

    def test_tags_filter(self, index: VectorIndex, uid: str) -> None:
        tags = {
            "none": (),
            "1": ("1",),
            "12": ("1", "2"),
            "2": ("2",),
            "23": ("2", "3"),
            "11": ("11",),
            "猫": ("猫 a",),
        }
        index.write([row(uid, name, tags=have) for name, have in tags.items()])

        def kept(*wanted: str, any_of: bool) -> set[str]:
            return set(ids(ask(index, uid, tags=TagFilter(frozenset(wanted), any_of))))

        assert kept("1", any_of=False) == kept("1", any_of=True) == {"1", "12"}
        assert kept("1", "2", any_of=False) == {"12"}
        assert kept("1", "3", any_of=True) == {"1", "12", "23"}
        assert kept("1", "2", "3", any_of=False) == set()
        assert kept("猫 a", any_of=False) == {"猫"}
        assert kept("4", any_of=True) == set()

    def test_filter_finds_far_pictures(self, index: VectorIndex, uid: str) -> None:
        """A filter narrows before the k best are taken, not after."""
        index.write([row(uid, f"near{number}", vector=unit(1, 0.01 * number)) for number in range(30)])
        index.write([row(uid, "far", vector=unit(-1, 0.5), tags=("t",))])
        assert ids(ask(index, uid, k=2, tags=TagFilter(frozenset("t")))) == ["far"]


class TestVersions:
    def test_newer_row_replaces(self, index: VectorIndex, uid: str) -> None:
        index.write([row(uid, "a", 1, brief="old", tags=("1",))])
        index.write([row(uid, "a", 2, brief="new", vector=unit(0, 1), tags=("2",))])
        (found,) = ask(index, uid)
        assert (found.brief, found.revision, found.tags) == ("new", 2, ("2",))
        assert found.cosine == pytest.approx(0, abs=NEARLY)
        assert ask(index, uid, tags=TagFilter(frozenset("1"))) == []
        assert index.count(uid) == 1

    def test_older_or_equal_row_changes_nothing(self, index: VectorIndex, uid: str) -> None:
        index.write([row(uid, "a", 5, brief="kept")])
        index.write([row(uid, "a", 4, brief="older")])
        index.write([row(uid, "a", 5, brief="equal")])
        index.write([deleted(row(uid, "a", 1), 4)])
        assert [one.brief for one in ask(index, uid)] == ["kept"]
        assert index.count(uid) == 1

    def test_deleted_row_is_hidden_and_remembered(self, index: VectorIndex, uid: str) -> None:
        one = row(uid, "a", 5)
        index.write([one, row(uid, "b", 1)])
        index.write([deleted(one, 6)])
        assert ids(ask(index, uid)) == ["b"]
        assert index.count(uid) == 1
        index.write([one])
        assert ids(ask(index, uid)) == ["b"]
        index.write([one.but(revision=7, brief="again")])
        assert [found.brief for found in ask(index, uid)] == ["again", ""]
        assert index.count(uid) == 2

    def test_deletion_that_overtakes_its_add_wins(self, index: VectorIndex, uid: str) -> None:
        one = row(uid, "a", 5)
        index.write([one.but(state=State.PURGING, revision=6, deleted_at=1)])
        index.write([one])
        assert ask(index, uid) == []
        assert index.count(uid) == 0

    def test_row_may_change_its_model(self, index: VectorIndex, uid: str) -> None:
        index.write([row(uid, "a", 1, model="model-0")])
        index.write([row(uid, "a", 2)])
        index.write([row(uid, "a", 1, model="model-0")])
        assert ids(ask(index, uid)) == ["a"]
        assert ask(index, uid, model="model-0") == []
        assert index.count(uid) == 1

    def test_removed_row_is_gone(self, index: VectorIndex, uid: str) -> None:
        one = row(uid, "a", 5)
        index.write([one, row(uid, "b", 1)])
        index.remove([one, row(uid, "unknown")], wait=True)
        assert ids(ask(index, uid)) == ["b"]
        assert index.count(uid) == 1

    def test_removal_of_a_claimed_row(self, index: VectorIndex, uid: str) -> None:
        one = row(uid, "a", 5)
        index.write([one])
        index.remove([one.but(state=State.PURGING, revision=6)], wait=True)
        assert ask(index, uid) == []
        assert index.count(uid) == 0

    def test_removal_spares_what_is_newer(self, index: VectorIndex, uid: str) -> None:
        one = row(uid, "a", 5)
        index.write([one.but(revision=8)])
        index.remove([one.but(state=State.PURGING, revision=7)], wait=True)
        assert ids(ask(index, uid)) == ["a"]
        assert index.count(uid) == 1

    def test_every_order_of_writes_ends_the_same(self, index: VectorIndex) -> None:
        history = [
            row("", "a", 1, brief="first"),
            row("", "a", 2, brief="second", vector=unit(0, 1)),
            deleted(row("", "a", 2), 3),
            row("", "a", 4, brief="last", tags=("t",)),
        ]
        for order in permutations(history):
            library = uuid4().hex
            for one in order:
                index.write([one.but(key=Key(library, "a"))])
            assert [(found.brief, found.revision) for found in ask(index, library)] == [("last", 4)]
            assert index.count(library) == 1

    def test_one_call_may_write_a_row_twice(self, index: VectorIndex, uid: str) -> None:
        index.write([row(uid, "a", 2, brief="new"), row(uid, "a", 1, brief="old"), row(uid, "a", 3, brief="newest")])
        assert [found.brief for found in ask(index, uid)] == ["newest"]


VECTORS = [*random_vectors(6, seed=3), unit(1), unit(1, 1), unit(-1, 0.5)]
TAGS = st.lists(st.sampled_from("xyz"), unique=True, max_size=3).map(tuple)


class IndexMachine(RuleBasedStateMachine):
    """Writes and removals in any order, against a dict and a brute-force search."""

    index: VectorIndex

    def __init__(self) -> None:
        super().__init__()
        self.libraries = [uuid4().hex, uuid4().hex]
        self.rows: dict[Key, Picture] = {}

    @rule(
        library=st.sampled_from([0, 1]),
        names=st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=6),
        revision=st.integers(1, 12),
        vector=st.sampled_from(range(len(VECTORS))),
        state=st.sampled_from([State.LIVE, State.LIVE, State.LIVE, State.DELETED]),
        model=st.sampled_from([MODEL, MODEL, MODEL, "model-0"]),
        tags=TAGS,
    )
    def write(
        self,
        library: int,
        names: list[str],
        revision: int,
        vector: int,
        state: State,
        model: str,
        tags: tuple[str, ...],
    ) -> None:
        written = [
            row(
                self.libraries[library],
                name,
                revision,
                vector=VECTORS[(vector + place) % len(VECTORS)],
                state=state,
                model=model,
                tags=tags,
                brief=f"{name}{revision}{vector}",
            )
            for place, name in enumerate(names)
        ]
        self.index.write(written)
        for one in written:
            held = self.rows.get(one.key)
            if held is None or held.revision < one.revision:
                self.rows[one.key] = one

    @rule(library=st.sampled_from([0, 1]), name=st.sampled_from("abcdefgh"), revision=st.integers(1, 12))
    def remove(self, library: int, name: str, revision: int) -> None:
        self.index.remove([row(self.libraries[library], name, revision)], wait=True)
        held = self.rows.get(Key(self.libraries[library], name))
        if held is not None and held.revision <= revision:
            del self.rows[held.key]

    @rule(
        libraries=st.sampled_from([(0,), (1,), (0, 1)]),
        views=st.lists(st.sampled_from(range(len(VECTORS))), min_size=1, max_size=3),
        k=st.integers(1, 20),
        tags=st.none() | st.builds(TagFilter, TAGS.map(frozenset), st.booleans()),
    )
    def search(self, libraries: tuple[int, ...], views: list[int], k: int, tags: TagFilter | None) -> None:
        asked = [self.libraries[library] for library in libraries]
        vectors = np.stack([VECTORS[view] for view in views]).astype(np.float64)
        expected = sorted(
            (-float(np.max(vectors @ one.vector.astype(np.float64))), key.library, key.id, one)
            for key, one in self.rows.items()
            if one.live and one.model == MODEL and key.library in asked and (tags is None or tags.keeps(one.tags))
        )[:k]
        found = ask(self.index, asked, *(VECTORS[view] for view in views), k=k, tags=tags)
        assert [one.cosine for one in found] == pytest.approx([-one[0] for one in expected], abs=NEARLY)
        assert [(one.key, one.revision, one.brief) for one in found] == [
            (one[3].key, one[3].revision, one[3].brief) for one in expected
        ]
        for library in self.libraries:
            assert self.index.count(library) == sum(
                one.live for key, one in self.rows.items() if key.library == library
            )


def test_index_behaves_like_a_brute_force_search(index: VectorIndex) -> None:
    class Machine(IndexMachine):
        pass

    Machine.index = index
    run_state_machine_as_test(Machine, settings=settings(max_examples=60, stateful_step_count=30, deadline=None))


def test_searches_beside_writes_see_every_picture_once(index: VectorIndex, uid: str, together: Together) -> None:
    """A picture that is replaced all the time is never missing and never there twice; new ones are seen at once."""
    fixed = [row(uid, f"fixed{number}", 1, vector=vector) for number, vector in enumerate(random_vectors(40, seed=5))]
    index.write(fixed)

    def replace() -> None:
        for revision in range(2, 12):
            index.write([one.but(revision=revision, brief=str(revision)) for one in fixed])

    def come_and_go() -> None:
        for revision in range(1, 60):
            passing = row(uid, "passing", 2 * revision, vector=unit(0, 0, 1))
            index.write([passing])
            assert "passing" in ids(ask(index, uid, unit(0, 0, 1), k=1000))
            index.write([deleted(passing, 2 * revision + 1)])
            assert "passing" not in ids(ask(index, uid, unit(0, 0, 1), k=1000))

    def search() -> None:
        for _ in range(60):
            found = ids(ask(index, uid, k=1000))
            assert len(found) == len(set(found))
            assert {one.key.id for one in fixed} <= set(found)

    assert together([replace, come_and_go, search, search, search]) == [None] * 5
    assert index.count(uid) == len(fixed)
    assert {one.brief for one in ask(index, uid, k=1000)} == {"11"}
