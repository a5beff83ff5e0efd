"""DynamoDB's failures, its costs, and its stream."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ReadTimeoutError

from lookalike.domain.library import Kind
from lookalike.domain.picture import Key
from lookalike.domain.upload import Holding, Upload, UploadState
from lookalike.errors import RevisionConflict, Unavailable
from lookalike.stores.aws.application_cache import ABSENCE_CACHE_MS, CACHE_MS, MAX_ABSENT
from lookalike.stores.aws.dynamodb_applications import DynamoApplications
from lookalike.stores.aws.dynamodb_catalog import DynamoCatalog
from lookalike.stores.aws.dynamodb_items import picture_item, picture_of
from lookalike.stores.aws.dynamodb_keys import ItemKey, application_key, key_of, upload_key
from lookalike.stores.aws.dynamodb_maps import DynamoMaps
from lookalike.stores.aws.dynamodb_table import TABLE_DEFINITION, Table
from lookalike.stores.aws.dynamodb_uploads import DynamoUploads
from tests.contract.rows import application, contents, deleted, digest_of, library, row
from tests.servers.dynamodb import server
from tests.servers.dynamodb.units import counted
from tests.support.fakes import SetClock

#: Stands in for a method of the client; is given the real method and the arguments.
ScriptedCall = Callable[..., Any]


class ScriptedClient:
    """The real client, except for the methods that a test scripts."""

    def __init__(self, **scripted: ScriptedCall) -> None:
        self.scripted = scripted

    def __getattr__(self, name: str) -> Any:
        real = getattr(server.client(), name)
        return partial(self.scripted[name], real) if name in self.scripted else real


def table_with(**scripted: ScriptedCall) -> Table:
    """A new table with a scripted client."""
    client: Any = ScriptedClient(**scripted)
    return Table(client, server.new_table()._name)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Records pauses in seconds instead of sleeping."""
    made: list[float] = []
    monkeypatch.setattr(time, "sleep", made.append)
    return made


def client_error(code: str, status: int = 400, **answer: Any) -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": "scripted"}, "ResponseMetadata": {"HTTPStatusCode": status}, **answer},  # type: ignore[typeddict-item]
        "Any",
    )


def always_raising(error: Exception) -> ScriptedCall:
    def scripted(_real: Any, **_arguments: Any) -> Any:
        raise error

    return scripted


def scripted_first(answers: int, scripted: ScriptedCall) -> ScriptedCall:
    """Scripted for the first ``answers`` calls, then real."""
    left = [None] * answers

    def either(real: Any, **arguments: Any) -> Any:
        if left:
            left.pop()
            return scripted(real, **arguments)
        return real(**arguments)

    return either


class TestThrottledBatches:
    @staticmethod
    def read_two(real: Any, RequestItems: Mapping[str, Any]) -> Any:  # noqa: N803  # boto3's name
        (name, asked), *_ = RequestItems.items()
        answer = real(RequestItems={name: {**asked, "Keys": asked["Keys"][:2]}})
        left = asked["Keys"][2:]
        return answer | {"UnprocessedKeys": {name: {**asked, "Keys": left}} if left else {}}

    @staticmethod
    def write_two(real: Any, RequestItems: Mapping[str, Any]) -> Any:  # noqa: N803
        (name, asked), *_ = RequestItems.items()
        real(RequestItems={name: asked[:2]})
        return {"UnprocessedItems": {name: asked[2:]} if asked[2:] else {}}

    def test_what_a_read_leaves_is_asked_for_again(self, pauses: list[float]) -> None:
        maps = DynamoMaps(table_with(batch_get_item=self.read_two))
        kept = {f"uid/{number}/1": os.urandom(20) for number in range(7)}
        for key, data in kept.items():
            maps.put_map(key, data)
        assert maps.maps(list(kept)) == kept
        assert len(pauses) == 3  # seven maps, two a round

    def test_what_a_write_leaves_is_asked_for_again(self, pauses: list[float]) -> None:
        maps = DynamoMaps(table_with(batch_write_item=self.write_two))
        keys = [f"uid/{number}/1" for number in range(7)]
        for key in keys:
            maps.put_map(key, b"map")
        maps.remove_maps(keys)
        assert maps.maps(keys) == {}
        assert len(pauses) == 3

    def test_it_is_given_up_after_longer_and_longer_pauses(self, pauses: list[float]) -> None:
        everything: ScriptedCall = lambda _real, RequestItems: {"Responses": {}, "UnprocessedKeys": RequestItems}  # noqa: E731, N803
        with pytest.raises(Unavailable, match="not done"):
            DynamoMaps(table_with(batch_get_item=everything)).maps(["uid/a/1"])
        assert len(pauses) == 5
        assert all(0 <= pause <= 0.05 * 2**number for number, pause in enumerate(pauses))


