"""The vendor's own Node and Java SDKs through a picture's life in each library; `make clients` installs them."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support import photographs
from tests.support.live import LiveServer

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Sdk:
    """A program that takes an address, keys and two pictures, and prints every answer as JSON."""

    folder: Path
    installed: str
    command: Sequence[str]


SDKS = {
    "node": Sdk(HERE / "node", "node_modules", ("node", "life.js")),
    "java": Sdk(HERE / "java", "jars", ("java", "-cp", "jars/*", "Life.java")),
}


@pytest.fixture(scope="module", params=SDKS)
def answers(request: pytest.FixtureRequest, server: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> Any:
    sdk = SDKS[request.param]
    if shutil.which(sdk.command[0]) is None or not (sdk.folder / sdk.installed).is_dir():
        pytest.skip(f"needs {sdk.command[0]} and `make clients`")
    keys = server.keys(request.param)
    folder = tmp_path_factory.mktemp(request.param)
    original = photographs.photograph("coffee.png")
    (folder / "picture.jpg").write_bytes(photographs.jpeg(original))
    (folder / "copy.jpg").write_bytes(photographs.jpeg(photographs.cropped(original, 0.9), quality=40))
    done = subprocess.run(
        [
            *sdk.command,
            *(server.url, keys.app_id, keys.access_key, keys.secret_key),
            *(str(folder / "picture.jpg"), str(folder / "copy.jpg")),
        ],
        cwd=sdk.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("library", ["sameHq", "similar", "product"])
def test_a_picture_lives_its_whole_life(answers: Any, library: str) -> None:
    life = answers[library]
    sign = life["added"]["cont_sign"]
    assert life["again"]["error_code"] == 216681
    assert [(one["cont_sign"], one["brief"]) for one in life["found"]["result"]] == [(sign, '{"id": 1}')]
    assert set(life["updated"]) == {"log_id"}
    assert life["changed"]["result"] == [{"score": 1, "brief": "changed", "cont_sign": sign}]
    assert life["changed"]["has_more"] is False
    assert set(life["deleted"]) == {"log_id"}
    assert life["gone"]["result"] == []


def test_a_wrong_secret_is_refused_as_the_vendor_refuses_it(answers: Any) -> None:
    assert answers["stranger"]["error_code"] == 14
