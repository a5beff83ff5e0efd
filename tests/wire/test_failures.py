"""What goes wrong on our side is counted where an alarm looks, whatever the vendor's form hides it in."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from lookalike.domain.library import Kind
from lookalike.domain.picture import Picture
from lookalike.domain.search import Candidate, Generation, Query
from lookalike.errors import Unavailable
from lookalike.handlers.process_ports import serving
from lookalike.settings import Settings
from lookalike.stores.aws.opensearch_client import connect
from lookalike.stores.aws.opensearch_index import OpenSearchIndex
from tests.conftest import ALICE
from tests.servers.hanging import hanging
from tests.support.baidu import Caller, picture
from tests.support.fakes import MemoryGenerations, MemoryIndex, MemoryOriginals, memory_ports, with_stores
from tests.support.jumdata import Client
from tests.support.qiniu import GroupCaller, one

SEEN = picture(1, size=(40, 40))


class NoIndex(MemoryIndex):
    def search(self, query: Query) -> list[Candidate]:
        raise Unavailable("down")


class AwayIndex(NoIndex):
    """Answers nothing at all."""

    def write(self, pictures: Sequence[Picture], *, wait: bool = True) -> None:
        raise Unavailable("down")

    def count(self, *libraries: str) -> int:
        raise Unavailable("down")


class NoOriginals(MemoryOriginals):
    def put(self, key: str, data: bytes) -> None:
        raise Unavailable("down")


def baidu() -> None:
    caller = Caller(ALICE)
    caller.add("similar", SEEN)
    assert caller.call("similar", "search", image=SEEN)["error_code"] == 2


def jumdata() -> None:
    client = Client(ALICE)
    client.input(SEEN)
    assert client.call("search", base64=SEEN)["code"] == 500


def qiniu() -> None:
    groups = GroupCaller(ALICE)
    groups.new("shop", one(SEEN, id="1"))
    assert groups.search(["shop"], SEEN).status == 500


def counted(printed: str) -> float:
    lines = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
    return sum(sum(line["Failures"]) for line in lines if "Failures" in line)


@pytest.mark.parametrize("call", [baidu, jumdata, qiniu])
def test_a_store_that_is_down_is_counted(capsys: pytest.CaptureFixture[str], call: Callable[[], None]) -> None:
    with serving(memory_ports(ALICE, index=NoIndex(), settings=Settings(metrics=True))):
        call()
    assert counted(capsys.readouterr().out) == 1


@pytest.mark.parametrize("call", [baidu, jumdata, qiniu])
def test_a_store_that_is_down_is_said_in_one_line(
    log_lines: Callable[[], list[dict[str, Any]]], call: Callable[[], None]
) -> None:
    with serving(memory_ports(ALICE, index=NoIndex())):
        call()
    (line,) = [line for line in log_lines() if line["level"] != "INFO"]
    assert (line["message"], line["reason"], "exception" in line) == ("answered", "store: down", False)


def test_each_picture_that_could_not_be_kept_is_counted_though_the_call_succeeds(
    capsys: pytest.CaptureFixture[str],
) -> None:
    ports = memory_ports(ALICE, settings=Settings(metrics=True))
    with serving(with_stores(ports, originals=NoOriginals())):
        elements = [one(SEEN, id="1"), one("http://", id="2"), one(SEEN, id="3")]
        answer = GroupCaller(ALICE).post("/shop/new", {"data": elements})
    assert (answer.status, [error["code"] // 10_000 for error in answer.body["errors"]]) == (200, [500, 400, 500])
    assert counted(capsys.readouterr().out) == 2


def test_what_is_written_while_the_index_is_away_is_acknowledged_in_every_dialect() -> None:
    with serving(memory_ports(ALICE, index=AwayIndex(), settings=Settings(group_pictures=2))):
        baidu, jumdata, groups = Caller(ALICE), Client(ALICE), GroupCaller(ALICE)
        sign = baidu.add("similar", SEEN)
        assert "error_code" not in baidu.call("similar", "update", cont_sign=sign, brief="new")
        assert "error_code" not in baidu.call("similar", "delete", cont_sign=sign)
        assert jumdata.input(SEEN)
        assert groups.new("empty") == []
        assert groups.new("shop", one(SEEN, id="1")) == ["1"]
        assert groups.add("shop", one(SEEN, id="2"), one(SEEN, id="3")) == ["2", "3"]
        assert groups.listed("shop") == ["1", "2", "3"]
        assert groups.post("/shop/delete", {"images": ["1"]}).body == {}
        assert groups.get("/shop/info").error == (500, 5000900, "internal error"), "nobody knows the number"
        again = groups.post("/shop/new", {"data": [one(SEEN, id="1")]})
        assert again.error == (400, 400, "group already exists")


@pytest.mark.parametrize("call", [baidu, jumdata, qiniu])
def test_an_index_that_hangs_is_answered_in_the_vendors_form_and_soon_at_once(call: Callable[[], None]) -> None:
    generations = MemoryGenerations()
    for kind in Kind:
        generations.rows[kind] = Generation(str(kind), (str(kind),))
    with hanging() as url:
        index = OpenSearchIndex(connect(url), generations, seconds=0.3)
        took = []
        for _ in range(4):
            with serving(memory_ports(ALICE, index=index)):
                began = time.monotonic()
                call()  # adds, and searches
                took.append(time.monotonic() - began)
    assert min(took[:3]) > 0.3
    assert max(took) < 2
    assert took[3] < 0.3
