"""What every vector index must do. Sets are small here, and on small sets every index is exact.

What was written is looked for only after a write that waits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations, permutations
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from numpy.typing import NDArray

from lookalike.domain.inventory import IndexEntry
from lookalike.domain.library import Kind
from lookalike.domain.picture import Key, Metadata, Picture, State
from lookalike.domain.search import Candidate, Query, TagFilter
from lookalike.ports import VectorIndex
from tests.contract.rows import MODEL, deleted, described, random_vectors, row, unit
from tests.support.examples import examples

Together = Callable[[list[Callable[[], object]]], list[object]]

#: Cosines of float16 vectors are answered to this. Rounding to float16 changes a number by 2^-11 of it at most, and so
#: the length of a vector, for which an index may or may not allow.
NEARLY = 1e-3


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


def cosines(found: Sequence[Candidate]) -> dict[Key, float]:
    return {candidate.key: candidate.cosine for candidate in found}


def by_brute_force(rows: Sequence[Picture], views: NDArray[np.floating[Any]]) -> dict[Key, float]:
    """Every picture's largest cosine over the views."""
    return {one.key: float(np.max(views.astype(np.float64) @ one.vector.astype(np.float64))) for one in rows}


def are_the_best(found: Sequence[Candidate], expected: dict[Key, float], k: int) -> None:
    """Asserts that these are the ``k`` best, each with its cosine and in their order."""
    assert len(found) == len(cosines(found)) == min(k, len(expected))
    assert cosines(found) == pytest.approx({one.key: expected[one.key] for one in found}, abs=NEARLY)
    assert list(found) == sorted(found, key=lambda one: (-one.cosine, one.key.library, one.key.id))
    left_out = [cosine for key, cosine in expected.items() if key not in cosines(found)]
    # Two that differ by less than twice what a cosine may be wrong by may stand in either order.
    assert max(left_out, default=-1) <= min((one.cosine for one in found), default=1) + 2 * NEARLY


class TestSearch:
    def test_unknown_library_has_nothing(self, index: VectorIndex, uid: str) -> None:
        assert ask(index, uid) == []
        assert ask(index, [], k=3) == []
        assert index.count(uid) == 0

    def test_candidate_carries_what_an_answer_shows(self, index: VectorIndex, uid: str) -> None:
        said = {"brief": '{"n": "Ü"}', "label": "l", "desc": '{"x": 1}', "tags": ("2", "1"), "old_sign": "1,2"}
        one = row(uid, "a/猫", 7, added=5, **said)
        index.write([one])
        (found,) = ask(index, uid)
        assert found.cosine == pytest.approx(1, abs=NEARLY)
        assert found == Candidate(one.key, 7, 5, one.digest, one.object_key, found.cosine, one.metadata)
        assert found.metadata == Metadata('{"n": "Ü"}', "l", '{"x": 1}', ("2", "1"), "1,2")

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

        def kept(*, all_of: Sequence[str] = (), any_of: Sequence[str] = (), none_of: Sequence[str] = ()) -> set[str]:
            tags = TagFilter(frozenset(all_of), frozenset(any_of), frozenset(none_of))
            return set(ids(ask(index, uid, k=100, tags=tags)))

        assert kept(all_of="1") == kept(any_of="1") == {"1", "12"}
        assert kept(all_of="12") == {"12"}
        assert kept(any_of="13") == {"1", "12", "23"}
        assert kept(all_of="123") == set()
        assert kept(all_of=["猫 a"]) == {"猫"}
        assert kept(any_of="4") == set()
        assert kept(none_of="1") == {"none", "2", "23", "11", "猫"}
        assert kept(none_of=["1", "2", "11", "猫 a"]) == {"none"}
        assert kept(all_of="2", any_of="13") == {"12", "23"}
        assert kept(all_of="2", any_of="13", none_of="3") == {"12"}
        assert kept(all_of="2", none_of="2") == set()
        assert kept() == set(tags)

    def test_the_index_keeps_what_the_filter_keeps(self, index: VectorIndex, uid: str) -> None:
        """Every filter of four tags, the last of which no picture has, on pictures with every set of the others."""
        some = [tags for size in range(4) for tags in combinations("abc", size)]
        index.write([row(uid, "".join(tags) or "none", tags=tags) for tags in some])
        sets = st.frozensets(st.sampled_from("abcd"))

        @settings(max_examples=examples(60), deadline=None)
        @given(tags=st.builds(TagFilter, sets, sets, sets))
        def check(tags: TagFilter) -> None:
            expected = {"".join(have) or "none" for have in some if tags.keeps(have)}
            assert set(ids(ask(index, uid, k=100, tags=tags))) == expected

        check()

    def test_filter_finds_far_pictures(self, index: VectorIndex, uid: str) -> None:
        """A filter narrows before the k best are taken, not after."""
        index.write([row(uid, f"near{number}", vector=unit(1, 0.01 * number)) for number in range(30)])
        index.write([row(uid, "far", vector=unit(-1, 0.5), tags=("t",))])
        assert ids(ask(index, uid, k=2, tags=TagFilter(frozenset("t")))) == ["far"]


