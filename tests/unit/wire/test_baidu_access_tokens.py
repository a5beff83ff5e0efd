"""Access tokens: whose they are, how long they live, and that nobody else makes them."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.domain.application import Application
from lookalike.errors import TokenExpired, TokenInvalid
from lookalike.wire.baidu.access_tokens import GRACE, LIFETIME, mint, verify
from tests.support.fakes import MemoryApplications

NOW = 1_767_323_045
APPLICATION = Application("access", "secret", "12345678", "tenant", "name")
OTHER = Application("other-access", "other-secret", "87654321", "tenant", "other")
APPLICATIONS = MemoryApplications(APPLICATION, OTHER)
TOKEN = mint(APPLICATION, NOW)


def test_has_the_vendors_shape() -> None:
    assert re.fullmatch(r"24\.[0-9a-f]{32}\.2592000\.1769915045\.[0-9]{6}-12345678", TOKEN)
    assert re.fullmatch(r"[A-Za-z0-9._~-]+", TOKEN)


def test_is_its_applications() -> None:
    assert verify(APPLICATIONS, TOKEN, NOW) is APPLICATION
    assert verify(APPLICATIONS, mint(OTHER, NOW), NOW) is OTHER


def test_the_mac_is_what_the_design_says() -> None:
    fixed = Application("a", "sk", "42", "t", "n")
    # python3 -c "import hmac;print(hmac.new(b'sk',b'42|1769915045|000007','sha256').hexdigest()[:32])"
    token = "24.{}.2592000.1769915045.000007-42"
    assert verify(MemoryApplications(fixed), token.format("9ba6f54d757745bec9faa6e1a6cf78ae"), NOW) is fixed


@given(st.data())
def test_with_any_character_changed_it_is_refused(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(TOKEN) - 1))
    other = data.draw(
        st.one_of(st.characters(), st.sampled_from("0123456789abcdefABCDEF.-")).filter(lambda c: c != TOKEN[at])
    )
    with pytest.raises(TokenInvalid):
        verify(APPLICATIONS, TOKEN[:at] + other + TOKEN[at + 1 :], NOW)


@given(st.text() | st.binary().map(lambda data: data.decode("latin-1")))
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(TokenInvalid):
        verify(APPLICATIONS, text, NOW)


@pytest.mark.parametrize(
    "token",
    [
        "",
        "24.f9ba9c5241b67688bb4adbed8bc91dec.2592000.1485570332.282335-8574074",
        TOKEN + "\n",
        TOKEN.upper(),
        TOKEN.replace("1769915045", "9999999999"),
        TOKEN.replace("12345678", "87654321"),
        TOKEN.replace("2592000", "２592000"),
    ],
    ids=["empty", "the vendor's", "a line", "upper case", "another time", "another application", "another digit"],
)
def test_what_is_none_of_ours(token: str) -> None:
    with pytest.raises(TokenInvalid):
        verify(APPLICATIONS, token, NOW)


def test_a_new_secret_or_a_removed_application_revokes_it() -> None:
    for applications in (MemoryApplications(replace(APPLICATION, secret_key="new")), MemoryApplications(OTHER)):
        with pytest.raises(TokenInvalid):
            verify(applications, TOKEN, NOW)


def test_lives_its_life_and_the_grace() -> None:
    assert verify(APPLICATIONS, TOKEN, NOW + LIFETIME + GRACE) is APPLICATION
    with pytest.raises(TokenExpired):
        verify(APPLICATIONS, TOKEN, NOW + LIFETIME + GRACE + 1)


def test_two_tokens_of_one_second_differ() -> None:
    assert len({mint(APPLICATION, NOW) for _ in range(20)}) > 1
