"""Qiniu's own Python and Node SDKs, and clients written by hand, through a group's life on a live server."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import qiniu
import requests
from qiniu import http
from qiniu.auth import QiniuMacRequestsAuth

from tests.support import photographs
from tests.support.live import Keys, LiveServer, cli
from tests.support.qiniu import JSON, sign

HERE = Path(__file__).parent
GROUP = "/v1/image/group"

# The Python SDK signs the time in a way that Python will not know for ever.
pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")

Call = Callable[[str, str, Any], tuple[int, Any]]


def uri(name: str, **how: Any) -> str:
    """A photograph as data."""
    file = photographs.jpeg(photographs.photograph(name, 200), **how)
    return "data:application/octet-stream;base64," + base64.b64encode(file).decode()


def live(call: Call) -> None:
    """A group's whole life."""
    cup, cat = uri("coffee.png"), uri("chelsea.png")
    added = {"data": [{"uri": cup, "attribute": {"id": "cup/1", "label": "杯", "desc": {"n": 1.5}}}, {"uri": cat}]}
    status, answer = call("POST", f"{GROUP}/life/new", added)
    assert (status, answer["errors"], answer["images"][0]) == (200, [None, None], "cup/1")
    cat_id = answer["images"][1]
    assert call("POST", f"{GROUP}/life/new", {"data": []})[0] == 400
    more = {"data": [{"uri": cat, "attribute": {"id": "cup/1"}}, {"uri": "http://127.0.0.1/"}]}
    status, answer = call("POST", f"{GROUP}/life/add", more)
    assert (status, answer["images"]) == (200, ["", ""])
    assert [error["code"] for error in answer["errors"]] == [400, 4000202]
    assert "life" in call("GET", GROUP, None)[1]["result"]
    assert call("GET", f"{GROUP}/life/info", None) == (200, {"count": 2})
    first = call("GET", f"{GROUP}/life?marker=&limit=1", None)[1]
    second = call("GET", f"{GROUP}/life?marker={first['marker']}&limit=1", None)[1]
    assert {first["result"][0]["id"], second["result"][0]["id"]} == {"cup/1", cat_id}
    assert second["marker"] == ""
    assert call("POST", f"{GROUP}/life/image", {"id": "cup/1"}) == (200, {"label": "杯", "desc": {"n": 1.5}})
    again = uri("coffee.png", quality=40)
    search = {"data": {"uri": again}, "params": {"groups": ["life"], "limit": -1, "threshold": 0.0}}
    status, answer = call("POST", "/v1/image/groups/search", search)
    assert (status, [match["id"] for match in answer["result"]]) == (200, ["cup/1", cat_id])
    assert answer["result"][0]["score"] > answer["result"][1]["score"]
    status, answer = call("POST", f"{GROUP}/life/search", {"data": {"uri": cat}})
    assert (status, answer["result"]) == (200, [{"id": cat_id, "label": "", "desc": "", "score": 1.0}])
    assert call("POST", f"{GROUP}/life/delete", {"images": [cat_id]}) == (200, {})
    assert call("GET", f"{GROUP}/life/info", None) == (200, {"count": 1})
    assert call("POST", f"{GROUP}/life/remove", None) == (200, {})
    status, answer = call("GET", f"{GROUP}/life/info", None)
    assert (status, answer["error"]) == (400, "group life not exists")


def told(answer: Any, info: Any) -> tuple[int, Any]:
    """What the Python SDK makes of an answer; of an error it hands back the text."""
    assert info.req_id
    return info.status_code, answer if answer is not None else json.loads(info.text_body)


@pytest.mark.parametrize("undated", [False, True])
def test_the_python_sdks_helpers(server: LiveServer, undated: bool) -> None:
    keys = server.keys(f"qiniu-python-{undated}")
    auth = qiniu.QiniuMacAuth(keys.access_key, keys.secret_key, disable_qiniu_timestamp_signature=undated)

    def call(method: str, target: str, body: Any) -> tuple[int, Any]:
        if method == "GET":
            return told(*http._get_with_qiniu_mac(server.url + target, None, auth))
        data = None if body is None else json.dumps(body)
        headers = {} if body is None else {"Content-Type": JSON}
        return told(*http._post_with_qiniu_mac_and_headers(server.url + target, data, auth, headers))

    live(call)
    params = {"marker": "", "limit": 10}
    _, info = http._get_with_qiniu_mac(f"{server.url}{GROUP}/none", params, auth)
    assert info.status_code == 400
    assert "not exists" in info.error
    # A dictionary goes as a form, which the vendor could not read either.
    _, info = http._post_with_qiniu_mac(f"{server.url}{GROUP}/g/new", {"data": []}, auth)
    assert (info.status_code, json.loads(info.text_body)["errno"]) == (400, 4000100)


def test_the_python_sdks_older_signature(server: LiveServer) -> None:
    keys = server.keys("qiniu-qbox")
    auth = qiniu.Auth(keys.access_key, keys.secret_key)

    def call(method: str, target: str, body: Any) -> tuple[int, Any]:
        if method == "GET":
            return told(*http._get_with_auth(server.url + target, None, auth))
        data = None if body is None else json.dumps(body)
        return told(*http._post_with_auth_and_headers(server.url + target, data, auth, {"Content-Type": JSON}))

    live(call)


