"""The symptoms in docs/errors.md are messages of the program, word for word."""

from __future__ import annotations

import ast
import re
from functools import lru_cache

import pytest

from tests.support import documents

PAGE = "docs/errors.md"
SOURCES = ("layers/lookalike/python/lookalike", "functions")

_PLACEHOLDER = re.compile(r"<[^<>]+>")

#: Stands for what is put into a message when it is printed.
_ANY = "\0"

#: A shorter symptom, in characters, is a whole message: its words might stand in any other by chance.
_MIN_PART = 20


def symptoms() -> list[str]:
    """The first cell of every row of the page's tables, without its backticks."""
    rows = [line for line in documents.prose(PAGE).splitlines() if line.startswith(("| `", "| ``"))]
    return [re.split(r"(?<!\\)\|", row)[1].strip().strip("`").strip() for row in rows]


@lru_cache(1)
def messages() -> frozenset[str]:
    """Every text in the sources but docstrings; of a formatted one, a mark where a value is put in."""
    found: set[str] = set()
    for folder in SOURCES:
        for path in (documents.ROOT / folder).rglob("*.py"):
            nodes = list(ast.walk(ast.parse(path.read_text())))
            docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
            for node in nodes:
                if isinstance(node, ast.JoinedStr):
                    found.add(_template(node))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
                    found.add(node.value)
    return frozenset(found)


@lru_cache(1)
def logged_by_the_indices() -> frozenset[str]:
    """Every text that an index in segments writes to the log, of one machine and of AWS."""
    room = documents.ROOT / SOURCES[0] / "stores"
    found: set[str] = set()
    for path in (*room.glob("vectors/*.py"), *room.glob("aws/segment_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("logger."):
                text = node.args[0]
                found.add(_template(text) if isinstance(text, ast.JoinedStr) else str(ast.literal_eval(text)))
    return frozenset(found)


def _template(text: ast.JoinedStr) -> str:
    parts = (part.value if isinstance(part, ast.Constant) else _ANY for part in text.values)
    return re.sub(f"{_ANY}+", _ANY, "".join(str(part) for part in parts))


def _said(symptom: str) -> str:
    """Return a symptom with the mark in place of what differs."""
    return re.sub(rf"{_ANY}+", _ANY, _PLACEHOLDER.sub(_ANY, symptom))


@pytest.mark.parametrize("symptom", symptoms())
def test_the_program_says_so(symptom: str) -> None:
    said = _said(symptom)
    found = said in messages() or (len(said) >= _MIN_PART and any(said in message for message in messages()))
    assert found, f"no message of the program is, or contains: {symptom}"


def test_every_table_is_read() -> None:
    assert len(symptoms()) == len(set(symptoms())) > 50


def test_the_page_has_all_that_the_indices_say() -> None:
    logged = logged_by_the_indices()
    assert len(logged) > 10
    assert not logged - {_said(symptom) for symptom in symptoms()}
