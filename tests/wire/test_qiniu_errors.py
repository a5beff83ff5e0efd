"""Every row of Qiniu's tables: which input gives which status, code and message, and that it changes nothing."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image

from lookalike import errors
from lookalike.domain.picture import Picture
from lookalike.errors import Unavailable
from lookalike.handlers.process_ports import serving
from lookalike.ports import Ports
from lookalike.settings import Settings
from lookalike.wire.qiniu import limits
from lookalike.wire.qiniu.errors import ERRORS
from tests.conftest import ALICE
from tests.support.baidu import FORM, HOST, event, handle, picture
from tests.support.fakes import MemoryApplications, MemoryCatalog, MemoryIndex, MemoryWeb, memory_ports
from tests.support.qiniu import Answered, GroupCaller, one, sign, uri

PICTURE = picture(1, size=(40, 32))
BAD_ARGUMENTS = (400, 4000100, "bad arguments")
NO_GROUP = (400, 400, "group g not exists")


@pytest.fixture
def shop() -> GroupCaller:
    return GroupCaller(ALICE)


@pytest.fixture
def full(memory: Ports, shop: GroupCaller) -> Iterator[None]:
    """A group called ``full`` with one picture in it, which stays as it is."""
    shop.new("full", one(PICTURE, id="1", label="label"))
    before = state(memory)
    yield
    assert state(memory) == before


def state(ports: Ports) -> object:
    """All that a call could have changed."""
    catalog, index = ports.catalog, ports.index
    assert isinstance(catalog, MemoryCatalog)
    assert isinstance(index, MemoryIndex)
    rows = [(key, row.revision) for key, row in sorted(catalog.rows.items(), key=lambda pair: pair[0].id)]
    return rows, sorted(index.rows, key=lambda key: key.id), sorted(catalog.by_name), list(catalog.removed)


# -- Groups ----------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("full")
def test_a_group_is_made_once(shop: GroupCaller) -> None:
    for data in ([], [one(PICTURE, id="2")], [one("http://nowhere/")]):
        assert shop.post("/full/new", {"data": data}).error == (400, 400, "group already exists")


@pytest.mark.usefixtures("full")
def test_an_unknown_group(shop: GroupCaller) -> None:
    for answer in (
        shop.post("/g/add", {"data": [one(PICTURE)]}),
        shop.post("/g/add", {"data": []}),
        shop.post("/g/delete", {"images": ["1"]}),
        shop.post("/g/image", {"id": "1"}),
        shop.post("/g/search", {"data": {"uri": uri(PICTURE)}}),
        shop.search(["g"], PICTURE),
        shop.search(["full", "g"], PICTURE),
        shop.get("/g"),
        shop.get("/g/info"),
    ):
        assert answer.error == NO_GROUP
    assert shop.post("/g/remove").body == {}


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize("name", ["%20", "x" * 129, "%E4%B9%A6", "a%00b", "~", "a%3Fb"])
def test_a_name_that_may_not_be(shop: GroupCaller, name: str) -> None:
    # Signed as it is sent, for the test's caller signs the target.
    assert shop.post(f"/{name}/new", {"data": []}).error == BAD_ARGUMENTS
    assert shop.get(f"/{name}/info").error[:2] == (400, 400)
    assert shop.search(["\ud800"], PICTURE).error == BAD_ARGUMENTS


@pytest.mark.usefixtures("full")
def test_an_unknown_picture(shop: GroupCaller) -> None:
    assert shop.post("/full/delete", {"images": ["unknown", "", "../1"]}).body == {}
    assert shop.post("/full/delete", {"images": []}).body == {}
    assert shop.post("/full/image", {"id": "unknown"}).error == (400, 400, "image unknown not exists")
    assert shop.post("/full/image", {"id": ""}).error == (400, 400, "image  not exists")
    assert shop.post("/full/image", {"id": "{0.__class__}"}).error == (400, 400, "image {0.__class__} not exists")


# -- Searches --------------------------------------------------------------------------------------------------------------

SEARCHES: dict[str, tuple[dict[str, Any], tuple[int, int, str]]] = {
    "no uri": ({"data": {"uri": ""}}, (406, 406, "no enough arguments provided")),
    "uri of blanks": ({"data": {"uri": " \n"}}, (406, 406, "no enough arguments provided")),
    "uri null": ({"data": {"uri": None}}, (406, 406, "no enough arguments provided")),
    "no data": ({"data": None}, (406, 406, "no enough arguments provided")),
    "data of another type": ({"data": []}, BAD_ARGUMENTS),
    "uri of another type": ({"data": {"uri": 5}}, BAD_ARGUMENTS),
    "uri with half a surrogate pair": ({"data": {"uri": "http://\ud800/"}}, BAD_ARGUMENTS),
    "limit too large": ({"limit": 10_001}, (406, 406, "invalid limit, maximal allowed limit is 10000")),
    "limit beyond all": ({"limit": 10**400}, (406, 406, "invalid limit, maximal allowed limit is 10000")),
    "limit with a point": ({"limit": 5.0}, BAD_ARGUMENTS),
    "limit as text": ({"limit": "5"}, BAD_ARGUMENTS),
    "limit true": ({"limit": True}, BAD_ARGUMENTS),
    "threshold above": ({"threshold": 1.01}, (406, 406, "invalid threshold")),
    "threshold below": ({"threshold": -0.1}, (406, 406, "invalid threshold")),
    "threshold beyond all": ({"threshold": 10**400}, (406, 406, "invalid threshold")),
    "threshold as text": ({"threshold": "0.5"}, BAD_ARGUMENTS),
    "no groups": ({"groups": []}, (406, 406, "groups is empty")),
    "groups null": ({"groups": None}, (406, 406, "groups is empty")),
    "too many groups": ({"groups": ["a", "b", "c"]}, (406, 406, "cannot search in more than 2 groups at one time")),
    "groups as text": ({"groups": "full"}, BAD_ARGUMENTS),
    "groups of another type": ({"groups": [1]}, BAD_ARGUMENTS),
    "params of another type": ({"params": []}, BAD_ARGUMENTS),
}


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_that_is_wrong(shop: GroupCaller, name: str) -> None:
    wrong, error = SEARCHES[name]
    body: dict[str, Any] = {"data": {"uri": uri(PICTURE)}, "params": {"groups": ["full"]}}
    for key, value in wrong.items():
        if key in ("data", "params"):
            body[key] = value
        else:
            body["params"][key] = value
    assert shop.call("POST", "/v1/image/groups/search", body).error == error
    if "groups" not in wrong:
        assert shop.post("/full/search", body).error == error


@pytest.mark.usefixtures("full")
def test_limits_that_are_just_right(shop: GroupCaller) -> None:
    for limit in (None, 0, -0, 10_000, -1, -(10**400)):
        assert shop.search(["full"], PICTURE, limit=limit).body["result"][0]["id"] == "1"
    for threshold in (None, 0, 1, 0.5, 1e-400):
        assert shop.found(["full"], PICTURE, threshold=threshold) == ["1"]


# -- Pictures ----------------------------------------------------------------------------------------------------------------


def oversized() -> bytes:
    """A small file of a picture with too many pixels on a side."""
    file = io.BytesIO()
    Image.new("1", (5000, 30)).save(file, "PNG")
    return file.getvalue()


def heavy() -> bytes:
    """A picture that is followed by more bytes than a picture may have."""
    return PICTURE + b"\0" * (10 * 1024 * 1024)


WRONG_PICTURES: dict[str, tuple[str, int, str]] = {
    "ftp": ("ftp://example.com/a.jpg", 4000201, "uri not supported"),
    "file": ("file:///etc/passwd", 4000201, "uri not supported"),
    "qiniu": ("qiniu:///bucket/key", 4000201, "uri not supported"),
    "no scheme": ("example.com/a.jpg", 4000201, "uri not supported"),
    "a word": ("x", 4000201, "uri not supported"),
    "no base64": ("data:application/octet-stream;base64,!!!!", 4000202, "bad uri"),
    "not said to be base64": ("data:text/plain,abc", 4000202, "bad uri"),
    "no comma": ("data:image/png;base64", 4000202, "bad uri"),
    "base64 beyond ASCII": ("data:;base64,书书书书", 4000202, "bad uri"),
    "too long an address": ("http://example.com/" + "a" * 4096, 4000202, "bad uri"),
    "private": ("http://illegal/", 4000202, "bad uri"),
    "unreachable": ("http://nowhere/", 4000203, "fetch failed"),
    "an error for an answer": ("http://answer/", 4000203, "fetch failed"),
    "slow": ("http://slow/", 4000204, "fetch timeout"),
    "an empty picture": ("data:;base64,", 4150301, "not a supported image"),
    "no picture": (uri(b"GIF89a and nothing else"), 4150301, "not a supported image"),
    "text": (uri(b"text"), 4150301, "not a supported image"),
    "another format": ("http://tiff/", 4150301, "not a supported image"),
    "broken off": (uri(PICTURE[:100]), 4150301, "not a supported image"),
    "too small": (uri(picture(1, size=(29, 30))), 4000302, "image size not supported"),
    "too long a side": (uri(oversized()), 4000302, "image size not supported"),
    "too heavy": ("http://heavy/", 4000302, "image size not supported"),
    "too heavy to be fetched": ("http://too-heavy/", 4000302, "image size not supported"),
}


@pytest.fixture
def wrong_web(web: MemoryWeb) -> None:
    tiff = io.BytesIO()
    Image.new("RGB", (32, 32)).save(tiff, "TIFF")
    web.answers |= {
        "http://illegal/": errors.UrlIllegal("private"),
        "http://answer/": errors.UrlAnswerError("status 404"),
        "http://slow/": errors.UrlTimeout("slow"),
        "http://too-heavy/": errors.UrlAnswerTooLong("long"),
        "http://tiff/": tiff.getvalue(),
        "http://heavy/": heavy(),
    }


@pytest.mark.usefixtures("full", "wrong_web")
@pytest.mark.parametrize("name", WRONG_PICTURES)
def test_a_picture_that_is_wrong(shop: GroupCaller, name: str) -> None:
    wrong, code, message = WRONG_PICTURES[name]
    answer = shop.post("/full/add", {"data": [one(wrong, id="new"), one(PICTURE, id="1")]})
    assert (answer.status, answer.body) == (
        200,
        {
            "images": ["", ""],
            "errors": [{"code": code, "message": message}, {"code": 400, "message": "id already exists"}],
        },
    )
    body = {"data": {"uri": wrong}, "params": {"groups": ["full"]}}
    assert shop.call("POST", "/v1/image/groups/search", body).error == (code // 10_000, code, message)


WRONG_ELEMENTS: dict[str, tuple[Any, int, str]] = {
    "null": (None, 4000100, "bad arguments"),
    "a list": ([], 4000100, "bad arguments"),
    "text": ("http://example.com/", 4000100, "bad arguments"),
    "nothing": ({}, 4000100, "bad arguments"),
    "no uri": ({"attribute": {"id": "2"}}, 4000100, "bad arguments"),
    "uri of another type": ({"uri": {"a": 1}}, 4000100, "bad arguments"),
    "attribute of another type": ({"uri": uri(PICTURE), "attribute": "x"}, 4000100, "bad arguments"),
    "id of another type": (one(PICTURE, id=5), 4000100, "bad arguments"),
    "label too deep": (one(PICTURE, label=json.loads("[" * 101 + "]" * 101)), 4000100, "bad arguments"),
    "half a surrogate pair for an id": (one(PICTURE, id="\ud800"), 4000100, "bad arguments"),
    "label too long as JSON": (one(PICTURE, label=["书" * 170]), 406, "label too long"),
    "desc too long": (one(PICTURE, desc="x" * 4095), 406, "desc too long"),
    "desc too long as UTF-8": (one(PICTURE, desc=["书" * 1365]), 406, "desc too long"),
    "desc too deep": (one(PICTURE, desc=json.loads("[" * 101 + "]" * 101)), 4000100, "bad arguments"),
    "label too long": (one(PICTURE, label="书" * 171), 406, "label too long"),
    "id too long": (one(PICTURE, id="x" * 513), 406, "id too long"),
    "id that is taken": (one(PICTURE, id="1"), 400, "id already exists"),
}


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize("name", WRONG_ELEMENTS)
def test_an_element_that_is_wrong(shop: GroupCaller, name: str) -> None:
    element, code, message = WRONG_ELEMENTS[name]
    answer = shop.post("/full/add", {"data": [element]})
    assert (answer.status, answer.body) == (200, {"images": [""], "errors": [{"code": code, "message": message}]})


@pytest.mark.usefixtures("memory")
def test_a_group_is_made_even_if_no_picture_can_be_added_and_each_error_stands_in_its_place(shop: GroupCaller) -> None:
    elements = [one(PICTURE, id="1"), {}, one(PICTURE, id="1"), one("http://nowhere/"), one(PICTURE, id="2")]
    answer = shop.post("/g/new", {"data": elements}).body
    assert answer["images"] == ["1", "", "", "", "2"]
    assert [error and error["code"] for error in answer["errors"]] == [None, 4000100, 400, 4000203, None]
    assert sorted(shop.listed("g")) == ["1", "2"]
    assert shop.post("/none/new", {"data": [{}]}).status == 200
    assert shop.get().body["result"] == ["g", "none"]


# -- Bodies ------------------------------------------------------------------------------------------------------------------

BODIES: dict[str, bytes] = {
    "none": b"",
    "no JSON": b"data=%7B%7D",
    "broken off": b'{"data": [',
    "a list": b"[]",
    "text": b'"data"',
    "not a number": b'{"data": NaN}',
    "too deep": b'{"data": ' + b"[" * 50_000,
    "closed and too deep": b'{"data": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "not UTF-8": b'{"data": "\xff"}',
    "of another type": b'{"data": {"uri": []}, "images": {"a": 1}, "id": ["1"], "params": 5}',
    "too many": b'{"data": ['
    + b",".join([b"1"] * 101)
    + b'], "images": ['
    + b",".join([b'"1"'] * 1001)
    + b'], "id": 1}',
    "huge": b'{"data": [' + b",".join([b"{}"] * 300_000) + b"]}",
}


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("target", ["/full/add", "/full/delete", "/full/image", "/full/search", "s/search", "/g/new"])
def test_a_body_that_is_wrong(shop: GroupCaller, target: str, name: str) -> None:
    answer = shop.post(target, BODIES[name])
    if target.endswith("search"):
        assert answer.error in (BAD_ARGUMENTS, (406, 406, "no enough arguments provided"))
    else:
        assert answer.error == BAD_ARGUMENTS


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize("body", [b'{"id": "\xff"}', b"\xff\xfe{\x00", b'{"id": "\xed\xa0\x80"}'])
def test_a_body_that_is_not_utf_8_is_malformed_though_the_gateway_hands_it_over_as_text(body: bytes) -> None:
    assert as_text(body).error == BAD_ARGUMENTS


@pytest.mark.usefixtures("memory")
def test_what_stands_for_broken_text_may_be_sent(shop: GroupCaller) -> None:
    shop.new("full", one(PICTURE, id="1"), one(PICTURE, id="\ufffd"))
    assert as_text('{"id": "\ufffd"}'.encode()).status == 200
    assert as_text(b'{"id": "1"}').status == 200
    assert as_text(b'{"id": "1"}', secret="guessed").error == (401, 401, "bad token")


def as_text(body: bytes, secret: str = ALICE.secret_key) -> Answered:
    """Ask for a picture, the signature being that of the body as sent, and the event's body text."""
    path = "/v1/image/group/full/image"
    said = f"POST {path}\nHost: {HOST}\nContent-Type: application/json\n\n".encode() + body
    authorization = f"Qiniu {ALICE.access_key}:{sign(secret, said)}"
    sent = event("POST", path, headers={"content-type": "application/json", "authorization": authorization})
    return Answered.of(handle("groups", {**sent, "body": body.decode("utf-8", "replace"), "isBase64Encoded": False}))


