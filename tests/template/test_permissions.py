"""Every function may do what it does, and nothing of its stores that it never does: calls beside policies."""

from __future__ import annotations

import base64
import fnmatch
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote_plus

import pytest

from functions.canary.app import handler as canary
from functions.ingest.app import handler as ingest
from functions.jobs.app import handler as jobs
from functions.purge.app import handler as purge
from lookalike.domain.application import Application, Policy
from lookalike.domain.library import Kind
from lookalike.domain.picture import Picture
from lookalike.domain.staged import StagedId
from lookalike.handlers.process_ports import serving
from lookalike.ports import Ports, VectorIndex
from lookalike.settings import Settings
from lookalike.stores.aws.dynamodb_applications import DynamoApplications
from lookalike.stores.aws.dynamodb_catalog import DynamoCatalog
from lookalike.stores.aws.dynamodb_counters import DynamoCounters
from lookalike.stores.aws.dynamodb_generations import DynamoGenerations
from lookalike.stores.aws.dynamodb_maps import DynamoMaps
from lookalike.stores.aws.dynamodb_records import DynamoRecords
from lookalike.stores.aws.dynamodb_table import Table, create_table
from lookalike.stores.aws.dynamodb_uploads import DynamoUploads
from lookalike.stores.aws.kms_sealer import KmsSealer
from lookalike.stores.aws.s3_objects import S3Store, S3Uploads
from lookalike.stores.aws.s3_staging import PREFIX, S3Staging
from lookalike.stores.aws.segment_compaction import Limits
from lookalike.stores.aws.segment_index import SegmentIndex
from lookalike.stores.aws.segment_objects import SegmentObjects
from lookalike.stores.aws.sqs_dead_letters import SqsDeadLetters
from lookalike.wire.native import session_tokens
from tests.conftest import ALICE
from tests.contract.rows import row
from tests.support.baidu import Caller, event, form, handle, picture
from tests.support.emulated import aws
from tests.support.fakes import SetClock, memory_ports, with_stores
from tests.support.jumdata import Client
from tests.support.native import NativeCaller, image
from tests.support.qiniu import GroupCaller, one
from tests.template.conftest import Template

#: IAM's name of an API call, where it is another.
ACTIONS = {
    "s3:HeadObject": "s3:GetObject",
    "s3:HeadBucket": "s3:ListBucket",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:DeleteObjects": "s3:DeleteObject",
}


@dataclass(frozen=True, slots=True)
class Allowed:
    """An action on something of the template, and of the table on keys of these shapes only."""

    action: str
    target: str
    keys: tuple[str, ...] = ("*",)


@dataclass(frozen=True, slots=True)
class Did:
    """An action on something of the template, and of the table on this partition key."""

    action: str
    target: str
    key: str = ""


def given(template: Template, operation: str) -> list[Allowed]:
    """What the function's role allows."""
    name = operation.capitalize()
    roles = template.of_type("AWS::IAM::Role")
    role = roles.get(f"{name}FunctionRole") or roles[f"{name}Role"]
    policies = [policy["PolicyDocument"] for policy in role["Properties"].get("Policies", [])]
    ours = template.of_type("AWS::IAM::ManagedPolicy")
    arns = role["Properties"]["ManagedPolicyArns"]
    policies += [ours[arn["Ref"]]["Properties"]["PolicyDocument"] for arn in arns if "Ref" in arn]
    return [one for policy in policies for one in _allowed(policy)]


def _allowed(policy: Mapping[str, Any]) -> Iterator[Allowed]:
    statements = policy["Statement"] if isinstance(policy["Statement"], list) else [policy["Statement"]]
    for written in statements:
        statement = written["Fn::If"][1] if "Fn::If" in written else written
        keys = statement.get("Condition", {}).get("ForAllValues:StringLike", {}).get("dynamodb:LeadingKeys", ["*"])
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        for action in actions:
            yield Allowed(action, _target(statement["Resource"]), tuple(keys))


def _target(resource: Any) -> str:
    said = json.dumps(resource)
    return next((name for name in ("waiting", "stream", "Table", "Originals", "Uploads", "Key") if name in said), said)


