"""An import that is killed at random moments, and whose server is killed, adds nothing twice and misses nothing."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.support.baidu import picture
from tests.support.live import LiveServer, cli
from tests.support.transfers import read_report

PICTURES = 150
IMPORT = [sys.executable, "-m", "lookalike", "import"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "pictures"
    made.mkdir()
    for number in range(PICTURES):
        (made / f"{number:03}.png").write_bytes(picture(number))
    return made


def killed_after(seconds: float, *words: str) -> int:
    """Run a command, and kill it unless it has ended by then; its exit status."""
    with subprocess.Popen([*IMPORT, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        try:
            return running.wait(seconds)
        except subprocess.TimeoutExpired:
            running.kill()
            return running.wait()


def test_killed_again_and_again(folder: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    words = [str(folder), "--library", "shop", "--data", str(data)]
    cli("keys", "create", "--name", "default", "--data", str(data))
    chance = random.Random(7)
    for _ in range(4):
        if killed_after(chance.uniform(1.5, 4.0), *words) == 0:
            break
    done = subprocess.run([*IMPORT, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"The library holds {PICTURES} of {PICTURES} pictures." in done.stdout
    lines = read_report(folder.with_name("pictures.report.csv"))
    assert lines == [("added", "", f"{number:03}.png") for number in range(PICTURES)]
    said = json.loads(cli("export", str(tmp_path / "archive"), "--data", str(data), "--json"))
    assert said["libraries"] == {"shop": PICTURES}


def test_a_service_manager_ends_it_as_ctrl_c_does(folder: Path, tmp_path: Path) -> None:
    words = [str(folder), "--library", "shop", "--data", str(tmp_path / "data")]
    with subprocess.Popen([*IMPORT, *words, "--rate", "10"], stderr=subprocess.PIPE, text=True) as running:
        while not [*(tmp_path / "data").glob("originals/??/*")]:
            assert running.poll() is None
            time.sleep(0.1)
        running.terminate()
        said = running.communicate(timeout=60)[1]
    assert running.returncode == 130
    assert "interrupted" in said
    outcomes = [outcome for outcome, *_ in read_report(folder.with_name("pictures.report.csv"))]
    assert (len(outcomes), {*outcomes}) == (PICTURES, {"added", "not done"})
    done = subprocess.run([*IMPORT, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"The library holds {PICTURES} of {PICTURES} pictures." in done.stdout


def test_into_a_server_that_is_killed(folder: Path, tmp_path: Path) -> None:
    server = LiveServer(tmp_path / "data")
    keys = server.keys("shop")
    key = tmp_path / "key"
    key.write_text(f"{keys.access_key}:{keys.secret_key}\n")
    port = server.url.rpartition(":")[2]
    words = [*IMPORT, str(folder), "--library", "shop", "--url", server.url, "--key", f"@{key}", "--json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        while '"operation":"add"' not in server.log.read_text():
            assert running.poll() is None, running.communicate()
            time.sleep(0.05)
        server.kill()
        time.sleep(1)
        again = LiveServer(tmp_path / "data", "--port", port)
        try:
            out, err = running.communicate(timeout=120)
            metrics = httpx.get(f"{again.url}/metrics").text.splitlines()
        finally:
            again.stop()
    assert running.returncode == 0, err
    assert f"lookalike_import_rows_done {PICTURES:.1f}" in metrics
    assert "lookalike_import_rows_left 0.0" in metrics
    said = json.loads(out.splitlines()[-1])
    assert (said["rows"], said["done"], said["verified"]) == (PICTURES, PICTURES, PICTURES)


def test_wrong_use_is_one_line(folder: Path, tmp_path: Path) -> None:
    for words, said in (
        ([str(folder), "--data", str(tmp_path / "d")], "--library: missing"),
        ([str(folder), "--library", "a", "--url", "ftp://x", "--key", "k"], "is not http:// or https:// and a host"),
        ([str(folder), "--library", "a", "--url", "http://127.0.0.1:9"], "name the application's keys"),
        ([str(folder), "--library", "a", "--key", "k"], "goes with --url"),
        ([str(folder), "--library", "a b", "--data", str(tmp_path / "d")], "letters, digits"),
        ([str(folder), "--library", "a", "--data", str(tmp_path / "d"), "--report", "/none/r.csv"], "no such folder"),
    ):
        done = subprocess.run([*IMPORT, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 1, (words, done.stderr)
        (line,) = (line for line in done.stderr.splitlines() if "made the" not in line)
        assert line.startswith("lookalike: ")
        assert said in line


def test_a_trial_makes_no_data_folder(folder: Path, tmp_path: Path) -> None:
    words = [str(folder), "--library", "a", "--data", str(tmp_path / "none"), "--dry-run"]
    done = subprocess.run([*IMPORT, *words], capture_output=True, text=True, check=False)
    assert "none: the import makes it" in done.stderr
    assert "made the application" not in done.stderr
    assert " added" in done.stdout + done.stderr
    assert not (tmp_path / "none").exists()


def test_a_large_file_goes_to_a_server_as_it_came(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    noise = np.random.default_rng(1).integers(0, 256, (1500, 1500, 3), np.uint8)
    Image.fromarray(noise).save(folder / "large.png", compress_level=0)
    server = LiveServer(tmp_path / "data")
    keys = server.keys("shop")
    (tmp_path / "key").write_text(f"{keys.access_key}:{keys.secret_key}")
    words = [str(folder), "--library", "shop", "--url", server.url, "--key", f"@{tmp_path / 'key'}"]
    done = subprocess.run([*IMPORT, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert server.stop() == 0
    originals = [file for file in (tmp_path / "data/originals").rglob("*") if file.is_file()]
    assert (folder / "large.png").read_bytes() in [file.read_bytes() for file in originals]


def imported(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*IMPORT, *words], capture_output=True, text=True, check=False)


def test_beside_a_running_server(tmp_path: Path) -> None:
    """What an operator meets: the folder is in use, the key is narrow, a picture is gone, an original is lost."""
    folder, data = tmp_path / "pictures", tmp_path / "data"
    folder.mkdir()
    for number in range(4):
        (folder / f"{number}.png").write_bytes(picture(number))
    server = LiveServer(data)
    try:
        keys = server.keys("shop")
        (tmp_path / "key").write_text(f"{keys.access_key}:{keys.secret_key}")
        into = [str(folder), "--library", "shop"]
        there = [*into, "--url", server.url, "--key", f"@{tmp_path / 'key'}"]

        done = imported(*into, "--data", str(data), "--name", "shop")
        assert done.returncode == 1
        assert "in use by another server" in done.stderr
        assert "--url and its address, --key ACCESS_KEY:SECRET_KEY; or stop it" in done.stderr
        done = imported(*into, "--data", str(data), "--name", "shop", "--dry-run")
        assert (done.returncode, done.stdout) == (0, "4 rows: 4 added (a trial: nothing was added)\n"), done.stderr

        assert imported(*there).returncode == 0
        cli("keys", "change", "--data", str(data), "--name", "shop", "--may", "add")
        (folder / "4.png").write_bytes(picture(4))
        done = imported(*there)
        assert done.returncode == 0
        assert done.stdout == "5 rows: 5 added\n"
        assert "what was added is not looked up afterwards: the key may not" in done.stderr
        cli("keys", "change", "--data", str(data), "--name", "shop", "--may", "everything")

        with httpx.Client(base_url=server.url, auth=(keys.access_key, keys.secret_key)) as client:
            assert client.delete("/api/v1/libraries/shop/pictures/1.png").status_code == 204
        done = imported(*there)
        assert (done.returncode, done.stdout) == (0, "5 rows: 5 added\nThe library holds 5 of 5 pictures.\n")
        assert "pictures of an earlier run that were not in the library any more, and are added again: 1" in done.stderr

        lost = next(file for file in (data / "originals").glob("??/*") if file.read_bytes() == picture(2))
        lost.unlink()
        done = imported(*there, "--restart")
        assert done.stdout.splitlines()[0] == "5 rows: 4 same, 1 repaired"
        assert lost.read_bytes() == picture(2)

        cli("export", str(tmp_path / "archive"), "--data", str(data), "--name", "shop")
        to = ["--url", server.url, "--key", f"@{tmp_path / 'key'}"]
        done = imported(str(tmp_path / "archive"), *to, "--as", "second")
        assert (done.returncode, done.stdout) == (0, "5 rows: 5 added\nThe library holds 5 of 5 pictures.\n"), (
            done.stderr
        )
    finally:
        server.stop()