@pytest.mark.usefixtures("memory")
def test_a_form_is_no_json_whatever_its_type(shop: GroupCaller) -> None:
    """As newer versions of the vendor's Python SDK send a dictionary."""
    body = {"headers": {"authorization": "Qiniu x:y", "content-type": FORM}, "body": b"data=x"}
    assert Answered.of(handle("add", event("POST", "/v1/image/group/g/add", **body))).status == 401  # type: ignore[arg-type]
    assert shop.post("/g/new", b"data=x&uri=y").error == BAD_ARGUMENTS


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize("limit", ["0", "-1", "1001", "x", "1.0", "٣", "9" * 400, "%00"])
def test_a_limit_of_a_list(shop: GroupCaller, limit: str) -> None:
    assert shop.get(f"/full?limit={limit}").error == BAD_ARGUMENTS


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize("marker", ["x", "AAAA", "%00", "!", "Li4v", "_" * 5000, "LzEvMQ", "é", "MQ%3D%3D"])
def test_a_marker_that_is_none(shop: GroupCaller, marker: str) -> None:
    assert shop.get(f"/full?marker={marker}").error == BAD_ARGUMENTS


@pytest.mark.usefixtures("full")
def test_no_marker_and_no_limit_may_be_said_as_nothing(shop: GroupCaller) -> None:
    for query in ("", "?marker=", "?limit=", "?marker=&limit=", "?marker", "?marker=&limit=10&more=1"):
        assert shop.listed("full") == [one["id"] for one in shop.get(f"/full{query}").body["result"]] == ["1"]


