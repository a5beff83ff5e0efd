"""Sessions and links: whose they are, what they are for, how long they last, and that nobody else makes them."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.domain.application import Application
from lookalike.errors import TokenInvalid
from lookalike.observability import printable
from lookalike.wire.baidu import access_tokens
from lookalike.wire.native.session_errors import SessionExpired
from lookalike.wire.native.session_tokens import SECONDS, Use, mint, verify
from tests.support.fakes import MemoryApplications

NOW = 1_767_323_045
APPLICATION = Application("access", "secret", "12345678", "tenant", "name")
OTHER = Application("other-access", "other-secret", "87654321", "tenant", "other")
APPLICATIONS = MemoryApplications(APPLICATION, OTHER)
TOKENS = {use: mint(APPLICATION, use, NOW) for use in Use}


def test_may_stand_in_a_cookie_and_in_an_address() -> None:
    assert all(re.fullmatch(r"[A-Za-z0-9._~-]{30,120}", token) for token in TOKENS.values())


def test_no_two_are_the_same() -> None:
    assert len({mint(APPLICATION, Use.LINK, NOW) for _ in range(100)}) == 100


@pytest.mark.parametrize("use", Use)
def test_is_of_its_application_and_for_its_use(use: Use) -> None:
    token = verify(APPLICATIONS, TOKENS[use], NOW)
    assert (token.application, token.use, token.expiry) == (APPLICATION, use, NOW + SECONDS[use])
    assert verify(APPLICATIONS, mint(OTHER, use, NOW), NOW).application is OTHER


def test_the_mac_is_what_the_module_says() -> None:
    fixed = Application("a", "sk", "42", "t", "n")
    # python3 -c "import hmac;print(hmac.new(b'sk',b's1|42|1769915045|0123456789abcdef','sha256').hexdigest()[:32])"
    token = "s1.7091c646b007804484f8d46b0d80a598.1769915045.0123456789abcdef-42"
    assert verify(MemoryApplications(fixed), token, NOW).nonce == "0123456789abcdef"


@pytest.mark.parametrize("use", Use)
def test_lasts_as_long_as_is_said(use: Use) -> None:
    assert verify(APPLICATIONS, TOKENS[use], NOW + SECONDS[use]).use is use
    with pytest.raises(SessionExpired):
        verify(APPLICATIONS, TOKENS[use], NOW + SECONDS[use] + 1)


@pytest.mark.parametrize(("use", "other"), [(a, b) for a, b in product(Use, Use) if a is not b])
def test_is_good_for_nothing_else(use: Use, other: Use) -> None:
    with pytest.raises(TokenInvalid):
        verify(APPLICATIONS, TOKENS[use].replace(use, other, 1), NOW)
    with pytest.raises(TokenInvalid):
        access_tokens.verify(APPLICATIONS, TOKENS[use], NOW)
    with pytest.raises(TokenInvalid):
        verify(APPLICATIONS, access_tokens.mint(APPLICATION, NOW), NOW)


def test_an_access_token_in_its_dress_is_refused() -> None:
    """What is signed differs, so that not even the same expiry and nonce make one of the other."""
    _, mac, _, expiry, rest = access_tokens.mint(APPLICATION, NOW).split(".")
    nonce, _, app_id = rest.partition("-")
    with pytest.raises(TokenInvalid):
        verify(APPLICATIONS, f"s1.{mac}.{expiry}.{nonce:0>16}-{app_id}", NOW)


def test_goes_with_its_secret() -> None:
    for applications in (MemoryApplications(replace(APPLICATION, secret_key="new")), MemoryApplications()):
        with pytest.raises(TokenInvalid):
            verify(applications, TOKENS[Use.SESSION], NOW)


@given(st.data())
def test_with_any_character_changed_it_is_refused(data: st.DataObject) -> None:
    token = TOKENS[data.draw(st.sampled_from(Use))]
    at = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(
        st.one_of(st.characters(), st.sampled_from("0123456789abcdefslm.-")).filter(lambda c: c != token[at])
    )
    with pytest.raises(TokenInvalid):
        verify(APPLICATIONS, token[:at] + other + token[at + 1 :], NOW)


@given(st.text() | st.binary().map(lambda data: data.decode("latin-1")))
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(TokenInvalid):
        verify(APPLICATIONS, text, NOW)


@pytest.mark.parametrize("token", TOKENS.values(), ids=TOKENS)
def test_no_log_line_holds_one(token: str) -> None:
    assert token[3:] not in printable(f"path: /console/#once={token} is unknown")
