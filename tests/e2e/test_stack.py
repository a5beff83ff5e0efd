"""The stack, built and deployed into an account on this machine: with a real OpenSearch beside it, and with segments.

The account runs functions with a Python of its own, which has to be Lambda's 3.13. Where there is none, all of this is
skipped, and nothing else tests a deployment: CI says so in its last lines.
"""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from aip import AipImageSearch

from lookalike.domain.library import Kind
from lookalike.domain.picture import Key
from lookalike.stores.aws.dynamodb_catalog import DynamoCatalog
from lookalike.stores.aws.dynamodb_table import Table
from tests.browser import journeys
from tests.browser.visitor import Visitor
from tests.contract.rows import described, digest_of
from tests.servers import account
from tests.servers.opensearch import server as opensearch
from tests.support import chromium, jumdata, photographs
from tests.support.live import Keys
from tests.support.qiniu import JSON, uri
from tests.support.qiniu import sign as signed

pytestmark = pytest.mark.timeout(900)  # a build and a deployment are in the first test's time


#: Milliseconds that anything on a page may take where functions start in processes of their own: a job waits for its
#: schedule for a minute, too.
STACK_PATIENCE = 150_000


@pytest.fixture(scope="module", params=["opensearch", "segments"])
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[account.Stack]:
    if (reason := account.missing()) is not None:
        pytest.skip(f"no deployed stack: {reason}")
    url = opensearch.shared() if request.param == "opensearch" else None
    with account.running(tmp_path_factory.mktemp("account")) as here:
        yield account.Stack(
            here,
            url,
            VectorStore=request.param,
            PurgeAfterDays="0",
            PurgeSchedule="rate(1 minute)",
            Canary="true",
            CanarySchedule="rate(365 days)",
        )


#: The console's files and the API are the same on every stack, so one is walked through whole. Both sign in and search.
ON_ONE_STACK = pytest.mark.parametrize("stack", ["opensearch"], indirect=True, scope="module")


def searches_segments(stack: account.Stack) -> bool:
    """Whether the stack has no domain."""
    store: str = stack.outputs["VectorStore"]
    return store == "segments"


def client(stack: account.Stack, keys: Keys) -> Any:
    """Return the vendor's SDK, with only its addresses changed."""
    made = AipImageSearch(keys.app_id, keys.access_key, keys.secret_key)
    for kind in (AipImageSearch, *AipImageSearch.__mro__[1:-1]):
        for name, value in vars(kind).items():
            if isinstance(value, str) and value.startswith("https://aip.baidubce.com"):
                setattr(made, name, value.replace("https://aip.baidubce.com", stack.url))
    return made


def soon(found: Callable[[], Any], seconds: float) -> Any:
    """Return the first result of ``found`` that is true; wait for it."""
    end = time.monotonic() + seconds
    while not (answer := found()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.25)
    return answer


def test_a_picture_lives_its_whole_life(stack: account.Stack) -> None:
    sdk = client(stack, stack.keys("shop"))
    coffee, cat = (photographs.jpeg(photographs.photograph(name)) for name in ("coffee.png", "chelsea.png"))
    sign = sdk.sameHqAdd(coffee, '{"name": "coffee"}')["cont_sign"]
    assert sdk.sameHqAdd(coffee, "again")["error_code"] == 216681
    sdk.sameHqAdd(cat, '{"name": "cat"}')
    assert sdk.sameHqSearch(coffee)["result"][0] == {"score": 1, "brief": '{"name": "coffee"}', "cont_sign": sign}
    copy = photographs.jpeg(photographs.cropped(photographs.photograph("coffee.png"), 0.9), quality=40)
    assert sdk.sameHqSearch(copy)["result"][0]["cont_sign"] == sign
    assert "error_code" not in sdk.sameHqUpdateContSign(sign, {"brief": "changed"})
    assert sdk.sameHqSearch(coffee)["result"][0]["brief"] == "changed"
    assert "error_code" not in sdk.sameHqDeleteBySign(sign)
    assert sign not in [one["cont_sign"] for one in sdk.sameHqSearch(coffee)["result"]]


