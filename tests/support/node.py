"""Programs that run in Node, where it is present."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

#: The oldest Node that the programs of the tests run in.
OLDEST = (20, 19)


@cache
def version() -> tuple[int, ...]:
    """Node's version; empty where there is none."""
    if shutil.which("node") is None:
        return ()
    said = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    return tuple(int(part) for part in said.strip().removeprefix("v").split(".") if part.isdigit())


def program(folder: Path, name: str) -> list[str]:
    """The command line of a program that npm has installed in the folder; skips the test where it cannot run."""
    if version() < OLDEST or not (path := folder / "node_modules/.bin" / name).exists():
        pytest.skip(f"needs Node {'.'.join(map(str, OLDEST))} or newer, and `make clients`")
    return ["node", str(path)]