class Watch:
    """Notes what clients do."""

    def __init__(self) -> None:
        self.done: set[Did] = set()

    def client(self, made: Any, service: str) -> Any:
        made.meta.events.register(
            f"provide-client-params.{service}.*", lambda params, model, **_: self.note(service, params, model.name)
        )
        return made

    def note(self, service: str, params: Mapping[str, Any], operation: str) -> None:
        action = ACTIONS.get(f"{service}:{operation}", f"{service}:{operation}")
        if operation == "TransactWriteItems":  # needs what each of its changes needs
            for change in params["TransactItems"]:
                ((kind, written),) = change.items()
                self.note(service, written, f"{kind}Item")
        elif service == "dynamodb":
            target = params.get("IndexName") or "Table"
            self.done |= {Did(action, target, key if target == "Table" else "") for key in _keys(params)}
        else:
            self.done.add(
                Did(action, {"kms": "Key", "sqs": "queue"}.get(service) or str(params["Bucket"]).capitalize())
            )

    def of(self, call: Callable[[], object]) -> set[Did]:
        """What is done in a call."""
        self.done.clear()
        call()
        return set(self.done)


def _keys(params: Mapping[str, Any]) -> Iterator[str]:
    """The partition keys that a call is about."""
    if "RequestItems" in params:
        for asked in params["RequestItems"].values():
            keys = (
                asked["Keys"]
                if isinstance(asked, dict)
                else [
                    one["DeleteRequest"]["Key"] if "DeleteRequest" in one else one["PutRequest"]["Item"]
                    for one in asked
                ]
            )
            yield from (key["pk"]["S"] for key in keys)
    elif "ExpressionAttributeValues" in params and "KeyConditionExpression" in params:
        values = params["ExpressionAttributeValues"]
        yield (values.get(":pk") or values[":purge"])["S"]
    elif "Key" in params or "Item" in params:
        yield (params.get("Key") or params["Item"])["pk"]["S"]


def lives_in_the_native_api(does: Callable[..., None], send: Callable[[str, bytes], object]) -> None:
    """All that the native API can do, each call by the function that answers it."""
    native, own, seen = NativeCaller(ALICE), "/libraries/own", {"image": image(picture(1))}
    calls: Sequence[tuple[str, str, str, Any]] = (
        ("groups", "PUT", own, {"kind": "same", "capacity": 100}),
        ("groups", "PATCH", own, {"capacity": 50}),
        ("groups", "GET", "/libraries", None),
        ("groups", "GET", "/usage", None),
        ("groups", "GET", "/index", None),
        ("add", "PUT", f"{own}/pictures/a", seen),
        ("add", "PUT", f"{own}/pictures/a", {"image": image(picture(2))}),
        ("add", "PUT", f"{own}/pictures/a", {"image": image(picture(2)), "brief": "same file"}),
        ("add", "POST", f"{own}/pictures", {**seen, "id": "b"}),
        ("add", "POST", f"{own}/pictures", {**seen, "id": "b", "brief": "x", "on_duplicate": "update"}),
        ("add", "POST", f"{own}/bulk", {"op": "update", "id": "b", "brief": "y"}),
        ("groups", "GET", f"{own}/pictures", None),
        ("groups", "GET", f"{own}/pictures/a", None),
        ("groups", "GET", f"{own}/pictures/a/image", None),
        ("search", "POST", f"{own}/search", {"image": {"picture": "a"}}),
        ("search", "POST", f"{own}/check", {"image": image(picture(3))}),
        ("search", "POST", "/search", {**seen, "libraries": ["own"]}),
        ("search", "POST", "/compare", {"a": {"picture": "a", "library": "own"}, "b": image(picture(3))}),
        ("update", "PATCH", f"{own}/pictures/a", {"brief": "z"}),
        ("delete", "DELETE", f"{own}/pictures/a", None),
        ("add", "POST", f"{own}/pictures/a/restore", None),
    )
    for operation, method, path, said in calls:
        does(operation, _succeeds, native, method, path, said)
    for operation, method, path in (("add", "PUT", f"{own}/pictures/c"), ("search", "POST", f"{own}/check")):
        upload = native.call("POST", "/uploads").json["upload"]
        staged = StagedId.of(ALICE.tenant, upload)
        assert staged is not None
        does("add", send, staged.key, picture(4))
        does(operation, _succeeds, native, method, path, {"image": {"upload": upload}})
    does("groups", native.call, "GET", f"{own}/pictures/a/image", size="thumb")
    does("groups", _succeeds, native, "DELETE", own, None)
    lives_of_old_signs(does)
    lives_of_jobs(does)


