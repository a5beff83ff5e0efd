"""The console's files: what is served where, for how long it is kept, and that nothing else is ever read."""

from __future__ import annotations

import base64
import gzip
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.wire.console.handler import Handler, handler_of, uploads_host
from lookalike.wire.console.site import Site
from tests.support.baidu import event

ROOT = Path(__file__).resolve().parents[3]
INDEX = b'<!doctype html><title>lookalike</title><script type="module" src="{base}main.js"></script>'
SCRIPT = b"import './vendor/a.js'\n" * 50
FILES = {
    "index.html": INDEX,
    "main.js": SCRIPT,
    "console.css": b"a{}",
    "vendor/LICENSES": b"MIT",
    "icons/mark.svg": b"<svg/>",
    "picture.png": b"\x89PNG",
    ".hidden": b"secret",
}


def write(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site.of(write(tmp_path_factory.mktemp("above") / "static", FILES))


@pytest.fixture(scope="module")
def handler(site: Site) -> Handler:
    return handler_of(site)


def get(handler: Handler, path: str, method: str = "GET", **headers: str) -> dict[str, Any]:
    sent = event(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = handler(sent, None)
    json.dumps(answer)
    return answer


def body(answer: Mapping[str, Any]) -> bytes:
    text: str = answer["body"]
    data = base64.b64decode(text) if answer["isBase64Encoded"] else text.encode()
    return gzip.decompress(data) if answer["headers"].get("content-encoding") == "gzip" else data


def base(site: Site) -> str:
    (path,) = (path for path in site.files if path.endswith("/main.js"))
    return path.removesuffix("/main.js")


def test_the_start_page_names_its_files_by_what_is_in_them(handler: Handler, site: Site) -> None:
    answer = get(handler, "/console/")
    assert (answer["statusCode"], answer["headers"]["content-type"]) == (200, "text/html; charset=utf-8")
    assert body(answer) == INDEX.replace(b"{base}", f"{base(site)}/".encode())
    assert answer["headers"]["cache-control"] == "no-cache"


@pytest.mark.parametrize("placeholder", [b"{base}", b"{{base}}", b"{base}/", b"{{base}}/"])
def test_the_folder_s_placeholder_may_have_its_slash(tmp_path: Path, placeholder: bytes) -> None:
    site = Site.of(write(tmp_path, {"index.html": placeholder + b"main.js", "main.js": b""}))
    assert site.index is not None
    assert [site.index.data.decode()] == [*site.files]


@pytest.mark.parametrize(
    "path", ["/console", "/console/l/shop", "/console/l/shop/search", "/console/x.html", "//console/", "/console/.."]
)
def test_every_other_path_is_a_view_of_the_start_page(handler: Handler, path: str) -> None:
    assert body(get(handler, path)) == body(get(handler, "/console/"))


def test_the_start_page_is_sent_once_as_long_as_it_is_the_same(handler: Handler) -> None:
    etag = get(handler, "/console/")["headers"]["etag"]
    for known in (etag, f'"x", {etag}', etag.removeprefix("W/"), "*"):
        answer = get(handler, "/console/", if_none_match=known)
        assert (answer["statusCode"], answer["body"], answer["headers"]["etag"]) == (304, "", etag)
    assert get(handler, "/console/", if_none_match='W/"x"')["statusCode"] == 200


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("main.js", "text/javascript; charset=utf-8"),
        ("console.css", "text/css; charset=utf-8"),
        ("vendor/LICENSES", "text/plain; charset=utf-8"),
        ("icons/mark.svg", "image/svg+xml"),
        ("picture.png", "image/png"),
    ],
)
def test_files_are_kept_for_a_year(handler: Handler, site: Site, name: str, content_type: str) -> None:
    for encoding in ("gzip, br", "identity"):
        answer = get(handler, f"{base(site)}/{name}", accept_encoding=encoding)
        assert answer["statusCode"] == 200
        assert body(answer) == FILES[name]
        assert answer["headers"]["content-type"] == content_type
        assert answer["headers"]["cache-control"] == "public, max-age=31536000, immutable"
        assert answer["headers"]["vary"] == "accept-encoding"


