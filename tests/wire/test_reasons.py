"""Every refusal says in the log which field it is about, what is wrong with it, and what helps; and nothing secret."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from lookalike import errors
from lookalike.domain.application import Policy
from lookalike.download.fetcher import SafeFetcher
from lookalike.errors import LookalikeError, Unavailable
from lookalike.handlers.process_ports import serving
from lookalike.observability import error_fields, printable
from lookalike.ports import Ports
from lookalike.settings import Settings
from tests.conftest import ALICE
from tests.support.baidu import FORM, PATHS, Caller, event, handle, picture
from tests.support.fakes import MemoryApplications, MemoryCatalog, SetClock, an_error, memory_ports, with_stores
from tests.support.jumdata import Client
from tests.support.native import NativeCaller
from tests.support.qiniu import GROUP, GroupCaller, one, sign, uri

Lines = Callable[[], list[dict[str, Any]]]

HERE, OTHER, SMALL = picture(1, size=(40, 40)), picture(2, size=(40, 40)), picture(3, size=(14, 14))
NOW = 1_767_323_045


@pytest.fixture(autouse=True)
def ports() -> Iterator[Ports]:
    """HERE is in every library and in the group shop. URLs are really looked at, and lead nowhere."""
    fetch = SafeFetcher(seconds=0.2, resolve=lambda _host: ["10.1.2.3"])
    built = memory_ports(ALICE, fetch=fetch, clock=SetClock(NOW * 1000))
    with serving(built):
        for library in PATHS:
            Caller(ALICE).add(library, HERE)
        Client(ALICE).input(HERE)
        GroupCaller(ALICE).new("shop", one(HERE, id="1"))
        yield built


def refused(lines: Lines) -> dict[str, Any]:
    """The last request's line, which says why it was refused."""
    line = [line for line in lines() if line["message"] == "answered"][-1]
    assert line["outcome"] != "ok"
    assert line["reason"].isprintable()
    assert len(line["reason"]) <= 300
    return line


def says(lines: Lines, field: str, *words: str) -> None:
    """The last refusal's reason begins with that field, and it and its remedy have these words in them."""
    line = refused(lines)
    said = f"{line['reason']} | {line.get('remedy', '')}"
    assert line["reason"].startswith(f"{field}: "), said
    assert [word for word in words if word not in said] == [], said


# -- Baidu --------------------------------------------------------------------------------------------------------------

BAIDU: list[tuple[str, str, dict[str, Any], str, tuple[str, ...]]] = [
    ("similar", "search", {"image": HERE, "tags": "red"}, "tags", ("whole number", "65535")),
    ("similar", "search", {"image": HERE, "tags": "1,2,3"}, "tags", ("2",)),
    ("product", "search", {"image": HERE, "class_id1": "0"}, "class_id1", ("1", "65535")),
    ("similar", "search", {"image": HERE, "rn": "abc"}, "rn", ("whole number", "1 or more")),
    ("similar", "search", {"image": HERE, "pn": "-4"}, "pn", ("whole number", "0 or more")),
    ("similar", "search", {"image": HERE, "tag_logic": "2"}, "tag_logic", ("from 0 to 1",)),
    ("similar", "search", {"url": "http://10.0.0.7/a.jpg"}, "url", ("10.0.0.7", "LOOKALIKE_FETCH_ALLOW")),
    ("similar", "search", {"url": "http://in.house/a.jpg"}, "url", ("in.house", "10.1.2.3", "LOOKALIKE_FETCH_ALLOW")),
    ("similar", "search", {"url": "ftp://a.example/a.jpg"}, "url", ("http://",)),
    ("similar", "search", {"url": "http://a.example:22/"}, "url", ("port 22", "80, 443")),
    ("similar", "search", {"url": "http://a.example/" + "a" * 1100}, "url", ("1024 bytes",)),
    ("similar", "search", {"url": ""}, "url", ("empty",)),
    ("similar", "search", {}, "image", ("missing",)),
    ("similar", "search", {"image": ""}, "image", ("empty",)),
    ("similar", "search", {"image": "?!"}, "image", ("base64",)),
    ("similar", "search", {"image": b"no picture"}, "image", ("JPEG",)),
    ("similar", "search", {"image": SMALL}, "image", ("14×14", "15", "4096")),
    ("similar", "add", {"image": OTHER}, "brief", ("missing", "LOOKALIKE_BRIEF_REQUIRED")),
    ("similar", "add", {"image": OTHER, "brief": "b" * 257}, "brief", ("256 bytes",)),
    ("similar", "add", {"image": OTHER, "brief": "\0"}, "brief", ("NUL",)),
    ("similar", "add", {"image": HERE, "brief": "b"}, "picture", ("already",)),
    ("similar", "update", {"image": OTHER, "brief": "b"}, "picture", ("not in the library",)),
    ("similar", "update", {"cont_sign": "1,2;3,4", "brief": "b"}, "cont_sign", ("more than one",)),
    ("similar", "delete", {"cont_sign": "1,2"}, "picture", ("not in the library",)),
    ("similar", "delete", {"cont_sign": "1,2;" * 1001}, "cont_sign", ("1000",)),
]


