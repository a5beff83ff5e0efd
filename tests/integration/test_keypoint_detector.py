"""The keypoint detector over the built model, and the matching of what it detects."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import cache

import numpy as np
import onnxruntime
import pytest
from PIL import Image, ImageFilter, ImageOps

from lookalike.domain.geometry import Affine
from lookalike.domain.keypoints import DESCRIPTOR_CHANNELS, DESCRIPTOR_SCALE, Keypoints, KeypointView
from lookalike.domain.picture import Pixels
from lookalike.embedding.embedder import OnnxEmbedder
from lookalike.embedding.keypoint_card import find_keypoint_model
from lookalike.embedding.keypoint_detector import LONGER_SIDES, OnnxKeypointDetector
from lookalike.embedding.model_path import CARD, find_model
from lookalike.errors import ModelError
from lookalike.training import export_onnx, torch_weights
from lookalike.training.xfeat_onnx import MAX_KEYPOINTS
from lookalike.verification.keypoints import KeypointMatch, KeypointViews, match_keypoints
from lookalike.verification.overlay import Picture
from tests.support.photographs import ROOT, photograph

NAMES = ("astronaut.png", "chelsea.png", "china.jpg", "coffee.png", "motorcycle_left.png")
MODEL = find_keypoint_model(find_model(None))
WEIGHTS = ROOT / "build/weights-keypoints"


@cache
def detector() -> OnnxKeypointDetector:
    return OnnxKeypointDetector(MODEL)


def detected(picture: Image.Image) -> Keypoints:
    return detector().detect(np.asarray(picture))


@cache
def detected_in(name: str) -> Keypoints:
    """Those of an unchanged photograph, which many tests compare others with."""
    return detected(photograph(name, 640))


def moved(transform: Affine, x: float, y: float) -> tuple[float, float]:
    a, b, c, d, e, f = transform
    return a * x + b * y + c, d * x + e * y + f


def tenth(picture: Image.Image) -> Image.Image:
    width, height = picture.size
    return picture.crop((width * 3 // 10, height * 3 // 10, width * 62 // 100, height * 62 // 100))


def black_and_white(picture: Image.Image) -> Image.Image:
    return picture.convert("L").point([0] * 128 + [255] * 128).convert("RGB")


#: What is done to a picture, and how its points move back.
CHANGES: dict[str, tuple[Callable[[Image.Image], Image.Image], Affine]] = {
    "nothing": (lambda picture: picture, (1, 0, 0, 0, 1, 0)),
    "dim": (lambda picture: picture.point([60 + value // 3 for value in range(256)] * 3), (1, 0, 0, 0, 1, 0)),
    "blurred": (lambda picture: picture.filter(ImageFilter.GaussianBlur(3)), (1, 0, 0, 0, 1, 0)),
    "black and white": (black_and_white, (1, 0, 0, 0, 1, 0)),
    "a tenth": (tenth, (0.32, 0, 0.3, 0, 0.32, 0.3)),
    "stretched": (lambda picture: picture.resize((400, 640)), (1, 0, 0, 0, 1, 0)),
}

#: The same, for views of the query that are turned or mirrored.
ORIENTATIONS: dict[str, tuple[Callable[[Image.Image], Image.Image], Affine]] = {
    "mirrored": (ImageOps.mirror, (-1, 0, 1, 0, 1, 0)),
    "upside down": (ImageOps.flip, (1, 0, 0, 0, -1, 1)),
    "turned left": (lambda picture: picture.transpose(Image.Transpose.ROTATE_90), (0, -1, 1, 1, 0, 0)),
    "turned right": (lambda picture: picture.transpose(Image.Transpose.ROTATE_270), (0, 1, 0, -1, 0, 1)),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", NAMES)
def test_a_changed_copy_matches_its_original(name: str, change: str) -> None:
    make, back = CHANGES[change]
    match = match_keypoints(detected(make(photograph(name, 640))), detected_in(name))
    assert match is not None
    assert match.inliers >= 15
    for x, y in ((0.2, 0.2), (0.8, 0.3), (0.5, 0.8)):
        assert moved(match.transform, x, y) == pytest.approx(moved(back, x, y), abs=0.035)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("name", NAMES)
def test_one_of_the_views_of_a_turned_copy_matches(name: str, orientation: str) -> None:
    make, back = ORIENTATIONS[orientation]
    best: tuple[KeypointView, KeypointMatch] | None = None
    views = KeypointViews(Picture.of(np.asarray(make(photograph(name, 640)))))
    for number in range(6):
        view = views.view(number)
        assert view is not None
        match = match_keypoints(detector().detect(view.pixels), detected_in(name))
        if match is not None and (best is None or match.inliers > best[1].inliers):
            best = view, match
    assert best is not None
    view, match = best
    assert match.inliers >= 50
    for x, y in ((0.2, 0.2), (0.8, 0.3), (0.5, 0.8)):
        assert moved(match.transform, *moved(view.from_query, x, y)) == pytest.approx(moved(back, x, y), abs=0.03)


@pytest.mark.parametrize("name", NAMES)
def test_other_pictures_hardly_match(name: str) -> None:
    matches = [match_keypoints(detected_in(name), detected_in(other)) for other in NAMES if other != name]
    assert all(match is None or match.inliers < 15 for match in matches)


def test_detection_is_deterministic() -> None:
    def once() -> tuple[bytes, bytes, KeypointMatch | None]:
        one = OnnxKeypointDetector(MODEL).detect(np.asarray(photograph("chelsea.png", 500)))
        return one.xy.tobytes(), one.descriptors.tobytes(), match_keypoints(one, detected_in("chelsea.png"))

    assert once() == once()


def noise(width: int, height: int) -> Pixels:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize(
    "pixels",
    [
        *(np.full((*size, 3), 90, np.uint8) for size in ((1, 1), (1, 5000), (5000, 1), (300, 300))),
        np.repeat(np.linspace(0, 255, 600).astype(np.uint8)[None, :, None], 400, axis=0).repeat(3, axis=2),
    ],
    ids=["one pixel", "a line", "a column", "flat", "gradient"],
)
def test_pictures_without_structure_have_no_match(pixels: Pixels) -> None:
    plain = detector().detect(pixels)
    assert np.isfinite(plain.xy).all()
    for other in (plain, detected_in("chelsea.png")):
        match = match_keypoints(plain, other)
        assert match is None or match.inliers < 9


@pytest.mark.parametrize("size", [(1, 1), (3000, 20), (20, 3000), (60, 60), (900, 200), (2000, 1500)], ids=str)
def test_noise_of_any_shape_has_keypoints_inside_of_it(size: tuple[int, int]) -> None:
    found = detector().detect(noise(*size))
    assert len(found.xy) <= len(LONGER_SIDES) * MAX_KEYPOINTS
    assert ((found.xy > 0) & (found.xy < 1)).all()
    assert found.descriptors.shape == (len(found.xy), DESCRIPTOR_CHANNELS)
    lengths = np.linalg.norm(found.descriptors.astype(float), axis=1)
    assert np.allclose(lengths, DESCRIPTOR_SCALE, rtol=0.05)
    assert found.relative_size.tolist() == [size[0] / max(size), size[1] / max(size)]


def test_an_embedder_detects_as_the_detector_does() -> None:
    pixels = np.asarray(photograph("coffee.png", 400))
    assert np.array_equal(OnnxEmbedder(find_model(None)).keypoints(pixels).xy, detector().detect(pixels).xy)


def test_an_embedder_without_that_file_is_refused_at_once() -> None:
    with pytest.raises(ModelError, match=r"card\.json: No such file or directory; run `make model`$"):
        OnnxEmbedder(find_model(None), keypoints=ROOT / "nowhere/model.onnx")


def test_another_network_is_refused() -> None:
    with pytest.raises(ModelError, match="does not answer xy and descriptors"):
        OnnxKeypointDetector(find_model(None))


def test_the_model_is_made_to_the_byte_as_its_card_says() -> None:
    model = export_onnx.build_keypoints(WEIGHTS, MODEL.parent)
    assert model == MODEL.read_bytes()
    promised = json.loads((MODEL.parent / CARD).read_text())["files"]["model.onnx"]
    assert hashlib.sha256(model).hexdigest() == promised


def test_the_graph_computes_what_the_weights_say() -> None:
    """The head of keypoints, in NumPy, of a picture of 32 × 32 pixels whose only peak is its corner."""
    source = json.loads((MODEL.parent / CARD).read_text())["sources"][0]
    weights = torch_weights.read_archive(WEIGHTS / source["file"], source["sha256"])
    grey = np.asarray(photograph("chelsea.png", 400).convert("L").crop((100, 60, 132, 92)))
    session = onnxruntime.InferenceSession(str(MODEL), providers=["CPUExecutionProvider"])
    xy, scores = session.run(["xy", "scores"], {"grey": grey})
    levels = grey.astype(np.float64) / 255
    levels = (levels - levels.mean()) / np.sqrt(levels.var() + 1e-5)
    x = levels.reshape(4, 8, 4, 8).transpose(0, 2, 1, 3).reshape(16, 64)
    for number in range(3):
        layer = f"keypoint_head.{number}.layer"
        x = x @ weights[f"{layer}.0.weight"][:, :, 0, 0].T.astype(np.float64)
        x = (x - weights[f"{layer}.1.running_mean"]) / np.sqrt(weights[f"{layer}.1.running_var"] + 1e-5)
        x = np.maximum(x, 0)
    logits = x @ weights["keypoint_head.3.weight"][:, :, 0, 0].T + weights["keypoint_head.3.bias"]
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares = (shares / shares.sum(axis=1, keepdims=True))[:, :64]
    heat = shares.reshape(4, 4, 8, 8).transpose(0, 2, 1, 3).reshape(32, 32)
    places = np.floor(xy * 32).astype(int)
    assert len(places) > 5
    for (column, row), score in zip(places, scores, strict=True):
        window = heat[max(row - 2, 0) : row + 3, max(column - 2, 0) : column + 3]
        assert heat[row, column] > 0.048
        assert heat[row, column] >= 0.98 * window.max()
        assert 0 < score <= 1.02 * heat[row, column]
