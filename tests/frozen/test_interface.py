"""What programs, alarms and operators' scripts rely on keeps its name: settings, commands, metrics, logs, the template.

Each is taken from what is really there. An addition is added to the table here, and stays.
"""

from __future__ import annotations

import ast
import base64
import importlib
import json
import pkgutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, redirect_stdout
from dataclasses import dataclass, fields
from enum import StrEnum
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.testing import CliRunner

import lookalike
from lookalike.cli.main import COMMANDS, app, module_of
from lookalike.domain.picture import Picture
from lookalike.errors import IndexWriteError, LookalikeError, Unavailable
from lookalike.handlers.process_ports import serving
from lookalike.ports import Catalog
from lookalike.server import api_gateway
from lookalike.server.status import Status
from lookalike.service.upload import Outcome
from lookalike.settings import Settings
from lookalike.stores.aws.dynamodb_items import picture_item
from lookalike.wire.native import cookies, session, session_tokens
from tests.conftest import ALICE
from tests.contract.rows import described
from tests.frozen.held import all_held, held
from tests.support.baidu import Caller, event, handle, picture
from tests.support.fakes import MemoryIndex, MemoryObjects, memory_ports
from tests.support.jumdata import Client
from tests.support.native import NativeCaller
from tests.support.qiniu import GroupCaller, one, uri
from tests.unit.triggers.test_uploads import put, s3, sqs

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "layers/lookalike/python/lookalike"

# -- Settings ----------------------------------------------------------------------------------------------------------

SETTINGS = """
    LOOKALIKE_DATA LOOKALIKE_TABLE LOOKALIKE_BUCKET LOOKALIKE_OPENSEARCH LOOKALIKE_VECTOR_STORE LOOKALIKE_KEY LOOKALIKE_MODEL
    LOOKALIKE_MODEL_THREADS LOOKALIKE_MIN_SIDE LOOKALIKE_MIN_AGREEMENT LOOKALIKE_BRIEF_REQUIRED LOOKALIKE_PURGE_AFTER_DAYS
    LOOKALIKE_GROUP_PICTURES LOOKALIKE_GROUP_THRESHOLD LOOKALIKE_BATCH_PICTURES LOOKALIKE_KEEP_UPLOADS
    LOOKALIKE_WATCH LOOKALIKE_DEAD_LETTERS LOOKALIKE_WAIT_FOR_INDEX LOOKALIKE_INDEX_SECONDS LOOKALIKE_PUBLIC_HOSTS
    LOOKALIKE_HOSTS LOOKALIKE_PROXIES LOOKALIKE_FETCH_SECONDS LOOKALIKE_FETCH_REDIRECTS LOOKALIKE_FETCH_ALLOW
    LOOKALIKE_PER_SECOND LOOKALIKE_COUNT_USAGE LOOKALIKE_WAIT_SECONDS LOOKALIKE_STATUS_DETAILS LOOKALIKE_LOG_LEVEL
    LOOKALIKE_METRICS LOOKALIKE_STACK LOOKALIKE_SEARCH_WORKERS LOOKALIKE_UPLOADS LOOKALIKE_INDEX_FUNCTION
    LOOKALIKE_DEAD_LETTER_QUEUES LOOKALIKE_LIBRARY_PICTURES LOOKALIKE_APPLICATION_PICTURES
"""


def test_settings() -> None:
    held("settings", [setting.metadata["variable"] for setting in fields(Settings)], SETTINGS)


# -- Commands ----------------------------------------------------------------------------------------------------------

