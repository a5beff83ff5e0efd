"""Reads from ``template.yaml`` what one machine has to play: routes and schedules."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lookalike.errors import SettingsError
from lookalike.handlers.http import Handler
from lookalike.wire import http

#: The checkout, which holds ``template.yaml``, ``functions/`` and ``layers/``.
ROOT = Path(__file__).resolve().parents[5]

#: Route keys of an HTTP API's catch-all.
_CATCH_ALL = {"$default", "/$default", "/{proxy+}"}

_UNIT_MS = {"second": 1_000, "minute": 60_000, "hour": 3_600_000, "day": 86_400_000}


@dataclass(frozen=True, slots=True)
class HttpRoute:
    """A route: requests of this method (``*``: any) whose path matches go to the function."""

    method: str
    pattern: re.Pattern[str]
    function: str


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule: the function runs every ``interval_ms`` milliseconds."""

    function: str
    interval_ms: int


@dataclass(frozen=True, slots=True)
class Template:
    """Routes and schedules of the template. The catch-all route is the last."""

    routes: tuple[HttpRoute, ...]
    schedules: tuple[Schedule, ...]

    def function_for(self, method: str, path: str) -> str | None:
        """Return the function that the gateway would call; None if no route matches.

        As in the gateway, an exact path wins over one with parameters, and that over a greedy one. Unlike the gateway,
        which sends a path with two leading slashes to the catch-all, one of the two is ignored.
        """
        path = http.with_one_slash(path)
        for route in self.routes:
            if route.method in ("*", method) and route.pattern.fullmatch(path):
                return route.function
        return None


def read(path: Path = ROOT / "template.yaml") -> Template:
    """Read the template. Raises SettingsError if it is missing: one machine runs from a checkout."""
    if not path.is_file():
        raise SettingsError(f"{path} is missing: the service runs from its own checkout")
    document = yaml.load(path.read_text(), _Loader)  # noqa: S506 - the loader below is a safe one
    parameters = {name: parameter.get("Default") for name, parameter in document.get("Parameters", {}).items()}
    events = list(_events(document))
    routes = [
        (properties.get("Path", "$default"), properties.get("Method", "*"), function)
        for function, kind, properties in events
        if kind == "HttpApi"
    ]
    routes.sort(key=lambda route: (route[0] in _CATCH_ALL, "+}" in route[0], "{" in route[0]))
    return Template(
        routes=tuple(
            HttpRoute("*" if method.upper() in ("ANY", "*") else method.upper(), _pattern(path), function)
            for path, method, function in routes
        ),
        schedules=tuple(
            Schedule(function, _interval_ms(_with_default(properties["ScheduleExpression"], parameters)))
            for function, kind, properties in events
            if kind == "ScheduleV2"
        ),
    )


def load(function: str) -> Handler:
    """Return the handler of ``functions/<function>/app.py``."""
    # Last in the path: the checkout's folders must not shadow installed modules.
    if str(ROOT) not in sys.path:
        sys.path.append(str(ROOT))
    handler: Handler = importlib.import_module(f"functions.{function}.app").handler
    return handler


def _events(template: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield (function folder, event type, event properties) for every event of every function.

    Functions that are made on a condition are left out: a parameter of the stack switches them on.
    """
    for resource in template["Resources"].values():
        if resource["Type"] != "AWS::Serverless::Function" or "Condition" in resource:
            continue
        function = Path(resource["Properties"]["CodeUri"]).name
        for event in resource["Properties"].get("Events", {}).values():
            yield function, event["Type"], event.get("Properties", {})


def _pattern(path: str) -> re.Pattern[str]:
    if path in _CATCH_ALL:
        return re.compile(".*", re.DOTALL)
    return http.pattern(path)


def _with_default(given: Any, parameters: Mapping[str, Any]) -> Any:
    """Return a property's value, with the default for a parameter."""
    return parameters.get(given.name) if isinstance(given, _Ref) else given


def _interval_ms(expression: Any) -> int:
    found = re.fullmatch(r"rate\((\d+) (second|minute|hour|day)s?\)", str(expression))
    if found is None:
        raise SettingsError(f"template.yaml: cannot play the schedule {expression}")
    return int(found[1]) * _UNIT_MS[found[2]]


@dataclass(frozen=True, slots=True)
class _Ref:
    """A reference to a parameter: ``!Ref name``."""

    name: str


class _Loader(yaml.SafeLoader):
    """Reads CloudFormation's short forms other than ``!Ref`` as their plain arguments."""


def _short_form(loader: _Loader, suffix: str, node: yaml.Node) -> Any:
    if suffix == "Ref":
        return _Ref(str(node.value))
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    assert isinstance(node, yaml.MappingNode)  # noqa: S101 - YAML has no fourth kind of node
    return loader.construct_mapping(node, deep=True)


_Loader.add_multi_constructor("!", _short_form)