@pytest.mark.parametrize(("library", "operation", "fields", "field", "words"), BAIDU)
def test_baidu(
    log_lines: Lines, library: str, operation: str, fields: dict[str, Any], field: str, words: tuple[str, ...]
) -> None:
    assert "error_code" in Caller(ALICE).call(library, operation, **fields)
    says(log_lines, field, *words)


@pytest.mark.parametrize(
    ("content_type", "body", "words"),
    [
        ("application/json", b'{"image": ', "JSON"),
        ("multipart/form-data; boundary=x", b"--x\r\nno part", "multipart"),
        (FORM, b"&".join(b"f%d=1" % number for number in range(101)), "100 fields"),
    ],
)
def test_baidu_bodies(log_lines: Lines, content_type: str, body: bytes, words: str) -> None:
    Caller(ALICE).post("similar", "search", body, content_type)
    says(log_lines, "body", words)


def test_baidu_paths_are_not_repeated(log_lines: Lines) -> None:
    token = Caller(ALICE).token
    handle("unknown", event("POST", f"/rest/2.0/{token}", query=f"access_token={token}"))
    says(log_lines, "path", "no such operation")
    assert token not in json.dumps(log_lines())


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("", ("missing", "/oauth/2.0/token")),
        ("access_token=abc", ("form", "/oauth/2.0/token")),
        (f"access_token=24.{'0' * 32}.2592000.1999999999.000000-99", ("app id",)),
        (f"access_token=24.{'0' * 32}.2592000.1999999999.000000-10000001", ("secret key",)),
    ],
)
def test_tokens(log_lines: Lines, query: str, words: tuple[str, ...]) -> None:
    Caller(ALICE).post("similar", "search", b"", query=query)
    says(log_lines, "access_token", *words)


def test_an_expired_token(ports: Ports, log_lines: Lines) -> None:
    with serving(replace(ports, clock=SetClock((NOW + 40 * 86_400) * 1000))):
        Caller(ALICE).call("similar", "search")
    says(log_lines, "access_token", "30 days", "10000001", "/oauth/2.0/token")


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("bce-auth-v1/alice-access", ("form", "signed headers")),
        ("bce-auth-v1/alice-access/2026-01-01T13:04:05Z/1800/host/00", ("14 h behind", "1800 s", "clock")),
        ("bce-auth-v1/alice-access/2026-01-02T04:04:05Z/1800/host/00", ("60 min ahead", "clock")),
        ("bce-auth-v1/alice-access/yesterday/1800/host/00", ("2006-01-02T15:04:05Z",)),
        ("bce-auth-v1/alice-access/2026-01-02T03:04:05Z/ever/host/00", ("seconds",)),
        ("bce-auth-v1/alice-access/2026-01-02T03:04:05Z/1800/x-bce-date/00", ("host",)),
        ("bce-auth-v1/stranger/2026-01-02T03:04:05Z/1800/host/00", ("access key", "lookalike keys list")),
        ("bce-auth-v1/alice-access/2026-01-02T03:04:05Z/1800/host/00", ("example.com", "LOOKALIKE_PUBLIC_HOSTS")),
    ],
)
def test_bce_signatures(log_lines: Lines, header: str, words: tuple[str, ...]) -> None:
    handle("search", event("POST", f"{PATHS['similar']}/search", headers={"authorization": header}))
    says(log_lines, "authorization", *words)


