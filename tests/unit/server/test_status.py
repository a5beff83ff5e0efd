"""``GET /status``: little for everybody, details for authorised callers, in time even if a store hangs."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import lookalike
from functions.groups.app import handler
from functions.unknown.app import handler as elsewhere
from lookalike.domain.application import Application, Policy
from lookalike.domain.backlog import Backlog
from lookalike.embedding.model_path import CARD
from lookalike.errors import Unavailable
from lookalike.handlers.process_ports import serving
from lookalike.ports import Ports
from lookalike.server import api_gateway, health, status
from lookalike.server.commands import COMMANDS
from lookalike.server.health import Health
from lookalike.server.status import Status
from lookalike.service.index_state import note_purge
from lookalike.settings import Settings
from lookalike.wire import status as wire_status
from tests.conftest import ALICE, BOB
from tests.support.baidu import Caller, event, picture
from tests.support.fakes import MemoryCatalog, MemoryIndex, MemoryOriginals, SetBacklog, memory_ports, with_stores


def get(
    ports: Ports, *headers: tuple[str, str], client: str = "203.0.113.5"
) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Return status, body and headers of the answer."""
    received = api_gateway.HttpRequest("GET", "/status", "", headers, b"", client, api_gateway.now())
    with closing(Status(ports)) as answering:
        response = answering.answer(received)
    return response.status, json.loads(response.body), dict(response.headers)


def basic(access_key: str, secret_key: str) -> tuple[str, str]:
    return "Authorization", "Basic " + base64.b64encode(f"{access_key}:{secret_key}".encode()).decode()


def keys(application: Application) -> tuple[str, str]:
    return basic(application.access_key, application.secret_key)


@pytest.fixture
def ports() -> Ports:
    """Return ports with two tenants, Alice's and Bob's, each with pictures."""
    made = memory_ports(ALICE, BOB)
    with serving(made):
        Caller(ALICE).add("similar", picture(1))
        Caller(ALICE).add("similar", picture(2))
        Caller(BOB).add("product", picture(1))
    return made


ALL_ANSWER = {"catalog": True, "index": True, "originals": True}
READY = {"status": "ready", "version": lookalike.__version__, "model": "tiny"}


@pytest.mark.parametrize("client", ["127.0.0.1", "::1", "203.0.113.5", ""])
def test_wherever_a_caller_is_without_keys_it_sees_no_names(ports: Ports, client: str) -> None:
    assert get(ports, client=client)[:2] == (200, READY)


def test_an_application_sees_what_its_tenant_has(ports: Ports) -> None:
    for owner, pictures in ((ALICE, {f"{ALICE.tenant}/similar": 2}), (BOB, {f"{BOB.tenant}/product": 1})):
        said = {"pictures": pictures, "searchable": sum(pictures.values()), "stores": ALL_ANSWER}
        assert get(ports, keys(owner))[:2] == (200, READY | said)


def test_an_owner_sees_how_far_the_service_is(ports: Ports) -> None:
    behind = with_stores(ports, backlogs=SetBacklog(Backlog(lag_ms=4500, dead_letters=3)))
    note_purge(behind)
    COMMANDS["check"](behind, {"repair": False, "deep": 0, "rate": 200}, lambda _: None)
    _, content, _ = get(behind, keys(ALICE))
    assert (content["lag_seconds"], content["dead_letters"]) == (4.5, 3)
    assert behind.clock() - content["oldest_unindexed"] == pytest.approx(4500, abs=60_000)
    assert content["last_purge"] <= behind.clock()
    assert content["last_check"]["left"] == 0
    assert get(behind)[1] == READY, "strangers see nothing of it"


@pytest.mark.parametrize(
    "given",
    [
        basic(ALICE.access_key, BOB.secret_key),
        basic(ALICE.access_key, ""),
        basic("", ""),
        basic("nobody", ALICE.secret_key),
        ("authorization", "Basic"),
        ("authorization", "Basic ä"),
        ("authorization", "Basic /w=="),
        ("authorization", "Basic " + base64.b64encode(ALICE.access_key.encode()).decode()),
        ("authorization", keys(ALICE)[1].replace("Basic", "Bearer")),
    ],
)
def test_wrong_keys_are_refused(ports: Ports, given: tuple[str, str]) -> None:
    code, content, headers = get(ports, given)
    assert (code, content) == (401, {"message": "Unauthorized"})
    assert headers["www-authenticate"].startswith("Basic ")


def test_an_application_that_may_not_call_is_told_nothing(ports: Ports) -> None:
    for refused in (replace(ALICE, active=False), replace(ALICE, policy=Policy(networks=("192.0.2.0/24",)))):
        ports.applications.save_application(refused)
        assert get(ports, keys(ALICE))[0] == 401
    assert get(ports, keys(ALICE), client="192.0.2.7")[0] == 200