def test_a_call_adds_no_more_than_the_settings_say() -> None:
    with serving(memory_ports(ALICE, settings=Settings(batch_pictures=2, group_pictures=3))):
        shop = GroupCaller(ALICE)
        assert shop.post("/g/new", {"data": [one(PICTURE)] * 3}).error == BAD_ARGUMENTS
        assert shop.get().body["result"] == []
        shop.new("g", one(PICTURE), one(PICTURE))
        answer = shop.post("/g/add", {"data": [one(PICTURE), one(PICTURE)]}).body
        assert answer["errors"] == [None, {"code": 400, "message": "group is full"}]


def test_what_is_not_added_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_ADDING_SECONDS", 0.0)
    with serving(memory_ports(ALICE)):
        answer = GroupCaller(ALICE).post("/g/new", {"data": [one(PICTURE)]})
        assert answer.body == {"images": [""], "errors": [{"code": 4000204, "message": "fetch timeout"}]}
        assert GroupCaller(ALICE).get("/g/info").body == {"count": 0}


# -- Who asks ----------------------------------------------------------------------------------------------------------------

EVERY_CALL = [
    ("GET", "/v1/image/group"),
    ("GET", "/v1/image/group/full"),
    ("GET", "/v1/image/group/full/info"),
    ("POST", "/v1/image/group/g/new"),
    ("POST", "/v1/image/group/full/add"),
    ("POST", "/v1/image/group/full/delete"),
    ("POST", "/v1/image/group/full/remove"),
    ("POST", "/v1/image/group/full/image"),
    ("POST", "/v1/image/group/full/search"),
    ("POST", "/v1/image/groups/search"),
]


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize(("method", "target"), EVERY_CALL)
def test_who_does_not_sign_gets_nothing(method: str, target: str) -> None:
    for stranger in (replace(ALICE, secret_key="guessed"), replace(ALICE, access_key="unknown")):
        answer = GroupCaller(stranger).call(method, target, {"data": [one(PICTURE)]})
        assert answer.status == 401
        assert answer.body["error"] == "bad token"
        assert answer.body["error_code"] == "BadToken"