@pytest.mark.parametrize(
    ("method", "query", "field", "words"),
    [
        ("PUT", "", "path", ("method",)),
        ("GET", "grant_type=password", "grant_type", ("client_credentials",)),
        ("GET", "grant_type=client_credentials", "client_id", ("missing",)),
        ("GET", "grant_type=client_credentials&client_id=x&client_secret=y", "client_id", ("lookalike keys list",)),
        ("GET", "grant_type=client_credentials&client_id=alice-access&client_secret=y", "client_secret", ("secret",)),
        ("GET", "client_id=%00", "client_id", ("NUL",)),
    ],
)
def test_the_token_endpoint(log_lines: Lines, method: str, query: str, field: str, words: tuple[str, ...]) -> None:
    handle("token", event(method, "/oauth/2.0/token", query=query))
    says(log_lines, field, *words)


def test_a_token_for_an_application_that_is_switched_off(ports: Ports, log_lines: Lines) -> None:
    query = "grant_type=client_credentials&client_id=alice-access&client_secret=alice-secret"
    with serving(with_stores(ports, applications=MemoryApplications(replace(ALICE, active=False)))):
        handle("token", event("GET", "/oauth/2.0/token", query=query))
    says(log_lines, "application", "switched off", "--enable")
    assert refused(log_lines)["app_id"] == ALICE.app_id


# -- What an application may do -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "settings", "field", "words"),
    [
        (Policy(networks=("192.0.2.0/24",)), Settings(), "address", ("203.0.113.9", "--from")),
        (Policy(per_second=1), Settings(), "per_second", ("more than 1", "--per-second")),
        (Policy(per_day=1), Settings(), "per_day", ("more than 1", "--per-day")),
        (Policy(in_total=1), Settings(), "in_total", ("more than 1", "--in-total")),
        (Policy(), Settings(per_second=1), "LOOKALIKE_PER_SECOND", ("more than 1",)),
    ],
)
@pytest.mark.parametrize("dialect", ["baidu", "jumdata", "qiniu"])
def test_limits(
    ports: Ports,
    log_lines: Lines,
    policy: Policy,
    settings: Settings,
    field: str,
    words: tuple[str, ...],
    dialect: str,
) -> None:
    applications = MemoryApplications(replace(ALICE, policy=policy))
    calls: dict[str, Callable[[], object]] = {
        "baidu": lambda: Caller(ALICE).call("similar", "search", image=HERE),
        "jumdata": lambda: Client(ALICE).call("search", base64=HERE),
        "qiniu": lambda: GroupCaller(ALICE).get(),
    }
    with serving(replace(with_stores(ports, applications=applications), settings=settings)):
        for _ in range(2):
            calls[dialect]()
    says(log_lines, field, *words)


# -- Jumdata ------------------------------------------------------------------------------------------------------------

JUMDATA: list[tuple[str, dict[str, Any], str, tuple[str, ...]]] = [
    ("search", {"base64": HERE, "start": "-1"}, "start", ("whole number", "0 or more")),
    ("search", {"base64": HERE, "end": "all"}, "end", ("whole number", "1 or more")),
    ("search", {}, "base64", ("empty",)),
    ("search", {"base64": "?!"}, "base64", ("base64",)),
    ("search", {"base64": b"no picture"}, "base64", ("JPEG",)),
    ("search", {"base64": SMALL}, "base64", ("14×14", "15")),
    ("search", {"url": "http://10.0.0.7/"}, "url", ("10.0.0.7", "LOOKALIKE_FETCH_ALLOW")),
    ("search", {"url": "http://a.example/" + "a" * 2048}, "url", ("2048 bytes",)),
    ("input", {"base64": OTHER, "description": "d" * 65}, "description", ("64 bytes",)),
    ("input", {"base64": HERE}, "picture", ("already",)),
    ("delete", {}, "contSign", ("missing",)),
    ("delete", {"contSign": "a," * 1001}, "contSign", ("1000",)),
    ("delete", {"contSign": "MSwy"}, "picture", ("not in the library",)),
    ("search", {"appId": None}, "appId", ("missing",)),
    ("search", {"appId": "99"}, "appId", ("lookalike keys list",)),
    ("search", {"timestamp": "now"}, "timestamp", ("milliseconds",)),
    ("search", {"sign": "00"}, "sign", ("secret key",)),
    ("find", {}, "path", ("no such operation",)),
]


