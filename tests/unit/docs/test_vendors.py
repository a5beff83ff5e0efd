"""The vendors' pages have every call that is served, and every error in the vendor's code and words."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Mapping

import pytest

from lookalike.settings import Settings
from lookalike.wire.baidu import limits as baidu
from lookalike.wire.baidu.access_tokens import LIFETIME
from lookalike.wire.jumdata import limits as jumdata
from lookalike.wire.qiniu import limits as qiniu
from tests.support import documents
from tests.support.documents import ROOT

#: Page, and the start of its vendor's paths, by the vendor's package.
VENDORS: Mapping[str, tuple[str, str]] = {
    "baidu": ("docs/from-baidu.md", "/rest/"),
    "qiniu": ("docs/from-qiniu.md", "/v1/"),
    "jumdata": ("docs/from-jumdata.md", "/image/"),
}

#: What is put into a message, as sources and pages write it.
_PUT_IN = re.compile(r"\{[^}]*\}|<[^>]*>")

_ROUTE = re.compile(r"Method: (GET|POST), Path: \"?([^\s\"]+)\"? }")


def errors(vendor: str) -> Mapping[type[BaseException], tuple[int, str]]:
    """The vendor's table of errors, in whichever of its modules it stands."""
    package = importlib.import_module(f"lookalike.wire.{vendor}")
    names = [package.__name__, *(f"{package.__name__}.{one.name}" for one in pkgutil.iter_modules(package.__path__))]
    tables = [table for name in names if (table := getattr(importlib.import_module(name), "ERRORS", None)) is not None]
    assert tables
    return dict(tables[0])


@pytest.mark.parametrize("vendor", VENDORS)
def test_the_table_of_errors_is_the_programs(vendor: str) -> None:
    rows = documents.table(VENDORS[vendor][0], "code | message | when")
    written = {(int(code), _PUT_IN.sub("…", message.strip("`"))) for code, message, _ in rows}
    assert written == {(code, _PUT_IN.sub("…", message)) for code, message in errors(vendor).values()}
    assert all(when for _, _, when in rows)


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_route_is_documented(vendor: str) -> None:
    page, start = VENDORS[vendor]
    text = documents.pages()[page]
    routes = [(method, path) for method, path in _ROUTE.findall((ROOT / "template.yaml").read_text())]
    ours = [(method, path) for method, path in routes if path.startswith(start)]
    assert ours
    for method, path in ours:
        place, library, operation = path.partition("{library}/")
        if library:
            assert f"`{place}" in text, path
            assert f"### `{operation}`" in text, path
        else:
            assert f"| `{method} {path.replace('{group}', '<group>')}` |" in text, path


def test_documented_limits_are_the_programs() -> None:
    said = {vendor: " ".join(documents.pages()[page].split()) for vendor, (page, _) in VENDORS.items()}
    for text in (
        f"at most 4 MiB ({baidu.MAX_BASE64:,} characters)",
        f"at most {baidu.MAX_URL_BYTES} bytes;",
        f"at most {baidu.METADATA_BYTES['brief']} bytes",
        f"default {baidu.DEFAULT_RESULTS}, more than {baidu.MAX_RESULTS} counts as {baidu.MAX_RESULTS}",
        f"up to {baidu.MAX_SIGNS} `cont_sign`",
        f"sides {Settings().min_side} to {baidu.MAX_SIDE} pixels",
        f"holds for {LIFETIME // 86_400} days",
    ):
        assert text in said["baidu"], text
    for text in (
        f"{qiniu.BOUNDS.min_side} to {qiniu.BOUNDS.max_side} px",
        f"({qiniu.MAX_URI_BYTES} bytes at most",
        f"a label up to {qiniu.METADATA_BYTES['label']} bytes",
        f"a desc up to {qiniu.METADATA_BYTES['desc']} bytes",
        f"up to {qiniu.MAX_DELETED} ids",
        f"(1 to {qiniu.MAX_LISTED}, default {qiniu.MAX_LISTED})",
        f"searches in up to {qiniu.MAX_GROUPS} groups",
        f"not added after {qiniu.MAX_ADDING_SECONDS:g} s",
        f"{qiniu.MAX_RESULT_BYTES / 1e6:g} MB of results",
    ):
        assert text in said["qiniu"], text
    for text in (
        f"`description` of at most {jumdata.METADATA_BYTES['brief']} bytes",
        f"sides {Settings().min_side} to {jumdata.MAX_SIDE} pixels",
        f"A URL may have {jumdata.MAX_URL_BYTES} bytes",
        f"`end` is {jumdata.DEFAULT_RESULTS}",
        f"separated by commas, {jumdata.MAX_SIGNS} at most",
    ):
        assert text in said["jumdata"], text
