"""Folders of picture files, and progress of work on them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from lookalike.errors import PictureError
from lookalike.training import picture_files, progress
from tests.support.photographs import ROOT, photograph


def test_hidden_files_and_folders_are_passed_over_and_folders_called_like_pictures_are_none(tmp_path: Path) -> None:
    names = ("b/猫 1.JPG", "a.png", "c.jpg/d.gif", "._a.png", ".thumbnails/e.png", "notes.txt")
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "gone.jpg").symlink_to("nowhere.jpg")
    found = [str(path.relative_to(tmp_path)) for path in picture_files.walk(tmp_path)]
    assert found == ["a.png", "b/猫 1.JPG", "c.jpg/d.gif", "gone.jpg"]


def spoiled(folder: Path) -> dict[str, Path]:
    """Write files with pictures' suffixes that are not pictures."""
    whole = folder / "whole.jpg"
    photograph("coffee.png", 200).save(whole)
    bad = {name: folder / f"{name}.jpg" for name in ("truncated", "text", "empty", "pixel", "loop", "gone", "pipe")}
    bad["truncated"].write_bytes(whole.read_bytes()[:3000])
    bad["text"].write_text("no picture")
    bad["empty"].touch()
    Image.new("RGB", (1, 1)).save(bad["pixel"])
    bad["loop"].symlink_to("loop.jpg")
    bad["gone"].symlink_to("nowhere.jpg")
    os.mkfifo(bad["pipe"])
    whole.unlink()
    return bad


def test_what_cannot_be_used_says_why_in_a_few_words(tmp_path: Path) -> None:
    refused = {}
    for name, path in spoiled(tmp_path).items():
        with pytest.raises(PictureError) as why:
            picture_files.read(path)
        refused[name] = str(why.value)
    assert refused == {
        "truncated": "JPEG: cut short",
        "text": "not one of BMP, GIF, JPEG, PNG, WEBP",
        "empty": "no bytes",
        "pixel": "too small or too large: 1×1 pixels; sides may have 8 to 30000, and all of it 200000000",
        "loop": "leads nowhere",
        "gone": "leads nowhere",
        "pipe": "no file",
    }


def test_a_file_that_may_not_be_read_is_refused_like_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "mine.jpg").touch()
    monkeypatch.setattr(Path, "read_bytes", forbidden)
    with pytest.raises(PictureError, match=r"^Permission denied$"):
        picture_files.read(tmp_path / "mine.jpg")


def test_unusual_pictures_are_pictures(tmp_path: Path) -> None:
    picture = photograph("coffee.png", 60)
    picture.convert("CMYK").save(tmp_path / "cmyk.jpg")
    grey = np.asarray(picture.convert("L"))
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "sixteen bits.png")
    picture.save(tmp_path / "moves.gif", save_all=True, append_images=[picture.rotate(90)])
    picture.convert("P").save(tmp_path / "palette.png")
    for path in picture_files.walk(tmp_path):
        shown = picture_files.image(path.read_bytes())
        assert (shown.mode, shown.size) == ("RGB", picture.size)
        assert np.array_equal(np.asarray(shown), picture_files.read(path).pixels)
    sixteen = np.asarray(picture_files.image((tmp_path / "sixteen bits.png").read_bytes()))
    assert np.array_equal(sixteen[..., 0], grey)


def test_one_line_names_the_first_files_that_cannot_be_used(tmp_path: Path) -> None:
    refused = {tmp_path / "ab" / f"{number}.jpg": "no bytes" for number in range(8, 0, -1)}
    line = picture_files.unusable(refused, tmp_path)
    assert line == (
        "8 files left out that cannot be used as pictures: ab/1.jpg (no bytes), ab/2.jpg (no bytes), "
        "ab/3.jpg (no bytes), ab/4.jpg (no bytes), ab/5.jpg (no bytes), and 3 more"
    )
    odd = picture_files.unusable({tmp_path / "two\nlines\x1b[31m.jpg": "no bytes"}, tmp_path)
    assert odd == "1 file left out that cannot be used as pictures: two�lines�[31m.jpg (no bytes)"


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Redirect progress to a file, whatever pytest runs in."""
    monkeypatch.setattr(progress, "_console", Console(stderr=True, force_terminal=False))


@pytest.mark.usefixtures("written")
def test_where_no_terminal_is_every_stage_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert progress.parallel_map("[a] stage", str, range(1200)) == [str(number) for number in range(1200)]
    assert progress.parallel_map("nothing to do", str, []) == []
    assert capsys.readouterr() == ("", "[a] stage: 1200\n")


def test_a_terminal_has_a_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_console", Console(stderr=True, force_terminal=True, width=80))
    assert list(progress.track(iter("abc"), "a stage", 3)) == list("abc")
    shown = capsys.readouterr().err
    assert "a stage" in shown
    assert "━" in shown
    assert "a stage: 3" not in shown


def test_what_is_interrupted_does_not_work_off_what_waits() -> None:
    """Ctrl-C: the two that are being worked on end, the thousand that wait are not begun."""
    script = (
        "import time\n"
        "from lookalike.training.progress import parallel_map\n"
        "parallel_map('a stage', lambda _: time.sleep(0.2), range(1000))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert process.stderr.readline() == "a stage: 1000\n"
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)  # worked off, it would be 100 seconds
    assert "KeyboardInterrupt" in said