def lives_of_old_signs(does: Callable[..., None]) -> None:
    """A sign that a picture had elsewhere: it is given, taken by another one when that is deleted, and taken back."""
    native, signed = NativeCaller(ALICE), "/libraries/signed"
    does("groups", _succeeds, native, "PUT", signed, {"kind": "same", "identity": "picture"})
    for number, sign in ((1, "1,2"), (2, "1,2"), (3, "3,4")):
        said = {"image": image(picture(number)), "old_cont_sign": sign}
        does("add", _succeeds, native, "POST", f"{signed}/pictures", said)
        if number == 1:
            does("delete", _succeeds, native, "DELETE", f"{signed}/pictures/{sign}", None)
    does("delete", _succeeds, native, "DELETE", f"{signed}/pictures/3,4", None)
    does("add", _succeeds, native, "POST", f"{signed}/pictures/3,4/restore", None)
    for change in ("5,6", None):
        does("update", _succeeds, native, "PATCH", f"{signed}/pictures/1,2", {"old_cont_sign": change})


def lives_of_jobs(does: Callable[..., None]) -> None:
    """All that can be done with jobs and near-duplicates: two copies are found, and a third picture."""
    native, own = NativeCaller(ALICE), "/libraries/swept"
    does("groups", _succeeds, native, "PUT", own, {"kind": "same"})
    for id_, file in (("a", picture(1)), ("b", picture(1, "BMP")), ("c", picture(2))):
        does("add", _succeeds, native, "PUT", f"{own}/pictures/{id_}", {"image": image(file)})
    does("groups", _succeeds, native, "PUT", "/jobs/first", {"kind": "duplicates", "library": "swept"})
    for verb in ("pause", "resume"):
        does("groups", _succeeds, native, "POST", f"/jobs/first/{verb}", None)
    context = SimpleNamespace(get_remaining_time_in_millis=lambda: 200_000)
    does("jobs", jobs, {}, context)
    for path in ("/jobs", "/jobs/first", "/jobs/first/report", f"{own}/duplicates"):
        does("groups", _succeeds, native, "GET", path, None)
    for verb in ("dismiss", "reconsider"):
        does("groups", _succeeds, native, "POST", f"{own}/duplicates/{verb}", {"pictures": ["a", "b"]})
    does("groups", _succeeds, native, "POST", f"{own}/duplicates", None)
    does("jobs", jobs, {}, context)
    assert native.call("GET", "/jobs").json["jobs"][-1]["state"] == "done"
    assert len(native.call("GET", f"{own}/duplicates").json["clusters"]) == 1


def lives_of_schedules(does: Callable[..., None], context: SimpleNamespace) -> None:
    """A purge, and two canaries, of which the first makes its library."""
    for operation, run in (("purge", purge), ("canary", canary), ("canary", canary)):
        does(operation, run, {}, context)


def _succeeds(native: NativeCaller, method: str, path: str, said: Any) -> None:
    answer = native.call(method, path, said)
    assert answer.status < 300, (method, path, answer.body)


def lives_of_groups(does: Callable[..., None]) -> None:
    """All that can be done with groups."""
    groups, seen = GroupCaller(ALICE), picture(1, size=(40, 40))
    does("groups", groups.post, "/shop/new", {"data": [one(seen, id="1")]})
    for call in ("", "/shop", "/shop/info"):
        does("groups", groups.get, call)
    does("groups", groups.post, "/shop/image", {"id": "1"})
    does("add", groups.add, "shop", one(picture(2, size=(40, 40)), id="2"))
    does("search", groups.found, ["shop", "same_hq"], seen)
    does("delete", groups.post, "/shop/delete", {"images": ["1"]})
    does("groups", groups.post, "/shop/remove")


def basic(application: Application) -> str:
    return "Basic " + base64.b64encode(f"{application.access_key}:{application.secret_key}".encode()).decode()