@pytest.mark.parametrize(
    ("accepted", "gzipped"),
    [
        ("gzip", True),
        ("br, GZIP;q=0.5", True),
        ("gzip;q=1.0", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("br", False),
        ("", False),
        ("xgzip", False),
    ],
)
def test_only_who_takes_gzip_gets_it(handler: Handler, site: Site, accepted: str, gzipped: bool) -> None:
    answer = get(handler, f"{base(site)}/main.js", accept_encoding=accepted)
    assert ("content-encoding" in answer["headers"]) is gzipped
    assert body(answer) == SCRIPT


def test_what_gzip_makes_larger_is_sent_as_it_is(handler: Handler, site: Site) -> None:
    assert "content-encoding" not in get(handler, f"{base(site)}/console.css", accept_encoding="gzip")["headers"]


@pytest.mark.parametrize(
    "name",
    ["none.js", "index.html", "", ".hidden", "../app.py", "..%2fapp.py", "main.js/", "main.js%00", "vendor", "vendor/"],
)
def test_there_are_no_other_files(handler: Handler, site: Site, name: str) -> None:
    answer = get(handler, f"{base(site)}/{name}")
    assert (answer["statusCode"], answer["headers"]["cache-control"]) == (404, "no-store")


def test_a_file_of_an_earlier_version_is_no_page(handler: Handler) -> None:
    assert get(handler, "/console/00000000/main.js")["statusCode"] == 404


@given(st.text())
def test_no_path_reaches_the_disk(path: str) -> None:
    answer = get(handler_of(Site(None, {})), f"/console/{path}")
    assert (answer["statusCode"], answer["body"]) == (404, "Not Found")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_nothing_is_changed(handler: Handler, method: str) -> None:
    answer = get(handler, "/console/", method)
    assert (answer["statusCode"], answer["headers"]["allow"]) == (405, "GET, HEAD")


def test_head_says_what_get_would_say(handler: Handler) -> None:
    head, whole = (get(handler, "/console/", method) for method in ("HEAD", "GET"))
    assert (head["statusCode"], head["headers"], head["body"]) == (200, whole["headers"], "")


@pytest.mark.parametrize("path", ["/console", "/console/", "/console/00000000/x"])
def test_every_answer_is_fenced_in(handler: Handler, path: str) -> None:
    headers = get(handler, path)["headers"]
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' blob: data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
    }
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == headers["cross-origin-resource-policy"] == "same-origin"
    assert "strict-transport-security" not in headers
    over_https = get(handler, path, x_forwarded_proto="https")["headers"]
    assert over_https["strict-transport-security"] == "max-age=31536000"


def test_any_change_changes_the_paths(tmp_path: Path) -> None:
    changed = [FILES, {**FILES, "main.js": b"x"}, {**FILES, "more.js": b""}, {**FILES, "index.html": b"y"}]
    sites = [Site.of(write(tmp_path / str(number), files)) for number, files in enumerate((*changed, FILES))]
    paths = [base(site) for site in sites]
    assert len(set(paths)) == len(changed)
    assert paths[0] == paths[-1]


def test_a_folder_that_is_not_there_is_an_empty_console(tmp_path: Path) -> None:
    assert get(handler_of(Site.of(tmp_path / "none")), "/console/")["statusCode"] == 404


#: Modules of others that a start of the function may load. None.
_START = """
import sys
before = set(sys.modules)
import functions.console.app
ours = ("lookalike", "functions")
print(*sorted({name.partition(".")[0] for name in set(sys.modules) - before} - sys.stdlib_module_names - set(ours)))
print(*sorted(name for name in sys.modules if name.startswith("lookalike.") and not name.startswith("lookalike.wire")))
"""


def test_its_function_loads_neither_packages_nor_the_rest_of_the_service() -> None:
    path = f"{ROOT}:{ROOT / 'layers/lookalike/python'}"
    run = subprocess.run(
        [sys.executable, "-S", "-c", _START], env={"PYTHONPATH": path}, capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == []


STATIC = ROOT / "functions/console/static"


def test_the_page_itself_names_files_that_there_are() -> None:
    site = Site.of(STATIC)
    assert site.index is not None
    page = site.index.data.decode()
    named = re.findall(r"/console/[0-9a-f]{8}/[^\"']+", page)
    assert named
    assert not set(named) - site.files.keys()
    assert "base}" not in page


@pytest.mark.parametrize(
    ("environment", "origin"),
    [
        ({}, ""),
        ({"LOOKALIKE_UPLOADS": "up", "AWS_REGION": "eu-west-1"}, "https://up.s3.eu-west-1.amazonaws.com"),
        ({"LOOKALIKE_UPLOADS": "up", "AWS_REGION": "cn-north-1"}, "https://up.s3.cn-north-1.amazonaws.com.cn"),
        ({"LOOKALIKE_UPLOADS": "up", "AWS_ENDPOINT_URL": "http://127.0.0.1:4566/"}, "http://127.0.0.1:4566"),
        ({"LOOKALIKE_UPLOADS": "up", "AWS_REGION": "eu-west-1", "LOOKALIKE_DATA": "data"}, ""),
    ],
)
def test_pages_may_send_files_to_the_bucket_of_uploads_alone(
    site: Site, environment: dict[str, str], origin: str
) -> None:
    assert uploads_host(environment) == origin
    headers = get(handler_of(site, uploads_host(environment)), "/console/")["headers"]
    sources = re.search(r"connect-src ([^;]*);", headers["content-security-policy"])
    assert sources is not None
    assert sources[1].split() == ["'self'", *filter(None, (origin,))]
