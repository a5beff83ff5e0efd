"""OpenSearch is stopped, hangs and comes back in the middle of a mixed load: nothing is lost, nobody waits, nothing is to be done."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3
import pytest

from lookalike.domain.library import Kind
from lookalike.domain.search import Generation
from lookalike.handlers.process_ports import serving
from lookalike.handlers.stream import stream_handler
from lookalike.ports import Ports
from lookalike.ports.clock import DAY_MS
from lookalike.service import consistency
from lookalike.settings import Settings
from lookalike.stores.aws.dynamodb_catalog import DynamoCatalog
from lookalike.stores.aws.dynamodb_maps import DynamoMaps
from lookalike.stores.aws.opensearch_admin import create_index
from lookalike.stores.aws.opensearch_client import connect
from lookalike.stores.aws.opensearch_index import OpenSearchIndex
from tests.conftest import ALICE
from tests.servers.account import free_port
from tests.servers.dynamodb import server as dynamodb
from tests.servers.opensearch import server as opensearch
from tests.servers.table_stream import TableStream, stream_of
from tests.support import load
from tests.support.baidu import Caller
from tests.support.fakes import MemoryGenerations, SetClock, memory_ports
from tests.support.jumdata import Client as JumdataClient
from tests.support.load import Client, Ledger
from tests.support.native import NativeCaller, image, problem
from tests.support.qiniu import GroupCaller, one

CLIENTS = 4

#: Seconds between two calls of a client.
PAUSE = 0.05

#: Seconds within which a search answers, also that it cannot be answered.
SOON = 2.0


@dataclass
class Stack:
    """The stores of a stack that are of matter here, its stream, and OpenSearch, which may be stopped."""

    ports: Ports
    stream: TableStream
    folder: Path
    port: int
    server: opensearch.OpenSearchServer

    def stop(self) -> None:
        self.server.kill()

    def start(self) -> None:
        self.server = opensearch.OpenSearchServer(self.folder, self.port, opensearch.QUICK_START)

    def signalled(self, number: signal.Signals) -> None:
        self.server.process.send_signal(number)


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    if (reason := opensearch.missing()) is not None:
        pytest.skip(f"no OpenSearch: {reason}")
    port, table = free_port(), dynamodb.new_table()
    server = opensearch.OpenSearchServer(tmp_path, port, opensearch.QUICK_START)
    client, generations = connect(server.url, connections=CLIENTS + 2), MemoryGenerations()
    for kind in Kind:
        create_index(client, str(kind), replicas=0, refresh_interval="100ms")
        generations.save_generation(kind, Generation(str(kind), (str(kind),)), None)
    ports = memory_ports(
        ALICE,
        catalog=DynamoCatalog(table),
        maps=DynamoMaps(table),
        index=OpenSearchIndex(client, generations, seconds=Settings().index_seconds),
    )
    streams: Any = boto3.client("dynamodbstreams", endpoint_url=dynamodb.dynamodb(), **dynamodb._ACCOUNT)
    stream = TableStream(streams, stream_of(dynamodb.client(), table._name), stream_handler())
    here = Stack(ports, stream, tmp_path, port, server)
    with ExitStack() as open_:
        open_.callback(streams.close)
        open_.callback(client.close)
        open_.callback(Stack.stop, here)
        open_.enter_context(serving(ports))
        yield here


def call(operation: str, **fields: Any) -> dict[str, Any]:
    return Caller(ALICE).call("product", operation, **fields)


pytestmark = pytest.mark.slow


def until(happened: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def differences(ports: Ports) -> dict[str, int]:
    """What a check finds a day later, when everything may be judged."""
    later = replace(ports, clock=SetClock(ports.clock() + DAY_MS))
    report = consistency.check(later)
    assert report.settling == 0
    return {str(fault): count for fault, count in report.found.items()}


def test_nothing_acknowledged_is_lost_and_nobody_waits_while_it_is_away(stack: Stack) -> None:
    ledger, going = Ledger(), [True]
    with ThreadPoolExecutor(CLIENTS) as pool, stack.stream.playing():
        clients = [Client(call, ledger, random.Random(seed)) for seed in range(CLIENTS)]

        def wanted() -> bool:
            time.sleep(PAUSE)
            return going[0]

        working = [pool.submit(client.work, wanted) for client in clients]

        def more(writes: int, unanswered: int) -> Callable[[], bool]:
            """Whether so many more writes and unanswered searches are done than now."""
            wanted = (ledger.writes + writes, len(ledger.unanswered) + unanswered)
            return lambda: (
                any(one.done() for one in working)
                or (ledger.writes >= wanted[0] and len(ledger.unanswered) >= wanted[1])
            )

        until(more(20, 0))
        assert not ledger.unanswered
        stack.signalled(signal.SIGSTOP)  # it hangs: connections are accepted, and nothing is answered
        until(more(20, 10))
        stack.stop()
        until(more(30, 10))
        stack.start()
        found = ledger.found
        until(lambda: any(one.done() for one in working) or ledger.found > found + 10)
        going[0] = False
        for one in working:
            one.result()
    until(stack.stream.deliver)
    assert stack.stream.failures
    assert max(ledger.unanswered) < SOON, sorted(ledger.unanswered)[-5:]
    assert differences(stack.ports) == {}
    load.check(call, ledger, ledger.settled)
    assert len(ledger.settled) == ledger.taken
    assert ledger.is_mixed


def test_each_dialect_says_in_its_form_that_it_is_temporarily_unavailable(stack: Stack) -> None:
    seen = load.picture(0)
    baidu, jumdata, groups, native = Caller(ALICE), JumdataClient(ALICE), GroupCaller(ALICE), NativeCaller(ALICE)
    native.library("shop", kind="similar")
    stack.stop()
    baidu.add("similar", seen)
    jumdata.input(seen)
    groups.new("group", one(seen, id="1"))
    assert native.put("shop", "1", seen).status == 201
    for _ in range(5):  # at first it is asked, then it is not
        began = time.monotonic()
        assert baidu.call("similar", "search", image=seen)["error_code"] == 2
        assert jumdata.call("search", base64=seen)["code"] == 500
        assert groups.search(["group"], seen).error == (500, 5000900, "internal error")
        problem(native.call("POST", "/libraries/shop/search", {"image": image(seen)}), 503, "unavailable")
        assert time.monotonic() - began < 4 * SOON
    stack.start()
    with stack.stream.playing():
        asked = image(seen)
        until(lambda: baidu.call("similar", "search", image=seen).get("result_num") == 1)
        until(lambda: jumdata.call("search", base64=seen).get("data", {}).get("resultNum") == "1")
        until(lambda: groups.search(["group"], seen).body.get("result", []) != [])
        until(lambda: native.call("POST", "/libraries/shop/search", {"image": asked}).json.get("matches", []) != [])
    until(stack.stream.deliver)
    assert differences(stack.ports) == {}
