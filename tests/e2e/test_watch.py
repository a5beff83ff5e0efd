"""The watched folder of a server started by an operator."""

from __future__ import annotations

import base64
import io
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from tests.support import photographs
from tests.support.live import Keys, LiveServer

PATH = "/rest/2.0/image-classify/v1/realtime_search/similar"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "pictures"
    made.mkdir()
    return made


def found(server: LiveServer, keys: Keys, picture: Image.Image) -> list[str]:
    """Return the briefs of pictures identical to this one."""
    image = base64.b64encode(png(picture)).decode()
    answer = server.call(server.token(keys), f"{PATH}/search", image=image)
    return [match["brief"] for match in answer["result"] if match["score"] == 1]


def png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def wait_for(server: LiveServer, keys: Keys, picture: Image.Image, briefs: list[str]) -> None:
    end = time.monotonic() + 30
    while found(server, keys, picture) != briefs:
        assert time.monotonic() < end, server.log.read_text()
        time.sleep(0.2)


def test_what_is_put_into_the_folder_is_found_and_what_replaces_it_too(tmp_path: Path, folder: Path) -> None:
    coffee, rocket = photographs.photograph("coffee.png"), photographs.photograph("rocket.jpg")
    server = LiveServer(tmp_path / "data", "--watch", str(folder))
    keys = server.keys("shop")
    place = folder / keys.app_id / "similar" / "cups & more"
    place.mkdir(parents=True)
    (place / "a.png").write_bytes(png(coffee))
    (place / "not a picture.txt").write_text("hello")
    wait_for(server, keys, coffee, ["cups & more/a.png"])

    server.kill()  # what was done stays done
    server = LiveServer(tmp_path / "data", "--watch", str(folder))
    assert found(server, keys, coffee) == ["cups & more/a.png"]
    (place / "a.png.json").write_text(json.dumps({"brief": "a cup"}))
    wait_for(server, keys, coffee, ["a cup"])
    (tmp_path / "new.png").write_bytes(png(rocket))
    (place / "a.png.json").write_text(json.dumps({"brief": "a rocket"}))
    shutil.move(tmp_path / "new.png", place / "a.png")
    wait_for(server, keys, rocket, ["a rocket"])
    assert found(server, keys, coffee) == []
    dead = tmp_path / "data/dead-letters.jsonl"
    until = time.monotonic() + 60
    while not dead.exists() and time.monotonic() < until:  # it is given up after several attempts, whenever those are
        time.sleep(0.1)
    assert server.stop() == 0

    letters = dead.read_text().splitlines()
    assert [json.loads(letter)["reason"].partition(":")[0] for letter in letters] == ["NotAPicture"]
    assert json.loads(letters[0])["file"] == str(place / "not a picture.txt")
    assert "Traceback" not in server.log.read_text()


def test_a_folder_that_is_not_there_is_said_in_plain_words(tmp_path: Path) -> None:
    words = ["serve", "--data", str(tmp_path / "data"), "--port", "0", "--watch", str(tmp_path / "none")]
    done = subprocess.run(
        [sys.executable, "-m", "lookalike", *words], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr == f"lookalike: {tmp_path / 'none'}: there is no such folder to watch\n"
    assert not (tmp_path / "data").exists()
