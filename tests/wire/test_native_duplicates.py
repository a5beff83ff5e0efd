"""Near-duplicates and jobs through the native API."""

from __future__ import annotations

from typing import Any

import pytest

from lookalike.ports import Ports
from lookalike.service.job_runner import run_jobs
from tests.conftest import ALICE, BOB
from tests.support.baidu import picture
from tests.support.native import NativeCaller, problem

alice, bob = NativeCaller(ALICE), NativeCaller(BOB)
SHOP = "/libraries/shop"
FOUND = f"{SHOP}/duplicates"


@pytest.fixture(autouse=True)
def shop(memory: Ports) -> None:
    """A library with two copies and a third picture."""
    alice.library()
    for id_, file in (("a/1", picture(1)), ("b", picture(1, "BMP")), ("c", picture(2))):
        assert alice.put("shop", id_, file, brief=f"<b>{id_}").status == 201


def swept(memory: Ports) -> Any:
    """Sweep the library; the job."""
    started = alice.call("POST", FOUND)
    assert started.status in (200, 201)
    run_jobs(memory, lambda: True)
    return alice.call("GET", started.headers["location"].removeprefix("/api/v1")).json


def test_a_sweep_is_a_job_and_its_clusters_are_listed(memory: Ports) -> None:
    assert alice.call("GET", FOUND).json == {"clusters": []}
    job = swept(memory)
    assert (job["kind"], job["library"], job["state"], job["done"], job["total"]) == (
        "duplicates",
        "shop",
        "done",
        3,
        3,
    )
    said = alice.call("GET", FOUND, level="identical").json
    (cluster,) = said["clusters"]
    assert said["swept"]["job"] == job["id"]
    assert said["swept"]["clusters"] == {"identical": 1, "same": 1, "similar": 1}
    assert {one["id"] for one in cluster["pictures"]} == {"a/1", "b"}
    assert {(one["width"], one["height"]) for one in cluster["pictures"]} == {(32, 24)}
    assert {one["bytes"] for one in cluster["pictures"]} == {len(picture(1)), len(picture(1, "BMP"))}
    (pair,) = cluster["pairs"]
    assert ({pair["a"], pair["b"]}, pair["level"], pair["score"]) == ({"a/1", "b"}, "identical", 1.0)
    assert "next" not in said
    report = alice.call("GET", f"/jobs/{job['id']}/report").json
    assert report["job"] == job
    assert (report["compared"], report["pairs"]) == (3, 1)
    assert report["clusters"] == said["swept"]["clusters"]


def test_a_sweep_that_runs_is_returned() -> None:
    first, second = alice.call("POST", FOUND), alice.call("POST", FOUND)
    assert (first.status, second.status) == (201, 200)
    assert first.json["id"] == second.json["id"]
    problem(alice.call("PUT", "/jobs/mine", {"kind": "duplicates", "library": "shop"}), 409, "job_in_progress")


def test_a_job_by_a_name_of_the_callers(memory: Ports) -> None:
    said = {"kind": "duplicates", "library": "shop"}
    first, again = alice.call("PUT", "/jobs/mine", said), alice.call("PUT", "/jobs/mine", said)
    assert (first.status, again.status) == (201, 200)
    assert first.headers["location"] == first.json["self"] == "/api/v1/jobs/mine"
    assert [one["id"] for one in alice.call("GET", "/jobs").json["jobs"]] == ["mine"]
    alice.library("other")
    problem(alice.call("PUT", "/jobs/mine", {**said, "library": "other"}), 409, "job_is_other")
    assert alice.call("POST", "/jobs/mine/pause").json["state"] == "paused"
    run_jobs(memory, lambda: True)
    assert alice.call("GET", "/jobs/mine").json["state"] == "paused"
    assert alice.call("POST", "/jobs/mine/resume").json["state"] == "queued"
    run_jobs(memory, lambda: True)
    assert alice.call("GET", "/jobs/mine").json["state"] == "done"
    problem(alice.call("POST", "/jobs/mine/cancel"), 409, "job_finished")


