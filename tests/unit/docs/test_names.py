"""Settings, commands, options, targets and parameters that pages name in passing are there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import fields

import pytest

from lookalike.settings import Settings
from tests.support import documents
from tests.support.documents import ROOT

PAGES = list(documents.pages())


def _options() -> dict[str, str]:
    """Every command with its options, as the test of frozen names holds them; read, for importing it takes long."""
    for node in ast.parse((ROOT / "tests/frozen/test_interface.py").read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "OPTIONS":
            return dict(ast.literal_eval(node.value))
    raise AssertionError("the test of frozen names has no OPTIONS")


OPTIONS = _options()

_COMMAND = re.compile(
    r"(?:\.venv/bin/)?lookalike ([a-z].*)|((?:keys|serve|setup|usage|invoke|calibrate|model fit)(?: .*)?)"
)

#: Constants, and the module that a page says they are in.
_CONSTANTS = re.compile(r"((?:`_?[A-Z][A-Z_]+`(?:, | and )?)+) (?:in|of) `([a-z_/]+\.py)`")


def spans(page: str) -> list[str]:
    return [*documents.code_spans(page), *documents.command_lines()]


@pytest.mark.parametrize("page", PAGES)
def test_variables_are_settings(page: str) -> None:
    known = {setting.metadata["variable"] for setting in fields(Settings)}
    named = set(re.findall(r"LOOKALIKE_[A-Z_]*[A-Z]", documents.pages()[page]))
    assert named <= known


def _commands(page: str) -> Iterator[list[str]]:
    for span in spans(page):
        found = _COMMAND.fullmatch(span)
        if found is not None:
            yield (found[1] or found[2]).split()


@pytest.mark.parametrize("page", PAGES)
def test_commands_have_these_options(page: str) -> None:
    for words in _commands(page):
        name = " ".join(words[:2]) if " ".join(words[:2]) in OPTIONS else words[0]
        used = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert name in OPTIONS or any(other.startswith(f"{name} ") for other in OPTIONS), words
        assert used <= set(OPTIONS.get(name, "").split()), name


@pytest.mark.parametrize("page", PAGES)
def test_targets_are_in_the_makefile(page: str) -> None:
    makefile = (ROOT / "Makefile").read_text()
    for span in spans(page):
        if found := re.fullmatch(r"make ([a-z-]+)(.*)", span):
            assert re.search(rf"^{found[1]}:", makefile, re.MULTILINE), span
            for variable in re.findall(r"\b([A-Z]+)=", found[2]):
                assert re.search(rf"\$\(.*{variable}\b|^{variable}\s*:=", makefile, re.MULTILINE), span


@pytest.mark.parametrize("name", sorted(set(documents.code_spans("docs/aws.md"))))
def test_parameters_of_the_stack_are_in_the_template(name: str) -> None:
    if re.fullmatch(r"(?:[A-Z][a-z0-9]+)+(?:=\S+)?", name):
        assert re.search(rf"\b{name.partition('=')[0]}\b", (ROOT / "template.yaml").read_text())


@pytest.mark.parametrize("page", PAGES)
def test_constants_are_in_the_module_that_is_named(page: str) -> None:
    for names, path in _CONSTANTS.findall(documents.pages()[page]):
        module = (ROOT / "layers/lookalike/python/lookalike" / path).read_text()
        for name in re.findall(r"\w+", names.replace(" and ", " ")):
            assert re.search(rf"^{name}\b.* =", module, re.MULTILINE), f"{name} in {path}"


def test_some_constants_were_looked_at() -> None:
    assert sum(len(_CONSTANTS.findall(text)) for text in documents.pages().values()) > 20


def test_some_commands_were_looked_at() -> None:
    assert sum(1 for page in PAGES for _ in _commands(page)) > 30