#: Every command with its options, and its arguments by their names.
OPTIONS = {
    "serve": "--data --backend --stack --host --port --watch --purge --no-purge --existing --sample",
    "setup": "--stack --shards --replicas --refresh --fill --rebuild --move-index --keys --no-keys",
    "keys create": "--name --data --stack --tenant --kind --per-second --per-day --in-total --capacity --from --may --library --json",
    "keys show": "--name --data --stack --json",
    "keys list": "--data --stack --json",
    "keys change": "--name --data --stack --rename --kind --per-second --per-day --in-total --capacity --from --may --library --enable --disable --json",
    "keys rotate": "--name --data --stack --keep-days --json",
    "keys revoke": "--name --data --stack --json",
    "console": "--name --data --stack --url",
    "sweep": "folder --library --report --not-same --language --name --data --stack",
    "token": "--name --data --stack",
    "usage": "--data --stack --days --json",
    "import": "source --library --map --kind --encoding --root --on-duplicate --as --reembed --from --group --vendor-key --vendor-url --name --data --stack --url --key "
    "--workers --rate --journal --report --restart --dry-run --json",
    "snapshot": "destination --data",
    "restore": "snapshot --data --replace",
    "export": "destination --library --name --data --stack --json",
    "check": "--data --stack --repair --deep --rate --list --json",
    "reembed": "--model --rate --compare --report --switch --leave-lost --back --drop --data --stack --json",
    "restore-picture": "picture --library --name --data --stack --json",
    "canary": "--data --stack --recall --least-recall --json",
    "invoke": "function event --data --stack",
    "calibrate": "--pairs --output --kind --model",
    "model fit": "--pictures --output --pairs --labels --name --size --copies --seed",
}

#: What ``--json`` prints.
PRINTED = {
    "keys create": "access_key secret_key app_id tenant name active created policy old_secret_key old_secret_until",
    "keys create, policy": "kind per_second per_day in_total networks may libraries capacity",
    "keys list": "access_key secret_key app_id tenant name active created policy old_secret_key old_secret_until",
    "keys show": "access_key secret_key app_id tenant name active created policy old_secret_key old_secret_until",
    "keys change": "access_key secret_key app_id tenant name active created policy old_secret_key old_secret_until",
    "keys rotate": "access_key secret_key app_id tenant name active created policy old_secret_key old_secret_until",
    "usage": "name app_id calls counted operations",
    "keys revoke": "access_key secret_key app_id tenant name active created policy old_secret_key old_secret_until",
}


def options_of(command: Any, name: str) -> Iterator[tuple[str, list[str]]]:
    """Every command below one, with what it is given."""
    if below := getattr(command, "commands", None):
        for another, one_below in below.items():
            yield from options_of(one_below, f"{name} {another}")
        return
    given = [
        word
        for parameter in command.params
        for word in (
            (*parameter.opts, *parameter.secondary_opts) if parameter.param_type_name == "option" else [parameter.name]
        )
    ]
    yield name, [word for word in given if word not in ("--install-completion", "--show-completion")]


def commands() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in COMMANDS:
        module = importlib.import_module(module_of(name))
        found.update(options_of(typer.main.get_command(module.app), name))
    return found


def test_commands_and_options() -> None:
    all_held("commands", commands(), OPTIONS)


def printed(folder: Path) -> dict[str, list[str]]:
    def run(*arguments: str) -> Any:
        done = CliRunner().invoke(app, [*arguments, "--data", str(folder), "--json"])
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    made = run("keys", "create", "--name", "shop", "--per-day", "9")
    return {
        "keys create": [*made],
        "keys create, policy": [*made["policy"]],
        "keys list": [*run("keys", "list")[0]],
        "keys show": [*run("keys", "show", "--name", "shop")],
        "keys change": [*run("keys", "change", "--name", "shop", "--per-second", "3")],
        "keys rotate": [*run("keys", "rotate", "--name", "shop")],
        "usage": [*run("usage")[0]],
        "keys revoke": [*run("keys", "revoke", "--name", "shop")],
    }


def test_what_commands_print_as_json(tmp_path: Path) -> None:
    all_held("keys of --json", printed(tmp_path / "data"), PRINTED)


# -- /status -----------------------------------------------------------------------------------------------------------


def test_status() -> None:
    ports = memory_ports(ALICE, settings=Settings(status_details=True), wrong=["the disk is full"])
    with serving(ports):
        Caller(ALICE).add("similar", picture(1))
        answered = json.loads(handle("groups", event("GET", "/status"))["body"])
    held("/status of a function", answered, "status version model")
    asked = api_gateway.HttpRequest("GET", "/status", "", (), b"", "203.0.113.5", api_gateway.now())
    with closing(Status(ports)) as status:
        said = json.loads(status.answer(asked).body)
    held("/status of one machine", said, "status version model pictures problems searchable stores")
    assert said["pictures"] == {f"{ALICE.tenant}/similar": 1}


# -- The console's session ---------------------------------------------------------------------------------------------


