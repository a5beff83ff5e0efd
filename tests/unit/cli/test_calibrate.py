"""Usable pairs, and the minimum probability of a match fitted to synthetic pairs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from lookalike.cli.calibrate import MIN_PROBABILITY, min_probability
from lookalike.cli.main import app
from lookalike.errors import InvalidArgument
from lookalike.training.labelled_csv import Pair, read_labels, read_pairs
from lookalike.training.pair_scores import digests_of, without_repeats
from lookalike.verification.verifier import RETRY_PROBABILITY

BEFORE = 0.85


def least(right: list[float], wrong: list[float]) -> float:
    flags = np.arange(len(right) + len(wrong)) < len(right)
    return min_probability(np.array(right + wrong), flags, BEFORE)


def spread(low: float, high: float, count: int) -> list[float]:
    return [low + (high - low) * place / (count - 1) for place in range(count)]


def test_wrong_pairs_that_are_proved_ask_for_more_proof() -> None:
    assert least(spread(0.9, 0.9999, 200), [0.98, 0.975, 0.97, *[0.0] * 100]) == pytest.approx(0.98, abs=0.001)


def test_wrong_pairs_without_evidence_change_nothing() -> None:
    assert least(spread(0.3, 0.9999, 200), [0.0] * 100) == BEFORE


def test_wrong_pairs_that_are_doubtful_and_no_more_let_less_proof_do() -> None:
    assert least(spread(0.3, 0.9999, 200), [*spread(0.02, 0.6, 20), *[0.0] * 80]) == pytest.approx(0.57, abs=0.03)


def test_what_is_as_likely_wrong_as_right_is_never_proof() -> None:
    assert least(spread(0.1, 0.9999, 200), spread(0.02, 0.2, 40)) == MIN_PROBABILITY


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=60),
    st.lists(st.floats(0, 1), min_size=1, max_size=30),
)
def test_of_what_is_proved_99_in_100_are_right_or_the_pairs_are_refused(right: list[float], wrong: list[float]) -> None:
    try:
        reached = least(right, wrong)
    except InvalidArgument as error:
        event(error.reason)
        return
    assert MIN_PROBABILITY <= reached < 1
    true, false = sum(one >= reached for one in right), sum(one >= reached for one in wrong)
    assert true >= 0.99 * (true + false)
    if sum(one >= RETRY_PROBABILITY for one in wrong) < 10:
        assert reached >= BEFORE


def test_pairs_told_the_wrong_way_round_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="are 0 and 1 swapped"):
        least([0.0] * 100, spread(0.5, 1, 100))


def picture(path: Path, grey: int) -> Path:
    Image.new("RGB", (9, 9), (grey, grey, grey)).save(path)
    return path


def pairs(folder: Path, *rows: str) -> Path:
    table = folder / "pairs.csv"
    table.write_text("\n".join(["query,picture,same", *rows]))
    return table


def evidence(table: Path) -> list[Pair]:
    judged = read_pairs(table)
    return without_repeats(judged, digests_of(judged, table), table)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a.png, b.png, c.png, a changed copy of a.png, and its pixels in another format."""
    for number, name in enumerate("abc"):
        picture(tmp_path / f"{name}.png", 50 * number)
    picture(tmp_path / "a (1).png", 0)
    picture(tmp_path / "a.bmp", 0)
    return tmp_path


def test_a_pair_counts_once_however_often_and_under_whatever_name_it_was_judged(folder: Path) -> None:
    rows = (
        "a.png,b.png,1",
        "a.png,b.png,1",
        "a (1).png,b.png,yes",
        "./a.bmp,b.png,1",
        "b.png,a.png,1",
        "a.png,c.png,0",
    )
    assert [pair.line for pair in evidence(pairs(folder, *rows))] == [2, 6, 7]


