# SPDX-License-Identifier: Apache-2.0
"""Real quantized networks against recorded outputs, and tensor by tensor against ONNX Runtime.

Run as a script with the folder of models and a number of images, it prints the counts.
"""

import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from hwsim import network
from hwsim.network.layers.conv import Conv
from hwsim.network.layers.multiply_accumulate import MultiplyAccumulate

Array = npt.NDArray[Any]

NAMES = ("resnet8_cifar10_int8", "dscnn_kws_int8", "mobilenetv1_vww_int8")
CASES = (*((name, "rng1234") for name in NAMES), (NAMES[0], "cifar10_class3"))


class Difference(NamedTuple):
    """How one layer's output differs from ONNX Runtime's, given ONNX Runtime's own inputs, or all through."""

    layer: str
    kind: str
    alone: int
    chained: int
    values: int


def recorded(models: Path, name: str, case: str) -> tuple[dict[str, Array], Array, Array]:
    """Return an input, and the outputs recorded from ONNX Runtime and from TFLite's reference kernels."""
    with np.load(models / "golden_io.npz") as file:
        if f"{name}/{case}/input_nhwc" in file:
            image = file[f"{name}/{case}/input_nhwc"].transpose(0, 3, 1, 2)
        else:
            image = (file[f"{case}/image_nchw_uint8"].astype(np.int16) - 128).astype(np.int8)
        onnx_output, tflite_output = file[f"{name}/{case}/ort_noopt"], file[f"{name}/{case}/tflite_ref"]
    return {"t0": np.ascontiguousarray(image)}, onnx_output, tflite_output


def onnxruntime_tensors(path: Path, x: Array, names: list[str]) -> dict[str, Array]:
    """Run ONNX Runtime image by image, optimizations off, and return the named tensors."""
    model = onnx.load(path)
    present = {output.name for output in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in present)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    runs = [session.run(names, {"t0": x[i : i + 1]}) for i in range(len(x))]
    return {name: np.concatenate([run[i] for run in runs]) for i, name in enumerate(names)}


def float_outputs(path: Path) -> dict[str, str]:
    """Return the name of each Conv's and Gemm's float output by the name of its node."""
    model = onnx.load(path)
    return {node.name: node.output[0] for node in model.graph.node if node.op_type in ("Conv", "Gemm")}


def images(net: network.Network, count: int) -> Array:
    """Return random images."""
    return np.random.default_rng(7).integers(-128, 128, (count, *net.inputs[0].shape[1:])).astype(np.int8)


def differences(net: network.Network, theirs: dict[str, Array]) -> Iterator[Difference]:
    """Compare every layer of a network with ONNX Runtime's tensors, the input among them."""
    ours = network.trace(net, {"t0": theirs["t0"]})
    for layer in net.layers:
        name = layer.outputs[0]
        alone = layer.run(tuple(theirs[i] for i in layer.inputs), network.ExactEngine(), network.Rule.ONNX)[0]
        counts = [int((mine != theirs[name]).sum()) for mine in (alone, ours[name])]
        yield Difference(layer.name, layer.kind, counts[0], counts[1], theirs[name].size)


