"""Which cookie counts, and which requests that bring it come from pages of ours; `tests/wire/test_native_session.py` has the rest."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.wire.http import Request
from lookalike.wire.native.cookies import check_origin, session_of, set_session
from lookalike.wire.native.session_errors import CrossSite
from tests.support.baidu import event


def request(method: str = "POST", cookies: Sequence[str] = (), **headers: str) -> Request:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request.of({**event(method, "/api/v1/libraries", headers=named), "cookies": [*cookies]})


def is_ours(sent: Request, *public: str) -> bool:
    try:
        check_origin(sent, public, with_cookie=True)
    except CrossSite:
        return False
    return True


@pytest.mark.parametrize(
    ("origin", "public", "ours"),
    [
        ("https://images.example.net", ("images.example.net",), True),
        ("https://images.example.net", ("other.example", "images.example.net/base"), True),
        ("https://images.example.net", (), False),
        ("https://evil.images.example.net", ("images.example.net",), False),
        ("https://", ("",), False),
        ("https://example.com", (), True),
    ],
)
def test_names_in_front_of_the_service_are_its_own(origin: str, public: tuple[str, ...], ours: bool) -> None:
    assert is_ours(request(origin=origin), *public) is ours


@pytest.mark.parametrize(
    ("host", "origin", "ours"),
    [
        ("127.0.0.1:8000", "http://127.0.0.1:8000", True),
        ("127.0.0.1:8000", "http://127.0.0.1:3000", False),
        ("127.0.0.1:8000", "http://localhost:8000", False),
        ("[::1]:8000", "http://[::1]:8000", True),
        ("example.com:80", "http://example.com", True),
        ("example.com", "https://example.com:80", False),
        ("", "http://", False),
    ],
)
def test_another_port_is_another_origin(host: str, origin: str, ours: bool) -> None:
    assert is_ours(request(host=host, origin=origin)) is ours


@given(st.text(max_size=40))
def test_any_other_origin_is_refused_and_fails_nobody(text: str) -> None:
    assert not is_ours(request(origin=f"https://x{text}"))


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "X"])
def test_what_may_change_something_has_to_say_where_it_comes_from(method: str) -> None:
    assert not is_ours(request(method))
    assert is_ours(request(method, sec_fetch_site="same-origin"))


@pytest.mark.parametrize(
    ("cookies", "value"),
    [
        ((), ""),
        (("lookalike_session=a",), "a"),
        (("x=1", " lookalike_session = a ", "y"), "a"),
        (("lookalike_session=a", "lookalike_session=a"), "a"),
        (("lookalike_session=a", "lookalike_session=b"), ""),
        (("LOOKALIKE_SESSION=a",), ""),
        (("lookalike_session",), ""),
        (("__Host-lookalike=a",), ""),
    ],
)
def test_one_cookie_counts(cookies: Sequence[str], value: str) -> None:
    assert session_of(request(cookies=cookies)) == value


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_what_is_set_is_what_counts(scheme: str) -> None:
    sent = request(x_forwarded_proto=scheme)
    cookie = set_session(sent, "value", 5).partition(";")[0]
    assert session_of(request(cookies=[cookie], x_forwarded_proto=scheme)) == "value"
