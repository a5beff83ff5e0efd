"""Thousands of hostile requests to groups: each is answered in the vendor's form, and the groups stay as they were."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lookalike.domain.library import Kind
from lookalike.ports import Ports
from lookalike.server import api_gateway, sam_template
from tests.support import photographs
from tests.support.qiniu import JSON, Answered, one, sign, uri

REQUESTS = 4_000

GROUP = "/v1/image/group"

Chance = random.Random


def call(routes: sam_template.Template, method: str, path: str, query: str, body: bytes) -> Answered | None:
    """One request, signed, as the gateway hands it to the function that answers its path; None if it does not."""
    target = path + (f"?{query}" if query else "")
    said = f"{method} {target}\nHost: localhost\nContent-Type: {JSON}\n\n".encode("utf-8", "replace") + body
    headers = (
        ("host", "localhost"),
        ("content-type", JSON),
        ("authorization", f"Qiniu ak:{sign('sk', said)}"),
    )
    received = api_gateway.HttpRequest(method, path, query, headers, body, "127.0.0.1", api_gateway.now())
    function = routes.function_for(method, path)
    assert function is not None
    event = api_gateway.to_event(received)
    if api_gateway.event_size(event) > api_gateway.MAX_EVENT_BYTES:
        return None
    answer = sam_template.load(function)(event, None)
    assert api_gateway.to_response(answer).status == answer["statusCode"]
    return Answered.of(answer)


def snapshot(ports: Ports, folder: Path) -> object:
    """Everything that could have changed."""
    rows = [(row.key.id, row.revision) for kind in Kind for batch in ports.catalog.scan(kind) for row in batch]
    originals = sorted(path.name for path in (folder / "originals").rglob("*") if path.is_file())
    return rows, originals, [library.name for library in ports.catalog.libraries("tenant")]


def test_hostile_requests_get_the_vendors_errors_and_change_nothing(ports: Ports, tmp_path: Path) -> None:
    chance = Chance(11)
    routes = sam_template.read()
    picture = photographs.png(photographs.photograph("chelsea.png", 64))
    made = json.dumps({"data": [one(picture, id="1")]}).encode()
    answer = call(routes, "POST", f"{GROUP}/full/new", "", made)
    assert answer is not None
    assert answer.body["errors"] == [None]
    before = snapshot(ports, tmp_path)
    for number in range(REQUESTS):
        method, path, query, body = chance.choice(ATTACKS)(chance, picture)
        answer = call(routes, method, path, query, body)
        if answer is None:
            continue
        what = (number, method, path, query, body[:200], answer)
        assert answer.status in (200, 400, 404, 406, 415), what
        assert "Traceback" not in str(answer.body), what
        if answer.status == 200 and "errors" in answer.body:
            assert all(error is not None and error["code"] != 5000900 for error in answer.body["errors"]), what
    assert snapshot(ports, tmp_path) == before


# -- Attacks: each makes a request that changes nothing ---------------------------------------------------------------------

Request = tuple[str, str, str, bytes]
Attack = Callable[[Chance, bytes], Request]

POSTS = [f"{GROUP}/full/{operation}" for operation in ("new", "add", "delete", "image", "search")] + [
    f"{GROUP}s/search"
]
ODD: list[Any] = [
    None,
    True,
    0,
    -1,
    1.5,
    10**30,
    1e300,
    "",
    "x",
    "\0",
    "\ud800",
    "..",
    "x" * 5000,
    [],
    {},
    [[]],
    [None],
    {"a": {}},
    [1, "a", None, {}],
    ["\ud800"],
    ["a", "b", "c"],
]


def wrong_types(chance: Chance, picture: bytes) -> Request:
    """A sound body, less its picture, with something odd in one place."""
    body: dict[str, Any] = {
        "data": chance.choice([[one(picture[:-30], id="2")], {"uri": uri(picture[:-30])}]),
        "params": {"groups": ["full"], "limit": 5, "threshold": 0.5},
        "images": ["2"],
        "id": "2",
    }
    places: list[tuple[Any, Any]] = [(body, key) for key in body]
    places += [(body["params"], key) for key in body["params"]]
    if isinstance(body["data"], list):
        places += [(body["data"][0], "attribute"), (body["data"], 0)]
        places += [(body["data"][0]["attribute"], key) for key in ("id", "label", "desc")]
    else:
        places += [(body["data"], "uri")]
    holder, key = chance.choice(places)
    holder[key] = chance.choice(ODD)
    return "POST", chance.choice(POSTS), "", json.dumps(body).encode()


def odd_urls(chance: Chance, _picture: bytes) -> Request:
    url = chance.choice(
        [
            "http://127.0.0.1/",
            "http://[::1]/",
            "http://169.254.169.254/latest/meta-data/",
            "http://0x7f000001/",
            "http://2130706433/",
            "http://[::ffff:10.0.0.1]/",
            "http://localhost:8000/",
            "HTTP://127.0.0.1/",
            "file:///etc/passwd",
            "gopher://127.0.0.1/",
            "http://user:password@127.0.0.1/",
            "http://",
            "https://",
            "javascript:alert(1)",
            "http://127.0.0.1\r\nHost: x/",
            "http://１２７.０.０.１/",
            "http://127.0.0.1/" + "a" * chance.randrange(5000),
            "http:\\\\127.0.0.1\\",
            "http://[",
            "http://127.0.0.1:99999/",
        ]
    )
    if chance.random() < 0.5:
        return "POST", f"{GROUP}/full/add", "", json.dumps({"data": [one(url)]}).encode()
    return "POST", f"{GROUP}/full/search", "", json.dumps({"data": {"uri": url}}).encode()


def odd_data(chance: Chance, picture: bytes) -> Request:
    text = base64.b64encode(picture).decode()
    data = chance.choice(
        [
            "data:",
            "data:,",
            "data:;base64,",
            "data:;base64," + text[: chance.randrange(8, len(text) - 200)],
            "data:;base64,%%%" + text[:50],
            "data:;base64," + "=" * 50,
            "data:" + "x" * 300 + ";base64," + text[:50],
            "data:;base64," + base64.b64encode(chance.randbytes(chance.randrange(300))).decode(),
            "data:;base64,data:;base64," + text[:60],
            "data:;base64,书" + text[:60],
        ]
    )
    if chance.random() < 0.5:
        return "POST", f"{GROUP}/full/add", "", json.dumps({"data": [one(data)]}).encode()
    return "POST", f"{GROUP}s/search", "", json.dumps({"data": {"uri": data}, "params": {"groups": ["full"]}}).encode()


def odd_bodies(chance: Chance, _picture: bytes) -> Request:
    body = chance.choice(
        [
            b"",
            b"{",
            b"null",
            b"[]",
            b"[" * chance.randrange(1, 100_000),
            b'{"data":' * chance.randrange(1, 20_000),
            chance.randbytes(200),
            b"\xef\xbb\xbf",
            b'{"data": 1e999999}',
            b'{"data": ' + b"9" * 10_000 + b"}",
            b'{"params": {"limit": ' + b"9" * 5000 + b', "threshold": 1e-99999}}',
            b'{"data": [' + b"{}," * chance.randrange(100_000) + b"{}]}",
            b'{"data":[],"data":{},"images":[],"images":5}',
        ]
    )
    return "POST", chance.choice(POSTS[1:]), "", body


def odd_paths(chance: Chance, _picture: bytes) -> Request:
    name = chance.choice(
        ["..", ".", "%00", "%2e%2e", "a%2fb", "%", "%zz", "x" * 500, "%FF%FE", "*", "full%20", "FULL", "groups"]
    )
    rest = chance.choice(["", "/info", "/image", "/add", "/delete", "/search", "/drop", "/info/more", "//"])
    return chance.choice(["GET", "POST", "PUT", "DELETE"]), f"{GROUP}/{name}{rest}", "", b'{"id":"1","images":["1"]}'


def odd_queries(chance: Chance, _picture: bytes) -> Request:
    odd = chance.choice(["", "%00", "x", "-1", "0", "1001", "Li4vLi4", "%FF", "A" * 3000, "'", "1&limit=2", "=", "%"])
    query = chance.choice(["marker=", "limit=", "marker=&limit=", "limit=1&marker=", "&" * 200 + "limit="]) + odd
    return "GET", f"{GROUP}/full", query, b""


def unknown_names(chance: Chance, _picture: bytes) -> Request:
    name = chance.choice(["", "\0", "..", "../1", "1 ", "１", "%31", "' OR 1=1 --", "x" * 10_000, "1\0", "{0}", "*"])
    if chance.random() < 0.5:
        return "POST", f"{GROUP}/full/delete", "", json.dumps({"images": [name] * chance.randrange(1, 1200)}).encode()
    return "POST", f"{GROUP}/full/image", "", json.dumps({"id": name}).encode()


ATTACKS: list[Attack] = [
    wrong_types,
    wrong_types,
    odd_urls,
    odd_data,
    odd_bodies,
    odd_paths,
    odd_queries,
    unknown_names,
]
