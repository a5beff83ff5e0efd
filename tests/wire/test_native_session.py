"""The console's session: who gets one, how, from where it is taken, and when it ends."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from lookalike.domain.application import Policy
from lookalike.ports import Ports
from lookalike.wire.baidu import access_tokens
from lookalike.wire.native import session_tokens
from lookalike.wire.native.session_tokens import Use
from tests.conftest import ALICE, BOB
from tests.support.baidu import event, handle
from tests.support.fakes import SetClock
from tests.support.jumdata import Client
from tests.support.native import Answered, NativeCaller, problem

pytestmark = pytest.mark.usefixtures("memory")
browser = NativeCaller()
elsewhere = NativeCaller(address="198.51.100.7")
here = NativeCaller(address="127.0.0.1")

KEYS = {"access_key": ALICE.access_key, "secret_key": ALICE.secret_key}
WRONG = {**KEYS, "secret_key": "guessed"}
SAME = {"sec-fetch-site": "same-origin"}
HTTPS = {"x-forwarded-proto": "https"}


def sign_in(said: Any = KEYS, by: NativeCaller = browser, headers: Mapping[str, str] | None = None) -> Answered:
    return by.call("POST", "/session", said, headers=headers)


def signed_in(headers: Mapping[str, str] | None = None) -> str:
    """The cookie of a session."""
    answer = sign_in(headers=headers)
    assert (answer.status, answer.body) == (204, b"")
    (cookie,) = answer.cookies
    return cookie.partition(";")[0]


def link(memory: Ports, use: Use = Use.LINK) -> str:
    return session_tokens.mint(ALICE, use, memory.clock() // 1000)


# -- Signing in and out ------------------------------------------------------------------------------------------------


def test_keys_make_a_session_that_calls_as_its_application() -> None:
    cookie = signed_in()
    browser.call("PUT", "/libraries/shop", {}, cookies=[cookie], headers=SAME)
    listed = browser.call("GET", "/libraries", cookies=[cookie]).json["libraries"]
    assert [one["name"] for one in listed] == ["shop"]
    assert NativeCaller(BOB).call("GET", "/libraries").json["libraries"] == []


def test_the_cookie_is_kept_from_scripts_and_from_other_sites() -> None:
    (plain,) = sign_in().cookies
    assert re.fullmatch(r"lookalike_session=[\w.-]+; Path=/; Max-Age=28800; HttpOnly; SameSite=Strict", plain)
    (secure,) = sign_in(headers=HTTPS).cookies
    assert re.fullmatch(r"__Host-lookalike=[\w.-]+; Path=/; Max-Age=28800; HttpOnly; SameSite=Strict; Secure", secure)


def test_over_https_only_the_cookie_counts_that_no_other_host_can_set() -> None:
    value = signed_in().partition("=")[2]
    for name, headers, status in (
        ("lookalike_session", {}, 200),
        ("__Host-lookalike", HTTPS, 200),
        ("lookalike_session", HTTPS, 401),
        ("__Host-lookalike", {}, 401),
    ):
        assert browser.call("GET", "/session", cookies=[f"{name}={value}"], headers=headers).status == status


def test_a_session_says_whose_it_is_and_until_when(memory: Ports) -> None:
    policy = Policy(per_second=9, per_day=99, in_total=999, networks=("203.0.113.0/24",))
    memory.applications.save_application(replace(ALICE, policy=policy))
    said = browser.call("GET", "/session", cookies=[signed_in()]).json
    assert said == {
        "application": "alice",
        "app_id": ALICE.app_id,
        "access_key": ALICE.access_key,
        "expires": "2026-01-02T11:04:05.000Z",
        "per_second": 9,
        "per_day": 99,
        "in_total": 999,
        "networks": ["203.0.113.0/24"],
    }
    assert "expires" not in NativeCaller(ALICE).call("GET", "/session").json


def test_signing_out_takes_the_cookie_away() -> None:
    answer = browser.call("DELETE", "/session", cookies=[signed_in()], headers=SAME)
    assert (answer.status, answer.cookies) == (
        204,
        ("lookalike_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict",),
    )


def test_whoever_is_over_a_limit_can_sign_in_learn_it_and_sign_out(memory: Ports) -> None:
    memory.applications.save_application(replace(ALICE, policy=Policy(per_day=1)))
    cookie = signed_in()
    assert browser.call("GET", "/libraries", cookies=[cookie]).status == 200
    problem(browser.call("GET", "/libraries", cookies=[cookie]), 429, "daily_quota_reached")
    assert browser.call("GET", "/session", cookies=[cookie]).json["per_day"] == 1
    assert browser.call("DELETE", "/session", cookies=[cookie], headers=SAME).status == 204


def test_a_session_ends_after_eight_hours_and_with_its_secret(memory: Ports, clock: SetClock) -> None:
    cookie = signed_in()
    clock.now += 8 * 3_600_000
    assert browser.call("GET", "/libraries", cookies=[cookie]).status == 200
    clock.now += 1_000
    problem(browser.call("GET", "/libraries", cookies=[cookie]), 401, "session_expired")
    cookie = signed_in()
    memory.applications.save_application(replace(ALICE, secret_key="another"))
    problem(browser.call("GET", "/libraries", cookies=[cookie]), 401, "unauthenticated")
    memory.applications.remove_application(ALICE.access_key)
    problem(browser.call("GET", "/libraries", cookies=[cookie]), 401, "unauthenticated")


def test_disabled_applications_and_wrong_addresses_get_no_session(memory: Ports) -> None:
    memory.applications.save_application(replace(ALICE, active=False))
    problem(sign_in(), 403, "application_disabled")
    assert sign_in().cookies == ()
    memory.applications.save_application(replace(ALICE, policy=Policy(networks=("192.0.2.0/24",))))
    problem(sign_in(), 403, "address_refused")
    problem(sign_in(WRONG), 401, "unauthenticated")  # who has no keys learns neither


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({}, "missing_argument"),
        ({"access_key": "a"}, "missing_argument"),
        ({"secret_key": "a"}, "missing_argument"),
        ({**KEYS, "once": "a"}, "invalid_argument"),
        ({"once": 1}, "invalid_argument"),
        ({"once": "1" * 201}, "invalid_argument"),
        ({"access_key": "k" * 3000, "secret_key": "s"}, "invalid_argument"),
        ({"acces_key": "a"}, "invalid_argument"),
        ([], "invalid_argument"),
        (b"\xff", "invalid_argument"),
        (b'{"access_key": "\\ud800", "secret_key": "s"}', "invalid_argument"),
        (b"", "invalid_argument"),
    ],
)
def test_what_is_not_said_right_is_refused(said: Any, code: str) -> None:
    answer = (
        browser.call("POST", "/session", body=said)
        if isinstance(said, bytes)
        else browser.call("POST", "/session", said)
    )
    problem(answer, 400, code)


# -- Guessing ----------------------------------------------------------------------------------------------------------


def test_ten_wrong_passwords_wait_for_the_next_minute_and_cost_nobody_else_anything(clock: SetClock) -> None:
    statuses = [sign_in(WRONG).status for _ in range(10)]
    assert statuses == [401] * 5 + [429] * 5
    answer = sign_in()
    problem(answer, 429, "too_many_failures")
    assert answer.headers["retry-after"] == "55"
    assert sign_in(by=elsewhere).status == 204
    assert sign_in({"access_key": BOB.access_key, "secret_key": BOB.secret_key}, elsewhere).status == 204
    assert NativeCaller(ALICE).call("GET", "/libraries").status == 200
    clock.now += 55_000
    assert sign_in().status == 204


def test_one_key_is_not_guessed_from_many_addresses(clock: SetClock) -> None:
    guessers = [NativeCaller(address=f"198.51.100.{number}") for number in range(6)]
    assert [sign_in(WRONG, guesser).status for guesser in guessers] == [401] * 6
    assert [sign_in(WRONG, guesser).status for guesser in guessers] == [429] * 6
    assert sign_in().status == 204
    assert sign_in({"access_key": BOB.access_key, "secret_key": BOB.secret_key}, guessers[0]).status == 204


def test_addresses_of_one_site_guess_as_one() -> None:
    site = [NativeCaller(address=f"2001:db8::{number}") for number in range(6)]
    assert [sign_in({**KEYS, "access_key": f"key {n}"}, one).status for n, one in enumerate(site)] == [401] * 5 + [429]


def test_right_keys_are_no_failures() -> None:
    assert {sign_in().status for _ in range(20)} == {204}


def test_a_refused_sign_in_says_nothing_of_why_and_opens_no_window_of_the_browser(
    log_lines: Callable[[], list[dict[str, Any]]],
) -> None:
    answer = sign_in(WRONG, headers={"user-agent": "Mozilla/5.0 (X11; Linux x86_64)"})
    said = problem(answer, 401, "unauthenticated")
    assert not {"detail", "field"} & {name for name, value in said.items() if value}
    assert answer.headers["www-authenticate"] == 'Bearer realm="lookalike"'
    line = log_lines()[-1]
    assert (line["operation"], line["status"]) == ("token", 401)
    assert line["reason"] == "sign_in: no application has these keys"
    assert sign_in(WRONG).headers["www-authenticate"].startswith("Basic ")


# -- Links -------------------------------------------------------------------------------------------------------------


def test_a_link_signs_in_once(memory: Ports) -> None:
    once = link(memory)
    (cookie,) = sign_in({"once": once}).cookies
    assert browser.call("GET", "/session", cookies=[cookie.partition(";")[0]]).json["application"] == "alice"
    answer = sign_in({"once": once})
    problem(answer, 401, "link_invalid")
    assert answer.cookies == ()
    assert sign_in({"once": link(memory)}).status == 204


def test_a_link_is_good_for_ten_minutes(memory: Ports, clock: SetClock) -> None:
    early, late = link(memory), link(memory)
    clock.now += 600_000
    assert sign_in({"once": early}).status == 204
    clock.now += 1_000
    problem(sign_in({"once": late}), 401, "link_invalid")


def test_a_used_link_stays_used_for_longer_than_it_is_good(memory: Ports, clock: SetClock) -> None:
    once = link(memory)
    assert sign_in({"once": once}).status == 204
    clock.now += 600_000
    memory.counters.forget_counts(clock.now)
    problem(sign_in({"once": once}), 401, "link_invalid")


def test_a_link_of_the_machine_is_good_there_alone(memory: Ports) -> None:
    once = link(memory, Use.LOOPBACK_LINK)
    problem(sign_in({"once": once}), 401, "link_invalid")
    problem(sign_in({"once": once.replace("m1.", "l1.")}), 401, "link_invalid")
    assert sign_in({"once": once}, here).status == 204
    for address in ("::1", "::ffff:127.0.0.1", "127.9.9.9"):
        assert sign_in({"once": link(memory, Use.LOOPBACK_LINK)}, NativeCaller(address=address)).status == 204


def test_a_link_goes_with_its_secret_and_is_not_guessed(memory: Ports) -> None:
    once = link(memory)
    memory.applications.save_application(replace(ALICE, secret_key="another"))
    problem(sign_in({"once": once}), 401, "link_invalid")
    assert [sign_in({"once": f"{number:032x}"}).status for number in range(6)] == [401] * 4 + [429] * 2


def test_a_link_signs_in_while_keys_may_not_be_tried(memory: Ports) -> None:
    wrong = {"access_key": ALICE.access_key, "secret_key": "wrong"}
    assert [sign_in(wrong).status for _ in range(6)] == [401] * 5 + [429]
    assert sign_in({"once": link(memory)}).status == 204
    problem(sign_in({"once": "0" * 32}), 429, "too_many_failures")


def test_a_link_whose_application_is_disabled_is_not_used_up(memory: Ports) -> None:
    once = link(memory)
    memory.applications.save_application(replace(ALICE, active=False))
    problem(sign_in({"once": once}), 403, "application_disabled")
    memory.applications.save_application(ALICE)
    assert sign_in({"once": once}).status == 204


# -- Each token is for one use -----------------------------------------------------------------------------------------


def test_no_token_opens_what_another_does(memory: Ports) -> None:
    now = memory.clock() // 1000
    access = access_tokens.mint(ALICE, now)
    session, once = (session_tokens.mint(ALICE, use, now) for use in (Use.SESSION, Use.LINK))
    for token in (access, once, once.replace("l1.", "s1."), ""):
        problem(browser.call("GET", "/session", cookies=[f"lookalike_session={token}"]), 401, "unauthenticated")
    for token in (session, once):
        problem(browser.call("GET", "/session", headers={"authorization": f"Bearer {token}"}), 401, "unauthenticated")
    for token in (session, access, session.replace("s1.", "l1.")):
        problem(sign_in({"once": token}), 401, "link_invalid")


def test_vendors_calls_take_no_cookie(memory: Ports) -> None:
    cookie = signed_in()
    token = cookie.partition("=")[2]
    path = "/rest/2.0/realtime_search/same_hq/search"
    for query in ("", f"access_token={token}"):
        sent = {**event("POST", path, query=query, headers=SAME), "cookies": [cookie]}
        assert '"error_code":110' in handle("search", sent)["body"]
    sent = {**event("GET", "/v1/image/group", headers=SAME), "cookies": [cookie]}
    assert handle("groups", sent)["statusCode"] == 401
    sent = {**event("POST", "/image/similarity/v2/search", headers=SAME), "cookies": [cookie]}
    assert "200" not in handle("search", sent)["body"]
    assert Client(ALICE, memory.clock())


def test_a_header_goes_before_the_cookie() -> None:
    cookie = signed_in()
    wrong = {"authorization": "Basic YTpi"}
    problem(browser.call("GET", "/libraries", cookies=[cookie], headers=wrong), 401, "unauthenticated")
    assert NativeCaller(BOB).call("GET", "/session", cookies=[cookie]).json["application"] == "bob"


def test_two_cookies_of_the_name_count_as_none() -> None:
    cookie = signed_in()
    assert browser.call("GET", "/libraries", cookies=[cookie, "other=1", cookie]).status == 200
    both = [cookie, "lookalike_session=planted"]
    problem(browser.call("GET", "/libraries", cookies=both), 401, "unauthenticated")


# -- Other sites -------------------------------------------------------------------------------------------------------

#: Site, origin, and what is answered to a page's reading, changing, and signing in.
ORIGINS = [
    ("same-origin", "", 200, 201, 204),
    ("same-origin", "https://evil.example", 200, 201, 204),  # which no browser sends
    ("none", "", 200, 403, 403),
    ("same-site", "", 403, 403, 403),
    ("same-site", "https://example.com", 403, 403, 403),
    ("cross-site", "", 403, 403, 403),
    ("cross-site", "https://example.com", 403, 403, 403),
    ("same-origin, cross-site", "", 403, 403, 403),
    ("SAME-ORIGIN", "", 200, 201, 204),
    ("x", "", 403, 403, 403),
    ("", "", 200, 403, 204),
    ("", "http://example.com", 200, 201, 204),
    ("", "https://example.com", 200, 201, 204),
    ("", "https://example.com:443", 200, 201, 204),
    ("", "https://EXAMPLE.com", 200, 201, 204),
    ("", "https://example.com:8443", 403, 403, 403),
    ("", "https://evil.example", 403, 403, 403),
    ("", "https://example.com.evil.example", 403, 403, 403),
    ("", "https://example.com/", 403, 403, 403),
    ("", "https://evil.example#example.com", 403, 403, 403),
    ("", "https://user@example.com", 403, 403, 403),
    ("", "ftp://example.com", 403, 403, 403),
    ("", "null", 403, 403, 403),
    ("", "https://[", 403, 403, 403),
    ("", "example.com", 403, 403, 403),
]


@pytest.mark.parametrize(("site", "origin", "read", "changed", "made"), ORIGINS)
def test_what_a_page_may_do_with_the_cookie(site: str, origin: str, read: int, changed: int, made: int) -> None:
    cookie = signed_in()
    headers = {name: value for name, value in (("sec-fetch-site", site), ("origin", origin)) if value}
    for method, path, said, status in (
        ("GET", "/libraries", None, read),
        ("PUT", "/libraries/shop", {}, changed),
    ):
        answer = browser.call(method, path, said, cookies=[cookie], headers=headers)
        if status == 403:
            problem(answer, 403, "cross_site")
        assert answer.status == status
    assert browser.call("POST", "/session", KEYS, headers=headers).status == made
    keys = NativeCaller(ALICE)
    assert keys.call("GET", "/libraries", headers=headers).status == 200
    assert keys.call("PUT", "/libraries/other", {}, headers=headers).status == 201


def test_over_https_a_page_of_plain_http_is_another_site() -> None:
    cookie = signed_in(HTTPS)
    for origin, status in (("https://example.com", 201), ("http://example.com", 403)):
        headers = {**HTTPS, "origin": origin}
        assert browser.call("PUT", "/libraries/shop", {}, cookies=[cookie], headers=headers).status == status


def test_no_other_site_signs_anybody_out() -> None:
    answer = browser.call("DELETE", "/session", cookies=[signed_in()], headers={"sec-fetch-site": "cross-site"})
    problem(answer, 403, "cross_site")
    assert answer.cookies == ()
