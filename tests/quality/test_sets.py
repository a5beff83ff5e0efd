"""Folders of pictures, read as tasks; and the copies drawn of them."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from random import Random

import numpy as np
import pytest
from PIL import Image

from lookalike.domain.library import Kind
from lookalike.domain.search import Reason
from lookalike.errors import ModelError
from tests.quality import __main__ as yardstick
from tests.quality import families, measure, methods, sets
from tests.quality.methods import Answer, ColourHistogram, OnDisk, PerceptualHash, Remembered
from tests.quality.sets import SetError
from tests.support.photographs import photograph


def write(path: Path, number: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(number).integers(0, 256, (24, 32, 3), np.uint8)
    Image.fromarray(noise).save(path)
    return path


def table(path: Path, *rows: dict[str, str]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_sub_folders_are_classes_of_both_labelled_kinds(tmp_path: Path) -> None:
    for number in range(12):
        write(tmp_path / "ab"[number % 2] / f"{number}.png", number)
    read = sets.read(tmp_path)
    assert [(task.name, task.kind, len(task.library), task.queries) for task in read.labelled] == [
        ("product", Kind.PRODUCT, 12, ()),
        ("similar", Kind.SIMILAR, 12, ()),
    ]
    assert {photo.label for photo in read.labelled[0].library} == {"a", "b"}
    assert (len(read.copies.library), len(read.copies.outside)) == (10, 2)
    assert not set(read.copies.library) & set(read.copies.outside)


def test_pictures_without_labels_have_the_same_task_alone(tmp_path: Path) -> None:
    for number in range(7):
        write(tmp_path / f"{number}.png", number)
    assert sets.read(tmp_path).labelled == ()


def test_a_table_says_task_and_role(tmp_path: Path) -> None:
    rows = []
    for number in range(8):
        write(tmp_path / f"{number}.png", number)
        task, role = [("product_x", "library"), ("product_x", "query"), ("same", "library"), ("same", "distractor")][
            number % 4
        ]
        rows.append({"path": f"{number}.png", "task": task, "role": role, "label": f"label {number // 4}", "more": "x"})
    table(tmp_path / "MANIFEST.csv", *rows)
    read = sets.read(tmp_path)
    (product,) = read.labelled
    assert (product.name, product.kind) == ("product_x", Kind.PRODUCT)
    assert [photo.path.name for photo in product.library] == ["0.png", "4.png"]
    assert [photo.path.name for photo in product.queries] == ["1.png", "5.png"]
    assert [photo.path.name for photo in read.copies.library] == ["2.png", "6.png"]
    assert [photo.path.name for photo in read.copies.outside] == ["3.png", "7.png"]


def test_what_the_model_was_fitted_on_is_left_out_with_its_class(tmp_path: Path) -> None:
    for number in range(30):
        write(tmp_path / "abc"[number % 3] / f"{number:02}.png", number)
    learnt = frozenset({sets.digest(tmp_path / "a" / "00.png")})
    read = sets.read(tmp_path, learnt)
    every = [*read.copies.library, *read.copies.outside, *read.labelled[0].library]
    assert {photo.label for photo in every} == {"b", "c"}
    assert read.learnt == 10
    assert sets.read(tmp_path).fingerprint() != read.fingerprint()


def test_of_a_same_task_only_the_very_pictures_are_left_out(tmp_path: Path) -> None:
    rows = []
    for number in range(6):
        write(tmp_path / f"{number}.png", number)
        rows.append(
            {"path": f"{number}.png", "task": "same", "label": "", "role": "library" if number else "distractor"}
        )
    table(tmp_path / "labels.csv", *rows)
    read = sets.read(tmp_path, frozenset({sets.digest(tmp_path / "3.png")}))
    assert [photo.path.name for photo in read.copies.library] == ["1.png", "2.png", "4.png", "5.png"]


def test_a_crowd_joins_the_library_alone(tmp_path: Path) -> None:
    for number in range(12):
        write(tmp_path / ("crowd" if number > 8 else "pictures") / f"{number}.png", number)
    read = sets.read(tmp_path / "pictures", crowd=tmp_path / "crowd")
    assert {photo.path.name for photo in read.copies.crowd} == {"9.png", "10.png", "11.png"}
    assert not set(read.copies.crowd) & {*read.copies.library, *read.copies.outside}
    asked = measure.queries(read.copies, 99, 1)
    assert max(query.match for query in asked) == len(read.copies.library) - 1


def test_the_fingerprint_is_of_the_pictures_not_of_the_place(tmp_path: Path) -> None:
    for place in ("here", "there"):
        for number in range(8):
            write(tmp_path / place / "ab"[number % 2] / f"{number}.png", number)
    assert sets.read(tmp_path / "here").fingerprint() == sets.read(tmp_path / "there").fingerprint()
    write(tmp_path / "there" / "a" / "more.png", 99)
    assert sets.read(tmp_path / "here").fingerprint() != sets.read(tmp_path / "there").fingerprint()


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([{"path": "none.png", "label": "a"}], "no file"),
        ([{"file": "0.png", "label": "a"}], "first line must name the columns path and label"),
        ([{"path": "0.png", "label": "a", "role": "lib"}], "line 2: the role lib is none of library, query, both"),
        ([{"path": "0.png", "label": "a", "task": "other"}], "does not start with"),
    ],
)
def test_a_table_that_is_wrong_is_refused_with_its_reason(
    tmp_path: Path, rows: list[dict[str, str]], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "0.png", 0)
    table(tmp_path / "labels.csv", *rows)
    with pytest.raises(SetError, match=says):
        sets.read(tmp_path)
    assert yardstick.main(["--pictures", str(tmp_path)]) == 1
    assert says in capsys.readouterr().err


def test_a_table_in_another_encoding_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "0.png", 0)
    (tmp_path / "labels.csv").write_bytes("path,label\n0.png,白色的猫\n".encode("gbk"))
    with pytest.raises(SetError, match="cannot be read as CSV in UTF-8"):
        sets.read(tmp_path)


def test_a_row_without_a_label_is_a_picture_of_no_class(tmp_path: Path) -> None:
    for number in range(8):
        write(tmp_path / f"{number}.png", number)
    (tmp_path / "labels.csv").write_text("path,label\n" + "".join(f"{number}.png\n" for number in range(8)))
    read = sets.read(tmp_path)
    assert (read.labelled, {photo.label for photo in read.photos()}) == ((), {""})


def test_what_was_learnt_from_is_why_too_little_is_left(tmp_path: Path) -> None:
    for number in range(12):
        write(tmp_path / "a" / f"{number}.png", number)
    with pytest.raises(SetError, match="0 pictures to measure with are too few; 12 pictures left out: the model was"):
        sets.read(tmp_path, frozenset({sets.digest(tmp_path / "a" / "3.png")}))


@pytest.mark.parametrize("arguments", [("--crowd", "none"), ("--anchors", "none"), ("--per-family", "0")])
def test_options_that_cannot_be_are_refused(arguments: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        yardstick.main(arguments)
    assert (
        capsys.readouterr().err.splitlines()[-1].startswith(f"python -m tests.quality: error: argument {arguments[0]}")
    )


@pytest.mark.parametrize(
    ("raised", "said", "status"),
    [
        (KeyboardInterrupt(), "quality: interrupted\n", 130),
        (ModelError("no such model"), "quality: no such model\n", 1),
        (PermissionError(13, "Permission denied", "figures.json"), "quality: figures.json: Permission denied\n", 1),
    ],
)
def test_what_goes_wrong_is_one_line(
    raised: BaseException,
    said: str,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def main() -> int:
        raise raised

    monkeypatch.setattr(yardstick, "main", main)
    assert yardstick.command() == status
    assert capsys.readouterr() == ("", said)


def test_a_folder_with_too_little_or_none_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SetError, match="too few"):
        sets.read(tmp_path)
    with pytest.raises(SetError, match="no such folder"):
        sets.read(tmp_path / "none")


def test_files_that_are_no_pictures_are_left_out_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(13):
        write(tmp_path / "ab"[number % 2] / f"{number:02}.png", number)
    (tmp_path / "a" / "04.png").write_bytes((tmp_path / "a" / "04.png").read_bytes()[:500])
    (tmp_path / "b" / "text.jpg").write_text("no picture")
    (tmp_path / "b" / "loop.jpg").symlink_to("loop.jpg")
    read = sets.read(tmp_path, frozenset({"0123456789abcdef"}))  # looked for in every file that there is
    assert {path.name for path in read.refused} == {"04.png", "text.jpg", "loop.jpg"}
    used = {photo.path.name for photo in read.photos()}
    assert len(used) == 12
    assert not used & {path.name for path in read.refused}
    assert read.fingerprint()

    arguments = ["--pictures", str(tmp_path), "--json", str(tmp_path / "f.json"), "--page", str(tmp_path / "p.html")]
    monkeypatch.setattr(yardstick, "run", lambda *_, **__: measure.Findings())
    assert yardstick.main(arguments) == 0
    about = json.loads((tmp_path / "f.json").read_text())["about"]
    assert about.endswith(
        "; 3 files left out that cannot be used as pictures: a/04.png (broken, or cut short), b/loop.jpg (leads "
        "nowhere), b/text.jpg (not one of BMP, GIF, JPEG, PNG, WEBP)"
    )
    assert about in capsys.readouterr().out.splitlines()


def test_where_no_picture_is_left_one_line_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(8):
        (tmp_path / f"{number}.jpg").touch()
    arguments = ["--pictures", str(tmp_path), "--json", str(tmp_path / "f.json"), "--page", str(tmp_path / "p.html")]
    assert yardstick.main(arguments) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith(f"quality: {tmp_path}: 0 pictures to measure with are too few; 8 files left out that")


def test_of_two_files_with_the_very_same_picture_one_is_measured_with(tmp_path: Path) -> None:
    for number in range(12):
        write(tmp_path / "pictures" / "ab"[number % 2] / f"{number:02}.png", number)
    for number in range(4):  # another file, the same pixels
        Image.open(tmp_path / "pictures" / "ab"[number % 2] / f"{number:02}.png").save(
            tmp_path / "pictures" / "a" / f"again {number}.bmp"
        )
    write(tmp_path / "crowd" / "known.png", 5)
    write(tmp_path / "crowd" / "new.png", 99)
    read = sets.read(tmp_path / "pictures", crowd=tmp_path / "crowd")
    assert read.twice == 5
    assert [photo.path.name for photo in read.copies.crowd] == ["new.png"]
    measured = [*read.copies.library, *read.copies.outside]
    assert len(measured) == 12
    assert {photo.path for photo in measured} == {photo.path for photo in read.labelled[0].library}


def test_labels_by_which_nothing_can_be_found_are_no_task(tmp_path: Path) -> None:
    for number in range(12):
        write(tmp_path / f"class {number}" / "one.png", number)
    read = sets.read(tmp_path)
    assert read.labelled == ()
    assert len(read.copies.library) == 10


def test_a_picture_is_looked_at_once_by_all_methods(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(12):
        write(tmp_path / f"{number}.png", number)
    others = [Remembered(PerceptualHash()), Remembered(ColourHistogram())]
    read = sets.read(tmp_path, others=others)
    monkeypatch.setattr(methods, "image", pytest.fail)  # what decodes a file that no method remembers
    files = OnDisk([photo.path for photo in read.copies.library])
    for method in others:
        found = method.rank(files, files, 1, [-1] * len(files)).found
        assert found[:, 0].tolist() == list(range(len(files)))


@pytest.mark.slow
def test_the_smallest_pictures_are_measured_with(tmp_path: Path) -> None:
    """Their copies are smaller still."""
    for number in range(6):
        noise = np.random.default_rng(number).integers(0, 256, (8, 8 + 40 * (number % 2), 3), np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{number}.png")
    findings = yardstick.run(sets.read(tmp_path), [], per_family=1)
    assert findings.figures["same"]["library"] == 5


def test_parts_of_a_photograph_are_all_different(tmp_path: Path) -> None:
    paths = sorted(sets.packaged(tmp_path).rglob("*.png"))
    assert len(paths) > 90
    assert len({sets.digest(path) for path in paths}) == len(paths)


@pytest.mark.parametrize("family", families.FAMILIES)
def test_a_family_draws_another_picture_and_the_same_one_again(family: str) -> None:
    picture, other = photograph("chelsea.png", 200), photograph("china.jpg", 200)
    before = picture.tobytes()
    for seed in range(6):
        first, second = (families.draw(family, picture, other, Random(seed)) for _ in range(2))
        assert first.mode == "RGB"
        assert 8 <= min(first.size) <= max(first.size) <= families.MAX_SIDE
        assert (first.size, first.tobytes()) == (second.size, second.tobytes())
        assert (first.size, first.tobytes()) != (picture.size, before)
    assert picture.tobytes() == before


@pytest.mark.parametrize("family", families.FAMILIES)
@pytest.mark.parametrize("size", [(15, 600), (900, 16), (8, 8)])
def test_a_family_takes_pictures_of_any_shape(family: str, size: tuple[int, int]) -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8))
    for seed in range(4):
        assert min(families.draw(family, picture, photograph("coffee.png", 100), Random(seed)).size) >= 1


def test_queries_are_the_same_for_a_seed_and_a_fifth_match_nothing(tmp_path: Path) -> None:
    copies = sets.read(sets.packaged(tmp_path)).copies
    first, again, others = (measure.queries(copies, 2, seed) for seed in (1, 1, 2))
    assert first == again
    assert first != others
    assert sum(query.match < 0 for query in first) * 5 == len(first)


def test_answers_are_worth_what_callers_get() -> None:
    def answer(index: int) -> Answer:
        return Answer(index, 0.9, Reason.VECTOR)

    seen = [[answer(0)], [answer(5), answer(1)], [], [answer(2)], []]
    worth = measure.answers_worth(seen, np.array([0, 1, 2, -1, -1]))
    assert worth["recall"] == pytest.approx(1 / 3)
    assert worth["precision_of_first"] == pytest.approx(1 / 3)
    assert worth["precision_of_all"] == pytest.approx(2 / 4)
    assert worth["no_answer_when_nothing_matches"] == 0.5
    assert worth["first_by_reason"] == {"vector": {"right": 1, "wrong": 2}}


def test_the_simple_methods_know_a_picture_again() -> None:
    names = ("coffee.png", "astronaut.png", "chelsea.png", "rocket.jpg")
    for method in (PerceptualHash(), ColourHistogram()):
        vectors = np.stack([method.vector(photograph(name, 400)) for name in names])
        smaller = np.stack([method.vector(photograph(name, 200)) for name in names])
        assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
        assert (smaller @ vectors.T).argmax(axis=1).tolist() == [0, 1, 2, 3]