def onnxruntime_order(layer: Conv, codes: Array, bias: Array) -> Array:
    """Compute a convolution in float32 in the order of ONNX Runtime on x86, then quantize.

    Source: mlas/lib/convolve.cpp and sgemm.cpp, and measured. One fused multiply-add after another along K, in blocks
    of 128 that double as long as the output has no more than half the 128 columns of a tile; for a single filter
    (depthwise) products without fusion, summed four by four.
    """
    assert isinstance(layer.a_quantization, network.AffineQuantization)
    assert layer.b_quantization is not None
    assert layer.output_quantization is not None
    a, b = layer.operands((codes,), "channel_first")
    shape = (a.shape[0], a.shape[1], b.shape[2])
    x = (a.astype(np.int32) - layer.a_quantization.zero_point.astype(np.int32)).astype(np.float32)
    x = x * layer.a_quantization.scale
    w = b.astype(np.float32) * layer.over_channels(layer.b_quantization.scale, shape)
    taps = a.shape[2]
    if b.shape[2] == 1:
        total = np.zeros(shape, np.float32)
        for start in range(0, taps, 4):
            part = x[:, :, start : start + 1] * w[:, start : start + 1]
            for k in range(start + 1, min(start + 4, taps)):
                part = part + x[:, :, k : k + 1] * w[:, k : k + 1]
            total = part if start == 0 else total + part
    else:
        block, columns, pixels = 128, 128, a.shape[1] // codes.shape[0]
        while pixels < taps and columns > 16 and columns // 2 >= pixels:
            block, columns = 2 * block, columns // 2
        total = np.zeros(shape, np.float32)
        for start in range(0, taps, block):
            part = np.zeros(shape, np.float32)
            for k in range(start, min(start + block, taps)):
                part = (part + x[:, :, k : k + 1].astype(np.float64) * w[:, k : k + 1]).astype(np.float32)
            total = part if start == 0 else total + part
    value = layer.restore(total + layer.over_channels(bias, shape), (codes.shape,))
    if layer.activation is not None:
        value = np.maximum(value, np.float32(layer.activation[0]))
    return layer.output_quantization.quantize(value)


def float_biases(path: Path) -> dict[str, Array]:
    """Return each convolution's bias as ONNX Runtime dequantizes it, by the name of the node."""
    model = onnx.load(path)
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    producers = {node.output[0]: node for node in model.graph.node}
    biases = {}
    for node in model.graph.node:
        if node.op_type == "Conv":
            codes, scale = producers[node.input[2]].input[:2]
            biases[node.name] = constants[codes].astype(np.float32) * constants[scale]
    return biases


@pytest.mark.parametrize(("name", "case"), CASES)
def test_golden_onnx_rule_equals_recorded_onnxruntime(shared: Path, name: str, case: str) -> None:
    inputs, expected, _ = recorded(shared / "models", name, case)
    net = network.read(shared / "models" / f"{name}_qdq.onnx")
    assert expected.size == net.outputs[0].elements
    np.testing.assert_array_equal(network.run(net, inputs, rule="onnx")[net.outputs[0].name], expected)


@pytest.mark.parametrize(("name", "case"), CASES)
def test_golden_tflite_rule_equals_recorded_reference_kernels(shared: Path, name: str, case: str) -> None:
    inputs, _, expected = recorded(shared / "models", name, case)
    net = network.read(shared / "models" / f"{name}_qdq.onnx")
    assert expected.size == net.outputs[0].elements
    np.testing.assert_array_equal(network.run(net, inputs, rule="tflite")[net.outputs[0].name], expected)


@pytest.mark.parametrize("name", NAMES)
def test_golden_layers_differ_from_onnxruntime_only_where_its_float_sum_crosses_a_tie(shared: Path, name: str) -> None:
    path = shared / "models" / f"{name}_qdq.onnx"
    net = network.read(path)
    x = images(net, 16)
    sums = float_outputs(path)
    theirs = onnxruntime_tensors(path, x, [*(t for t in net.tensors if t != "t0"), *sums.values()]) | {"t0": x}
    compared = different = 0
    for layer in net.layers:
        tensor = layer.outputs[0]
        ours = layer.run(tuple(theirs[i] for i in layer.inputs), network.ExactEngine(), network.Rule.ONNX)[0]
        where = ours != theirs[tensor]
        compared += ours.size
        different += int(where.sum())
        if not where.any():
            continue
        assert isinstance(layer, MultiplyAccumulate)
        assert layer.output_quantization is not None
        quotient = theirs[sums[layer.name]][where].astype(np.float64) / np.float64(layer.output_quantization.scale)
        assert np.all(np.abs(ours[where].astype(int) - theirs[tensor][where]) == 1)
        # The float32 sum is within some units of its last place of a tie, on the other side than the exact sum.
        assert np.all(np.abs(np.abs(quotient - np.floor(quotient)) - 0.5) < 1e-4)
    assert compared == 16 * sum(spec.elements for tensor, spec in net.tensors.items() if tensor != "t0")
    assert different <= compared * 1e-5


