"""What a function's folder may hold: routes and a handler, nothing that decides or stores."""

from __future__ import annotations

import ast
import importlib.metadata
import json
import re
import runpy
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lookalike.handlers import http
from lookalike.handlers.http import Handler
from lookalike.wire.console import handler as console
from lookalike.wire.http import Route
from tests.template.conftest import ROOT, Template

APPS = sorted((ROOT / "functions").glob("*/app.py"))

#: Words of technologies that only adapters know.
FOREIGN = ("boto3", "os.environ", "sqlite", "faiss", "dynamo", "opensearch", "s3")

BRANCHES = (ast.If, ast.IfExp, ast.For, ast.While, ast.Try, ast.Match, ast.With, ast.BoolOp, ast.comprehension)

each_app = pytest.mark.parametrize("app", APPS, ids=[app.parent.name for app in APPS])


@each_app
def test_a_function_is_short_and_decides_nothing(app: Path) -> None:
    text = app.read_text()
    assert len(text.splitlines()) <= 25
    assert not [node for node in ast.walk(ast.parse(text)) if isinstance(node, BRANCHES)]


@each_app
def test_a_function_knows_no_store(app: Path) -> None:
    text = app.read_text().lower()
    assert not [word for word in FOREIGN if word in text]


@each_app
def test_a_function_imports_the_service_and_nothing_else(app: Path) -> None:
    modules = set()
    for node in ast.walk(ast.parse(app.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            modules.add(str(node.module))
    assert {module.split(".")[0] for module in modules} == {"lookalike"}


@each_app
def test_a_function_folder_holds_one_file(app: Path) -> None:
    names = {path.name for path in app.parent.iterdir() if path.name != "__pycache__"}
    assert names - ({"static"} if app.parent.name == "console" else set()) == {"app.py"}


def handled(operation: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Route, ...]:
    """The routes that a function gives to its handler."""
    seen: list[tuple[str, Sequence[Route]]] = []

    def handler(name: str, routes: Sequence[Route]) -> Handler:
        seen.append((name, routes))
        return lambda _event, _context: None

    monkeypatch.setattr(http, "http_handler", handler)
    runpy.run_path(str(ROOT / f"functions/{operation}/app.py"))
    ((name, routes),) = seen
    assert name == operation
    return tuple(routes)


def test_every_route_of_the_template_is_answered_by_its_function_and_the_other_way_round(
    template: Template, monkeypatch: pytest.MonkeyPatch
) -> None:
    http = {operation: routes for operation, routes in template.routes().items() if routes}
    assert http.pop("unknown") == {("ANY", "$default")}
    assert http.pop("console") == set(console.ROUTES)
    assert ("HEAD", "/status") in {(route.method, route.path) for route in handled("unknown", monkeypatch)}
    for operation, routes in http.items():
        # Routes with a greedy part answer what only a mistaken gateway would send here.
        own = {(route.method, route.path) for route in handled(operation, monkeypatch) if "+}" not in route.path}
        assert {path for _, path in own} == {path for _, path in routes}, operation
        for method, path in routes:
            assert {(method, path), ("*", path)} & own, f"{operation}: {method} {path}"
        for method, path in own - {("*", path) for _, path in own}:
            assert (method, path) in routes, f"{operation}: {method} {path}"


def test_no_two_functions_have_the_same_route(template: Template) -> None:
    routes = [route for routes in template.routes().values() for route in routes]
    assert len(routes) == len(set(routes))


def deployed_packages() -> set[str]:
    """What the runtime layer holds, by package name."""
    lock = (ROOT / "layers/runtime/requirements.txt").read_text()
    return {name.replace("_", "-").lower() for name in re.findall(r"^([\w.-]+)==", lock, re.MULTILINE)}


def test_functions_start_with_nothing_but_what_is_deployed() -> None:
    deployed = deployed_packages() | {"lookalike"}
    missing = [
        module
        for module, packages in importlib.metadata.packages_distributions().items()
        if not {package.replace("_", "-").lower() for package in packages} & deployed
    ]
    missing += [
        "lookalike.server",
        "lookalike.cli",
        "lookalike.training",
        "lookalike.stores.local",
        "lookalike.stores.vectors",
    ]
    program = """
import importlib, json, sys
given = json.load(sys.stdin)
sys.path += given["path"]
sys.modules.update(dict.fromkeys(given["missing"]))
for operation in given["operations"]:
    importlib.import_module(f"functions.{operation}.app").handler
"""
    given: dict[str, Any] = {
        "path": [str(ROOT), str(ROOT / "layers/lookalike/python")],
        "missing": missing,
        "operations": [app.parent.name for app in APPS],
    }
    assert {"faiss", "typer", "uvicorn", "yaml"} <= set(missing)
    run = subprocess.run(
        [sys.executable, "-c", program], input=json.dumps(given), capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