def test_a_disabled_application_is_refused() -> None:
    with serving(memory_ports(replace(ALICE, active=False))):
        assert GroupCaller(ALICE).get().error == (401, 401, "bad token")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/image/groups/search"),
        ("POST", "/v1/image/group"),
        ("PUT", "/v1/image/group/g"),
        ("GET", "/v1/image/group/g/new"),
        ("POST", "/v1/image/group/g/drop"),
        ("POST", "/v1/image/group/a%2Fb/add"),
        ("GET", "/v1/face/group"),
        ("GET", "/v1/"),
        ("GET", "/v1"),
        ("POST", "/v1"),
    ],
)
@pytest.mark.usefixtures("memory")
def test_a_path_that_is_none_of_the_vendors(shop: GroupCaller, method: str, path: str) -> None:
    assert shop.call(method, path, {}).error == (404, 404, "not found")
    assert Answered.of(handle("unknown", event(method, path))).error == (404, 404, "not found")


def test_every_error_of_a_callers_making_has_a_code_of_its_own() -> None:
    ours: set[type[Exception]] = {
        errors.LookalikeError,
        errors.ModelError,
        errors.SettingsError,
        errors.RevisionConflict,
    }
    ours.add(errors.StateError)  # never raised as such
    ours.add(errors.RevisionMismatch)  # no call of this vendor names a revision
    for error in vars(errors).values():
        if isinstance(error, type) and issubclass(error, errors.LookalikeError):
            known = next(kind for kind in error.__mro__ if kind in ERRORS)
            assert (known is Exception) == (error in ours or issubclass(error, errors.Unavailable)), error


