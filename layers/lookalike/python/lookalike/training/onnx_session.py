"""Runs an ONNX graph on many pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image

from lookalike.domain.library import Kind
from lookalike.embedding.preprocess import square
from lookalike.training.fitted_views import fitted_crops
from lookalike.training.progress import parallel_map

Arrays = dict[str, NDArray[Any]]


class OnnxSession:
    """A graph under onnxruntime, one thread a picture."""

    def __init__(self, model: bytes) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._side = self._session.get_inputs()[0].shape[1]
        self._outputs = [output.name for output in self._session.get_outputs()]

    def run(self, stage: str, draw: Sequence[Callable[[], Image.Image]], kind: Kind | None = None) -> Arrays:
        """Return each output by name for every picture drawn, of shape (pictures, …).

        With ``kind``, each picture is cropped as a query of that kind, and the shape is (pictures, crops, …). ``stage``
        names the work in the progress bar.
        """

        def one(drawn: Callable[[], Image.Image]) -> list[NDArray[Any]]:
            pixels = np.asarray(drawn())
            batch = [square(view, self._side) for view in (fitted_crops(kind, pixels) if kind else [pixels])]
            answers: list[NDArray[Any]] = self._session.run(self._outputs, {"pictures": np.stack(batch)})
            return answers if kind else [answer[0] for answer in answers]

        rows = parallel_map(stage, one, draw)
        return {name: np.stack([row[i] for row in rows]) for i, name in enumerate(self._outputs)}