def test_the_session() -> None:
    held("cookies", [cookies.NAME, cookies.NAME_OVER_HTTPS], "lookalike_session __Host-lookalike")
    held("uses of tokens", [*session_tokens.Use], "s1 l1 m1")
    with serving(memory_ports(ALICE)):
        said = NativeCaller(ALICE).call("GET", "/session").json
    held("/api/v1/session without limits", said, "application app_id access_key")
    held(
        "/api/v1/session",
        session.SessionSaid.__struct_fields__,
        "application app_id access_key expires per_second per_day in_total networks may libraries capacity",
    )
    held("what signs in", session.SignInGiven.__struct_fields__, "access_key secret_key once")


# -- Logs and metrics --------------------------------------------------------------------------------------------------

#: Every metric, by the names of its dimensions.
METRICS = {
    "operation outcome stack": "Events:Count Latency:Milliseconds Requests:Count",
    "operation stack": "Again:Count AnswersCut:Count DeadLetters:Count Purged:Count Refused:Count Rows:Count Stuck:Count",
    "stack trigger": "Failures:Count",
}

#: Values of the dimensions; outcomes are ok, what an upload became, and names of errors.
VALUES = {
    "operation": "add delete groups index ingest purge search token unknown update",
    "trigger": "index ingest request",
}
UPLOADS_BECAME = "added same done_before changed_since gone"
ERRORS = """
    Abandoned AccessError AddressRefused ApplicationDisabled ApplicationFull ApplicationNotFound ArgumentTooLong BadEncoding
    Busy ChangeRefused CrossSite DailyQuotaReached EmptyPicture FolderInUse IndexWriteError InvalidArgument JobFailed JobFinished JobInProgress JobIsOther JobNotFound JournalError LibraryExists LibraryFull LibraryIsOther
    LibraryNotFound LimitReached LinkInvalid LookalikeError MethodNotAllowed MissingArgument ModelError NoGroups
    NoSample NotAPicture NotPermitted NotShown NothingGiven OutOfTime PictureDeleted PictureError PictureExists PictureIsAbsent PictureIsPut PictureIsThere PictureNotFound
    PictureSizeError RateReached RefusedError RequestTooLarge RevisionConflict RevisionMismatch RowError ServiceRateReached
    SessionExpired SettingsError SignAmbiguous SignatureInvalid SourceError StateError TargetError TokenExpired TokenInvalid
    TooManyFailures TooManyGroups TooManyItems TotalQuotaReached Unavailable UnknownOperation
    UnknownScheme UnsupportedByLibrary UploadError UploadExpired UploadMissing UploadNotFound UploadRefused
    UploadSent UploadTooLarge UploadUsed UrlAnswerError UrlAnswerTooLong UrlError UrlIllegal UrlLengthError
    UrlNotPublic UrlTimeout UrlUnreachable WrongLimit WrongThreshold
"""

#: The fields of log lines that say what has been done, by operation and message.
FIELDS = {
    "add: answered": "app_id library log_id milliseconds operation outcome reason reqid request request_bytes request_id status task",
    "search: answered": "app_id library log_id milliseconds operation outcome reason remedy reqid request request_bytes request_id status task",
    "update: answered": "app_id library log_id milliseconds operation outcome request request_bytes request_id status",
    "delete: answered": "app_id library log_id milliseconds operation outcome reason request request_bytes request_id status task",
    "groups: answered": "app_id library milliseconds operation outcome reason remedy reqid request request_bytes request_id status",
    "-: pictures refused": "library refused request_id",
    "token: answered": "app_id milliseconds operation outcome reason request_bytes request_id status",
    "unknown: answered": "milliseconds operation outcome reason request_bytes request_id status",
    "-: failed": "app_id library log_id reqid request_id task",
    "ingest: ingested": "milliseconds operation outcome reason source",
    "ingest: dead letter": "body file operation reason",
    "index: dead letter": "body operation reason",
    "index: indexed": "Again Refused Rows operation",
    "purge: purged": "done operation pictures stuck",
    "ingest: not ingested": "operation",
    "ingest: comes again": "milliseconds operation outcome reason source",
    "index: index not reached": "operation pictures reason",
}

#: The fields that single calls of the logger add, and operations that only they name.
ADDED = """
    address file first library milliseconds model object_key operation operation:add operation:canary operation:check operation:control operation:gateway operation:groups operation:index operation:ingest operation:purge operation:reembed operation:search operation:status operation:watch other outcome phase pictures reason refused request_bytes request_id rows source status
"""

