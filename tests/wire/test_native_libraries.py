"""Libraries through the native API: made, listed, looked at, changed, removed; problems change nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lookalike.domain.application import Policy
from lookalike.handlers.process_ports import serving
from lookalike.ports import Ports
from lookalike.settings import Settings
from tests.conftest import ALICE, BOB
from tests.support.baidu import Caller, picture
from tests.support.fakes import memory_ports
from tests.support.native import NativeCaller, problem

pytestmark = pytest.mark.usefixtures("memory")
alice, bob = NativeCaller(ALICE), NativeCaller(BOB)


def test_a_library_is_made_once_and_the_call_may_be_repeated() -> None:
    said = {"kind": "similar", "capacity": 10}
    first, second = alice.call("PUT", "/libraries/shop", said), alice.call("PUT", "/libraries/shop", said)
    assert (first.status, second.status) == (201, 200)
    assert first.json == second.json
    assert first.json == {
        "name": "shop",
        "kind": "similar",
        "identity": "own",
        "pictures": 0,
        "capacity": 10,
        "created": "2026-01-02T03:04:05.000Z",
    }


def test_a_library_keeps_its_kind() -> None:
    alice.library(kind="similar")
    problem(alice.call("PUT", "/libraries/shop", {"kind": "product"}), 409, "library_exists")
    assert alice.call("GET", "/libraries/shop").json["kind"] == "similar"


def test_libraries_are_listed_by_name_and_only_to_their_owner() -> None:
    alice.library("b")
    alice.library("a")
    bob.library("c")
    assert [one["name"] for one in alice.call("GET", "/libraries").json["libraries"]] == ["a", "b"]
    problem(alice.call("GET", "/libraries/c"), 404, "library_not_found")
    problem(alice.call("DELETE", "/libraries/c"), 404, "library_not_found")
    assert bob.call("GET", "/libraries/c").status == 200


def test_capacity_is_changed_and_kept_to() -> None:
    alice.library(capacity=1)
    assert alice.put("shop", "one", picture(1)).status == 201
    problem(alice.put("shop", "two", picture(2)), 409, "library_full")
    assert alice.call("PATCH", "/libraries/shop", {"capacity": 2}).json["capacity"] == 2
    assert alice.put("shop", "two", picture(2)).status == 201
    assert "capacity" not in alice.call("PATCH", "/libraries/shop", {"capacity": None}).json


def test_an_application_s_libraries_hold_what_it_may_have_together(memory: Ports) -> None:
    memory.applications.save_application(replace(ALICE, policy=Policy(capacity=2)))
    alice.library()
    alice.library("other")
    assert alice.put("shop", "one", picture(1)).status == 201
    assert alice.put("other", "two", picture(2)).status == 201
    problem(alice.put("other", "three", picture(3)), 409, "application_full")
    used = alice.call("GET", "/usage").json
    assert (used["pictures"], used["capacity"], alice.call("GET", "/session").json["capacity"]) == (2, 2, 2)
    memory.applications.save_application(replace(ALICE, policy=Policy(capacity=3)))
    assert alice.put("other", "three", picture(3)).status == 201


def test_a_narrowed_key_s_capacity_counts_libraries_that_it_may_not_see(memory: Ports) -> None:
    alice.library()
    alice.library("other")
    assert alice.put("other", "one", picture(1)).status == 201
    memory.applications.save_application(replace(ALICE, policy=Policy(capacity=1, libraries=("shop",))))
    problem(alice.put("shop", "two", picture(2)), 409, "application_full")


def test_the_settings_limit_applications_that_have_no_capacity_of_their_own() -> None:
    with serving(memory_ports(ALICE, BOB, settings=Settings(application_pictures=1, library_pictures=1))):
        alice.library()
        assert alice.put("shop", "one", picture(1)).status == 201
        problem(alice.put("shop", "two", picture(2)), 409, "application_full")
        caller = Caller(BOB)
        assert "cont_sign" in caller.call("similar", "add", image=picture(1), brief="a")
        refused = caller.call("similar", "add", image=picture(2), brief="b")
        assert refused["error_code"] == 19


def test_a_removed_library_is_gone_and_its_name_is_free() -> None:
    alice.library()
    alice.put("shop", "one", picture(1))
    assert alice.call("DELETE", "/libraries/shop").status == 204
    problem(alice.call("GET", "/libraries/shop"), 404, "library_not_found")
    problem(alice.call("DELETE", "/libraries/shop"), 404, "library_not_found")
    alice.library()
    assert alice.call("GET", "/libraries/shop").json["pictures"] == 0


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"kind": "odd"}, "/kind"),
        ({"identity": "odd"}, "/identity"),
        ({"capacity": 0}, "/capacity"),
        ({"capacity": "1"}, "/capacity"),
        ({"kinds": "same"}, "/kinds"),
        ([], "body"),
    ],
)
def test_a_wrong_value_is_named_and_nothing_is_made(said: object, field: str, memory: Ports) -> None:
    answer = problem(alice.call("PUT", "/libraries/shop", said), 400, "invalid_argument")
    assert answer["field"] == field
    assert not memory.catalog.libraries(ALICE.tenant)


@pytest.mark.parametrize("name", ["a b", "ä", "a" * 129, "%00"])
def test_a_wrong_name_makes_no_library(name: str) -> None:
    problem(alice.call("PUT", f"/libraries/{name}", {}), 400, "invalid_argument")


def test_a_vendors_library_has_its_rules() -> None:
    wrong = {"kind": "similar", "identity": "picture"}
    problem(alice.call("PUT", "/libraries/same_hq", wrong), 400, "unsupported_by_library")
    assert alice.call("PUT", "/libraries/same_hq", {"kind": "same", "identity": "picture"}).status == 201


@pytest.mark.parametrize(
    ("name", "kind"),
    [("same_hq", "same"), ("similar", "similar"), ("product", "product"), ("jumdata", ALICE.policy.kind)],
)
def test_a_vendors_library_needs_no_kind(name: str, kind: str) -> None:
    """That of Jumdata is of the kind that its application's libraries are."""
    made = alice.call("PUT", f"/libraries/{name}", {})
    assert (made.status, made.json["kind"], made.json["identity"]) == (201, kind, "picture")


def test_what_is_not_said_of_a_library_is_as_it_is() -> None:
    alice.library(kind="similar")
    again = alice.call("PUT", "/libraries/shop", {"capacity": 7})
    assert (again.status, again.json["kind"], again.json["capacity"]) == (200, "similar", 7)
    problem(alice.call("PUT", "/libraries/shop", {"identity": "picture"}), 409, "library_exists")


def test_a_vendors_library_is_made_by_the_first_add_of_either() -> None:
    added = alice.add("same_hq", picture(1), brief="one", tags=["5"])
    assert added.status == 201
    vendor = Caller(ALICE)
    assert vendor.briefs("same_hq", picture(1), tags="5") == ["one"]
    vendor.add("similar", picture(2))
    assert alice.call("GET", "/libraries/similar").json["pictures"] == 1


def test_a_library_is_made_without_a_body(memory: Ports) -> None:
    made = alice.call("PUT", "/libraries/plain")
    assert (made.status, made.json["kind"], made.json["identity"]) == (201, "same", "own")
    assert alice.call("PUT", "/libraries/other", body=b"\x0c").status == 400
