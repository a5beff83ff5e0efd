"""Every command line and every fenced block of the README and the pages is run or read by some test, or by .ci/run."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

import pytest

from tests.support import documents
from tests.support.documents import ROOT, Block, blocks

E2E = "tests/e2e/test_documented_commands.py"

#: Who runs a line that starts like this: a file, or a function of it.
RUN_BY: Mapping[str, str] = {
    "make run": f"{E2E}::test_make_run_serves_the_sample",
    "make test": ".ci/run",
    "make test-fast": f"{E2E}::test_make_test_fast_leaves_slow_tests_out_and_says_so",
    "make check": ".ci/run",
    "make build": ".ci/run",
    "make model": "tests/integration/test_large_model.py",
    "make help": "tests/unit/docs/test_commands.py::test_make_help_names_every_documented_target",
    "make bench": f"{E2E}::test_make_bench_prints_its_tables",
    "make quality": "tests/quality/test_quality.py",
    ".venv/bin/lookalike calibrate": "tests/integration/test_own_model.py",
    ".venv/bin/lookalike model fit": "tests/integration/test_own_model.py",
    ".venv/bin/lookalike serve": f"{E2E}::test_serve_as_it_is_documented",
    ".venv/bin/lookalike keys": f"{E2E}::test_keys_as_they_are_documented",
    ".venv/bin/lookalike sweep": f"{E2E}::test_sweeps_as_they_are_documented",
    ".venv/bin/lookalike usage": f"{E2E}::test_keys_as_they_are_documented",
    ".venv/bin/lookalike console": f"{E2E}::test_keys_as_they_are_documented",
    ".venv/bin/lookalike token": f"{E2E}::test_keys_as_they_are_documented",
    ".venv/bin/lookalike import": f"{E2E}::test_moving_as_it_is_documented",
    ".venv/bin/lookalike export": f"{E2E}::test_moving_as_it_is_documented",
    ".venv/bin/lookalike snapshot": f"{E2E}::test_moving_as_it_is_documented",
    ".venv/bin/lookalike restore": f"{E2E}::test_moving_as_it_is_documented",
    "make deploy": "tests/servers/account.py",
    ".venv/bin/lookalike keys create --stack": "tests/servers/account.py",
    ".venv/bin/lookalike keys list --stack": "tests/e2e/test_stack.py",
    ".venv/bin/lookalike setup --stack": "tests/e2e/test_stack.py",
    ".venv-sam/bin/sam delete": "tests/servers/account.py",
    "make run-aws": f"{E2E}::test_make_run_aws_serves_the_sample",
    ".venv/bin/lookalike invoke": "tests/integration/test_invoke.py",
}


@lru_cache(1)
def claims() -> frozenset[tuple[str, str]]:
    """Language and words of each block that a test asks for, by its call of ``documents.block``."""
    return frozenset(claim for path in (ROOT / "tests").rglob("test_*.py") for claim in _claims(path))


def _claims(path: Path) -> Iterator[tuple[str, str]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and _name(node.func) == "block":
            language, words = (one.value if isinstance(one, ast.Constant) else None for one in node.args)
            if isinstance(language, str) and isinstance(words, str):
                yield language, words


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def is_claimed(block: Block) -> bool:
    """Whether a test asks for the whole of that block."""
    return any(language == block.language and words in block.text for language, words in claims())


def lines() -> list[str]:
    """The command lines in ``sh`` blocks that no test runs as a whole."""
    whole = {line for one in blocks() if one.language == "sh" and is_claimed(one) for line in one.text.splitlines()}
    return sorted(set(documents.command_lines()) - {line.strip() for line in whole})


@pytest.mark.parametrize("block", [one for one in blocks() if one.language != "sh"], ids=str)
def test_a_test_reads_the_block(block: Block) -> None:
    assert is_claimed(block), f"no test calls block({block.language!r}, words of it)"


@pytest.mark.parametrize("line", lines())
def test_somebody_runs_the_line(line: str) -> None:
    runners = {start: runner for start, runner in RUN_BY.items() if re.match(rf"{re.escape(start)}(?![-\w])", line)}
    assert runners, f"no test runs `{line}`"
    for start, runner in runners.items():
        words = start.removeprefix(".venv/bin/").split()
        assert re.search(r"\W+".join(map(re.escape, words)), _source(runner)), f"{runner} does not run `{start}`"


def test_ci_runs_what_is_left_to_it() -> None:
    script = (ROOT / ".ci/run").read_text()
    for start, runner in RUN_BY.items():
        if runner == ".ci/run":
            assert re.search(rf"^{start}\b", script, re.MULTILINE), start


def test_make_help_names_every_documented_target() -> None:
    printed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for line in lines():
        if line.startswith("make ") and line != "make help":
            assert re.search(rf"^\s+make {line.split()[1]}\s", printed, re.MULTILINE), line


def _source(runner: str) -> str:
    """The text of a file, or of the function that ``::`` names."""
    path, _, function = runner.partition("::")
    text = (ROOT / path).read_text()
    if not function:
        return text
    (found,) = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef) and node.name == function]
    return ast.get_source_segment(text, found) or ""
