"""Who may call the native API, what everybody may read, and what is answered to calls that there are not."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from lookalike.domain.application import Policy
from lookalike.ports import Ports
from lookalike.wire.baidu import access_tokens
from lookalike.wire.native import about, openapi, problems
from tests.conftest import ALICE
from tests.support.baidu import picture
from tests.support.native import NativeCaller, problem

pytestmark = pytest.mark.usefixtures("memory")
alice, nobody = NativeCaller(ALICE), NativeCaller()


def test_an_access_token_opens_as_keys_do(memory: Ports) -> None:
    token = access_tokens.mint(ALICE, memory.clock() // 1000)
    assert nobody.call("GET", "/libraries", headers={"authorization": f"Bearer {token}"}).status == 200
    assert alice.call("GET", "/libraries").status == 200


@pytest.mark.parametrize(
    "authorization",
    ["", "Basic", "Basic !!", "Basic YQ==", "Basic YWxpY2UtYWNjZXNzOndyb25n", "Bearer x", "Digest x", "Basic Ojo="],
)
def test_nobody_else_gets_in_and_none_is_told_why(authorization: str) -> None:
    said = problem(nobody.call("GET", "/libraries", headers={"authorization": authorization}), 401, "unauthenticated")
    assert not {"detail", "field"} & {name for name, value in said.items() if value}
    assert said["remedy"] == problem(nobody.call("GET", "/libraries"), 401, "unauthenticated")["remedy"]


def test_whoever_is_refused_learns_how_to_call(log_lines: Callable[[], list[dict[str, Any]]]) -> None:
    answer = nobody.call("GET", "/libraries")
    assert answer.headers["www-authenticate"].startswith("Basic ")
    line = log_lines()[-1]
    assert (line["outcome"], line["status"], line["reason"]) == ("TokenInvalid", 401, "authorization: missing")


def test_a_disabled_application_and_a_wrong_address_are_forbidden(memory: Ports) -> None:
    memory.applications.save_application(replace(ALICE, active=False))
    problem(alice.call("GET", "/libraries"), 403, "application_disabled")
    memory.applications.save_application(replace(ALICE, policy=Policy(networks=("192.0.2.0/24",))))
    problem(alice.call("GET", "/libraries"), 403, "address_refused")


def test_no_answer_is_for_pages_of_other_sites(memory: Ports) -> None:
    alice.library("shop")
    alice.put("shop", "a", picture(1))
    path = f"{alice.path('shop', 'a')}/image"
    image = alice.call("GET", path, size="thumb")
    answers = (image, alice.call("GET", "/libraries"), alice.call("GET", "/libraries/none"), nobody.call("GET", path))
    assert {answer.headers["cross-origin-resource-policy"] for answer in answers} == {"same-origin"}
    unchanged = alice.call("GET", path, size="thumb", headers={"if-none-match": image.etag})
    assert unchanged.status == 304
    for answer in (image, unchanged):
        assert answer.headers["vary"] == "authorization, cookie", "what is kept is for whoever it was answered to"
        assert answer.headers["x-content-type-options"] == "nosniff"
    revision = alice.call("GET", alice.path("shop", "a")).json["image"].rpartition("=")[2]
    assert alice.call("GET", path, v=revision).headers["cache-control"] == "private, max-age=31536000, immutable"
    assert alice.call("GET", path).headers["cache-control"] == "private, no-cache"


def test_limits_are_said_with_the_time_to_wait(memory: Ports) -> None:
    memory.applications.save_application(replace(ALICE, policy=Policy(per_second=1)))
    assert alice.call("GET", "/libraries").status == 200
    answer = alice.call("GET", "/libraries")
    problem(answer, 429, "rate_reached")
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["ratelimit"] == '"second";r=0;t=1'
    memory.applications.save_application(replace(ALICE, policy=Policy(per_day=1)))
    assert alice.call("GET", "/usage").json["per_day"] == 1
    answer = alice.call("GET", "/libraries")
    problem(answer, 429, "daily_quota_reached")
    until_midnight = 86_400 - (3 * 3600 + 4 * 60 + 5)
    assert answer.headers["ratelimit"] == f'"day";r=0;t={until_midnight}'
    assert answer.headers["retry-after"] == str(until_midnight)
    memory.applications.save_application(replace(ALICE, policy=Policy(in_total=0)))
    answer = alice.call("GET", "/libraries")
    problem(answer, 429, "total_quota_reached")
    assert answer.headers["ratelimit-policy"] == '"total";q=0'
    assert answer.headers["ratelimit"] == '"total";r=0'
    assert "retry-after" not in answer.headers


def test_what_is_left_is_said_with_every_answer_to_an_application_with_limits(memory: Ports) -> None:
    assert "ratelimit-policy" not in alice.call("GET", "/libraries").headers
    memory.applications.save_application(replace(ALICE, policy=Policy(per_second=15, per_day=100, in_total=1000)))
    answers = [alice.call("GET", "/libraries"), *(alice.call("GET", "/libraries/none") for _ in range(14))]
    assert {answer.headers["ratelimit-policy"] for answer in answers} == {
        '"second";q=15;w=1, "day";q=100;w=86400, "total";q=1000'
    }
    assert [answer.headers["ratelimit"] for answer in answers] == [
        f'"second";r={left};t=1' for left in range(14, -1, -1)
    ]
    assert "ratelimit-policy" not in nobody.call("GET", "/libraries").headers


def test_everybody_may_read_what_answers_and_which_problems_there_are() -> None:
    assert nobody.call("GET", "").json["name"] == "lookalike"
    listed = nobody.call("GET", "/problems").json["problems"]
    assert {one["code"] for one in listed} == {kind.code for kind in problems.PROBLEMS.values()}
    assert nobody.call("GET", "/openapi.json").json == openapi.document()


def test_codes_are_unique_and_plain() -> None:
    codes = [kind.code for kind in problems.PROBLEMS.values()]
    assert len(codes) == len(set(codes))
    assert all(code.replace("_", "").isalpha() for code in codes)


def test_what_there_is_not_is_said_so() -> None:
    problem(alice.call("GET", "/nothing"), 404, "unknown_operation")
    answer = alice.call("DELETE", "/libraries")
    problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "GET"


def test_a_failure_is_answered_without_its_reason(memory: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(type(memory.catalog), "libraries", fail)
    answer = alice.call("GET", "/libraries")
    problem(answer, 500, "failure")
    assert b"secret" not in answer.body


def test_the_stored_document_is_the_one_that_is_made() -> None:
    assert json.loads(about.openapi_file().read_text()) == openapi.document()
    assert about.openapi_file().read_text() == openapi.text()