ROWS, VIEWS = 60, 5


class TestSeveralViews:
    """A query may have several vectors: a picture is as near as the nearest of them."""

    @pytest.fixture
    def rows(self, index: VectorIndex, uid: str) -> list[Picture]:
        """Pictures in every direction, every third of them tagged, and some in the very same place."""
        vectors = [*random_vectors(ROWS, seed=11), *random_vectors(3, seed=11)]
        made = [row(uid, f"p{n:02}", vector=one, tags=("t",) if n % 3 == 0 else ()) for n, one in enumerate(vectors)]
        index.write(made)
        return made

    @pytest.fixture
    def views(self) -> NDArray[np.float32]:
        """One is a picture's own vector, one its opposite, and the others lie among pictures."""
        pictures = random_vectors(ROWS, seed=11).astype(np.float32)
        views: NDArray[np.float32] = np.stack([*(pictures[10:40:10] + pictures[11:41:10]), pictures[7], -pictures[8]])
        assert len(views) == VIEWS
        return views / np.linalg.norm(views, axis=1, keepdims=True)

    @pytest.mark.parametrize("k", [1, 2, 7, 8, ROWS, 1000])
    def test_the_largest_cosine_counts(
        self, index: VectorIndex, uid: str, rows: list[Picture], views: NDArray[np.float32], k: int
    ) -> None:
        for count in range(1, VIEWS + 1):
            are_the_best(ask(index, uid, *views[:count], k=k), by_brute_force(rows, views[:count]), k)

    @pytest.mark.parametrize("k", [3, 1000])
    def test_the_answer_is_the_best_of_single_searches(
        self, index: VectorIndex, uid: str, rows: list[Picture], views: NDArray[np.float32], k: int
    ) -> None:
        best: dict[Key, float] = {}
        for view in views:
            for key, cosine in cosines(ask(index, uid, view, k=k)).items():
                best[key] = max(cosine, best.get(key, -1))
        found = ask(index, uid, *views, k=k)
        assert cosines(found) == pytest.approx({one.key: best[one.key] for one in found}, abs=NEARLY)
        are_the_best(found, by_brute_force(rows, views), k)

    def test_no_more_than_k_though_every_view_has_others_near(
        self, index: VectorIndex, uid: str, rows: list[Picture]
    ) -> None:
        vectors = np.stack([one.vector for one in rows[20:28]]).astype(np.float32)
        away = random_vectors(len(vectors), seed=12).astype(np.float32)
        views = vectors + np.linspace(0.2, 0.9, len(vectors), dtype=np.float32)[:, None] * away
        views /= np.linalg.norm(views, axis=1, keepdims=True)
        for k in (1, 3, 8):
            assert ids(ask(index, uid, *views, k=k)) == [one.key.id for one in rows[20 : 20 + k]]

    def test_a_picture_near_all_views_is_found_once(self, index: VectorIndex, uid: str) -> None:
        index.write([row(uid, "near", vector=unit(1, 1, 1)), row(uid, "far", vector=unit(0, 0, 0, 1))])
        found = ask(index, uid, unit(1, 1), unit(1, 0, 1), unit(0, 1, 1), unit(1, 1, 1), k=2)
        assert ids(found) == ["near", "far"]
        assert [one.cosine for one in found] == pytest.approx([1, 0], abs=NEARLY)

    def test_neither_order_nor_repetition_of_views_matters(
        self, index: VectorIndex, uid: str, rows: list[Picture], views: NDArray[np.float32]
    ) -> None:
        expected = by_brute_force(rows, views)
        for some in (views, views[::-1], views[[0, 0, 1, 2, 2, 2, 3, 4]]):
            for k in (5, 1000):
                are_the_best(ask(index, uid, *some, k=k), expected, k)
        twice = [ask(index, uid, *views[[0] * count], k=1000) for count in (1, 2, 8)]
        assert cosines(twice[0]) == pytest.approx(cosines(twice[1]), abs=NEARLY)
        assert cosines(twice[0]) == pytest.approx(cosines(twice[2]), abs=NEARLY)

    def test_filters_hold_for_every_view(
        self, index: VectorIndex, uid: str, rows: list[Picture], views: NDArray[np.float32]
    ) -> None:
        gone = [one for one in rows if one.key.id in ("p07", "p20", "p21")]
        index.write([deleted(one, 2) for one in gone])
        index.write([row(f"{uid}-other", one.key.id, vector=one.vector) for one in rows])
        index.write([row(uid, f"old {one.key.id}", vector=one.vector, model="model-0") for one in rows])
        left = [one for one in rows if one not in gone]
        for k in (4, 1000):
            are_the_best(ask(index, uid, *views, k=k), by_brute_force(left, views), k)
            tagged = ask(index, uid, *views, k=k, tags=TagFilter(frozenset("t")))
            are_the_best(tagged, by_brute_force([one for one in left if one.metadata.tags], views), k)

    def test_libraries_share_one_list(
        self, index: VectorIndex, uid: str, rows: list[Picture], views: NDArray[np.float32]
    ) -> None:
        others = [row(f"{uid}-other", one.key.id, vector=one.vector) for one in rows[::2]]
        index.write(others)
        for k in (1, 9, 1000):
            found = ask(index, [f"{uid}-other", uid], *views, k=k)
            are_the_best(found, by_brute_force([*rows, *others], views), k)