@pytest.fixture
def x86() -> None:
    """Skip where ONNX Runtime adds in another order than the one written down here."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        pytest.skip("needs an x86-64 processor: ONNX Runtime's order of float32 additions is per architecture")


@pytest.mark.usefixtures("x86")
@pytest.mark.parametrize("name", NAMES)
def test_golden_differences_vanish_in_onnxruntimes_own_order(shared: Path, name: str) -> None:
    path = shared / "models" / f"{name}_qdq.onnx"
    net = network.read(path)
    x = images(net, 3)
    theirs = onnxruntime_tensors(path, x, [t for t in net.tensors if t != "t0"])
    biases = float_biases(path)
    values = {"t0": x}
    compared = 0
    for layer in net.layers:
        if isinstance(layer, Conv):
            result = onnxruntime_order(layer, values[layer.inputs[0]], biases[layer.name])
        else:
            inputs = tuple(values[i] for i in layer.inputs)
            result = layer.run(inputs, network.ExactEngine(), network.Rule.ONNX)[0]
        values[layer.outputs[0]] = result
        np.testing.assert_array_equal(result, theirs[layer.outputs[0]], err_msg=layer.name)
        compared += result.size
    assert compared == 3 * sum(spec.elements for tensor, spec in net.tensors.items() if tensor != "t0")


def test_golden_float_network_equals_recorded_output(shared: Path) -> None:
    folder = shared / "models" / "mnist_float"
    net = network.read(folder / "mnist-12-float.onnx")
    x, expected = (numpy_helper.to_array(onnx.load_tensor(folder / f"{which}_0.pb")) for which in ("input", "output"))
    ours = network.run(net, {net.inputs[0].name: x})[net.outputs[0].name]
    assert [layer.kind for layer in net.layers] == [
        *("conv", "activation", "max_pool"),
        *("conv", "activation", "max_pool"),
        *("reshape", "gemm"),
    ]
    # Sums of 256 float32 products in another order: some units in the last place of the largest.
    np.testing.assert_allclose(ours, expected, rtol=0, atol=np.abs(expected).max() * 2.0**-20)
    four = np.load(shared / "models" / "mnist_four_images.npy").reshape(-1, 1, 28, 28)
    scaled = (four * (255 if four.max() <= 1 else 1)).astype(np.float32)
    assert network.run(net, {net.inputs[0].name: scaled})[net.outputs[0].name].argmax(axis=1).tolist() == [7, 2, 1, 0]


def main(models: Path, count: int) -> None:
    """Print the counts of this file's comparisons."""
    write = sys.stdout.write
    for name, case in CASES:
        net = network.read(models / f"{name}_qdq.onnx")
        inputs, *expected = recorded(models, name, case)
        for rule, wanted in zip(("onnx", "tflite"), expected, strict=True):
            ours = network.run(net, inputs, rule=rule)[net.outputs[0].name]
            write(f"{name} {case}: rule {rule}: {(ours != wanted).sum()} of {wanted.size} outputs differ\n")
    for name in NAMES:
        path = models / f"{name}_qdq.onnx"
        net = network.read(path)
        x = images(net, count)
        theirs = onnxruntime_tensors(path, x, [t for t in net.tensors if t != "t0"]) | {"t0": x}
        rows = list(differences(net, theirs))
        for row in rows:
            if row.alone or row.chained:
                write(f"  {row.layer} ({row.kind}): {row.alone} alone, {row.chained} chained, of {row.values}\n")
        alone, chained, values = (sum(getattr(row, key) for row in rows) for key in ("alone", "chained", "values"))
        write(f"{name}, {count} random images: {alone} of {values} values differ layer by layer, {chained} chained\n")
        write(f"  network outputs: {rows[-1].chained} of {rows[-1].values}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
