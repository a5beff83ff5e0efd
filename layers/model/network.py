"""EfficientNet-Lite0 as an ONNX graph: the trunk, its descriptors, and the heads on top of them.

Architecture and preprocessing: https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite.
All folding is element-wise float64, rounded once to float16, so the same weights and heads make the same bytes
on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from heads import DESCRIPTORS, Heads, Projection
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from pth import Weights

#: Side of the square the network sees, in pixels.
SIDE = 224

#: Batch normalisation's epsilon in EfficientNet.
EPSILON = 1e-3

#: The exponent of generalised-mean pooling, Radenović et al., https://arxiv.org/abs/1711.02512.
GEM_POWER = 3.0

#: The block whose output is the local map: 14×14 cells of 80 numbers.
MAP_BLOCK = 7

#: A unit vector's largest number, as int8.
MAP_SCALE = 127.0

#: What onnxruntime has read since 2022; the graph needs nothing newer.
OPSET, IR_VERSION = 17, 8


@dataclass(frozen=True, slots=True)
class Stage:
    """Blocks of one shape. Only the first has the stride."""

    kernel: int
    stride: int
    expansion: int
    channels: int
    repeats: int


STAGES = (
    Stage(3, 1, 1, 16, 1),
    Stage(3, 2, 6, 24, 2),
    Stage(5, 2, 6, 40, 2),
    Stage(3, 2, 6, 80, 3),
    Stage(5, 1, 6, 112, 3),
    Stage(5, 2, 6, 192, 4),
    Stage(3, 1, 6, 320, 1),
)


@dataclass(frozen=True, slots=True)
class Activation:
    """A tensor in the graph, shape N × channels × side × side."""

    name: str
    channels: int
    side: int


class _Graph:
    """ONNX nodes and constants, in the order they are asked for."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node; its output's name."""
        output = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def constant(self, array: NDArray[Any]) -> str:
        """Add a constant as it is."""
        name = f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def number(self, value: float) -> str:
        """Add a float32 number."""
        return self.constant(np.array(value, np.float32))

    def half(self, array: NDArray[Any]) -> str:
        """Add a matrix, kept as float16 and widened to float32 when the model is loaded."""
        return self.op("Cast", self.constant(array.astype(np.float16)), to=TensorProto.FLOAT)

    def unit(self, x: str) -> str:
        """L2-normalise along the channels; zeros stay zeros."""
        norm = self.op("ReduceL2", x, axes=[1], keepdims=1)
        return self.op("Div", x, self.op("Max", norm, self.number(1e-12)))

    def gem(self, x: str) -> str:
        """Generalised mean over the picture, of values that are not negative."""
        power = self.op("Mul", self.op("Mul", x, x), x)
        mean = self.op("GlobalAveragePool", power)
        return self.op("Pow", mean, self.number(1 / GEM_POWER))

    def project(self, x: str, projection: Projection) -> str:
        """``unit(matrix · (x − mean))`` in every cell. As a convolution its result does not depend on the batch."""
        mean = self.constant(projection.mean.astype(np.float32).reshape(1, -1, 1, 1))
        kernel = self.half(projection.matrix[:, :, None, None])
        return self.unit(self.op("Conv", self.op("Sub", x, mean), kernel))


class Network:
    """The trunk of EfficientNet-Lite0, built once; then whatever outputs are asked for.

    Its input is ``pictures``: uint8 RGB of shape (N, 224, 224, 3). Raises KeyError if a weight is missing.
    """

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._graph = _Graph()
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
        """Add every one of DESCRIPTORS: float32 (N, channels), L2-normalised."""
        for name in DESCRIPTORS:
            self._output(name, self._graph.op("Flatten", self._descriptor(name), axis=1), TensorProto.FLOAT, None)
        return self

    def cells(self) -> Network:
        """Add ``cells``: float32 (N, 80, 14, 14), what the local map is made of, L2-normalised per cell."""
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
        side = self._blocks[MAP_BLOCK].side
        shape = (side, side, len(heads.map.matrix))
        self._output("map", graph.op("Transpose", whole, perm=[0, 2, 3, 1]), TensorProto.INT8, *shape)
        return self

    def model(self) -> onnx.ModelProto:
        """The finished, checked model."""
        pictures = helper.make_tensor_value_info("pictures", TensorProto.UINT8, ["N", SIDE, SIDE, 3])
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
        centred = graph.op("Sub", graph.op("Transpose", pixels, perm=[0, 3, 1, 2]), graph.number(127))
        x = Activation(graph.op("Mul", centred, graph.number(1 / 128)), 3, SIDE)
        x = self._convolve(x, "_conv_stem", "_bn0", stride=2)
        for stage in STAGES:
            for repeat in range(stage.repeats):
                x = self._block(x, stage, stage.stride if repeat == 0 else 1)
        return self._convolve(x, "_conv_head", "_bn1")

    def _block(self, x: Activation, stage: Stage, stride: int) -> Activation:
        """An inverted bottleneck: expand, filter each channel, project, and add the input where shapes agree."""
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
        """Convolution with batch normalisation folded in, TensorFlow's SAME padding, and ReLU6."""
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
        """Kernel and bias of a convolution and the batch normalisation after it."""
        kernel = self._weights[f"{layer}.weight"].astype(np.float64)
        scale, shift, mean, variance = (
            self._weights[f"{norm}.{name}"].astype(np.float64)
            for name in ("weight", "bias", "running_mean", "running_var")
        )
        gain = scale / np.sqrt(variance + EPSILON)
        return kernel * gain[:, None, None, None], shift - mean * gain

    def _descriptor(self, name: str) -> str:
        """A descriptor by its name in DESCRIPTORS, N × channels × 1 × 1, L2-normalised."""
        if name not in self._descriptors:
            pooling, _, place = name.partition("_")
            source = self._head if place == "head" else self._expansions[int(place)]
            graph = self._graph
            pooled = graph.gem(source.name) if pooling == "gem" else graph.op("GlobalAveragePool", source.name)
            self._descriptors[name] = graph.unit(pooled)
        return self._descriptors[name]

    def _cells(self) -> str:
        return self._graph.unit(self._blocks[MAP_BLOCK].name)
