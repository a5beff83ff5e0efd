"""What ``template.yaml`` says that one machine has to play: the routes, and how often the schedules run."""

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

#: The checkout: ``template.yaml``, ``functions/`` and ``layers/`` lie there.
ROOT = Path(__file__).resolve().parents[5]

#: Route keys of an HTTP API's catch-all.
_CATCH_ALL = {"$default", "/$default", "/{proxy+}"}

_MILLISECONDS = {"second": 1_000, "minute": 60_000, "hour": 3_600_000, "day": 86_400_000}


@dataclass(frozen=True, slots=True)
class HttpRoute:
    """Requests of this method (``*``: any) whose path has this shape go to that function."""

    method: str
    pattern: re.Pattern[str]
    function: str


@dataclass(frozen=True, slots=True)
class Schedule:
    """That function runs every so many milliseconds."""

    function: str
    every: int


@dataclass(frozen=True, slots=True)
class Template:
    """The part of the template that is played here. The catch-all route is the last."""

    routes: tuple[HttpRoute, ...]
    schedules: tuple[Schedule, ...]

    def function_for(self, method: str, path: str) -> str | None:
        """The function that the gateway would call.

        As there, an exact path wins over one with parameters, and that over one that takes the rest. Unlike there,
        a path that begins with two slashes is that with one: there it goes to the catch-all.
        """
        path = http.with_one_slash(path)
        for route in self.routes:
            if route.method in ("*", method) and route.pattern.fullmatch(path):
                return route.function
        return None


def read(path: Path = ROOT / "template.yaml") -> Template:
    """Read the template. Raises SettingsError if it is not there: one machine runs from a checkout."""
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
            HttpRoute("*" if method.upper() in ("ANY", "*") else method.upper(), _pattern(shape), function)
            for shape, method, function in routes
        ),
        schedules=tuple(
            Schedule(function, _every(_value(properties["ScheduleExpression"], parameters)))
            for function, kind, properties in events
            if kind == "ScheduleV2"
        ),
    )


def load(function: str) -> Handler:
    """The handler of ``functions/<function>/app.py``."""
    # At the end of the path: the checkout's folders must not shadow anybody's modules.
    if str(ROOT) not in sys.path:
        sys.path.append(str(ROOT))
    handler: Handler = importlib.import_module(f"functions.{function}.app").handler
    return handler


def _events(template: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """(function folder, event type, event properties) of every event of every function."""
    for resource in template["Resources"].values():
        if resource["Type"] != "AWS::Serverless::Function":
            continue
        function = Path(resource["Properties"]["CodeUri"]).name
        for event in resource["Properties"].get("Events", {}).values():
            yield function, event["Type"], event.get("Properties", {})


def _pattern(shape: str) -> re.Pattern[str]:
    if shape in _CATCH_ALL:
        return re.compile(".*", re.DOTALL)
    return http.pattern(shape)


def _value(given: Any, parameters: Mapping[str, Any]) -> Any:
    """What a property is when every parameter has its default."""
    return parameters.get(given.name) if isinstance(given, _Ref) else given


def _every(expression: Any) -> int:
    found = re.fullmatch(r"rate\((\d+) (second|minute|hour|day)s?\)", str(expression))
    if found is None:
        raise SettingsError(f"template.yaml: cannot play the schedule {expression}")
    return int(found[1]) * _MILLISECONDS[found[2]]


@dataclass(frozen=True, slots=True)
class _Ref:
    """``!Ref name``."""

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