@pytest.mark.parametrize(("operation", "fields", "field", "words"), JUMDATA)
def test_jumdata(log_lines: Lines, operation: str, fields: dict[str, Any], field: str, words: tuple[str, ...]) -> None:
    assert Client(ALICE).call(operation, **fields)["code"] != 200
    says(log_lines, field, *words)


def test_a_clock_that_is_off(log_lines: Lines) -> None:
    Client(ALICE, now=(NOW - 14 * 3600) * 1000).call("search", base64=HERE)
    says(log_lines, "timestamp", "14 h behind", "15 minutes", "clock")


# -- Qiniu --------------------------------------------------------------------------------------------------------------


def searching(**params: Any) -> dict[str, Any]:
    return {"data": {"uri": uri(HERE)}, "params": {"groups": ["shop"], **params}}


SEARCH = "/v1/image/groups/search"
QINIU: list[tuple[str, str, Any, str, tuple[str, ...]]] = [
    ("POST", SEARCH, searching(limit="a"), "limit", ("whole number",)),
    ("POST", SEARCH, searching(limit=10_001), "limit", ("10000",)),
    ("POST", SEARCH, searching(threshold="a"), "threshold", ("from 0 to 1",)),
    ("POST", SEARCH, searching(threshold=2), "threshold", ("from 0 to 1",)),
    ("POST", SEARCH, searching(groups="shop"), "groups", ("list",)),
    ("POST", SEARCH, searching(groups=[]), "groups", ("empty",)),
    ("POST", SEARCH, searching(groups=["a", "b", "c"]), "groups", ("2",)),
    ("POST", SEARCH, searching(groups=["none"]), "group", ("none", "same tenant")),
    ("POST", SEARCH, {"params": {"groups": ["shop"]}}, "uri", ("missing",)),
    ("POST", SEARCH, {**searching(), "data": {"uri": "ftp://a"}}, "uri", ("http:",)),
    ("POST", SEARCH, {**searching(), "data": {"uri": "http://10.0.0.7/"}}, "uri", ("LOOKALIKE_FETCH_ALLOW",)),
    ("POST", SEARCH, {**searching(), "data": {"uri": "http://a/" + "a" * 4096}}, "uri", ("4096 bytes",)),
    ("POST", SEARCH, {**searching(), "data": {"uri": uri(SMALL)}}, "uri", ("14×14", "30", "4999")),
    ("POST", SEARCH, {**searching(), "data": {"uri": uri(b"no picture")}}, "uri", ("JPEG",)),
    ("POST", SEARCH, {**searching(), "data": {"uri": "data:;base64,?!"}}, "uri", ("base64",)),
    ("POST", SEARCH, b"{", "body", ("JSON",)),
    ("POST", f"{GROUP}/shop/new", {"data": []}, "group", ("shop", "exists already")),
    ("POST", f"{GROUP}/shop/add", {"data": {}}, "data", ("list",)),
    ("POST", f"{GROUP}/shop/add", {"data": [{}] * 101}, "data", ("100", "LOOKALIKE_BATCH_PICTURES")),
    ("POST", f"{GROUP}/a%20b/new", {"data": []}, "group", ("128",)),
    ("POST", f"{GROUP}/shop/delete", {}, "images", ("list",)),
    ("POST", f"{GROUP}/shop/delete", {"images": ["a"] * 1001}, "images", ("1000",)),
    ("POST", f"{GROUP}/shop/image", {"id": "2"}, "picture", ("2",)),
    ("GET", f"{GROUP}/shop?limit=0", None, "limit", ("from 1 to 1000",)),
    ("GET", f"{GROUP}/shop?marker=a", None, "marker", ("list",)),
    ("GET", "/v1/other", None, "path", ("no such operation",)),
]