def lives_without_pictures(does: Callable[..., None], caller: Caller, clock: SetClock) -> None:
    """A token, a path that there is not, the console's page, a wrong key and a right one, and a link."""
    form_ = form(grant_type="client_credentials", client_id=ALICE.access_key, client_secret=ALICE.secret_key)
    headers = {"content-type": "application/x-www-form-urlencoded"}
    does("token", handle, "token", event("POST", "/oauth/2.0/token", headers=headers, body=form_))
    path, query = "/rest/2.0/realtime_search/same_hq/none", f"access_token={caller.token}"
    does("unknown", handle, "unknown", event("POST", path, query=query))
    status = handle("groups", event("GET", "/status", headers={"authorization": basic(ALICE)}))
    assert json.loads(status["body"])["stores"] == {"catalog": True, "index": True, "originals": True}
    does("groups", handle, "groups", event("GET", "/status", headers={"authorization": basic(ALICE)}))
    keys, nobody = {"access_key": ALICE.access_key, "secret_key": ALICE.secret_key}, NativeCaller()
    does("console", handle, "console", event("GET", "/console/"))
    does("token", nobody.call, "POST", "/session", {**keys, "secret_key": "wrong"})
    (cookie,) = nobody.call("POST", "/session", keys).cookies
    does("token", nobody.call, "GET", "/session", cookies=[cookie.partition(";")[0]])
    once = session_tokens.mint(ALICE, session_tokens.Use.LINK, clock.now // 1000 + 60)
    does("token", nobody.call, "POST", "/session", {"once": once})


def lives_of_uploads(does: Callable[..., None], s3: Any, context: SimpleNamespace) -> None:
    """An upload, others of its name, and one that is no picture."""
    for number, body in enumerate((picture(7), picture(8), picture(8, "BMP"), b"no picture")):
        name = f"uploads/{ALICE.app_id}/same_hq/a picture"
        etag = s3.put_object(Bucket="uploads", Key=name, Body=body)["ETag"].strip('"')
        stored = {
            "key": quote_plus(name, safe="/"),
            "sequencer": f"{number:04x}",
            "eTag": etag,
            "size": len(body),
        }
        record = {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "uploads"}, "object": stored}}
        sent = {"Records": [{"messageId": "1", "body": json.dumps({"Records": [record]})}]}
        does("ingest", ingest, sent, context)


def _with_segments(ports: Ports, table: Table, s3: Any) -> Ports:
    """The ports with segments that are made, merged and removed after every few writes."""

    def pictures_of(library: str) -> Iterator[Sequence[Picture]]:
        yield ports.catalog.pictures(library, None, 1000)

    objects = SegmentObjects(s3, "originals")
    return with_stores(ports, index=SegmentIndex(table, objects, pictures_of, limits=Limits(log_rows=3, kept_ms=0)))


#: The vector stores. The first stands for OpenSearch, whose calls are not watched.
_INDICES: dict[str, Callable[[Ports, Table, Any], Ports]] = {
    "opensearch": lambda ports, _table, _s3: ports,
    "segments": _with_segments,
}


def _replays(does: Callable[..., None], index: VectorIndex) -> None:
    """Write rows as the table's stream brings them, twice."""
    written = [row("replayed", str(number), revision=number + 1) for number in range(4)]
    for batch in (written, [was.but(revision=9) for was in written]):
        does("index", partial(index.write, wait=False), batch)


