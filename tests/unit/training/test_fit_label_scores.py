"""Scores fitted to labelled pictures and strangers."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lookalike.embedding.model_card import Calibration
from lookalike.training.fit_label_scores import (
    KINDS,
    STRANGERS,
    Labelled,
    Vectors,
    first_answers,
    fit,
    of_learnt_classes,
    read_table,
)


def unit(rows: NDArray[np.float64]) -> NDArray[np.float32]:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def pictures_and_vectors(seed: int) -> tuple[list[Labelled], Vectors]:
    """Two libraries of twenty classes of ten, half of them tight and half loose."""
    random = np.random.default_rng(seed)
    pictures = [
        Labelled(Path(f"{number}.jpg"), f"class {number // 10}", f"library {number // 200}") for number in range(400)
    ]
    centres = unit(random.normal(size=(40, 24)))[np.arange(400) // 10]
    spread = np.where(np.arange(400) // 10 % 2, 0.1, 0.35)[:, None]
    whole = unit(centres + random.normal(size=(400, 24)) * spread)
    return pictures, Vectors(whole, unit(whole + 0.02 * random.normal(size=whole.shape)))


def test_one_search_in_four_is_a_stranger_s_and_its_answer_wrong() -> None:
    pictures, vectors = pictures_and_vectors(1)
    cosines, right = first_answers(pictures, vectors)
    assert len(cosines) == len(right) == 2 * (200 + 200 // (STRANGERS - 1))
    alone, right_alone = first_answers(pictures[:200], Vectors(vectors.whole[:200], vectors.stored[:200]))
    assert np.array_equal(cosines[:200], alone)  # without another library nobody is a stranger
    assert np.array_equal(right[:200], right_alone)
    assert not right[200:266].any()


def test_a_picture_is_no_answer_to_itself() -> None:
    two = [Labelled(Path("a.jpg"), "class", "library"), Labelled(Path("b.jpg"), "class", "library")]
    vectors = unit(np.eye(2))
    cosines, right = first_answers(two, Vectors(vectors, vectors))
    assert cosines.tolist() == [0, 0]
    assert right.all()


def test_scores_are_how_often_a_first_answer_is_right() -> None:
    pictures, vectors = pictures_and_vectors(2)
    for calibration in fit(pictures, dict.fromkeys(KINDS, vectors)).values():
        read = Calibration(**calibration)
        cosines, right = first_answers(*pictures_and_vectors(3))
        claimed = np.array([read.score(cosine) for cosine in cosines])
        assert claimed.mean() == pytest.approx(right.mean(), abs=0.03)
        assert right[claimed > 0.9].mean() > 0.9
        assert read.threshold == -1


def test_only_classes_with_a_learnt_picture_are_used_and_those_of_same_never(tmp_path: Path) -> None:
    for name in "abcd":
        (tmp_path / f"{name}.jpg").write_bytes(name.encode())
    table = tmp_path / "table.csv"
    table.write_text(
        "path,task,label\na.jpg,similar_x,cat\nb.jpg,similar_x,cat\nc.jpg,similar_x,dog\nd.jpg,same,cat\nd.jpg,product_y,cat\n"
    )
    learnt = tmp_path / "learnt.txt"
    learnt.write_text(hashlib.sha256(b"a").hexdigest()[:16] + "\n")
    assert [picture.path.name for picture in of_learnt_classes(read_table(table), learnt)] == ["a.jpg", "b.jpg"]
