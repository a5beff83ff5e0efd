"""The examples of the page about the API, run as they stand."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from lookalike.wire.native.calls import CALLS
from lookalike.wire.native.json_body import json_of
from lookalike.wire.native.requests import SearchGiven
from tests.support import photographs
from tests.support.documents import block, table
from tests.support.live import LiveServer
from tests.wire.test_documented_clients import PRINTED_ADDRESS, run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "picture.jpg").write_bytes(photographs.jpeg(photographs.photograph("coffee.png")))
    return tmp_path


def _with_keys(text: str, server: LiveServer, name: str) -> str:
    keys = server.keys(name)
    assert PRINTED_ADDRESS in text
    return (
        text.replace(PRINTED_ADDRESS, server.url)
        .replace("API_KEY", keys.access_key)
        .replace("SECRET_KEY", keys.secret_key)
    )


def test_curl(server: LiveServer, folder: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    bulk = block("sh", "application/x-ndjson")
    printed = run(
        ["bash", "-ec", _with_keys(block("sh", "-X PUT $API/libraries/shop "), server, "api-curl") + bulk], folder
    )
    lines = [json.loads(line) for line in printed.replace("}{", "}\n{").splitlines()]
    library, put, found, changed, restored, row, tagged, totals = lines
    assert (library["name"], library["kind"]) == ("shop", "same")
    assert (put["created"], put["tags"]) == (True, ["100"])
    assert [(match["id"], match["why"], match["score"]) for match in found["matches"]] == [("sku-1", "identical", 1)]
    assert [look["name"] for look in found["trace"]][:1] == ["whole"]
    assert (changed["brief"], restored["state"]) == ("red shoe, left", "live")
    assert (folder / "thumb.webp").read_bytes().startswith(b"RIFF")
    assert (row["status"], tagged["status"], totals["rows"]) == (422, 200, 2)


def test_near_duplicates(server: LiveServer, folder: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    address, make, put = _with_keys(block("sh", "-X PUT $API/libraries/shop "), server, "api-sweep").splitlines()[:3]
    example = block("sh", "$API/libraries/shop/duplicates")
    printed = run(["bash", "-ec", "\n".join((address, make, put, put.replace("sku-1", "sku-2"), example))], folder)
    lines = [json.loads(line) for line in printed.replace("}{", "}\n{").splitlines()]
    _, _, _, job, jobs, found = lines
    assert (job["kind"], job["library"]) == ("duplicates", "shop")
    assert [one["id"] for one in jobs["jobs"]] == [job["id"]]
    assert "clusters" in found


def test_python(server: LiveServer, folder: Path) -> None:
    program = block("python", "/libraries/catalogue/search")
    program = program.replace("{API_KEY}", "API_KEY").replace("{SECRET_KEY}", "SECRET_KEY")
    assert run([sys.executable, "-c", _with_keys(program, server, "api-python")], folder) == "sku-1 1.0 identical\n"


def test_a_large_picture(server: LiveServer, folder: Path) -> None:
    photographs.photograph("coffee.png").resize((1600, 1067)).save(folder / "large.png", compress_level=0)
    assert (folder / "large.png").stat().st_size > 4_400_000
    program = block("python", "/libraries/catalogue/search") + block("python", "/uploads")
    program = program.replace("{API_KEY}", "API_KEY").replace("{SECRET_KEY}", "SECRET_KEY")
    assert run([sys.executable, "-c", _with_keys(program, server, "api-large")], folder).endswith("sku-2\n")


def test_the_search_that_is_shown_is_one() -> None:
    said = json_of(block("json", "https://example.com/shoe.jpg").encode(), SearchGiven)
    assert said.explain


def test_every_call_is_listed() -> None:
    public = {"GET /api/v1"}
    listed = {row[0].strip("`") for row in table("docs/api.md", "call | does")}
    assert listed == public | {f"{call.method} {call.path}" for call in CALLS}
