"""Parsing of URLs."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.download.url import Url, parse
from lookalike.errors import UrlIllegal


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://example.com", Url("http", "example.com", 80, "/")),
        ("HTTPS://Example.COM/A.jpg", Url("https", "example.com", 443, "/A.jpg")),
        ("http://example.com:8080/a?b=c&d=%20#top", Url("http", "example.com", 8080, "/a?b=c&d=%20")),
        ("http://example.com:/a", Url("http", "example.com", 80, "/a")),
        ("https://example.com:80/a", Url("https", "example.com", 80, "/a")),
        ("http://example.com?a=1", Url("http", "example.com", 80, "/?a=1")),
        ("http://example.com./a", Url("http", "example.com", 80, "/a")),
        ("http://under_score.example.com/a", Url("http", "under_score.example.com", 80, "/a")),
        ("http://8.8.8.8/a", Url("http", "8.8.8.8", 80, "/a")),
        ("http://[2606:4700:0:0::1]:8443/a", Url("http", "2606:4700::1", 8443, "/a")),
        ("http://例子.测试/图片 1.jpg", Url("http", "xn--fsqu00a.xn--0zwm56d", 80, "/%E5%9B%BE%E7%89%87%201.jpg")),
        ("http://example.com/a@b:c", Url("http", "example.com", 80, "/a@b:c")),
        ("http://example.com/a\\..\\b", Url("http", "example.com", 80, "/a%5C..%5Cb")),
    ],
)
def test_a_plain_url_is_taken_apart(text: str, expected: Url) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "example.com/a.jpg",
        "//example.com/a.jpg",
        "http:example.com",
        "http:/example.com",
        "http:///a.jpg",
        "http://",
        "http://:80/",
        "file:///etc/passwd",
        "ftp://example.com/a.jpg",
        "gopher://example.com:6379/_x",
        "data:image/png;base64,AAAA",
        "httpſ://example.com/",
        "javascript:alert(1)",
        "http://user@example.com/",
        "http://user:secret@example.com/",
        "http://example.com@127.0.0.1/",
        "http://example.com\\@127.0.0.1/",
        "http://example.com:80@127.0.0.1/",
        "http://exa mple.com/",
        "http://example.com\t/",
        "http://example.com/a\r\nHost: other",
        "http://example.com/a\x00",
        "http://example.com/a\x7f",
        " http://example.com/",
        "http://example.com/a\n",
        "http://example.com/\ud800",
        "http://\ud800.example.com/",
        "http://example.com:0/",
        "http://example.com:22/",
        "http://example.com:65536/",
        "http://example.com:99999999/",
        "http://example.com:-80/",
        "http://example.com:8o/",
        "http://example.com:٨٠/",
        "http://127%2e0%2e0%2e1/",
        "http://%6cocalhost/",
        "http://exam ple/",
        "http://example..com/",
        "http://.example.com/",
        "http://example.com../",
        "http://-a.example.com/",
        f"http://{'a' * 64}.com/",
        f"http://{'.'.join(['a' * 60] * 5)}/",
        "http://exa℀mple.com/",  # becomes a slash when it is normalised
        "http://[::1/",
        "http://::1/",
        "http://[fe80::1%25eth0]/",
        "http://[fe80::1%eth0]/",
        "http://[v1.a]/",
        "http://[127.0.0.1]/",
        "http://[::1]x/",
        "http://$HOME/",
        "http://a;b/",
    ],
)
def test_what_is_no_plain_url_is_illegal(text: str) -> None:
    with pytest.raises(UrlIllegal):
        parse(text)


@pytest.mark.parametrize(
    "host",
    [
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0x7f.0x0.0x0.0x1",
        "0177.0.0.1",
        "127.0.0.01",
        "127.0.0.0x1",
        "127.0.0.0x",
        "017700000001",
        "1.2.3.4.5",
        "256.1.1.1",
        "4294967296",
        "example.123",
        "example.0x1f",
        "127.0.0.1..",
        "１２７．１",
        "127。1",
    ],
)
def test_odd_notations_of_addresses_are_illegal(host: str) -> None:
    with pytest.raises(UrlIllegal):
        parse(f"http://{host}/")


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1.", "127.0.0.1"),
        ("１２７.０.０.１", "127.0.0.1"),
        ("127。0。0。1", "127.0.0.1"),
        ("①②⑦.0.0.1", "127.0.0.1"),
        ("[::FFFF:127.0.0.1]", "::ffff:127.0.0.1"),
        ("[::ffff:7f00:1]", "::ffff:127.0.0.1"),
        ("[0:0:0:0:0:0:0:1]", "::1"),
    ],
)
def test_a_disguised_address_is_seen_as_the_address_it_is(host: str, address: str) -> None:
    assert parse(f"http://{host}/").address == ip_address(address)


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("b.jpg", Url("http", "example.com", 8080, "/a/b.jpg")),
        ("/b.jpg", Url("http", "example.com", 8080, "/b.jpg")),
        ("?c", Url("http", "example.com", 8080, "/a/x?c")),
        ("//other.example/b", Url("http", "other.example", 80, "/b")),
        ("https://other.example/b", Url("https", "other.example", 443, "/b")),
        ("/图", Url("http", "example.com", 8080, "/%E5%9B%BE")),
    ],
)
def test_a_redirect_is_relative_to_where_it_came_from(location: str, expected: Url) -> None:
    assert parse("http://example.com:8080/a/x?y").joined(location) == expected


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "ftp://a.b/", "http://[::1", "//u@h/", "//127.1/", "//h:22/"]
)
def test_a_redirect_to_what_may_not_be_asked_for_is_illegal(location: str) -> None:
    with pytest.raises(UrlIllegal):
        parse("http://example.com/").joined(location)


@given(st.text(max_size=40), st.text(max_size=20))
def test_whatever_is_given_a_request_line_and_a_host_header_stay_clean(host: str, path: str) -> None:
    for text in (host, f"http://{host}/{path}", f"http://example.com/{path}"):
        try:
            url = parse(text)
        except UrlIllegal:
            continue
        assert url.target.startswith("/")
        assert url.target.isascii()
        assert url.target.isprintable()
        assert " " not in url.target
        assert url.host.isascii()
        assert not set(url.host) & set(" @/\\%?#[]")


@given(st.from_regex(r"https?://[a-z0-9.:@\[\]%\\/?#-]{1,30}", fullmatch=True))
def test_the_host_that_is_asked_is_the_one_others_read_in_the_url(text: str) -> None:
    try:
        url = parse(text)
    except UrlIllegal:
        return
    assert (urlsplit(text).hostname or "").removesuffix(".") in (url.host, str(url.address))