@pytest.mark.parametrize(("method", "target", "body", "field", "words"), QINIU)
def test_qiniu(log_lines: Lines, method: str, target: str, body: Any, field: str, words: tuple[str, ...]) -> None:
    assert GroupCaller(ALICE).call(method, target, body).status >= 400
    says(log_lines, field, *words)


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({}, ("Qiniu <access key>:<sign>",)),
        ({"authorization": "Qiniu stranger:AAAA"}, ("access key", "lookalike keys list")),
        ({"authorization": "Qiniu alice-access:AAAA"}, ("example.com", "LOOKALIKE_PUBLIC_HOSTS")),
        (
            {"authorization": "Qiniu alice-access:AAAA", "x-qiniu-date": "20260101T130405Z"},
            ("X-Qiniu-Date", "14 h behind", "clock"),
        ),
    ],
)
def test_qiniu_signatures(log_lines: Lines, headers: dict[str, str], words: tuple[str, ...]) -> None:
    handle("groups", event("GET", GROUP, headers=headers))
    says(log_lines, "authorization", *words)


def test_pictures_of_a_batch(log_lines: Lines) -> None:
    """One line a call, however many pictures are refused: each reason once, with how many and where the first is."""
    elements = [
        one(OTHER, id="2"),
        *[one(SMALL, id=f"s{number}") for number in range(40)],
        one(HERE, id="1"),
        one(picture(4, size=(40, 40)), id="3", desc="d" * 4097),
        one("http://10.0.0.7/", id="4"),
        *[one(f"http://10.0.1.{number}/") for number in range(40)],
    ]
    answer = GroupCaller(ALICE).post("/shop/add", {"data": elements})
    assert sum(error is not None for error in answer.body["errors"]) == 83
    (line,) = [line for line in log_lines() if line["message"] == "pictures refused"]
    assert (line["library"], line["request_id"], len(line["refused"])) == ("shop", "request-1", 20)
    small, there, long, private, *_ = line["refused"]
    assert small["reason"].startswith("uri: 14×14")
    assert (small["outcome"], small["pictures"], small["first"]) == ("PictureSizeError", 40, 1)
    assert there["reason"].startswith("picture: the library already holds")
    assert (long["reason"], long["first"]) == ("desc: more than 4096 bytes", 42)
    assert "LOOKALIKE_FETCH_ALLOW" in private["remedy"]


def test_rows_of_a_bulk_call(log_lines: Lines) -> None:
    rows = [{"id": "a", "url": "http://10.0.0.7/"}, {"op": "delete", "id": "none"}, {"op": "delete", "id": "nobody"}]
    assert _bulk(rows)["refused"] == 3
    (line,) = [line for line in log_lines() if line["message"] == "pictures refused"]
    said = [(one["outcome"], one["pictures"], one["first"]) for one in line["refused"]]
    assert (line["library"], said) == ("shop", [("UrlNotPublic", 1, 1), ("PictureNotFound", 2, 2)])
    assert "LOOKALIKE_FETCH_ALLOW" in line["refused"][0]["remedy"]


def test_a_store_that_is_away_within_a_bulk_call_is_named_and_counted(
    monkeypatch: pytest.MonkeyPatch, log_lines: Lines, capsys: pytest.CaptureFixture[str], ports: Ports
) -> None:
    def away(*_: object) -> None:
        raise Unavailable("DynamoDB: timed out")

    monkeypatch.setattr(MemoryCatalog, "put", away)
    measured = replace(ports, settings=replace(ports.settings, metrics=True))
    with serving(measured):
        rows = [{"id": f"n{number}", "base64": base64.b64encode(picture(number + 5)).decode()} for number in range(3)]
        assert _bulk(rows)["unfinished"] == 3
    (line,) = [line for line in log_lines() if line["message"] == "pictures refused"]
    (refused,) = line["refused"]
    assert (refused["outcome"], refused["pictures"], refused["first"]) == ("Unavailable", 3, 1)
    assert "DynamoDB: timed out" in refused["reason"]
    failures = [json.loads(said)["Failures"] for said in capsys.readouterr().out.splitlines() if '"Failures"' in said]
    assert failures == [[1.0]] * 3


