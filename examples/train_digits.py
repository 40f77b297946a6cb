# SPDX-License-Identifier: Apache-2.0
"""Train the digits network in numpy and write it as float ONNX, as int8 ONNX, and its images as npz.

    python examples/train_digits.py --out hwsim/data

made the files that the package ships. The seed fixes the split, the first weights and the order of the images, so a
second run on the same machine writes the same bytes. Another BLAS library, or the same one on another processor, adds
the products of a matrix product in another order; the weights then differ from the first step on in their last bits and
after some epochs in their first digits, and the accuracies by a few images in a thousand. The images do not differ.
"""

import argparse
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits

__all__ = [
    "Digits",
    "Params",
    "accuracy",
    "export_float",
    "export_int8",
    "forward",
    "main",
    "split_digits",
    "train",
]

Array = NDArray[np.float32]
Params = dict[str, Array]

# Three 3x3 convolutions with Relu (name, channels in, channels out, pooled after), then one matrix product.
CONVS = (("conv1", 1, 8, False), ("conv2", 8, 16, True), ("conv3", 16, 32, True))
FEATURES, CLASSES = 32 * 2 * 2, 10
TEST_PER_CLASS, CALIBRATION = 36, 300
BATCH, RATE, DECAY = 32, 4e-3, 2e-4


class Digits(NamedTuple):
    """Images, shape (images, 1, 8, 8), in [0, 1] in steps of 1/16, and their labels, in [0, 10)."""

    images: Array
    labels: NDArray[np.int64]


def split_digits(seed: int) -> tuple[Digits, Digits]:
    """
    Split scikit-learn's handwritten digits, 36 test images a class.

    Parameters
    ----------
    seed : int
        Of the permutation that chooses the test images.

    Returns
    -------
    tuple of Digits
        The training part (1437 images) and the test part (360).

    Source
    ------
    ``sklearn.datasets.load_digits``: the test part of the UCI "Optical Recognition of Handwritten Digits", 1797 images.
    """
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    order = np.random.default_rng(seed).permutation(len(labels))
    by_class = [order[labels[order] == digit] for digit in range(CLASSES)]
    test = np.sort(np.concatenate([rows[:TEST_PER_CLASS] for rows in by_class]))
    rest = np.sort(np.concatenate([rows[TEST_PER_CLASS:] for rows in by_class]))
    return Digits(images[rest], labels[rest]), Digits(images[test], labels[test])


