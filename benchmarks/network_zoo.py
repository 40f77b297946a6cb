# SPDX-License-Identifier: Apache-2.0
"""Networks of well-known shapes with seeded random weights, in standard ONNX operators: for when no file is at hand.

python -m benchmarks.network_zoo gpt2 gpt2.onnx       # its weights go to gpt2.onnx.data beside it
"""

import argparse
from collections.abc import Callable, Sequence
from math import prod, sqrt
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

__all__ = [
    "BUILDERS",
    "gpt2",
    "mobilenet_v2",
    "resnet18",
    "vit_block",
    "write",
]

OPSET, IR_VERSION = 20, 10
_FLOAT, _INT64 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
_RANGE = 4.0  # of activations whose standard deviation is about 1: what their int8 scales cover
_PAGE = 4096  # external tensors begin at multiples, so that they can be mapped
_INLINE = 1024  # bytes: smaller tensors stay in the model
_POSITIONS = 1024  # of GPT-2
Size = int | str  # of an axis: a number, or a name that the reader of the file gives one


class _Graph:
    """An ONNX graph under construction.

    Weights are drawn so that activations keep a standard deviation of about 1. In the "int8" form every tensor between
    layers is quantized to int8 with one scale, weights with one a filter, biases to int32.
    """

    def __init__(self, seed: int, form: str = "float", data: BinaryIO | None = None) -> None:
        if form not in ("float", "int8"):
            raise ValueError(f"form must be 'float' or 'int8', not {form!r}")
        self.quantized = form == "int8"
        self._nodes: list[onnx.NodeProto] = []
        self._tensors: list[onnx.TensorProto] = []
        self._scales: dict[str, float] = {}
        self._random = np.random.default_rng(seed)
        self._data = data

    def normal(self, *shape: int, deviation: float) -> NDArray[np.float32]:
        """Draw values of a normal distribution."""
        return self._random.standard_normal(shape, np.float32) * np.float32(deviation)

    def constant(self, array: Any, dtype: Any = np.float32) -> str:
        """Add an initializer; a large one to the file of external data, if there is one."""
        values = np.asarray(array, dtype)
        name = f"c{len(self._tensors)}"
        if self._data is None or values.nbytes < _INLINE:
            self._tensors.append(numpy_helper.from_array(values, name))
            return name
        self._data.write(bytes(-self._data.tell() % _PAGE))
        tensor = onnx.TensorProto(name=name, data_type=helper.np_dtype_to_tensor_dtype(values.dtype), dims=values.shape)
        tensor.data_location = onnx.TensorProto.EXTERNAL
        place = {"location": Path(self._data.name).name, "offset": self._data.tell(), "length": values.nbytes}
        for key, value in place.items():
            tensor.external_data.add(key=key, value=str(value))
        values.tofile(self._data)
        self._tensors.append(tensor)
        return name

    def node(self, operator: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        """Add a node, and return the name of its output, or of all of several."""
        index = len(self._nodes)
        names = [f"{operator.lower()}_{index}" + (f"_{i}" if outputs > 1 else "") for i in range(outputs)]
        self._nodes.append(helper.make_node(operator, inputs, names, name=f"{operator}_{index}", **attributes))
        return names[0] if outputs == 1 else names

    def between(self, name: str, *, positive: bool = False) -> str:
        """Quantize a tensor between layers, where the network is quantized."""
        if not self.quantized:
            return name
        scale = _RANGE / (255 if positive else 127)
        parameters = self.constant(scale), self.constant(-128 if positive else 0, np.int8)
        result = self.node("DequantizeLinear", self.node("QuantizeLinear", name, *parameters), *parameters)
        self._scales[result] = scale
        return str(result)

    def weights(self, values: NDArray[np.float32], x: str) -> tuple[str, str]:
        """Add filters and a bias of each (its standard deviation 0.1), for an input x."""
        bias = self.normal(len(values), deviation=0.1)
        if not self.quantized:
            return self.constant(values), self.constant(bias)
        scales = np.abs(values).reshape(len(values), -1).max(axis=1) / np.float32(127)
        codes = np.rint(values / scales.reshape(-1, *[1] * (values.ndim - 1)))
        units = scales * np.float32(self._scales[x])
        weight = self.constant(codes, np.int8), self.constant(scales), self.constant(np.zeros(len(scales)), np.int8)
        added = self.constant(np.rint(bias / units), np.int32), self.constant(units)
        zeros = self.constant(np.zeros(len(scales)), np.int32)
        return (
            self.node("DequantizeLinear", *weight, axis=0),
            self.node("DequantizeLinear", *added, zeros, axis=0),
        )

    def conv(
        self, x: str, sizes: tuple[int, int], kernel: int, stride: int, *, groups: int = 1, activation: str = ""
    ) -> str:
        """Add a convolution from so many channels to so many, its activation ("", "Relu", "Relu6") and quantization."""
        channels, filters = sizes
        fan_in = channels // groups * kernel * kernel
        deviation = sqrt((2 if activation else 1) / fan_in)
        weight, bias = self.weights(self.normal(filters, channels // groups, kernel, kernel, deviation=deviation), x)
        y = self.node("Conv", x, weight, bias, strides=[stride] * 2, pads=[kernel // 2] * 4, group=groups)
        if activation == "Relu":
            y = self.node("Relu", y)
        elif activation:
            y = self.node("Clip", y, self.constant(0.0), self.constant(6.0))
        return self.between(y, positive=bool(activation))

    def head(self, x: str, channels: int, classes: int) -> str:
        """Add the mean over each channel and a fully connected layer."""
        pooled = self.between(self.node("GlobalAveragePool", x), positive=True)
        flat = self.between(self.node("Flatten", pooled), positive=True)
        weight, bias = self.weights(self.normal(classes, channels, deviation=1 / sqrt(channels)), flat)
        return self.between(self.node("Gemm", flat, weight, bias, transB=1))

    def linear(self, x: str, rows: int, columns: int, gain: float = 1.0) -> str:
        """Add a matrix product with weights of (rows, columns) and a bias, as transformers are exported."""
        weight = self.constant(self.normal(rows, columns, deviation=gain / sqrt(rows)))
        return str(self.node("Add", self.node("MatMul", x, weight), self.constant(np.zeros(columns))))

    def norm(self, x: str, width: int) -> str:
        """Add a LayerNormalization over the last axis."""
        scale = self.constant(1 + self.normal(width, deviation=0.1))
        return str(self.node("LayerNormalization", x, scale, self.constant(np.zeros(width)), axis=-1, epsilon=1e-5))

    def attention(self, x: str, width: int, heads: int, mask: str | None = None) -> str:
        """Add multi-head self-attention over (batch, tokens, width)."""
        each = width // heads
        split = self.node("Split", self.linear(x, width, 3 * width), outputs=3, axis=-1, num_outputs=3)
        shape = self.constant([0, 0, heads, each], np.int64)
        q, k, v = (self.node("Reshape", part, shape) for part in split)
        q, v = (self.node("Transpose", part, perm=[0, 2, 1, 3]) for part in (q, v))
        k = self.node("Transpose", k, perm=[0, 2, 3, 1])
        scores = self.node("Mul", self.node("MatMul", q, k), self.constant(1 / sqrt(each)))
        if mask is not None:
            scores = self.node("Add", scores, mask)
        mixed = self.node("MatMul", self.node("Softmax", scores, axis=-1), v)
        joined = self.node(
            "Reshape", self.node("Transpose", mixed, perm=[0, 2, 1, 3]), self.constant([0, 0, width], np.int64)
        )
        return self.linear(joined, width, width)

    def block(self, x: str, width: int, heads: int, mask: str | None = None, approximate: str = "none") -> str:
        """Add a transformer block with normalization first: attention, then two layers four times as wide."""
        x = self.node("Add", x, self.attention(self.norm(x, width), width, heads, mask))
        hidden = self.node("Gelu", self.linear(self.norm(x, width), width, 4 * width), approximate=approximate)
        return str(self.node("Add", x, self.linear(hidden, 4 * width, width)))

    def causal(self, ids: str) -> tuple[str, str]:
        """Add positions 0.. and a mask that hides later tokens, of the shape of the token ids."""
        tokens = self.node("Gather", self.node("Shape", ids), self.constant(1, np.int64), axis=0)
        zero, one = self.constant(0, np.int64), self.constant(1, np.int64)
        positions = self.node("Range", zero, tokens, one)
        earlier = self.node("Unsqueeze", positions, self.constant([1], np.int64))
        later = self.node("Less", earlier, self.node("Unsqueeze", positions, self.constant([0], np.int64)))
        return positions, self.node("Where", later, self.constant(-1e9), self.constant(0.0))

    def model(self, name: str, inputs: dict[str, Sequence[Size]], y: str, output: Sequence[Size]) -> onnx.ModelProto:
        """Return the model; an input named "ids" is of int64."""
        self._nodes.append(helper.make_node("Identity", [y], ["output"], name="output"))
        made = helper.make_graph(
            self._nodes,
            name,
            [helper.make_tensor_value_info(k, _INT64 if k == "ids" else _FLOAT, v) for k, v in inputs.items()],
            [helper.make_tensor_value_info("output", _FLOAT, output)],
            self._tensors,
        )
        opsets = [helper.make_opsetid("", OPSET)]
        return helper.make_model(made, opset_imports=opsets, ir_version=IR_VERSION, producer_name="network_zoo")


def resnet18(
    *, form: str = "float", batch: Size = 1, image: int = 224, width: int = 64, classes: int = 1000, seed: int = 0
) -> onnx.ModelProto:
    """Return ResNet-18 (11.7 M parameters, 1.81 GMAC): (batch, 3, image, image) to (batch, classes)."""
    graph = _Graph(seed, form)
    x = graph.conv(graph.between("input"), (3, width), 7, 2, activation="Relu")
    x = graph.between(graph.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4), positive=True)
    channels = width
    for stage in range(4):
        filters = width << stage
        for stride in (1 if stage == 0 else 2, 1):
            y = graph.conv(x, (channels, filters), 3, stride, activation="Relu")
            y = graph.conv(y, (filters, filters), 3, 1)
            if stride > 1:
                x = graph.conv(x, (channels, filters), 1, stride)
            x = graph.between(graph.node("Relu", graph.node("Add", x, y)), positive=True)
            channels = filters
    y = graph.head(x, channels, classes)
    return graph.model("resnet18", {"input": (batch, 3, image, image)}, y, (batch, classes))


# Expansion, filters, repetitions, stride: table 2 of Sandler et al., arXiv:1801.04381
_BOTTLENECKS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def mobilenet_v2(
    *, form: str = "int8", batch: Size = 1, image: int = 224, divide: int = 1, classes: int = 1000, seed: int = 0
) -> onnx.ModelProto:
    """Return MobileNetV2 (3.5 M parameters, 0.30 GMAC), its channels divided: (batch, 3, image, image) to classes."""
    graph = _Graph(seed, form)
    channels = 32 // divide
    x = graph.conv(graph.between("input"), (3, channels), 3, 2, activation="Relu6")
    for expansion, given, repetitions, first in _BOTTLENECKS:
        for index in range(repetitions):
            filters, stride, wide = given // divide, first if index == 0 else 1, channels * expansion
            y = x if expansion == 1 else graph.conv(x, (channels, wide), 1, 1, activation="Relu6")
            y = graph.conv(y, (wide, wide), 3, stride, groups=wide, activation="Relu6")
            y = graph.conv(y, (wide, filters), 1, 1)
            x = graph.between(graph.node("Add", x, y)) if stride == 1 and channels == filters else y
            channels = filters
    last = 1280 // divide
    y = graph.head(graph.conv(x, (channels, last), 1, 1, activation="Relu6"), last, classes)
    return graph.model("mobilenet_v2", {"input": (batch, 3, image, image)}, y, (batch, classes))


def vit_block(
    *, batch: Size = 1, tokens: Size = 197, width: int = 768, heads: int = 12, seed: int = 0
) -> onnx.ModelProto:
    """Return a block of ViT-B/16 (7.1 M parameters, 1.45 GMAC): (batch, tokens, width) to the same."""
    graph = _Graph(seed)
    shape = (batch, tokens, width)
    return graph.model("vit_block", {"input": shape}, graph.block("input", width, heads), shape)


def gpt2(
    *,
    layers: int = 12,
    width: int = 768,
    heads: int = 12,
    tokens: Size = 128,
    vocabulary: int = 50257,
    batch: Size = 1,
    data: BinaryIO | None = None,
    seed: int = 0,
) -> onnx.ModelProto:
    """Return a network of GPT-2's shape (124 M parameters): (batch, tokens) ids to (batch, tokens, vocabulary).

    The matrix of token embeddings is the last layer's too. Weights above a KiB go to `data`, an open file that has to
    lie beside the model.
    """
    graph = _Graph(seed, data=data)
    embeddings = graph.constant(graph.normal(vocabulary, width, deviation=1.0))
    places = graph.constant(graph.normal(_POSITIONS, width, deviation=0.1))
    at, mask = graph.causal("ids")
    x = graph.node("Add", graph.node("Gather", embeddings, "ids"), graph.node("Gather", places, at))
    for _ in range(layers):
        x = graph.block(x, width, heads, mask, "tanh")
    rows = graph.node("Reshape", graph.norm(x, width), graph.constant([-1, width], np.int64))
    logits = graph.node("Gemm", rows, embeddings, transB=1, alpha=1.0)
    shape = graph.node("Concat", graph.node("Shape", "ids"), graph.constant([vocabulary], np.int64), axis=0)
    y = graph.node("Reshape", logits, shape)
    return graph.model("gpt2", {"ids": (batch, tokens)}, y, (batch, tokens, vocabulary))


BUILDERS: dict[str, Callable[..., onnx.ModelProto]] = {
    "gpt2": gpt2,
    "gpt2_tiny": lambda **given: gpt2(**{"layers": 2, "width": 32, "heads": 2, "tokens": 8, "vocabulary": 100} | given),
    "mobilenet_v2": mobilenet_v2,
    "mobilenet_v2_tiny": lambda **given: mobilenet_v2(**{"image": 32, "divide": 4, "classes": 10} | given),
    "resnet18": resnet18,
    "resnet18_tiny": lambda **given: resnet18(**{"image": 32, "width": 8, "classes": 10} | given),
    "vit_block": vit_block,
    "vit_block_tiny": lambda **given: vit_block(**{"tokens": 10, "width": 32, "heads": 2} | given),
}
"""Builders by name, tiny ones among them; each takes the keywords of the function it is made of."""


def write(name: str, path: Path, **given: Any) -> int:
    """Write a network to a file, the weights of gpt2 to PATH.data beside it, and return its number of parameters."""
    if not name.startswith("gpt2"):
        model = BUILDERS[name](**given)
        onnx.save(model, path)
    else:
        with path.with_name(path.name + ".data").open("wb") as data:
            model = BUILDERS[name](**given, data=data)
        path.write_bytes(model.SerializeToString())
    return sum(prod(tensor.dims) for tensor in model.graph.initializer)


def main() -> None:
    """Write the network that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", choices=sorted(BUILDERS))
    parser.add_argument("file", type=Path)
    parser.add_argument("--form", choices=("float", "int8"), help="of the convolutional networks")
    options = parser.parse_args()
    given = {} if options.form is None else {"form": options.form}
    print(f"{options.network}: {write(options.network, options.file, **given):,} parameters in {options.file}")


if __name__ == "__main__":
    main()
