"""The script that fits how evidence is read, from a folder of pictures to a model's card."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from lookalike.embedding.model_card import load
from lookalike.embedding.model_path import CARD, find_model
from lookalike.training import fit_match_score
from lookalike.training.match_examples import FEATURES
from tests.support.photographs import NAMES, SCENES, photograph

MODEL = find_model(None)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model whose card may be changed."""
    folder = tmp_path / "model"
    folder.mkdir()
    for file in (MODEL, *(MODEL.parent / name for name in (CARD, "codebooks.npz", "learnt.txt"))):
        shutil.copy(file, folder / file.name)
    return folder / MODEL.name


def test_from_pictures_to_a_card(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pictures, judged = tmp_path / "pictures", tmp_path / "judged"
    for folder in (pictures, judged):
        folder.mkdir()
    for name in sorted({*NAMES, *SCENES}):
        whole = photograph(name, 480)
        half = whole.width // 2
        for side, left in (("left", 0), ("right", whole.width - half)):
            whole.crop((left, 0, left + half, whole.height)).save(pictures / f"{Path(name).stem} {side}.png")
    shutil.copy(pictures / "chelsea left.png", judged)
    before = json.loads((model.parent / CARD).read_text())["proof"]

    arguments = ["--pictures", str(pictures), "--apart", str(judged), "--copies", "15", "--model", str(model)]
    assert fit_match_score.main(arguments) == 0

    after = json.loads((model.parent / CARD).read_text())["proof"]
    assert load(model).match_scorer.min_probability == before["least"]
    assert after["whole"] != before["whole"]
    assert "15 changed copies" in after["remark"]
    told = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in told] == list(FEATURES)
    for line in told:
        look = line.split()[0]
        assert ("left as it was" in line) == (after[look] == before[look])


def test_a_model_without_pictures_is_refused(tmp_path: Path) -> None:
    Image.new("RGB", (30, 30)).save(tmp_path / "one.png")
    with pytest.raises(SystemExit):
        fit_match_score.main(["--model", str(tmp_path / "none.onnx")])
