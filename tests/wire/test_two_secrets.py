"""Two secret keys of one application: both open in every dialect until the old one ends; then only the new one does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from lookalike.domain.application import Application
from lookalike.ports import Ports
from lookalike.service.applications import new_secret
from lookalike.wire.baidu import access_tokens
from lookalike.wire.native import cookies
from lookalike.wire.native.session_tokens import Use, mint
from tests.conftest import ALICE
from tests.support.baidu import Caller, event, handle, picture
from tests.support.fakes import MemoryApplications, SetClock
from tests.support.jumdata import Client
from tests.support.native import NativeCaller
from tests.support.qiniu import GroupCaller


def token_endpoint(caller: Application) -> bool:
    query = f"grant_type=client_credentials&client_id={caller.access_key}&client_secret={caller.secret_key}"
    return bool(handle("token", event("POST", "/oauth/2.0/token", query=query))["statusCode"] == 200)


def by_token(caller: Application) -> bool:
    said = Caller(caller).call("similar", "search", image=picture(1))
    return "error_code" not in said


def by_session(caller: Application) -> bool:
    session = mint(caller, Use.SESSION, Caller(caller).now)
    return NativeCaller().call("GET", "/session", cookies=[f"{cookies.NAME}={session}"]).status == 200


WAYS: dict[str, Callable[[Application], bool]] = {
    "tokens": by_token,
    "token endpoint": token_endpoint,
    "Jumdata": lambda caller: Client(caller).call("search", base64=picture(1))["code"] == 200,
    "Qiniu": lambda caller: GroupCaller(caller).get().status == 200,
    "Basic": lambda caller: NativeCaller(caller).call("GET", "/libraries").status == 200,
    "sessions": by_session,
}


@pytest.mark.parametrize("way", WAYS)
def test_both_open_until_the_old_one_ends(memory: Ports, clock: SetClock, way: str) -> None:
    assert isinstance(memory.applications, MemoryApplications)
    new = new_secret(memory.applications, "alice", old_until=clock.now + 1)
    stranger = replace(ALICE, secret_key="wrong")
    assert [WAYS[way](one) for one in (ALICE, new, stranger)] == [True, True, False]
    clock.now += 1
    assert [WAYS[way](one) for one in (ALICE, new, stranger)] == [False, True, False]


def test_a_token_of_the_old_secret_ends_with_it(memory: Ports, clock: SetClock) -> None:
    token = access_tokens.mint(ALICE, clock.now // 1000)
    assert isinstance(memory.applications, MemoryApplications)
    new = new_secret(memory.applications, "alice", old_until=clock.now + 1)
    assert access_tokens.verify(memory.applications, token, clock.now // 1000).secret_key == new.secret_key
    headers = {"authorization": f"Bearer {token}"}
    assert NativeCaller().call("GET", "/libraries", headers=headers).status == 200
    clock.now += 1
    assert NativeCaller().call("GET", "/libraries", headers=headers).status == 401
