"""Pictures through the native API: added in every way, listed, changed, deleted, restored, looked at."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from lookalike.handlers.process_ports import serving
from lookalike.ports import Ports
from lookalike.wire.native import picture_path
from tests.conftest import ALICE, BOB
from tests.faults.faults import Faults, Kind, Plan
from tests.support.baidu import Caller, picture
from tests.support.fakes import MemoryWeb
from tests.support.native import Answered, NativeCaller, form, image, problem

pytestmark = pytest.mark.usefixtures("memory")
alice, bob = NativeCaller(ALICE), NativeCaller(BOB)


@pytest.fixture(autouse=True)
def shop(memory: Ports) -> str:
    return alice.library()


def multipart(**parts: bytes) -> tuple[bytes, dict[str, str]]:
    body = b"".join(
        b'--xx\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (name.encode(), data)
        for name, data in parts.items()
    )
    return body + b"--xx--\r\n", {"content-type": "multipart/form-data; boundary=xx"}


def test_a_picture_that_is_put_is_all_there() -> None:
    answer = alice.put("shop", "sku-1", picture(1), brief="red", tags=["a", "b"], label={"n": 1}, desc=[1, "x"])
    said = answer.json
    assert answer.status == 201
    assert answer.etag == f'"{said["revision"]}"'
    assert said.pop("created") is True
    assert said == alice.call("GET", "/libraries/shop/pictures/sku-1").json
    assert (said["id"], said["brief"], said["tags"]) == ("sku-1", "red", ["a", "b"])
    assert (said["label"], said["desc"], said["state"]) == ({"n": 1}, [1, "x"], "live")
    assert said["self"] == "/api/v1/libraries/shop/pictures/sku-1"


@pytest.mark.parametrize("after", range(12))
def test_a_picture_that_is_deleted_within_a_put_is_made_by_it(memory: Ports, after: int) -> None:
    """The two calls were one after the other: the picture that was replaced is the one that was deleted, or it was made."""
    alice.put("shop", "sku-1", picture(1))
    deleted: list[int] = []
    faults, path = Faults(), "/libraries/shop/pictures/sku-1"
    faults.expect(
        Plan(Kind.MEANWHILE, after, meanwhile=lambda: deleted.append(alice.call("DELETE", path).status)),
    )
    with serving(faults.wrap(memory)):
        status = alice.put("shop", "sku-1", picture(1)).status
        assert deleted in ([], [204])
        there = alice.call("GET", path).status == 200
    assert status == (201 if deleted and there else 200)


def test_every_way_to_send_a_picture_makes_the_same(web: MemoryWeb) -> None:
    file = picture(1)
    web.answers["https://example.com/1.png"] = file
    body, headers = multipart(image=file, picture=json.dumps({"id": "form", "brief": "x"}).encode())
    answers = [
        alice.call("POST", "/libraries/shop/pictures", body=body, headers=headers),
        alice.call("POST", "/libraries/shop/pictures", body=file, headers={"content-type": "image/png"}, id="raw", brief="x"),
        alice.add("shop", file, id="base64", brief="x"),
        alice.call("POST", "/libraries/shop/pictures", {"image": {"url": "https://example.com/1.png"}, "id": "url", "brief": "x"}),
        alice.call("POST", "/libraries/shop/pictures", {"image": {"picture": "url"}, "id": "stored", "brief": "x"}),
    ]  # fmt: skip
    assert [answer.status for answer in answers] == [201] * 5, [answer.body for answer in answers]
    assert len({(answer.json["digest"], answer.json["brief"]) for answer in answers}) == 1
    assert [answer.json["id"] for answer in answers] == ["form", "raw", "base64", "url", "stored"]


def test_an_add_may_be_repeated() -> None:
    first, second = alice.add("shop", picture(1), id="one"), alice.add("shop", picture(1), id="one", brief="new")
    assert (first.status, second.status) == (201, 200)
    assert (first.json["created"], second.json["created"]) == (True, False)
    assert first.json["revision"] == second.json["revision"]
    assert first.headers["location"] == first.json["self"]


def test_a_duplicate_is_refused_or_changed_as_is_asked() -> None:
    alice.add("shop", picture(1), id="one", brief="old", tags=["a"])
    refused = problem(alice.add("shop", picture(1), id="one", on_duplicate="refuse"), 409, "picture_exists")
    assert refused["picture"] == {"library": "shop", "id": "one"}
    changed = alice.add("shop", picture(1), id="one", brief="new", on_duplicate="update")
    assert (changed.status, changed.json["brief"], changed.json["tags"]) == (200, "new", ["a"])


def test_a_put_replaces_the_picture_and_only_the_revision_named() -> None:
    first = alice.put("shop", "one", picture(1), brief="old")
    second = alice.put("shop", "one", picture(2), brief="new")
    assert (first.status, second.status, second.json["created"]) == (201, 200, False)
    assert second.json["revision"] > first.json["revision"]
    assert alice.ids("shop", picture(2))[0] == "one"
    assert alice.search("shop", picture(1))["matches"] == []
    stale = alice.call(
        "PUT", "/libraries/shop/pictures/one", {"image": image(picture(3))}, headers={"if-match": first.etag}
    )
    assert problem(stale, 412, "revision_mismatch")["revision"] == second.json["revision"]
    assert alice.ids("shop", picture(2))[0] == "one"


def test_a_change_keeps_what_it_does_not_name() -> None:
    made = alice.put("shop", "one", picture(1), brief="old", tags=["a"])
    changed = alice.call("PATCH", "/libraries/shop/pictures/one", {"brief": "new"}, headers={"if-match": made.etag})
    assert (changed.status, changed.json["brief"], changed.json["tags"]) == (200, "new", ["a"])
    again = alice.call("PATCH", "/libraries/shop/pictures/one", {"brief": "x"}, headers={"if-match": made.etag})
    problem(again, 412, "revision_mismatch")
    assert alice.search("shop", picture(1))["matches"][0]["brief"] == "new"


@pytest.mark.parametrize("by", ["call", "line"])
def test_null_takes_away_what_is_said(by: str) -> None:
    """Of label and desc it is a value, for these are any JSON."""
    alice.call("PUT", "/libraries/signed", {"kind": "same", "identity": "picture"})
    said = {"brief": "b", "tags": ["a"], "label": 5, "desc": {"d": 1}}
    made = alice.call(
        "POST", "/libraries/signed/pictures", {"image": image(picture(1)), **said, "old_cont_sign": "7,9"}
    )
    path = f"/libraries/signed/pictures/{made.json['id']}"

    def change(**members: object) -> dict[str, object]:
        if by == "call":
            assert alice.call("PATCH", path, members).status == 200
        else:
            line = {"op": "update", "id": made.json["id"], **members}
            (done, _) = alice.call("POST", "/libraries/signed/bulk", line).lines
            assert done["status"] == 200
        there = alice.call("GET", path).json
        return {name: there[name] for name in (*said, "old_cont_sign") if name in there}

    assert change() == {**said, "old_cont_sign": "7,9"}
    assert change(old_cont_sign=None) == said
    assert alice.call("GET", "/libraries/signed/pictures/7,9").status == 404
    assert change(brief=None, tags=None) == {"label": 5, "desc": {"d": 1}}
    assert change(label=None, desc=None) == {"label": None, "desc": None}
    alice.put("shop", "one", picture(1), brief="b")
    unsigned = alice.call("PATCH", "/libraries/shop/pictures/one", {"old_cont_sign": None})
    assert (unsigned.status, unsigned.json["brief"]) == (200, "b")


def test_a_deleted_picture_is_listed_as_deleted_and_restored() -> None:
    alice.put("shop", "one", picture(1), brief="kept")
    alice.put("shop", "two", picture(2))
    assert alice.call("DELETE", "/libraries/shop/pictures/one").status == 204
    problem(alice.call("DELETE", "/libraries/shop/pictures/one"), 404, "picture_not_found")
    problem(alice.call("GET", "/libraries/shop/pictures/one"), 404, "picture_not_found")
    assert _ids(alice.call("GET", "/libraries/shop/pictures")) == ["two"]
    deleted = alice.call("GET", "/libraries/shop/pictures", state="deleted").json["pictures"]
    assert [(one["id"], one["state"], one["brief"]) for one in deleted] == [("one", "deleted", "kept")]
    gone = alice.call("GET", "/libraries/shop/pictures/one")
    assert (gone.status, gone.json["code"], gone.json["detail"]) == (404, "picture_not_found", "deleted: one")
    assert gone.json["remedy"] == "POST …/restore brings it back"
    restored = alice.call("POST", "/libraries/shop/pictures/one/restore")
    assert (restored.status, restored.json["state"], restored.json["brief"]) == (200, "live", "kept")
    assert alice.call("POST", "/libraries/shop/pictures/one/restore").json == restored.json
    assert alice.ids("shop", picture(1))[0] == "one"


def test_pages_meet_every_picture_once_and_filters_hold() -> None:
    for number in range(7):
        alice.put("shop", f"p{number}", picture(number), tags=["even" if number % 2 == 0 else "odd"])
    seen: list[str] = []
    after: dict[str, Any] = {}
    while True:
        page = alice.call("GET", "/libraries/shop/pictures", limit=2, **after).json
        seen += [one["id"] for one in page["pictures"]]
        if "next" not in page:
            break
        after = {"after": page["next"]}
    assert sorted(seen) == [f"p{number}" for number in range(7)]
    assert sorted(_ids(alice.call("GET", "/libraries/shop/pictures", tag="odd"))) == ["p1", "p3", "p5"]


def _ids(answer: Answered) -> list[str]:
    return [one["id"] for one in answer.json["pictures"]]


def test_the_file_comes_back_as_it_was_and_smaller() -> None:
    file = picture(1, "JPEG", (800, 600))
    made = alice.put("shop", "one", file)
    original = alice.call("GET", "/libraries/shop/pictures/one/image")
    assert (original.body, original.headers["content-type"]) == (file, "image/jpeg")
    assert original.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in original.headers["content-security-policy"]
    thumb = alice.call("GET", "/libraries/shop/pictures/one/image", size="thumb", v=made.json["revision"])
    assert thumb.headers["content-type"] == "image/webp"
    assert "immutable" in thumb.headers["cache-control"]
    assert Image.open(io.BytesIO(thumb.body)).size == (320, 240)
    same = alice.call("GET", "/libraries/shop/pictures/one/image", headers={"if-none-match": original.etag})
    assert (same.status, same.body) == (304, b"")


def test_a_picture_of_another_tenant_is_nowhere() -> None:
    bob.library("hers")
    bob.put("hers", "secret", picture(1))
    for method, path, said in (
        ("GET", "/libraries/hers/pictures/secret", None),
        ("GET", "/libraries/hers/pictures/secret/image", None),
        ("PATCH", "/libraries/hers/pictures/secret", {"brief": "x"}),
        ("DELETE", "/libraries/hers/pictures/secret", None),
        ("POST", "/libraries/hers/pictures/secret/restore", None),
        ("PUT", "/libraries/hers/pictures/mine", {"image": image(picture(2))}),
        ("POST", "/libraries/hers/pictures", {"image": image(picture(2))}),
        ("POST", "/libraries/hers/search", {"image": image(picture(1))}),
        ("POST", "/libraries/shop/search", {"image": {"picture": "secret", "library": "hers"}}),
        ("POST", "/libraries/hers/check", {"image": image(picture(1))}),
        ("POST", "/search", {"image": image(picture(1)), "libraries": ["hers"]}),
        ("POST", "/compare", {"a": image(picture(1)), "b": {"picture": "secret", "library": "hers"}}),
    ):
        problem(alice.call(method, path, said), 404, "library_not_found")
    assert bob.call("GET", "/libraries/hers").json["pictures"] == 1


@pytest.mark.parametrize("id_", ["a/b", "a b", "ä", "😀", "~x", ".", "..", "a%2Fb", "?x=1#y", "x" * 512])
def test_any_text_is_an_id(id_: str) -> None:
    assert alice.put("shop", id_, picture(1)).json["id"] == id_
    said = alice.search("shop", picture(1))["matches"][0]
    assert said["id"] == id_
    path = said["self"].removeprefix("/api/v1")
    assert alice.call("GET", path).json["id"] == id_
    assert alice.call("GET", f"{path}/image").body == picture(1)
    assert alice.call("DELETE", path).status == 204


@pytest.mark.parametrize("id_", ["\0", "a\0b"])
def test_a_nul_is_no_id(id_: str) -> None:
    problem(alice.put("shop", id_, picture(1)), 400, "invalid_argument")
    problem(alice.add("shop", picture(1), id=id_), 400, "invalid_argument")


def test_an_id_has_its_longest_length() -> None:
    problem(alice.put("shop", "x" * 513, picture(1)), 400, "argument_too_long")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200))
def test_a_segment_says_its_id(id_: str) -> None:
    segment = picture_path.segment(id_)
    assert picture_path.id_of(segment) == id_
    assert segment.isascii()
    assert not set(segment) & set("/?#% ")


@pytest.mark.parametrize(
    ("said", "status", "code", "field"),
    [
        ({}, 400, "missing_argument", "/image"),
        ({"image": {}}, 400, "invalid_argument", "/image"),
        ({"image": {"url": "x", "base64": "x"}}, 400, "invalid_argument", "/image"),
        ({"image": {"url": "ftp://x"}}, 422, "url_illegal", "/image/url"),
        ({"image": {"url": "https://nowhere.example"}}, 422, "url_unreachable", "/image/url"),
        ({"image": {"base64": "%%%"}}, 422, "bad_encoding", "/image/base64"),
        ({"image": {"base64": ""}}, 422, "empty_picture", "/image/base64"),
        ({"image": {"base64": "aGVsbG8="}}, 422, "not_a_picture", "/image/base64"),
        ({"image": {"picture": "none"}}, 404, "picture_not_found", "/image/picture"),
        ({"brief": "x" * 257}, 400, "argument_too_long", "/brief"),
        ({"brief": "x\0"}, 400, "invalid_argument", "/brief"),
        ({"tags": [""]}, 400, "invalid_argument", "/tags/0"),
        ({"tags": ["x"] * 33}, 400, "too_many_items", "/tags"),
        ({"tags": "x"}, 400, "invalid_argument", "/tags"),
        ({"label": "x" * 513}, 400, "argument_too_long", "/label"),
        ({"odd": 1}, 400, "invalid_argument", "/odd"),
        ({"on_duplicate": "odd"}, 400, "invalid_argument", "/on_duplicate"),
    ],
)
def test_bad_input_names_its_field_and_changes_nothing(
    said: dict[str, Any], status: int, code: str, field: str, memory: Ports
) -> None:
    whole = said if "image" in said or not said else {"image": image(picture(1)), **said}
    answer = problem(alice.call("POST", "/libraries/shop/pictures", whole), status, code)
    assert answer["field"] == field
    assert alice.call("GET", "/libraries/shop").json["pictures"] == 0


def test_a_picture_that_is_its_own_id_is_added_once(memory: Ports) -> None:
    alice.library("own", identity="picture")
    first, second = alice.add("own", picture(1)), alice.add("own", picture(1))
    assert (first.status, second.status) == (201, 200)
    assert first.json["id"] == first.json["cont_sign"]
    assert alice.call("GET", first.json["self"].removeprefix("/api/v1")).status == 200
    problem(alice.add("own", picture(2), id="mine"), 400, "invalid_argument")
    problem(alice.put("own", "mine", picture(2)), 400, "unsupported_by_library")


def test_a_vendors_client_sees_what_this_api_did() -> None:
    vendor = Caller(ALICE)
    sign = vendor.add("same_hq", picture(1), "old")
    path = alice.path("same_hq", sign)
    assert alice.call("PATCH", path, {"brief": "new"}).status == 200
    assert vendor.briefs("same_hq", picture(1)) == ["new"]
    assert alice.call("DELETE", path).status == 204
    assert vendor.briefs("same_hq", picture(1)) == []
    assert alice.call("POST", f"{path}/restore").status == 200
    assert vendor.briefs("same_hq", picture(1)) == ["new"]


def test_a_form_says_the_rest_in_json_or_in_fields_of_their_own() -> None:
    fields = {"image": picture(1), "id": b"f", "brief": b"red", "tags": b"1,2", "on_duplicate": b"refuse"}
    body, headers = form(fields)
    said = alice.call("POST", "/libraries/shop/pictures", body=body, headers=headers).json
    assert (said["id"], said["brief"], said["tags"], said["created"]) == ("f", "red", ["1", "2"], True)
    problem(alice.call("POST", "/libraries/shop/pictures", body=body, headers=headers), 409, "picture_exists")
    body, headers = form({"image": picture(2), "brief": b"blue", "picture": b'{"id": "g", "brief": "green"}'})
    said = alice.call("POST", "/libraries/shop/pictures", body=body, headers=headers, tags="3").json
    assert (said["id"], said["brief"], said["tags"]) == ("g", "green", ["3"])


@pytest.mark.parametrize(
    ("fields", "field"),
    [({"image": b"x", "breif": b"red"}, "breif"), ({"file": b"x"}, "file"), ({"brief": b"x"}, "image")],
)
def test_a_field_that_there_is_not_is_named(fields: dict[str, bytes], field: str) -> None:
    body, headers = form(fields)
    answer = alice.call("POST", "/libraries/shop/pictures", body=body, headers=headers)
    assert (answer.status, answer.json["field"]) == (400, field)


@pytest.mark.parametrize("content_type", ["", "image/png", "application/octet-stream"])
def test_the_file_itself_may_be_sent_without_a_type(content_type: str) -> None:
    headers = {"content-type": content_type}
    assert alice.call("PUT", "/libraries/shop/pictures/t", body=picture(1), headers=headers, brief="b").status == 201
    assert alice.call("GET", "/libraries/shop/pictures/t").json["brief"] == "b"


@pytest.mark.parametrize("content_type", ["multipart/form-data", "application/x-www-form-urlencoded"])
def test_a_type_that_clients_get_wrong_is_named(content_type: str) -> None:
    answer = alice.call("PUT", "/libraries/shop/pictures/t", body=picture(1), headers={"content-type": content_type})
    assert (answer.status, answer.json["field"]) == (400, "Content-Type")
