"""Builds EfficientNet-Lite as an ONNX graph: the trunk, its descriptors, and the heads on top of them.

Architecture and preprocessing: https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite.
Batch normalisation is folded element-wise in float64 and rounded once to float16, so the same weights and heads give the
same bytes on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from lookalike.embedding.feature_map import MAP_SCALE
from lookalike.training.heads import Heads, Projection, descriptors
from lookalike.training.onnx_graph import IR_VERSION, OPSET, Graph
from lookalike.training.torch_weights import Weights, WeightsError

#: Batch normalisation's epsilon in EfficientNet.
EPSILON = 1e-3

#: The exponent of generalised-mean pooling, Radenović et al., https://arxiv.org/abs/1711.02512.
GEM_POWER = 3.0

#: Cells a side of the feature map, for every network.
MAP_SIDE = 14

#: Standard deviation of the weights around the centre of a picture, in halves of its side.
CENTRE_SIGMA = 0.5

#: Levels of red, green and blue in the palette of the colour histogram.
COLOUR_LEVELS = 4

#: Standard deviation of a colour's spread over the palette, as a share of 255.
COLOUR_SPREAD = 0.12

#: Side of the squares whose mean colours are counted, in pixels.
COLOUR_SQUARE = 8

#: Norm of the colour histogram beside other descriptors, whose norm is 1.
COLOUR_LENGTH = 0.5


@dataclass(frozen=True, slots=True)
class Stage:
    """A run of blocks of one shape. Only the first has the stride."""

    kernel: int
    stride: int
    expansion: int
    channels: int
    repeats: int


@dataclass(frozen=True, slots=True)
class Size:
    """One of the networks.

    ``side`` is that of its square input, in pixels; ``map_block`` the block whose output is the feature map; ``taps``
    the blocks whose expansions are pooled for `same`.
    """

    name: str
    side: int
    map_block: int
    taps: tuple[int, ...]
    stages: tuple[Stage, ...]


LITE0 = Size(
    name="lite0-224",
    side=224,
    map_block=7,
    taps=(15, 13, 11, 8, 5),
    stages=(
        Stage(3, 1, 1, 16, 1),
        Stage(3, 2, 6, 24, 2),
        Stage(5, 2, 6, 40, 2),
        Stage(3, 2, 6, 80, 3),
        Stage(5, 1, 6, 112, 3),
        Stage(5, 2, 6, 192, 4),
        Stage(3, 1, 6, 320, 1),
    ),
)

LITE2 = Size(
    name="lite2-260",
    side=260,
    map_block=10,
    taps=(20, 18, 15, 11, 7),
    stages=(
        Stage(3, 1, 1, 16, 1),
        Stage(3, 2, 6, 24, 3),
        Stage(5, 2, 6, 48, 3),
        Stage(3, 2, 6, 88, 4),
        Stage(5, 1, 6, 120, 4),
        Stage(5, 2, 6, 208, 5),
        Stage(3, 1, 6, 352, 1),
    ),
)


def size_of(weights: Weights) -> Size:
    """Return the network that weights belong to. Raises WeightsError for an unknown one."""
    for size in (LITE0, LITE2):
        last = weights.get(f"_blocks.{sum(stage.repeats for stage in size.stages) - 1}._project_conv.weight")
        if last is not None and len(last) == size.stages[-1].channels:
            return size
    raise WeightsError(f"weights of neither {LITE0.name} nor {LITE2.name}")


@dataclass(frozen=True, slots=True)
class Activation:
    """A tensor in the graph, of shape (N, channels, side, side)."""

    name: str
    channels: int
    side: int


class _Graph(Graph):
    """The graph with the network's own pieces."""

    def gem(self, x: str, centre: str | None = None) -> str:
        """Add the generalised mean over the positions, of non-negative values; ``centre`` weights the positions."""
        power = self.op("Mul", self.op("Mul", x, x), x)
        return self.op("Pow", self.mean(power, centre), self.number(1 / GEM_POWER))

    def mean(self, x: str, centre: str | None = None) -> str:
        """Add the mean over the positions; ``centre`` weights them."""
        return self.op("GlobalAveragePool", x if centre is None else self.op("Mul", x, centre))

    def centre(self, side: int) -> str:
        """Add Gaussian weights of ``side`` × ``side`` positions around the centre, with a mean of 1."""
        away = np.linspace(-1, 1, side)
        bell = np.exp(-(away**2) / (2 * CENTRE_SIGMA**2))
        weights = np.outer(bell, bell)
        return self.constant((weights / weights.mean()).astype(np.float32)[None, None])

    def project(self, x: str, projection: Projection) -> str:
        """Add ``unit(matrix · (x − mean))`` in every cell. As a convolution its result does not depend on the batch."""
        mean = self.constant(projection.mean.astype(np.float32).reshape(1, -1, 1, 1))
        kernel = self.half(projection.matrix[:, :, None, None])
        return self.unit(self.op("Conv", self.op("Sub", x, mean), kernel))