def test_requests_with_the_sdks_auth_object(server: LiveServer) -> None:
    keys = server.keys("qiniu-requests")
    auth = QiniuMacRequestsAuth(qiniu.QiniuMacAuth(keys.access_key, keys.secret_key))

    def call(method: str, target: str, body: Any) -> tuple[int, Any]:
        answer = requests.request(method, server.url + target, json=body, auth=auth, timeout=60)
        assert answer.headers["X-Reqid"]
        assert answer.headers["Content-Type"] == JSON
        assert answer.headers["Content-Encoding"] == "gzip"
        return answer.status_code, answer.json()

    live(call)


def by_hand(server: LiveServer, keys: Keys) -> Call:
    """As programs do it that know nothing but the vendor's document."""
    host = server.url.removeprefix("http://")

    def call(method: str, target: str, body: Any) -> tuple[int, Any]:
        data = "" if body is None else json.dumps(body, ensure_ascii=False)
        line = f"\nContent-Type: {JSON}" if method == "POST" else ""
        token = sign(keys.secret_key, f"{method} {target}\nHost: {host}{line}\n\n{data}")
        headers = {"authorization": f"Qiniu {keys.access_key}:{token}", "accept-encoding": "identity"}
        if line:
            headers["content-type"] = JSON
        answer = httpx.request(method, server.url + target, content=data.encode(), headers=headers, timeout=60)
        assert "content-encoding" not in answer.headers
        assert answer.headers["x-reqid"]
        return answer.status_code, answer.json()

    return call


def test_a_client_written_by_hand(server: LiveServer) -> None:
    live(by_hand(server, server.keys("qiniu-hand")))


def test_tenants_at_the_same_time(server: LiveServer) -> None:
    callers = [by_hand(server, server.keys(f"qiniu-parallel-{number}")) for number in range(2)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(live, callers))


def test_programs_of_one_tenant_share_their_groups(server: LiveServer) -> None:
    keys = server.keys("qiniu-shared")
    first = by_hand(server, keys)
    second = by_hand(server, server.keys("qiniu-shared-too", keys.tenant))
    first("POST", f"{GROUP}/shared/new", {"data": [{"uri": uri("coffee.png"), "attribute": {"id": "1"}}]})
    assert second("GET", f"{GROUP}/shared/info", None) == (200, {"count": 1})
    picture = base64.b64encode(photographs.jpeg(photographs.photograph("chelsea.png", 200))).decode()
    baidu = "/rest/2.0/image-classify/v1/realtime_search/similar/add"
    added = server.call(server.token(keys), baidu, image=picture, brief="cat")
    body = {"data": {"uri": uri("chelsea.png")}, "params": {"groups": ["shared", "similar"]}}
    (match,) = second("POST", "/v1/image/groups/search", body)[1]["result"]
    assert (match["id"], match["group"], match["desc"]) == (added["cont_sign"], "similar", "cat")


def test_a_group_of_the_kind_that_the_operator_chose(server: LiveServer) -> None:
    options = ("--data", str(server.data), "--name", "qiniu-same", "--kind", "same", "--json")
    made = json.loads(cli("keys", "create", *options))
    call = by_hand(server, Keys(made["app_id"], made["access_key"], made["secret_key"], made["tenant"]))
    elements = [{"uri": uri(name), "attribute": {"id": name}} for name in ("coffee.png", "chelsea.png")]
    call("POST", f"{GROUP}/same/new", {"data": elements})
    search = {"data": {"uri": uri("coffee.png", quality=40)}, "params": {"limit": -1}}
    (match,) = call("POST", f"{GROUP}/same/search", search)[1]["result"]
    assert match["id"] == "coffee.png"


def test_the_node_sdk(server: LiveServer, tmp_path: Path) -> None:
    if shutil.which("node") is None or not (HERE / "node/node_modules/qiniu").is_dir():
        pytest.skip("needs node and `make clients`")
    keys = server.keys("qiniu-node")
    file = tmp_path / "picture.jpg"
    file.write_bytes(photographs.jpeg(photographs.photograph("coffee.png", 200)))
    done = subprocess.run(
        ["node", "groups.js", server.url, keys.access_key, keys.secret_key, str(file)],
        cwd=HERE / "node",
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    for name, said in json.loads(done.stdout).items():
        assert all(answer["reqid"] for answer in said.values()), name
        statuses = {step: answer["status"] for step, answer in said.items()}
        assert statuses == {"made": 200, "listed": 200, "found": 200, "removed": 200, "gone": 400}, name
        assert said["made"]["body"] == {"images": ["1"], "errors": [None]}
        assert said["listed"]["body"]["result"] == [{"id": "1", "value": {"label": "cup", "desc": [1.5]}}]
        found = {"id": "1", "label": "cup", "desc": [1.5], "score": 1, "group": name}
        assert said["found"]["body"] == {"code": 0, "message": "", "result": [found]}
        assert said["gone"]["body"]["error"] == f"group {name} not exists"
