"""The vendor's own Node SDK through a picture's life in each library."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests import photographs
from tests.live import LiveServer

FOLDER = Path(__file__).parent / "node"

pytestmark = pytest.mark.skipif(
    shutil.which("node") is None or not (FOLDER / "node_modules").is_dir(),
    reason="needs Node and `make node` (the vendors' Node SDKs)",
)


@pytest.fixture(scope="module")
def answers(server: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> Any:
    keys = server.keys("node")
    folder = tmp_path_factory.mktemp("node")
    original = photographs.photograph("coffee.png")
    (folder / "picture.jpg").write_bytes(photographs.jpeg(original))
    (folder / "copy.jpg").write_bytes(photographs.jpeg(photographs.cropped(original, 0.9), quality=40))
    command = ["node", "life.js", server.url, keys.app_id, keys.access_key, keys.secret_key]
    done = subprocess.run(
        [*command, str(folder / "picture.jpg"), str(folder / "copy.jpg")],
        cwd=FOLDER,
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


def test_a_wrong_secret_is_refused(answers: Any) -> None:
    assert answers["stranger"]["error_code"] == 14