def test_a_group_lives_its_whole_life(stack: account.Stack) -> None:
    call = groups(stack, stack.keys("groups"))
    cup, cat = (uri(photographs.jpeg(photographs.photograph(name, 200))) for name in ("coffee.png", "chelsea.png"))
    elements = [{"uri": cup, "attribute": {"id": "cup/1", "label": ["杯"], "desc": {"n": 1.5}}}, {"uri": cat}]
    answer = call("POST", "/v1/image/group/life/new", {"data": elements})
    assert (answer["images"][0], answer["errors"]) == ("cup/1", [None, None])
    cat_id = answer["images"][1]
    more = {"data": [{"uri": cat, "attribute": {"id": "cup/1"}}, {"uri": "http://127.0.0.1/"}]}
    assert [error["code"] for error in call("POST", "/v1/image/group/life/add", more)["errors"]] == [400, 4000202]
    assert call("GET", "/v1/image/group")["result"] == ["life"]
    assert call("GET", "/v1/image/group/life/info") == {"count": 2}
    first = call("GET", "/v1/image/group/life?marker=&limit=1")
    second = call("GET", f"/v1/image/group/life?marker={first['marker']}&limit=1")
    assert {first["result"][0]["id"], second["result"][0]["id"]} == {"cup/1", cat_id}
    assert call("POST", "/v1/image/group/life/image", {"id": "cup/1"}) == {"label": ["杯"], "desc": {"n": 1.5}}
    search = {"data": {"uri": cup}, "params": {"groups": ["life"], "limit": -1}}
    found = call("POST", "/v1/image/groups/search", search)["result"]
    assert [(one["id"], one["label"], one["group"]) for one in found] == [
        ("cup/1", ["杯"], "life"),
        (cat_id, "", "life"),
    ]
    assert call("POST", "/v1/image/group/life/search", {"data": {"uri": cat}})["result"][0]["id"] == cat_id
    assert call("POST", "/v1/image/group/life/delete", {"images": [cat_id]}) == {}
    assert call("GET", "/v1/image/group/life/info") == {"count": 1}
    assert call("POST", "/v1/image/group/life/remove") == {}
    assert call("POST", "/v1/image/group/life/new", {"data": []}) == {"images": [], "errors": []}
    assert call("GET", "/v1/image/group/life")["result"] == []


def test_a_picture_larger_than_a_request_is_sent_to_the_bucket(stack: account.Stack) -> None:
    keys = stack.keys("large")
    auth, api = (keys.access_key, keys.secret_key), f"{stack.url}/api/v1"
    assert httpx.put(f"{api}/libraries/large", json={"kind": "same"}, auth=auth, timeout=60).status_code == 201
    out = BytesIO()
    photographs.photograph("coffee.png").resize((1600, 1067)).save(out, "PNG", compress_level=0)

    def offer() -> dict[str, Any]:
        return dict(httpx.post(f"{api}/uploads", auth=auth, timeout=60).json())

    def add(upload: str) -> httpx.Response:
        said = {"image": {"upload": upload}, "id": "a"}
        return httpx.post(f"{api}/libraries/large/pictures", json=said, auth=auth, timeout=60)

    offered = offer()
    missing = add(offered["upload"])
    assert missing.json().get("code") == "upload_missing", missing.text
    sent = httpx.post(offered["url"], data=offered["fields"], files={"file": out.getvalue()}, timeout=60)
    assert sent.status_code == 204, sent.text
    added = add(offered["upload"])
    assert (added.status_code, added.json()["created"]) == (201, True), added.text
    again = httpx.post(
        f"{api}/libraries/large/check", json={"image": {"upload": offered["upload"]}}, auth=auth, timeout=60
    )
    assert again.json().get("code") == "upload_used", again.text
    assert add(offered["upload"]).json()["created"] is False, (
        "an add by an id of one's own may be repeated all the same"
    )
    state = httpx.get(f"{api}/index", auth=auth, timeout=60).json()
    generations = set() if searches_segments(stack) else {"same", "similar", "product"}
    assert (state["pictures"], set(state.get("generations", ()))) == (1, generations)
    shown = httpx.get(f"{api}/libraries/large/pictures/a/image", auth=auth, timeout=60)
    assert shown.status_code == 307
    original = httpx.get(shown.headers["location"], timeout=60)  # without keys, which S3 would refuse beside its own
    assert (original.content, original.headers["content-type"]) == (out.getvalue(), "image/png")
    assert original.headers["content-disposition"] == "attachment"
    page = httpx.get(f"{stack.url}/console", timeout=60)
    assert "connect-src 'self' http" in page.headers["content-security-policy"], "the console may send files there"