def test_pages_of_clusters(memory: Ports) -> None:
    for seed in range(10, 15):
        alice.put("shop", f"{seed}", picture(seed))
        alice.put("shop", f"{seed} again", picture(seed))
    swept(memory)
    seen: list[str] = []
    after: dict[str, Any] = {}
    while True:
        page = alice.call("GET", FOUND, limit=2, **after).json
        seen += [one["id"] for cluster in page["clusters"] for one in cluster["pictures"]]
        if "next" not in page:
            break
        after = {"after": page["next"]}
    assert len(seen) == len(set(seen)) == 12


def test_what_is_deleted_or_dismissed_is_not_shown(memory: Ports) -> None:
    swept(memory)
    assert alice.call("DELETE", alice.path("shop", "b")).status == 204
    assert alice.call("GET", FOUND).json["clusters"] == []
    assert alice.call("POST", f"{alice.path('shop', 'b')}/restore").status == 200
    assert len(alice.call("GET", FOUND).json["clusters"]) == 1
    assert alice.call("POST", f"{FOUND}/dismiss", {"pictures": ["a/1", "b"]}).status == 204
    assert alice.call("GET", FOUND).json["clusters"] == []
    swept(memory)
    assert alice.call("GET", FOUND).json["clusters"] == []
    assert alice.call("POST", f"{FOUND}/reconsider", {"pictures": ["b", "a/1"]}).status == 204
    swept(memory)
    assert len(alice.call("GET", FOUND).json["clusters"]) == 1


@pytest.mark.parametrize(
    ("path", "said", "status", "code"),
    [
        ("dismiss", {"pictures": ["a/1", "none"]}, 404, "picture_not_found"),
        ("dismiss", {"pictures": ["a/1", "a/1"]}, 400, "invalid_argument"),
        ("dismiss", {"pictures": ["a/1"]}, 400, "invalid_argument"),
        ("dismiss", {"pictures": ["a/1", "\0"]}, 400, "invalid_argument"),
        ("dismiss", {"pictures": ["a/1", "x" * 513]}, 400, "argument_too_long"),
        ("reconsider", {"pictures": ["x"] * 201}, 400, "too_many_items"),
        ("reconsider", {}, 400, "missing_argument"),
    ],
)
def test_what_is_wrong_is_said(path: str, said: dict[str, Any], status: int, code: str) -> None:
    problem(alice.call("POST", f"{FOUND}/{path}", said), status, code)


@pytest.mark.parametrize(
    "query", [{"level": "none"}, {"limit": 0}, {"limit": 101}, {"after": "!"}, {"after": "w6k"}, {"after": "A" * 60}]
)
def test_queries_are_checked(query: dict[str, Any]) -> None:
    problem(alice.call("GET", FOUND, **query), 400, "invalid_argument")


@pytest.mark.parametrize("name", ["..", "a b", "é", "x" * 129])
def test_names_of_jobs_are_plain(name: str) -> None:
    problem(alice.call("GET", f"/jobs/{name}"), 404, "job_not_found")
    problem(alice.call("PUT", f"/jobs/{name}", {"kind": "duplicates", "library": "shop"}), 400, "invalid_argument")


def test_nothing_of_another_tenants_can_be_reached(memory: Ports) -> None:
    job = swept(memory)
    for method, path in (("GET", ""), ("GET", "/report"), ("POST", "/pause"), ("POST", "/resume"), ("POST", "/cancel")):
        problem(bob.call(method, f"/jobs/{job['id']}{path}"), 404, "job_not_found")
    assert bob.call("GET", "/jobs").json == {"jobs": []}
    for method, path, said in (
        ("GET", FOUND, None),
        ("POST", FOUND, None),
        ("POST", f"{FOUND}/dismiss", {"pictures": ["a/1", "b"]}),
        ("POST", f"{FOUND}/reconsider", {"pictures": ["a/1", "b"]}),
        ("PUT", "/jobs/mine", {"kind": "duplicates", "library": "shop"}),
    ):
        problem(bob.call(method, path, said), 404, "library_not_found")
    assert len(alice.call("GET", FOUND).json["clusters"]) == 1
    problem(NativeCaller().call("GET", "/jobs"), 401, "unauthenticated")
