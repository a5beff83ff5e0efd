"""``lookalike sweep`` with the real model: a bare folder, its report, and a library, also while a server has it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from lookalike.cli.main import app
from tests.support import photographs
from tests.support.live import LiveServer, cli

#: Files that are no pictures, hidden, or like none of the others.
NOT_SENT = ("bad.jpg", "broken.png", ".hidden.png", "rocket.png")

#: A name that is markup, not UTF-8, or worse.
HOSTILE = "\"><script>alert(1)<script> & 'é日\n.png"


def photograph(name: str, side: int = 320) -> Image.Image:
    picture = photographs.photograph(name).convert("RGB")
    picture.thumbnail((side, side))
    return picture


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three photographs, a smaller and a cropped one of the first, one under another name, and what is no picture."""
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    made = tmp_path / "photos"
    (made / "below").mkdir(parents=True)
    cat = photograph("chelsea.png")
    cat.save(made / "cat.png")
    cat.resize((cat.width // 2, cat.height // 2)).save(made / "below" / "small cat.jpg", quality=80)
    cat.crop((20, 20, cat.width - 20, cat.height - 20)).save(made / HOSTILE)
    photograph("coffee.png").save(made / "cup.png")
    shutil.copy(made / "cup.png", made / "below" / os.fsdecode(b"cup \xff.png"))
    photograph("rocket.jpg").save(made / "rocket.png")
    (made / "broken.png").write_bytes((made / "cat.png").read_bytes()[:2000])
    (made / "bad.jpg").write_text("called a picture, and none")
    (made / "notes.txt").write_text("no picture")
    (made / ".hidden.png").write_bytes((made / "cat.png").read_bytes())
    return made


def sweep(folder: Path, report: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["sweep", str(folder), "--report", str(report), *options])


def counts(done: Result) -> tuple[int, ...]:
    assert done.exit_code == 0, done.output
    found = re.search(r"(\d+) pictures, clusters: (\d+) identical, (\d+) same, (\d+) similar", done.output)
    assert found is not None, done.output
    return tuple(map(int, found.groups()))


def test_a_folder_is_swept_and_its_report_shows_it(folder: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    report = tmp_path / "report"
    done = sweep(folder, report)
    assert counts(done) == (6, 1, 1, 0)
    assert "2 files could not be read: bad.jpg, broken.png" in done.output
    page = (report / "index.html").read_text()
    headings = [int(number) for number in re.findall(r'<h2 id="\w+">[^(]+\((\d+)\)', page)]
    assert headings == [1, 1, 0, 2], "levels, and what could not be read"
    assert [int(number) for number in re.findall(r'<a href="#\w+">(\d+) (?:identical|same|similar)', page)] == [1, 1, 0]
    assert "2 files could not be read" in page
    assert "bad.jpg" in page
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "broken.png" in page
    assert "notes.txt" not in page
    assert "rocket" not in page
    shown = re.findall(r'<img src="([^"]+)"', page)
    assert len(shown) == 5  # what is the same as a group of the level before is not shown again
    assert all((report / one).is_file() for one in shown)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before, "the folder is only read"


def test_the_report_is_in_the_language_that_is_asked_for(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By an option, else by the locale; names and their markup stay text."""
    report = tmp_path / "report"
    assert counts(sweep(folder, report, "--language", "zh")) == (6, 1, 1, 0)
    page = (report / "index.html").read_text()
    assert '<html lang="zh-CN">' in page
    for words in ("中的近似重复", "完全相同 1 组", "完全相同（1）", "2 个文件无法读取", "可比部分 100% 一致", "依据"):
        assert words in page, words
    assert not re.search(r"Near-duplicates|Identical|pixels|agrees|Why", page)
    assert "<script" not in page
    assert len(re.findall(r'<img src="([^"]+)"', page)) == 5
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    sweep(folder, report)
    assert (report / "index.html").read_text() == page
    sweep(folder, report, "--language", "en")
    assert '<html lang="en">' in (report / "index.html").read_text()


def test_only_what_has_changed_is_looked_at_again(folder: Path, tmp_path: Path) -> None:
    report = tmp_path / "report"
    sweep(folder, report)
    (folder / "below" / "small cat.jpg").unlink()
    photograph("rocket.jpg", 200).save(folder / "rocket small.png")
    assert counts(sweep(folder, report)) == (6, 1, 2, 0)
    (folder / HOSTILE).unlink()
    (folder / "rocket small.png").unlink()
    assert counts(sweep(folder, report)) == (4, 1, 0, 0)
    assert len(list((report / "thumbnails").iterdir())) == 2


def test_what_is_not_the_same_is_remembered(folder: Path, tmp_path: Path) -> None:
    report = tmp_path / "report"
    cup = os.fsdecode(b"below/cup \xff.png")
    assert counts(sweep(folder, report, "--not-same", "cup.png", "--not-same", cup)) == (6, 0, 1, 0)
    assert counts(sweep(folder, report)) == (6, 0, 1, 0)
    refused = sweep(folder, report, "--not-same", "cup.png", "--not-same", "none.png")
    assert refused.exit_code != 0


@pytest.mark.parametrize("arguments", [[], ["/none"], [".", "--library", "shop"]])
def test_what_is_to_be_swept_is_said(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, ["sweep", *arguments]).exit_code != 0


def test_an_empty_folder_has_no_duplicates(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert counts(sweep(tmp_path / "empty", tmp_path / "report")) == (0, 0, 0, 0)


def test_a_killed_sweep_goes_on(folder: Path, tmp_path: Path) -> None:
    report = tmp_path / "report"
    command = [sys.executable, "-m", "lookalike", "sweep", str(folder), "--report", str(report)]
    running = subprocess.Popen(command)
    kept = report / ".kept" / "catalog.db"
    until = time.monotonic() + 60
    while not kept.exists() and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.2)
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert counts(sweep(folder, report)) == (6, 1, 1, 0)


def test_a_library_is_swept_with_a_server_and_without(folder: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    server = LiveServer(data)
    try:
        keys = server.keys("operator")
        _fill(server, (keys.access_key, keys.secret_key), folder)
        done = cli("sweep", "--library", "shop", "--name", "operator", "--data", str(data))
        assert "5 pictures, 5 of them compared; clusters: 1 identical, 2 same" in done
    finally:
        server.stop()
    again = cli("sweep", "--library", "shop", "--name", "operator", "--data", str(data))
    assert "clusters: 1 identical, 2 same" in again


def _fill(server: LiveServer, auth: tuple[str, str], folder: Path) -> None:
    import httpx  # noqa: PLC0415 - one test needs it

    api = f"{server.url}/api/v1/libraries/shop"
    assert httpx.put(api, auth=auth).status_code == 201
    for number, path in enumerate(sorted(folder.rglob("*"))):
        if path.suffix in (".png", ".jpg") and path.name not in NOT_SENT:
            sent = httpx.put(
                f"{api}/pictures/p{number}", auth=auth, content=path.read_bytes(), timeout=60,
                headers={"content-type": "application/octet-stream"},
            )  # fmt: skip
            assert sent.status_code == 201, sent.text
