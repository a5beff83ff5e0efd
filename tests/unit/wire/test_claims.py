"""Who a request claims to come from, in each vendor's form."""

from __future__ import annotations

import pytest

from lookalike.wire.claims import claimed

TOKEN = "24.0123456789abcdef0123456789abcdef.2592000.1800000000.123456-10000001"
MULTIPART = b'--x\r\nContent-Disposition: form-data; name="appId"\r\n\r\n10000001\r\n--x--'


@pytest.mark.parametrize(
    ("query", "authorization", "body", "claim"),
    [
        (f"access_token={TOKEN}", "", b"", TOKEN),
        (f"aipSdk=node&access_token={TOKEN}?aipSdk=node", "", b"", TOKEN),
        ("", "", f"image=AAAA&access_token={TOKEN}".encode(), TOKEN),
        ("aipSdk=python", "bce-auth-v1/key/2026-01-02T03:04:05Z/1800/host/00", b"", "key"),
        ("", "Qiniu key:c2lnbg==", b"{}", "key"),
        ("", " QBox key:c2lnbg==", b"", "key"),
        ("", "", b"appId=10000001&timestamp=1&sign=00&base64=" + b"A" * 9999, "10000001"),
        ("", "", b"base64=" + b"A" * 9999 + b"&appId=10000001", "10000001"),
        ("", "", MULTIPART, "10000001"),
        ("appId=10000001", "", b"", "10000001"),
        ("", "", b"image=appIdaccess_token", ""),
        ("", "Basic !", b"\xff\x00", ""),
        ("", "Basic YTpi", b"\xff\x00", "YTpi"),
        ("", f"bearer {TOKEN}", b"{}", TOKEN),
        ("", f"Digest {TOKEN}", b"{}", ""),
    ],
)
def test_who_a_request_names(query: str, authorization: str, body: bytes, claim: str) -> None:
    assert claimed(query, {"authorization": authorization} if authorization else {}, body) == claim


@pytest.mark.parametrize(
    ("cookie", "claim"),
    [
        ("lookalike_session=s1.0a-1", "s1.0a-1"),
        ("a=1; __Host-lookalike=s1.0a-1; b=2", "s1.0a-1"),
        ("xlookalike_session=s1.0a-1", ""),
        ("a=1", ""),
    ],
)
def test_who_a_browser_names(cookie: str, claim: str) -> None:
    assert claimed("", {"cookie": cookie}, b"") == claim
