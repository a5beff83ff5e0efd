"""What is stored keeps its names and its form: folders and tables that are there open with the next version.

Each is taken from what the adapters really write. An addition is added to the table here, and stays.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from lookalike.domain.application import Application, Policy
from lookalike.domain.library import Identity, Kind, Library, RemovedLibrary
from lookalike.domain.picture import DIMENSION, Key, Metadata, Picture, State, object_key, sign_of, thumbnail_key
from lookalike.domain.record import Record
from lookalike.domain.search import Generation
from lookalike.domain.staged import StagedId
from lookalike.domain.upload import DeadLetter, Holding, Upload, UploadState
from lookalike.handlers.process_ports import serving
from lookalike.settings import Settings
from lookalike.stores.aws import dynamodb_application_items, dynamodb_items
from lookalike.stores.aws.dynamodb_counters import DynamoCounters
from lookalike.stores.aws.dynamodb_keys import app_id_key, app_name_key
from lookalike.stores.aws.dynamodb_maps import DynamoMaps
from lookalike.stores.aws.dynamodb_table import TABLE_DEFINITION, Table, create_table
from lookalike.stores.aws.kms_sealer import KmsSealer
from lookalike.stores.aws.opensearch_admin import create_index
from lookalike.stores.aws.opensearch_index import OpenSearchIndex
from lookalike.stores.aws.s3_objects import S3Store
from lookalike.stores.aws.s3_staging import PREFIX
from lookalike.stores.aws.sqs_dead_letters import SqsDeadLetters
from lookalike.stores.local.data_folder import DataFolder
from lookalike.stores.local.dead_letter_file import FileDeadLetters
from lookalike.stores.local.original_files import FolderStore
from lookalike.stores.local.sqlite_schema import MIGRATIONS as RELEASED
from lookalike.stores.local.sqlite_stores import SqliteStores
from lookalike.stores.policy_json import policy_to_json
from tests.frozen.held import all_held, held, same
from tests.support.baidu import Caller, picture
from tests.support.fakes import MemoryCounters, memory_ports

VECTOR = (np.arange(DIMENSION) / 256).astype(np.float16)
PICTURE = Picture(
    key=Key("uid", "0123456789abcdef"),
    kind=Kind.SIMILAR,
    revision=7,
    added=5,
    state=State.LIVE,
    digest="d1" * 32,
    file_digest="f1" * 32,
    file_size=12,
    model="model-1",
    vector=VECTOR,
    metadata=Metadata(brief="b", label="l", desc='{"x":1}', tags=("100", "11")),
    sign_version=2,
)
SIGNED = PICTURE.but(metadata=replace(PICTURE.metadata, old_sign="1,2"))
DELETED = PICTURE.but(state=State.DELETED, deleted_at=9)
LIBRARY = Library("tenant", "name", "uid", Kind.SAME, Identity.OWN, 3, capacity=8)
REMOVED = RemovedLibrary("uid", Kind.PRODUCT, 4)
HOLDING = Holding(PICTURE.key, 5, "w")
UPLOAD = Upload("bucket/key", "0A", HOLDING, UploadState.ADDING, Holding(Key("uid", "b"), None), cleared=True)
POLICY = Policy(Kind.PRODUCT, 1, 2, 3, ("10.0.0.0/8",))
APPLICATION = Application("access", "secret", "10000001", "tenant", "name", True, 6, POLICY)
GENERATION = Generation("one", ("one", "two"))


class Calls:
    """A client of boto3 or OpenSearch that keeps what it is asked for, and answers nothing."""

    def __init__(self, **answers: Any) -> None:
        self.asked: dict[str, Any] = {}
        self._answers = answers

    def __getattr__(self, name: str) -> Any:
        if name == "indices":
            return self

        def call(**asked: Any) -> Any:
            self.asked[name] = asked
            return self._answers.get(name, {})

        return call


# -- Words that are stored ---------------------------------------------------------------------------------------------

STORED_WORDS = {
    Kind: "same similar product",
    Identity: "picture own",
    State: "live deleted purging damaged",
    UploadState: "settled adding joining gone unsure",
}


@pytest.mark.parametrize("words", STORED_WORDS)
def test_words(words: type[StrEnum]) -> None:
    held(f"values of {words.__name__}", [str(word) for word in words], STORED_WORDS[words])


def test_object_keys() -> None:
    same("an object's key", object_key(PICTURE.key, 5, PICTURE.file_digest), "uid/0123456789abcdef/5-f1f1f1f1f1f1f1f1")
    other = object_key(Key("uid", "a/b"), 5, PICTURE.file_digest)
    same("an object's key of an id that is not plain", other, f"uid/~{_sha('a/b')}/5-f1f1f1f1f1f1f1f1")
    same("a thumbnail's key", thumbnail_key("uid/a/5-f1"), "uid/a/5-f1.thumb")
    same("a sign", sign_of("00000001ffffffff" + "0" * 48), "1,4294967295")


# -- The data folder of one machine ------------------------------------------------------------------------------------

TABLES = {
    "applications": "access_key:TEXT secret_key:TEXT app_id:TEXT tenant:TEXT name:TEXT active:INTEGER created:INTEGER "
    "policy:TEXT old_secret_key:TEXT old_secret_until:INTEGER",
    "libraries": "tenant:TEXT name:TEXT uid:TEXT kind:TEXT identity:TEXT created:INTEGER capacity:INTEGER",
    "pictures": "library:TEXT id:TEXT kind:TEXT revision:INTEGER added:INTEGER state:TEXT digest:TEXT file_digest:TEXT "
    "model:TEXT vector:BLOB brief:TEXT label:TEXT desc:TEXT tags:TEXT sign_version:INTEGER deleted_at:INTEGER "
    "checksum:INTEGER file_size:INTEGER old_sign:TEXT",
    "maps": "key:TEXT data:BLOB",
    "removed_libraries": "uid:TEXT kind:TEXT removed:INTEGER",
    "uploads": "source:TEXT sequencer:TEXT library:TEXT id:TEXT added:INTEGER state:TEXT words:TEXT leaves:TEXT "
    "cleared:INTEGER",
    "counts": "name:TEXT count:INTEGER expires:INTEGER",
    "records": "partition:TEXT key:TEXT revision:INTEGER body:TEXT",
    "embeddings": "model:TEXT key:TEXT vector:BLOB map:BLOB",
    "changes": "number:INTEGER library:TEXT id:TEXT token:INTEGER",
    "aliases": "library:TEXT alias:TEXT id:TEXT",
}
INDICES = "pictures_of_kind pictures_not_live counts_expiring uploads_holding"

#: The first digits of every released migration's SHA-256, its blanks made one. None ever changes; new ones follow.
MIGRATIONS = [
    "b0df6b5635510276",
    "f0986a18a4e56ac2",
    "52ba8a0c30e91147",
    "7c0e5aecc30351dc",
    "46a84a4cc79380ef",
    "c3e72568670e9ab5",
    "d1bf6ba38f8063dc",
    "62079da6ca792ef2",
    "916c54db1272d3a2",
    "71aaf640c4068840",
    "5775e1d9e9ca5138",
    "c093671ad11b709f",
    "7300846c947220a3",
]

#: What a row of each table holds, as SQLite gives it; bytes are told by their SHA-256's first digits.
ROWS: dict[str, tuple[Any, ...]] = {
    "applications": (
        "access",
        "secret",
        "10000001",
        "tenant",
        "name",
        1,
        6,
        '{"kind": "product", "per_second": 1, "per_day": 2, "in_total": 3, "networks": ["10.0.0.0/8"]}',
        "",
        0,
    ),
    "libraries": ("tenant", "name", "uid", "same", "own", 3, 8),
    "pictures": (
        "uid",
        "0123456789abcdef",
        "similar",
        7,
        5,
        "deleted",
        "d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1",
        "f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1",
        "model-1",
        "bad0079ddd20233a",
        "b",
        "l",
        '{"x":1}',
        '["100", "11"]',
        2,
        9,
        2214745500,
        12,
        "",
    ),
    "maps": ("uid/a/1", "60be9861750facbf"),
    "uploads": ("bucket/key", "0A", "uid", "0123456789abcdef", 5, "adding", "w", '["uid", "b", null, ""]', 1),
    "counts": ("day/1/2026-01-02", 2, 5),
    "records": ("jobs/tenant", "sweep", 3, '{"kind": "duplicates"}'),
    "embeddings": ("model-2", "uid/a/1", "bad0079ddd20233a", "60be9861750facbf"),
    "changes": (1, "uid", "0123456789abcdef", None),
    "aliases": ("uid", "fedcba9876543210", "0123456789abcdef"),
}


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A new catalog's file, with one row of everything."""
    path = tmp_path / "catalog.db"
    with closing(SqliteStores(path)) as made:
        made.applications.save_application(APPLICATION)
        made.catalog.create_library(LIBRARY)
        made.catalog.put(DELETED, None)
        made.maps.put_map("uid/a/1", b"map")
        made.uploads.save_upload(UPLOAD, None)
        made.counters.take("day/1/2026-01-02", 2, None, 5)
        made.embeddings.put("model-2", "uid/a/1", VECTOR, b"map")
        made.catalog.save_aliases("uid", {"fedcba9876543210": "0123456789abcdef"})
        made.records.save_records([Record("jobs/tenant", "sweep", '{"kind": "duplicates"}', 3)])
    with closing(sqlite3.connect(path)) as connection:
        yield connection


