"""How the index is doing, as callers of the native API see it."""

from __future__ import annotations

import httpx

from lookalike.domain.application import Application
from lookalike.domain.backlog import Backlog
from lookalike.errors import Unavailable
from lookalike.handlers.process_ports import serving
from lookalike.ports.clock import DAY_MS
from lookalike.service.purge import purge
from tests.conftest import ALICE
from tests.support.baidu import picture
from tests.support.fakes import SetBacklog, SetClock, memory_ports
from tests.support.live import LiveServer
from tests.support.native import NativeCaller

NOW = 1_767_323_045_000


class _Silent(SetBacklog):
    """Does not answer."""

    def backlog(self) -> Backlog:
        raise Unavailable("CloudWatch: no answer")


def test_it_counts_the_callers_own_pictures() -> None:
    bob = Application("bob's", "secret", "20000002", "another", "bob")
    with serving(memory_ports(ALICE, bob)):
        caller = NativeCaller(ALICE)
        for library in ("one", "two"):
            caller.library(library)
            caller.put(library, "a", picture(1))
        caller.put("two", "b", picture(2))
        caller.call("DELETE", caller.path("two", "a"))
        said = caller.call("GET", "/index")
        assert (said.status, said.json) == (200, {"model": "tiny", "pictures": 2})
        assert NativeCaller(bob).call("GET", "/index").json["pictures"] == 0


def test_it_says_how_far_the_index_is_behind() -> None:
    ports = memory_ports(ALICE, backlogs=SetBacklog(Backlog(lag_ms=4500, dead_letters=3)), clock=SetClock(NOW))
    with serving(ports):
        said = NativeCaller(ALICE).call("GET", "/index").json
    assert (said["lag_seconds"], said["oldest_unindexed"], said["dead_letters"]) == (
        4.5,
        "2026-01-02T03:04:00.500Z",
        3,
    )


def test_an_index_that_lacks_nothing_has_no_oldest_write() -> None:
    with serving(memory_ports(ALICE, backlogs=SetBacklog(Backlog(lag_ms=0, dead_letters=0)))):
        said = NativeCaller(ALICE).call("GET", "/index").json
    assert (said["lag_seconds"], said["dead_letters"], "oldest_unindexed" in said) == (0, 0, False)


def test_what_cannot_be_read_is_left_out() -> None:
    with serving(memory_ports(ALICE, backlogs=_Silent())):
        said = NativeCaller(ALICE).call("GET", "/index")
    assert (said.status, said.json) == (200, {"model": "tiny", "pictures": 0})


def test_it_says_when_a_purge_last_ended() -> None:
    clock = SetClock(NOW)
    ports = memory_ports(ALICE, clock=clock)
    with serving(ports):
        caller = NativeCaller(ALICE)
        assert not purge(ports, lambda: False).done
        assert "last_purge" not in caller.call("GET", "/index").json, "one that was interrupted is none"
        for _ in range(2):
            clock.now += DAY_MS
            purge(ports, lambda: True)
        assert caller.call("GET", "/index").json["last_purge"] == "2026-01-04T03:04:05.000Z"


def test_one_machine_knows_all_of_it(server: LiveServer) -> None:
    keys = server.keys("index")
    said = httpx.get(f"{server.url}/api/v1/index", auth=(keys.access_key, keys.secret_key), timeout=60).json()
    assert (said["pictures"], said["lag_seconds"], said["dead_letters"]) == (0, 0, 0)
    assert said["last_purge"].endswith("Z"), "a server purges when it starts"
