"""Which input gets which of the vendor's codes, and that none of them changes anything."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from lookalike import errors
from lookalike.handlers.process_ports import serving
from lookalike.ports import Ports
from lookalike.settings import Settings
from tests.support.baidu import OPERATIONS, PATHS, Caller, event, form, handle, picture, said
from tests.support.fakes import MemoryIndex, MemoryWeb, an_error

HERE = picture(1)
FOUR_MEBIBYTES = 4 * 1024 * 1024
NO_PICTURES = {
    "TIFF": picture(2, "TIFF"),
    "WebP": picture(2, "WEBP"),
    "SVG": b'<svg xmlns="http://www.w3.org/2000/svg" width="20" height="20"/>',
    "text": b"no picture at all",
    "truncated JPEG": picture(2, "JPEG", (200, 200))[:-400],
    "truncated PNG": picture(2)[:-40],
    "one byte": b"\0",
}

#: As the vendor's documents have them, double blank and all; 282111 as its service sends it.
MESSAGES = {
    2: "Service temporarily unavailable",
    3: "Unsupported openapi method",
    6: "No permission to access data",
    14: "IAM Certification failed",
    19: "Open api total request limit reached",
    110: "Access token invalid or no longer valid",
    111: "Access token expired",
    216017: "not initialized",
    216100: "invalid param",
    216101: "not enough param",
    216103: "param too long",
    216200: "empty image",
    216201: "image format error",
    216202: "image size error",
    216203: "image size error",
    216680: "item not exist",
    216681: "item exist",
    282000: "internal error",
    282006: "batch task  limit reached",
    282111: "url format illegal",
    282112: "url download timeout",
    282113: "url response invalid",
    282114: "url size error",
}

EVERY = tuple(OPERATIONS)
LOOKING = ("add", "search")
CHANGING = ("update", "delete")
SAYING = ("add", "update")

Fields = dict[str, Any]
Row = tuple[str, tuple[str, ...], tuple[str, ...], Fields, int]

ALL = tuple(PATHS)
TAGGED = ("same_hq", "similar")
PRODUCT = ("product",)

#: What was sent, by which operations, in which libraries, as which fields; and the code. HERE is in every library.
ROWS: list[Row] = [
    ("no picture named", EVERY, ALL, {"brief": "b"}, 216101),
    ("only a sign, where none is taken", LOOKING, ALL, {"brief": "b", "cont_sign": "1,2"}, 216101),
    ("signs, and none in them", CHANGING, ALL, {"cont_sign": " ; "}, 216101),
    ("image empty", EVERY, ALL, {"image": ""}, 216200),
    ("image of line breaks", EVERY, ALL, {"image": "\r\n", "brief": "b"}, 216200),
    ("image of a head alone", EVERY, ALL, {"image": "data:image/png;base64,", "brief": "b"}, 216200),
    ("everything empty", EVERY, ALL, dict.fromkeys(("image", "url", "cont_sign", "brief"), ""), 216200),
    ("not base64", EVERY, ALL, {"image": "?!", "brief": "b"}, 216203),
    ("not base64: a file as it is", EVERY, ALL, {"image": picture(2).decode("latin-1"), "brief": "b"}, 216203),
    ("not base64: cut short", EVERY, ALL, {"image": "AAAAA", "brief": "b"}, 216203),
    *((f"no picture: {name}", EVERY, ALL, {"image": file, "brief": "b"}, 216201) for name, file in NO_PICTURES.items()),
    ("a side too short", EVERY, ALL, {"image": picture(2, size=(100, 14)), "brief": "b"}, 216202),
    ("a side too long", EVERY, ALL, {"image": picture(2, size=(4097, 20)), "brief": "b"}, 216202),
    ("too much base64", EVERY, ALL, {"image": "A" * (FOUR_MEBIBYTES + 4), "brief": "b"}, 216202),
    ("brief missing", ("add",), TAGGED, {"image": picture(2)}, 216101),
    ("brief empty", ("add",), TAGGED, {"image": picture(2), "brief": ""}, 216101),
    ("brief too long", SAYING, ALL, {"image": HERE, "brief": "b" * 257}, 216103),
    ("brief too long in UTF-8", SAYING, ALL, {"image": HERE, "brief": "图" * 86}, 216103),
    ("brief that is no text", SAYING, ALL, {"image": HERE, "brief": "\0"}, 216100),
    *(
        (f"tags {tags!r}", ("add", "search", "update"), TAGGED, {"image": HERE, "brief": "b", "tags": tags}, 216100)
        for tags in ("1,2,3", "1,1,1", "0", "65536", "-1", "a", "1;2", "1.0", "１", "1 2", "9" * 30)
    ),
    *(
        (f"{name} {value!r}", ("add", "search", "update"), PRODUCT, {"image": HERE, name: value}, 216100)
        for name in ("class_id1", "class_id2")
        for value in ("0", "65536", "-1", "a", "1,2", "1.0")
    ),
    *(
        (f"tag_logic {value!r}", ("search",), ALL, {"image": HERE, "tags": "1", "tag_logic": value}, 216100)
        for value in ("2", "-1", "and", "true", "0.0")
    ),
    *((f"pn {value!r}", ("search",), ALL, {"image": HERE, "pn": value}, 216100) for value in ("-1", "a", "1.5", "1e2")),
    *((f"rn {value!r}", ("search",), ALL, {"image": HERE, "rn": value}, 216100) for value in ("0", "-1", "a", "1.5")),
    ("several signs", ("update",), ALL, {"cont_sign": "1,2;3,4", "brief": "b"}, 216100),
    ("there already", ("add",), ALL, {"image": HERE, "brief": "other"}, 216681),
    ("picture not there", CHANGING, ALL, {"image": picture(3), "brief": "b"}, 216680),
    ("picture not there, nothing to change", ("update",), ALL, {"image": picture(3)}, 216680),
    *(
        (f"sign {sign!r} not there", CHANGING, ALL, {"cont_sign": sign, "brief": "b"}, 216680)
        for sign in ("1,2", "8cnn32frvrr2cd901", "932301884,10680062193", "1,2,3", ",", "图", "9" * 5000, "-1,2")
    ),
    ("signs, none there", ("delete",), ALL, {"cont_sign": "1,2;3,4"}, 216680),
    ("too many signs", ("delete",), ALL, {"cont_sign": ";".join(f"{n},1" for n in range(1001))}, 282006),
    ("url empty", EVERY, ALL, {"url": "", "brief": "b"}, 282114),
    ("url too long", EVERY, ALL, {"url": "http://a.example/" + "a" * 1008, "brief": "b"}, 282114),
    ("url too long in UTF-8", EVERY, ALL, {"url": "http://a.example/" + "图" * 336, "brief": "b"}, 282114),
    ("url illegal", EVERY, ALL, {"url": "http://illegal.example/", "brief": "b"}, 282111),
    ("url unreachable", EVERY, ALL, {"url": "http://unreachable.example/", "brief": "b"}, 282112),
    ("url too slow", EVERY, ALL, {"url": "http://slow.example/", "brief": "b"}, 282112),
    ("url not found", EVERY, ALL, {"url": "http://missing.example/", "brief": "b"}, 282113),
    ("url of no picture", EVERY, ALL, {"url": "http://text.example/", "brief": "b"}, 216201),
    ("url of a small picture", EVERY, ALL, {"url": "http://small.example/", "brief": "b"}, 216202),
    ("url of nothing", EVERY, ALL, {"url": "http://empty.example/", "brief": "b"}, 216200),
]

WEB: dict[str, bytes | Exception] = {
    "http://illegal.example/": errors.UrlIllegal("private"),
    "http://unreachable.example/": errors.UrlUnreachable("refused"),
    "http://slow.example/": errors.UrlTimeout("slow"),
    "http://missing.example/": errors.UrlAnswerError("404"),
    "http://text.example/": b"<html>",
    "http://small.example/": picture(2, size=(14, 14)),
    "http://empty.example/": b"",
}


@pytest.fixture
def stocked(memory: Ports, web: MemoryWeb, alice: Caller) -> Ports:
    """HERE is in every library of one tenant; the web has what WEB says."""
    web.answers |= WEB
    for library in PATHS:
        alice.add(library, HERE, tags="1,2", class_id1=1)
    return memory


def state(ports: Ports) -> Any:
    """All that a request could have changed."""
    stores: Any = ports
    rows = [{key: row.revision for key, row in store.rows.items()} for store in (stores.catalog, stores.index)]
    return rows, sorted(stores.originals.files), sorted(stores.maps.files), dict(stores.catalog.by_name)


CASES = [
    pytest.param(library, operation, fields, code, id=f"{library} {operation}: {what}")
    for what, operations, libraries, fields, code in ROWS
    for operation in operations
    for library in libraries
]


@pytest.mark.parametrize(("library", "operation", "fields", "code"), CASES)
def test_code(stocked: Ports, alice: Caller, library: str, operation: str, fields: Fields, code: int) -> None:
    before = state(stocked)
    answer = alice.call(library, operation, **fields)
    assert answer == {"error_code": code, "error_msg": MESSAGES[code], "log_id": answer["log_id"]}
    assert state(stocked) == before


@pytest.mark.usefixtures("stocked")
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b'{"image": '),
        ("application/json", b'{"image": {"a": 1}}'),
        ("multipart/form-data; boundary=x", b"--x\r\nno part"),
        ("", b"&".join(b"f%d=1" % number for number in range(101))),
    ],
)
def test_bodies_that_cannot_be_read(alice: Caller, operation: str, content_type: str, body: bytes) -> None:
    assert alice.post("similar", operation, body, content_type)["error_code"] == 216100


@pytest.mark.usefixtures("stocked")
@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_event_whose_base64_is_broken(alice: Caller, operation: str) -> None:
    sent = event("POST", f"{PATHS['similar']}/{operation}", query=f"access_token={alice.token}")
    assert said(handle(operation, {**sent, "body": "!"}))["error_code"] == 216100


#: Not only what the table above brings about, but every error there is.
CODES = {
    errors.Unavailable: 2,
    errors.RevisionConflict: 2,
    errors.UnknownOperation: 3,
    errors.ApplicationDisabled: 6,
    errors.SignatureInvalid: 14,
    errors.LibraryFull: 19,
    errors.TokenInvalid: 110,
    errors.TokenExpired: 111,
    errors.LibraryNotFound: 216017,
    errors.InvalidArgument: 216100,
    errors.SignAmbiguous: 216100,
    errors.MissingArgument: 216101,
    errors.ArgumentTooLong: 216103,
    errors.EmptyPicture: 216200,
    errors.NotAPicture: 216201,
    errors.PictureSizeError: 216202,
    errors.BadEncoding: 216203,
    errors.PictureNotFound: 216680,
    errors.PictureExists: 216681,
    errors.TooManyItems: 282006,
    errors.UrlIllegal: 282111,
    errors.UrlUnreachable: 282112,
    errors.UrlTimeout: 282112,
    errors.UrlAnswerError: 282113,
    errors.UrlLengthError: 282114,
    errors.ModelError: 282000,
    errors.LookalikeError: 282000,
    ZeroDivisionError: 282000,
    MemoryError: 282000,
}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("error", CODES, ids=lambda error: error.__name__)
def test_every_error_has_its_code(
    memory: Ports,
    alice: Caller,
    monkeypatch: pytest.MonkeyPatch,
    log_lines: Callable[[], list[dict[str, Any]]],
    error: type[Exception],
    operation: str,
) -> None:
    def fail(*_: object) -> None:
        raise an_error(error, "inside")

    monkeypatch.setattr(memory.catalog, "library", fail)
    answer = alice.call("similar", operation, image=HERE, brief="b")
    assert (answer["error_code"], answer["error_msg"]) == (CODES[error], MESSAGES[CODES[error]])
    assert "inside" not in json.dumps(answer)
    *tracebacks, line = log_lines()
    assert line["outcome"] == error.__name__
    assert line.get("log_id") == answer.get("log_id", line["log_id"])
    assert len(tracebacks) == (CODES[error] in (2, 282000) and not issubclass(error, errors.Unavailable))
    assert line["level"] == ("ERROR" if CODES[error] in (2, 282000) else "INFO")
    assert all("inside" in one["exception"] and one["log_id"] == line["log_id"] for one in tracebacks)


@pytest.mark.usefixtures("stocked")
def test_the_largest_picture_is_taken(alice: Caller) -> None:
    """Longest base64 and longest side there may be; a picture's file may hold more than its picture."""
    file = picture(4, size=(4096, 15))
    padded = file + b"\0" * (FOUR_MEBIBYTES // 4 * 3 - len(file))
    assert len(base64.b64encode(padded)) == FOUR_MEBIBYTES
    sign = alice.add("similar", padded)
    lower_case = form(image=padded).replace(b"%2B", b"%2b").replace(b"%3D", b"%3d")
    assert alice.post("similar", "search", lower_case)["result"][0]["cont_sign"] == sign


@pytest.mark.usefixtures("stocked")
def test_an_index_that_is_down(alice: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the catalog has taken is safe, so writes succeed; only searches cannot be answered."""

    def fail(*_: object, **__: object) -> None:
        raise errors.Unavailable("index")

    monkeypatch.setattr(MemoryIndex, "write", fail)
    monkeypatch.setattr(MemoryIndex, "search", fail)
    sign = alice.add("similar", picture(5))
    assert alice.call("similar", "search", image=HERE)["error_code"] == 2
    assert "error_code" not in alice.call("similar", "update", cont_sign=sign, brief="new")
    assert "error_code" not in alice.call("similar", "delete", cont_sign=sign)


@pytest.mark.usefixtures("stocked")
def test_only_a_failure_of_ours_is_counted_as_one(
    memory: Ports, alice: Caller, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    counting = replace(memory, settings=replace(memory.settings, metrics=True))

    def fail(*_: object, **__: object) -> None:
        raise errors.Unavailable("index")

    monkeypatch.setattr(MemoryIndex, "search", fail)
    with serving(counting):
        assert alice.call("similar", "search", image=HERE)["error_code"] == 2
        assert alice.call("similar", "search", image=b"no picture")["error_code"] == 216201
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["trigger"] for line in lines if "Failures" in line] == ["request"]


class TestSettings:
    def test_brief_not_required(self, memory: Ports, alice: Caller) -> None:
        with serving(replace(memory, settings=Settings(brief_required=False))):
            for library in PATHS:
                assert "cont_sign" in alice.call(library, "add", image=HERE)
                assert alice.briefs(library, HERE) == [""]

    def test_min_side(self, memory: Ports, alice: Caller) -> None:
        with serving(replace(memory, settings=Settings(min_side=50))):
            assert alice.call("product", "add", image=picture(1, size=(49, 60)))["error_code"] == 216202
            assert "cont_sign" in alice.call("product", "add", image=picture(1, size=(50, 60)))