class TestFaults:
    CODES = (
        ("ProvisionedThroughputExceededException", 400),
        ("ThrottlingException", 400),
        ("RequestLimitExceeded", 400),
        ("TransactionInProgressException", 400),
        ("InternalServerError", 500),
        ("ServiceUnavailable", 503),
        ("AccessDeniedException", 400),
        ("ResourceNotFoundException", 400),
    )

    OPERATIONS = (
        "get_item",
        "put_item",
        "delete_item",
        "query",
        "scan",
        "batch_get_item",
        "batch_write_item",
        "transact_write_items",
    )

    @pytest.mark.parametrize(
        "error", [*(client_error(*code) for code in CODES), ReadTimeoutError(endpoint_url="x")], ids=repr
    )
    def test_every_call_says_unavailable(self, error: Exception) -> None:
        table = table_with(**dict.fromkeys(self.OPERATIONS, always_raising(error)))
        catalog, maps, one = DynamoCatalog(table), DynamoMaps(table), row("uid", "a")
        calls: tuple[Callable[[], object], ...] = (
            lambda: catalog.library("tenant", "name"),
            lambda: catalog.libraries("tenant"),
            lambda: catalog.create_library(library("tenant", "name", "uid")),
            lambda: catalog.remove_library(library("tenant", "name", "uid"), 1),
            lambda: catalog.removed_libraries(1, 1),
            lambda: catalog.forget_library("uid"),
            lambda: catalog.picture(one.key),
            lambda: catalog.pictures("uid", None, 1),
            lambda: catalog.pictures_by_prefix("uid", "a", 1),
            lambda: catalog.put(one, None),
            lambda: catalog.put(one, 1),
            lambda: catalog.remove(one.key, 1),
            lambda: catalog.waiting_for_purge(1, 1),
            lambda: list(catalog.scan(Kind.SAME)),
            lambda: maps.put_map("uid/a/1", b""),
            lambda: maps.maps(["uid/a/1"]),
            lambda: maps.remove_maps(["uid/a/1"]),
        )
        for call in calls:
            with pytest.raises(Unavailable, match="DynamoDB"):
                call()

    @pytest.mark.parametrize("listens", [True, False], ids=["no answer", "no server"])
    def test_silent_server_is_unavailable(self, listens: bool) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            port = silent.getsockname()[1]
            if not listens:
                silent.close()
            config = Config(connect_timeout=0.2, read_timeout=0.2, retries={"total_max_attempts": 1})
            client = boto3.client("dynamodb", endpoint_url=f"http://127.0.0.1:{port}", config=config, **server._ACCOUNT)
            with closing(client), pytest.raises(Unavailable, match="DynamoDB"):
                DynamoCatalog(Table(client, "table")).picture(Key("uid", "a"))

    def test_mistake_stays_a_mistake(self) -> None:
        with pytest.raises(ClientError, match="ValidationException"):
            DynamoCatalog(server.new_table()).put(row("uid", "a", desc="x" * 400 * 1024), None)

    def test_changes_that_meet_another_transaction_are_tried_again(self, pauses: list[float]) -> None:
        reasons: Any = [{"Code": "None"}, {"Code": "TransactionConflict"}]
        meeting = always_raising(
            server.client().exceptions.TransactionCanceledException(
                {"Error": {"Code": "TransactionCanceledException", "Message": "x"}, "CancellationReasons": reasons},
                "TransactWriteItems",
            )
        )
        catalog = DynamoCatalog(table_with(transact_write_items=scripted_first(2, meeting)))
        removed = library("tenant", "cats", "uid")
        catalog.create_library(removed)
        catalog.remove_library(removed, 1)
        assert catalog.library("tenant", "cats") is None
        assert len(pauses) == 2


