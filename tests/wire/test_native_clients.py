"""Clients that others' tools make of the native API's document add, search, change and delete."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from lookalike.wire.native import about
from tests.support import node, photographs
from tests.support.documents import ROOT
from tests.support.live import LiveServer

HERE = Path(__file__).parent / "openapi"


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "picture.jpg"
    path.write_bytes(photographs.jpeg(photographs.photograph("coffee.png")))
    return path


def _run(command: list[str | Path], folder: Path, **environment: str) -> str:
    """Run it in the folder; what it prints."""
    done = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _called_with(server: LiveServer, name: str, picture: Path) -> list[str | Path]:
    keys = server.keys(name)
    return [server.url, keys.access_key, keys.secret_key, picture]


def test_a_python_client(server: LiveServer, picture: Path, tmp_path: Path) -> None:
    programs = ROOT / ".venv-client/bin"
    if not programs.exists():
        pytest.skip("needs `make clients`")
    maker: list[str | Path] = [programs / "openapi-python-client", "generate", "--path", about.openapi_file()]
    _run([*maker, "--meta", "none", "--output-path", "made"], tmp_path)
    command = [programs / "python", HERE / "life.py", *_called_with(server, "python", picture)]
    assert _run(command, tmp_path, PYTHONPATH=str(tmp_path)) == "done\n"


def test_a_typescript_client(server: LiveServer, picture: Path, tmp_path: Path) -> None:
    maker, compiler = node.program(HERE, "openapi-ts"), node.program(HERE, "tsc")
    _run([*maker, "-i", about.openapi_file(), "-o", tmp_path / "made"], HERE)
    (tmp_path / "life.ts").write_text((HERE / "life.ts").read_text())
    (tmp_path / "package.json").write_text('{"type": "commonjs"}')
    options = [
        "--strict",
        "--target",
        "es2022",
        "--module",
        "commonjs",
        "--moduleResolution",
        "node10",
        "--skipLibCheck",
    ]
    _run([*compiler, *options, "--typeRoots", HERE / "node_modules/@types", "--types", "node", "life.ts"], tmp_path)
    assert _run(["node", "life.js", *_called_with(server, "typescript", picture)], tmp_path) == "done\n"
