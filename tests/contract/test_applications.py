"""What every store of applications must do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from lookalike.domain.application import Permission, Policy
from lookalike.domain.library import Kind
from lookalike.errors import RevisionConflict
from lookalike.ports import Applications
from tests.contract.rows import application


def test_unknown_application_is_none(applications: Applications) -> None:
    assert applications.application("nobody") is None
    assert applications.application_by_id("123") is None
    assert list(applications.applications()) == []


@pytest.mark.parametrize("name", ["", " ", "#", "x" * 5000, "猫\x00"])
def test_whatever_is_asked_for_unknown_is_none(applications: Applications, name: str) -> None:
    applications.save_application(application("shop"))
    assert applications.application(name) is None
    assert applications.application_by_id(name) is None
    applications.remove_application(name)


def test_saved_application_is_found_by_both_names(applications: Applications) -> None:
    policy = Policy(
        Kind.PRODUCT,
        per_second=7,
        per_day=10**9,
        in_total=10**12,
        networks=("203.0.113.0/28", "2001:db8::/32"),
        may=(Permission.SEARCH, Permission.ADD),
        libraries=("shop", "other"),
    )
    saved = application("shop", name="小店 🛍", active=False, created=1_700_000_000_123, policy=policy)
    applications.save_application(saved)
    applications.save_application(application("other"))
    assert applications.application(saved.access_key) == saved
    assert applications.application_by_id(saved.app_id) == saved


def test_an_old_secret_is_kept_with_its_end_and_dropped(applications: Applications) -> None:
    plain = application("shop")
    rotated = replace(plain, secret_key="new", old_secret_key="old", old_secret_until=1_700_000_000_123)
    for saved in (plain, rotated, plain):
        applications.save_application(saved)
        assert applications.application(saved.access_key) == saved
        assert list(applications.applications()) == [saved]


def test_names_are_told_apart_by_case(applications: Applications) -> None:
    applications.save_application(application("shop", access_key="AbC"))
    assert applications.application("abc") is None
    assert applications.application("AbC ") is None


def test_saving_again_replaces(applications: Applications) -> None:
    before = application("shop")
    after = replace(before, active=False, app_id="42", secret_key="new")
    applications.save_application(before)
    applications.save_application(after)
    assert applications.application(before.access_key) == after
    assert applications.application_by_id("42") == after
    assert applications.application_by_id(before.app_id) is None
    assert list(applications.applications()) == [after]


def test_app_id_is_never_shared(applications: Applications) -> None:
    first, second = application("first", app_id="7"), application("second", app_id="7")
    applications.save_application(first)
    with pytest.raises(RevisionConflict):
        applications.save_application(second)
    assert applications.application_by_id("7") == first
    assert applications.application(second.access_key) is None


def test_name_is_never_shared(applications: Applications) -> None:
    first, second = application("shop", access_key="first", app_id="7"), application("shop", access_key="second")
    applications.save_application(first)
    with pytest.raises(RevisionConflict):
        applications.save_application(second)
    assert list(applications.applications()) == [first]
    applications.save_application(replace(second, name="Shop"))


def test_a_name_that_was_given_up_is_free(applications: Applications) -> None:
    first = application("first")
    applications.save_application(first)
    applications.save_application(replace(first, name="renamed"))
    assert [one.name for one in applications.applications()] == ["renamed"]
    applications.save_application(application("first", access_key="another", app_id="77"))
    assert sorted(one.name for one in applications.applications()) == ["first", "renamed"]


def test_application_never_takes_what_another_holds(applications: Applications) -> None:
    first, second = application("first"), application("second")
    applications.save_application(first)
    applications.save_application(second)
    for taking in (replace(second, name="first"), replace(second, app_id=first.app_id)):
        with pytest.raises(RevisionConflict):
            applications.save_application(taking)
    assert {one.access_key: one for one in applications.applications()} == {
        one.access_key: one for one in (first, second)
    }


def test_of_racing_namesakes_one_is_saved(
    applications: Applications, together: Callable[[list[Callable[[], object]]], list[object]]
) -> None:
    made = [application("shop", access_key=f"key-{number}", app_id=str(number)) for number in range(8)]
    outcomes = together([partial(applications.save_application, one) for one in made])
    assert [type(outcome) for outcome in outcomes if outcome is not None] == [RevisionConflict] * 7
    (saved,) = applications.applications()
    assert outcomes[made.index(saved)] is None


def test_all_applications_come_by_creation_time(applications: Applications) -> None:
    made = [application(f"a{created}", created=created) for created in (3, 1, 2)]
    for one in made:
        applications.save_application(one)
    assert [one.created for one in applications.applications()] == [1, 2, 3]


def test_removed_application_is_gone_and_its_app_id_free(applications: Applications) -> None:
    one, other = application("one", app_id="7"), application("other")
    applications.save_application(one)
    applications.save_application(other)
    applications.remove_application(one.access_key)
    applications.remove_application("nobody")
    assert applications.application(one.access_key) is None
    assert applications.application_by_id("7") is None
    assert list(applications.applications()) == [other]
    applications.save_application(application("heir", app_id="7"))
    assert applications.application_by_id("7") is not None
