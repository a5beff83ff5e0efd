"""Measures the model alone: threads, batch sizes, its file, and cost and gain of weights stored as float16."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.library import Kind
from lookalike.domain.picture import Pixels
from lookalike.embedding import model_card
from lookalike.embedding.embedder import INPUT, OnnxEmbedder
from lookalike.embedding.model_path import CARD, CODEBOOKS, find_model
from lookalike.embedding.preprocess import square
from lookalike.training import export_onnx, onnx_graph
from tests.bench.report import Report, median_ms_each
from tests.support import photographs

MODEL = find_model(None)
SIDE = model_card.load(MODEL).side
THREADS = (1, 2)
BATCH_SIZES = (1, 5, 8)

MIB = 1 << 20


def measure(report: Report, *, quick: bool) -> None:
    """Measure passes, then weights."""
    pixels = [np.asarray(photographs.photograph(name)) for name in photographs.NAMES]
    passes(report, pixels, 5 if quick else 40)
    weights(report, pixels, 3 if quick else 15)


def passes(report: Report, pixels: Sequence[Pixels], times: int) -> None:
    """Measure milliseconds a picture. The service runs one picture a pass, with one thread."""
    squares = np.stack([square(one, SIDE) for one in pixels])
    sessions = {threads: OnnxEmbedder(MODEL, threads)._session for threads in THREADS}
    runs: dict[tuple[int, int], Callable[[], object]] = {
        (threads, count): partial(session.run, None, {INPUT: squares[:count]})
        for threads, session in sessions.items()
        for count in BATCH_SIZES
    }
    took = {how: ms / how[1] for how, ms in median_ms_each(runs, times).items()}
    for (threads, count), ms in took.items():
        name = f"{count} in a pass, {threads} thread{'s' if threads > 1 else ''}"
        report.add("The model, a picture", name, ms, "ms", floor=took[1, 1])


def weights(report: Report, pixels: Sequence[Pixels], times: int) -> None:
    """Measure the model beside one with weights stored as float32, as they were published."""
    group = "The model's weights as float16, beside float32"
    with tempfile.TemporaryDirectory() as folder:
        files = {"half": MODEL, "whole": placed(Path(folder), as_float32())}
        loading = median_ms_each({name: partial(OnnxEmbedder, file) for name, file in files.items()}, times)
        half, whole = (OnnxEmbedder(file) for file in files.values())
        one = pixels[0]
        took = median_ms_each({"half": lambda: half.embed([one]), "whole": lambda: whole.embed([one])}, 4 * times)
        report.add(group, "file", MODEL.stat().st_size / MIB, "MiB", floor=files["whole"].stat().st_size / MIB)
    report.add(group, "load, digest checked", loading["half"], "ms", floor=loading["whole"])
    report.add(group, "embed a picture", took["half"], "ms", floor=took["whole"])
    for kind in Kind:
        apart = 1 - agreement(half, whole, pixels, kind)
        report.add(group, f"1 − least cosine of both, {kind}", apart, "", aim="≤ 0.001")


def as_float32() -> bytes:
    """Return the model with weights as float32; heads stay float16, as they were fitted."""
    graph = onnx_graph.Graph
    half = graph.half

    def constant(self: onnx_graph.Graph, array: NDArray[np.floating]) -> str:
        return self.constant(array.astype(np.float32))

    graph.half = constant  # type: ignore[method-assign]
    try:
        return export_onnx.build(photographs.ROOT / "build/weights")
    finally:
        graph.half = half  # type: ignore[method-assign]


def placed(folder: Path, model: bytes) -> Path:
    """Write the model to a folder with a matching card; return its path."""
    shutil.copy(MODEL.parent / CODEBOOKS, folder)
    content = json.loads((MODEL.parent / CARD).read_text())
    content["files"]["model.onnx"] = hashlib.sha256(model).hexdigest()
    (folder / CARD).write_text(json.dumps(content))
    (folder / "model.onnx").write_bytes(model)
    return folder / "model.onnx"


def agreement(half: OnnxEmbedder, whole: OnnxEmbedder, pixels: Sequence[Pixels], kind: Kind) -> float:
    """Return the minimum cosine between the two models' vectors of a picture."""
    both = [[made.vectors[kind].astype(np.float64) for made in one.embed(pixels)] for one in (half, whole)]
    cosines = [a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in zip(*both, strict=True)]
    return float(min(cosines))
