"""Calibration, codebooks and the card, on synthetic data with known results."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from lookalike.embedding.model_card import CODEBOOK_SHAPE, Calibration
from lookalike.training import (
    codebook,
    export_onnx,
    fit_heads,
    fit_inputs,
    fit_model,
    fit_scores,
    fitted_card,
    fitted_model,
)
from lookalike.training.labelled_csv import read_labels


def unit(rows: NDArray[np.float64]) -> NDArray[np.float32]:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_light_copies_and_strangers_get_the_scores_they_are_promised() -> None:
    random = np.random.default_rng(1)
    library = unit(random.normal(size=(400, 16)) + 0.3)
    light = unit(library + random.normal(size=library.shape) * 0.05)
    read = Calibration(**fit_scores._by_anchors(library, library, light), threshold=fit_scores.NO_THRESHOLD)
    copies = [read.score(float(cosine)) for cosine in (library * light).sum(axis=1)]
    strangers = [read.score(float(cosine)) for cosine in (library @ library.T)[np.triu_indices(400, 1)]]
    assert np.mean(np.array(copies) >= fit_scores.LIGHT_COPY_SCORE) == pytest.approx(0.9, abs=0.01)
    assert np.mean(np.array(strangers) <= fit_scores.STRANGER_SCORE) == pytest.approx(0.99, abs=0.002)


def test_scores_are_how_often_the_first_answer_has_the_label_of_its_query() -> None:
    """Half the classes are tight, half are loose; in every round one in five is not in the library."""
    random = np.random.default_rng(6)
    centres = unit(random.normal(size=(40, 24)))
    number = np.repeat(np.arange(40), 12)
    spread = np.where(number % 2, 0.08, 0.35)[:, None]
    vectors = unit(centres[number] + random.normal(size=(480, 24)) * spread)
    labels, asked = np.array([f"class {one}" for one in number]), np.arange(480) % 3 == 0
    read = Calibration(**fit_scores._by_labels(vectors, vectors, labels, asked), threshold=fit_scores.NO_THRESHOLD)
    queries = np.flatnonzero(asked)
    cosines = vectors[queries] @ vectors.T
    cosines[np.arange(len(queries)), queries] = -1
    claimed, right = [], []
    order = np.argsort(np.argsort([f"class {one}" for one in range(40)]))  # classes are numbered by their names
    for first in range(fit_scores.ROUNDS):
        there = np.where(order[number] % fit_scores.ROUNDS == first, -1, cosines)
        claimed += [read.score(float(cosine)) for cosine in there.max(axis=1)]
        right += (number[there.argmax(axis=1)] == number[queries]).tolist()
    assert np.mean(claimed) == pytest.approx(np.mean(right), abs=0.01)
    confident = np.array(claimed) > 0.9
    assert np.array(right)[confident].mean() > 0.9


def test_what_has_no_label_says_nothing_about_scores() -> None:
    vectors = unit(np.random.default_rng(7).normal(size=(300, 8)))
    labels = np.array([f"class {i % 10}" for i in range(300)])
    asked = np.arange(300) < 200
    more = np.concatenate([vectors, unit(np.random.default_rng(8).normal(size=(50, 8)))])
    unlabelled = np.concatenate([labels, np.full(50, "")])
    of_all = fit_scores._by_labels(more, more, unlabelled, np.arange(350) < 200)
    assert of_all == fit_scores._by_labels(vectors, vectors, labels, asked)


def test_the_threshold_lets_one_wrong_first_answer_in_a_hundred_through() -> None:
    """250 first answers, their cosines falling from 0.99 on; of the best 200 two are wrong, of the others most."""
    cosines = np.zeros((250, 2), np.float32)
    cosines[:, 0] = 0.99 - np.arange(250) / 1000
    truth = np.zeros((250, 2), bool)
    truth[:200, 0] = True
    truth[[120, 180], 0] = False
    truth[240:, 0] = True
    assert fit_scores._by_first_answers(cosines, truth)["threshold"] == pytest.approx(0.99 - 0.199, abs=1e-3)


def test_a_codebook_comes_close_to_its_vectors_and_is_the_same_again() -> None:
    vectors = unit(np.random.default_rng(3).normal(size=(2_000, 256)))
    trained = codebook.train_codebook(vectors)
    assert (trained.shape, trained.dtype.name) == (CODEBOOK_SHAPE, "float32")
    parts = vectors.reshape(-1, 128, 1, 2)
    error = ((parts - trained) ** 2).sum(axis=3).min(axis=2).sum(axis=1).mean()
    assert error < 0.2  # of a squared length of 1
    assert np.array_equal(trained, codebook.train_codebook(vectors))


def test_a_codebook_of_few_vectors_is_made_without_a_word(capfd: pytest.CaptureFixture[str]) -> None:
    codebook.train_codebook(unit(np.random.default_rng(3).normal(size=(320, 256))))
    assert capfd.readouterr() == ("", "")


def test_copies_depend_on_the_seed_alone(tmp_path: Path) -> None:
    noise = np.random.default_rng(4)
    for i in range(3):
        Image.fromarray(noise.integers(0, 256, (40, 60, 3), np.uint8)).save(tmp_path / f"{i}.png")
    paths = tuple(sorted(tmp_path.iterdir()))

    def copies(seed: int) -> list[bytes]:
        return [fit_inputs.Pictures(paths, seed).copy(i, which, [2]).tobytes() for i in range(2) for which in range(4)]

    assert copies(1) == copies(1)
    assert copies(1) != copies(2)


def test_what_people_wrote_in_a_card_stays(tmp_path: Path) -> None:
    card = tmp_path / "card.json"
    card.write_text('{"name": "old", "licence": "Apache-2.0"}')
    fitted_card.write_card(card, {"name": "new", "dimension": 256})
    assert json.loads(card.read_text()) == {"name": "new", "licence": "Apache-2.0", "dimension": 256}


def test_quality_stays_with_the_name_it_was_measured_under(tmp_path: Path) -> None:
    card = tmp_path / "card.json"
    before = {"name": "one", "licence": "Apache-2.0", "quality": {"same": 96.5}}
    card.write_text(json.dumps(before))
    fitted_card.write_card(card, {"name": "one", "dimension": 256})
    assert json.loads(card.read_text()) == before | {"dimension": 256}
    fitted_card.write_card(card, {"name": "two"})
    assert json.loads(card.read_text()) == {"name": "two", "licence": "Apache-2.0", "dimension": 256}


def test_a_card_is_begun_with_what_holds_for_every_model(tmp_path: Path) -> None:
    sources = [
        {"what": what} for what in ("weights", fitted_card.HEADS_LEARNT_FROM, "pictures the proof was fitted on")
    ]
    ours = {"name": "ours", "quality": {"same": 96.5}, "licence": "Apache-2.0", "proof": {}, "sources": sources}
    (tmp_path / "card.json").write_text(json.dumps(ours))
    begun = fitted_card.base_card(tmp_path)
    assert begun == {"licence": "Apache-2.0", "proof": {}, "sources": [sources[0], sources[2]]}
    (tmp_path / "mine").mkdir()
    fitted_card.write_card(tmp_path / "mine" / "card.json", {"name": "mine"}, begun)
    assert json.loads((tmp_path / "mine" / "card.json").read_text()) == begun | {"name": "mine"}
    assert [file.name for file in (tmp_path / "mine").iterdir()] == ["card.json"]


@pytest.mark.parametrize("folder", [export_onnx.FOLDER, export_onnx.FOLDER / "large"])
def test_cards_name_the_sources_and_licences_of_all_that_was_learnt_from(folder: Path) -> None:
    card = json.loads((folder / "card.json").read_text())
    learnt = [source for source in card["sources"] if source["what"] == fitted_card.HEADS_LEARNT_FROM]
    assert sum(source["pictures"] for source in learnt) == len((folder / fitted_model.LEARNT).read_text().split())
    assert sum(source["pictures"] for source in learnt) == card["fit"]["learnt_from"] + card["fit"]["calibrated_on"]
    proof = [source for source in card["sources"] if source["what"] == "pictures the proof was fitted on"]
    assert proof
    for source in card["sources"]:
        assert source["licence"] in {"Apache-2.0", "MIT", "CC0-1.0", "CC-BY-4.0"}
        assert source.get("url") or source["what"] == "weights" or "drawn by a script" in source["name"]


def test_files_that_are_no_pictures_are_named_and_not_fitted_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    noise = np.random.default_rng(5)
    for i in range(5):
        Image.fromarray(noise.integers(0, 256, (9, 9, 3), np.uint8)).save(tmp_path / f"{i}.png")
    (tmp_path / "4.png").write_bytes((tmp_path / "4.png").read_bytes()[:-30])
    (tmp_path / "5.png").touch()
    monkeypatch.setattr(fit_inputs, "MIN_PICTURES", 4)
    assert [path.name for path in fit_inputs.find_pictures(tmp_path)] == ["0.png", "1.png", "2.png", "3.png"]
    line = "2 files left out that cannot be used as pictures: 4.png (broken, or cut short), 5.png (no bytes)"
    assert capsys.readouterr().err.splitlines()[-1] == line
    monkeypatch.setattr(fit_inputs, "MIN_PICTURES", 5)
    with pytest.raises(fit_inputs.FitError, match="has 4 pictures; 5 are the least"):
        fit_inputs.find_pictures(tmp_path)
    with pytest.raises(fit_inputs.FitError, match="there is no such folder"):
        fit_inputs.find_pictures(tmp_path / "none")


def test_links_are_the_pictures_that_labels_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "links").mkdir()
    for i in range(2):
        Image.new("RGB", (9, 9)).save(tmp_path / f"{i}.png")
        (tmp_path / "links" / f"{i}.png").symlink_to(tmp_path / f"{i}.png")
    (tmp_path / "links" / "again.png").symlink_to(tmp_path / "0.png")
    monkeypatch.setattr(fit_inputs, "MIN_PICTURES", 2)
    table = tmp_path / "labels.csv"
    table.write_text("path,label\nlinks/0.png,a\n1.png,b\n")
    assert fit_inputs.find_pictures(tmp_path / "links") == list(read_labels(table))


def test_labels_of_other_pictures_are_refused_before_anything_is_described() -> None:
    pictures, known = (
        fit_inputs.Pictures((Path("here.png"),), 1),
        fit_inputs.Labels(labels={Path("elsewhere.png"): "a"}),
    )
    with pytest.raises(fit_inputs.FitError, match="none of the labels is of a picture in the folder"):
        fit_heads.fit_heads({}, pictures, range(1), known)


def test_two_models_never_have_one_name() -> None:
    assert fitted_model.with_digest("shop-", b"one") != fitted_model.with_digest("shop-", b"two")
    assert (
        fitted_model.with_digest("lite0-224-2", b"one") == "lite0-224-2"
    )  # who makes what is shipped says when it changes


def test_a_turned_photograph_is_learnt_from_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (30, 20), "red").save(tmp_path / "turned.jpg", exif=exif)
    assert fit_inputs.Pictures((tmp_path / "turned.jpg",), 1).original(0).size == (20, 30)


def test_the_card_tells_which_pictures_were_fitted_on(tmp_path: Path) -> None:
    contents = [b"one", b"two", b"three"]
    for i, content in enumerate(contents):
        (tmp_path / f"{i}.png").write_bytes(content)
    paths = tuple(tmp_path.iterdir())
    digests = "\n".join(sorted(hashlib.sha256(content).hexdigest() for content in contents))
    expected = hashlib.sha256(digests.encode()).hexdigest()
    for order in (paths, paths[::-1]):
        card = fitted_card.fit_record(fit_inputs.Pictures(order, 7), range(2), range(2, 3))
        assert card["pictures_sha256"] == expected
        assert (card["seed"], card["learnt_from"], card["calibrated_on"]) == (7, 2, 1)


def test_too_few_pictures_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--pictures", str(tmp_path), "--weights", str(tmp_path), "--name", "none", "--output", str(tmp_path)]
    monkeypatch.setattr("sys.argv", ["fit.py", *arguments])
    assert fit_model.main() == 1
    assert capsys.readouterr().err == f"fit: {tmp_path} has 0 pictures; 400 are the least, some thousands are better\n"


def test_labels_say_what_differs_within_a_class() -> None:
    rows = np.array([[1, 0], [3, 0], [9, 9], [5, 5]], np.float32)
    within, means = fit_heads._within_classes(rows, np.array(["a", "a", "", "b"]))
    assert within.tolist() == [[1, 0], [3, 0], [5, 5]]
    assert means.tolist() == [[2, 0], [2, 0], [5, 5]]