class TestCosines:
    """What scores are made of: the same from every index, whatever else was asked or is there."""

    def test_they_are_those_of_the_vectors(self, index: VectorIndex, uid: str) -> None:
        rows = [row(uid, f"p{number:02}", vector=one) for number, one in enumerate(random_vectors(ROWS, seed=13))]
        # Every number of a vector is rounded the same way here: nothing averages out.
        rows += [row(uid, f"level{sign}", vector=unit(*[sign] * 255)) for sign in (1, -1)]
        index.write(rows)
        for one in rows:
            view = one.vector.astype(np.float32)[None]
            are_the_best(ask(index, uid, *(view / np.linalg.norm(view)), k=1000), by_brute_force(rows, view), 1000)

    def test_they_reach_from_one_to_minus_one(self, index: VectorIndex, uid: str) -> None:
        angles = np.linspace(0, np.pi, 25)
        index.write([row(uid, f"{n:02}", vector=unit(np.cos(one), np.sin(one))) for n, one in enumerate(angles)])
        found = ask(index, uid, k=1000)
        assert ids(found) == [f"{number:02}" for number in range(25)]
        assert [one.cosine for one in found] == pytest.approx(np.cos(angles), abs=NEARLY)

    def test_they_depend_on_nothing_else_that_is_asked_or_there(self, index: VectorIndex, uid: str) -> None:
        rows = [row(uid, f"p{number:02}", vector=one) for number, one in enumerate(random_vectors(20, seed=14))]
        index.write(rows)
        view = random_vectors(1, seed=15)[0]
        before = cosines(ask(index, uid, view, k=1000))
        for k in (1, 2, 10):
            some = cosines(ask(index, uid, view, k=k))
            assert some == pytest.approx({key: before[key] for key in some}, abs=NEARLY)
        index.write([row(uid, f"more{number}", vector=one) for number, one in enumerate(random_vectors(90, seed=16))])
        after = cosines(ask(index, [uid, f"{uid}-none"], view, k=1000))
        assert {one.key: after[one.key] for one in rows} == pytest.approx(before, abs=NEARLY)

    def test_equal_vectors_have_equal_cosines(self, index: VectorIndex, uid: str) -> None:
        """To the bit: what is equal stands by library and id on every page."""
        vectors = random_vectors(4, seed=17)
        index.write(
            [row(uid, f"{group}{number:02}", vector=vectors[group]) for number in range(12) for group in range(4)]
        )
        for views in (random_vectors(1, seed=18), random_vectors(5, seed=19)):
            found = ask(index, uid, *views, k=1000)
            assert len(found) == 48
            for group in range(4):
                some = [one for one in found if one.key.id.startswith(str(group))]
                assert len({one.cosine for one in some}) == 1
                assert ids(some) == [f"{group}{number:02}" for number in range(12)]
            for k in (1, 5, 13, 47):
                assert ids(ask(index, uid, *views, k=k)) == ids(found)[:k]


