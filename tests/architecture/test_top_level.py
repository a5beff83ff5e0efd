"""What may stand at the top level: a stranger's first view of the repository."""

from __future__ import annotations

import pathspec

from tests.architecture import source

#: Beside hidden files: what is deployed and what describes it, its documents, its tests, and what tools look for here.
ALLOWED = {
    "template.yaml",
    "samconfig.toml",
    "functions",
    "layers",
    "events",
    "tests",
    "docs",
    "README.md",
    "CHANGELOG.md",
    "LICENSE",
    "Makefile",
    "pyproject.toml",
    "requirements.txt",
}


def test_the_top_level_holds_what_is_deployed_and_what_tools_look_for() -> None:
    made = pathspec.GitIgnoreSpec.from_lines((source.ROOT / ".gitignore").read_text().splitlines())
    names = [f"{path.name}/" if path.is_dir() else path.name for path in source.ROOT.iterdir()]
    seen = {name.rstrip("/") for name in names if not made.match_file(name) and not name.startswith(".")}
    assert seen <= ALLOWED
