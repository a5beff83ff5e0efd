"""The vendors' pages have every call that is served, and every error in the vendor's code and words."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Mapping

import pytest

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