class TestVersions:
    def test_newer_row_replaces(self, index: VectorIndex, uid: str) -> None:
        index.write([row(uid, "a", 1, brief="old", tags=("1",))])
        index.write([row(uid, "a", 2, brief="new", vector=unit(0, 1), tags=("2",))])
        (found,) = ask(index, uid)
        assert (found.metadata.brief, found.revision, found.metadata.tags) == ("new", 2, ("2",))
        assert found.cosine == pytest.approx(0, abs=NEARLY)
        assert ask(index, uid, tags=TagFilter(frozenset("1"))) == []
        assert index.count(uid) == 1

    def test_older_or_equal_row_changes_nothing(self, index: VectorIndex, uid: str) -> None:
        index.write([row(uid, "a", 5, brief="kept")])
        index.write([row(uid, "a", 4, brief="older")])
        index.write([row(uid, "a", 5, brief="equal")])
        index.write([deleted(row(uid, "a", 1), 4)])
        assert [one.metadata.brief for one in ask(index, uid)] == ["kept"]
        assert index.count(uid) == 1

    def test_deleted_row_is_hidden_and_remembered(self, index: VectorIndex, uid: str) -> None:
        one = row(uid, "a", 5)
        index.write([one, row(uid, "b", 1)])
        index.write([deleted(one, 6)])
        assert ids(ask(index, uid)) == ["b"]
        assert index.count(uid) == 1
        index.write([one])
        assert ids(ask(index, uid)) == ["b"]
        index.write([described(one.but(revision=7), brief="again")])
        assert [found.metadata.brief for found in ask(index, uid)] == ["again", ""]
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

    def test_row_older_than_its_removal_stays_away_or_comes_back(self, index: VectorIndex, uid: str) -> None:
        """No catalog writes it: revisions never return. An index may remember removals, for a while or not at all."""
        one = row(uid, "a", 5, brief="old")
        index.write([one, row(uid, "b", 1)])
        index.remove([one], wait=True)
        index.write([one, one.but(revision=4)])
        assert ids(ask(index, uid)) in (["b"], ["a", "b"])
        assert index.count(uid) == len(ask(index, uid))
        index.write([described(one.but(revision=6), brief="new")])
        assert [found.metadata.brief for found in ask(index, uid)] == ["new", ""]
        assert index.count(uid) == 2

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
            assert [(found.metadata.brief, found.revision) for found in ask(index, library)] == [("last", 4)]
            assert index.count(library) == 1

    def test_one_call_may_write_a_row_twice(self, index: VectorIndex, uid: str) -> None:
        index.write([row(uid, "a", 2, brief="new"), row(uid, "a", 1, brief="old"), row(uid, "a", 3, brief="newest")])
        assert [found.metadata.brief for found in ask(index, uid)] == ["newest"]


#: No view has two cosines with pictures, and no two views have one each, that differ by less than an index may be wrong.
VECTORS = [unit(*np.random.default_rng(1674 + number).normal(size=8)) for number in range(9)]
VIEWS_OF_THEM = [unit(*numbers) for numbers in np.random.default_rng(16343).normal(size=(5, 8))]
TAGS = st.lists(st.sampled_from("xyz"), unique=True, max_size=3).map(tuple)