#: All messages of log lines; what is filled in is {}.
MESSAGES = [
    "KMS does not answer; a secret it opened before is used",
    "a fill has stopped, and is tried again",
    "a job has ended with its library",
    "a job has failed",
    "a job is done",
    "a job waits for a store",
    "a part of /status could not be had",
    "a report could not be kept",
    "a row of {} is damaged and left out: {} ({})",
    "a search process could not be started: {}",
    "a search process has ended; searched again here: {}",
    "a search process has found nothing; searched again here: {}",
    "a search process has started",
    "a thumbnail could not be kept",
    "an original could not be removed",
    "an original is lost; its picture cannot be restored",
    "an original was not looked at",
    "an upload could not be removed",
    "answered",
    "canary",
    "comes again",
    "commands cannot ask this server",
    "dead letter not kept",
    "dead letter",
    "failed",
    "filling a model",
    "handler failed",
    "index not reached",
    "index write failed",
    "index write failed; the catalog is ahead of the index",
    "indexed",
    "ingested",
    "not ingested",
    "passed over",
    "pictures refused",
    "places in a library could not be given back",
    "purged",
    "refused",
    "scheduled run failed",
    "start failed",
    "the backlog could not be read",
    "a command failed",
    "a report could not be kept",
    "commands cannot ask this server",
    "a part of /status could not be had",
    "an original could not be looked at",
    "canary",
    "the details of /status could not be had in time",
    "the index could not be tidied; it works on, more slowly, and tries again at the next write",
    "a file of the index is damaged, and its library was made again from the catalog: {}",
    "a file of the index is made again from the catalog: {}, as {}",
    "the index is made again from the catalog: its files are of another catalog, or older",
    "the index is made again from the catalog: its list of files is not there",
    "the index is made again from the catalog: its list of files is not used, as {}",
    "the index is made again from the catalog: its log of changes cannot be read ({})",
    "the index keeps no files at present ({}); it works on, and the next start takes longer",
    "an index's log stays as it is",
    "entries of an index's log are left: {}",
    "segments of the index are left: {}",
    "segments of the index could not be written: {}",
    "the index of a library is made again from the catalog: {}",
    "the index did not take all rows",
    "the index does not say how full a group is",
    "the index keeps rows",
    "the models in use have changed",
    "watching failed",
    "{} could not be asked",
    "{} originals have not come in time",
    "{} pictures in {} were added with the model {}: {} does not find them; give it a folder of its own, and add them again",
    "{}, line {} is passed over",
]


@dataclass(frozen=True, slots=True)
class Told:
    """What a round of calls and events has written: metrics in EMF, and lines of the log."""

    metrics: Sequence[Mapping[str, Any]]
    lines: Sequence[Mapping[str, Any]]


class _Refusing(MemoryIndex):
    """Refuses some rows for good."""

    def write(self, pictures: Sequence[Picture], *, wait: bool = True) -> None:
        refused = {one.key: "refused" for one in pictures if one.metadata.brief == "refused"}
        super().write([one for one in pictures if one.key not in refused], wait=wait)
        if refused:
            raise IndexWriteError(frozenset(), refused)


class _Context:
    """Lambda's, with time enough."""

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