def test_a_picture_of_another_vendors_client_lives_and_groups_see_it(stack: account.Stack) -> None:
    keys = stack.keys("jumdata")
    coffee = photographs.jpeg(photographs.photograph("coffee.png", 200))

    def call(operation: str, **fields: Any) -> dict[str, Any]:
        timestamp = str(int(time.time() * 1000))
        sign = jumdata.signed(keys.app_id, keys.secret_key, timestamp)
        form = {"appId": keys.app_id, "timestamp": timestamp, "sign": sign, **fields}
        answer: dict[str, Any] = httpx.post(f"{stack.url}{jumdata.PLACE}/{operation}", data=form, timeout=60).json()
        assert answer["code"] == 200, answer
        data: dict[str, Any] = answer["data"]
        return data

    base64_ = base64.b64encode(coffee).decode()
    sign = call("input", base64=base64_, description="coffee")["contSign"]
    page = call("search", base64=base64_, start=0, end=10)
    assert (page["resultNum"], page["hasMore"]) == ("1", "false")
    assert page["result"] == [{"brief": "coffee", "score": 1, "contSign": sign}]
    search = {"data": {"uri": uri(coffee)}, "params": {"groups": ["jumdata"]}}
    (seen,) = groups(stack, keys)("POST", "/v1/image/groups/search", search)["result"]
    assert (seen["score"], seen["desc"], seen["group"]) == (1, "coffee", "jumdata")
    call("delete", contSign=sign)
    assert call("search", base64=base64_) == {"resultNum": 0, "hasMore": "false"}


def groups(stack: account.Stack, keys: Keys) -> Callable[..., dict[str, Any]]:
    """A caller of groups that signs by hand, because the account adds a path prefix that the API does not see."""
    host = urlsplit(stack.url).netloc

    def call(method: str, target: str, body: Any = None) -> dict[str, Any]:
        data = "" if body is None else json.dumps(body)
        kind = {"Content-Type": JSON} if method == "POST" else {}
        line = f"\nContent-Type: {JSON}" if kind else ""
        sign = signed(keys.secret_key, f"{method} {target}\nHost: {host}{line}\n\n{data}")
        headers = {"Authorization": f"Qiniu {keys.access_key}:{sign}", **kind}
        answer = httpx.request(method, stack.url + target, content=data, headers=headers, timeout=60)
        assert answer.status_code == 200, answer.text
        assert answer.headers["X-Reqid"]
        said: dict[str, Any] = answer.json()
        return said

    return call