def _columns(x: Array) -> Array:
    """Lay out the 3x3 neighbourhoods of an image batch as rows, zeros around."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows: Array = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(-1, 9 * x.shape[1])


def _convolve(x: Array, weight: Array) -> Array:
    """Convolve with 3x3 kernels, padding 1."""
    rows = _columns(x) @ weight.reshape(len(weight), -1).T
    return rows.reshape(len(x), *x.shape[2:], -1).transpose(0, 3, 1, 2)


def _pool(x: Array) -> Array:
    """Keep the largest of each 2x2 square."""
    n, c, h, w = x.shape
    largest: Array = x.reshape(n, c, h // 2, 2, w // 2, 2).max(axis=(3, 5))
    return largest


def _unpool(gradient: Array, x: Array, pooled: Array) -> Array:
    """Send the gradient of each 2x2 square to its largest value, shared where values tie."""
    n, c, h, w = pooled.shape
    hit = (x.reshape(n, c, h, 2, w, 2) == pooled.reshape(n, c, h, 1, w, 1)).astype(np.float32)
    shared: Array = hit * (gradient.reshape(n, c, h, 1, w, 1) / hit.sum(axis=(3, 5), keepdims=True))
    return shared.reshape(x.shape)


def forward(params: Params, images: Array) -> dict[str, Array]:
    """
    Run the float network.

    Parameters
    ----------
    params : dict of ndarray
        ``<layer>.weight`` and ``<layer>.bias`` of each layer.
    images : ndarray of float32, shape (images, 1, 8, 8)

    Returns
    -------
    dict of ndarray
        Every tensor by its name, from ``input`` to ``output`` (the logits, shape (images, 10)).
    """
    tensors = {"input": images}
    x = images
    for name, _, _, pooled in CONVS:
        bias = params[f"{name}.bias"].reshape(1, -1, 1, 1)
        x = tensors[name] = np.maximum(_convolve(x, params[f"{name}.weight"]) + bias, 0)
        if pooled:
            x = tensors[f"{name}.pool"] = _pool(x)
    x = tensors["flat"] = x.reshape(len(x), -1)
    tensors["output"] = x @ params["fc.weight"].T + params["fc.bias"]
    return tensors


def _backward(params: Params, tensors: dict[str, Array], gradient: Array) -> Params:
    """Return the gradient of every parameter from that of the logits."""
    out = {"fc.weight": gradient.T @ tensors["flat"], "fc.bias": gradient.sum(axis=0)}
    last = f"{CONVS[-1][0]}.pool"
    gradient = (gradient @ params["fc.weight"]).reshape(tensors[last].shape)
    sources = ["input", *(f"{name}.pool" if pooled else name for name, _, _, pooled in CONVS[:-1])]
    for source, (name, _, _, pooled) in reversed(list(zip(sources, CONVS, strict=True))):
        if pooled:
            gradient = _unpool(gradient, tensors[name], tensors[f"{name}.pool"])
        gradient = gradient * (tensors[name] > 0)
        rows = gradient.transpose(0, 2, 3, 1).reshape(-1, gradient.shape[1])
        weight = params[f"{name}.weight"]
        out[f"{name}.weight"] = (rows.T @ _columns(tensors[source])).reshape(weight.shape)
        out[f"{name}.bias"] = rows.sum(axis=0)
        if source != "input":
            gradient = _convolve(gradient, weight.transpose(1, 0, 2, 3)[:, :, ::-1, ::-1])
    return out


def _first_params(rng: np.random.Generator) -> Params:
    """Draw weights of variance 2 / inputs (He et al. 2015, https://arxiv.org/abs/1502.01852), biases zero."""
    shapes = {name: (outputs, inputs, 3, 3) for name, inputs, outputs, _ in CONVS} | {"fc": (CLASSES, FEATURES)}
    params = {}
    for name, shape in shapes.items():
        deviation = np.sqrt(2 / np.prod(shape[1:]))
        params[f"{name}.weight"] = (deviation * rng.standard_normal(shape)).astype(np.float32)
        params[f"{name}.bias"] = np.zeros(shape[0], np.float32)
    return params


def _shifted(images: Array, rng: np.random.Generator) -> Array:
    """Move each image by up to one pixel each way, zeros coming in."""
    padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows: Array = np.lib.stride_tricks.sliding_window_view(padded, (8, 8), axis=(2, 3))
    dy, dx = rng.integers(0, 3, (2, len(images)))
    return windows[np.arange(len(images)), :, dy, dx]


def _batches(count: int, epochs: int, rng: np.random.Generator) -> Iterator[tuple[float, NDArray[np.int64]]]:
    """Give (share of the work done, rows of the next batch)."""
    steps = count // BATCH
    for epoch in range(epochs):
        order = rng.permutation(count)
        for step in range(steps):
            yield (epoch * steps + step) / (epochs * steps), order[step * BATCH : (step + 1) * BATCH]


def train(digits: Digits, epochs: int, seed: int) -> Params:
    """
    Train by Adam on cross entropy, the rate falling as a half cosine, each image shifted by up to a pixel.

    Parameters
    ----------
    digits : Digits
        The training part.
    epochs : int
        Passes over the images.
    seed : int
        Of the first weights, of the order of the images and of the shifts.

    Returns
    -------
    dict of ndarray of float32
        ``<layer>.weight`` and ``<layer>.bias`` of each layer.

    Source
    ------
    Adam: Kingma and Ba 2015, https://arxiv.org/abs/1412.6980, algorithm 1; decay of the weights apart from it:
    Loshchilov and Hutter 2019, https://arxiv.org/abs/1711.05101, algorithm 2.
    """
    rng = np.random.default_rng(seed)
    params = _first_params(rng)
    mean = {name: np.zeros_like(value) for name, value in params.items()}
    square = {name: np.zeros_like(value) for name, value in params.items()}
    for step, (done, rows) in enumerate(_batches(len(digits.labels), epochs, rng), start=1):
        tensors = forward(params, _shifted(digits.images[rows], rng))
        chance = np.exp(tensors["output"] - tensors["output"].max(axis=1, keepdims=True))
        chance /= chance.sum(axis=1, keepdims=True)
        chance[np.arange(BATCH), digits.labels[rows]] -= 1
        rate = np.float32(RATE * (1 + np.cos(np.pi * done)) / 2)
        for name, gradient in _backward(params, tensors, chance / np.float32(BATCH)).items():
            mean[name] += np.float32(0.1) * (gradient - mean[name])
            square[name] += np.float32(0.001) * (gradient * gradient - square[name])
            size = np.sqrt(square[name] / np.float32(1 - 0.999**step)) + np.float32(1e-8)
            params[name] -= rate * (mean[name] / np.float32(1 - 0.9**step) / size + np.float32(DECAY) * params[name])
    return params


def _model(nodes: Sequence[onnx.NodeProto], constants: dict[str, NDArray[np.generic]]) -> onnx.ModelProto:
    """Wrap nodes from ``input`` to ``output`` as a checked model of opset 17."""
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 1, 8, 8])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", CLASSES])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(
        graph, producer_name="train_digits.py", opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def export_float(params: Params) -> onnx.ModelProto:
    """
    Write the network as float32 ONNX.

    Parameters
    ----------
    params : dict of ndarray of float32
        As `train` gives them.

    Returns
    -------
    onnx.ModelProto
        Conv, Relu, MaxPool, Flatten and Gemm nodes; ``input`` (batch, 1, 8, 8), ``output`` (batch, 10).
    """
    nodes = []
    x = "input"
    for name, _, _, pooled in CONVS:
        inputs = [x, f"{name}.weight", f"{name}.bias"]
        nodes.append(helper.make_node("Conv", inputs, [f"{name}.sum"], name, kernel_shape=[3, 3], pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Relu", [f"{name}.sum"], [name], f"{name}.relu"))
        x = name
        if pooled:
            x = f"{name}.pool"
            nodes.append(helper.make_node("MaxPool", [name], [x], x, kernel_shape=[2, 2], strides=[2, 2]))
    nodes.append(helper.make_node("Flatten", [x], ["flat"], "flat", axis=1))
    nodes.append(helper.make_node("Gemm", ["flat", "fc.weight", "fc.bias"], ["output"], "fc", transB=1))
    return _model(nodes, dict(params))


class _QdqGraph:
    """The int8 graph as it grows: every tensor is int8 between a QuantizeLinear and a DequantizeLinear."""

    def __init__(self, params: Params, tensors: dict[str, Array]) -> None:
        self.params = params
        self.tensors = tensors
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, NDArray[np.generic]] = {}

    def quantize(self, source: str, name: str, like: str | None = None) -> str:
        """Add the pair after float tensor `source`; the scale covers the calibration range, or is that of `like`."""
        if like is None:
            low, high = min(float(self.tensors[name].min()), 0.0), float(self.tensors[name].max())
            scale = np.float32((high - low) / 255)
            self.constants[f"{name}.scale"] = np.array(scale)
            self.constants[f"{name}.zero"] = np.array(np.rint(-128 - low / scale), np.int8)
        grid = [f"{like or name}.scale", f"{like or name}.zero"]
        for kind, x, y in (("QuantizeLinear", source, f"{name}.q"), ("DequantizeLinear", f"{name}.q", f"{name}.dq")):
            self.nodes.append(helper.make_node(kind, [x, *grid], [y], y))
        return f"{name}.dq"

    def weights(self, name: str, source: str) -> list[str]:
        """Add int8 weights, a scale an output channel, and the int32 bias in units of input scale x weight scale."""
        weight, bias = self.params[f"{name}.weight"], self.params[f"{name}.bias"]
        scale = np.abs(weight).reshape(len(weight), -1).max(axis=1) / np.float32(127)
        bias_scale = scale * self.constants[f"{source}.scale"]
        codes = np.rint(weight / scale.reshape(-1, *[1] * (weight.ndim - 1))).astype(np.int8)
        for part, values, unit in (
            ("weight", codes, scale),
            ("bias", np.rint(bias / bias_scale).astype(np.int32), bias_scale),
        ):
            inputs = [f"{name}.{part}.q", f"{name}.{part}.scale", f"{name}.{part}.zero"]
            zeros = np.zeros(len(unit), values.dtype)
            self.constants |= dict(zip(inputs, (values, unit.astype(np.float32), zeros), strict=True))
            self.nodes.append(
                helper.make_node("DequantizeLinear", inputs, [f"{name}.{part}"], f"{name}.{part}.dequantize", axis=0)
            )
        return [f"{name}.weight", f"{name}.bias"]


def export_int8(params: Params, calibration: Array) -> onnx.ModelProto:
    """
    Quantize the network after training and write it as int8 ONNX in QDQ form.

    Parameters
    ----------
    params : dict of ndarray of float32
        As `train` gives them.
    calibration : ndarray of float32, shape (images, 1, 8, 8)
        Training images; the smallest and the largest value of each tensor over them set its scale and zero point.

    Returns
    -------
    onnx.ModelProto
        Weights int8, symmetric, a scale an output channel; activations int8 with a zero point, a scale a tensor; biases
        int32. ``input`` and ``output`` are float32, as in the float network.

    Source
    ------
    Jacob et al. 2018, https://arxiv.org/abs/1712.05877, sections 2 and 3; form of the graph: ONNX operators
    QuantizeLinear-13 and DequantizeLinear-13.
    """
    graph = _QdqGraph(params, forward(params, calibration))
    source, x = "input", graph.quantize("input", "input")
    for name, _, _, pooled in CONVS:
        inputs = [x, *graph.weights(name, source)]
        sums, relu = f"{name}.sum", f"{name}.relu"
        graph.nodes.append(helper.make_node("Conv", inputs, [sums], name, kernel_shape=[3, 3], pads=[1, 1, 1, 1]))
        graph.nodes.append(helper.make_node("Relu", [sums], [relu], relu))
        source, x = name, graph.quantize(relu, name)
        if pooled:
            pool = f"{name}.pool"
            graph.nodes.append(helper.make_node("MaxPool", [x], [pool], pool, kernel_shape=[2, 2], strides=[2, 2]))
            x = graph.quantize(pool, pool, like=name)
    graph.nodes.append(helper.make_node("Flatten", [x], ["flat"], "flat", axis=1))
    x = graph.quantize("flat", "flat", like=source)
    graph.nodes.append(helper.make_node("Gemm", [x, *graph.weights("fc", source)], ["logits"], "fc", transB=1))
    graph.quantize("logits", "output")
    graph.nodes[-1].output[0] = "output"
    return _model(graph.nodes, graph.constants)


def accuracy(path: Path, digits: Digits) -> float:
    """Share of the images that ONNX Runtime, its graph optimisations off, gives their label, in [0, 1]."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(os.fspath(path), options, providers=["CPUExecutionProvider"])
    logits = session.run(["output"], {"input": digits.images})[0]
    return float(np.mean(logits.argmax(axis=1) == digits.labels))


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, write the three files, and print what they score and weigh."""
    parser = argparse.ArgumentParser(description="Train the digits network and write it in float and in int8.")
    parser.add_argument("--out", type=Path, default=Path("digits"), help="folder to write to (default: digits)")
    parser.add_argument("--epochs", type=int, default=60, help="passes over the training images (default: 60)")
    parser.add_argument("--seed", type=int, default=0, help="of the split and of the training (default: 0)")
    parser.add_argument("--quick", action="store_true", help="5 epochs, to see that it works")
    options = parser.parse_args(arguments)
    training, test = split_digits(options.seed)
    params = train(training, 5 if options.quick else options.epochs, options.seed)
    rows = np.random.default_rng(options.seed).permutation(len(training.labels))[:CALIBRATION]
    calibration = training.images[np.sort(rows)]
    options.out.mkdir(parents=True, exist_ok=True)
    for stem, model in (("digits", export_float(params)), ("digits_int8", export_int8(params, calibration))):
        path = options.out / f"{stem}.onnx"
        onnx.save(model, path)
        right = accuracy(path, test)
        print(f"{path}: {right:.4f} of {len(test.labels)} held-out images right, {path.stat().st_size} bytes")
    path = options.out / "digits_test.npz"
    np.savez_compressed(path, images=test.images, labels=test.labels, calibration=calibration)
    print(f"{path}: {len(test.labels)} test and {CALIBRATION} calibration images, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