@pytest.fixture(scope="module", params=_INDICES)
def done(request: pytest.FixtureRequest) -> dict[str, set[Did]]:
    """What every function does to the stores, in lives of pictures that come by all roads, with each vector store."""
    watch, clock = Watch(), SetClock(1_767_323_045_000)
    done: dict[str, set[Did]] = {}
    with aws() as make:
        dynamodb, s3, kms, sqs = (watch.client(make(name), name) for name in ("dynamodb", "s3", "kms", "sqs"))
        create_table(dynamodb, "table")
        for bucket in ("originals", "uploads"):
            s3.create_bucket(Bucket=bucket)
        key = kms.create_key()["KeyMetadata"]["KeyId"]
        queue = sqs.create_queue(QueueName="dead")["QueueUrl"]
        table = Table(dynamodb, "table")
        ports = memory_ports(
            settings=Settings(purge_after_days=0, keep_uploads=False),
            applications=DynamoApplications(table, KmsSealer(kms, key), clock),
            catalog=DynamoCatalog(table),
            maps=DynamoMaps(table),
            uploads=DynamoUploads(table),
            counters=DynamoCounters(table),
            records=DynamoRecords(table),
            originals=S3Store(s3, "originals"),
            objects=S3Uploads(s3),
            staged=S3Staging(s3, "uploads"),
            dead_letters=SqsDeadLetters(sqs, queue),
            clock=clock,
        )
        ports = _INDICES[request.param](ports, table, s3)
        limited = replace(ALICE, policy=Policy(per_second=100, per_day=1000, in_total=1000))
        ports.applications.save_application(limited)
        with serving(ports):

            def does(operation: str, call: Callable[..., object], *given: Any, **named: Any) -> None:
                clock.now += 60_000  # what was read of applications is stale
                done[operation] = done.get(operation, set()) | watch.of(lambda: call(*given, **named))

            caller = Caller(ALICE)
            for library in ("same_hq", "similar"):
                for seed in range(3):
                    does("add", caller.add, library, picture(seed))
                does("search", caller.call, library, "search", image=picture(1))
                does("search", caller.call, library, "search", image=picture(1, size=(64, 48)))
                does("search", caller.call, library, "search", image=picture(9))
                does("update", caller.call, library, "update", image=picture(1), brief="other")
                sign = caller.call(library, "search", image=picture(2))["result"][0]["cont_sign"]
                does("delete", caller.call, library, "delete", cont_sign=sign)
                does("delete", caller.call, library, "delete", image=picture(1))
                does("add", caller.add, library, picture(2))
            twin = picture(0, "BMP")  # of the same pixels: the original is looked at
            does("add", caller.call, "same_hq", "add", image=twin, brief="twin")
            does("update", caller.call, "same_hq", "update", image=twin, brief="twin")
            does("delete", caller.call, "same_hq", "delete", image=twin)
            lives_of_groups(does)
            lives_in_the_native_api(
                does,
                # What S3 does with a form, it does in the name of who has signed it.
                lambda key, file: s3.put_object(Bucket="uploads", Key=PREFIX + key, Body=file),
            )
            jumdata = Client(ALICE, clock.now)
            does("add", jumdata.input, picture(1))
            does("search", jumdata.found, picture(1))
            lives_without_pictures(does, caller, clock)
            context = SimpleNamespace(get_remaining_time_in_millis=lambda: 200_000)
            lives_of_uploads(does, s3, context)
            (removed,) = (one for one in ports.catalog.libraries(ALICE.tenant) if one.name == "similar")
            ports.catalog.remove_library(removed, clock.now)
            clock.now += 3_600_000
            lives_of_schedules(does, context)
        # The index asks which of its generations is live, and OpenSearch is no part of this.
        for operation in ("add", "search", "update", "delete", "groups", "ingest", "index", "purge", "jobs", "canary"):
            does(operation, DynamoGenerations(table).generation, Kind.SAME)
        does("index", ports.dead_letters.send, _letter())
        _replays(does, ports.index)
    return done


def _letter() -> Any:
    return SimpleNamespace(operation="index", reason="reason", body="body", file="")


FUNCTIONS = (
    "token",
    "console",
    "add",
    "search",
    "update",
    "delete",
    "groups",
    "unknown",
    "ingest",
    "index",
    "purge",
    "jobs",
    "canary",
)


def test_these_are_all_functions(template: Template) -> None:
    assert set(FUNCTIONS) == set(template.functions())


@pytest.mark.parametrize("operation", FUNCTIONS)
def test_a_function_may_do_what_it_does(template: Template, done: dict[str, set[Did]], operation: str) -> None:
    allowed = given(template, operation)
    refused = {
        did
        for did in done[operation]
        if not any(
            did.action == one.action
            and (did.target == one.target or (did.target == "queue" and "DeadLetters" in one.target))
            and any(fnmatch.fnmatchcase(did.key, key) for key in one.keys)
            for one in allowed
        )
    }
    assert not refused


def test_secrets_are_read_by_those_alone_that_authenticate(template: Template) -> None:
    for operation in FUNCTIONS:
        reads = {
            one.action
            for one in given(template, operation)
            if one.target == "Table" and any(fnmatch.fnmatchcase("APP#key", key) for key in one.keys)
        }
        assert reads == (
            set() if operation in ("console", "index", "purge", "jobs", "canary") else {"dynamodb:GetItem"}
        )


def test_nobody_is_allowed_what_nobody_does(template: Template, done: dict[str, set[Did]]) -> None:
    stores = ("dynamodb:", "s3:", "kms:")
    actions = {did.action for one in done.values() for did in one}
    spared = {
        "s3:ListBucket",
        "dynamodb:DescribeStream",
        "dynamodb:GetRecords",
        "dynamodb:GetShardIterator",
        "dynamodb:ListStreams",
    }
    for operation in FUNCTIONS:
        unused = {one.action for one in given(template, operation) if one.action.startswith(stores)} - spared - actions
        assert not unused, operation