class TestUploadsOfTheVersionBefore:
    @pytest.mark.parametrize(
        ("said", "known"),
        [
            (
                {"library": {"S": "u"}, "id": {"S": "p"}, "added": {"N": "7"}},
                Upload("b/k", "1", Holding(Key("u", "p"), 7)),
            ),
            (
                {"library": {"S": "u"}, "id": {"S": "p"}, "added": {"N": "7"}, "foretold": {"BOOL": True}},
                Upload("b/k", "1", Holding(Key("u", "p"), 7), UploadState.ADDING),
            ),
            ({}, Upload("b/k", "1", state=UploadState.UNSURE)),
        ],
    )
    def test_they_are_known_and_may_be_changed(self, said: Any, known: Upload) -> None:
        table = server.new_table()
        uploads = DynamoUploads(table)
        table.put({**upload_key("b/k").values, "sequencer": {"S": "1"}, **said})
        assert uploads.upload("b/k") == known
        with pytest.raises(RevisionConflict):
            uploads.save_upload(Upload("b/k", "3"), replace(known, state=UploadState.JOINING))
        changed = Upload("b/k", "2", Holding(Key("u", "q"), 8))
        uploads.save_upload(changed, known)
        assert uploads.upload("b/k") == changed
        assert list(uploads.holders(Key("u", "q"))) == [changed]
        assert list(uploads.holders(Key("u", "p"))) == []


class TestUploads:
    def test_a_holder_whose_upload_was_never_saved_is_passed_over(self) -> None:
        def fails(real: Any, **arguments: Any) -> Any:
            if arguments["Item"]["pk"]["S"].startswith("U#"):
                raise ClientError({"Error": {"Code": "InternalServerError", "Message": "no answer"}}, "PutItem")
            return real(**arguments)

        uploads = DynamoUploads(table_with(put_item=fails))
        with pytest.raises(Unavailable):
            uploads.save_upload(Upload("b/k", "1", Holding(Key("u", "p"), 7)), None)
        assert list(uploads.holders(Key("u", "p"))) == []

    def test_the_first_upload_of_a_picture_takes_three_units_and_looking_at_it_one(self) -> None:
        uploads = DynamoUploads(server.new_table())
        adding = Upload("b/k", "1", Holding(Key("u", "p"), 7), UploadState.ADDING)
        with counted(server.client()) as units:
            assert uploads.upload("b/k") is None
            uploads.save_upload(adding, None)
            uploads.save_upload(replace(adding, state=UploadState.SETTLED), adding)
        assert (units.read, units.written) == (1, 3)


class TestLostAnswers:
    """A write took effect, its response was lost, and the SDK repeats it."""

    @staticmethod
    def twice(real: Any, **arguments: Any) -> Any:
        real(**arguments)
        return real(**arguments)

    def test_it_is_known_to_have_succeeded(self) -> None:
        table = table_with(put_item=self.twice)
        catalog = DynamoCatalog(table)
        catalog.create_library(library("tenant", "cats", "uid"))
        catalog.put(row("uid", "a", 1), None)
        catalog.put(row("uid", "a", 2), 1)
        DynamoUploads(table).save_upload(Upload("bucket/key", "01"), None)
        found = catalog.picture(Key("uid", "a"))
        assert found is not None
        assert found.revision == 2

    def test_the_same_row_of_somebody_else_is_a_conflict(self) -> None:
        catalog = DynamoCatalog(server.new_table())
        catalog.put(row("uid", "a", 1), None)
        with pytest.raises(RevisionConflict):
            catalog.put(row("uid", "a", 1), None)


