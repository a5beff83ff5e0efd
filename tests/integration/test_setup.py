"""``lookalike setup`` on moto's table and a real OpenSearch: indices created, lost, filled, updated, rebuilt."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from uuid import uuid4

import boto3
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from lookalike.cli import setup_indices
from lookalike.cli.main import app
from lookalike.cli.store_options import aws_settings
from lookalike.domain.library import Kind
from lookalike.domain.search import Generation, Query
from lookalike.errors import InvalidArgument
from lookalike.stores.aws import opensearch_admin
from lookalike.stores.aws.account import Account
from lookalike.stores.aws.dynamodb_table import create_table
from lookalike.stores.aws.opensearch_admin import IndexLayout, layout_of
from lookalike.stores.aws.opensearch_index import OpenSearchIndex
from tests.contract.rows import MODEL, deleted, row, unit
from tests.servers import aws
from tests.servers.opensearch.server import PATIENCE, shared

RunSetup = Callable[..., Result]


@pytest.fixture(scope="module")
def services() -> Iterator[dict[str, str]]:
    with aws.emulated() as variables:
        yield variables


@pytest.fixture
def account(services: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    """An account with an empty table, named by the environment; its indices are deleted after the test."""
    url = shared()
    for name, value in services.items():
        monkeypatch.setenv(name, value)
    table = f"table-{uuid4().hex}"
    create_table(boto3.client("dynamodb"), table)
    key = boto3.client("kms").create_key()["KeyMetadata"]["Arn"]
    for name, value in {"TABLE": table, "BUCKET": "bucket", "KEY": key, "OPENSEARCH": url, "DATA": ""}.items():
        monkeypatch.setenv(f"LOOKALIKE_{name}", value)
    monkeypatch.setattr(setup_indices, "SETTLE_SECONDS", 0)
    made = Account(aws_settings(None))
    yield made
    made.opensearch.indices.delete(index=f"lookalike-{table}-*")


def setup(*options: str) -> Result:
    return CliRunner().invoke(app, ["setup", *options])


def generation_of(account: Account, kind: Kind = Kind.SIMILAR) -> Generation:
    generation = account.generations.generation(kind)
    assert generation is not None
    return generation


def layout(account: Account, kind: Kind = Kind.SIMILAR) -> IndexLayout:
    found = layout_of(account.opensearch, generation_of(account, kind).read)
    assert found is not None
    return found


def searchable(account: Account, kind: Kind = Kind.SIMILAR) -> list[str]:
    """Ids that a search finds in a function that starts now."""
    account.opensearch.indices.refresh(index=generation_of(account, kind).read)
    query = Query(kind, ("uid",), MODEL, unit(1).astype(np.float32)[None], 1000)
    return sorted(
        one.key.id for one in OpenSearchIndex(account.opensearch, account.generations, seconds=PATIENCE).search(query)
    )


def test_an_index_that_was_lost_is_said_to_be_empty_and_can_be_filled(account: Account) -> None:
    first = setup()
    assert first.exit_code == 0
    (made,) = account.applications.applications()
    assert "keys show --name default` prints its keys" in first.stdout
    assert made.secret_key not in first.stdout, "which is no terminal here"
    assert not first.stderr, "an empty table has nothing to fill indices with"
    for number in range(3):
        account.catalog.put(row("uid", f"p{number}"), None)
    account.catalog.put(deleted(row("uid", "gone"), 2), None)
    account.catalog.put(row("uid", "same", kind=Kind.SAME), None)
    account.opensearch.indices.delete(index=generation_of(account).read)

    again = setup()
    assert again.exit_code == 0
    assert f"{generation_of(account).read} is new and empty" in again.stderr
    assert f"{generation_of(account, Kind.SAME).read} is new" not in again.stderr
    assert searchable(account) == []

    filled = setup("--fill")
    assert filled.exit_code == 0, filled.stderr
    assert "4 rows, 0 refused" in filled.stdout
    assert searchable(account) == ["p0", "p1", "p2"]
    assert searchable(account, Kind.SAME) == ["same"]
    assert setup("--fill").exit_code == 0


def test_keys_are_left_to_others_where_that_is_asked_for(account: Account) -> None:
    assert setup("--no-keys").exit_code == 0
    assert account.applications.applications() == []
    setup()
    setup("--no-keys")
    assert len(account.applications.applications()) == 1


def test_rows_that_are_refused_are_said(account: Account) -> None:
    setup()
    account.catalog.put(row("uid", "good"), None)
    account.catalog.put(row("uid", "bad", vector=np.zeros(256, np.float16)), None)
    filled = setup("--fill")
    assert filled.exit_code == 1
    assert "1 rows, 1 refused" in filled.stdout
    assert "uid/bad: " in filled.stderr
    assert "zero vector" in filled.stderr
    assert searchable(account) == ["good"]


def test_copies_and_refresh_are_changed_in_place(account: Account) -> None:
    setup("--replicas", "0")
    assert layout(account) == IndexLayout(1, 0, "500ms")
    done = setup("--replicas", "1", "--refresh", "50ms")
    assert layout(account) == IndexLayout(1, 1, "50ms")
    assert "1 copies of each shard (there were 0)" in done.stdout
    assert "copies" not in setup().stdout
    assert layout(account) == IndexLayout(1, 1, "50ms"), "what somebody has asked for stays"


def test_copies_are_made_once_there_is_a_node_for_them(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    setup()
    assert layout(account).replicas == 0
    monkeypatch.setattr("lookalike.stores.aws.opensearch_admin.data_nodes", lambda _: 2)
    assert "1 copies of each shard (there were 0)" in setup().stdout
    assert layout(account).replicas == 1


def test_other_shards_take_new_indices_which_take_the_place_of_the_old(account: Account) -> None:
    setup()
    for number in range(3):
        account.catalog.put(row("uid", f"p{number}"), None)
    before = generation_of(account)
    refused = setup("--shards", "2")
    assert refused.exit_code != 0
    assert "has 1, for good; add --rebuild" in str(refused.exception)
    assert layout(account).shards == 1

    done = setup("--shards", "2", "--rebuild")
    assert done.exit_code == 0, done.output
    for kind in Kind:
        after = generation_of(account, kind)
        assert after == Generation(after.read, (after.read,))
        assert layout(account, kind) == IndexLayout(2, 0, "500ms")
    assert generation_of(account) != before
    assert layout_of(account.opensearch, before.read) is None
    assert searchable(account) == ["p0", "p1", "p2"]
    assert "copies" not in setup("--shards", "2").output


def interrupt_setup(monkeypatch: pytest.MonkeyPatch, after: int, *options: str) -> None:
    """Run setup, and interrupt it after it has waited that often."""
    waits = iter(range(after))

    def wait(_seconds: float) -> None:
        if next(waits, None) is None:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("lookalike.cli.setup_indices.time.sleep", wait)
        assert setup(*options).exit_code != 0


@pytest.mark.parametrize("waits", [0, 1, 2])
def test_a_rebuild_that_was_broken_off_loses_nothing_and_can_be_repeated(
    account: Account, monkeypatch: pytest.MonkeyPatch, waits: int
) -> None:
    account.catalog.put(row("uid", "p"), None)
    setup("--fill")
    before = generation_of(account)
    interrupt_setup(monkeypatch, waits, "--rebuild", "--shards", "2")
    assert generation_of(account).read in generation_of(account).write
    assert searchable(account) == ["p"]
    done = setup("--rebuild", "--shards", "2")
    assert done.exit_code == 0, done.output
    assert generation_of(account).write == (generation_of(account).read,) != before.write
    assert layout(account).shards == 2
    assert searchable(account) == ["p"]


def test_a_rebuild_begun_with_other_shards_says_so(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    setup()
    interrupt_setup(monkeypatch, 0, "--rebuild", "--shards", "2")
    other = setup("--rebuild", "--shards", "3")
    assert "of an interrupted rebuild, has 2; pass --shards 2" in str(other.exception)


def with_store(monkeypatch: pytest.MonkeyPatch, store: str) -> Account:
    """The account after a deployment with this vector store."""
    monkeypatch.setenv("LOOKALIKE_VECTOR_STORE", store)
    return Account(aws_settings(None))


def found(account: Account) -> list[str]:
    """Ids that a search finds in a function that starts now."""
    query = Query(Kind.SIMILAR, ("uid",), MODEL, unit(1).astype(np.float32)[None], 1000)
    return sorted(one.key.id for one in account.index.search(query))


def test_an_index_moves_to_segments_and_back(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    boto3.client("s3").create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    assert setup().exit_code == 0
    for number in range(3):
        account.catalog.put(row("uid", f"p{number}"), None)
    assert setup("--fill").exit_code == 0

    moved = setup("--move-index")
    assert moved.exit_code == 0, moved.output
    assert re.search(r"^Filled segments: +3 pictures in 1 libraries$", moved.stdout, re.MULTILINE)
    assert "deploy with VectorStore=segments" in moved.stdout
    account.catalog.put(row("uid", "p3"), None)  # meanwhile, and OpenSearch alone hears of it
    account.catalog.put(deleted(row("uid", "p0"), 2), 1)

    segments = with_store(monkeypatch, "segments")
    assert found(segments) == ["p0", "p1", "p2"], "as they were filled"
    assert "3 pictures in 1 libraries" in setup().stdout
    assert found(with_store(monkeypatch, "segments")) == found(segments) == ["p1", "p2", "p3"]
    assert "Filled" not in setup().stdout, "once is enough"

    account.catalog.put(row("uid", "p4"), None)
    segments.index.write([row("uid", "p4")])
    back = setup("--move-index")
    assert "deploy with VectorStore=opensearch" in back.stdout, back.output
    with_store(monkeypatch, "opensearch")
    again = setup()
    assert "5 rows, 0 refused" in again.stdout, "a stack's setup fills what was away"
    assert searchable(account) == ["p1", "p2", "p3", "p4"]


@pytest.mark.parametrize(
    ("store", "options", "given"),
    [
        ("segments", ["--shards", "2"], "--shards"),
        ("segments", ["--replicas", "0", "--refresh", "50ms"], "--replicas, --refresh"),
        ("segments", ["--rebuild", "--shards", "2"], "--shards"),
        ("opensearch", ["--move-index", "--shards", "2"], "--shards"),
    ],
)
def test_segments_take_no_layout(
    account: Account, monkeypatch: pytest.MonkeyPatch, store: str, options: list[str], given: str
) -> None:
    with_store(monkeypatch, store)
    refused = setup(*options)
    assert isinstance(refused.exception, InvalidArgument)
    assert str(refused.exception).startswith(f"{given}: segments have no shards")
    assert not refused.output
    assert not account.applications.applications(), "nothing was begun"


def test_an_index_cannot_move_to_a_domain_that_is_not_there(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    setup()
    monkeypatch.setenv("LOOKALIKE_OPENSEARCH", "")
    with_store(monkeypatch, "segments")
    refused = setup("--move-index")
    assert refused.exit_code != 0
    assert "VectorStore=opensearch" in str(refused.exception) + refused.output


def test_a_domain_that_refuses_to_search_on_all_cores_is_set_up_all_the_same(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opensearch_admin, "search_on_all_cores", lambda client: False)
    done = setup()
    assert done.exit_code == 0
    assert "let its operator set it to auto" in done.stderr
    assert layout(account).shards == 1
