"""The source read by :mod:`ast`: its modules, what each imports, how long and how tangled its functions are."""

from __future__ import annotations

import ast
import io
import json
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PACKAGE = "lookalike"

#: Modules that Python brings.
STANDARD = sys.stdlib_module_names

#: Where source lies, and what stands before its modules' names there.
SOURCES = {
    ROOT / "layers/lookalike/python": "",
    ROOT / "functions": "functions.",
}


@dataclass(frozen=True, slots=True)
class Import:
    """``module`` imports ``imported``. ``typing``: under TYPE_CHECKING only; ``late``: within a function."""

    module: str
    imported: str
    typing: bool
    late: bool


@cache
def modules() -> Mapping[str, Path]:
    """Every module's file, by the module's dotted name; a package is named without its ``__init__``."""
    found = {}
    for folder, prefix in SOURCES.items():
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found[prefix + name] = path
    return found


@cache
def tree(module: str) -> ast.Module:
    """A module's syntax tree."""
    return ast.parse(modules()[module].read_text())


@cache
def imports() -> tuple[Import, ...]:
    """Every import statement of the source, of our own modules and of others'."""
    return tuple(one for module in modules() for one in _imports_of(module))


def between_rooms(rooms: Iterable[str]) -> dict[str, dict[str, set[Import]]]:
    """For each room the other rooms that it imports, and the imports."""
    found: dict[str, dict[str, set[Import]]] = {room: {} for room in rooms}
    for one in imports():
        if one.imported not in modules():
            continue
        here, there = room_of(one.module, found), room_of(one.imported, found)
        if here != there:
            found[here].setdefault(there, set()).add(one)
    return found


def room_of(module: str, rooms: Iterable[str]) -> str:
    """The room a module is in: the longest name of a room that the module's name begins with.

    The package itself is a room of its own: what lies in it is not there by default.
    """
    fitting = [room for room in rooms if module == room or (room != PACKAGE and module.startswith(f"{room}."))]
    if not fitting:
        raise AssertionError(f"{module} is in no room: add one to tests/architecture/test_rooms.py")
    return max(fitting, key=len)


def reachable(starts: Iterable[str], *, late: bool, but: Mapping[str, Iterable[str]] | None = None) -> dict[str, str]:
    """Every module that is loaded when these are, with one that imports it; ``late``: by their functions, too.

    ``but`` maps a module to the rooms whose modules it may import late, which does not count.
    """
    exempt = {module: tuple(f"{room}." for room in rooms) for module, rooms in (but or {}).items()}
    importers = dict.fromkeys(starts, "")
    waiting = list(importers)
    while waiting:
        module = waiting.pop()
        for one in imports():
            if one.module != module or one.typing or (one.late and not late):
                continue
            if one.late and one.imported.startswith(exempt.get(module, ("\0",))):
                continue
            if one.imported not in importers:
                importers[one.imported] = module
                if one.imported in modules():
                    waiting.append(one.imported)
    return importers


def circle(late: bool) -> list[str]:
    """Modules that import each other in a circle when they run, in order; empty if there are none."""
    edges: dict[str, set[str]] = {}
    for one in imports():
        if not one.typing and (late or not one.late) and one.imported in modules():
            edges.setdefault(one.module, set()).add(one.imported)
    done: set[str] = set()

    def visit(module: str, way: list[str]) -> list[str]:
        if module in way:
            return [*way[way.index(module) :], module]
        if module not in done:
            for other in sorted(edges.get(module, ())):
                if found := visit(other, [*way, module]):
                    return found
            done.add(module)
        return []

    return next((found for module in sorted(edges) if (found := visit(module, []))), [])


def words(module: str, pattern: re.Pattern[str]) -> list[str]:
    """Where a module's text, comments and docstrings included, matches: ``line: text``."""
    source = modules()[module].read_text()
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return [f"{token.start[0]}: {found}" for token in tokens for found in pattern.findall(token.string)]


def functions() -> Iterator[tuple[str, int]]:
    """Every function as ``module:name`` with its number of lines, its ``def`` to its end."""
    for module in modules():
        for node in ast.walk(tree(module)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
                yield f"{module}:{node.name}", node.end_lineno - node.lineno + 1


def complexities() -> dict[str, int]:
    """Every function's cyclomatic complexity as ruff counts it, by ``file:line name``, where it is above 1."""
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", "--select", "C901", "--exit-zero"]
    options = ["--config", "lint.mccabe.max-complexity=1", "--output-format", "json", "--ignore-noqa"]
    answer = subprocess.run([*command, *options, *SOURCES], capture_output=True, check=True).stdout
    found = {}
    for one in json.loads(answer):
        said = re.fullmatch(r"`(.+)` is too complex \((\d+) > 1\)", one["message"])
        assert said is not None, one["message"]
        place = Path(one["filename"]).relative_to(ROOT)
        found[f"{place}:{one['location']['row']} {said[1]}"] = int(said[2])
    return found


def _imports_of(module: str) -> Iterator[Import]:
    def visit(node: ast.AST, typing: bool, late: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import | ast.ImportFrom):
            for name in _names(node):
                yield Import(module, name, typing, late)
        typing = typing or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
        late = late or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            yield from visit(child, typing, late)

    yield from visit(tree(module), typing=False, late=False)


def _names(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        return
    assert node.level == 0, "a relative import hides which room is meant"
    for alias in node.names:
        whole = f"{node.module}.{alias.name}"
        yield whole if whole in modules() else str(node.module)