@pytest.mark.parametrize("again", ["a.png,b.png,0", "a (1).png,b.png,0"])
def test_a_pair_that_is_called_right_and_wrong_is_refused_with_both_lines(folder: Path, again: str) -> None:
    table = pairs(folder, "a.png,b.png,1", "a.png,c.png,0", again)
    with pytest.raises(InvalidArgument, match=r"pairs\.csv, line 4: 0, and 1 for the same two pictures in line 2$"):
        evidence(table)


def test_files_that_are_no_pictures_are_refused_with_the_line_of_the_first(folder: Path) -> None:
    (folder / "cut.png").write_bytes((folder / "c.png").read_bytes()[:50])
    (folder / "text.jpg").write_text("no picture")
    one = pairs(folder, "a.png,b.png,1", "c.png,cut.png,0", "b.png,cut.png,0")
    with pytest.raises(InvalidArgument, match=r"pairs\.csv, line 3: .*/cut\.png: broken, or cut short$"):
        evidence(one)
    two = pairs(folder, "a.png,text.jpg,1", "c.png,cut.png,0")
    with pytest.raises(
        InvalidArgument, match=r"line 2: .*/text\.jpg: not one of BMP, GIF, JPEG, PNG, WEBP; and 1 more$"
    ):
        evidence(two)


@pytest.mark.parametrize("kind", ["same", "similar"])
def test_copied_rows_do_not_make_enough_pairs(tmp_path: Path, kind: str) -> None:
    """Ten of a kind, ten times; and for `same`, what is identical tells nothing either."""
    for number in range(21):
        picture(tmp_path / f"{number}.png", number)
    rows = [f"{number}.png,{number + 1}.png,{number % 2}" for number in range(20)] * 10 + ["3.png,3.png,1"]
    (tmp_path / "model.onnx").write_bytes(b"which is not looked at")
    arguments = ["--pairs", str(pairs(tmp_path, *rows)), "--kind", kind, "--output", str(tmp_path / "mine")]
    arguments += ["--model", str(tmp_path / "model.onnx")]
    with pytest.raises(InvalidArgument) as refused:
        CliRunner().invoke(app, ["calibrate", *arguments], catch_exceptions=False)
    repeated = "180 that repeat others are left out: the same two pictures count once"
    identical = "; 1 of identical pictures are left out: those are found as they are" if kind == "same" else ""
    right = 10 if kind == "same" else 11
    assert refused.value.reason == f"{right} right and 10 wrong ones; 30 of each are the least; {repeated}{identical}"


@pytest.mark.parametrize("rows", ["", "path,label\n", "path,label\na.png,\nb.png, \n"])
def test_a_table_without_labels_is_refused(folder: Path, rows: str) -> None:
    table = folder / "labels.csv"
    table.write_text(rows)
    with pytest.raises(InvalidArgument, match=r"--labels: .*labels\.csv: there is no label in it$"):
        read_labels(table)


def test_pictures_without_a_label_are_passed_over(folder: Path) -> None:
    table = folder / "labels.csv"
    table.write_text("path,label\na.png,red\nb.png,\n")
    assert read_labels(table) == {folder / "a.png": "red"}


@pytest.mark.parametrize(
    ("option", "rows", "says"),
    [
        ("--labels", "path,label\n", "there is no label in it"),
        ("--pairs", "", "there is no pair with a 1 in it"),
        ("--pairs", "a.png,b.png,0\n", "there is no pair with a 1 in it"),
    ],
)
def test_a_fit_refuses_tables_that_teach_nothing_before_it_looks_at_pictures(
    folder: Path, option: str, rows: str, says: str
) -> None:
    table = folder / "known.csv"
    table.write_text(rows)
    arguments = ["--pictures", str(folder / "none"), "--output", str(folder / "mine"), option, str(table)]
    with pytest.raises(InvalidArgument, match=f"^{option}: .*known.csv: {says}"):
        CliRunner().invoke(app, ["model", "fit", *arguments], catch_exceptions=False)
