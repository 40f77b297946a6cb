# SPDX-License-Identifier: Apache-2.0
"""Errors against float32, layer by layer: the float network is ONNX Runtime's, the figures are their definitions."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

import hwsim
from hwsim import data
from hwsim.network import ExactEngine, Network, Rule, run
from hwsim.simulation import FloatNetwork
from hwsim.simulation.errors import ErrorMeter, _Sums


def _float_model(path: Path) -> onnx.ModelProto:
    """Return a QDQ model without rounding: a quantizer clips to its codes' values, a dequantizer passes them on."""
    model = onnx.load(path)
    known = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    nodes, quantized = [], set()
    for node in model.graph.node:
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear"):
            nodes.append(node)
            continue
        scale, zero = known[node.input[1]], known[node.input[2]]
        if node.op_type == "QuantizeLinear":
            info = np.iinfo(zero.dtype)
            ends = [np.float32((code - float(zero)) * float(scale)) for code in (info.min, info.max)]
            names = [f"{node.output[0]}.{end}" for end in ("low", "high")]
            model.graph.initializer.extend(
                numpy_helper.from_array(np.asarray(end, np.float32), name)
                for end, name in zip(ends, names, strict=True)
            )
            nodes.append(helper.make_node("Clip", [node.input[0], *names], [node.output[0]]))
            quantized.add(node.output[0])
        elif node.input[0] in known:
            axis = next((each.i for each in node.attribute if each.name == "axis"), 1)
            codes = known[node.input[0]]
            shape = [-1 if place == axis else 1 for place in range(codes.ndim)] if scale.ndim else []
            values = (codes.astype(np.float64) - zero.reshape(shape)) * scale.reshape(shape)
            model.graph.initializer.append(numpy_helper.from_array(values.astype(np.float32), node.output[0]))
        else:
            nodes.append(helper.make_node("Identity", [node.input[0]], [node.output[0]]))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    del model.graph.value_info[:]
    model.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in sorted(quantized)
    )
    return model