@pytest.fixture
def told(log_lines: Callable[[], list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch) -> Told:
    """Every handler is called, with what succeeds and with what fails."""
    objects = MemoryObjects()
    settings = Settings(metrics=True, stack="stack", purge_after_days=0)
    ports = memory_ports(ALICE, objects=objects, index=_Refusing(), settings=settings)
    with serving(ports), redirect_stdout(StringIO()) as metrics:
        _call_everything(monkeypatch)
        _send_everything(objects, ports.catalog, monkeypatch)
    return Told([json.loads(line) for line in metrics.getvalue().splitlines()], log_lines())


def _call_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    baidu, qiniu, jumdata = Caller(ALICE), GroupCaller(ALICE), Client(ALICE)
    baidu.add("similar", picture(1))
    sign = baidu.add("similar", picture(2))
    baidu.briefs("similar", picture(1))
    baidu.call("similar", "update", cont_sign=sign, brief="c")
    baidu.call("similar", "delete", cont_sign=sign)
    baidu.call("similar", "add", image=b"no picture", brief="x")
    qiniu.new("shop", one(picture(3, size=(64, 64))), one(picture(4, size=(64, 64))))
    qiniu.post("/shop/add", {"data": [one(b"no picture"), one(picture(5, size=(64, 64)))]})
    qiniu.get("/none")
    monkeypatch.setattr("lookalike.wire.qiniu.limits.MAX_RESULT_BYTES", 10)
    qiniu.get("/shop")
    qiniu.call(
        "POST",
        "/v1/image/groups/search",
        {"data": {"uri": uri(picture(3, size=(64, 64)))}, "params": {"groups": ["shop"]}},
    )
    _call_the_native_api(NativeCaller(ALICE))
    jumdata.input(picture(6))
    jumdata.call("delete", contSign="")
    for secret in (ALICE.secret_key, "wrong"):
        query = f"grant_type=client_credentials&client_id={ALICE.access_key}&client_secret={secret}"
        handle("token", event("GET", "/oauth/2.0/token", query=query))
    handle("unknown", event("GET", "/"))
    with monkeypatch.context() as broken:
        broken.setattr(MemoryIndex, "search", None)  # whatever it is that breaks
        baidu.call("similar", "search", image=picture(1))
        qiniu.search(["shop"], picture(3, size=(64, 64)))
        jumdata.call("search", base64=picture(6), start=0, end=1)


def _call_the_native_api(native: NativeCaller) -> None:
    native.call("PUT", "/libraries/own", {})
    native.call("POST", "/uploads")
    native.put("own", "a", picture(8))
    native.put("own", "a", b"no picture")
    native.call("POST", "/libraries/own/bulk", body=b'{"op": "delete", "id": "b"}')
    native.search("own", picture(8))
    native.call("PATCH", native.path("own", "a"), {"brief": "b"})
    native.call("DELETE", native.path("own", "a"))
    NativeCaller().call("GET", "/libraries")


def _send_everything(objects: MemoryObjects, catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    good, bad = f"uploads/{ALICE.app_id}/similar/a.png", f"uploads/{ALICE.app_id}/similar/b.png"
    objects.put("uploads", good, picture(7), brief="b")
    objects.put("uploads", bad, b"no picture")
    notices = [s3(put(good)), s3(put(bad)), s3(put(good, sequencer="0")), "garbled"]
    _handler("ingest")(sqs(*notices), _Context())
    rows = [row for library in catalog.libraries(ALICE.tenant) for row in catalog.pictures(library.uid, None, 1)]
    records = [
        _record(number, row)
        for number, row in enumerate((rows[0], described(rows[0].but(revision=1 << 50), brief="refused")))
    ]
    _handler("index")({"Records": records}, _Context())
    _handler("purge")({}, _Context())
    with monkeypatch.context() as broken:
        broken.setattr(MemoryObjects, "head", _unavailable)
        broken.setattr(_Refusing, "write", _unavailable)
        _handler("ingest")(sqs(s3(put(good, sequencer="2"))), _Context())
        _handler("index")({"Records": records}, _Context())


def _unavailable(*_: object, **__: object) -> None:
    raise Unavailable("no answer")


def _record(number: int, row: Picture) -> dict[str, Any]:
    image = json.loads(json.dumps(picture_item(row), default=lambda data: base64.b64encode(data).decode()))
    stream = {"Keys": {"pk": image["pk"], "sk": image["sk"]}, "NewImage": image, "SequenceNumber": str(number + 1)}
    return {"eventID": str(number), "eventName": "MODIFY", "dynamodb": stream}


def _handler(function: str) -> Callable[[Any, Any], Any]:
    found: Callable[[Any, Any], Any] = importlib.import_module(f"functions.{function}.app").handler
    return found


def metrics_of(told: Told) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for line in told.metrics:
        (group,) = line["_aws"]["CloudWatchMetrics"]
        assert group["Namespace"] == "lookalike"
        (dimensions,) = group["Dimensions"]
        found[" ".join(sorted(dimensions))] |= {f"{one['Name']}:{one['Unit']}" for one in group["Metrics"]}
    return dict(found)


def values_of(told: Told) -> dict[str, set[str]]:
    return {name: {line[name] for line in told.metrics if name in line} for name in ("operation", "trigger")}


def errors() -> set[str]:
    """The names of all errors of ours, wherever they stand: each may be an outcome."""
    for module in pkgutil.walk_packages(lookalike.__path__, "lookalike."):
        if not module.name.startswith(("lookalike.cli", "lookalike.__main__")):
            importlib.import_module(module.name)

    def below(kind: type[LookalikeError]) -> Iterator[type[LookalikeError]]:
        yield kind
        for another in kind.__subclasses__():
            yield from below(another)

    return {kind.__name__ for kind in below(LookalikeError) if kind.__module__.startswith("lookalike.")}


def fields_of(told: Told) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for line in told.lines:
        found[f"{line.get('operation', '-')}: {line['message']}"] |= line.keys() - _EVERY_LINE
    return dict(found)


#: What the logger itself writes.
_EVERY_LINE = {"level", "location", "message", "timestamp", "service", "exception", "exception_name", "stack_trace"}


def log_calls() -> Iterator[ast.Call]:
    """Every call of the logger in the source."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            levels = (node.func.body, node.func.orelse) if isinstance(node.func, ast.IfExp) else (node.func,)
            if {ast.unparse(level) for level in levels} <= _LOGGING:
                yield node


def messages() -> set[str]:
    return {text for call in log_calls() for text in _texts(call.args[0])}


def fields_added() -> set[str]:
    """The fields that calls of the logger name themselves, and ``operation:value`` of what they do."""
    found = set()
    for call in log_calls():
        for node in ast.walk(call):
            if isinstance(node, ast.Dict):
                for name, value in zip(node.keys, node.values, strict=True):
                    if isinstance(name, ast.Constant):
                        is_known = name.value == "operation" and isinstance(value, ast.Constant)
                        found.add(f"operation:{ast.literal_eval(value)}" if is_known else str(name.value))
    return found


_LOGGING = {f"logger.{level}" for level in ("debug", "info", "warning", "error", "exception", "critical")}


def _texts(message: ast.expr) -> list[str]:
    if isinstance(message, ast.IfExp):
        return [*_texts(message.body), *_texts(message.orelse)]
    if isinstance(message, ast.JoinedStr):
        return ["".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in message.values)]
    assert isinstance(message, ast.Constant), ast.unparse(message)
    return [str(message.value)]


def test_metrics(told: Told) -> None:
    all_held("metrics", metrics_of(told), METRICS)


def test_values_of_dimensions(told: Told) -> None:
    all_held("values of dimensions", values_of(told), VALUES)


def test_outcomes() -> None:
    assert issubclass(Outcome, StrEnum)
    held("outcomes of uploads", [outcome.replace(" ", "_") for outcome in Outcome], UPLOADS_BECAME)
    held("errors, whose names are outcomes", errors(), ERRORS)


def test_fields_of_log_lines(told: Told) -> None:
    all_held("log lines", fields_of(told), FIELDS)


def test_messages_of_log_lines() -> None:
    gone, new = sorted({*MESSAGES} - messages()), sorted(messages() - {*MESSAGES})
    assert not gone, f"messages of log lines: {gone} gone, {new} new; this is data or interface: it must not be renamed"
    assert not new, f"messages of log lines: {new} new; add them to the table: from then on they must not be renamed"


def test_fields_of_all_log_lines() -> None:
    held("fields of log lines", fields_added(), ADDED)


# -- The template ------------------------------------------------------------------------------------------------------

PARAMETERS = """
    Architecture PictureMemory PlainMemory RequestTimeout VectorStore OpenSearchEndpoint OpenSearchArn OpenSearchInstance
    OpenSearchInstances OpenSearchStorage IndexSeconds PurgeTimeout PurgeSchedule PurgeAfterDays RequestRate
    RequestBurst IndexConcurrency IngestConcurrency SpendingLimit PerSecond CountUsage BriefRequired KeepUploads
    UploadDays PublicHosts LogLevel LogRetentionDays AlarmTopic Canary CanarySchedule
    Metrics JobsSchedule
"""
OUTPUTS = (
    "ApiUrl Uploads Table Originals VectorStore OpenSearch Key UploadDeadLetters IndexDeadLetters PurgeDeadLetters "
    "JobsDeadLetters DashboardUrl"
)

#: Resources that stay when the stack goes: under another logical id, a deployment would make an empty one.
KEPT = """
    Table:DynamoDB::Table Key:KMS::Key Originals:S3::Bucket OriginalsPolicy:S3::BucketPolicy Uploads:S3::Bucket
    UploadsPolicy:S3::BucketPolicy Domain:OpenSearchService::Domain
"""

#: What functions are deployed under: alarms and dashboards of operators name them.
FUNCTIONS = """
    TokenFunction:functions/token ConsoleFunction:functions/console AddFunction:functions/add SearchFunction:functions/search
    UpdateFunction:functions/update DeleteFunction:functions/delete GroupsFunction:functions/groups
    UnknownFunction:functions/unknown IngestFunction:functions/ingest IndexFunction:functions/index
    PurgeFunction:functions/purge JobsFunction:functions/jobs CanaryFunction:functions/canary
"""


class _Loader(yaml.SafeLoader):
    """Reads CloudFormation's short forms as what they are given."""


def _as_given(loader: yaml.SafeLoader, _tag: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    return loader.construct_sequence(node) if isinstance(node, yaml.SequenceNode) else loader.construct_mapping(node)  # type: ignore[arg-type]


_Loader.add_multi_constructor("!", _as_given)


@pytest.fixture(scope="module")
def template() -> Mapping[str, Any]:
    return dict(yaml.load((ROOT / "template.yaml").read_text(), _Loader))  # noqa: S506  # a SafeLoader with tags


def kept(template: Mapping[str, Any]) -> list[str]:
    stay = ("Retain", "RetainExceptOnCreate", "Snapshot")
    return [
        f"{name}:{one['Type'].removeprefix('AWS::')}"
        for name, one in template["Resources"].items()
        if one.get("DeletionPolicy") in stay
    ]


def functions(template: Mapping[str, Any]) -> list[str]:
    resources = template["Resources"].items()
    return [f"{name}:{one['Properties']['CodeUri']}" for name, one in resources if one["Type"].endswith("::Function")]


def test_parameters_and_outputs(template: Mapping[str, Any]) -> None:
    held("parameters of the template", template["Parameters"], PARAMETERS)
    held("outputs of the template", template["Outputs"], OUTPUTS)


def test_resources_that_stay(template: Mapping[str, Any]) -> None:
    held("resources that hold state", kept(template), KEPT)
    held("functions", functions(template), FUNCTIONS)


# -- The model's card --------------------------------------------------------------------------------------------------

#: Keys of both cards, but those that only tell of how the model was made and what it is worth.
CARD = """
    about calibration/product/offset calibration/product/slope calibration/product/threshold calibration/same/offset
    calibration/same/slope calibration/same/threshold calibration/similar/offset calibration/similar/slope
    calibration/similar/threshold dimension files/codebooks.npz files/heads.npz files/model.onnx fit input/channels
    input/name input/resize input/shape input/side input/type licence looks_at/product looks_at/same
    looks_at/similar name notice outputs/map/shape outputs/map/type outputs/product/norm outputs/product/shape
    outputs/product/type outputs/same/norm outputs/same/shape outputs/same/type outputs/similar/norm
    outputs/similar/shape outputs/similar/type proof/again/corners proof/again/correlation proof/again/cosine
    proof/again/inliers proof/again/likeness proof/again/matches proof/again/offset proof/corners/corners
    proof/corners/correlation proof/corners/cosine proof/corners/inliers proof/corners/likeness
    proof/corners/matches proof/corners/offset proof/least proof/part/corners proof/part/correlation
    proof/part/cosine proof/part/inliers proof/part/likeness proof/part/matches proof/part/offset proof/remark
    proof/whole/corners proof/whole/correlation proof/whole/cosine proof/whole/inliers proof/whole/likeness
    proof/whole/matches proof/whole/offset quality sources
"""


def card_keys(path: Path) -> set[str]:
    def keys(value: Any, place: str) -> Iterator[str]:
        if isinstance(value, dict) and place not in ("fit", "quality"):
            for name, inner in value.items():
                yield from keys(inner, f"{place}/{name}" if place else name)
        else:
            yield place

    return {*keys(json.loads(path.read_text()), "")}


@pytest.mark.parametrize("folder", ["layers/model", "layers/model/large"])
def test_the_card_s_keys(folder: str) -> None:
    held(f"keys of {folder}/card.json", card_keys(ROOT / folder / "card.json"), CARD)