class IndexMachine(RuleBasedStateMachine):
    """Writes and removals in any order, against a dict and a brute-force search."""

    index: VectorIndex

    def __init__(self) -> None:
        super().__init__()
        self.libraries = [uuid4().hex, uuid4().hex]
        self.rows: dict[Key, Picture] = {}
        self.removed: dict[Key, int] = {}

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
                self.removed.get(Key(self.libraries[library], name), 0) + revision,
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
        key = Key(self.libraries[library], name)
        revision += self.removed.get(key, 0)
        self.index.remove([row(key.library, name, revision)], wait=True)
        held = self.rows.get(key)
        if held is not None and held.revision <= revision:
            del self.rows[held.key]
        if held is None or held.revision <= revision:
            # As in a catalog, a removed row's revision never returns.
            self.removed[key] = max(revision, self.removed.get(key, 0))

    @rule(
        libraries=st.sampled_from([(0,), (1,), (0, 1)]),
        views=st.lists(st.sampled_from(range(len(VIEWS_OF_THEM))), min_size=1, max_size=3),
        k=st.integers(1, 20),
        tags=st.none() | st.builds(TagFilter, *[TAGS.map(frozenset)] * 3),
    )
    def search(self, libraries: tuple[int, ...], views: list[int], k: int, tags: TagFilter | None) -> None:
        asked = [self.libraries[library] for library in libraries]
        vectors = np.stack([VIEWS_OF_THEM[view] for view in views]).astype(np.float64)
        expected = sorted(
            (-float(np.max(vectors @ one.vector.astype(np.float64))), key.library, key.id, one)
            for key, one in self.rows.items()
            if one.live
            and one.model == MODEL
            and key.library in asked
            and (tags is None or tags.keeps(one.metadata.tags))
        )[:k]
        found = ask(self.index, asked, *(VIEWS_OF_THEM[view] for view in views), k=k, tags=tags)
        assert [one.cosine for one in found] == pytest.approx([-one[0] for one in expected], abs=NEARLY)
        assert [(one.key, one.revision, one.metadata.brief) for one in found] == [
            (one[3].key, one[3].revision, one[3].metadata.brief) for one in expected
        ]
        for library in self.libraries:
            assert self.index.count(library) == sum(
                one.live for key, one in self.rows.items() if key.library == library
            )


def test_the_machine_can_tell_every_order() -> None:
    """Else two indices that both keep to what cosines may be wrong by could answer differently."""
    views, vectors = np.stack(VIEWS_OF_THEM).astype(np.float64), np.stack(VECTORS).astype(np.float64)
    between = np.sort((views @ vectors.T).ravel())
    assert float(np.min(np.diff(between))) > 2 * NEARLY


def test_index_behaves_like_a_brute_force_search(index: VectorIndex) -> None:
    class Machine(IndexMachine):
        pass

    Machine.index = index
    run_state_machine_as_test(Machine, settings=settings(max_examples=examples(60), stateful_step_count=30))


def test_searches_beside_writes_see_every_picture_once(index: VectorIndex, uid: str, together: Together) -> None:
    """A picture that is replaced all the time is never missing and never there twice; new ones are seen at once."""
    fixed = [row(uid, f"fixed{number}", 1, vector=vector) for number, vector in enumerate(random_vectors(40, seed=5))]
    index.write(fixed)

    def replace() -> None:
        for revision in range(2, 12):
            index.write([described(one.but(revision=revision), brief=str(revision)) for one in fixed])

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
    assert {one.metadata.brief for one in ask(index, uid, k=1000)} == {"11"}


def entries_of(index: VectorIndex, library: str) -> list[IndexEntry]:
    return sorted(
        (one for batch in index.entries() for one in batch if one.key.library == library), key=lambda one: one.key.id
    )


def test_what_it_holds_is_listed_hidden_rows_too(index: VectorIndex, uid: str) -> None:
    rows = [row(uid, f"{number:02}", revision=5) for number in range(12)]
    index.write(rows)
    newer = described(rows[1], brief="new").but(revision=7)
    index.write([newer, deleted(rows[2], 9)])
    index.remove([rows[3]])
    index.write([row(uid, "hidden first", revision=3, state=State.DELETED, deleted_at=1)])
    found = entries_of(index, uid)
    expected = {one.key.id: (one.revision, True) for one in rows}
    expected |= {"01": (7, True), "02": (9, False), "hidden first": (3, False)}
    del expected["03"]
    assert {one.key.id: (one.revision, one.live) for one in found} == expected
    assert {(one.kind, one.model) for one in found if one.live} == {(Kind.SIMILAR, MODEL)}
    held = index.held(Kind.SIMILAR, [one.key for one in [*rows, row(uid, "unknown")]])
    assert sorted(one.key.id for one in held) == [one.key.id for one in found if one.key.id != "hidden first"]
    assert {one.key: one for one in held}.items() <= {one.key: one for one in found}.items()
    assert index.held(Kind.SIMILAR, []) == []
