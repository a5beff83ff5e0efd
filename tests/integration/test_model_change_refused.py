"""Models that cannot take another's place, steps that are not due, lost originals, full disks: one line, and nothing changed."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from lookalike.cli import reembed
from lookalike.cli.main import app, main
from lookalike.errors import Unavailable
from lookalike.server import model_changes
from lookalike.stores.local import model_folder
from lookalike.stores.local.sqlite_embeddings import SqliteEmbeddings
from tests.support.photographs import NAMES, ROOT, jpeg, photograph

pytestmark = pytest.mark.slow  # each opens models

SMALL, LARGE = ROOT / "layers/model", ROOT / "layers/model/large"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_changes, "SETTLE_SECONDS", 0.0)
    monkeypatch.setattr(reembed, "_POLL_SECONDS", 0.05)
    monkeypatch.setenv("LOOKALIKE_LOG_LEVEL", "ERROR")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with four pictures."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "pictures").mkdir()
    for name in NAMES[:4]:
        (folder / "pictures" / f"{name}.jpg").write_bytes(jpeg(photograph(name, 200)))
    given = ["import", folder / "pictures", "--library", "shop", "--kind", "same", "--data", folder / "data"]
    assert CliRunner().invoke(app, [str(word) for word in given]).exit_code == 0
    return folder / "data"


@pytest.fixture
def data(whole: Path, tmp_path: Path) -> Path:
    shutil.copytree(whole, tmp_path / "data")
    return tmp_path / "data"


def run(data: Path, *options: object) -> Result:
    return CliRunner().invoke(app, ["reembed", "--data", str(data), *map(str, options)])


def refused(data: Path, *options: object) -> str:
    """The one line with which the command refuses."""
    done = run(data, *options)
    assert done.exit_code == 1, done.output
    assert done.exception is not None
    text = str(done.exception)
    assert text
    assert "\n" not in text
    return text


def state(data: Path) -> Any:
    return json.loads(run(data, "--json").stdout)["models"]


def copied(folder: Path, source: Path, change: Callable[[dict[str, Any]], None] = lambda _card: None) -> Path:
    """A copy of a model, with another card; its ONNX file."""
    folder.mkdir()
    for name in ("model.onnx", "codebooks.npz", "card.json"):
        shutil.copyfile(source / name, folder / name)
    card = json.loads((folder / "card.json").read_text())
    change(card)
    (folder / "card.json").write_text(json.dumps(card))
    return folder / "model.onnx"


def short(folder: Path) -> Path:
    model = copied(folder, LARGE)
    model.write_bytes(model.read_bytes()[:-1])
    return model


def of_another_card(folder: Path) -> Path:
    model = copied(folder, LARGE)
    shutil.copyfile(SMALL / "card.json", folder / "card.json")
    return model


def without_card(folder: Path) -> Path:
    model = copied(folder, LARGE)
    (folder / "card.json").unlink()
    return model


def lone_picture(folder: Path) -> Path:
    folder.mkdir()
    (folder / "x.jpg").write_bytes(jpeg(photograph(NAMES[0], 200)))
    return folder / "x.jpg"


BAD: dict[str, tuple[Callable[[Path], Path], str]] = {
    "another dimension": (lambda folder: copied(folder, LARGE, lambda card: card.update(dimension=128)), "128 numbers"),
    "short": (short, "its SHA-256 is"),
    "another card": (of_another_card, "its SHA-256 is"),
    "no card": (without_card, "card.json is not beside it"),
    "no model": (lone_picture, "card.json is not beside it"),
    "card of a list": (lambda folder: copied(folder, LARGE, lambda card: card.update(outputs=3)), "not a model's card"),
    "the same name": (
        lambda folder: copied(folder, LARGE, lambda card: card.update(name="lite0-224-2")),
        "another one",
    ),
    "the live one": (lambda _folder: SMALL / "model.onnx", "is the model that searches use"),
    "nothing": (lambda folder: folder / "model.onnx", "there is no such file"),
}


@pytest.mark.parametrize("bad", BAD)
def test_a_model_that_cannot_be_used_changes_nothing(data: Path, tmp_path: Path, bad: str) -> None:
    make, words = BAD[bad]
    assert words in refused(data, "--model", make(tmp_path / "bad"))
    assert state(data) is None


def test_steps_that_are_not_due_are_refused(data: Path) -> None:
    for step, words in {
        "--switch": "there is one model",
        "--back": "there is one model",
        "--drop": "no other model",
    }.items():
        assert words in refused(data, step)
    assert "one model" in refused(data, "--compare", 3)
    assert "goes without" in refused(data, "--switch", "--back")
    assert "goes with" in refused(data, "--leave-lost")
    assert "goes with" in refused(data, "--report", data / "report")
    assert state(data) is None


def test_scores_alone_need_no_fill_and_no_original(data: Path, tmp_path: Path) -> None:
    def other_scores(card: dict[str, Any]) -> None:
        card["calibration"]["similar"]["offset"] += 1

    for original in (data / "originals").rglob("*"):
        if original.is_file():
            original.write_bytes(b"")  # so that any look at it would be noticed
    model = copied(tmp_path / "scores", SMALL, other_scores)
    assert "--switch lets searches use it" in run(data, "--model", model).output
    first = state(data)
    assert first["phase"] == "filled"
    assert run(data, "--switch").exit_code == 0
    switched = state(data)
    assert (switched["live"], switched["other"]) == (first["other"], first["live"])
    assert run(data, "--back").exit_code == 0
    assert state(data)["live"] == first["live"]
    assert run(data, "--drop").exit_code == 0
    assert state(data) is None
    assert list((data / "models").iterdir()) == []


def test_lost_originals_are_told_and_left_only_if_the_operator_says_so(data: Path) -> None:
    lost = next(file for file in (data / "originals").rglob("*") if file.is_file())
    lost.unlink()
    filled = run(data, "--model", LARGE / "model.onnx", "--rate", 1000)
    assert filled.exit_code == 0, filled.output
    assert "Pictures without a readable original: 1" in filled.output
    assert "would not be found any more" in refused(data, "--switch")
    assert state(data)["phase"] == "filled"
    assert run(data, "--switch", "--leave-lost").exit_code == 0
    assert state(data)["live"]["name"] == "lite2-260-1"
    assert run(data, "--drop").exit_code == 0


def test_another_model_waits_until_the_one_before_is_dropped(data: Path, tmp_path: Path) -> None:
    assert run(data, "--model", LARGE / "model.onnx", "--rate", 1000).exit_code == 0
    third = copied(tmp_path / "third", LARGE, lambda card: card.update(name="third"))
    assert "drop it first" in refused(data, "--model", third)
    assert "has not taken the place" in refused(data, "--back")
    assert run(data, "--drop").exit_code == 0
    assert state(data) is None
    assert run(data, "--model", third, "--rate", 1000).exit_code == 0


def test_a_disk_that_fills_stops_the_fill_which_goes_on_with_room(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put, done = SqliteEmbeddings.put, list[str]()

    def full(self: SqliteEmbeddings, model: str, key: str, *made: Any) -> None:
        if len(done) >= 2:
            raise Unavailable("catalog.db: database or disk is full")
        done.append(key)
        put(self, model, key, *made)

    monkeypatch.setattr(SqliteEmbeddings, "put", full)
    stopped = run(data, "--model", LARGE / "model.onnx", "--rate", 1000)
    assert stopped.exit_code == reembed.UNFINISHED
    assert "the fill has stopped: catalog.db: database or disk is full" in stopped.output
    monkeypatch.setattr(SqliteEmbeddings, "put", put)
    assert state(data)["phase"] == "filled"
    assert run(data, "--switch").exit_code == 0


def test_a_model_that_the_disk_has_no_room_for_is_not_kept_in_part(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_path: Path, _data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(model_folder, "write_new", full)
    assert "No space left on device" in refused(data, "--model", LARGE / "model.onnx")
    assert list((data / "models").iterdir()) == []
    monkeypatch.undo()


def test_the_command_line_says_why_in_one_line(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["lookalike", "reembed", "--data", str(data), "--back"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert capsys.readouterr().err.count("\n") <= 2
