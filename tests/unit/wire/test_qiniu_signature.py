"""Qiniu's signatures as each of the vendor's SDKs makes them."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import qiniu
import requests
from hypothesis import given
from hypothesis import strategies as st

from lookalike.domain.application import Application
from lookalike.errors import SignatureInvalid
from lookalike.wire.http import Request
from lookalike.wire.qiniu import signature
from tests.support.baidu import FORM, event
from tests.support.fakes import MemoryApplications
from tests.support.qiniu import JSON, sign

HOST = "example.com"
STAMP = "20260102T030405Z"
NOW = 1_767_323_045
SEARCH = "/v1/image/groups/search"
BODY = b'{"data":{"uri":"http://x.com/a.jpg"},"params":{"groups":["g"],"limit":5}}'
APPLICATION = Application("testak", "testsk", "1", "tenant", "name")
APPLICATIONS = MemoryApplications(APPLICATION)


def request(
    signature: str,
    method: str = "POST",
    target: str = SEARCH,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    stage: str = "$default",
) -> Request:
    """A request with this signature, the scheme before it unless it is Qiniu."""
    path, _, query = target.partition("?")
    given = {"authorization": signature if " " in signature else f"Qiniu testak:{signature}", **(headers or {})}
    return Request.of(event(method, path, query=query, headers=given, body=body, stage=stage))


def accepts(asked: Request, now: int = NOW, public: tuple[str, ...] = ()) -> bool:
    try:
        return signature.verify(APPLICATIONS, asked, public, now) == APPLICATION
    except SignatureInvalid:
        return False


def said(method: str, target: str, *lines: str, host: str = HOST, body: bytes = b"") -> bytes:
    """What is signed, written out by hand."""
    return "\n".join((f"{method} {target}", f"Host: {host}", *lines)).encode() + b"\n\n" + body


def by_hand(*arguments: str, host: str = HOST, body: bytes = b"") -> str:
    return sign("testsk", said(*arguments, host=host, body=body))


# -- Vectors, each of which the vendor's own Python SDK makes as well ---------------------------------------------------

DATED = {"content-type": JSON, "x-qiniu-date": STAMP}


@pytest.mark.parametrize(
    "asked",
    [
        request("EZOAmr-3lKUcvnIACuIk2HsMDtU=", headers=DATED, body=BODY),
        request("-6Vig5Gf6tDNBYCRMxoKs3Fupwo=", headers={"content-type": JSON}, body=BODY),
        request("h-efmUNHw1HDwFR0VXtFTlZxRTg=", "GET", "/v1/image/group/g?marker=&limit=2", {"content-type": FORM}),
        request("GmoFrK_ZJOVfhiaUXGHaZJhRZlY=", "GET", "/v1/image/group"),
    ],
    ids=["dated", "not dated", "GET with a type", "GET without a type"],
)
def test_vectors(asked: Request) -> None:
    assert accepts(asked)


@pytest.mark.parametrize("dated", [True, False])
@pytest.mark.parametrize("content_type", [None, JSON, FORM, "application/octet-stream", "text/plain"])
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("target", ["/v1/image/group/g", "/v1/image/group/g?marker=abc&limit=2"])
def test_whatever_the_python_sdk_signs(method: str, target: str, content_type: str | None, dated: bool) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    body = b"" if content_type is None else BODY  # with a body, the SDK sends a type
    dates = {"X-Qiniu-Date": STAMP, "X-Qiniu-Meta-a": "b"} if dated else {}
    auth = qiniu.QiniuMacAuth("testak", "testsk")
    token = auth.token_of_request(
        method, HOST, f"http://{HOST}{target}", auth.qiniu_headers(dates), content_type, body.decode()
    )
    assert accepts(request(f"Qiniu {token}", method, target, {**headers, **dates}, body))


def test_the_python_sdk_sends_a_type_with_every_body() -> None:
    auth = qiniu.auth.QiniuMacRequestsAuth(
        qiniu.QiniuMacAuth("testak", "testsk", disable_qiniu_timestamp_signature=True)
    )
    sent = requests.Request("POST", f"http://{HOST}{SEARCH}", data=BODY, auth=auth).prepare()
    assert sent.headers["Content-Type"] == FORM


@pytest.mark.parametrize("body", [BODY, b" "])
@pytest.mark.parametrize("target", [SEARCH, "/v1/image/group/g/remove"])
def test_a_signature_without_type_and_body_covers_no_body(target: str, body: bytes) -> None:
    signature = by_hand("POST", target)
    assert accepts(request(signature, "POST", target))
    assert not accepts(request(signature, "POST", target, body=body))


# -- What other clients do differently ----------------------------------------------------------------------------------

DEFAULT = f"Content-Type: {FORM}"
GROUP = "/v1/image/group/g"

VARIATIONS: dict[str, Request] = {
    "Go and PHP: a type that is not sent": request(by_hand("GET", GROUP, DEFAULT), "GET", GROUP),
    "Node: a body without a type": request(by_hand("POST", SEARCH, DEFAULT, body=BODY), body=BODY),
    "Node: the port twice": request(
        by_hand("GET", GROUP, DEFAULT, host=f"{HOST}:3000:3000"), "GET", GROUP, {"host": f"{HOST}:3000"}
    ),
    "Node: a form's type signed and JSON's sent": request(
        by_hand("POST", SEARCH, DEFAULT, body=BODY), headers={"content-type": JSON}, body=BODY
    ),
    "Node: JSON's type signed and a form's sent": request(
        by_hand("POST", SEARCH, f"Content-Type: {JSON}", body=BODY), headers={"content-type": FORM}, body=BODY
    ),
    "the port left out": request(by_hand("GET", GROUP, host=HOST), "GET", GROUP, {"host": f"{HOST}:3000"}),
    "Java: the port": request(by_hand("GET", GROUP, host=f"{HOST}:3000"), "GET", GROUP, {"host": f"{HOST}:3000"}),
    "Go: a type with a charset, the body left out": request(
        by_hand("POST", SEARCH, f"Content-Type: {JSON}; charset=utf-8"),
        headers={"content-type": f"{JSON}; charset=utf-8"},
        body=BODY,
    ),
    "Python: a type with a charset, the body in": request(
        by_hand("POST", SEARCH, f"Content-Type: {JSON}; charset=utf-8", body=BODY),
        headers={"content-type": f"{JSON}; charset=utf-8"},
        body=BODY,
    ),
    "Java and Go: a path without its escapes": request(
        by_hand("GET", "/v1/image/group/a b?limit=2"), "GET", "/v1/image/group/a%20b?limit=2"
    ),
    "a path as it is sent": request(by_hand("GET", "/v1/image/group/a%20b"), "GET", "/v1/image/group/a%20b"),
    "by hand: JSON without a body": request(
        by_hand("POST", f"{GROUP}/remove", f"Content-Type: {JSON}"),
        "POST",
        f"{GROUP}/remove",
        {"content-type": JSON},
    ),
    "a stage that is signed": request(by_hand("GET", f"/prod{GROUP}"), "GET", GROUP, stage="prod"),
    "a stage that is not signed": request(by_hand("GET", GROUP), "GET", GROUP, stage="prod"),
    "a stage before a path with escapes": request(
        by_hand("GET", "/v1/image/group/a%20b"), "GET", "/v1/image/group/a%20b", stage="prod"
    ),
    "two slashes, both signed": request(by_hand("GET", f"/{GROUP}"), "GET", f"/{GROUP}"),
    "two slashes, both signed, behind a stage": request(by_hand("GET", f"/{GROUP}"), "GET", f"/{GROUP}", stage="prod"),
    "several headers of the vendor's": request(
        by_hand("GET", GROUP, "X-Qiniu-A: 1", f"X-Qiniu-Date: {STAMP}", "X-Qiniu-Zz-Top: 2"),
        "GET",
        GROUP,
        {"x-qiniu-zz-top": "2", "X-QINIU-DATE": STAMP, "x-qiniu-a": "1"},
    ),
    "QBox": request(f"QBox testak:{sign('testsk', GROUP + chr(10))}", "GET", GROUP),
    "QBox with a query": request(
        f"QBox testak:{sign('testsk', f'{GROUP}?limit=2{chr(10)}')}", "GET", f"{GROUP}?limit=2"
    ),
    "QBox: JSON is not signed": request(
        f"QBox testak:{sign('testsk', SEARCH + chr(10))}", headers={"content-type": JSON}, body=BODY
    ),
    "QBox: a form is signed": request(
        f"QBox testak:{sign('testsk', SEARCH + chr(10) + 'a=b')}", headers={"content-type": FORM}, body=b"a=b"
    ),
}


@pytest.mark.parametrize("name", VARIATIONS)
def test_what_other_clients_do_differently(name: str) -> None:
    assert accepts(VARIATIONS[name])


def test_the_older_signature_is_the_python_sdks() -> None:
    token = qiniu.Auth("testak", "testsk").token_of_request(f"http://{HOST}{GROUP}?limit=2")
    assert accepts(request(f"QBox {token}", "GET", f"{GROUP}?limit=2"))


def test_a_public_name_with_a_base_path() -> None:
    asked = request(by_hand("GET", f"/search{GROUP}", host="images.example.org"), "GET", GROUP)
    assert not accepts(asked)
    assert accepts(asked, public=("images.example.org/search",))


def test_two_slashes_are_no_stage() -> None:
    rest = GROUP.removeprefix("/v1")
    assert not accepts(request(by_hand("GET", rest), "GET", f"/{GROUP}"))


# -- What is refused -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header", ["", "Qiniu", "Qiniu ", "Qiniu testak", "Qiniu testak:", "Qiniu :x", "qiniu a:b", "é"]
)
def test_what_is_no_signature(header: str) -> None:
    asked = Request.of(event("GET", GROUP, headers={"authorization": header}))
    with pytest.raises(SignatureInvalid):
        signature.verify(APPLICATIONS, asked, (), NOW)


def test_nobody_has_the_key() -> None:
    assert not accepts(request(f"Qiniu stranger:{by_hand('GET', GROUP)}", "GET", GROUP))


@pytest.mark.parametrize(("off", "good"), [(0, True), (900, True), (-900, True), (901, False), (-901, False)])
def test_a_date_holds_for_a_quarter_of_an_hour(off: int, good: bool) -> None:
    asked = request("EZOAmr-3lKUcvnIACuIk2HsMDtU=", headers=DATED, body=BODY)
    assert accepts(asked, NOW + off) == good


@pytest.mark.parametrize(
    "stamp", ["", "20260102T030405", "2026-01-02T03:04:05Z", "20261302T030405Z", "٢٠٢٦٠١٠٢T030405Z"]
)
def test_a_date_that_cannot_be_read(stamp: str) -> None:
    asked = request(by_hand("GET", GROUP, f"X-Qiniu-Date: {stamp}"), "GET", GROUP, {"x-qiniu-date": stamp})
    assert not accepts(asked)


@pytest.mark.parametrize(
    "changed",
    [
        request("EZOAmr-3lKUcvnIACuIk2HsMDtU=", headers=DATED, body=BODY + b" "),
        request("EZOAmr-3lKUcvnIACuIk2HsMDtU=", headers=DATED),
        request("EZOAmr-3lKUcvnIACuIk2HsMDtU=", headers={"content-type": JSON}, body=BODY),
        request("EZOAmr-3lKUcvnIACuIk2HsMDtU=", headers={**DATED, "x-qiniu-more": "1"}, body=BODY),
        request("EZOAmr-3lKUcvnIACuIk2HsMDtU=", headers={**DATED, "content-type": FORM}, body=BODY + b" "),
        request("EZOAmr-3lKUcvnIACuIk2HsMDtU=", headers={**DATED, "content-type": "application/octet-stream"}),
        request("EZOAmr-3lKUcvnIACuIk2HsMDtU=", headers={**DATED, "host": "example.org"}, body=BODY),
        request("EZOAmr-3lKUcvnIACuIk2HsMDtU=", "PUT", headers=DATED, body=BODY),
        request("EZOAmr-3lKUcvnIACuIk2HsMDtU=", target=f"{SEARCH}?a=b", headers=DATED, body=BODY),
        request("EZOAmr-3lKUcvnIACuIk2HsMDtU=", target=f"{SEARCH}/", headers=DATED, body=BODY),
        request("eZOAmr-3lKUcvnIACuIk2HsMDtU=", headers=DATED, body=BODY),
        request("QBox testak:EZOAmr-3lKUcvnIACuIk2HsMDtU=", headers=DATED, body=BODY),
    ],
    ids=[
        "body",
        "no body",
        "no date",
        "header",
        "no type",
        "type",
        "host",
        "method",
        "query",
        "path",
        "sign",
        "scheme",
    ],
)
def test_what_was_changed_on_the_way_is_refused(changed: Request) -> None:
    assert not accepts(changed)


@given(st.binary(max_size=40).map(lambda data: data.decode("latin-1")))
def test_any_text_as_a_header_is_refused_in_good_order(header: str) -> None:
    for scheme in ("", "Qiniu ", "Qiniu testak:", "QBox testak:"):
        assert not accepts(Request.of(event("GET", GROUP, headers={"authorization": scheme + header})))