def test_a_fault_of_ours_in_a_row_leaves_the_others_alone_and_has_its_traceback(
    monkeypatch: pytest.MonkeyPatch, log_lines: Lines
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("lookalike.wire.native.bulk.delete", broken)
    totals = _bulk([{"op": "delete", "id": "1"}, {"op": "update", "id": "1", "brief": "x"}])
    assert (totals["ok"], totals["refused"]) == (1, 1)
    (failed,) = [line for line in log_lines() if line["message"] == "failed"]
    assert "ZeroDivisionError" in failed["exception"]
    (line,) = [line for line in log_lines() if line["message"] == "pictures refused"]
    assert line["refused"][0]["outcome"] == "ZeroDivisionError"


def _bulk(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Send rows; the totals."""
    body = b"\n".join(json.dumps(row).encode() for row in rows)
    return dict(NativeCaller(ALICE).call("POST", "/libraries/shop/bulk", body=body).lines[-1])


# -- Our own failures ---------------------------------------------------------------------------------------------------


def test_a_store_that_is_away_is_named(ports: Ports, monkeypatch: pytest.MonkeyPatch, log_lines: Lines) -> None:
    def away(*_: object) -> None:
        raise Unavailable("DynamoDB: timed out")

    monkeypatch.setattr(MemoryCatalog, "library", away)
    for call in (
        lambda: Caller(ALICE).call("similar", "search", image=HERE),
        lambda: Client(ALICE).call("search", base64=HERE),
        lambda: GroupCaller(ALICE).get("/shop"),
    ):
        call()
        says(log_lines, "store", "DynamoDB: timed out")
    assert ports


def test_what_nobody_expected_is_named_by_its_class_alone(monkeypatch: pytest.MonkeyPatch, log_lines: Lines) -> None:
    def fail(*_: object) -> None:
        raise KeyError("something secret")

    monkeypatch.setattr(MemoryCatalog, "library", fail)
    Caller(ALICE).call("similar", "search", image=HERE)
    assert refused(log_lines)["reason"] == "internal error: KeyError"


def test_every_error_of_ours_has_a_field_and_says_something() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, LookalikeError)]
    general = {LookalikeError, errors.ModelError, errors.SettingsError, errors.StateError, errors.LimitReached}
    for kind in kinds:
        if kind not in general | {errors.IndexWriteError}:
            error = an_error(kind, "name")
            assert isinstance(error, LookalikeError)
            assert error.explanation.startswith(f"{error.field}: ")
            assert error.field


# -- Nothing secret, nothing that harms a reader ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["a\nb", "a\r\x1b[31mb", "a\x9b31m", "a\u2028b", "a\u202eb", "a\0b", "a\udc80b", "\ufeff"],
    ids=ascii,
)
def test_one_line_of_printable_characters(text: str) -> None:
    assert printable(text).isprintable()
    assert printable(text).encode()


def test_a_line_is_cut() -> None:
    assert len(printable("x" * 10**6)) == 300
    assert len(printable("\x1b" * 10**6)) == 300


@pytest.mark.parametrize(
    "text",
    [
        f"group {Caller(ALICE).token} not there",
        "Qiniu alice-access:" + sign("alice-secret", "text"),
        "bce-auth-v1/alice-access/2026-01-02T03:04:05Z/1800/host/00",
    ],
    ids=["token", "Qiniu", "bce-auth-v1"],
)
def test_secrets_are_blotted_out(text: str) -> None:
    assert "…" in printable(text)
    assert not any(secret in printable(text) for secret in (Caller(ALICE).token, "alice-access", "10000001"))


def test_a_token_for_a_groups_name_is_not_logged(log_lines: Lines) -> None:
    token = Caller(ALICE).token
    assert GroupCaller(ALICE).post(f"/{token}/info").status == 404
    assert GroupCaller(ALICE).get(f"/{token}/info").status == 400
    says(log_lines, "group", "…")
    assert token not in json.dumps(log_lines())


def test_no_picture_is_logged(log_lines: Lines) -> None:
    for operation in ("update", "delete"):
        Caller(ALICE).call("similar", operation, image=OTHER, brief="b")
    assert "PNG" not in json.dumps(log_lines())
    assert error_fields(errors.PictureNotFound("a")) == {"reason": "picture: not in the library: a"}


def test_a_reason_has_no_room_for_a_forged_line(log_lines: Lines) -> None:
    GroupCaller(ALICE).post("/shop/image", {"id": 'x\n{"level":"ERROR","message":"forged"}'})
    assert '\\n{"level"' in refused(log_lines)["reason"]