def test_a_setting_shows_everybody_everything(ports: Ports) -> None:
    opened = replace(with_stores(ports, wrong=["row uid/a: no vector"]), settings=Settings(status_details=True))
    _, content, _ = get(opened)
    assert content["pictures"] == {f"{ALICE.tenant}/similar": 2, f"{BOB.tenant}/product": 1}
    assert content["problems"] == ["row uid/a: no vector"]


def test_what_is_wrong_with_some_rows_is_no_reason_to_send_anybody_elsewhere(ports: Ports) -> None:
    wrong = with_stores(ports, wrong=["row uid/a: no vector"])
    assert get(wrong)[:2] == (200, READY | {"status": "degraded"})
    code, content, _ = get(wrong, keys(ALICE))
    assert (code, content["status"]) == (200, "degraded")
    assert "problems" not in content, "rows may be those of others"


class Hanging:
    """A store that hangs until the test ends."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.asked = 0

    def __call__(self, *_: object) -> Any:
        self.asked += 1
        self.over.wait(30)
        raise Unavailable("no answer")


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hanging]:
    monkeypatch.setattr(Health.failing, "__defaults__", (0.2,))
    monkeypatch.setattr(health, "_HUNG_SECONDS", 0.1)
    monkeypatch.setattr(status, "_MAX_SECONDS", 0.4)
    made = Hanging()
    yield made
    made.over.set()


@pytest.mark.parametrize(
    ("store", "method", "name"),
    [
        (MemoryIndex, "count", "the index does not answer"),
        (MemoryCatalog, "library", "the catalog does not answer"),
        (MemoryOriginals, "get", "the store of originals does not answer"),
    ],
)
@pytest.mark.parametrize("failure", ["hangs", "away", "breaks"])
def test_a_store_that_does_not_answer_is_said_at_once(
    monkeypatch: pytest.MonkeyPatch, hanging: Hanging, store: type, method: str, name: str, failure: str
) -> None:
    def fail(*_: object) -> None:
        raise Unavailable("away") if failure == "away" else ValueError("broken")

    monkeypatch.setattr(store, method, hanging if failure == "hangs" else fail)
    began = time.monotonic()
    code, content, _ = get(memory_ports(ALICE))
    assert (code, content) == (503, {**READY, "status": "degraded"})
    code, content, _ = get(memory_ports(ALICE), keys(ALICE))
    assert (code, content["problems"]) == (503, [name])
    assert time.monotonic() - began < 1.5


@pytest.mark.parametrize("failure", ["hangs", "away"])
def test_problems_are_shown_to_nobody_whose_keys_cannot_be_checked(
    monkeypatch: pytest.MonkeyPatch, hanging: Hanging, failure: str
) -> None:
    def fail(*_: object) -> None:
        raise Unavailable("away")

    ports = memory_ports(ALICE)
    monkeypatch.setattr(MemoryCatalog, "library", fail)
    monkeypatch.setattr(ports.applications, "application", hanging if failure == "hangs" else fail)
    for given in (basic("nobody", "wrong"), keys(ALICE)):
        assert get(ports, given)[:2] == (503, {**READY, "status": "degraded"})


def test_a_store_that_hangs_is_asked_by_one_thread(monkeypatch: pytest.MonkeyPatch, hanging: Hanging) -> None:
    monkeypatch.setattr(MemoryIndex, "count", hanging)
    received = api_gateway.HttpRequest("GET", "/status", "", (), b"", "127.0.0.1", api_gateway.now())
    with closing(Status(memory_ports())) as answering:
        began = time.monotonic()
        assert {answering.answer(received).status for _ in range(20)} == {503}
        assert time.monotonic() - began < 0.5, "it is waited for once"
    assert hanging.asked == 1


def test_a_store_that_is_slow_is_not_away(monkeypatch: pytest.MonkeyPatch, hanging: Hanging) -> None:
    monkeypatch.setattr(health, "_HUNG_SECONDS", 0.3)
    monkeypatch.setattr(MemoryIndex, "count", hanging)
    received = api_gateway.HttpRequest("GET", "/status", "", (), b"", "127.0.0.1", api_gateway.now())
    with closing(Status(memory_ports())) as answering:
        assert answering.answer(received).status == 200
        time.sleep(0.15)
        assert answering.answer(received).status == 503


def test_a_store_that_is_back_is_ready_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_FRESH_SECONDS", 0)
    index = MemoryIndex()
    received = api_gateway.HttpRequest("GET", "/status", "", (), b"", "127.0.0.1", api_gateway.now())
    with closing(Status(memory_ports(index=index))) as answering:
        with monkeypatch.context() as away:
            away.setattr(MemoryIndex, "count", lambda *_: 1 / 0)
            assert answering.answer(received).status == 503
        assert answering.answer(received).status == 200


def test_accounts_that_hang_keep_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch, hanging: Hanging, ports: Ports
) -> None:
    monkeypatch.setattr(ports.applications, "application", hanging)
    began = time.monotonic()
    assert get(ports, keys(ALICE))[:2] == (200, READY)
    assert time.monotonic() - began < 1


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_function_answers_in_the_same_form_and_loads_no_model(method: str, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"what no runtime would load")
    (tmp_path / CARD).write_text('{"name": "made-up-1"}')
    with serving(memory_ports(settings=Settings(model=str(tmp_path / "model.onnx")))):
        answer = (handler if method == "GET" else elsewhere)(event(method, "/status"), None)
    assert answer["statusCode"] == 200
    assert answer["headers"]["content-type"] == "application/json"
    assert json.loads(answer["body"]) == READY | {"model": "made-up-1"}


def test_other_calls_to_that_path_are_elsewhere() -> None:
    with serving(memory_ports()):
        assert "version" not in handler(event("POST", "/status"), None)["body"]


def ask_function(ports: Ports, *headers: tuple[str, str]) -> tuple[int, dict[str, Any]]:
    given = {name.lower(): value for name, value in headers}
    with serving(ports):
        answer = handler(event("GET", "/status", headers=given), None)
    return answer["statusCode"], json.loads(answer["body"])


def test_a_function_tells_owners_the_same_as_one_machine(ports: Ports) -> None:
    behind = with_stores(ports, backlogs=SetBacklog(Backlog(lag_ms=4500, dead_letters=3)))
    note_purge(behind)
    COMMANDS["check"](behind, {"repair": False, "deep": 0, "rate": 200}, lambda _: None)
    COMMANDS["canary"](behind, {"recall": 0}, lambda _: None)
    code, said = ask_function(behind, keys(ALICE))
    _, one_machine, _ = get(behind, keys(ALICE))
    changing = {"model": "", "oldest_unindexed": 0}  # no model is loaded for it; the clock goes on
    assert (code, said | changing) == (200, one_machine | changing)
    assert said.keys() >= {"last_check", "last_canary", "last_purge", "dead_letters", "lag_seconds", "pictures"}


def test_a_function_tells_strangers_nothing(ports: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask_function(ports, basic(ALICE.access_key, "wrong")) == (401, {"message": "Unauthorized"})
    monkeypatch.setattr(MemoryIndex, "count", lambda *_: 1 / 0)
    code, said = ask_function(ports)
    assert (code, set(said)) == (200, {"status", "version", "model"}), "no store is asked for a stranger"


def test_a_function_says_which_store_does_not_answer(ports: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise Unavailable("away")

    monkeypatch.setattr(MemoryIndex, "count", away)
    code, said = ask_function(with_stores(ports, backlogs=SetBacklog(Backlog(900_000, 1))), keys(ALICE))
    assert (code, said["status"], said["stores"]) == (503, "degraded", ALL_ANSWER | {"index": False})
    assert "pictures" not in said
    assert (said["lag_seconds"], said["dead_letters"]) == (900, 1), "what is most wanted then is there"


def test_a_function_whose_applications_are_away_is_unavailable(ports: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise Unavailable("away")

    monkeypatch.setattr(ports.applications, "application", away)
    assert ask_function(ports, keys(ALICE)) == (503, {"message": "Service Unavailable"})


def test_a_function_counts_many_libraries_together(ports: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire_status, "_MAX_COUNTED", 0)
    _, said = ask_function(ports, keys(ALICE))
    assert "pictures" not in said
    assert said["searchable"] == 2


def test_a_narrowed_key_sees_its_libraries_alone(ports: Ports) -> None:
    ports.applications.save_application(replace(ALICE, policy=Policy(libraries=("other",))))
    for _, said in (ask_function(ports, keys(ALICE)), get(ports, keys(ALICE))[:2]):
        assert (said["pictures"], said["searchable"]) == ({}, 0)


def test_owners_see_the_last_check_and_the_last_canary(memory: Ports) -> None:
    COMMANDS["check"](memory, {"repair": False, "deep": 0, "rate": 200.0}, lambda _: None)
    COMMANDS["canary"](memory, {"recall": 0}, lambda _: None)
    _, said, _ = get(memory, keys(ALICE))
    assert (said["last_check"]["left"], said["last_check"]["found"]) == (0, {})
    assert (said["last_canary"]["well"], said["last_canary"]["recall"]) == (True, None)
