"""bce-auth-v1 as each of the vendor's SDKs signs."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.domain.application import Application
from lookalike.errors import SignatureInvalid
from lookalike.wire.baidu import signature as bce
from lookalike.wire.http import Request
from tests.support.baidu import FORM, event
from tests.support.fakes import MemoryApplications

PATH = "/rest/2.0/image-classify/v1/realtime_search/similar/search"
STAMP = "2026-01-02T03:04:05Z"
NOW = 1_767_323_045
APPLICATION = Application("testak", "testsk", "1", "tenant", "name")
APPLICATIONS = MemoryApplications(APPLICATION)

#: By SDK: query, what stands in the header after the timestamp, further headers, body. Each was checked against
#: the SDK itself, but .NET's, which was computed by hand.
VECTORS: dict[str, tuple[str, str, dict[str, str], bytes]] = {
    "Python": (
        "aipSdk=python&aipVersion=4.15.13",
        "1800/host;x-bce-date/ecdc0b9c933aedcf651706131dc9f69e74fbaed62d0f5a509ab46ca7d7b163e2",
        {},
        b"",
    ),
    "Node": (
        "aipSdk=node",
        "1800/content-type;host;x-bce-date/693f54cb3270786cbd72d27e7d61a81d0f2234167dc53f4bdaa3b2f8d54d6b09",
        {"content-type": FORM},
        b"",
    ),
    "Java": (
        "aipSdk=java",
        "1800//fb3516f1eb434e8112373d480126bdf31538581198e923b7077fc94825a1c119",
        {"content-type": FORM, "content-length": "9", "content-md5": "18c0f94a6d3c9dbbc785141d78f42a45"},
        b"image=abc",
    ),
    "Java, length and digest lost on the way": (
        "aipSdk=java",
        "1800//fb3516f1eb434e8112373d480126bdf31538581198e923b7077fc94825a1c119",
        {"content-type": FORM},
        b"image=abc",
    ),
    ".NET": (
        "aipSdk=CSharp",
        "1200/content-type;host/c943d2ade35abef6ddf0371a3027994eedb3749ac45ddaf3995a298825127852",
        {"content-type": FORM},
        b"",
    ),
}


def request(
    query: str, authorization: str, headers: Mapping[str, str], body: bytes = b"", stage: str = "$default"
) -> Request:
    given = {"x-bce-date": STAMP, "authorization": authorization, **headers}
    return Request.of(event("POST", PATH, query=query, headers=given, body=body, stage=stage))


def vector(sdk: str, **headers: str) -> Request:
    query, rest, more, body = VECTORS[sdk]
    return request(query, f"bce-auth-v1/testak/{STAMP}/{rest}", {**more, **headers}, body)


def signer(
    asked: Request, now: int = NOW, *public: str, applications: MemoryApplications = APPLICATIONS
) -> Application:
    return bce.verify(applications, asked, public, now)


@pytest.mark.parametrize("sdk", VECTORS)
def test_vectors(sdk: str) -> None:
    assert signer(vector(sdk)) is APPLICATION


@pytest.mark.parametrize("sdk", VECTORS)
def test_a_port_that_was_not_signed(sdk: str) -> None:
    assert signer(vector(sdk, host="example.com:8443")) is APPLICATION


@pytest.mark.parametrize("sdk", VECTORS)
def test_a_public_host_in_front(sdk: str) -> None:
    asked = vector(sdk, host="abc123.execute-api.eu-west-1.amazonaws.com")
    assert signer(asked, NOW, "other.example", "example.com") is APPLICATION
    with pytest.raises(SignatureInvalid):
        signer(asked, NOW, "other.example")


@pytest.mark.parametrize("sdk", VECTORS)
def test_other_secrets_and_keys(sdk: str) -> None:
    for refused in (MemoryApplications(), MemoryApplications(replace(APPLICATION, secret_key="other"))):
        with pytest.raises(SignatureInvalid):
            signer(vector(sdk), applications=refused)


@pytest.mark.parametrize("sdk", VECTORS)
@pytest.mark.parametrize(
    "change",
    [
        {"method": "GET"},
        {"raw_path": PATH.replace("search", "delete"), "path": PATH.replace("search", "delete")},
        {"raw_query": "aipSdk=other"},
        {"raw_query": ""},
    ],
)
def test_another_request_under_the_same_signature(sdk: str, change: dict[str, str]) -> None:
    with pytest.raises(SignatureInvalid):
        signer(replace(vector(sdk), **change))  # type: ignore[arg-type]  # all of these fields are text


@dataclass(frozen=True)
class Signer:
    """Signs as the vendor describes it, written without a look at what checks it."""

    seconds: str = "1800"
    signed: tuple[str, ...] = ("host", "x-bce-date")
    stamp: str = STAMP

    def header(self, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> str:
        start = f"bce-auth-v1/testak/{self.stamp}/{self.seconds}"
        key = hmac.new(b"testsk", start.encode(), hashlib.sha256).hexdigest()
        said = "\n".join(
            [
                "POST",
                quote(path),
                "&".join(sorted(f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in query.items())),
                "\n".join(sorted(f"{quote(name, safe='')}:{quote(headers[name], safe='')}" for name in self.signed)),
            ]
        )
        signature = hmac.new(key.encode(), said.encode(), hashlib.sha256).hexdigest()
        return f"{start}/{';'.join(self.signed)}/{signature}"


def stamped(stamp: str, seconds: str = "1800", *, java: bool = False) -> Request:
    """A request signed at that time; ``java`` signs all the headers there are, and names none of them."""
    headers = {"host": "example.com", "x-bce-date": stamp}
    signed = ("host", "x-bce-date", "content-length") if java else ("host", "x-bce-date")
    authorization = Signer(seconds=seconds, stamp=stamp, signed=signed).header(
        PATH, {}, {**headers, "content-length": "0"}
    )
    if java:
        authorization = authorization.replace(";".join(signed), "")
    return request("", authorization, {**headers, **({"content-length": "0"} if java else {})})


def holds(asked: Request, now: int) -> bool:
    try:
        return signer(asked, now) is APPLICATION
    except SignatureInvalid:
        return False


def instant(hour: int, day: int = 2) -> datetime:
    return datetime(2026, 1, day, hour, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize("path", [PATH, "/prod" + PATH])
def test_with_and_without_the_stage(path: str) -> None:
    headers = {"host": "example.com", "x-bce-date": STAMP}
    asked = request("", Signer().header(path, {}, headers), headers, stage="prod")
    assert signer(asked) is APPLICATION


def test_a_public_place_with_a_base_path() -> None:
    headers = {"host": "search.example", "x-bce-date": STAMP}
    asked = request("", Signer().header("/base" + PATH, {}, headers), {**headers, "host": "internal.example"})
    assert signer(asked, NOW, "search.example/base/") is APPLICATION
    with pytest.raises(SignatureInvalid):
        signer(asked, NOW, "search.example")


def test_a_query_in_any_order_and_a_token_in_it() -> None:
    """The Go SDK signs its token too, if it has one."""
    headers = {"host": "example.com", "x-bce-date": STAMP}
    query = {"aipSdk": "golang", "access_token": "24.x y", "empty": "", "authorization": "left out"}
    signed = {name: value for name, value in query.items() if name != "authorization"}
    asked = request(
        "empty&access_token=24.x%20y&authorization=z&aipSdk=golang", Signer().header(PATH, signed, headers), headers
    )
    assert signer(asked) is APPLICATION


@pytest.mark.parametrize("hour", range(24))
def test_the_twelve_hour_clock(hour: int) -> None:
    """The Java SDK writes the hour as 01 to 12, without saying which half of the day it is."""
    now = instant(hour)
    assert holds(stamped(now.strftime("%Y-%m-%dT%I:%M:%SZ"), java=True), int(now.timestamp()))


@pytest.mark.parametrize("hour", range(24))
def test_a_twelve_hour_clock_means_two_times_of_its_own_day(hour: int) -> None:
    asked = stamped(instant(hour).strftime("%Y-%m-%dT%I:%M:%SZ"), java=True)
    good = [
        (day, other) for day in (1, 2, 3) for other in range(24) if holds(asked, int(instant(other, day).timestamp()))
    ]
    assert good == [(2, hour % 12), (2, hour % 12 + 12)]


@pytest.mark.parametrize(
    ("hour", "java"), [*((hour, False) for hour in range(24)), *((hour, True) for hour in (0, *range(13, 24)))]
)
def test_any_other_clock_means_one_time(hour: int, java: bool) -> None:
    """Of the SDKs that name the headers they sign, and of hours that a clock of twelve has not."""
    asked = stamped(instant(hour).strftime("%Y-%m-%dT%H:%M:%SZ"), java=java)
    good = [
        (day, other) for day in (1, 2, 3) for other in range(24) if holds(asked, int(instant(other, day).timestamp()))
    ]
    assert good == [(2, hour)]


@pytest.mark.parametrize("java", [True, False])
@pytest.mark.parametrize(
    ("seconds", "life"), [("0", 0), ("1200", 1200), ("1800", 1800), ("1801", 1800), ("86400", 1800)]
)
def test_no_signature_holds_longer_than_an_sdk_needs(seconds: str, life: int, java: bool) -> None:
    asked = stamped(STAMP, seconds, java=java)
    assert holds(asked, NOW + life + 900)
    assert not holds(asked, NOW + life + 901)


@pytest.mark.parametrize("late", [-900, 0, 1800, 1800 + 900])
def test_within_its_time(late: int) -> None:
    assert signer(vector("Python"), NOW + late) is APPLICATION


@pytest.mark.parametrize("late", [-901, 1800 + 901, 6 * 3600, 24 * 3600, -24 * 3600])
def test_out_of_its_time(late: int) -> None:
    with pytest.raises(SignatureInvalid):
        signer(vector("Python"), NOW + late)


@pytest.mark.parametrize(
    "stamp", ["", "2026-01-02", "2026-13-02T03:04:05Z", "2026-01-02T03:04:05", "0001-01-01T00:00:00Z"]
)
def test_a_time_that_cannot_be_read_or_is_long_over(stamp: str) -> None:
    with pytest.raises(SignatureInvalid):
        signer(stamped(stamp))


@pytest.mark.parametrize("seconds", ["", "-1800", "1e9", "9" * 400, "１８００"])
def test_a_life_that_cannot_be_read(seconds: str) -> None:
    with pytest.raises(SignatureInvalid):
        signer(stamped(STAMP, seconds))


def test_a_signature_that_leaves_the_host_out() -> None:
    headers = {"host": "example.com", "x-bce-date": STAMP}
    asked = request("", Signer(signed=("x-bce-date",)).header(PATH, {}, headers), headers)
    with pytest.raises(SignatureInvalid):
        signer(asked)


@pytest.mark.parametrize(
    "header",
    [
        "bce-auth-v1",
        "bce-auth-v1/testak",
        f"bce-auth-v2/testak/{STAMP}/1800/host/00",
        f"bce-auth-v1/testak/{STAMP}/1800/host/",
        f"bce-auth-v1/testak/{STAMP}/1800/host/é",
        f"bce-auth-v1/testak/{STAMP}/1800/host/00/00",
        f"bce-auth-v1/ /{STAMP}/1800/;;/00",
    ],
)
def test_a_header_out_of_form(header: str) -> None:
    asked = request("", header, {})
    assert bce.is_present(asked)
    with pytest.raises(SignatureInvalid):
        signer(asked)


@given(st.text(max_size=80))
def test_any_other_header(rest: str) -> None:
    with pytest.raises(SignatureInvalid):
        signer(request("", f"bce-auth-v1/testak/{STAMP}/1800/{rest}", {}))


@given(st.integers(0, 63), st.sampled_from("0123456789abcdef"))
def test_any_character_of_the_signature_changed(at: int, other: str) -> None:
    query, rest, _, _ = VECTORS["Python"]
    good = f"bce-auth-v1/testak/{STAMP}/{rest}"
    at -= 64
    changed = good[:at] + other + (good[at + 1 :] if at != -1 else "")
    if changed == good:
        assert signer(request(query, changed, {})) is APPLICATION
    else:
        with pytest.raises(SignatureInvalid):
            signer(request(query, changed, {}))


def test_other_authorizations_are_not_meant() -> None:
    assert not bce.is_present(request("", "Basic eDp5", {}))
    assert not bce.is_present(Request.of(event("POST", PATH)))
