# SPDX-License-Identifier: Apache-2.0
"""Products of codes of small floats and of blocks: against rational arithmetic, and on the units of their formats."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from hwsim import datapath, formats, network
from hwsim.accelerator import UnitEngine, check_network
from hwsim.network.onnx_reader import from_model

_FLOATS = {
    "FLOAT8E4M3FN": (ml_dtypes.float8_e4m3fn, "float8_e4m3fn"),
    "FLOAT8E4M3FNUZ": (ml_dtypes.float8_e4m3fnuz, "float8_e4m3fnuz"),
    "FLOAT8E5M2": (ml_dtypes.float8_e5m2, "float8_e5m2"),
    "FLOAT8E5M2FNUZ": (ml_dtypes.float8_e5m2fnuz, "float8_e5m2fnuz"),
    "FLOAT6E2M3": (ml_dtypes.float6_e2m3fn, "float6_e2m3fn"),
    "FLOAT6E3M2": (ml_dtypes.float6_e3m2fn, "float6_e3m2fn"),
    "FLOAT4E2M1": (ml_dtypes.float4_e2m1fn, "float4_e2m1fn"),
}
_MX = {
    "mxfp8_e4m3": ml_dtypes.float8_e4m3fn,
    "mxfp8_e5m2": ml_dtypes.float8_e5m2,
    "mxfp6_e2m3": ml_dtypes.float6_e2m3fn,
    "mxfp6_e3m2": ml_dtypes.float6_e3m2fn,
    "mxfp4": ml_dtypes.float4_e2m1fn,
}


def _model(
    nodes: list[onnx.NodeProto],
    inputs: Mapping[str, tuple[int, Any]],
    rank: int,
    constants: dict[str, Any],
    opset: int = 28,
) -> onnx.ModelProto:
    """Return a model with the float output y."""
    graph = helper.make_graph(
        nodes,
        "coded",
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [f"d{i}" for i in range(rank)])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])


def _exact(a: np.ndarray, b: np.ndarray, factor: Fraction = Fraction(1)) -> np.ndarray:
    """Return the exact product of two matrices times a factor, in float32: by rationals, then float64 and float32."""
    left = [[Fraction(float(v)) for v in row] for row in a]
    right = [[Fraction(float(v)) for v in column] for column in b.T]
    return np.array(
        [[np.float32(float(factor * sum(x * y for x, y in zip(r, c, strict=True)))) for c in right] for r in left]
    )


def _on_unit(net: network.Network, inputs: dict[str, Any], name: str) -> np.ndarray:
    """Run on a unit that must fit."""
    unit = datapath.named(name)
    check_network(net, unit, {})
    return network.run(net, inputs, engine=UnitEngine(unit, {}))["y"]


@pytest.mark.parametrize("kind", _FLOATS)
@pytest.mark.parametrize("opset", [25, 28])
def test_coded_float_product_is_exact_and_on_its_unit(rng: np.random.Generator, kind: str, opset: int) -> None:
    if opset < 28 and kind.startswith("FLOAT6"):
        return
    dtype, name = _FLOATS[kind]
    w = rng.normal(size=(24, 6)).astype(np.float32).astype(dtype)
    scales = rng.uniform(0.5, 2, 6).astype(np.float32)
    constants = {"w": w, "ws": scales, "s": np.float32(0.125), "z": np.zeros((), dtype)}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s"], ["f"]),
        helper.make_node("DequantizeLinear", ["w", "ws"], ["wf"], axis=1),
        helper.make_node("MatMul", ["f", "wf"], ["y"]),
    ]
    net = from_model(_model(nodes, {"x": (TensorProto.FLOAT, [5, 24])}, 2, constants, opset))
    _, product = net.layers
    assert net.tensors["q"].dtype == kind.lower()
    assert net.tensors["q"].bits == int(kind[5])
    assert product.form.value == "coded"  # type: ignore[attr-defined]
    x = {"x": rng.normal(size=(5, 24)).astype(np.float32)}
    found = network.trace(net, x)
    codes = (x["x"] / np.float32(0.125)).astype(dtype)
    np.testing.assert_array_equal(found["q"] & 0xFF, codes.view(np.uint8) & ((1 << int(kind[5])) - 1))
    exact = _exact(codes.astype(np.float64), w.astype(np.float64))
    expected = (exact.astype(np.float64) * (0.125 * scales.astype(np.float64))).astype(np.float32)
    near = np.abs(found["y"] - expected) <= np.spacing(np.abs(expected))  # rounded twice here, once there
    assert near.all()
    one = _exact(codes.astype(np.float64), w[:, :1].astype(np.float64), Fraction(float(scales[0])) / 8)
    np.testing.assert_array_equal(found["y"][:, :1], one)
    unit = datapath.named(f"{name}_l4_float32")
    d = unit.output.decode(datapath.matmul(unit, codes.view(np.uint8) & ((1 << int(kind[5])) - 1), _codes(w)))
    ours = _on_unit(net, x, f"{name}_l4_float32")
    np.testing.assert_array_equal(ours, (d * (0.125 * scales.astype(np.float64))).astype(np.float32))


def _codes(array: np.ndarray) -> np.ndarray:
    """Return the codes of an ml_dtypes array."""
    bits = int(array.dtype.name[5])
    return array.view(np.uint8) & np.uint8((1 << bits) - 1)


def _blocks(x: np.ndarray, fmt: str, axis: int) -> tuple[Any, np.ndarray, np.ndarray]:
    """Return x in a format of blocks: the quantized array, and its codes and scales as ONNX holds them."""
    q = formats.quantize(x, fmt, axis)
    element = _MX.get(fmt, ml_dtypes.float4_e2m1fn)
    scale = ml_dtypes.float8_e4m3fn if fmt == "nvfp4" else ml_dtypes.float8_e8m0fnu
    return q, q.codes.astype(np.uint8).view(element), q.scales.astype(np.uint8).view(scale)


@pytest.mark.parametrize("fmt", _MX)
@pytest.mark.parametrize("k", [32, 80])
def test_coded_mx_product_equals_the_unit_bit_for_bit(rng: np.random.Generator, fmt: str, k: int) -> None:
    w, wc, ws = _blocks(rng.normal(size=(k, 7)) * np.exp2(rng.integers(-20, 20, (k, 7))), fmt, 0)
    x, xc, xs = _blocks(rng.normal(size=(5, k)), fmt, 1)
    attributes: dict[str, Any] = {"block_size": 32, "output_dtype": TensorProto.FLOAT}
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "xs"], ["f"], axis=1, **attributes),
        helper.make_node("DequantizeLinear", ["w", "ws"], ["wf"], axis=0, **attributes),
        helper.make_node("MatMul", ["f", "wf"], ["y"], name="product"),
    ]
    types = {name: int(helper.np_dtype_to_tensor_dtype(value.dtype)) for name, value in (("x", xc), ("xs", xs))}
    inputs = {"x": (types["x"], xc.shape), "xs": (types["xs"], xs.shape)}
    net = from_model(_model(nodes, inputs, 2, {"w": wc, "ws": ws}))
    assert [layer.inputs for layer in net.layers] == [("x", "xs")]
    given = {"x": x.codes, "xs": x.scales}
    exact = _exact(x.dequantize(), w.dequantize())
    np.testing.assert_array_equal(network.run(net, given)["y"], exact)
    unit = datapath.named(fmt)
    d = unit.output.decode(datapath.matmul(unit, x, w)).astype(np.float32)
    np.testing.assert_array_equal(_on_unit(net, given, fmt), d)
    with pytest.raises(ValueError, match=rf"product \({fmt} by {fmt}\); the unit takes nvfp4 by nvfp4"):
        check_network(net, datapath.named("nvfp4"), {})


def test_coded_mxint8_takes_the_binary_point_from_the_scale(rng: np.random.Generator) -> None:
    w = formats.quantize(rng.normal(size=(64, 7)), "mxint8", 0)
    x = formats.quantize(rng.normal(size=(5, 64)), "mxint8", 1)
    constants = {
        "w": w.codes.view(np.int8),
        "ws": (w.scales - 6).astype(np.uint8).view(ml_dtypes.float8_e8m0fnu),
        "xs": (x.scales - 6).astype(np.uint8).view(ml_dtypes.float8_e8m0fnu),
    }
    attributes: dict[str, Any] = {"block_size": 32, "output_dtype": TensorProto.FLOAT}
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "xs"], ["f"], axis=1, **attributes),
        helper.make_node("DequantizeLinear", ["w", "ws"], ["wf"], axis=0, **attributes),
        helper.make_node("MatMul", ["f", "wf"], ["y"]),
    ]
    net = from_model(_model(nodes, {"x": (TensorProto.INT8, (5, 64))}, 2, constants))
    given = {"x": x.codes.view(np.int8)}
    np.testing.assert_array_equal(network.run(net, given)["y"], _exact(x.dequantize(), w.dequantize()))
    unit = datapath.named("mxint8")
    d = unit.output.decode(datapath.matmul(unit, x, w)).astype(np.float32)
    np.testing.assert_array_equal(_on_unit(net, given, "mxint8"), d)


def _nvfp4(rng: np.random.Generator) -> tuple[network.Network, Any, Any]:
    """Return NVFP4 by NVFP4: E4M3 scales dequantized by a float32 scale, then blocks of 16."""
    w, wc, ws = _blocks(rng.normal(size=(48, 7)).astype(np.float32), "nvfp4", 0)
    x, _, xs = _blocks(rng.normal(size=(5, 48)).astype(np.float32), "nvfp4", 1)
    constants = {"w": wc, "ws": ws, "wt": np.float32(w.tensor_scale), "xs": xs, "xt": np.float32(x.tensor_scale)}
    nodes = [
        helper.make_node("DequantizeLinear", ["ws", "wt"], ["wsf"]),
        helper.make_node("DequantizeLinear", ["w", "wsf"], ["wf"], axis=0, block_size=16),
        helper.make_node("DequantizeLinear", ["xs", "xt"], ["xsf"]),
        helper.make_node("DequantizeLinear", ["x", "xsf"], ["f"], axis=1, block_size=16),
        helper.make_node("MatMul", ["f", "wf"], ["y"]),
    ]
    return from_model(_model(nodes, {"x": (TensorProto.FLOAT4E2M1, (5, 48))}, 2, constants)), x, w


def test_coded_nvfp4_product_equals_the_unit_bit_for_bit(rng: np.random.Generator) -> None:
    net, x, w = _nvfp4(rng)
    factor = Fraction(float(np.float32(x.tensor_scale))) * Fraction(float(np.float32(w.tensor_scale)))
    inner = [formats.named("nvfp4").scale.decode(q.scales) for q in (x, w)]  # type: ignore[union-attr]
    element = formats.named("float4_e2m1fn")
    a = element.decode(x.codes) * np.repeat(inner[0], 16, axis=1)  # type: ignore[union-attr]
    b = element.decode(w.codes) * np.repeat(inner[1], 16, axis=0)  # type: ignore[union-attr]
    given = {"x": x.codes}
    exact = network.run(net, given)["y"]
    np.testing.assert_array_equal(exact, _exact(a, b, factor))
    unit = datapath.named("nvfp4")
    d = unit.output.decode(datapath.matmul(unit, x, w))
    outer = np.float64(np.float32(x.tensor_scale)) * np.float64(np.float32(w.tensor_scale))
    np.testing.assert_array_equal(_on_unit(net, given, "nvfp4"), (d * outer).astype(np.float32))


@pytest.mark.parametrize("kernel", [1, 3])
def test_coded_convolution_has_its_blocks_along_channels(rng: np.random.Generator, kernel: int) -> None:
    w, wc, ws = _blocks(rng.normal(size=(4, 64, kernel, kernel)), "mxfp4", 1)
    x, _, _ = _blocks(rng.normal(size=(2, 64, 5, 5)), "mxfp4", 1)
    attributes: dict[str, Any] = {"block_size": 32, "axis": 1, "output_dtype": TensorProto.FLOAT}
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "xs"], ["f"], **attributes),
        helper.make_node("DequantizeLinear", ["w", "ws"], ["wf"], **attributes),
        helper.make_node("Conv", ["f", "wf"], ["y"], pads=[kernel // 2] * 4),
    ]
    inputs = {"x": (TensorProto.FLOAT4E2M1, x.codes.shape), "xs": (TensorProto.FLOAT8E8M0, x.scales.shape)}
    net = from_model(_model(nodes, inputs, 4, {"w": wc, "ws": ws}))
    given = {"x": x.codes, "xs": x.scales}
    padded = np.pad(x.dequantize(), [(0, 0), (0, 0), *[(kernel // 2, kernel // 2)] * 2])
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), axis=(2, 3))
    rows = windows.transpose(0, 2, 3, 1, 4, 5).reshape(50, -1)
    exact = _exact(rows, w.dequantize().reshape(4, -1).T).reshape(2, 5, 5, 4).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(network.run(net, given)["y"], exact)
    ours = _on_unit(net, given, "mxfp4")
    last = windows.transpose(0, 2, 3, 4, 5, 1).reshape(50, -1)  # K as the unit takes it: taps, then channels
    unit = datapath.named("mxfp4")
    a = formats.quantize(last, "mxfp4", 1)
    b = formats.quantize(w.dequantize().transpose(2, 3, 1, 0).reshape(-1, 4), "mxfp4", 0)
    np.testing.assert_array_equal(a.dequantize(), last)
    d = unit.output.decode(datapath.matmul(unit, a, b)).reshape(2, 5, 5, 4).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(ours, d.astype(np.float32))


@pytest.mark.parametrize("bits", ["INT4", "UINT4", "INT2", "UINT2"])
def test_coded_blocked_integers_by_floats(rng: np.random.Generator, bits: str) -> None:
    dtype = {"INT4": ml_dtypes.int4, "UINT4": ml_dtypes.uint4, "INT2": ml_dtypes.int2, "UINT2": ml_dtypes.uint2}[bits]
    wide = 1 << int(bits[-1])
    signed = not bits.startswith("U")
    w = rng.integers(-wide // 2 if signed else 0, wide // 2 if signed else wide, (40, 6))
    zero = rng.integers(0, wide // 2, (3, 6))
    constants = {
        "w": w.astype(dtype),
        "ws": 2.0 ** rng.integers(-3, 3, (3, 6)).astype(np.float32),
        "wz": zero.astype(dtype),
    }
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wf"], axis=0, block_size=16),
        helper.make_node("MatMul", ["x", "wf"], ["y"]),
    ]
    net = from_model(_model(nodes, {"x": (TensorProto.FLOAT, (5, 40))}, 2, constants, 25))
    x = rng.integers(-9, 10, (5, 40)).astype(np.float32)
    rows = np.arange(40) // 16
    weight = (w - zero[rows]) * constants["ws"][rows]
    np.testing.assert_array_equal(network.run(net, {"x": x})["y"], (x @ weight).astype(np.float32))
    (layer,) = net.layers
    assert (layer.form.value, layer.a_quantization) == ("coded", None)  # type: ignore[attr-defined]


def test_coded_qlinear_matmul_of_floats(rng: np.random.Generator) -> None:
    e4m3 = ml_dtypes.float8_e4m3fn
    w = rng.normal(size=(24, 6)).astype(np.float32).astype(e4m3)
    zero = np.zeros((), e4m3)
    constants = {"as": np.float32(0.5), "w": w, "ws": np.float32(0.25), "ys": np.float32(0.0625), "z": zero}
    nodes = [
        helper.make_node("QLinearMatMul", ["x", "as", "z", "w", "ws", "z", "ys", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "ys"], ["y"]),
    ]
    net = from_model(_model(nodes, {"x": (TensorProto.FLOAT8E4M3FN, (5, 24))}, 2, constants, 23))
    x = rng.normal(size=(5, 24)).astype(np.float32).astype(e4m3)
    found = network.trace(net, {"x": x.view(np.uint8)})
    real = _exact(x.astype(np.float64), w.astype(np.float64), Fraction(1, 8))
    expected = (real / np.float32(0.0625)).astype(e4m3)
    np.testing.assert_array_equal(found["q"], expected.view(np.uint8))
    assert net.tensors["q"].dtype == "float8e4m3fn"


@pytest.mark.parametrize(
    ("axis", "scales", "message"),
    [
        (1, (32, 1), "'w' has blocks along axis 1, k is 0"),
        (0, (2, 7), r"scales must have shape \(1, 7\), not \(2, 7\)"),
        (2, (1, 7), "axis 2 is not one of"),
    ],
)
def test_coded_blocks_wrong(axis: int, scales: tuple[int, ...], message: str) -> None:
    constants = {
        "w": np.ones((32, 7), ml_dtypes.float4_e2m1fn),
        "ws": np.ones(scales, ml_dtypes.float8_e8m0fnu),
        "s": np.float32(1),
    }
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "s"], ["f"], name="dx"),
        helper.make_node("DequantizeLinear", ["w", "ws"], ["wf"], name="dw", axis=axis, block_size=32),
        helper.make_node("MatMul", ["f", "wf"], ["y"], name="product"),
    ]
    model = _model(nodes, {"x": (TensorProto.FLOAT4E2M1, (5, 32))}, 2, constants)
    with pytest.raises(ValueError, match=f"node '(dw|product)'.*: {message}"):
        from_model(model)


def test_coded_scales_across_blocks_of_a_float_wrong() -> None:
    constants = {"w": np.ones((32, 7), ml_dtypes.float8_e4m3fn), "ws": np.ones(32, np.float32), "s": np.float32(1)}
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "s"], ["f"]),
        helper.make_node("DequantizeLinear", ["w", "ws"], ["wf"], axis=0),
        helper.make_node("MatMul", ["f", "wf"], ["y"], name="product"),
    ]
    model = _model(nodes, {"x": (TensorProto.FLOAT8E4M3FN, (5, 32))}, 2, constants)
    with pytest.raises(ValueError, match=r"node 'product' .MatMul.: 'w' has scales along axis 0: no unit can apply"):
        from_model(model)


def test_coded_gemm_with_transposed_blocks_and_bias(rng: np.random.Generator) -> None:
    w, wc, ws = _blocks(rng.normal(size=(7, 64)), "mxfp4", 1)
    x, _, xs = _blocks(rng.normal(size=(5, 64)), "mxfp4", 1)
    bias = rng.normal(size=7).astype(np.float32)
    attributes: dict[str, Any] = {"block_size": 32, "axis": 1, "output_dtype": TensorProto.FLOAT}
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "xs"], ["f"], **attributes),
        helper.make_node("DequantizeLinear", ["w", "ws"], ["wf"], **attributes),
        helper.make_node("Gemm", ["f", "wf", "b"], ["y"], transB=1),
    ]
    constants = {"w": wc, "ws": ws, "xs": xs, "b": bias}
    net = from_model(_model(nodes, {"x": (TensorProto.FLOAT4E2M1, (5, 64))}, 2, constants))
    given = {"x": x.codes}
    one = np.column_stack([x.dequantize(), np.ones(5)])
    with_bias = np.vstack([w.dequantize().T, bias.astype(np.float64)])
    np.testing.assert_array_equal(network.run(net, given)["y"], _exact(one, with_bias))
    unit = datapath.named("mxfp4")
    turned = formats.quantize(w.dequantize().T, "mxfp4", 0)
    d = unit.output.decode(datapath.matmul(unit, x, turned))
    np.testing.assert_array_equal(_on_unit(net, given, "mxfp4"), (d + bias).astype(np.float32))


@pytest.mark.parametrize("unit", ["int8_by_int4_l8", "int8_by_int4_l16_int32"])
def test_coded_integers_by_blocked_integers(rng: np.random.Generator, unit: str) -> None:
    w = rng.integers(-8, 8, (64, 6))
    scales = rng.uniform(0.01, 0.1, (2, 6)).astype(np.float32)
    constants = {"w": w.astype(ml_dtypes.int4), "ws": scales, "s": np.float32(0.03125), "z": np.int8(0)}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["f"]),
        helper.make_node("DequantizeLinear", ["w", "ws"], ["wf"], axis=0, block_size=32),
        helper.make_node("MatMul", ["f", "wf"], ["y"]),
    ]
    net = from_model(_model(nodes, {"x": (TensorProto.FLOAT, (5, 64))}, 2, constants, 25))
    x = {"x": rng.normal(size=(5, 64)).astype(np.float32)}
    found = network.trace(net, x)
    codes = found["q"].astype(np.float64)
    spread = np.repeat(scales.astype(np.float64), 32, axis=0)
    np.testing.assert_array_equal(found["y"], _exact(codes, w * spread, Fraction(1, 32)))
    total = np.zeros((5, 6), np.float32)
    for block in range(2):
        part = slice(32 * block, 32 * block + 32)
        total = total + ((codes[:, part] @ w[part]) * scales[block].astype(np.float64)).astype(np.float32)
    np.testing.assert_array_equal(_on_unit(net, x, unit), (total * 0.03125).astype(np.float32))


def test_coded_operands_both_vary_behind_a_transpose(rng: np.random.Generator) -> None:
    e4m3 = ml_dtypes.float8_e4m3fn
    constants = {"s": np.float32(0.125), "z": np.zeros((), e4m3)}
    nodes = []
    for name in ("q", "k"):
        nodes.append(helper.make_node("QuantizeLinear", [name, "s", "z"], [f"{name}c"]))
        nodes.append(helper.make_node("DequantizeLinear", [f"{name}c", "s"], [f"{name}f"]))
    nodes.append(helper.make_node("Transpose", ["kf"], ["kt"], perm=[0, 2, 1]))
    nodes.append(helper.make_node("MatMul", ["qf", "kt"], ["y"]))
    shape = (TensorProto.FLOAT, (2, 5, 16))
    net = from_model(_model(nodes, {"q": shape, "k": shape}, 3, constants, 23))
    assert [layer.kind for layer in net.layers] == ["quantize", "quantize", "transpose", "gemm"]
    given = {name: rng.normal(size=(2, 5, 16)).astype(np.float32) for name in ("q", "k")}
    q, k = ((value / np.float32(0.125)).astype(e4m3).astype(np.float64) for value in given.values())
    exact = np.stack([_exact(a, b.T, Fraction(1, 64)) for a, b in zip(q, k, strict=True)])
    np.testing.assert_array_equal(network.run(net, given)["y"], exact)
    unit = datapath.named("float8_e4m3fn_l4_float32")
    ours = _on_unit(net, given, "float8_e4m3fn_l4_float32")
    encode = unit.element_a.encode
    d = np.stack([unit.output.decode(datapath.matmul(unit, encode(a), encode(b.T))) for a, b in zip(q, k, strict=True)])
    np.testing.assert_array_equal(ours, (d / 64).astype(np.float32))


def test_coded_products_have_no_tflite_rule(rng: np.random.Generator) -> None:
    net, x, _ = _nvfp4(rng)
    with pytest.raises(ValueError, match=r"layer 'y': the TFLite rule has no kernel for codes of float4e2m1 by"):
        network.run(net, {"x": x.codes}, rule="tflite")


def test_coded_float32_scales_of_blocks_may_vary(rng: np.random.Generator) -> None:
    w = rng.integers(-8, 8, (64, 6))
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "s"], ["f"], axis=1, block_size=32),
        helper.make_node("DequantizeLinear", ["c", "one"], ["wf"]),
        helper.make_node("MatMul", ["f", "wf"], ["y"]),
    ]
    constants = {"c": w.astype(np.int8), "one": np.float32(0.5)}
    inputs = {"x": (TensorProto.INT8, (5, 64)), "s": (TensorProto.FLOAT, (5, 2))}
    net = from_model(_model(nodes, inputs, 2, constants, 25))
    codes = rng.integers(-128, 128, (5, 64)).astype(np.int8)
    scales = rng.uniform(0.01, 0.1, (5, 2)).astype(np.float32)
    given: dict[str, Any] = {"x": codes, "s": scales}
    exact = _exact(codes * np.repeat(scales.astype(np.float64), 32, axis=1), w, Fraction(1, 2))
    np.testing.assert_array_equal(network.run(net, given)["y"], exact)
    total = np.zeros((5, 6), np.float32)
    for block in range(2):
        part = slice(32 * block, 32 * block + 32)
        d = codes[:, part].astype(np.float64) @ w[part]
        total = total + (d * scales[:, block : block + 1].astype(np.float64)).astype(np.float32)
    np.testing.assert_array_equal(_on_unit(net, given, "int8_l8"), total * np.float32(0.5))


def test_coded_scale_of_a_tensor_may_vary(rng: np.random.Generator) -> None:
    e4m3 = ml_dtypes.float8_e4m3fn
    w, zero = rng.normal(size=(24, 6)).astype(np.float32).astype(e4m3), np.zeros((), e4m3)
    nodes = [
        helper.make_node("Abs", ["x"], ["magnitude"]),
        helper.make_node("ReduceMax", ["magnitude"], ["largest"], keepdims=0),
        helper.make_node("Div", ["largest", "top"], ["s"]),
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s"], ["f"]),
        helper.make_node("DequantizeLinear", ["w", "ws"], ["wf"]),
        helper.make_node("MatMul", ["f", "wf"], ["y"]),
    ]
    constants = {"w": w, "ws": np.float32(0.5), "z": zero, "top": np.float32(448)}
    net = from_model(_model(nodes, {"x": (TensorProto.FLOAT, (5, 24))}, 2, constants, 23))
    assert net.layers[-1].inputs == ("q", "s")
    x = rng.normal(size=(5, 24)).astype(np.float32)
    scale = np.abs(x).max() / np.float32(448)
    codes = (x / scale).astype(e4m3)
    found = network.trace(net, {"x": x})
    np.testing.assert_array_equal(found["q"], codes.view(np.uint8))
    exact = _exact(codes.astype(np.float64), w.astype(np.float64), Fraction(float(scale)) / 2)
    np.testing.assert_array_equal(found["y"], exact)
    unit = datapath.named("float8_e4m3fn_l4_float32")
    d = unit.output.decode(datapath.matmul(unit, codes.view(np.uint8), w.view(np.uint8)))
    ours = _on_unit(net, {"x": x}, "float8_e4m3fn_l4_float32")
    np.testing.assert_array_equal(ours, (d * (np.float64(scale) * 0.5)).astype(np.float32))


def test_coded_mx_activations_quantized_by_the_network(rng: np.random.Generator) -> None:
    w, wc, ws = _blocks(rng.normal(size=(64, 7)), "mxfp4", 0)
    attributes: dict[str, Any] = {"block_size": 32, "axis": 1}
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["blocks"]),
        helper.make_node("Abs", ["blocks"], ["magnitude"]),
        helper.make_node("ReduceMax", ["magnitude", "last"], ["largest"], keepdims=0),
        helper.make_node("Mul", ["largest", "quarter"], ["ratio"]),  # OCP: the largest power of two over that of E2M1
        helper.make_node("Cast", ["ratio"], ["s"], to=TensorProto.FLOAT8E8M0, round_mode="down"),
        helper.make_node("QuantizeLinear", ["x", "s"], ["q"], output_dtype=TensorProto.FLOAT4E2M1, **attributes),
        helper.make_node("DequantizeLinear", ["q", "s"], ["f"], output_dtype=TensorProto.FLOAT, **attributes),
        helper.make_node(
            "DequantizeLinear", ["w", "ws"], ["wf"], axis=0, block_size=32, output_dtype=TensorProto.FLOAT
        ),
        helper.make_node("MatMul", ["f", "wf"], ["y"]),
    ]
    constants = {
        "w": wc,
        "ws": ws,
        "shape": np.array([5, 2, 32]),
        "last": np.array([-1]),
        "quarter": np.float32(0.25),
    }
    net = from_model(_model(nodes, {"x": (TensorProto.FLOAT, (5, 64))}, 2, constants))
    assert net.layers[-1].inputs == ("q", "s")
    x = rng.normal(size=(5, 64)).astype(np.float32)
    ours = formats.quantize(x, "mxfp4", 1)
    found = network.trace(net, {"x": x})
    np.testing.assert_array_equal(found["s"], ours.scales)
    np.testing.assert_array_equal(found["q"], ours.codes)
    np.testing.assert_array_equal(found["y"], _exact(ours.dequantize(), w.dequantize()))
    unit = datapath.named("mxfp4")
    d = unit.output.decode(datapath.matmul(unit, ours, w)).astype(np.float32)
    np.testing.assert_array_equal(_on_unit(net, {"x": x}, "mxfp4"), d)
