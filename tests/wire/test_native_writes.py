"""Writes through the native API: what a repeated one comes to, what conditions hold, and what narrow keys are told."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from lookalike.domain.application import Application, Permission, Policy
from lookalike.domain.staged import StagedId
from lookalike.ports import Ports
from tests.conftest import ALICE
from tests.support.baidu import picture
from tests.support.fakes import MemoryApplications, MemoryStaging, MemoryWeb
from tests.support.native import NativeCaller, image, problem

pytestmark = pytest.mark.usefixtures("memory")
alice = NativeCaller(ALICE)
ONE = "/libraries/shop/pictures/one"

#: All that a key which may not look at pictures is told of one.
NAMES = {"library", "id", "self", "revision"}


@pytest.fixture(autouse=True)
def shop(memory: Ports) -> str:
    return alice.library()


@pytest.fixture
def narrow(memory: Ports) -> Callable[..., NativeCaller]:
    """Makes a narrowed key of the same tenant."""

    def make(*may: Permission) -> NativeCaller:
        key: Application = replace(
            ALICE, access_key="narrowed", app_id="10000009", name="narrowed", policy=Policy(may=may)
        )
        assert isinstance(memory.applications, MemoryApplications)
        memory.applications.save_application(key)
        return NativeCaller(key)

    return make


def stored() -> dict[str, Any]:
    said: dict[str, Any] = alice.call("GET", ONE).json
    return said


@pytest.mark.parametrize(
    ("may", "method", "path", "said"),
    [
        (Permission.ADD, "POST", "/libraries/shop/pictures", {"id": "one", "image": image(picture(1))}),
        (Permission.ADD, "POST", f"{ONE}/restore", None),
        (Permission.UPDATE, "PATCH", ONE, {}),
        (Permission.UPDATE, "PATCH", ONE, {"tags": ["new"]}),
    ],
)
def test_a_key_that_may_not_look_is_told_the_name_alone(
    narrow: Callable[..., NativeCaller], may: Permission, method: str, path: str, said: Any
) -> None:
    alice.put("shop", "one", picture(1), brief="private", desc={"price": 7}, tags=["a"])
    answer = narrow(may).call(method, path, said)
    assert answer.status == 200, answer.body
    assert set(answer.json) - {"created"} == NAMES
    whole = narrow(may, Permission.SEARCH).call(method, path, said).json
    assert (whole["brief"], whole["desc"]) == ("private", {"price": 7})


def test_a_key_that_may_not_look_is_told_what_it_has_sent_itself(narrow: Callable[..., NativeCaller]) -> None:
    added = narrow(Permission.ADD).add("shop", picture(1), id="one", brief="mine")
    assert (added.status, added.json["brief"]) == (201, "mine")
    put = narrow(Permission.ADD, Permission.UPDATE).put("shop", "one", picture(2), brief="new")
    assert (put.status, put.json["brief"]) == (200, "new")


def test_no_refusal_says_what_the_picture_is(narrow: Callable[..., NativeCaller]) -> None:
    digest = alice.put("shop", "one", picture(1), brief="private").json["digest"]
    adder = narrow(Permission.ADD)
    for said in ({"image": image(picture(1)), "on_duplicate": "refuse"}, {"image": image(picture(2))}):
        body = adder.call("POST", "/libraries/shop/pictures", {"id": "one", **said}).body.decode()
        assert "picture_exists" in body
        assert digest not in body
    copied = adder.call("POST", "/libraries/shop/pictures", {"id": "two", "image": {"picture": "one"}})
    problem(copied, 403, "not_permitted")


@pytest.mark.parametrize("how", ["return", "refuse", "update"])
def test_an_id_of_another_picture_is_refused(how: str) -> None:
    alice.put("shop", "one", picture(1), brief="shoe")
    before = stored()
    said = problem(alice.add("shop", picture(2), id="one", brief="hat", on_duplicate=how), 409, "picture_exists")
    assert said["picture"] == {"library": "shop", "id": "one", "differs": True}
    assert "PUT" in said["remedy"]
    row = {"id": "one", **image(picture(2)), "brief": "hat", "on_duplicate": how}
    line = alice.call("POST", "/libraries/shop/bulk", body=json.dumps(row).encode()).lines[0]
    assert (line["status"], line["code"]) == (409, "picture_exists")
    assert stored() == before


@pytest.mark.parametrize("how", ["return", "refuse", "update"])
def test_what_is_no_picture_is_refused_whatever_is_there(how: str) -> None:
    alice.put("shop", "one", picture(1), brief="shoe")
    before = stored()
    problem(alice.add("shop", b"x", id="one", brief="hat", on_duplicate=how), 422, "not_a_picture")
    assert stored() == before


def test_another_file_of_the_same_picture_is_a_repeated_add() -> None:
    alice.put("shop", "one", picture(1, "PNG"))
    again = alice.add("shop", picture(1, "BMP"), id="one")
    assert (again.status, again.json["created"]) == (200, False)


def test_a_repeated_add_by_url_downloads_nothing(web: MemoryWeb) -> None:
    web.answers["https://example.com/1.png"] = picture(1)
    said = {"image": {"url": "https://example.com/1.png"}, "id": "one"}
    assert alice.call("POST", "/libraries/shop/pictures", said).status == 201
    del web.answers["https://example.com/1.png"]
    assert alice.call("POST", "/libraries/shop/pictures", said).status == 200


def put(number: int, **headers: str) -> Any:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return alice.call("PUT", ONE, {"image": image(picture(number))}, headers=sent)


def test_a_put_that_wants_none_there_replaces_none() -> None:
    assert put(1, if_none_match="*").status == 201
    before = stored()
    assert problem(put(2, if_none_match="*"), 412, "picture_is_there")["revision"] == before["revision"]
    assert stored() == before
    problem(put(2, if_none_match='"1"'), 400, "invalid_argument")
    alice.call("DELETE", ONE)
    assert put(2, if_none_match="*").status == 201


def test_a_put_that_wants_one_there_adds_none() -> None:
    problem(put(1, if_match="*"), 412, "picture_is_absent")
    problem(put(1, if_match='"1"'), 412, "revision_mismatch")
    problem(alice.call("GET", ONE), 404, "picture_not_found")
    assert put(1).status == 201
    assert put(2, if_match="*").status == 200
    alice.call("DELETE", ONE)
    problem(put(1, if_match="*"), 412, "picture_is_absent")


def test_a_put_that_wants_both_is_never_done() -> None:
    problem(put(1, if_match="*", if_none_match="*"), 412, "picture_is_there")
    assert put(1).status == 201
    problem(put(2, if_match="*", if_none_match="*"), 412, "picture_is_there")


def test_a_put_says_nothing_of_duplicates() -> None:
    alice.put("shop", "one", picture(1))
    before = stored()
    part = b'--xx\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
    for field, value in ((b"picture", b'{"on_duplicate": "refuse"}'), (b"on_duplicate", b"refuse")):
        body = part % (b"image", picture(2)) + part % (field, value) + b"--xx--\r\n"
        answer = alice.call("PUT", ONE, body=body, headers={"content-type": "multipart/form-data; boundary=xx"})
        assert "If-None-Match" in problem(answer, 400, "invalid_argument")["remedy"]
    said = {"image": image(picture(2)), "on_duplicate": "refuse"}
    assert "If-None-Match" in problem(alice.call("PUT", ONE, said), 400, "invalid_argument")["remedy"]
    raw = alice.call("PUT", ONE, body=picture(2), headers={"content-type": "image/png"}, on_duplicate="refuse")
    assert "If-None-Match" in problem(raw, 400, "invalid_argument")["remedy"]
    assert stored() == before


def test_an_unused_upload_of_another_picture_is_refused_and_stays_for_a_put(memory: Ports) -> None:
    alice.put("shop", "one", picture(1))
    offered = alice.call("POST", "/uploads").json["upload"]
    staged = StagedId.of(ALICE.tenant, offered)
    assert staged is not None
    assert isinstance(memory.staged, MemoryStaging)
    said = {"image": {"upload": offered}, "id": "one"}
    assert alice.call("POST", "/libraries/shop/pictures", said).status == 200, "nothing was sent: a repeated add"
    memory.staged.files[staged.key] = picture(2)
    refused = problem(alice.call("POST", "/libraries/shop/pictures", said), 409, "picture_exists")
    assert refused["picture"]["differs"]
    assert alice.call("PUT", ONE, {"image": {"upload": offered}}).status == 200
    assert alice.call("POST", "/libraries/shop/pictures", said).status == 200, "used: a repeated add"
