"""What every catalog must do."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from lookalike.domain.library import Identity, Kind, Library, RemovedLibrary
from lookalike.domain.picture import Key, Metadata, Picture, State
from lookalike.errors import LibraryExists, LibraryNotFound, RevisionConflict
from lookalike.ports import Catalog
from tests.contract.rows import contents, deleted, described, library, random_vectors, row
from tests.support.examples import examples

Together = Callable[[list[Callable[[], object]]], list[object]]

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def test_unknown_things_are_none(catalog: Catalog, uid: str) -> None:
    assert catalog.library("tenant", "library") is None
    assert list(catalog.libraries("tenant")) == []
    assert catalog.picture(Key(uid, "a")) is None
    assert catalog.changed({}) == {}
    assert catalog.changed({Key(uid, "a"): 1}) == {Key(uid, "a"): None}
    assert list(catalog.pictures(uid, None, 10)) == []
    assert list(catalog.pictures(uid, "a", 10)) == []
    assert list(catalog.pictures_by_prefix(uid, "", 10)) == []
    assert list(catalog.removed_libraries(1 << 60, 10)) == []
    catalog.forget_library(uid)
    assert [batch for batch in catalog.scan(Kind.SAME) if batch] == []


@pytest.mark.parametrize("name", ["", "#", "x" * 5000, "猫\x00"])
def test_whatever_is_asked_for_unknown_is_none(catalog: Catalog, uid: str, name: str) -> None:
    assert catalog.library("tenant", name) is None
    assert catalog.picture(Key(uid, name)) is None
    assert catalog.alias(uid, name) is None
    assert catalog.changed({Key(uid, name): 1}) == {Key(uid, name): None}


class TestLibraries:
    def test_made_library_is_found_by_its_tenant_alone(self, catalog: Catalog) -> None:
        made = Library("tenant", "猫 same_hq", "uid-1", Kind.SAME, Identity.OWN, created=1_700_000_000_123)
        catalog.create_library(made)
        assert catalog.library("tenant", "猫 same_hq") == made
        assert catalog.library("Tenant", "猫 same_hq") is None
        assert catalog.library("tenant", "猫 Same_hq") is None
        assert catalog.library("other", "猫 same_hq") is None

    @pytest.mark.parametrize("capacity", [None, 1, 10**9])
    def test_a_capacity_is_stored_and_changed_alone(self, catalog: Catalog, capacity: int | None) -> None:
        made = replace(library("tenant", "cats", "uid-1"), capacity=capacity)
        other = library("tenant", "dogs", "uid-2")
        catalog.create_library(made)
        catalog.create_library(other)
        assert catalog.libraries("tenant") == [made, other]
        for changed in (5, 6, None):
            catalog.change_library(replace(made, kind=Kind.PRODUCT, created=9, capacity=changed))
            assert catalog.library("tenant", "cats") == replace(made, capacity=changed)
        assert catalog.library("tenant", "dogs") == other

    def test_an_unknown_library_is_not_changed(self, catalog: Catalog) -> None:
        first, again = library("tenant", "cats", "uid-1"), library("tenant", "cats", "uid-2")
        with pytest.raises(LibraryNotFound):
            catalog.change_library(first)
        catalog.create_library(first)
        catalog.remove_library(first, now=1)
        with pytest.raises(LibraryNotFound):
            catalog.change_library(replace(first, capacity=1))
        assert catalog.library("tenant", "cats") is None
        catalog.create_library(again)
        with pytest.raises(LibraryNotFound):
            catalog.change_library(replace(first, capacity=1))
        assert catalog.library("tenant", "cats") == again

    def test_a_library_removed_beside_a_change_does_not_come_back(self, catalog: Catalog, together: Together) -> None:
        one = library("tenant", "cats", "uid-1")
        catalog.create_library(one)
        changes = [partial(catalog.change_library, replace(one, capacity=number)) for number in range(1, 8)]
        outcomes = together([partial(catalog.remove_library, one, 1), *changes])
        assert {type(outcome).__name__ for outcome in outcomes} <= {"NoneType", "LibraryNotFound"}
        assert catalog.library("tenant", "cats") is None

    def test_second_library_of_a_name_is_refused(self, catalog: Catalog) -> None:
        first = library("tenant", "same_hq", "uid-1")
        catalog.create_library(first)
        with pytest.raises(LibraryExists):
            catalog.create_library(library("tenant", "same_hq", "uid-2", Kind.PRODUCT))
        assert catalog.library("tenant", "same_hq") == first
        catalog.create_library(library("other", "same_hq", "uid-3"))
        assert catalog.library("tenant", "same_hq") == first

    def test_racing_calls_make_one(self, catalog: Catalog, together: Together) -> None:
        wanted = [library("tenant", "same_hq", f"uid-{number}") for number in range(8)]
        outcomes = together([lambda one=one: catalog.create_library(one) for one in wanted])  # type: ignore[misc]
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["LibraryExists"] * 7 + ["NoneType"]
        assert catalog.library("tenant", "same_hq") == wanted[outcomes.index(None)]

    def test_all_libraries_of_a_tenant_come_by_name(self, catalog: Catalog) -> None:
        for number, name in enumerate(["b", "猫", "a", "B", "ä", "🐈"]):
            catalog.create_library(library("tenant", name, f"uid-{number}"))
        catalog.create_library(library("other", "c", "uid-of-other"))
        assert [one.name for one in catalog.libraries("tenant")] == ["B", "a", "b", "ä", "猫", "🐈"]


class TestRemovedLibraries:
    def test_removed_library_is_gone_and_its_name_free(self, catalog: Catalog) -> None:
        first, other = library("tenant", "cats", "uid-1", Kind.SAME), library("tenant", "dogs", "uid-2")
        catalog.create_library(first)
        catalog.create_library(other)
        catalog.remove_library(first, now=1_700_000_000_123)
        assert catalog.library("tenant", "cats") is None
        assert list(catalog.libraries("tenant")) == [other]
        assert list(catalog.removed_libraries(1 << 60, 10)) == [RemovedLibrary("uid-1", Kind.SAME, 1_700_000_000_123)]
        again = library("tenant", "cats", "uid-3", Kind.PRODUCT)
        catalog.create_library(again)
        assert catalog.library("tenant", "cats") == again

    def test_its_rows_stay_for_the_sweep(self, catalog: Catalog, uid: str) -> None:
        removed = library("tenant", "cats", uid)
        catalog.create_library(removed)
        catalog.put(row(uid, "a"), None)
        catalog.remove_library(removed, now=1)
        assert [one.key.id for one in catalog.pictures(uid, None, 10)] == ["a"]

    def test_neither_it_nor_one_that_is_there_is_missing(self, catalog: Catalog) -> None:
        uids = {uuid4().hex for _ in range(3)}
        there, removed, missing = sorted(uids)
        catalog.create_library(library("tenant", "there", there))
        gone = library("tenant", "gone", removed)
        catalog.create_library(gone)
        catalog.remove_library(gone, now=1)
        assert catalog.missing_libraries(uids) == {missing}
        assert catalog.missing_libraries(set()) == set()

    def test_unknown_library_is_not_removed(self, catalog: Catalog) -> None:
        with pytest.raises(LibraryNotFound):
            catalog.remove_library(library("tenant", "cats", "uid-1"), now=1)
        assert list(catalog.removed_libraries(1 << 60, 10)) == []

    def test_namesake_with_another_uid_stays(self, catalog: Catalog) -> None:
        first, second = library("tenant", "cats", "uid-1"), library("tenant", "cats", "uid-2")
        catalog.create_library(first)
        catalog.remove_library(first, now=1)
        catalog.create_library(second)
        with pytest.raises(LibraryNotFound):
            catalog.remove_library(first, now=2)
        assert catalog.library("tenant", "cats") == second
        assert list(catalog.removed_libraries(1 << 60, 10)) == [RemovedLibrary("uid-1", Kind.SIMILAR, 1)]

    def test_of_racing_removals_one_succeeds(self, catalog: Catalog, together: Together) -> None:
        removed = library("tenant", "cats", "uid-1")
        catalog.create_library(removed)
        outcomes = together([partial(catalog.remove_library, removed, now) for now in range(8)])
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["LibraryNotFound"] * 7 + ["NoneType"]
        assert list(catalog.removed_libraries(1 << 60, 10)) == [
            RemovedLibrary("uid-1", Kind.SIMILAR, outcomes.index(None))
        ]

    def test_oldest_come_first_until_forgotten(self, catalog: Catalog) -> None:
        for number, removed in enumerate((30, 10, 20, 40)):
            one = library(f"tenant-{number}", "cats", f"uid-{removed}")
            catalog.create_library(one)
            catalog.remove_library(one, removed)
        assert [one.removed for one in catalog.removed_libraries(40, 10)] == [10, 20, 30]
        assert [one.removed for one in catalog.removed_libraries(40, 2)] == [10, 20]
        catalog.forget_library("uid-10")
        catalog.forget_library("uid-10")
        assert [one.removed for one in catalog.removed_libraries(41, 10)] == [20, 30, 40]


class TestAliases:
    def test_a_name_is_given_to_one_at_a_time(self, catalog: Catalog) -> None:
        assert catalog.claim_alias("uid-a", "0" * 16, "one", None)
        assert not catalog.claim_alias("uid-a", "0" * 16, "two", None)
        assert not catalog.claim_alias("uid-a", "0" * 16, "two", "three")
        assert not catalog.claim_alias("uid-a", "1" * 16, "two", "three")
        assert catalog.alias("uid-a", "0" * 16) == "one"
        assert catalog.claim_alias("uid-a", "0" * 16, "two", "one")
        assert catalog.claim_alias("uid-b", "0" * 16, "one", None)
        assert catalog.alias("uid-a", "0" * 16) == "two"
        with ThreadPoolExecutor(8) as pool:
            won = list(pool.map(lambda n: catalog.claim_alias("uid-a", "2" * 16, f"{n}", None), range(8)))
        assert won.count(True) == 1
        assert catalog.alias("uid-a", "2" * 16) == f"{won.index(True)}"

    def test_it_is_taken_from_no_live_picture(self, catalog: Catalog, uid: str) -> None:
        assert catalog.claim_alias(uid, "0" * 16, "one", None)
        live = row(uid, "one", 1)
        catalog.put(live, None)
        assert not catalog.claim_alias(uid, "0" * 16, "two", "one")
        assert catalog.alias(uid, "0" * 16) == "one"
        catalog.put(live.but(revision=2, state=State.DELETED, deleted_at=1), 1)
        assert catalog.claim_alias(uid, "0" * 16, "two", "one")
        assert catalog.claim_alias(uid, "0" * 16, "x" * 2000, "two")
        assert catalog.claim_alias(uid, "0" * 16, "two", "x" * 2000)

    def test_it_is_forgotten_if_it_is_that_of_the_picture(self, catalog: Catalog) -> None:
        catalog.save_aliases("uid-a", {"0" * 16: "one", "1" * 16: "one"})
        catalog.save_aliases("uid-b", {"0" * 16: "one"})
        catalog.remove_alias("uid-a", "0" * 16, "two")
        assert catalog.alias("uid-a", "0" * 16) == "one"
        for _ in range(2):
            catalog.remove_alias("uid-a", "0" * 16, "one")
            assert catalog.alias("uid-a", "0" * 16) is None
        assert (catalog.alias("uid-a", "1" * 16), catalog.alias("uid-b", "0" * 16)) == ("one", "one")

    def test_a_row_is_written_by_its_name_alone(self, catalog: Catalog, uid: str) -> None:
        name, first = "0" * 16, row(uid, "one", 1)
        with pytest.raises(RevisionConflict):
            catalog.put_called(first, None, name)
        catalog.save_aliases(uid, {name: "two"})
        with pytest.raises(RevisionConflict):
            catalog.put_called(first, None, name)
        assert catalog.picture(first.key) is None
        catalog.save_aliases(uid, {name: "one"})
        catalog.put_called(first, None, name)
        with pytest.raises(RevisionConflict):
            catalog.put_called(first, None, name)
        with pytest.raises(RevisionConflict):
            catalog.put_called(first.but(revision=3), 2, name)
        catalog.put_called(first.but(revision=2), 1, name)
        stored = catalog.picture(first.key)
        assert stored is not None
        assert contents(stored) == contents(first.but(revision=2))

    def test_of_those_that_are_given_a_name_at_the_same_time_one_is_written(self, catalog: Catalog, uid: str) -> None:
        """Each takes it from the other as often as it can, and then writes its row."""

        def add(number: int) -> bool:
            for _ in range(3):
                before = catalog.alias(uid, "0" * 16)
                catalog.claim_alias(uid, "0" * 16, f"{number}", before)
            try:
                catalog.put_called(row(uid, f"{number}", 1), None, "0" * 16)
            except RevisionConflict:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            written = [number for number, done in enumerate(pool.map(add, range(8))) if done]
        assert len(written) == 1
        assert catalog.alias(uid, "0" * 16) == f"{written[0]}"

    @given(
        aliases=st.dictionaries(st.text("0123456789abcdef", min_size=16, max_size=16), TEXTS.filter(bool), max_size=60)
    )
    @settings(max_examples=examples(5), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_they_are_found_in_their_library_alone(self, catalog: Catalog, aliases: dict[str, str]) -> None:
        catalog.save_aliases("uid-a", aliases)
        assert {name: catalog.alias("uid-a", name) for name in aliases} == aliases
        listed, after = dict[str, str](), ""
        while page := catalog.aliases("uid-a", after, 7):
            assert len(page) <= 7
            assert [name for name, _ in page] == sorted(name for name, _ in page)
            listed |= dict(page)
            after = page[-1][0]
        assert aliases.items() <= listed.items()
        assert list(catalog.aliases("uid-b", "", 7)) == []
        assert {catalog.alias("uid-b", name) for name in aliases} <= {None}

    def test_the_last_one_holds_and_a_forgotten_library_has_none(self, catalog: Catalog) -> None:
        catalog.save_aliases("uid-a", {f"{number:016x}": "one" for number in range(60)})
        catalog.save_aliases("uid-b", {"0" * 16: "other"})
        catalog.save_aliases("uid-a", {"0" * 16: "two"})
        assert [catalog.alias("uid-a", f"{number:016x}") for number in range(2)] == ["two", "one"]
        catalog.forget_library("uid-a")
        assert [catalog.alias("uid-a", f"{number:016x}") for number in range(60)] == [None] * 60
        assert catalog.alias("uid-b", "0" * 16) == "other"
        assert catalog.missing_libraries({"uid-a"}) == {"uid-a"}


class TestRows:
    def test_every_field_comes_back(self, catalog: Catalog, uid: str) -> None:
        written = Picture(
            key=Key(uid, "own id/..%_\x00'\"猫"),
            kind=Kind.PRODUCT,
            revision=1_700_000_000_123,
            added=1_699_999_999_999,
            state=State.PURGING,
            digest="0" * 63 + "f",
            file_digest="f" * 64,
            model="mobile-2",
            vector=random_vectors(1, seed=1)[0],
            metadata=Metadata(
                brief='{"name": "Ü", "n": 1}',
                label="x\ny",
                desc='{"a": [1, 2]}',
                tags=("100", "a,b", "猫", ""),
                old_sign="1,2",
            ),
            sign_version=3,
            deleted_at=1_700_000_000_000,
            file_size=(1 << 31) + 7,
        )
        catalog.put(written, None)
        assert contents(catalog.picture(written.key)) == contents(written)

    @settings(max_examples=examples(40), suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(brief=TEXTS, label=TEXTS, desc=TEXTS, tags=st.lists(TEXTS, max_size=4).map(tuple))
    def test_any_text_comes_back(
        self, catalog: Catalog, brief: str, label: str, desc: str, tags: tuple[str, ...]
    ) -> None:
        written = row(uuid4().hex, "a", brief=brief, label=label, desc=desc, tags=tags)
        catalog.put(written, None)
        assert contents(catalog.picture(written.key)) == contents(written)

    def test_first_put_needs_absence(self, catalog: Catalog, uid: str) -> None:
        first = row(uid, "a", 5)
        catalog.put(first, None)
        with pytest.raises(RevisionConflict):
            catalog.put(row(uid, "a", 6, brief="second"), None)
        assert contents(catalog.picture(first.key)) == contents(first)

    @pytest.mark.parametrize("previous", [4, 6, 0])
    def test_put_over_another_revision_changes_nothing(self, catalog: Catalog, uid: str, previous: int) -> None:
        first = row(uid, "a", 5)
        catalog.put(first, None)
        with pytest.raises(RevisionConflict):
            catalog.put(row(uid, "a", 7, brief="second"), previous)
        assert contents(catalog.picture(first.key)) == contents(first)

    def test_put_over_a_missing_row_changes_nothing(self, catalog: Catalog, uid: str) -> None:
        with pytest.raises(RevisionConflict):
            catalog.put(row(uid, "a", 7), 5)
        assert catalog.picture(Key(uid, "a")) is None

    def test_put_over_the_right_revision_replaces_all(self, catalog: Catalog, uid: str) -> None:
        catalog.put(deleted(row(uid, "a", 5, brief="one", tags=("1",)), 6, at=9), None)
        again = row(uid, "a", 7, vector=random_vectors(1, seed=2)[0], label="two", model="model-2")
        catalog.put(again, 6)
        assert contents(catalog.picture(again.key)) == contents(again)

    def test_same_id_in_two_libraries_is_two_rows(self, catalog: Catalog, uid: str) -> None:
        catalog.put(row(uid, "a", 1), None)
        catalog.put(row(f"{uid}-2", "a", 2), None)
        catalog.remove(Key(uid, "a"), 1)
        assert catalog.picture(Key(uid, "a")) is None
        assert catalog.picture(Key(f"{uid}-2", "a")) is not None

    @pytest.mark.parametrize("revision", [4, 6])
    def test_remove_of_another_revision_changes_nothing(self, catalog: Catalog, uid: str, revision: int) -> None:
        catalog.put(row(uid, "a", 5), None)
        with pytest.raises(RevisionConflict):
            catalog.remove(Key(uid, "a"), revision)
        assert catalog.picture(Key(uid, "a")) is not None

    def test_removed_row_is_gone_and_may_come_back(self, catalog: Catalog, uid: str) -> None:
        catalog.put(row(uid, "a", 5), None)
        catalog.remove(Key(uid, "a"), 5)
        assert catalog.picture(Key(uid, "a")) is None
        with pytest.raises(RevisionConflict):
            catalog.remove(Key(uid, "a"), 5)
        catalog.put(row(uid, "a", 6), None)
        assert catalog.picture(Key(uid, "a")) is not None

    @pytest.mark.parametrize("previous", [None, 1], ids=["first put", "change"])
    def test_one_of_many_racing_puts_wins(
        self, catalog: Catalog, uid: str, together: Together, previous: int | None
    ) -> None:
        if previous is not None:
            catalog.put(row(uid, "a", previous), None)
        racing = [row(uid, "a", 2, brief=str(number)) for number in range(8)]
        outcomes = together([lambda one=one: catalog.put(one, previous) for one in racing])  # type: ignore[misc]
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NoneType"] + ["RevisionConflict"] * 7
        assert contents(catalog.picture(Key(uid, "a"))) == contents(racing[outcomes.index(None)])

    def test_racing_changes_are_never_lost(self, catalog: Catalog, uid: str, together: Together) -> None:
        """Eight threads count up one row ten times each, by reading and writing until nobody interferes."""
        catalog.put(row(uid, "a", 1), None)

        def count() -> None:
            for _ in range(10):
                while True:
                    current = catalog.picture(Key(uid, "a"))
                    assert current is not None
                    try:
                        catalog.put(current.but(revision=current.revision + 1), current.revision)
                        break
                    except RevisionConflict:
                        continue

        assert together([count] * 8) == [None] * 8
        final = catalog.picture(Key(uid, "a"))
        assert final is not None
        assert final.revision == 81


class TestChanged:
    def test_rows_as_they_were_are_left_out(self, catalog: Catalog, uid: str) -> None:
        for name in ("a", "b"):
            catalog.put(row(uid, name, 5), None)
        assert catalog.changed({Key(uid, "a"): 5, Key(uid, "b"): 5}) == {}

    def test_others_come_as_they_are(self, catalog: Catalog, uid: str) -> None:
        rows = {name: row(uid, name, 5) for name in ("same", "said anew", "deleted", "gone", "猫\x00")}
        for one in rows.values():
            catalog.put(one, None)
        anew = described(rows["said anew"].but(revision=6), brief="new", tags=("1",))
        hidden, odd = deleted(rows["deleted"], 7), described(rows["猫\x00"].but(revision=9), desc="{}")
        for one in (anew, hidden, odd):
            catalog.put(one, 5)
        catalog.remove(rows["gone"].key, 5)
        changed = catalog.changed({one.key: 5 for one in rows.values()})
        expected = {anew.key: anew, hidden.key: hidden, odd.key: odd, rows["gone"].key: None}
        assert {key: contents(one) for key, one in changed.items()} == {
            key: contents(one) for key, one in expected.items()
        }

    @pytest.mark.parametrize("revision", [4, 6])
    def test_a_revision_may_be_older_or_newer(self, catalog: Catalog, uid: str, revision: int) -> None:
        catalog.put(row(uid, "a", 5), None)
        ((key, found),) = catalog.changed({Key(uid, "a"): revision}).items()
        assert key == Key(uid, "a")
        assert found is not None
        assert found.revision == 5

    def test_as_many_as_an_answer_may_show(self, catalog: Catalog, uid: str) -> None:
        for number in range(230):
            catalog.put(row(uid, f"{number}", 1), None)
        catalog.put(row(f"{uid}-2", "5", 1), None)
        asked = {Key(uid, f"{number}"): 1 + (number in (7, 229)) for number in range(240)} | {Key(f"{uid}-2", "5"): 1}
        assert {key.id for key in catalog.changed(asked)} == {"7", "229", *(str(number) for number in range(230, 240))}


class TestPages:
    def test_rows_in_every_state_are_answered(self, catalog: Catalog, uid: str) -> None:
        for number, state in enumerate(State):
            catalog.put(row(uid, f"a{number}", state=state, deleted_at=None if state is State.LIVE else 1), None)
        catalog.put(row(f"{uid}x", "b"), None)
        assert {one.state for one in catalog.pictures(uid, None, 10)} == set(State)

    def test_rows_come_whole(self, catalog: Catalog, uid: str) -> None:
        written = row(uid, "猫", brief="b", desc="{}", tags=("1", "2"), vector=random_vectors(1, seed=4)[0])
        catalog.put(written, None)
        assert [contents(one) for one in catalog.pictures(uid, None, 10)] == [contents(written)]

    @settings(max_examples=examples(40), suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data())
    def test_walk_meets_every_lasting_row_once_whatever_happens_beside_it(
        self, catalog: Catalog, data: st.DataObject
    ) -> None:
        uid, names = uuid4().hex, st.text("az%\x00\x7f猫\U0010ffff", min_size=1, max_size=3)
        there = data.draw(st.sets(names, max_size=20), label="there")
        for name in there:
            catalog.put(row(uid, name), None)
        lasting, ever, met, after = set(there), set(there), list[str](), None
        while page := catalog.pictures(uid, after, data.draw(st.integers(1, 7), label="limit")):
            met += [one.key.id for one in page]
            after = met[-1]
            for name in data.draw(st.lists(names | st.just(after), max_size=3), label="changed"):
                if name in there:
                    catalog.remove(Key(uid, name), 1)
                    lasting.discard(name)
                else:
                    catalog.put(row(uid, name), None)
                there ^= {name}
                ever.add(name)
            assert len(met) < 400, "there are only 399 such names: the walk goes in circles"
        assert [name for name in met if name in lasting] == list(dict.fromkeys(name for name in met if name in lasting))
        assert set(met) <= ever
        assert lasting <= set(met)

    def test_pages_are_cut_at_the_limit(self, catalog: Catalog, uid: str) -> None:
        for number in range(25):
            catalog.put(row(uid, f"p{number}"), None)
        sizes, after = [], None
        while page := catalog.pictures(uid, after, 10):
            sizes.append(len(page))
            after = page[-1].key.id
        assert sizes == [10, 10, 5]


class TestPrefix:
    def test_ids_come_in_order_within_the_limit(self, catalog: Catalog, uid: str) -> None:
        for name in ("b1", "a2", "a10", "a1", "a", "c", "A1"):
            catalog.put(row(uid, name), None)
        catalog.put(row(f"{uid}x", "a0"), None)
        found = [one.key.id for one in catalog.pictures_by_prefix(uid, "a", 10)]
        assert found == ["a", "a1", "a10", "a2"]
        assert [one.key.id for one in catalog.pictures_by_prefix(uid, "a", 2)] == ["a", "a1"]
        assert list(catalog.pictures_by_prefix(uid, "a11", 2)) == []

    def test_rows_in_every_state_are_answered(self, catalog: Catalog, uid: str) -> None:
        for number, state in enumerate(State):
            catalog.put(row(uid, f"a{number}", state=state, deleted_at=None if state is State.LIVE else 1), None)
        assert {one.state for one in catalog.pictures_by_prefix(uid, "a", 10)} == set(State)

    @settings(max_examples=examples(40), suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data())
    def test_prefix_is_plain_text(self, catalog: Catalog, data: st.DataObject) -> None:
        letters = st.sampled_from("a%_'*\x7f\ud7ff\ue000\uffff\U0010ffff")
        names = data.draw(st.lists(st.text(letters, min_size=1, max_size=4), min_size=1, max_size=8, unique=True))
        prefix = data.draw(st.text(letters, max_size=2))
        uid = uuid4().hex
        for name in names:
            catalog.put(row(uid, name), None)
        found = [one.key.id for one in catalog.pictures_by_prefix(uid, prefix, 100)]
        assert found == sorted(name for name in names if name.startswith(prefix))


class TestPurge:
    def test_rows_deleted_before_a_time_come_oldest_first(self, catalog: Catalog, uid: str) -> None:
        for name, at in (("a", 30), ("b", 10), ("c", 20), ("d", 40)):
            catalog.put(deleted(row(uid, name, 1), 2, at), None)
        catalog.put(row(uid, "purging", state=State.PURGING, deleted_at=25), None)
        catalog.put(row(uid, "live"), None)
        assert [one.key.id for one in catalog.waiting_for_purge(40, 10)] == ["b", "c", "purging", "a"]
        assert [one.key.id for one in catalog.waiting_for_purge(40, 2)] == ["b", "c"]
        assert list(catalog.waiting_for_purge(10, 2)) == []
        assert [one.key.id for one in catalog.waiting_for_purge(40, 10, 20)] == ["c", "purging", "a"]
        assert [one.key.id for one in catalog.waiting_for_purge(30, 1, 21)] == ["purging"]
        assert list(catalog.waiting_for_purge(30, 10, 30)) == []

    def test_added_again_or_removed_rows_no_longer_wait(self, catalog: Catalog, uid: str) -> None:
        catalog.put(deleted(row(uid, "a", 1), 2, at=10), None)
        catalog.put(deleted(row(uid, "b", 1), 2, at=11), None)
        catalog.put(row(uid, "a", 3), 2)
        catalog.remove(Key(uid, "b"), 2)
        assert list(catalog.waiting_for_purge(100, 10)) == []


class TestScan:
    def test_every_row_of_the_kind_comes_once(self, catalog: Catalog, uid: str) -> None:
        written = {
            Key(f"{uid}{number % 3}", f"p{number}"): row(
                f"{uid}{number % 3}",
                f"p{number}",
                kind=(Kind.SAME, Kind.PRODUCT)[number % 2],
                state=(State.LIVE, State.DELETED)[number % 5 == 0],
                deleted_at=7 if number % 5 == 0 else None,
                tags=(str(number),),
            )
            for number in range(100)
        }
        for one in written.values():
            catalog.put(one, None)
        for kind in Kind:
            found = [one for batch in catalog.scan(kind) for one in batch]
            expected = {key: contents(one) for key, one in written.items() if one.kind is kind}
            assert {one.key: contents(one) for one in found} == expected
            assert len(found) == len(expected)

    def test_writes_go_on_beside_a_scan(self, catalog: Catalog, uid: str) -> None:
        for number in range(20):
            catalog.put(row(uid, f"p{number}", 1), None)
        found: dict[str, int] = {}
        for batch in catalog.scan(Kind.SIMILAR):
            found |= {one.key.id: one.revision for one in batch}
            catalog.put(row(uid, "p7", 2), 1) if len(found) == len(batch) else None
        assert found.keys() >= {f"p{number}" for number in range(20)}
        assert found["p7"] in (1, 2)


class CatalogMachine(RuleBasedStateMachine):
    """Puts and removals at current and stale revisions, against a dict."""

    catalog: Catalog

    def __init__(self) -> None:
        super().__init__()
        self.uid = uuid4().hex
        self.rows: dict[str, Picture] = {}
        self.revision = 0

    def attempt(self, allowed: bool, call: Callable[[], Any]) -> bool:
        if allowed:
            call()
        else:
            with pytest.raises(RevisionConflict):
                call()
        return allowed

    @rule(
        name=st.sampled_from("abc"),
        lag=st.sampled_from([None, 0, 0, 0, 1]),
        state=st.sampled_from(State),
        brief=TEXTS,
    )
    def put(self, name: str, lag: int | None, state: State, brief: str) -> None:
        self.revision += 1
        current = self.rows.get(name)
        previous = None if lag is None else (current.revision if current else self.revision) - lag
        at = None if state is State.LIVE else self.revision
        picture = row(self.uid, name, self.revision, state=state, brief=brief, deleted_at=at)
        allowed = previous == (current.revision if current else None)
        if self.attempt(allowed, lambda: self.catalog.put(picture, previous)):
            self.rows[name] = picture

    @precondition(lambda self: self.rows)
    @rule(data=st.data(), lag=st.sampled_from([0, 0, 1]))
    def remove(self, data: st.DataObject, lag: int) -> None:
        name = data.draw(st.sampled_from(sorted(self.rows)))
        revision = self.rows[name].revision - lag
        if self.attempt(lag == 0, lambda: self.catalog.remove(Key(self.uid, name), revision)):
            del self.rows[name]

    @invariant()
    def rows_agree(self) -> None:
        found = {one.key.id: contents(one) for one in self.catalog.pictures_by_prefix(self.uid, "", 100)}
        assert found == {name: contents(one) for name, one in self.rows.items()}
        for name in "abc":
            assert contents(self.catalog.picture(Key(self.uid, name))) == contents(self.rows.get(name))

    @invariant()
    def what_waits_for_purge_agrees(self) -> None:
        waiting = [
            one for one in self.catalog.waiting_for_purge(self.revision + 1, 10_000) if one.key.library == self.uid
        ]
        dead = sorted((one for one in self.rows.values() if not one.live), key=lambda one: one.deleted_at or 0)
        assert [one.key.id for one in waiting] == [one.key.id for one in dead]


def test_catalog_behaves_like_a_dict(catalog: Catalog, machine_runs: int) -> None:
    class Machine(CatalogMachine):
        pass

    Machine.catalog = catalog
    run_state_machine_as_test(Machine, settings=settings(max_examples=examples(machine_runs), stateful_step_count=25))


def test_every_row_of_every_kind_is_listed(catalog: Catalog, uid: str) -> None:
    rows = [row(uid, f"{kind}-{number}", kind=kind) for kind in Kind for number in range(5)]
    rows += [row(uid, f"gone-{kind}", kind=kind, state=State.DELETED, deleted_at=3) for kind in Kind]
    for one in rows:
        catalog.put(one, None)
    found = [one for batch in catalog.every_row() for one in batch if one.key.library == uid]
    assert {one.key: contents(one) for one in found} == {one.key: contents(one) for one in rows}
    assert len(found) == len(rows)
