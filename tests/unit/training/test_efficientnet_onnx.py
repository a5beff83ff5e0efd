"""Which network weights belong to, and how a feature map is resampled to its number of cells."""

from __future__ import annotations

import numpy as np
import pytest

from lookalike.training import efficientnet_onnx
from lookalike.training.torch_weights import Weights, WeightsError


def last_block(size: efficientnet_onnx.Size) -> Weights:
    blocks = sum(stage.repeats for stage in size.stages)
    return {f"_blocks.{blocks - 1}._project_conv.weight": np.zeros((size.stages[-1].channels, 8, 1, 1))}


@pytest.mark.parametrize("size", [efficientnet_onnx.LITE0, efficientnet_onnx.LITE2])
def test_weights_say_which_network_they_are_for(size: efficientnet_onnx.Size) -> None:
    assert efficientnet_onnx.size_of(last_block(size)) is size


def test_weights_of_another_network_are_refused() -> None:
    with pytest.raises(WeightsError, match="weights of neither lite0-224 nor lite2-260"):
        efficientnet_onnx.size_of({"_blocks.20._project_conv.weight": np.zeros((320, 8, 1, 1))})  # EfficientNet-Lite1


def test_fewer_cells_are_means_of_the_area_they_cover() -> None:
    assert efficientnet_onnx._shares(4, 2).tolist() == [[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]]
    assert np.allclose(efficientnet_onnx._shares(3, 2), [[2 / 3, 1 / 3, 0], [0, 1 / 3, 2 / 3]])
    shares = efficientnet_onnx._shares(17, 14)
    assert np.allclose(shares.sum(axis=1), 1)
    assert np.allclose(shares.sum(axis=0), 14 / 17)
