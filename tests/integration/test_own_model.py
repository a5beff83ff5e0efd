"""`lookalike calibrate` and `lookalike model fit`: scores and models of one's own, on a few small pictures."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from random import Random

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from lookalike.cli import calibrate
from lookalike.cli.main import app
from lookalike.domain.library import Kind, LibraryRef
from lookalike.domain.search import Match
from lookalike.embedding.embedder import OnnxEmbedder
from lookalike.embedding.model_path import CARD, CODEBOOKS, find_model
from lookalike.imaging.decode import Bounds
from lookalike.service.add import Add, add
from lookalike.service.image_source import Source
from lookalike.service.search import Search, search
from lookalike.training import fit_heads, fitted_model
from lookalike.training.labelled_csv import Pair
from lookalike.training.pair_scores import PairScorer
from lookalike.verification.verifier import FeatureMapVerifier
from tests.quality import sets
from tests.quality.families import draw
from tests.support.fakes import memory_ports
from tests.support.photographs import ROOT, SCENES, photograph

MODEL = find_model(None)
BOUNDS = Bounds(
    max_bytes=8 << 20, min_side=1, max_side=5000, max_pixels=5000 * 5000, formats=frozenset({"JPEG", "PNG"})
)
COPIES = ("crop", "jpeg", "border", "colour", "sticker")


def opened(path: Path) -> Image.Image:
    with Image.open(path) as picture:
        return picture.convert("RGB")


def lookalike(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [ROOT / ".venv/bin/lookalike", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Small parts of photographs."""
    folder = tmp_path_factory.mktemp("parts")
    paths = []
    for name in SCENES[:10]:
        picture = photograph(name, 400)
        for place in range(2):
            left = place * picture.width // 2
            paths.append(folder / f"{Path(name).stem}-{place}.png")
            picture.crop((left, 0, left + picture.width // 2, picture.height)).save(paths[-1])
    return paths


@pytest.fixture(scope="module")
def pairs(parts: list[Path]) -> list[tuple[Path, Path, int]]:
    """Copies beside their picture, and beside another one."""
    pairs = []
    for number, path in enumerate(parts):
        picture, other = opened(path), opened(parts[number - 3])
        for family in COPIES:
            copy = path.with_name(f"{path.stem}-{family}.jpg")
            draw(family, picture, other, Random(f"{path.stem} {family}")).save(copy)
            pairs += [(copy, path, 1), (copy, parts[number - 3], 0)]
    return pairs


def judged(rows: list[tuple[Path, Path, int]]) -> list[Pair]:
    return [Pair(query, picture, bool(right), line) for line, (query, picture, right) in enumerate(rows, 1)]


def write(table: Path, *rows: tuple[object, ...]) -> Path:
    table.write_text("".join(",".join(map(str, row)) + "\n" for row in rows))
    return table


@pytest.fixture(scope="module")
def calibrated(pairs: list[tuple[Path, Path, int]], tmp_path_factory: pytest.TempPathFactory) -> OnnxEmbedder:
    """The model that comes along, with scores of `same` as these pairs have them."""
    folder = tmp_path_factory.mktemp("calibrated")
    shipped = hashlib.sha256((MODEL.parent / CARD).read_bytes()).digest()
    table, output = write(folder / "pairs.csv", ("query", "picture", "same"), *pairs), folder / "mine"
    done = lookalike("calibrate", "--pairs", table, "--kind", "same", "--output", output)
    assert done.returncode == 0, done.stderr
    assert f"LOOKALIKE_MODEL={output / 'model.onnx'}" in done.stdout
    assert hashlib.sha256((MODEL.parent / CARD).read_bytes()).digest() == shipped
    return OnnxEmbedder(output / "model.onnx")


def test_calibrating_leaves_the_vectors_and_the_other_kinds_alone(calibrated: OnnxEmbedder, parts: list[Path]) -> None:
    before = OnnxEmbedder(MODEL)
    assert calibrated.model == before.model  # what is stored stays comparable
    pixels = np.asarray(opened(parts[0]))
    for kind in Kind:
        ours, theirs = (embedder.embed([pixels])[0].vectors[kind] for embedder in (calibrated, before))
        assert np.array_equal(ours, theirs)
    assert calibrated.threshold(Kind.SAME) != before.threshold(Kind.SAME)
    assert calibrated.score(Kind.SAME, 0.9) > calibrated.score(Kind.SAME, 0.1)
    assert calibrated.score(Kind.SIMILAR, 0.5) == before.score(Kind.SIMILAR, 0.5)


def test_from_the_threshold_on_pairs_are_right(calibrated: OnnxEmbedder, pairs: list[tuple[Path, Path, int]]) -> None:
    x = PairScorer(calibrated, Kind.SAME).cosines(judged(pairs))
    right = np.array([right for _, _, right in pairs], bool)
    found = x >= calibrated.threshold(Kind.SAME)
    assert right[found].mean() >= 0.99
    assert found[right].mean() > 0.5


def test_wrong_pairs_that_nothing_speaks_for_leave_proof_as_it_was(calibrated: OnnxEmbedder) -> None:
    assert calibrated.match_scorer == OnnxEmbedder(MODEL).match_scorer


@pytest.fixture(scope="module")
def prints(parts: list[Path]) -> list[Path]:
    """Photographs of prints of the parts, two each."""
    paths = []
    for number, path in enumerate(parts):
        for turn in range(2):
            paths.append(path.with_name(f"{path.stem}-printed{turn}.jpg"))
            draw("printed", opened(path), opened(parts[number - 3]), Random(f"{path.stem} {turn}")).save(paths[-1])
    return paths


def test_searches_find_what_the_pairs_call_right_and_no_more_what_they_call_wrong(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    parts: list[Path],
    pairs: list[tuple[Path, Path, int]],
    prints: list[Path],
) -> None:
    """To these users a photograph of a print is another picture."""
    monkeypatch.setattr(calibrate, "MIN_PAIRS_FOR_SAME", 60)
    monkeypatch.setattr(calibrate, "MIN_PAIRS_OF_EACH", 8)
    right = [pair for pair in pairs if pair[2]][::2]
    before = OnnxEmbedder(MODEL)
    shown = [(one, parts[number // 2], 0) for number, one in enumerate(prints)]
    sure = PairScorer(before, Kind.SAME).probabilities(judged(shown), before.match_scorer) >= 0.99
    wrong = [pair for pair, beyond_doubt in zip(shown, sure, strict=True) if not beyond_doubt]
    twice = [(parts[0], parts[0], 1)]
    table, output = write(tmp_path / "pairs.csv", *right, *wrong, *twice), tmp_path / "mine"
    arguments = ["calibrate", "--pairs", table, "--kind", "same", "--output", output]
    done = CliRunner().invoke(app, [*map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0, done.stderr
    assert "1 of identical pictures are left out" in done.stdout
    after = OnnxEmbedder(output / "model.onnx")
    assert after.match_scorer.min_probability > before.match_scorer.min_probability

    sample = [*right[::10], *wrong[::3]]
    probable = PairScorer(before, Kind.SAME).probabilities(judged(sample), before.match_scorer)
    calls_right = np.array([one[2] for one in sample], bool)
    for embedder in (before, after):
        found = np.array([bool(answers(embedder, query, picture)) for query, picture, _ in sample])
        assert np.array_equal(found, probable >= embedder.match_scorer.min_probability)
    assert calls_right[found].all()
    assert (probable >= before.match_scorer.min_probability)[~calls_right].any()
    assert len(answers(after, parts[0], parts[0])) == 1


def answers(embedder: OnnxEmbedder, query: Path, picture: Path) -> tuple[Match, ...]:
    """What a search finds in a library of one picture."""
    ports = memory_ports(embedder=embedder, verifier=FeatureMapVerifier(embedder.match_scorer))
    ref = LibraryRef("tenant", "same_hq", Kind.SAME)
    add(ports, Add(ref, Source(BOUNDS, data=picture.read_bytes())))
    return search(ports, Search(ref, Source(BOUNDS, data=query.read_bytes()))).matches


def test_similar_gets_a_curve_and_no_threshold(tmp_path: Path, parts: list[Path]) -> None:
    rows = [(a, b, int(a.stem[:-1] == b.stem[:-1])) for a in parts for b in parts[:15]]
    output = tmp_path / "mine"
    done = lookalike("calibrate", "--pairs", write(tmp_path / "p.csv", *rows), "--kind", "similar", "--output", output)
    assert done.returncode == 0, done.stderr
    before, after = (
        json.loads((folder / CARD).read_text())["calibration"]["similar"] for folder in (MODEL.parent, output)
    )
    assert after["threshold"] == before["threshold"]
    assert (after["slope"], after["offset"]) != (before["slope"], before["offset"])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda rows: rows[:40], "20 right and 20 wrong ones; 30 of each are the least"),
        (lambda rows: rows[:160], "160 pairs; a precision of 99% takes 200 at the least"),
        (lambda rows: [(a, b, 1 - right) for a, b, right in rows], "are 0 and 1 swapped?"),
        (lambda rows: [(a, b, "maybe") for a, b, _ in rows], "line 2: 'maybe' is neither 0 nor 1"),
        (lambda rows: [("none.png", *rows[0][1:])], "line 1: there is no file"),
        (lambda rows: [row[:2] for row in rows], "line 1: 2 columns"),
        (lambda rows: [(__file__, *row[1:]) for row in rows], f"line 1: {__file__}: not one of"),
    ],
)
def test_pairs_that_do_not_do_are_refused_in_one_line(
    tmp_path: Path, pairs: list[tuple[Path, Path, int]], change: object, says: str
) -> None:
    assert callable(change)
    table, output = write(tmp_path / "pairs.csv", *change(pairs)), tmp_path / "mine"
    done = lookalike("calibrate", "--pairs", table, "--kind", "same", "--output", output)
    assert done.returncode == 1
    assert says in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not output.exists()


def test_the_model_that_comes_along_is_never_written_to(tmp_path: Path, pairs: list[tuple[Path, Path, int]]) -> None:
    table = write(tmp_path / "pairs.csv", *pairs)
    done = lookalike("calibrate", "--pairs", table, "--kind", "same", "--output", MODEL.parent)
    assert (done.returncode, "name another one" in done.stderr) == (1, True)
    for folder in (MODEL.parent, MODEL.parent / "large"):
        done = lookalike("model", "fit", "--pictures", tmp_path, "--output", folder)
        assert (done.returncode, "name another one" in done.stderr) == (1, True)


@pytest.mark.slow
def test_a_model_of_ones_own_finds_copies_and_is_known_not_to_be_judged_by_its_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One descriptor each: what all of them together take is a minute of eigenvalues, whatever the number of pictures.
    for module in (fit_heads, fitted_model):
        monkeypatch.setattr(module, "descriptors_by_kind", lambda _: {str(kind): ("gem_head",) for kind in Kind})
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(400):
        name = SCENES[number % len(SCENES)]
        random, whole = Random(number), photograph(name, 300)
        left, top = random.randint(0, whole.width - 90), random.randint(0, whole.height - 90)
        whole.crop((left, top, left + 90, top + 90)).save(pictures / f"{number:03}-{Path(name).stem}.png")
    files = sorted(pictures.iterdir())
    labels = write(tmp_path / "labels.csv", ("path", "label"), *((path, path.stem[4:]) for path in files))
    pairs = write(tmp_path / "pairs.csv", *((files[i], files[i + 1], i % 2) for i in range(10)))
    output = tmp_path / "mine"
    arguments = ["--pictures", pictures, "--labels", labels, "--pairs", pairs, "--output", output, "--copies", 1]
    done = CliRunner().invoke(app, ["model", "fit", *map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0, done.stderr
    embedder = OnnxEmbedder(output / "model.onnx")
    assert embedder.model != OnnxEmbedder(MODEL).model
    assert embedder.model in done.stdout
    card = json.loads((output / CARD).read_text())
    assert (card["fit"]["labelled"], card["fit"]["pairs"], card["fit"]["learnt_from"]) == (400, 5, 320)
    assert {source["what"] for source in card["sources"]} == {"weights", "pictures the proof was fitted on"}
    assert "quality" not in card
    assert sets.learnt_by(output / "model.onnx") == {sets.digest(path) for path in files}
    with np.load(output / CODEBOOKS) as codebooks:
        assert set(codebooks) == set(Kind)

    shown = [np.asarray(opened(path)) for path in files[:30]]
    smaller = [np.asarray(opened(path).resize((60, 60))) for path in files[:30]]
    for kind in Kind:
        library, queries = (
            np.stack([one.vectors[kind] for one in embedder.embed(some)]).astype(np.float32)
            for some in (shown, smaller)
        )
        assert np.linalg.norm(library, axis=1) == pytest.approx(1, abs=2e-3)
        assert ((queries @ library.T).argmax(axis=1) == np.arange(30)).mean() > 0.9


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "has 2 pictures; 400 are the least"),
        (("--labels", "none.csv"), "none.csv: it cannot be read"),
    ],
)
def test_a_fit_without_what_it_needs_is_refused_in_one_line(
    tmp_path: Path, parts: list[Path], arguments: tuple[str, ...], says: str
) -> None:
    for path in parts[:2]:
        shutil.copy(path, tmp_path)
    done = lookalike("model", "fit", "--pictures", tmp_path, "--output", tmp_path / "mine", *arguments)
    assert done.returncode == 1
    assert says in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "mine").exists()