def test_sqlite_tables_and_columns(catalog: sqlite3.Connection) -> None:
    names = [name for (name,) in catalog.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    found = {
        name: [f"{column}:{kind}" for _, column, kind, *_ in catalog.execute(f"PRAGMA table_info({name})")]
        for name in names
    }
    all_held("columns of SQLite", found, TABLES)
    indices = catalog.execute("SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL")
    held("indices of SQLite", [name for (name,) in indices], INDICES)


def test_sqlite_migrations() -> None:
    digests = [_sha("; ".join(" ".join(statement.split()) for statement in one))[:16] for one in RELEASED]
    same("released migrations", digests, MIGRATIONS)


def test_sqlite_rows(catalog: sqlite3.Connection) -> None:
    for table, columns in TABLES.items():
        named = ", ".join(column.partition(":")[0] for column in columns.split())
        for found in catalog.execute(f"SELECT {named} FROM {table}"):  # noqa: S608  # names of our own
            plain = tuple(_sha(value)[:16] if isinstance(value, bytes) else value for value in found)
            same(f"a row of {table}", plain, ROWS[table])
    assert ROWS.keys() | {"removed_libraries"} == TABLES.keys()


def test_folders_and_files(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "data")
    folder.lock()
    names = {
        path.name for path in (folder.catalog, folder.originals, folder.dead_letters, folder.staged, folder.segments)
    }
    names |= {path.name for path in folder.path.iterdir()}
    folder.unlock()
    held("files of a data folder", names, "catalog.db originals dead-letters.jsonl staged segments server.lock")
    FolderStore(folder.originals).put("uid/a/1", b"")
    kept = [str(path.relative_to(folder.originals)) for path in folder.originals.rglob("*") if path.is_file()]
    same("where an original is kept", kept, [f"{_sha('uid/a/1')[:2]}/{_sha('uid/a/1')[2:]}"])


def test_dead_letters(tmp_path: Path) -> None:
    letter = DeadLetter("ingest", "reason", "body", "file")
    FileDeadLetters(tmp_path / "letters", lambda: 1).send(letter)
    written = json.loads((tmp_path / "letters").read_text())
    same("a line of dead letters", written, {"time": 1} | dict(zip(_LETTER, _SAID, strict=True)) | {"body": "body"})
    client = Calls()
    SqsDeadLetters(cast("Any", client), "url").send(letter)
    sent = client.asked["send_message"]
    attributes = {name: value["StringValue"] for name, value in sent["MessageAttributes"].items()}
    same("a dead letter's attributes", attributes, dict(zip(_LETTER, _SAID, strict=True)))
    same("a dead letter's body", sent["MessageBody"], "body")


_LETTER, _SAID = ("operation", "reason", "file"), ("ingest", "reason", "file")


def test_policies_and_holdings() -> None:
    same("a policy", json.loads(policy_to_json(POLICY)), {
        "kind": "product", "per_second": 1, "per_day": 2, "in_total": 3, "networks": ["10.0.0.0/8"],
    })  # fmt: skip
    same("a policy that sets no limit", policy_to_json(Policy()), "{}")


def test_files_sent_ahead() -> None:
    staged, folder = StagedId("t", 1_767_326_645, bytes(16)), "e3b98a4da31a127d4bde6e43033f66ba"
    same("the id of a file sent ahead", str(staged), "AGlXQ7UAAAAAAAAAAAAAAAAAAAAAW3Tb1gyM")
    same("where it lies in the bucket", PREFIX + staged.key, f"staged/{folder}/{staged}")


def test_names_of_counts() -> None:
    counters = MemoryCounters()
    caller = Application("a", "s", "10000001", "t", "n", policy=Policy(per_second=5, per_day=9, in_total=9))
    ports = memory_ports(caller, counters=counters, settings=Settings(per_second=9))
    with serving(ports):
        Caller(caller).add("similar", picture(1))
    held("names of counts", counters.counts, COUNTS)


COUNTS = "second/10000001/1767323045 second/*/1767323045 day/10000001/2026-01-02 total/10000001"


# -- The table of an AWS account ---------------------------------------------------------------------------------------

#: Every kind of item, as it is written; binary values are told by their SHA-256's first digits.
ITEMS: dict[str, Any] = {
    "picture": {
        "pk": {"S": "P#uid#f"},
        "sk": {"S": "0123456789abcdef"},
        "kind": {"S": "similar"},
        "revision": {"N": "7"},
        "added": {"N": "5"},
        "state": {"S": "live"},
        "digest": {"B": "386435a7b3c19955"},
        "file": {"B": "d402dea3bf625a1c"},
        "model": {"S": "model-1"},
        "vector": {"B": "bad0079ddd20233a"},
        "brief": {"S": "b"},
        "label": {"S": "l"},
        "desc": {"S": '{"x":1}'},
        "tags": {"L": [{"S": "100"}, {"S": "11"}]},
        "size": {"N": "12"},
        "sign_version": {"N": "2"},
    },
    "what the item of a picture from a vendor has more": {"old_sign": {"S": "1,2"}},
    "deleted picture": {
        "pk": {"S": "P#uid#f"},
        "sk": {"S": "0123456789abcdef"},
        "kind": {"S": "similar"},
        "revision": {"N": "7"},
        "added": {"N": "5"},
        "state": {"S": "deleted"},
        "digest": {"B": "386435a7b3c19955"},
        "file": {"B": "d402dea3bf625a1c"},
        "model": {"S": "model-1"},
        "vector": {"B": "bad0079ddd20233a"},
        "brief": {"S": "b"},
        "label": {"S": "l"},
        "desc": {"S": '{"x":1}'},
        "tags": {"L": [{"S": "100"}, {"S": "11"}]},
        "size": {"N": "12"},
        "sign_version": {"N": "2"},
        "deleted_at": {"N": "9"},
        "purge": {"S": "P#f"},
    },
    "library": {
        "pk": {"S": "T#tenant"},
        "sk": {"S": "LIB#name"},
        "uid": {"S": "uid"},
        "kind": {"S": "same"},
        "identity": {"S": "own"},
        "created": {"N": "3"},
        "capacity": {"N": "8"},
    },
    "library without a capacity": {
        "pk": {"S": "T#tenant"},
        "sk": {"S": "LIB#name"},
        "uid": {"S": "uid"},
        "kind": {"S": "same"},
        "identity": {"S": "own"},
        "created": {"N": "3"},
    },
    "removed library": {
        "pk": {"S": "R#uid"},
        "sk": {"S": "R"},
        "kind": {"S": "product"},
        "purge": {"S": "R"},
        "deleted_at": {"N": "4"},
    },
    "upload": {
        "pk": {"S": "U#bucket/key"},
        "sk": {"S": "U"},
        "sequencer": {"S": "0A"},
        "state": {"S": "adding"},
        "added": {"N": "5"},
        "library": {"S": "uid"},
        "id": {"S": "0123456789abcdef"},
        "words": {"S": "w"},
        "leaves": {"S": '["uid", "b", null, ""]'},
        "cleared": {"BOOL": True},
    },
    "upload without a picture": {
        "pk": {"S": "U#bucket/key"},
        "sk": {"S": "U"},
        "sequencer": {"S": "0A"},
        "state": {"S": "settled"},
    },
    "holder": {
        "pk": {"S": "H#uid#0123456789abcdef"},
        "sk": {"S": "0a9d370e050857030986e38bdd6cc1bf687fe4941aca697da0e8920d8ec408e3"},
        "source": {"S": "bucket/key"},
    },
    "generation": {
        "pk": {"S": "GENERATION#same"},
        "sk": {"S": "GENERATION"},
        "read": {"S": "one"},
        "write": {"L": [{"S": "one"}, {"S": "two"}]},
    },
    "application": {
        "pk": {"S": "APP#access"},
        "sk": {"S": "APP"},
        "secret": {"B": "c9d0036bed6744bc"},
        "app_id": {"S": "10000001"},
        "tenant": {"S": "tenant"},
        "name": {"S": "name"},
        "active": {"BOOL": True},
        "created": {"N": "6"},
        "policy": {
            "S": '{"kind": "product", "per_second": 1, "per_day": 2, "in_total": 3, "networks": ["10.0.0.0/8"]}'
        },
    },
    "alias": {"pk": {"S": "A#uid"}, "sk": {"S": "fedcba9876543210"}, "id": {"S": "0123456789abcdef"}},
    "app id": {"pk": {"S": "APPID#10000001"}, "sk": {"S": "APPID"}},
    "app name": {"pk": {"S": "APPNAME"}, "sk": {"S": "name"}},
    "map": {"pk": {"S": "M#uid#7"}, "sk": {"S": "a/1"}, "map": {"B": "60be9861750facbf"}},
    "count": {"pk": {"S": "N#day/1/2026-01-02"}, "sk": {"S": "N"}, "count": "", "count_add": "", "expires": ""},
}


def _more(picture: Picture, than: Picture) -> dict[str, Any]:
    without = dynamodb_items.picture_item(than)
    return {name: said for name, said in dynamodb_items.picture_item(picture).items() if name not in without}


def written_items() -> dict[str, Any]:
    """What is written to DynamoDB, by what it is."""
    table = Calls()
    maps, counters = DynamoMaps(_table(table)), DynamoCounters(_table(table))
    maps.put_map("uid/a/1", b"map")
    counters.take("day/1/2026-01-02", 2, 9, 5000, part="add")
    counted = table.asked["update_item"]
    return {
        "picture": dynamodb_items.picture_item(PICTURE),
        "deleted picture": dynamodb_items.picture_item(DELETED),
        "what the item of a picture from a vendor has more": _more(SIGNED, PICTURE),
        "library": dynamodb_items.library_item(LIBRARY),
        "library without a capacity": dynamodb_items.library_item(replace(LIBRARY, capacity=None)),
        "removed library": dynamodb_items.removed_item(REMOVED),
        "upload": dynamodb_items.upload_item(UPLOAD),
        "upload without a picture": dynamodb_items.upload_item(Upload("bucket/key", "0A")),
        "holder": dynamodb_items.holder_item(PICTURE.key, "bucket/key"),
        "generation": dynamodb_items.generation_item(Kind.SAME, GENERATION),
        "application": dynamodb_application_items.application_item(APPLICATION, b"sealed"),
        "alias": dynamodb_items.alias_item("uid", "fedcba9876543210", "0123456789abcdef"),
        "app id": app_id_key("10000001").values,
        "app name": app_name_key("name").values,
        "map": table.asked["put_item"]["Item"],
        "count": counted["Key"] | dict.fromkeys(counted["ExpressionAttributeNames"].values(), ""),
    }


def test_dynamodb_items() -> None:
    found = {name: _plain(item) for name, item in written_items().items()}
    for name, item in ITEMS.items():
        same(f"DynamoDB's item of a {name}", found.get(name), item)
    assert found.keys() == ITEMS.keys()


def test_dynamodb_mark_and_time_to_live() -> None:
    client = Calls()
    _table(client).put({"pk": {"S": "a"}, "sk": {"S": "b"}}, {"ConditionExpression": "attribute_not_exists(pk)"})
    held("attributes of a guarded write", client.asked["put_item"]["Item"], "pk sk written")
    create_table(cast("Any", _Waiting()), "t")
    held(
        "DynamoDB's keys",
        [one["AttributeName"] for one in TABLE_DEFINITION["AttributeDefinitions"]],
        "pk sk purge deleted_at",
    )
    held("DynamoDB's indices", [one["IndexName"] for one in TABLE_DEFINITION["GlobalSecondaryIndexes"]], "waiting")


class _Waiting(Calls):
    def get_waiter(self, _name: str) -> Any:
        return Calls()

    def update_time_to_live(self, **asked: Any) -> None:
        same("the time to live", asked["TimeToLiveSpecification"]["AttributeName"], "expires")


def test_s3_keys() -> None:
    client = Calls()
    S3Store(cast("Any", client), "bucket").put("uid/a/1", b"")
    same("S3's key of an original", client.asked["put_object"]["Key"], f"uid/{_sha('a/1')}")


def test_kms_context() -> None:
    client = Calls(encrypt={"CiphertextBlob": b""})
    KmsSealer(cast("Any", client), "key").encrypt("secret", "access")
    same("the context that secrets are sealed in", client.asked["encrypt"]["EncryptionContext"], CONTEXT)


CONTEXT = {"access_key": "access"}

# -- The index of an AWS account ---------------------------------------------------------------------------------------

#: Every field and its type.
FIELDS = """
    vector:knn_vector library:keyword id:keyword live:boolean model:keyword tags:keyword revision:long added:long
    digest:keyword object_key:keyword brief:keyword label:keyword desc:keyword old_sign:keyword
"""


def test_opensearch_fields() -> None:
    client = Calls()
    create_index(cast("Any", client), "lookalike-t-same-1")
    body = client.asked["create"]["body"]
    held(
        "OpenSearch's fields", [f"{name}:{one['type']}" for name, one in body["mappings"]["properties"].items()], FIELDS
    )
    same("OpenSearch's alias for writes", [*body["aliases"]], ["lookalike-t-same-1.WRITE"])


def test_opensearch_documents() -> None:
    client = Calls(bulk={"items": [{"index": {"status": 200}}] * 2})
    generations = type("Fixed", (), {"generation": lambda _self, _kind: Generation("one", ("one",))})()
    OpenSearchIndex(cast("Any", client), generations).write([SIGNED, DELETED], wait=False)
    live_action, live, _, hidden = [json.loads(line) for line in client.asked["bulk"]["body"].splitlines()]
    same("the name of a document", live_action["index"]["_id"], _sha("uid/0123456789abcdef"))
    same(
        "a document's routing and version",
        (live_action["index"]["routing"], live_action["index"]["version"]),
        ("uid", 7),
    )
    held("a live document's fields", live, " ".join(field.partition(":")[0] for field in FIELDS.split()))
    held("a hidden document's fields", hidden, "library id live revision")


# ----------------------------------------------------------------------------------------------------------------------


def _table(client: Calls) -> Table:
    return Table(cast("Any", client), "table")


def _plain(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item whose binary values can be read."""
    return {
        name: {"B": _sha(value["B"])[:16]} if isinstance(value, dict) and "B" in value else value
        for name, value in item.items()
    }


def _sha(data: str | bytes) -> str:
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()