class Network:
    """The trunk of an EfficientNet-Lite, to which outputs are added.

    The input is ``pictures``: uint8 RGB of shape (N, side, side, 3). Raises WeightsError for weights of an unknown
    network, KeyError if a weight is missing.
    """

    def __init__(self, weights: Weights) -> None:
        self._size = size_of(weights)
        self._weights = weights
        self._graph = _Graph()
        self._pixels = ""
        self._outputs: list[onnx.ValueInfoProto] = []
        self._expansions: dict[int, Activation] = {}
        self._blocks: list[Activation] = []
        self._descriptors: dict[str, str] = {}
        self._head = self._trunk()

    def classes(self) -> Network:
        """Add ``classes``: float32 (N, 1000), the logits of ImageNet's classes."""
        graph, weights = self._graph, self._weights
        pooled = graph.op("Flatten", graph.op("GlobalAveragePool", self._head.name), axis=1)
        matrix, bias = graph.half(weights["_fc.weight"]), graph.constant(weights["_fc.bias"].astype(np.float32))
        self._output("classes", graph.op("Gemm", pooled, matrix, bias, transB=1), TensorProto.FLOAT, 1000)
        return self

    def descriptors(self) -> Network:
        """Add all descriptors of the heads: float32 (N, channels), of norm 1; ``colour`` has norm COLOUR_LENGTH."""
        for name in descriptors(self._size.taps):
            self._output(name, self._graph.op("Flatten", self._descriptor(name), axis=1), TensorProto.FLOAT, None)
        return self

    def cells(self) -> Network:
        """Add ``cells``: float32 (N, channels, 14, 14), the feature map before projection, L2-normalised per cell."""
        self._output("cells", self._cells(), TensorProto.FLOAT, None, None, None)
        return self

    def heads(self, heads: Heads) -> Network:
        """Add a vector per kind, float32 (N, 256), L2-normalised, and ``map``, int8 (N, 14, 14, 32)."""
        graph = self._graph
        for kind, head in heads.kinds.items():
            joined = graph.op("Concat", *map(self._descriptor, head.descriptors), axis=1)
            vector = graph.op("Flatten", graph.project(joined, head.projection), axis=1)
            self._output(kind, vector, TensorProto.FLOAT, len(head.projection.matrix))
        cells = graph.op("Mul", graph.project(self._cells(), heads.map), graph.number(MAP_SCALE))
        whole = graph.op("Cast", graph.op("Round", cells), to=TensorProto.INT8)
        shape = (MAP_SIDE, MAP_SIDE, len(heads.map.matrix))
        self._output("map", graph.op("Transpose", whole, perm=[0, 2, 3, 1]), TensorProto.INT8, *shape)
        return self

    def model(self) -> onnx.ModelProto:
        """Return the finished, checked model."""
        pictures = helper.make_tensor_value_info(
            "pictures", TensorProto.UINT8, ["N", self._size.side, self._size.side, 3]
        )
        graph = self._graph
        body = helper.make_graph(graph.nodes, "lookalike", [pictures], self._outputs, graph.constants)
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(body, producer_name="lookalike", opset_imports=[opset], ir_version=IR_VERSION)
        onnx.checker.check_model(model, full_check=True)
        return model

    def _output(self, name: str, value: str, number_type: int, *shape: int | None) -> None:
        self._graph.nodes.append(helper.make_node("Identity", [value], [name]))
        self._outputs.append(helper.make_tensor_value_info(name, number_type, ["N", *shape]))

    def _trunk(self) -> Activation:
        graph = self._graph
        pixels = graph.op("Cast", "pictures", to=TensorProto.FLOAT)
        self._pixels = graph.op("Transpose", pixels, perm=[0, 3, 1, 2])
        centred = graph.op("Sub", self._pixels, graph.number(127))
        x = Activation(graph.op("Mul", centred, graph.number(1 / 128)), 3, self._size.side)
        x = self._convolve(x, "_conv_stem", "_bn0", stride=2)
        for stage in self._size.stages:
            for repeat in range(stage.repeats):
                x = self._block(x, stage, stage.stride if repeat == 0 else 1)
        return self._convolve(x, "_conv_head", "_bn1")

    def _block(self, x: Activation, stage: Stage, stride: int) -> Activation:
        """Add an inverted bottleneck: expand, filter each channel, project, and add the input where shapes agree."""
        number = len(self._blocks)
        name = f"_blocks.{number}"
        y = x
        if stage.expansion > 1:
            y = self._convolve(x, f"{name}._expand_conv", f"{name}._bn0")
            self._expansions[number] = y
        y = self._convolve(y, f"{name}._depthwise_conv", f"{name}._bn1", stride=stride, groups=y.channels)
        y = self._convolve(y, f"{name}._project_conv", f"{name}._bn2", relu=False)
        if stride == 1 and y.channels == x.channels:
            y = Activation(self._graph.op("Add", y.name, x.name), y.channels, y.side)
        self._blocks.append(y)
        return y

    def _convolve(
        self, x: Activation, layer: str, norm: str, *, stride: int = 1, groups: int = 1, relu: bool = True
    ) -> Activation:
        """Add a convolution with batch normalisation folded in, TensorFlow's SAME padding, and ReLU6."""
        graph = self._graph
        kernel, bias = self._folded(layer, norm)
        side = -(-x.side // stride)
        padding = max((side - 1) * stride + kernel.shape[2] - x.side, 0)
        before, after = padding // 2, padding - padding // 2  # TensorFlow puts the odd pixel at the bottom and right
        pads = [before, before, after, after]
        weight, offset = graph.half(kernel), graph.constant(bias.astype(np.float32))
        name = graph.op("Conv", x.name, weight, offset, strides=[stride, stride], pads=pads, group=groups)
        if relu:
            name = graph.op("Clip", name, graph.number(0), graph.number(6))
        return Activation(name, len(kernel), side)

    def _folded(self, layer: str, norm: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return kernel and bias of a convolution with the batch normalisation after it folded in."""
        kernel = self._weights[f"{layer}.weight"].astype(np.float64)
        scale, shift, mean, variance = (
            self._weights[f"{norm}.{name}"].astype(np.float64)
            for name in ("weight", "bias", "running_mean", "running_var")
        )
        gain = scale / np.sqrt(variance + EPSILON)
        return kernel * gain[:, None, None, None], shift - mean * gain

    def _descriptor(self, name: str) -> str:
        """Return the output of a descriptor, (N, channels, 1, 1); add it if it is new."""
        if name not in self._descriptors:
            self._descriptors[name] = self._colour() if name == "colour" else self._pooled(name)
        return self._descriptors[name]

    def _pooled(self, name: str) -> str:
        pooling, _, place = name.partition("_")
        graph, source = self._graph, self._head if place == "head" else self._expansions[int(place)]
        centre = graph.centre(source.side) if pooling.endswith("centre") else None
        pool = graph.gem if pooling.startswith("gem") else graph.mean
        return graph.unit(pool(source.name, centre))

    def _colour(self) -> str:
        """Add a soft colour histogram, square-rooted: each square counts for the palette's colours near its mean."""
        graph = self._graph
        squares = graph.op("AveragePool", self._pixels, kernel_shape=[COLOUR_SQUARE] * 2, strides=[COLOUR_SQUARE] * 2)
        levels = (np.arange(COLOUR_LEVELS) + 0.5) / COLOUR_LEVELS
        palette = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 3)
        # A Gaussian around each colour; the factor common to all colours cancels in the softmax.
        toward = graph.constant((palette / (COLOUR_SPREAD**2 * 255)).astype(np.float32)[:, :, None, None])
        at = graph.constant((-(palette**2).sum(axis=1) / (2 * COLOUR_SPREAD**2)).astype(np.float32))
        shares = graph.op("Softmax", graph.op("Conv", squares, toward, at), axis=1)
        histogram = graph.mean(shares, graph.centre(self._size.side // COLOUR_SQUARE))
        return graph.op("Mul", graph.unit(graph.op("Sqrt", histogram)), graph.number(COLOUR_LENGTH))

    def _cells(self) -> str:
        """Add the feature map's block as MAP_SIDE × MAP_SIDE cells, each the mean of the area it covers."""
        block, graph = self._blocks[self._size.map_block], self._graph
        if block.side == MAP_SIDE:
            return graph.unit(block.name)
        shares = _shares(block.side, MAP_SIDE).astype(np.float32)
        columns = graph.op("MatMul", block.name, graph.constant(shares.T))
        return graph.unit(graph.op("MatMul", graph.constant(shares), columns))


def _shares(cells: int, fewer: int) -> NDArray[np.float64]:
    """Return area-averaging weights from ``cells`` to ``fewer`` cells of the same length: shape (fewer, cells)."""
    ends = np.arange(fewer + 1) * cells / fewer
    begin, end = np.arange(cells), np.arange(1, cells + 1)
    overlap = np.minimum(ends[1:, None], end) - np.maximum(ends[:-1, None], begin)
    share: NDArray[np.float64] = np.clip(overlap, 0, None) * fewer / cells
    return share