# -- Our own failures --------------------------------------------------------------------------------------------------------


class BrokenCatalog(MemoryCatalog):
    """Answers nothing about pictures."""

    def picture(self, key: object) -> Picture | None:
        raise Unavailable("disk full")


class BrokenApplications(MemoryApplications):
    """Knows nobody any more."""

    def application(self, access_key: str) -> None:
        raise ZeroDivisionError


def test_our_own_failures(log_lines: Callable[[], list[dict[str, Any]]]) -> None:
    shop = GroupCaller(ALICE)
    with serving(memory_ports(ALICE, catalog=BrokenCatalog())):
        answer = shop.post("/g/new", {"data": [one(PICTURE, id="1")]})
        assert answer.body == {"images": [""], "errors": [{"code": 5000900, "message": "internal error"}]}
        assert shop.post("/g/image", {"id": "1"}).error == (500, 5000900, "internal error")
    with serving(memory_ports(applications=BrokenApplications())):
        assert shop.get().error == (500, 5000900, "internal error")
    failures = [line for line in log_lines() if line["message"] == "failed"]
    assert [line["exception_name"] for line in failures] == ["ZeroDivisionError"]
    told = [line for line in log_lines() if line["message"] == "answered" and line["level"] == "ERROR"]
    assert [line["reason"] for line in told] == ["store: disk full", "internal error: ZeroDivisionError"]
    (refused,) = [line["refused"] for line in log_lines() if line["message"] == "pictures refused"]
    assert [one["reason"] for one in refused] == ["store: disk full"], (
        "each store's refusal is said without a traceback"
    )


@pytest.mark.usefixtures("memory")
def test_neither_signature_nor_secret_is_logged(log_lines: Callable[[], list[dict[str, Any]]]) -> None:
    GroupCaller(ALICE).get("/unknown")
    GroupCaller(replace(ALICE, secret_key="guessed")).get()
    assert len(log_lines()) == 2
    assert "Qiniu " not in str(log_lines())
    assert ALICE.secret_key not in str(log_lines())
    assert all(line["reqid"] for line in log_lines())