class StalePurgeIndex(Table):
    """Its purge index still has the ``stale`` entries, and entries twice."""

    stale: list[dict[str, Any]]

    def purge_entries(self, partition: str, before: int, limit: int, since: int = 0) -> Iterator[dict[str, Any]]:
        real = list(super().purge_entries(partition, before, limit, since))
        stale = [entry for entry in self.stale if entry["purge"]["S"] == partition]
        return iter(sorted(real + stale, key=lambda entry: int(entry["deleted_at"]["N"])))


class TestStalePurgeIndex:
    def test_no_live_row_is_purged_and_none_comes_twice(self) -> None:
        table = StalePurgeIndex(server.client(), server.new_table()._name)
        catalog = DynamoCatalog(table)
        rows = [deleted(row("uid", f"p{number}", 1), 2, at=number) for number in range(40)]
        for one in rows:
            catalog.put(one, None)
        table.stale = [picture_item(one) for one in rows]
        for one in rows[:15]:
            catalog.put(row("uid", one.key.id, 3), 2)
        for one in rows[15:20]:
            catalog.remove(one.key, 2)
        catalog.put(deleted(rows[20], 3, at=100), 2)
        assert [one.key.id for one in catalog.waiting_for_purge(50, 10)] == [f"p{number}" for number in range(21, 31)]
        assert [one.key.id for one in catalog.waiting_for_purge(50, 100)] == [f"p{number}" for number in range(21, 40)]

    def test_forgotten_library_is_gone(self) -> None:
        table = StalePurgeIndex(server.client(), server.new_table()._name)
        table.stale = []
        catalog = DynamoCatalog(table)
        for number in range(3):
            one = library("tenant", f"cats {number}", f"uid-{number}")
            catalog.create_library(one)
            catalog.remove_library(one, number)
        table.stale = [entry for entry in table.purge_entries("R", 3, 3) if key_of(entry).pk == "R#uid-0"]
        catalog.forget_library("uid-0")
        assert [one.uid for one in catalog.removed_libraries(3, 1)] == ["uid-1"]


