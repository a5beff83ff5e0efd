"""`lookalike model fit` writes a model whole or not at all, and never in the place of another."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lookalike.cli.main import app
from lookalike.embedding.model_path import CARD
from lookalike.errors import InvalidArgument, ModelError
from lookalike.training import fit_model
from tests.support.photographs import ROOT, path


def fitted(monkeypatch: pytest.MonkeyPatch, output: Path, end: Callable[[Path], object]) -> Result:
    """`model fit`, which does nothing but ``end``, given the folder it writes to."""

    class Ended:
        name = "mine-1"

        def write(self, folder: Path, base: dict[str, object]) -> None:
            assert {"licence", "sources", "proof"} <= base.keys()
            for name in ("heads.npz", "model.onnx", CARD):
                (folder / name).touch()
            end(folder)

    monkeypatch.setattr(fit_model, "find_pictures", lambda _: [])
    monkeypatch.setattr(fit_model, "fit", lambda *_, **__: Ended())
    return CliRunner().invoke(app, ["model", "fit", "--pictures", ".", "--output", str(output)])


def raised(error: BaseException) -> Callable[[Path], None]:
    def end(_: Path) -> None:
        raise error

    return end


def test_a_model_appears_whole_its_card_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output, moved = tmp_path / "猫 models" / "mine", list[str]()
    rename = Path.rename

    def renamed(file: Path, target: Path) -> Path:
        moved.append(target.name)
        return rename(file, target)

    monkeypatch.setattr(Path, "rename", renamed)
    done = fitted(monkeypatch, output, lambda _: not list(output.glob("*.*n")) or pytest.fail("too early"))
    assert (done.exit_code, done.stdout) == (0, f"Made mine-1. Use it with LOOKALIKE_MODEL='{output / 'model.onnx'}'\n")
    assert moved == ["heads.npz", "model.onnx", CARD]
    assert sorted(file.name for file in output.iterdir()) == [CARD, "heads.npz", "model.onnx"]


@pytest.mark.parametrize("there", [False, True])
def test_of_a_fit_that_is_interrupted_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    output = tmp_path / "mine"
    if there:
        output.mkdir()
    done = fitted(monkeypatch, output, raised(KeyboardInterrupt()))
    assert (done.exit_code, done.stdout) == (130, "")
    assert list(tmp_path.rglob("*")) == ([output] if there else [])
    full = fitted(monkeypatch, output, raised(OSError(28, "No space left on device")))
    assert isinstance(full.exception, ModelError)
    assert str(full.exception) == f"{output}: No space left on device"
    assert list(tmp_path.rglob("*")) == ([output] if there else [])


def test_what_a_killed_fit_left_is_no_model_and_is_cleared_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "mine"
    (output / ".part").mkdir(parents=True)
    (output / ".part" / "heads.npz").touch()
    assert fitted(monkeypatch, output, lambda _: None).exit_code == 0
    assert not (output / ".part").exists()


def test_a_folder_that_is_used_is_refused_before_anything_is_fitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, other, file = tmp_path / "model", tmp_path / "other", tmp_path / "file"
    for folder, name in ((model, CARD), (other, "holiday.jpg")):
        folder.mkdir()
        (folder / name).write_text("mine")
    file.write_text("mine")
    for output, says in (
        (model, f"--output: {model} holds a model already, which the pictures added with it need; name another folder"),
        (other, f"--output: {other} is not empty; name another folder"),
        (file, f"--output: {file}: Not a directory"),
    ):
        done = fitted(monkeypatch, output, raised(AssertionError()))
        assert isinstance(done.exception, InvalidArgument)
        assert str(done.exception) == says
    assert sorted(path.read_text() for path in tmp_path.rglob("*") if path.is_file()) == ["mine"] * 3


def test_ctrl_c_is_one_line(tmp_path: Path) -> None:
    """While pictures are looked at."""
    pictures, output = tmp_path / "pictures", tmp_path / "mine"
    pictures.mkdir()
    for number in range(4000):
        (pictures / f"{number}.jpg").symlink_to(path("coffee.png"))
    command: list[str | Path] = [ROOT / ".venv/bin/lookalike", "model", "fit"]
    command += ["--pictures", pictures, "--output", output]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert process.stderr.readline() == "looking at the pictures: 4000\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (out, err) == ("", f"Interrupted: nothing was written to {output}\n")
    assert process.returncode == 130
    assert not output.exists()
