"""Builds XFeat as an ONNX graph that returns a picture's keypoints with their descriptors.

Potje et al., "XFeat: Accelerated Features for Lightweight Image Matching", CVPR 2024, https://arxiv.org/abs/2404.19174;
code at https://github.com/verlab/accelerated_features. The matching network of the same weights is left out. Batch
normalisation is folded in float64 and rounded once to float16, so the same weights give the same bytes on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from lookalike.domain.keypoints import DESCRIPTOR_CHANNELS, DESCRIPTOR_SCALE
from lookalike.training.onnx_graph import IR_VERSION, OPSET, Graph
from lookalike.training.torch_weights import Weights

#: Epsilon of batch and instance normalisation (PyTorch's default).
EPSILON = 1e-5

#: Pixels a side of a cell of the dense maps.
CELL = 8

#: Keypoints of a picture at most, those with the highest scores.
MAX_KEYPOINTS = 512

#: Pixels of a picture for each of its keypoints at least: where they are many, small pictures have fewer.
MIN_PIXELS = 108

#: Probability from which a pixel is a keypoint (the authors' default).
MIN_PROBABILITY = 0.05

#: Pixels: side of the window in which a keypoint is the most probable one (the authors').
NMS_SIDE = 5


def model(weights: Weights) -> onnx.ModelProto:
    """Return the checked model. Raises KeyError if a weight is missing.

    The input is ``grey``: uint8 of shape (height, width), both multiples of 32. The outputs are ``xy``, float32 (n, 2),
    the keypoints' positions as fractions of width and height; ``scores``, float32 (n,), falling; and ``descriptors``,
    int8 (n, 64), unit vectors times DESCRIPTOR_SCALE.
    """
    network = _Network(weights)
    graph = network.graph
    heat, reliability, features = network.outputs()
    xy, scores = _peaks(graph, heat, reliability)
    outputs: dict[str, tuple[str, int, Sequence[str | int]]] = {
        "xy": (xy, TensorProto.FLOAT, ["n", 2]),
        "scores": (scores, TensorProto.FLOAT, ["n"]),
        "descriptors": (_described(graph, features, xy), TensorProto.INT8, ["n", DESCRIPTOR_CHANNELS]),
    }
    for name, (value, _, _) in outputs.items():
        graph.nodes.append(helper.make_node("Identity", [value], [name]))
    body = helper.make_graph(
        graph.nodes,
        "keypoints",
        [helper.make_tensor_value_info("grey", TensorProto.UINT8, ["height", "width"])],
        [helper.make_tensor_value_info(name, number, shape) for name, (_, number, shape) in outputs.items()],
        graph.constants,
    )
    opset = helper.make_opsetid("", OPSET)
    made = helper.make_model(body, producer_name="lookalike", opset_imports=[opset], ir_version=IR_VERSION)
    onnx.checker.check_model(made, full_check=True)
    return made


class _Network:
    """XFeat's network."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self.graph = Graph()

    def outputs(self) -> tuple[str, str, str]:
        """Add the network; return ``heat``, ``reliability`` and ``features``.

        ``heat``, (1, 1, height, width), is each pixel's probability of being a keypoint; 0 where another pixel of the
        window is more probable, or it is too small. ``reliability``, (1, 1, height / 8, width / 8), is that of the
        keypoints there. ``features``, (1, 64, height / 8, width / 8), are unit vectors.
        """
        graph = self.graph
        grey = self._normalised()
        logits = self._chain(graph.op("SpaceToDepth", grey, blocksize=CELL), "keypoint_head", 3)
        logits = self._last(logits, "keypoint_head.3")
        fused = self._fused(grey)
        reliability = graph.op("Sigmoid", self._last(self._chain(fused, "heatmap_head", 2), "heatmap_head.2"))
        return self._suppressed(logits), reliability, graph.unit(fused)

    def _normalised(self) -> str:
        graph = self.graph
        grey = graph.op("Unsqueeze", "grey", graph.constant(np.array([0, 1], np.int64)))
        grey = graph.op("Cast", grey, to=TensorProto.FLOAT)
        # Of grey levels up to 255, not 1, so that epsilon is scaled alike.
        one, zero = (graph.constant(np.array([value], np.float32)) for value in (1, 0))
        return graph.op("InstanceNormalization", grey, one, zero, epsilon=EPSILON * 255**2)

    def _fused(self, grey: str) -> str:
        """Add the backbone, and the fusion of its three last scales."""
        graph = self.graph
        pooled = graph.op("AveragePool", grey, kernel_shape=[4, 4], strides=[4, 4])
        x = self._chain(grey, "block1", 4, strides=(1, 2, 1, 2))
        x = self._chain(graph.op("Add", x, self._last(pooled, "skip1.1")), "block2", 2)
        eighth = self._chain(x, "block3", 3, strides=(2, 1, 1))
        sixteenth = self._chain(eighth, "block4", 3, strides=(2, 1, 1))
        thirty_second = self._chain(sixteenth, "block5", 4, strides=(2, 1, 1, 1))
        summed = graph.op("Sum", eighth, self._enlarged(sixteenth, 2), self._enlarged(thirty_second, 4))
        return self._last(self._chain(summed, "block_fusion", 2), "block_fusion.2")

    def _suppressed(self, logits: str) -> str:
        graph = self.graph
        shares = graph.op("Softmax", logits, axis=1)
        begin, end, axis = (graph.constant(np.array([at], np.int64)) for at in (0, CELL * CELL, 1))
        probability = graph.op("DepthToSpace", graph.op("Slice", shares, begin, end, axis), blocksize=CELL)
        side = [NMS_SIDE, NMS_SIDE]
        largest = graph.op("MaxPool", probability, kernel_shape=side, pads=[NMS_SIDE // 2] * 4)
        peak = graph.op(
            "And",
            graph.op("Equal", probability, largest),
            graph.op("Greater", probability, graph.number(MIN_PROBABILITY)),
        )
        return graph.op("Where", peak, probability, graph.number(0))

    def _enlarged(self, x: str, factor: int) -> str:
        scales = self.graph.constant(np.array([1, 1, factor, factor], np.float32))
        return self.graph.op("Resize", x, "", scales, mode="linear", coordinate_transformation_mode="half_pixel")

    def _chain(self, x: str, name: str, count: int, strides: tuple[int, ...] = ()) -> str:
        """Add so many convolutions, each with batch normalisation folded in and ReLU."""
        for number in range(count):
            kernel, bias = self._folded(f"{name}.{number}.layer")
            stride = strides[number] if strides else 1
            x = self.graph.op("Relu", self._convolve(x, kernel, bias, stride))
        return x

    def _last(self, x: str, layer: str) -> str:
        """Add a convolution alone."""
        return self._convolve(x, self._weights[f"{layer}.weight"], self._weights[f"{layer}.bias"], 1)

    def _convolve(self, x: str, kernel: NDArray[np.generic], bias: NDArray[np.generic], stride: int) -> str:
        graph, padding = self.graph, kernel.shape[2] // 2
        weight, offset = graph.half(kernel), graph.constant(bias.astype(np.float32))
        return graph.op("Conv", x, weight, offset, strides=[stride, stride], pads=[padding] * 4)

    def _folded(self, layer: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return kernel and bias of a convolution without bias, with the batch normalisation after it folded in."""
        kernel = self._weights[f"{layer}.0.weight"].astype(np.float64)
        mean, variance = (
            self._weights[f"{layer}.1.{name}"].astype(np.float64) for name in ("running_mean", "running_var")
        )
        gain = 1 / np.sqrt(variance + EPSILON)
        return kernel * gain[:, None, None, None], -mean * gain


def _peaks(graph: Graph, heat: str, reliability: str) -> tuple[str, str]:
    """Add the keypoints with the highest scores, probability times reliability; return their positions and scores."""
    size = graph.op("Gather", graph.op("Shape", heat), graph.constant(np.array([3, 2], np.int64)), axis=0)
    places = graph.op("Transpose", graph.op("NonZero", heat), perm=[1, 0])
    xy = _positions(graph, places, size)
    reliable = _sampled(graph, reliability, xy)
    probable = graph.op("GatherND", heat, places)
    scores = graph.op("Mul", probable, graph.op("Squeeze", reliable, graph.constant(np.array([0], np.int64))))
    pixels = graph.op("ReduceProd", size, keepdims=1)
    room = graph.op("Div", pixels, graph.constant(np.array([MIN_PIXELS], np.int64)))
    most = graph.op("Min", graph.op("Shape", scores), room, graph.constant(np.array([MAX_KEYPOINTS], np.int64)))
    highest, rows = f"{scores}_highest", f"{scores}_rows"
    graph.nodes.append(helper.make_node("TopK", [scores, most], [highest, rows], axis=0))
    return graph.op("Gather", xy, rows, axis=0), highest


def _positions(graph: Graph, places: str, size: str) -> str:
    """Add the centres of pixels, given their indices in a map, as fractions of its width and height."""
    pixels = graph.op("Gather", places, graph.constant(np.array([3, 2], np.int64)), axis=1)
    centres = graph.op("Add", graph.op("Cast", pixels, to=TensorProto.FLOAT), graph.number(0.5))
    return graph.op("Div", centres, graph.op("Cast", size, to=TensorProto.FLOAT))


def _sampled(graph: Graph, features: str, xy: str) -> str:
    """Add a map's values at these positions, of shape (channels, n).

    Interpolated bilinearly: the authors' bicubic finds no more, and takes a tenth of the time.
    """
    across = graph.op("Sub", graph.op("Mul", xy, graph.number(2)), graph.number(1))
    grid = graph.op("Unsqueeze", across, graph.constant(np.array([0, 1], np.int64)))
    sampled = graph.op("GridSample", features, grid, mode="bilinear", padding_mode="border", align_corners=0)
    return graph.op("Squeeze", sampled, graph.constant(np.array([0, 2], np.int64)))


def _described(graph: Graph, features: str, xy: str) -> str:
    """Add the descriptors at these positions, as int8 (n, 64)."""
    rows = graph.op("Transpose", _sampled(graph, features, xy), perm=[1, 0])
    scaled = graph.op("Mul", graph.unit(rows), graph.number(DESCRIPTOR_SCALE))
    limited = graph.op("Clip", graph.op("Round", scaled), graph.number(-127), graph.number(127))
    return graph.op("Cast", limited, to=TensorProto.INT8)