class TestApplications:
    def test_revoked_one_lives_half_a_minute_elsewhere(self) -> None:
        table, clock = server.new_table(), SetClock(1_767_323_045_000)
        sealer = server.sealer()
        here, there = (DynamoApplications(table, sealer, clock) for _ in range(2))
        shop = application("shop")
        here.save_application(shop)
        assert there.application(shop.access_key) == there.application_by_id(shop.app_id) == shop
        here.remove_application(shop.access_key)
        assert here.application(shop.access_key) is None
        clock.now += CACHE_MS - 1
        assert there.application(shop.access_key) == there.application_by_id(shop.app_id) == shop
        clock.now += 1
        assert there.application(shop.access_key) is there.application_by_id(shop.app_id) is None

    def test_clock_set_back_forgets(self) -> None:
        table, clock = server.new_table(), SetClock(1_767_323_045_000)
        sealer = server.sealer()
        here, there = (DynamoApplications(table, sealer, clock) for _ in range(2))
        shop = application("shop")
        here.save_application(shop)
        assert there.application(shop.access_key) == shop
        here.save_application(replace(shop, active=False))
        clock.now -= 3_600_000
        assert there.application(shop.access_key) == replace(shop, active=False)

    def test_absence_is_remembered_for_some_seconds(self) -> None:
        table, clock = server.new_table(), SetClock(1_767_323_045_000)
        sealer = server.sealer()
        here, there = (DynamoApplications(table, sealer, clock) for _ in range(2))
        shop = application("shop")
        assert there.application(shop.access_key) is there.application_by_id(shop.app_id) is None
        here.save_application(shop)
        assert here.application(shop.access_key) == shop
        clock.now += ABSENCE_CACHE_MS - 1
        assert there.application(shop.access_key) is there.application_by_id(shop.app_id) is None
        clock.now += 1
        assert there.application(shop.access_key) == there.application_by_id(shop.app_id) == shop

    def test_a_new_key_that_nobody_asked_for_works_at_once(self) -> None:
        table, sealer = server.new_table(), server.sealer()
        here, there = (DynamoApplications(table, sealer) for _ in range(2))
        assert there.application("other") is None
        here.save_application(application("shop"))
        assert there.application(application("shop").access_key) == application("shop")

    def test_a_flood_of_unknown_keys_reads_the_table_once_and_fills_no_memory(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        applications = DynamoApplications(server.new_table(), server.sealer(), SetClock(1_767_323_045_000))
        asked: list[ItemKey] = []
        monkeypatch.setattr(Table, "get", lambda _table, key: asked.append(key))
        for _ in range(100):
            assert applications.application("nobody") is applications.application_by_id("99") is None
        assert len(asked) == 2
        for number in range(2 * MAX_ABSENT):
            applications.application(f"stranger {number}")
        applications.application("x" * 100_000)
        assert len(applications._cache._absent) == MAX_ABSENT
        assert max(len(key.pk) for key in applications._cache._absent) < 100

    def test_secret_is_nowhere_in_the_table(self) -> None:
        table = server.new_table()
        DynamoApplications(table, server.sealer()).save_application(application("shop", secret_key="open sesame"))
        items = server.client().scan(TableName=table._name)["Items"]
        assert len(items) == 3
        assert "sesame" not in repr(items)

    def test_sealed_secret_opens_for_its_own_access_key_alone(self) -> None:
        table = server.new_table()
        applications = DynamoApplications(table, server.sealer())
        for name in ("shop", "thief"):
            applications.save_application(application(name))
        shop, thief = (table.get(application_key(f"access-{name}")) for name in ("shop", "thief"))
        assert shop is not None
        assert thief is not None
        table.put(thief | {"secret": shop["secret"]})
        with pytest.raises(Unavailable, match="KMS"):
            applications.application("access-thief")


class TestTable:
    def test_it_is_as_declared(self) -> None:
        described = server.client().describe_table(TableName=server.new_table()._name)["Table"]
        assert described["KeySchema"] == TABLE_DEFINITION["KeySchema"]
        by_name = {one["AttributeName"]: one for one in TABLE_DEFINITION["AttributeDefinitions"]}
        assert {one["AttributeName"]: one for one in described["AttributeDefinitions"]} == by_name
        assert described["StreamSpecification"] == TABLE_DEFINITION["StreamSpecification"]
        (index,) = described["GlobalSecondaryIndexes"]
        assert {name: index[name] for name in ("IndexName", "KeySchema", "Projection")} == {
            **TABLE_DEFINITION["GlobalSecondaryIndexes"][0]
        }

    def test_stream_tells_every_change_of_a_row(self) -> None:
        table = server.new_table()
        catalog, one = DynamoCatalog(table), row("uid", "猫", 1, tags=("1",), brief="b")
        catalog.put(one, None)
        DynamoMaps(table).put_map(one.object_key, b"map")
        hidden = deleted(one, 2, at=5)
        catalog.put(hidden, 1)
        catalog.remove(one.key, 2)
        streams = boto3.client("dynamodbstreams", endpoint_url=server.dynamodb(), **server._ACCOUNT)
        with closing(streams):
            arn = server.client().describe_table(TableName=table._name)["Table"]["LatestStreamArn"]
            (shard,) = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
            iterator = streams.get_shard_iterator(
                StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            records = streams.get_records(ShardIterator=iterator)["Records"]
        described: list[tuple[str, Any]] = [(record["eventName"], record["dynamodb"]) for record in records]
        images = [
            (name, *(contents(picture_of(change.get(side, {"pk": {"S": ""}}))) for side in ("OldImage", "NewImage")))
            for name, change in described
        ]
        assert images == [
            ("INSERT", None, contents(one)),
            ("INSERT", None, None),
            ("MODIFY", contents(one), contents(hidden)),
            ("REMOVE", contents(hidden), None),
        ]


class TestServer:
    def test_nobody_but_this_machine_reaches_it(self) -> None:
        port = urlsplit(server.dynamodb()).port
        listening = "0A"
        addresses = {
            fields[1].split(":")[0]
            for name in ("tcp", "tcp6")
            for fields in map(str.split, Path(f"/proc/net/{name}").read_text().splitlines()[1:])
            if fields[3] == listening and int(fields[1].split(":")[1], 16) == port
        }
        assert addresses == {"0100007F"}  # 127.0.0.1

    def test_it_ends_with_its_process(self) -> None:
        script = "from tests.servers.dynamodb import server; print(server.dynamodb(), flush=True)"
        done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=120)
        url = urlsplit(done.stdout.strip())
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((url.hostname or "", url.port or 0))


@pytest.mark.skipif(server.missing() is not None, reason=f"moto counts no capacity: {server.missing()}")
class TestUnits:
    """The units that the documented formula of costs is made of."""

    ROW = row(
        uuid4().hex[:16],
        digest_of("a"),
        1_700_000_000_123,
        kind=Kind.SAME,
        digest=digest_of("a"),
        model="lookalike-efficientnet-lite0-1",
        brief="x" * 300,
        tags=("1", "22"),
    )
    MAP = bytes(9_600)

    def test_of_writes(self) -> None:
        table = server.new_table()
        catalog, maps, one = DynamoCatalog(table), DynamoMaps(table), self.ROW
        written = []
        steps: tuple[Callable[[], object], ...] = (
            lambda: maps.put_map(one.object_key, self.MAP),
            lambda: catalog.put(one, None),
            lambda: catalog.put(one.but(revision=one.revision + 1), one.revision),
            lambda: catalog.put(deleted(one, one.revision + 2, at=one.revision + 2), one.revision + 1),
            lambda: catalog.put(deleted(one, one.revision + 3, at=one.revision + 2), one.revision + 2),
            lambda: maps.remove_maps([one.object_key]),
            lambda: catalog.remove(one.key, one.revision + 3),
        )
        for step in steps:
            with counted(server.client()) as units:
                step()
            written.append(units.written)
        # map, add, update, delete with its index entry, claim, map, row with its index entry
        assert written == [10, 2, 2, 3, 2, 10, 3]

    def test_of_reads(self) -> None:
        table = server.new_table()
        catalog, maps, one = DynamoCatalog(table), DynamoMaps(table), self.ROW
        catalog.put(one, None)
        keys = [f"{one.key.library}/{number}/1" for number in range(25)]
        for key in keys:
            maps.put_map(key, self.MAP)
        steps: tuple[Callable[[], object], ...] = (
            lambda: catalog.picture(one.key),
            lambda: catalog.pictures_by_prefix(one.key.library, one.key.id[:16], 3),
            lambda: maps.maps(keys),
            lambda: catalog.pictures(one.key.library, None, 100),
        )
        read = []
        for step in steps:
            with counted(server.client()) as units:
                step()
            read.append((sum(units.calls.values()), units.read))
        # row, rows by sign, 25 maps with eventual consistency, a page of every shard, each of which costs at least one
        assert read == [(1, 1), (1, 1), (1, 37.5), (16, 1)]