def _float_run(net: Network, image: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
    """Run the float network layer by layer, and return every tensor."""
    floats = FloatNetwork(net)
    assert floats.on_codes == ()
    values = {net.inputs[0].name: floats.values(net.inputs[0].name, image)}
    for layer in net.layers:
        made = floats.run(layer, tuple(values[name] for name in layer.inputs))
        values.update(zip(layer.outputs, made, strict=True))
    return values


def test_float_network_is_that_of_onnx_runtime() -> None:
    path = data.digits_model_path(quantized=True)
    images, _ = data.digits_test()
    model = _float_model(path)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    wanted = dict(zip(names, session.run(names, {session.get_inputs()[0].name: images[:8]}), strict=True))
    found = _float_run(hwsim.network.read(path), images[:8])
    compared = 0
    for name, values in wanted.items():
        if name in found:
            # two float32 libraries add up to 144 products in two orders
            np.testing.assert_allclose(
                found[name], values, rtol=0, atol=2e-5 * float(np.abs(values).max()), err_msg=name
            )
            compared += 1
    assert compared >= 6


@pytest.mark.parametrize("name", ["resnet8_cifar10_int8", "dscnn_kws_int8", "mobilenetv1_vww_int8"])
def test_float_network_of_tflite_models(name: str, shared: Path) -> None:
    """Files whose ReLU is left to the range of the codes, depthwise convolutions and additions among them."""
    path = shared / "models" / f"{name}_qdq.onnx"
    net = hwsim.network.read(path)
    image = np.random.default_rng(0).integers(-128, 127, net.inputs[0].shape, np.int8, endpoint=True)
    model = _float_model(path)
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT
    for output in list(model.graph.output):
        output.type.tensor_type.elem_type = TensorProto.FLOAT
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    start = FloatNetwork(net).values(net.inputs[0].name, image)
    wanted = dict(zip(names, session.run(names, {session.get_inputs()[0].name: start}), strict=True))
    found = _float_run(net, image)
    compared = [key for key in wanted if key in found]
    for key in compared:
        np.testing.assert_allclose(
            found[key], wanted[key], rtol=0, atol=1e-4 * float(np.abs(wanted[key]).max()), err_msg=key
        )
    assert len(compared) >= len([layer for layer in net.layers if layer.kind == "conv"])


@pytest.mark.parametrize("name", ["kwsmlp_w3a3_qonnx", "tfc_mnist_w1a2_qonnx", "fp8_floatquant/qonnx_act_weight_fp8"])
def test_float_network_of_qonnx_files(name: str, shared: Path) -> None:
    """No quantizer rounds, and those of integers clip."""
    net = hwsim.network.read(shared / "models" / f"{name}.onnx")
    image = np.random.default_rng(0).standard_normal(net.inputs[0].shape).astype(np.float32) * 3
    found = _float_run(net, image)
    clipped = 0
    for layer in net.layers:
        if layer.kind != "quantize":
            continue
        before, after = found[layer.inputs[0]], found[layer.outputs[0]]
        inside = before == after
        if not inside.all():
            clipped += 1
            ends = after[~inside]
            assert set(np.unique(ends)) == {ends.min(), ends.max()}
            assert np.abs(after).max() <= np.abs(ends).max()
    assert clipped >= (0 if "fp8" in name else 1)


@pytest.mark.parametrize(("preset", "quantized"), [("int8_16x16", True), ("mxfp4_4x4", False)])
def test_errors_are_what_their_definitions_say(preset: str, *, quantized: bool) -> None:
    net = hwsim.network.read(data.digits_model_path(quantized=quantized))
    accelerator = hwsim.accelerator.read(preset)
    images, _ = data.digits_test()
    inputs = {net.inputs[0].name: images[:40]}  # more than go through at once
    result = hwsim.simulate(net, accelerator, inputs, against_float=True)
    assert result.float_on_codes == ()
    plain = hwsim.simulate(net, accelerator, inputs)
    for name, values in plain.outputs.items():
        assert np.array_equal(result.outputs[name], values)
    floats = _float_run(net, images[:40])
    (output,) = result.outputs.items()
    x, y = output[1].astype(np.float64).ravel(), floats[output[0]].astype(np.float64).ravel()
    error = result.layers[-1].error
    assert error is not None
    assert error.accumulated.max_abs == pytest.approx(np.abs(x - y).max(), rel=1e-12)
    assert error.accumulated.sqnr_db == pytest.approx(10 * np.log10((y**2).sum() / ((x - y) ** 2).sum()), rel=1e-9)
    assert error.accumulated.cosine == pytest.approx(x @ y / np.linalg.norm(x) / np.linalg.norm(y), rel=1e-12)
    for layer in result.layers:
        assert layer.error is not None
        if layer.kind in ("reshape", "max_pool"):
            assert layer.error.own.is_equal
            assert layer.error.own.sqnr_db is None
        if layer.kind in ("conv", "gemm"):
            assert layer.error.own.sqnr_db is not None
            assert layer.error.accumulated.sqnr_db is not None
            assert 10 < layer.error.own.sqnr_db < 70
    assert all(layer.error is None for layer in plain.layers)


def test_errors_of_the_first_layer_are_its_own() -> None:
    net = hwsim.network.read(data.digits_model_path(quantized=False))
    images, _ = data.digits_test()
    result = hwsim.simulate(net, hwsim.accelerator.read("mxfp4_4x4"), {"input": images[:4]}, against_float=True)
    first = result.layers[0].error
    assert first is not None
    assert first.own == first.accumulated


def test_errors_of_what_is_no_number() -> None:
    """Equal infinities are no difference; one that stands alone is an infinite one, and JSON has None for it."""
    for found, largest in (([1.0, np.inf], 0.0), ([1.0, 3.0], np.inf), ([np.nan, np.inf], np.nan)):
        sums = _Sums()
        sums.add(np.array(found), np.array([1.0, np.inf]))
        difference = sums.difference()
        assert difference.max_abs == largest or (np.isnan(largest) and np.isnan(difference.max_abs))
        assert (difference.sqnr_db, difference.cosine) == (None, None)


def test_errors_of_a_file_that_quantizes_dynamically(tmp_path: Path) -> None:
    """Its scales are known when it runs only: those layers round in the float network too, and are named."""
    value = helper.make_tensor_value_info
    weights = np.random.default_rng(0).integers(-128, 127, (16, 8), np.int8)
    graph = helper.make_graph(
        [
            helper.make_node("DynamicQuantizeLinear", ["x"], ["codes", "scale", "zero"], name="quantize"),
            helper.make_node("MatMulInteger", ["codes", "w", "zero"], ["sums"], name="product"),
            helper.make_node("Cast", ["sums"], ["floats"], to=TensorProto.FLOAT, name="cast"),
            helper.make_node("Mul", ["floats", "scale"], ["y"], name="scaled"),
        ],
        "dynamic",
        [value("x", TensorProto.FLOAT, [4, 16])],
        [value("y", TensorProto.FLOAT, [4, 8])],
        [numpy_helper.from_array(weights, "w")],
    )
    path = tmp_path / "dynamic.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    net = hwsim.network.read(path)
    meter = ErrorMeter(net, ExactEngine(), Rule.ONNX)
    run(net, {"x": np.random.default_rng(1).standard_normal((4, 16)).astype(np.float32)}, hook=meter)
    assert meter.on_codes == ("quantize", "product")
    assert all(error.accumulated.is_equal and error.own.is_equal for error in meter.errors().values())
