"""The Jumdata dialect: what its clients send and depend on, and every row of its table of codes."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike import errors
from lookalike.domain.library import Kind
from lookalike.domain.picture import digest_prefix, sign_of
from lookalike.errors import UrlAnswerError, UrlIllegal, UrlTimeout, UrlUnreachable
from lookalike.handlers.process_ports import serving
from lookalike.ports import Ports
from lookalike.wire.jumdata import sign_codec
from lookalike.wire.jumdata.errors import ERRORS
from tests.conftest import ALICE, BOB
from tests.support.baidu import Caller, event, handle, picture
from tests.support.fakes import MemoryWeb, SetClock, memory_ports
from tests.support.jumdata import FUNCTIONS, PLACE, Client, signed

HERE, OTHER = picture(1), picture(2)
NOTHING_GIVEN = {"code": 400, "msg": "url和base64不能同时为空!"}


@pytest.fixture
def client(memory: Ports) -> Client:
    """A client whose library holds HERE."""
    one = Client(ALICE)
    one.input(HERE, description="here")
    return one


def state(ports: Ports) -> list[tuple[str, int]]:
    """All that is kept."""
    batches = [rows for kind in Kind for rows in ports.catalog.scan(kind)]
    return sorted((row.key.id, row.revision) for rows in batches for row in rows)


def test_the_vendors_own_example_of_a_signature() -> None:
    digest = "6ddcdc405743c576cb6d34b17b47ed56e2b9b6670fae1fe85ed01244fd31558b"
    assert signed("xyzxy2121zxyz", "efcefcef1121cefcefc1212121", "1555378976238") == digest


# -- A life ------------------------------------------------------------------------------------------------------------


def test_a_picture_is_added_found_and_deleted(memory: Ports) -> None:
    client = Client(ALICE)
    assert client.call("search", base64=HERE)["data"] == {"resultNum": 0, "hasMore": "false"}
    added = client.call("input", base64=HERE, description='{"describe":"测试1"}')
    assert (added["code"], added["msg"], added["charge"]) == (200, "成功", True)
    assert len(added["taskNo"]) == 24
    assert added["taskNo"].isdecimal()
    sign = added["data"]["contSign"]
    found = client.call("search", base64=HERE)
    result = {"brief": '{"describe":"测试1"}', "score": 1, "contSign": sign}
    assert found["data"] == {"result": [result], "resultNum": "1", "hasMore": "false"}
    again = client.call("input", base64=HERE)
    assert (again["code"], again["msg"], again["charge"], "data" in again) == (202, "图片已存在!", False, False)
    gone = client.call("delete", contSign=sign)
    assert (gone["code"], gone["data"], gone["charge"]) == (200, {}, True)
    assert client.found(HERE) == []
    missing = client.call("delete", contSign=sign)
    assert (missing["code"], missing["msg"], missing["charge"]) == (203, "图片不存在!", False)
    assert client.input(HERE) == sign


def test_a_sign_is_base64_without_padding_of_two_numbers(client: Client) -> None:
    sign = client.input(OTHER)
    assert "," not in sign
    assert not sign.endswith("=")
    text = base64.b64decode(sign + "=" * (-len(sign) % 4)).decode()
    assert digest_prefix(text)


def test_of_a_list_of_signs_those_that_are_there_are_deleted(client: Client) -> None:
    other = client.input(OTHER, description="other")
    assert client.call("delete", contSign=f"MSwy,{other},no sign,,")["code"] == 200
    assert client.found(OTHER, end=1) == ["here"]


def test_the_end_is_a_count(client: Client) -> None:
    for seed in range(3, 9):
        client.input(picture(seed), description=str(seed))
    everything = client.found(HERE)
    assert len(everything) == 7
    assert client.found(HERE, start=2, end=3) == everything[2:5]
    page = client.call("search", base64=HERE, start="5", end="2")["data"]
    assert (page["resultNum"], page["hasMore"]) == ("2", "false")
    assert client.call("search", base64=HERE, start="4", end="2")["data"]["hasMore"] == "true"
    assert client.call("search", base64=HERE, start="7")["data"] == {"resultNum": 0, "hasMore": "false"}


def test_a_url_wins_over_base64(client: Client, web: MemoryWeb) -> None:
    web.answers["http://pictures.example/other.png"] = OTHER
    client.call("input", url="http://pictures.example/other.png", base64=HERE, description="by url")
    assert client.found(OTHER, end=1) == ["by url"]


# -- As clients send it ------------------------------------------------------------------------------------------------


def multipart(fields: dict[str, bytes]) -> bytes:
    """A multipart body."""
    parts = [
        b'--b0\r\nContent-Disposition: form-data; name="' + name.encode() + b'"\r\n\r\n' + value + b"\r\n"
        for name, value in fields.items()
    ]
    return b"".join(parts) + b"--b0--\r\n"


@pytest.mark.parametrize("type_", ["multipart/form-data; boundary=b0", "application/form-data; boundary=b0"])
def test_a_multipart_body_is_read(client: Client, type_: str) -> None:
    fields = {name: value.encode() for name, value in client.common().items()}
    answer = client.post("search", multipart(fields | {"base64": base64.b64encode(HERE), "productCode": b"x"}), type_)
    assert [one["brief"] for one in answer["data"]["result"]] == ["here"]


@pytest.mark.parametrize(
    "type_", ["application/x-www-form-urlencoded;charset=UTF-8", "application/form-data", "", "text/plain"]
)
def test_a_form_is_read_whatever_its_type(client: Client, type_: str) -> None:
    body = urlencode({**client.common(), "base64": base64.b64encode(HERE).decode()}).encode()
    assert client.post("search", body, type_)["data"]["resultNum"] == "1"


def test_the_common_fields_may_be_in_the_query(client: Client) -> None:
    body = urlencode({"base64": base64.b64encode(HERE).decode()}).encode()
    assert client.post("search", body, query=urlencode(client.common()))["data"]["resultNum"] == "1"


def test_a_json_body_is_read(client: Client) -> None:
    body = {**client.common(), "timestamp": client.now, "base64": base64.b64encode(HERE).decode(), "end": 5}
    assert client.post("search", json.dumps(body).encode(), "application/json")["data"]["resultNum"] == "1"


def test_a_signature_in_capitals_is_good(client: Client) -> None:
    sign = client.common()["sign"].upper()
    assert client.call("search", base64=HERE, sign=sign)["code"] == 200


def test_the_timestamp_is_taken_as_it_was_sent(client: Client) -> None:
    timestamp = f"00{client.now}"
    sign = signed(ALICE.app_id, ALICE.secret_key, timestamp)
    assert client.call("search", base64=HERE, timestamp=timestamp, sign=sign)["code"] == 200


# -- Codes -------------------------------------------------------------------------------------------------------------

LOOKING, EVERY = ("input", "search"), ("input", "search", "delete")
Row = tuple[str, tuple[str, ...], dict[str, Any], int, str]

ROWS: list[Row] = [
    ("nothing given", LOOKING, {}, 400, "url和base64不能同时为空!"),
    ("both empty", LOOKING, {"url": "", "base64": ""}, 400, "url和base64不能同时为空!"),
    ("not base64", LOOKING, {"base64": "?!"}, 400, "base64格式错误!"),
    ("no picture", LOOKING, {"base64": b"no picture"}, 400, "图片格式错误!"),
    ("a GIF", LOOKING, {"base64": picture(3, "GIF")}, 400, "图片格式错误!"),
    ("a WebP", LOOKING, {"base64": picture(3, "WEBP")}, 400, "图片格式错误!"),
    ("too small", LOOKING, {"base64": picture(3, size=(14, 40))}, 400, "图片大小不符合要求!"),
    ("too wide", LOOKING, {"base64": picture(3, size=(4097, 15))}, 400, "图片大小不符合要求!"),
    ("too many bytes", LOOKING, {"base64": "A" * (4 * 1024 * 1024 + 4)}, 400, "图片大小不符合要求!"),
    ("description too long", ("input",), {"base64": OTHER, "description": "é" * 32 + "!"}, 400, "description过长!"),
    ("description with a NUL", ("input",), {"base64": OTHER, "description": "a\0"}, 400, "参数错误:description"),
    ("start no number", ("search",), {"base64": HERE, "start": "one"}, 400, "参数错误:start"),
    ("start below 0", ("search",), {"base64": HERE, "start": "-1"}, 400, "参数错误:start"),
    ("end no number", ("search",), {"base64": HERE, "end": "1.5"}, 400, "参数错误:end"),
    ("end below 1", ("search",), {"base64": HERE, "end": "0"}, 400, "参数错误:end"),
    ("no sign", ("delete",), {}, 400, "contSign不能为空!"),
    ("empty signs", ("delete",), {"contSign": " , ,"}, 400, "contSign不能为空!"),
    ("too many signs", ("delete",), {"contSign": ",".join(["MSwy"] * 1001)}, 400, "参数错误:contSign"),
    ("unknown signs", ("delete",), {"contSign": "MSwy,x,测试"}, 203, "图片不存在!"),
    ("there already", ("input",), {"base64": HERE}, 202, "图片已存在!"),
    ("url illegal", LOOKING, {"url": "ftp://pictures.example/a"}, 400, "url无法下载!"),
    ("url too long", LOOKING, {"url": "http://pictures.example/" + "a" * 2048}, 400, "url无法下载!"),
    ("url unreachable", LOOKING, {"url": "http://pictures.example/gone"}, 400, "url无法下载!"),
    ("url answers badly", LOOKING, {"url": "http://pictures.example/bad"}, 400, "url无法下载!"),
    ("url too slow", LOOKING, {"url": "http://pictures.example/slow"}, 610, "请求超时"),
    ("no app id", EVERY, {"appId": None}, 400, "appId不能为空!"),
    ("no timestamp", EVERY, {"timestamp": ""}, 400, "timestamp不能为空!"),
    ("no signature", EVERY, {"sign": None}, 400, "sign不能为空!"),
    ("wrong signature", EVERY, {"sign": "0" * 64}, 400, "签名错误!"),
    ("a signature of other letters", EVERY, {"sign": "签名"}, 400, "签名错误!"),
    ("timestamp no number", EVERY, {"timestamp": "now"}, 400, "参数错误:timestamp"),
    ("unknown app id", EVERY, {"appId": "10009999"}, 601, "接口未开通"),
]

CASES = [(operation, *row) for row in ROWS for operation in row[1]]


@pytest.mark.parametrize(
    ("operation", "fields", "code", "message"),
    [(operation, fields, code, message) for operation, _, _, fields, code, message in CASES],
    ids=[f"{operation}: {what}" for operation, what, *_ in CASES],
)
def test_bad_input_gets_the_vendors_code_and_changes_nothing(
    client: Client, memory: Ports, web: MemoryWeb, operation: str, fields: dict[str, Any], code: int, message: str
) -> None:
    web.answers |= {
        "http://pictures.example/gone": UrlUnreachable("refused"),
        "http://pictures.example/bad": UrlAnswerError("404"),
        "http://pictures.example/slow": UrlTimeout("too slow"),
        "ftp://pictures.example/a": UrlIllegal("ftp"),
    }
    before = state(memory)
    answer = client.call(operation, **fields)
    assert (answer["code"], answer["msg"]) == (code, message)
    assert set(answer) == ({"code", "msg"} if code == 400 else {"code", "msg", "taskNo", "charge"})
    assert answer.get("charge", False) is False
    assert state(memory) == before


@pytest.mark.parametrize("minutes", [-16, 16])
def test_a_clock_that_is_far_off_is_refused(client: Client, minutes: int) -> None:
    off = replace(client, now=client.now + minutes * 60_000)
    assert off.call("search", base64=HERE) == {"code": 400, "msg": "参数错误:timestamp"}


def test_a_disabled_application_is_told_so_only_with_its_signature(web: MemoryWeb, clock: SetClock) -> None:
    disabled = replace(ALICE, active=False)
    with serving(memory_ports(disabled, BOB, fetch=web, clock=clock)):
        assert Client(disabled).call("search", base64=HERE)["code"] == 602
        assert Client(disabled).call("search", base64=HERE, sign="0" * 64)["code"] == 400


@pytest.mark.parametrize("body", [b"\xff\xfe%%%&=&=", b"{", b'{"appId":[1]}', b"--b0", b"&" * 5000 + b"a=1" * 3])
@pytest.mark.parametrize("type_", ["application/json", "multipart/form-data; boundary=b0", "application/form-data"])
@pytest.mark.parametrize("operation", EVERY)
def test_a_body_that_cannot_be_read_is_a_bad_argument(client: Client, operation: str, body: bytes, type_: str) -> None:
    assert client.post(operation, body, type_)["code"] == 400


@pytest.mark.parametrize("function", ["add", "search", "delete", "unknown"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_unknown_path_is_said_to_be_wrong(memory: Ports, function: str, method: str) -> None:
    paths = ["/image/similarity/v2/nothing", "/image/similarity/v1/input", "/image/"]
    for path in paths + ["/image"] * (function == "unknown"):
        answer = handle(function, event(method, path))
        assert answer["statusCode"] == 200
        said = json.loads(answer["body"])
        assert (said["code"], said["msg"], said["charge"]) == (404, "接口地址不正确", False)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_only_post_is_answered(memory: Ports, method: str) -> None:
    for operation, function in FUNCTIONS.items():
        assert json.loads(handle(function, event(method, f"{PLACE}/{operation}"))["body"])["code"] == 404


def test_our_own_failures_are_said_and_logged(
    client: Client, memory: Ports, monkeypatch: pytest.MonkeyPatch, log_lines: Callable[[], list[dict[str, Any]]]
) -> None:
    def failing(*_: object) -> None:
        raise failure

    monkeypatch.setattr(type(memory.index), "search", failing)
    for failure, code in ((errors.Unavailable("no index"), 500), (ZeroDivisionError("oh"), 999)):
        answer = client.call("search", base64=HERE)
        assert (answer["code"], answer["charge"]) == (code, False)
        logged = [line for line in log_lines() if line["level"] == "ERROR"]
        assert type(failure).__name__ in json.dumps(logged[-1])


def test_every_error_has_a_code() -> None:
    pending, leaves = [errors.LookalikeError], []
    while pending:
        one = pending.pop()
        pending += one.__subclasses__()
        leaves.append(one)
    never = {errors.LookalikeError, errors.StateError, errors.AccessError, errors.PictureError, errors.InvalidArgument}
    unsaid = [
        one.__name__
        for one in leaves
        if one.__module__ == errors.__name__  # a dialect's own errors are raised in it alone
        and one not in never
        and next(kind for kind in one.__mro__ if kind in ERRORS) is Exception
    ]
    # What another dialect's tokens, libraries and revisions can be wrong about, and what is said at start.
    elsewhere = {"TokenInvalid", "TokenExpired", "LibraryExists", "LibraryNotFound", "OutOfTime"}
    elsewhere |= {"RevisionMismatch", "ModelError", "SettingsError"}
    assert set(unsaid) <= elsewhere


# -- Whose pictures ----------------------------------------------------------------------------------------------------


def test_another_tenant_sees_and_changes_nothing(client: Client) -> None:
    other = Client(BOB)
    sign = client.call("search", base64=HERE)["data"]["result"][0]["contSign"]
    assert other.found(HERE) == []
    assert other.call("delete", contSign=sign)["code"] == 203
    assert other.input(HERE, description="mine") == sign
    assert client.found(HERE) == ["here"]
    forged = {"appId": ALICE.app_id, "sign": signed(ALICE.app_id, BOB.secret_key, str(client.now))}
    assert other.call("search", base64=HERE, **forged)["code"] == 400


def test_the_library_is_apart_from_the_other_vendors(client: Client, alice: Caller) -> None:
    assert alice.briefs("similar", HERE) == []
    alice.add("similar", OTHER)
    assert client.found(OTHER) == ["here"]


@given(st.text(max_size=40))
def test_whatever_is_sent_as_a_sign_is_read_or_is_none(text: str) -> None:
    sign = sign_codec.decode(text)
    assert digest_prefix(sign) is None or sign.isascii()


@given(st.binary(min_size=32, max_size=32))
def test_a_sign_that_was_written_is_read(digest: bytes) -> None:
    written = sign_codec.encode(sign_of(digest.hex()))
    assert digest_prefix(sign_codec.decode(written)) == digest.hex()[:16]
    assert digest_prefix(sign_codec.decode(written + "=" * (-len(written) % 4))) == digest.hex()[:16]
