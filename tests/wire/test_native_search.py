"""Search, check and compare through the native API, and bulk calls."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lookalike.ports import Ports
from tests.conftest import ALICE
from tests.support.baidu import picture
from tests.support.native import NativeCaller, form, image, problem

pytestmark = pytest.mark.usefixtures("memory")
alice = NativeCaller(ALICE)


@pytest.fixture(autouse=True)
def shop(memory: Ports) -> str:
    name = alice.library(kind="similar")
    for number in range(5):
        alice.put(name, f"p{number}", picture(number), tags=[f"t{number}", "even" if number % 2 == 0 else "odd"])
    return name


def test_a_search_says_what_it_found_and_why() -> None:
    found = alice.search("shop", picture(1), explain=True, limit=2)
    assert found["query"] == {"width": 32, "height": 24}
    first, second = found["matches"]
    assert (first["id"], first["score"], first["why"]) == ("p1", 1, "identical")
    assert second["why"] == "near"
    assert second["score"] < 1
    assert found["model"] == "tiny"
    assert found["next"]


def test_pages_follow_each_other() -> None:
    whole = alice.ids("shop", picture(1))
    paged: list[str] = []
    after: dict[str, str] = {}
    while True:
        page = alice.search("shop", picture(1), limit=2, **after)
        paged += [match["id"] for match in page["matches"]]
        if "next" not in page:
            break
        after = {"after": page["next"]}
    assert len(whole) == 5
    assert paged == whole


def test_a_stored_picture_finds_itself() -> None:
    answer = alice.call("POST", "/libraries/shop/search", {"image": {"picture": "p3"}, "limit": 1})
    assert [match["id"] for match in answer.json["matches"]] == ["p3"]


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        ({"all": [{"tag": "even"}, {"tag": "t2"}]}, {"p2"}),
        ({"any": [{"tag": "t1"}, {"tag": "t2"}]}, {"p1", "p2"}),
        ({"none": [{"tag": "even"}]}, {"p1", "p3"}),
        ({"all": [{"tag": "odd"}], "none": [{"tag": "t1"}]}, {"p3"}),
        ({}, {"p0", "p1", "p2", "p3", "p4"}),
    ],
)
def test_filters_hold(wanted: dict[str, Any], ids: set[str]) -> None:
    assert set(alice.ids("shop", picture(1), filter=wanted)) == ids


def test_a_threshold_holds_and_the_identical_picture_passes_it() -> None:
    assert alice.ids("shop", picture(1), threshold=1.0) == ["p1"]


def test_further_examples_and_examples_of_what_is_not_meant_move_a_search() -> None:
    both = alice.search("shop", picture(1), also=[{"picture": "p2"}])["matches"]
    assert {match["id"] for match in both[:2]} == {"p1", "p2"}
    without = alice.ids("shop", picture(1), **{"not": [{"picture": "p4"}]})
    assert without[-1] == "p4" or "p4" not in without


def test_several_libraries_are_searched_at_once() -> None:
    alice.library("other", kind="similar")
    alice.put("other", "far", picture(1))
    found = alice.call("POST", "/search", {"image": image(picture(1)), "libraries": ["shop", "other"], "limit": 2})
    assert {(match["library"], match["id"]) for match in found.json["matches"]} == {("shop", "p1"), ("other", "far")}
    alice.library("same")
    mixed = alice.call("POST", "/search", {"image": image(picture(1)), "libraries": ["shop", "same"]})
    problem(mixed, 400, "invalid_argument")


def test_a_check_says_whether_a_picture_is_in_and_else_what_is_nearest() -> None:
    held = alice.call("POST", "/libraries/shop/check", {"image": image(picture(1, "BMP"))}).json
    assert (held["held"], held["picture"]["id"]) == (True, "p1")
    other = alice.call("POST", "/libraries/shop/check", {"image": image(picture(99))}).json
    assert other["held"] is False
    assert other["nearest"]["id"].startswith("p")


@pytest.mark.parametrize("kind", ["same", "similar"])
@pytest.mark.parametrize("identity", ["own", "picture"])
def test_a_check_may_ask_for_the_very_picture_alone(kind: str, identity: str) -> None:
    """The same pixels in another file are in, until they are deleted; others are not, and nothing is said of the nearest."""
    name = f"quick-{kind}-{identity}"
    alice.library(name, kind=kind, identity=identity)
    added = [alice.call("POST", f"/libraries/{name}/pictures", {"image": image(picture(n))}).json for n in (1, 2)]
    path = f"/libraries/{name}/check"
    again = alice.call("POST", path, {"image": image(picture(1, "BMP"))}, nearest="false").json
    assert (again["held"], again["picture"]["id"]) == (True, added[0]["id"])
    assert alice.call("POST", path, {"image": image(picture(99))}, nearest="false").json == {"held": False}
    alice.call("DELETE", f"/libraries/{name}/pictures/{added[0]['id']}")
    assert alice.call("POST", path, {"image": image(picture(1))}, nearest="false").json == {"held": False}
    problem(alice.call("POST", path, {"image": image(picture(1))}, nearest="0"), 400, "invalid_argument")


def test_two_pictures_are_compared() -> None:
    same = alice.call("POST", "/compare", {"a": image(picture(1)), "b": image(picture(1, "BMP"))}).json
    assert same["identical"] is True
    other = alice.call("POST", "/compare", {"a": {"picture": "p1", "library": "shop"}, "b": image(picture(2))}).json
    assert other["identical"] is False
    assert other["similar"] < 1


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"limit": 0}, "/limit"),
        ({"limit": 1001}, "/limit"),
        ({"threshold": 1.5}, "/threshold"),
        ({"after": "%%"}, "/after"),
        ({"box": [0, 0, 0, 1]}, "/box"),
        ({"box": [0, 0, 2, 1]}, "/box/2"),
        ({"filter": {"some": []}}, "/filter/some"),
        ({"filter": {"all": [{"tag": ""}]}}, "/filter/all/0/tag"),
        ({"limit": 1.5}, "/limit"),
        ({"image": {"url": None}}, "/image/url"),
        ({"also": [{}]}, "/also/0"),
    ],
)
def test_a_wrong_value_is_named(said: dict[str, Any], field: str) -> None:
    answer = alice.call("POST", "/libraries/shop/search", {"image": image(picture(1)), **said})
    assert problem(answer, 400, "invalid_argument")["field"] == field


def test_rows_of_a_bulk_call_are_answered_in_order_each_for_itself() -> None:
    rows = [
        {"op": "add", "id": "new", **image(picture(10)), "brief": "new"},
        {"op": "add", "id": "p1", **image(picture(1))},
        {"op": "delete", "id": "p2"},
        {"op": "delete", "id": "none"},
        {"op": "update", "id": "p3", "brief": "changed"},
        {"op": "add", "id": "bad", "base64": "aGVsbG8="},
        {"op": "odd"},
        {"op": "delete", "id": "new"},
    ]
    body = b"\n".join(json.dumps(row).encode() for row in rows) + b"\n{not json\n"
    answer = alice.call("POST", "/libraries/shop/bulk", body=body, headers={"content-type": "application/x-ndjson"})
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/x-ndjson"
    *said, totals = answer.lines
    assert [line["row"] for line in said] == list(range(1, 10))
    assert [line["status"] for line in said] == [201, 200, 204, 404, 200, 422, 400, 204, 400]
    assert [line.get("code", "") for line in said if line["status"] >= 400] == [
        "picture_not_found", "not_a_picture", "invalid_argument", "invalid_argument",
    ]  # fmt: skip
    assert totals == {"rows": 9, "ok": 5, "refused": 4, "unfinished": 0}
    assert alice.call("GET", "/libraries/shop").json["pictures"] == 4


def test_a_bulk_call_of_nothing_is_refused() -> None:
    problem(alice.call("POST", "/libraries/shop/bulk", body=b"\n\n"), 400, "missing_argument")


def test_a_file_is_searched_and_checked_as_it_is_or_in_a_form() -> None:
    for body, headers in (
        form({"image": picture(1), "search": b'{"limit": 1}'}),
        (picture(1), {"content-type": "image/png"}),
    ):
        found = alice.call("POST", "/libraries/shop/search", body=body, headers=headers).json
        assert found["matches"][0]["id"] == "p1"
    body, headers = form({"image": picture(2)})
    assert alice.call("POST", "/libraries/shop/check", body=body, headers=headers).json["picture"]["id"] == "p2"
    body, headers = form({"image": picture(2), "limit": b"3"})
    answer = alice.call("POST", "/libraries/shop/search", body=body, headers=headers)
    assert (answer.status, answer.json["field"]) == (400, "limit")
    answer = alice.call("POST", "/compare", body=body, headers=headers)
    assert (answer.status, answer.json["field"]) == (400, "Content-Type")