def test_a_browser_signs_in_with_a_link_that_the_command_line_prints(stack: account.Stack) -> None:
    stack.keys("operator")
    printed = stack.account.run(".venv/bin/lookalike", "console", "--stack", stack.name, "--name", "operator")
    assert printed.startswith(f"{stack.outputs['ApiUrl']}/console/#once=")
    said = {"once": printed.strip().partition("#once=")[2]}
    same = {"Sec-Fetch-Site": "same-origin"}
    with httpx.Client(timeout=60) as browser:
        assert browser.post(f"{stack.url}/api/v1/session", json=said).status_code == 204
        assert browser.get(f"{stack.url}/api/v1/session").json()["application"] == "operator"
        assert browser.put(f"{stack.url}/api/v1/libraries/seen", json={}).status_code == 403
        assert browser.put(f"{stack.url}/api/v1/libraries/seen", json={}, headers=same).status_code == 201
        assert browser.post(f"{stack.url}/api/v1/session", json=said).status_code == 401
        assert browser.delete(f"{stack.url}/api/v1/session", headers=same).status_code == 204
        assert browser.get(f"{stack.url}/api/v1/session").status_code == 401
        page = browser.get(f"{stack.url}/console")
    assert page.status_code == 200
    assert "require-trusted-types-for 'script'" in page.headers["content-security-policy"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium.running() as started:
        yield started


@pytest.fixture(scope="module")
def operator(stack: account.Stack) -> Keys:
    return stack.keys("browsing")


@pytest.fixture
def visitor(stack: account.Stack, browser: Any, operator: Keys) -> Iterator[Visitor]:
    """Somebody at the console's address, where nothing that they delete is purged. In the end, nothing has gone wrong."""
    # A page's paths begin at a host of its own, as at AWS; browsers find names below localhost without a DNS.
    at = f"http://{stack.resources['Api']}.execute-api.localhost:{urlsplit(stack.url).port}"
    context = browser.new_context(locale="en", viewport={"width": 1280, "height": 860})
    came = Visitor.of(context, stack.url, operator, at, STACK_PATIENCE)
    with stack.paused("purge"):
        yield came
    context.close()
    assert came.wrong == []


@ON_ONE_STACK
def test_the_keyboard_alone_signs_in_looks_and_edits(visitor: Visitor) -> None:
    journeys.keyboard_signs_in_looks_and_edits(visitor)
    assert visitor.hindrances() == []


@ON_ONE_STACK
@pytest.mark.parametrize("wish", journeys.WISHES, ids=lambda wish: wish.__name__)
def test_an_operator_wishes(visitor: Visitor, wish: Callable[[Visitor], None]) -> None:
    """The sweep among them is done by its schedule."""
    visitor.sign_in_by_keys()
    wish(visitor)
    assert visitor.hindrances() == []


def test_a_sweep_is_done_by_the_jobs_function(stack: account.Stack) -> None:
    """Queued, done and counted; the next finds what came later; what was said not to be the same is no group again."""
    keys = stack.keys("sweeping")
    auth = (keys.access_key, keys.secret_key)
    cat, cup = photographs.photograph("chelsea.png"), photographs.photograph("coffee.png")

    def call(method: str, path: str, **said: Any) -> dict[str, Any]:
        answer = httpx.request(method, f"{stack.url}/api/v1{path}", auth=auth, timeout=60, **said)
        assert answer.is_success, answer.text
        body: dict[str, Any] = answer.json() if answer.content else {}
        return body

    def add(id_: str, picture: Any) -> None:
        image = {"base64": base64.b64encode(photographs.jpeg(picture)).decode()}
        call("POST", "/libraries/swept/pictures", json={"image": image, "id": id_})

    def run() -> None:
        """Invoke the function as its schedule does that is held."""
        target = stack.account.client("scheduler").get_schedule(Name=f"{stack.name}-jobs")["Target"]
        answer = stack.account.client("lambda").invoke(FunctionName=target["Arn"], Payload=target["Input"])
        assert "FunctionError" not in answer, answer["Payload"].read()

    def swept(id_: str, pictures: int) -> dict[str, Any]:
        queued = call("PUT", f"/jobs/{id_}", json={"kind": "duplicates", "library": "swept"})
        assert (queued["state"], queued["done"]) == ("queued", 0)
        run()
        done = call("GET", f"/jobs/{id_}")
        assert (done["state"], done["done"], done["total"]) == ("done", pictures, pictures)
        return call("GET", f"/jobs/{id_}/report")

    def groups_of(level: str) -> list[set[str]]:
        found = call("GET", "/libraries/swept/duplicates", params={"level": level})["clusters"]
        return [{one["id"] for one in cluster["pictures"]} for cluster in found]

    call("PUT", "/libraries/swept", json={"kind": "same"})
    add("cat", cat)
    add("crop", photographs.cropped(cat))
    add("cup", cup)
    with stack.paused("jobs"):
        assert swept("first", 3)["compared"] == 3
        assert (groups_of("identical"), groups_of("same")) == ([], [{"cat", "crop"}])
        add("small cup", cup.resize((cup.width // 2, cup.height // 2)))
        assert swept("second", 4)["clusters"]["same"] == 2
        assert sorted(map(sorted, groups_of("same"))) == [["cat", "crop"], ["cup", "small cup"]]
        call("POST", "/libraries/swept/duplicates/dismiss", json={"pictures": ["cat", "crop"]})
        assert groups_of("same") == [{"cup", "small cup"}]


def test_setting_up_again_changes_nothing(stack: account.Stack) -> None:
    before = stack.account.run(".venv/bin/lookalike", "keys", "list", "--stack", stack.name, "--json")
    assert "There are applications" in stack.deploy()
    assert stack.account.run(".venv/bin/lookalike", "keys", "list", "--stack", stack.name, "--json") == before


def test_its_indices_can_be_filled_again(stack: account.Stack) -> None:
    said = stack.account.run(".venv/bin/lookalike", "setup", "--stack", stack.name, "--fill")
    if searches_segments(stack):
        assert re.search(r"^Filled segments: +[0-9,]+ pictures in [0-9,]+ libraries$", said, re.MULTILINE)
        return
    assert len(re.findall(r"^Filled \w+: +[0-9,]+ rows, 0 refused$", said, re.MULTILINE)) == len(Kind)


def test_an_upload_is_found_by_itself_and_what_is_no_picture_ends_with_a_reason(stack: account.Stack) -> None:
    keys = stack.keys("uploader")
    s3, sqs = stack.account.client("s3"), stack.account.client("sqs")
    rocket = photographs.jpeg(photographs.photograph("rocket.jpg"))
    for name, body in (("a rocket+é.jpg", rocket), ("notes.txt", b"no picture")):
        s3.put_object(Bucket=stack.outputs["Uploads"], Key=f"uploads/{keys.app_id}/similar/{name}", Body=body)
    found = soon(lambda: client(stack, keys).similarSearch(rocket)["result"], 30)
    assert [(one["score"], one["brief"]) for one in found] == [(1, "a rocket+é.jpg")]

    def letters() -> list[Any]:
        asked = {"QueueUrl": stack.outputs["UploadDeadLetters"], "MessageAttributeNames": ["All"]}
        received: list[Any] = sqs.receive_message(**asked).get("Messages", [])
        return received

    (letter,) = soon(letters, 30)
    assert "notes.txt" in letter["Body"]
    assert letter["MessageAttributes"]["reason"]["StringValue"]


def test_what_only_reached_the_table_is_replayed_from_its_stream(stack: account.Stack) -> None:
    keys = stack.keys("replayed")
    sdk = client(stack, keys)
    retina = photographs.jpeg(photographs.photograph("retina.jpg"))
    sdk.productAdd(retina, "said at first")
    catalog = DynamoCatalog(Table(stack.account.client("dynamodb"), stack.outputs["Table"]))
    library = catalog.library(keys.tenant, "product")
    assert library is not None
    (row,) = catalog.pictures(library.uid, None, 10)
    catalog.put(
        described(row.but(revision=row.revision + 1), brief="said later"), row.revision
    )  # and the index hears nothing
    copy = photographs.jpeg(photographs.photograph("retina.jpg"), quality=30)
    assert sdk.productSearch(copy)["result"][0]["brief"] == "said later", "what is shown is read from the table"
    twin = described(
        row.but(key=Key(library.uid, digest_of("twin")), digest=digest_of("twin")), brief="found by the index alone"
    )
    catalog.put(twin, None)
    soon(lambda: "found by the index alone" in [one["brief"] for one in sdk.productSearch(copy)["result"]], 30)


def test_it_says_what_runs_there_and_how_it_is_to_whoever_has_keys(stack: account.Stack) -> None:
    def status(**given: Any) -> httpx.Response:
        return httpx.get(f"{stack.url}/status", timeout=60, **given)

    plain = status()
    assert (plain.status_code, plain.json().keys()) == (200, {"status", "version", "model"})
    keys = stack.keys("watching")
    refused = status(auth=(keys.access_key, "another"))
    assert (refused.status_code, refused.json()) == (401, {"message": "Unauthorized"})
    auth = (keys.access_key, keys.secret_key)
    for name in ("cups", "cats"):
        made = httpx.put(f"{stack.url}/api/v1/libraries/{name}", json={"kind": "same"}, auth=auth, timeout=60)
        assert made.status_code == 201, made.text
    seen = status(auth=auth)
    said = seen.json()
    assert (seen.status_code, said["status"], set(said["stores"].values())) == (200, "ready", {True})
    assert said["pictures"] == {f"{keys.tenant}/cups": 0, f"{keys.tenant}/cats": 0}
    stack.account.run(
        *(".venv/bin/lookalike", "keys", "change", "--name", "watching", "--stack", stack.name),
        *("--may", "search", "--library", "cats"),
    )
    assert soon(lambda: status(auth=auth).json()["pictures"] == {f"{keys.tenant}/cats": 0}, 90)


def test_the_canary_of_the_schedule_is_well_and_status_says_so(stack: account.Stack) -> None:
    schedule = stack.account.client("scheduler").get_schedule(Name=f"{stack.name}-canary")
    assert (schedule["State"], schedule["ScheduleExpression"]) == ("ENABLED", "rate(365 days)")
    target = schedule["Target"]
    began = time.time_ns() // 1_000_000

    def run() -> Any:
        """Run it; return its report, or None where OpenSearch had no time for it, as the next run of the schedule may find."""
        done = stack.account.client("lambda").invoke(FunctionName=target["Arn"], Payload=target["Input"].encode())
        said = json.load(done["Payload"])
        if "FunctionError" not in done:
            return said
        assert "OpenSearch: ConnectionTimeout" in said["errorMessage"], said
        return None

    found = soon(run, 90)
    assert found["found_seconds"] is not None
    assert found["gone_seconds"] is not None
    keys = stack.keys("canary-watcher")
    auth = (keys.access_key, keys.secret_key)
    said = httpx.get(f"{stack.url}/status", auth=auth, timeout=60).json()["last_canary"]
    assert said["well"]
    assert said["at"] == found["at"] >= began
    assert said["found_seconds"] == found["found_seconds"]


def test_the_schedule_purges_what_was_deleted(stack: account.Stack) -> None:
    keys = stack.keys("purged")
    sdk, s3 = client(stack, keys), stack.account.client("s3")
    catalog = DynamoCatalog(Table(stack.account.client("dynamodb"), stack.outputs["Table"]))
    coins = photographs.jpeg(photographs.photograph("coins.png"))
    sdk.similarAdd(coins, "coins")
    library = catalog.library(keys.tenant, "similar")
    assert library is not None

    def kept() -> tuple[int, int]:
        objects = s3.list_objects_v2(Bucket=stack.outputs["Originals"], Prefix=library.uid)["KeyCount"]
        return objects, len(catalog.pictures(library.uid, None, 10))

    assert kept() == (1, 1)
    assert "error_code" not in sdk.similarDeleteByImage(coins)
    soon(lambda: kept() == (0, 0), 90)


def test_nothing_failed_unseen(stack: account.Stack) -> None:
    sqs = stack.account.client("sqs")
    for queue in ("IndexDeadLetters", "PurgeDeadLetters", "JobsDeadLetters"):
        assert not sqs.receive_message(QueueUrl=stack.outputs[queue]).get("Messages"), queue
    logs = stack.account.client("logs")
    for group in (name for kind, name in stack.resources.items() if kind.endswith("Logs") and kind != "ApiLogs"):
        events = logs.filter_log_events(logGroupName=group)["events"]
        assert not [event["message"] for event in events if "Traceback" in event["message"]], group


def test_what_holds_state_outlives_the_stack(stack: account.Stack) -> None:
    """The last test: it takes the stack away."""
    stack.delete()
    names = {bucket["Name"] for bucket in stack.account.client("s3").list_buckets()["Buckets"]}
    assert {stack.outputs["Uploads"], stack.outputs["Originals"]} <= names
    assert stack.outputs["Table"] in stack.account.client("dynamodb").list_tables()["TableNames"]
    assert not stack.account.client("lambda").list_functions()["Functions"]
