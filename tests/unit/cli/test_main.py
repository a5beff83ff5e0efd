"""Every command imports little, and reports errors in one line without secrets."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lookalike.cli.main import COMMANDS, app, main, module_of

#: Packages that are slow to import and not needed to print the version.
HEAVY = ("numpy", "PIL", "onnxruntime", "faiss", "uvicorn", "boto3", "opensearchpy", "aws_lambda_powertools")


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_no_command_is_imported_to_say_what_there_is(option: str) -> None:
    program = (
        "import sys\nfrom lookalike.cli import main\ntry:\n main()\nfinally:\n print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program, option], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    assert "typer" in loaded
    assert not loaded & {*HEAVY, *(module_of(name) for name in COMMANDS)}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_in_the_list_explains_itself(name: str) -> None:
    done = CliRunner().invoke(app, [name, "--help"])
    assert (done.exit_code, done.stderr) == (0, "")
    assert f"Usage: root {name}" in done.stdout
    assert COMMANDS[name] in " ".join(CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"}).stdout.split())


def test_a_command_that_is_none_is_answered_with_the_one_that_was_meant() -> None:
    done = CliRunner().invoke(app, ["serv"])
    assert done.exit_code == 2
    assert "Did you mean 'serve'?" in done.stderr


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(13, "Permission denied", "/a\nb"), "lookalike: /a b: Permission denied\n"),
        (OSError(28, "No space left on device"), "lookalike: No space left on device\n"),
        (OSError("odd"), "lookalike: odd\n"),
    ],
)
def test_what_the_system_refuses_is_said_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: OSError, said: str
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(sys.modules[main.__module__], "app", fail)
    with pytest.raises(SystemExit) as exited:
        main()
    assert exited.value.code == 1
    assert capsys.readouterr().err == said


def test_a_fault_of_ours_shows_no_secret() -> None:
    program = (
        "import typer\n"
        "from lookalike.cli import main\n"
        "from lookalike.cli.main import app\n"
        "def serve() -> None:\n"
        "    secret = 'from-' + 'the-vault'\n"
        "    raise RuntimeError\n"
        "import lookalike.cli.token as token\n"
        "token.app = typer.Typer()\n"
        "token.app.command()(serve)\n"
        "main()\n"
    )
    environment = {**os.environ, "FORCE_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program, "token"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "RuntimeError" in done.stderr
    assert "from-the-vault" not in done.stderr


@pytest.mark.slow
def test_a_reader_that_leaves_ends_the_command_quietly(tmp_path: Path) -> None:
    done = keys("create", "--data", str(tmp_path / "data"), "--name", "shop")
    assert done.returncode == 0
    for command in (["keys", "list"], ["keys", "list", "--json"], ["usage"], ["keys", "show", "--name", "shop"]):
        reading, writing = os.pipe()
        os.close(reading)
        left = subprocess.run(
            [sys.executable, "-m", "lookalike", *command, "--data", str(tmp_path / "data")],
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        os.close(writing)
        assert left.returncode == 1
        assert "Traceback" not in left.stderr


def keys(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lookalike", "keys", *arguments], capture_output=True, text=True, check=False
    )
