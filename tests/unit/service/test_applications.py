"""Making applications and taking their keys away."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from lookalike.domain.application import Permission, Policy
from lookalike.domain.library import Kind
from lookalike.errors import InvalidArgument, TokenInvalid
from lookalike.service.applications import create_application, new_secret, revoke_application, save_application
from lookalike.wire.baidu.access_tokens import mint, verify
from tests.support.fakes import MemoryApplications, SetClock


def test_keys_have_the_shape_clients_know() -> None:
    made = create_application(MemoryApplications(), SetClock(7), "shop")
    assert re.fullmatch(r"[A-Za-z0-9]{24}", made.access_key)
    assert re.fullmatch(r"[A-Za-z0-9]{32}", made.secret_key)
    assert re.fullmatch(r"[1-9][0-9]{8}", made.app_id)
    assert made.created == 7
    assert made.active
    assert made.secret_key not in repr(made)


def test_every_application_has_a_tenant_of_its_own_unless_told_which() -> None:
    applications = MemoryApplications()
    first, second = (create_application(applications, SetClock(0), name) for name in ("a", "b"))
    third = create_application(applications, SetClock(0), "c", first.tenant)
    assert first.tenant != second.tenant
    assert third.tenant == first.tenant


def test_the_groups_of_an_application_are_of_the_kind_it_is_told() -> None:
    applications = MemoryApplications()
    made = [create_application(applications, SetClock(0), kind, policy=Policy(kind)) for kind in Kind]
    assert [one.policy.kind for one in made] == list(Kind)
    assert create_application(applications, SetClock(0), "shop").policy.kind is Kind.SIMILAR


@pytest.mark.parametrize("name", ["", " ", " shop", "a\nb", "x" * 65, "\x1b[31m"])
def test_names_that_cannot_be_typed_again_are_refused(name: str) -> None:
    applications = MemoryApplications()
    with pytest.raises(InvalidArgument):
        create_application(applications, SetClock(0), name)
    assert applications.applications() == []


@pytest.mark.parametrize("tenant", ["", "../x/ y", "a b", "x" * 65])
def test_a_tenant_is_a_plain_word(tenant: str) -> None:
    with pytest.raises(InvalidArgument):
        create_application(MemoryApplications(), SetClock(0), "shop", tenant)


def test_a_name_is_taken_once() -> None:
    applications = MemoryApplications()
    create_application(applications, SetClock(0), "shop")
    with pytest.raises(InvalidArgument):
        create_application(applications, SetClock(0), "shop")


@pytest.mark.parametrize(
    "policy",
    [
        Policy(per_second=0),
        Policy(per_day=-1),
        Policy(in_total=0),
        Policy(networks=("203.0.113.9/24",)),
        Policy(networks=("everywhere",)),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(policy: Policy) -> None:
    applications = MemoryApplications()
    with pytest.raises(InvalidArgument):
        create_application(applications, SetClock(0), "shop", policy=policy)
    assert applications.applications() == []


def test_networks_are_kept_in_their_usual_form() -> None:
    made = create_application(
        MemoryApplications(), SetClock(0), "shop", policy=Policy(networks=("203.0.113.9", "2001:DB8:0::/32"))
    )
    assert made.policy.networks == ("203.0.113.9/32", "2001:db8::/32")


def test_an_application_is_renamed_unless_the_name_is_anothers() -> None:
    applications = MemoryApplications()
    shop, other = (create_application(applications, SetClock(0), name) for name in ("shop", "other"))
    for name in ("other", "", "a\nb"):
        with pytest.raises(InvalidArgument):
            save_application(applications, replace(shop, name=name))
    assert {one.name for one in applications.applications()} == {"shop", "other"}
    assert save_application(applications, replace(shop, name="store")).name == "store"
    assert {one.name for one in applications.applications()} == {"store", "other"}
    assert create_application(applications, SetClock(0), "shop").access_key not in (shop.access_key, other.access_key)


@pytest.mark.parametrize("by", ["name", "access_key"])
def test_a_new_secret_takes_the_old_ones_place_and_nothing_else_changes(by: str) -> None:
    applications = MemoryApplications()
    made = create_application(applications, SetClock(7), "shop", policy=Policy(per_day=5))
    token, now = mint(made, 1_767_323_045), 1_767_323_045
    assert verify(applications, token, now) == made
    rotated = new_secret(applications, getattr(made, by))
    assert re.fullmatch(r"[A-Za-z0-9]{32}", rotated.secret_key)
    assert rotated.secret_key != made.secret_key
    assert replace(rotated, secret_key=made.secret_key) == made
    assert applications.applications() == [rotated]
    with pytest.raises(TokenInvalid):
        verify(applications, token, now)
    with pytest.raises(InvalidArgument):
        new_secret(applications, "nobody")


@pytest.mark.parametrize("by", ["name", "access_key"])
def test_revoked_by_name_or_by_access_key(by: str) -> None:
    applications = MemoryApplications()
    made = create_application(applications, SetClock(0), "shop")
    assert revoke_application(applications, getattr(made, by)) == made
    assert applications.applications() == []
    with pytest.raises(InvalidArgument):
        revoke_application(applications, getattr(made, by))


def test_an_old_secret_opens_until_its_end_and_no_longer() -> None:
    made = create_application(applications := MemoryApplications(), SetClock(0), "shop")
    rotated = new_secret(applications, "shop", old_until=1000)
    assert rotated.secrets == (rotated.secret_key, made.secret_key)
    assert rotated.at(999) is rotated
    assert rotated.at(1000).secrets == (rotated.secret_key,)
    again = new_secret(applications, "shop")
    assert again.secrets == (again.secret_key,)


def test_what_a_key_may_do_is_in_order_and_its_libraries_have_names() -> None:
    policy = Policy(may=(Permission.UPDATE, Permission.SEARCH, Permission.SEARCH), libraries=("shop",))
    made = create_application(MemoryApplications(), SetClock(0), "shop", policy=policy)
    assert made.policy.may == (Permission.SEARCH, Permission.UPDATE)
    with pytest.raises(InvalidArgument):
        create_application(MemoryApplications(), SetClock(0), "shop", policy=Policy(libraries=("a/b",)))
