"""Every call of every dialect with every narrowed key: it does what the key may do, and nothing else.

The table is exact in both directions: each call is refused to keys without what stands beside it, in its dialect's own
words, and done for keys that have nothing but that; and every route of every dialect stands in the table.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from lookalike.domain.application import Application, Permission, Policy
from lookalike.ports import Ports
from lookalike.wire.baidu import calls as baidu_calls
from lookalike.wire.jumdata import calls as jumdata_calls
from lookalike.wire.native import about, cookies
from lookalike.wire.native import calls as native_calls
from lookalike.wire.native.session_tokens import Use, mint
from lookalike.wire.qiniu import calls as qiniu_calls
from tests.conftest import ALICE
from tests.contract.rows import contents
from tests.support.baidu import Caller, picture
from tests.support.fakes import MemoryApplications, MemoryCatalog
from tests.support.jumdata import Client
from tests.support.native import Answered, NativeCaller, image
from tests.support.qiniu import GroupCaller, one, uri

SEARCH, ADD, UPDATE, DELETE, GROUPS = Permission

#: Answers whether a call was refused as not permitted. Any other refusal fails the test.
Refused = bool
Sends = Callable[[Application, str], Refused]


def baidu(operation: str, **fields: Any) -> Sends:
    def send(caller: Application, _library: str) -> Refused:
        said = Caller(caller).call("same_hq", operation, **fields)
        assert said.get("error_code") in (None, 6), said
        assert said.get("error_msg") in (None, "No permission to access data")
        return "error_code" in said

    return send


def jumdata(operation: str, **fields: Any) -> Sends:
    def send(caller: Application, _library: str) -> Refused:
        said = Client(caller).call(operation, **fields)
        assert (said["code"], said["code"] == 601 and said["msg"]) in ((200, False), (601, "接口未开通")), said
        return bool(said["code"] == 601)

    return send


def qiniu(method: str, target: str, body: Any = None) -> Sends:
    def send(caller: Application, library: str) -> Refused:
        filled = json.loads(json.dumps(body).replace("LIBRARY", library))
        said = GroupCaller(caller).call(method, f"/v1/image/group{target.format(group=library)}", filled)
        if said.status != 200:
            assert said.error == (403, 403, "permission denied")
        return said.status != 200

    return send


def native(method: str, path: str, said: Any = None) -> Sends:
    def send(caller: Application, library: str) -> Refused:
        filled = json.loads(json.dumps(said).replace("LIBRARY", library))
        answer = NativeCaller(caller).call(method, path.format(library=library, id="a", job="sweep"), filled)
        return is_refused(answer)

    return send


def is_refused(answer: Answered) -> Refused:
    if answer.status < 400:
        return False
    assert (answer.status, answer.json["code"]) == (403, "not_permitted"), answer.body
    return True


def row(**said: Any) -> Sends:
    """A call of one row. The call as a whole is refused to keys that may do nothing of what rows can say."""

    def send(caller: Application, library: str) -> Refused:
        answer = NativeCaller(caller).call("POST", f"/libraries/{library}/bulk", body=json.dumps(said).encode())
        if answer.status != 200:
            return is_refused(answer)
        assert answer.lines[0]["status"] in (200, 201, 204, 403), answer.body
        return bool(answer.lines[0].get("code") == "not_permitted")

    return send


@dataclass(frozen=True, slots=True)
class Case:
    """A call, by its route; what a key must have, all of it or, with ``either``, any; whether it names a library."""

    route: tuple[str, str]
    send: Sends
    needs: frozenset[Permission]
    in_library: bool = True
    either: bool = False

    @property
    def enough(self) -> list[frozenset[Permission]]:
        """What each suffices."""
        return [frozenset({one}) for one in self.needs] if self.either else [self.needs]

    @property
    def lacking(self) -> list[frozenset[Permission]]:
        """What a key must not lack, each."""
        return [self.needs] if self.either else [frozenset({one}) for one in self.needs]


def case(method: str, path: str, send: Sends, *needs: Permission, in_library: bool = True) -> Case:
    return Case((method, path), send, frozenset(needs), in_library)


NEW, KNOWN = picture(7, size=(64, 48)), picture(1, size=(64, 48))
PLACES = [f"{place}/{{library}}" for place in baidu_calls._PLACES]
G, L, J = "/v1/image/group", "/api/v1/libraries/{library}", "/api/v1/jobs/{job}"
P = f"{L}/pictures/{{id}}"


def of_native(method: str, path: str, said: Any, *needs: Permission, in_library: bool = True) -> Case:
    return case(method, path, native(method, path.removeprefix("/api/v1"), said), *needs, in_library=in_library)


def of_qiniu(method: str, target: str, body: Any, *needs: Permission) -> Case:
    return case(method, f"{G}{target}", qiniu(method, target, body), *needs)


CASES = [
    *(case("POST", f"{place}/add", baidu("add", image=NEW, brief="b"), ADD) for place in PLACES),
    *(case("POST", f"{place}/search", baidu("search", image=KNOWN), SEARCH) for place in PLACES),
    *(case("POST", f"{place}/update", baidu("update", image=KNOWN, brief="n"), UPDATE) for place in PLACES),
    *(case("POST", f"{place}/delete", baidu("delete", image=KNOWN), DELETE) for place in PLACES),
    case("POST", "/image/similarity/v2/input", jumdata("input", base64=NEW), ADD),
    case("POST", "/image/similarity/v2/search", jumdata("search", base64=KNOWN), SEARCH),
    case("POST", "/image/similarity/v2/delete", jumdata("delete", contSign="{sign}"), DELETE),
    of_qiniu("GET", "", None, GROUPS),
    of_qiniu("GET", "/{group}", None, GROUPS),
    of_qiniu("GET", "/{group}/info", None, GROUPS),
    of_qiniu("POST", "/{group}/new", {"data": [one(NEW, id="n")]}, GROUPS, ADD),
    of_qiniu("POST", "/{group}/remove", {}, GROUPS),
    of_qiniu("POST", "/{group}/image", {"id": "a"}, SEARCH),
    of_qiniu("POST", "/{group}/add", {"data": [one(NEW, id="n")]}, ADD),
    of_qiniu("POST", "/{group}/delete", {"images": ["a"]}, DELETE),
    case("POST", "/v1/image/groups/search",
         qiniu("POST", "s/search", {"data": {"uri": uri(KNOWN)}, "params": {"groups": ["LIBRARY"]}}), SEARCH),
    of_qiniu("POST", "/{group}/search", {"data": {"uri": uri(KNOWN)}}, SEARCH),
    of_native("GET", "/api/v1/usage", None, in_library=False),
    of_native("GET", "/api/v1/libraries", None, GROUPS, in_library=False),
    replace(of_native("GET", L, None, GROUPS, ADD), either=True),
    of_native("PUT", L, {"identity": "own"}, GROUPS),
    of_native("PATCH", L, {"capacity": 9}, GROUPS),
    of_native("DELETE", L, None, GROUPS),
    of_native("GET", f"{L}/pictures", None, GROUPS),
    of_native("GET", P, None, SEARCH),
    of_native("GET", f"{P}/image", None, SEARCH),
    of_native("POST", f"{L}/pictures", {"image": image(NEW), "id": "n"}, ADD),
    of_native("POST", f"{L}/pictures", {"image": image(KNOWN), "id": "a", "brief": "n", "on_duplicate": "update"},
              ADD, UPDATE),
    case("PUT", P, native("PUT", "/libraries/{library}/pictures/new", {"image": image(NEW)}), ADD),
    of_native("PUT", P, {"image": image(NEW)}, ADD, UPDATE),
    case("POST", f"{L}/bulk", row(op="add", id="n", base64=image(NEW)["base64"]), ADD),
    case("POST", f"{L}/bulk", row(op="update", id="a", brief="n"), UPDATE),
    case("POST", f"{L}/bulk", row(op="delete", id="a"), DELETE),
    of_native("PATCH", P, {"brief": "n"}, UPDATE),
    of_native("POST", f"{P}/restore", None, ADD),
    of_native("DELETE", P, None, DELETE),
    of_native("POST", f"{L}/search", {"image": image(KNOWN)}, SEARCH),
    of_native("POST", f"{L}/check", {"image": image(KNOWN)}, SEARCH),
    of_native("POST", "/api/v1/search", {"image": image(KNOWN), "libraries": ["LIBRARY"]}, SEARCH),
    of_native("POST", "/api/v1/compare", {"a": image(KNOWN), "b": {"library": "LIBRARY", "picture": "a"}}, SEARCH),
    of_native("POST", f"{L}/duplicates", None, GROUPS),
    of_native("GET", f"{L}/duplicates", None, GROUPS),
    of_native("POST", f"{L}/duplicates/dismiss", {"pictures": ["a", "b"]}, GROUPS),
    of_native("POST", f"{L}/duplicates/reconsider", {"pictures": ["a", "b"]}, GROUPS),
    of_native("GET", "/api/v1/jobs", None, GROUPS, in_library=False),
    case("PUT", J, native("PUT", "/jobs/sweep", {"kind": "duplicates", "library": "LIBRARY"}), GROUPS),
    of_native("GET", J, None, GROUPS),
    of_native("POST", f"{J}/pause", None, GROUPS),
    of_native("POST", f"{J}/resume", None, GROUPS),
    of_native("POST", f"{J}/cancel", None, GROUPS),
    of_native("GET", f"{J}/report", None, GROUPS),
    of_native("GET", "/api/v1/index", None, in_library=False),
    replace(of_native("POST", "/api/v1/uploads", None, ADD, SEARCH, in_library=False), either=True),
    of_native("GET", "/api/v1/session", None, in_library=False),
]  # fmt: skip

#: Signing in and out is open to every key: what it may do then is decided call by call.
OPEN = {("POST", "/api/v1/session"), ("DELETE", "/api/v1/session")}

#: Names of the libraries of whose calls a path says nothing.
FIXED = {"/rest/": "same_hq", "/image/": "jumdata"}


def name(given: Case) -> str:
    needs = "+".join(sorted(given.needs)) or "any"
    return f"{given.route[0]} {given.route[1]} {needs}"


def library_of(given: Case) -> str:
    fixed = (library for path, library in FIXED.items() if given.route[1].startswith(path))
    return next(fixed, "made" if given.route[1].endswith("/new") else "shop")


@pytest.fixture
def stores(memory: Ports) -> MemoryCatalog:
    """Two libraries of two pictures each, a job in one of them, and those of vendors that have one."""
    owner = NativeCaller(ALICE)
    for library in ("shop", "other"):
        owner.library(library, identity="own", kind="same")
        assert owner.put(library, "a", KNOWN).status == 201
        assert owner.put(library, "b", picture(2, size=(64, 48))).status == 201
    assert owner.call("PUT", "/jobs/sweep", {"kind": "duplicates", "library": "shop"}).status == 201
    Caller(ALICE).add("same_hq", KNOWN)
    sign = Client(ALICE).input(KNOWN)
    SIGNS["{sign}"] = sign
    assert isinstance(memory.catalog, MemoryCatalog)
    return memory.catalog


SIGNS: dict[str, str] = {}


@pytest.fixture
def narrow(memory: Ports) -> Callable[..., Application]:
    """Makes a narrowed key of the same tenant."""

    def make(*may: Permission, libraries: tuple[str, ...] = ()) -> Application:
        key = replace(
            ALICE,
            access_key="narrowed",
            app_id="10000009",
            name="narrowed",
            policy=Policy(may=may, libraries=libraries),
        )
        assert isinstance(memory.applications, MemoryApplications)
        memory.applications.save_application(key)
        return key

    return make


def state(catalog: MemoryCatalog) -> Any:
    return {key: contents(row) for key, row in catalog.rows.items()}, dict(catalog.by_name)


def send(given: Case, caller: Application, library: str) -> Refused:
    if given.route[1].endswith("v2/delete"):
        return jumdata("delete", contSign=SIGNS["{sign}"])(caller, library)
    return given.send(caller, library)


def test_every_route_stands_in_the_table() -> None:
    tables = (baidu_calls, jumdata_calls, qiniu_calls, native_calls)
    public = {(row.method, row.path) for row in about.PUBLIC_ROUTES}
    routes = {(row.method, row.path) for table in tables for row in table.ROUTES if row.method != "*"} - public
    assert routes == {given.route for given in CASES} | OPEN


@pytest.mark.parametrize("given", CASES, ids=name)
def test_a_key_with_all_that_a_call_needs_may_do_it(
    stores: MemoryCatalog, narrow: Callable[..., Application], given: Case
) -> None:
    library = library_of(given)
    for needs in given.enough:
        assert not send(given, narrow(*needs, libraries=(library,) if given.in_library else ()), library), needs


@pytest.mark.parametrize("given", [given for given in CASES if given.needs], ids=name)
def test_a_key_without_it_may_not_and_changes_nothing(
    stores: MemoryCatalog, narrow: Callable[..., Application], given: Case
) -> None:
    before = state(stores)
    for lacking in given.lacking:
        assert send(given, narrow(*(one for one in Permission if one not in lacking)), library_of(given)), lacking
    assert state(stores) == before


@pytest.mark.parametrize("given", [given for given in CASES if given.in_library and given.route[1] != G], ids=name)
def test_a_key_of_another_library_may_not_and_changes_nothing(
    stores: MemoryCatalog, narrow: Callable[..., Application], given: Case
) -> None:
    before = state(stores)
    assert send(given, narrow(libraries=("other",)), library_of(given))
    assert state(stores) == before


def test_lists_have_the_libraries_of_a_key_alone(stores: MemoryCatalog, narrow: Callable[..., Application]) -> None:
    key = narrow(libraries=("other",))
    assert [one["name"] for one in NativeCaller(key).call("GET", "/libraries").json["libraries"]] == ["other"]
    assert GroupCaller(key).get().body["result"] == ["other"]


def test_the_index_counts_the_libraries_of_a_key_alone(
    stores: MemoryCatalog, narrow: Callable[..., Application]
) -> None:
    def counted(*libraries: str) -> int:
        return int(NativeCaller(narrow(libraries=libraries)).call("GET", "/index").json["pictures"])

    assert counted("other") == 2
    assert counted("shop", "other") == 4
    assert counted() > 4


def test_sessions_and_tokens_of_a_narrowed_key_are_as_narrow(
    stores: MemoryCatalog, narrow: Callable[..., Application]
) -> None:
    key = narrow(SEARCH, libraries=("shop",))
    session = mint(key, Use.SESSION, Caller(key).now)
    ways: list[dict[str, Any]] = [
        {"headers": {"authorization": f"Bearer {Caller(key).token}"}},
        {"headers": {"authorization": f"Basic {base64.b64encode(b'narrowed:alice-secret').decode()}"}},
        {"cookies": [f"{cookies.NAME}={session}"]},
    ]
    for way in ways:
        nobody = NativeCaller()
        assert nobody.call("GET", "/libraries/shop/pictures/a", **way).status == 200
        for refused in ("/libraries/other/pictures/a", "/libraries"):
            assert is_refused(nobody.call("GET", refused, **way))
        said = nobody.call("GET", "/session", **way).json
        assert (said["may"], said["libraries"]) == (["search"], ["shop"])
