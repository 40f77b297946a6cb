# SPDX-License-Identifier: Apache-2.0
"""QuantizeLinear and DequantizeLinear of every type and granularity, beside ONNX Runtime, onnx's reference and ours."""

from itertools import product
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from hwsim.network import AffineQuantization
from hwsim.network.conversion import cast
from hwsim.network.element_types import ElementType, element_type, element_type_of
from hwsim.network.quantize_linear import dequantize_linear, dynamic_quantize_linear, quantize_linear

Array = npt.NDArray[Any]
INTEGERS = ("INT8", "UINT8", "INT16", "UINT16", "INT4", "UINT4")
FLOAT8 = ("FLOAT8E4M3FN", "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ")
NEW = {"FLOAT4E2M1": 23, "INT2": 25, "UINT2": 25, "FLOAT6E2M3": 28, "FLOAT6E3M2": 28}
NEWEST = onnx.defs.get_schema("QuantizeLinear").since_version
TARGETS = (*INTEGERS, *FLOAT8, *(name for name, since in NEW.items() if since <= NEWEST))
SHAPES: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "tensor": ((), {}),
    "axis": ((24,), {"axis": 0}),
    "block": ((24, 5), {"axis": -1, "block_size": 9}),  # the last of each row has 4
}


def kind(name: str) -> ElementType:
    return element_type(TensorProto.DataType.Value(name))


def zeros(target: ElementType, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    assert target.spec is not None
    codes = rng.integers(0, 1 << target.spec.bits, shape) if target.is_integer else np.zeros(shape)
    return target.array(np.asarray(codes).astype(np.uint16 if target.spec.bits > 8 else np.uint8))


def evaluated(node: onnx.NodeProto, given: dict[str, Array], out: ElementType, runtime: bool, opset: int) -> Array:
    """Return what ONNX Runtime, or onnx's reference, makes of constants."""
    nodes = [node]
    narrow = {"INT4": TensorProto.INT8, "UINT4": TensorProto.UINT8}
    back = out.number if out.dtype.isbuiltin == 1 or not runtime else narrow.get(out.name, TensorProto.FLOAT)
    if back != out.number:
        nodes.append(helper.make_node("Cast", ["y"], ["w"], to=back))
    graph = helper.make_graph(
        nodes,
        "small",
        [],
        [helper.make_tensor_value_info("y" if back == out.number else "w", back, ["n"] * given["x"].ndim)],
        [numpy_helper.from_array(value, name) for name, value in given.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    if not runtime:
        with np.errstate(all="ignore"):
            return np.asarray(next(iter(ReferenceEvaluator(model).run(None, {}))))
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {})[0])


def tensor(source: str, rng: np.random.Generator) -> Array:
    x = rng.standard_normal((24, 40)) * 10.0 ** rng.integers(-3, 3, (24, 40))
    x.flat[:4] = [0, -0.0, 1e-5, -1e-5]
    return x.astype(kind(source).dtype)


def equal(a: Array, b: Array) -> npt.NDArray[np.bool_]:
    one, other = a.astype(np.float64), b.astype(np.float64)
    both = np.isnan(one) & np.isnan(other)
    return np.asarray(both | ((one == other) & (np.signbit(one) == np.signbit(other))))


def excused(name: str, x: Array, zero_point: bool, y: Array, saturate: bool, runtime: bool) -> npt.NDArray[np.bool_]:
    """Return where a library is not held to.

    A zero point of a float8 type is left out by both, so that -0 stays, which the formula's sum makes +0; FLOAT6 has no
    -0 (float6.md); without saturation, ONNX Runtime takes E4M3FN's overflows up to 496 to 448 and E5M2's up to 65536
    to NaN (Cast's table: NaN, infinity).
    """
    values = y.astype(np.float64)
    skip = np.zeros(x.shape, np.bool_)
    if name in FLOAT8 and zero_point:
        skip |= x.astype(np.float64) == 0
    if name.startswith("FLOAT6"):
        skip |= values == 0
    if runtime and not saturate and name in ("FLOAT8E4M3FN", "FLOAT8E5M2"):
        skip |= ~np.isfinite(values)
    return skip


@pytest.mark.parametrize(("source", "target"), list(product(("FLOAT", "FLOAT16", "BFLOAT16"), TARGETS)))
def test_quantize_linear_equals_onnx_reference_and_runtime(source: str, target: str, rng: np.random.Generator) -> None:
    out, compared, held = kind(target), 0, 0
    for mode, with_zero, saturate in product(SHAPES, (False, True), (True, False)):
        if not saturate and target not in FLOAT8:
            continue
        shape, attributes = SHAPES[mode]
        x = tensor(source, rng)
        given = {"x": x, "s": np.exp(rng.standard_normal(shape)) * 0.1}
        given["s"] = np.asarray(given["s"]).astype(x.dtype)
        options: dict[str, Any] = dict(attributes) | ({} if saturate else {"saturate": 0})
        if with_zero:
            given["z"] = zeros(out, shape, rng)
        else:
            options["output_dtype"] = out.number
        y = quantize_linear(x, given["s"], given.get("z"), target=out, saturate=saturate, **attributes)
        assert y.dtype == out.dtype
        node = helper.make_node("QuantizeLinear", list(given), ["y"], **options)
        # In float16, ONNX Runtime divides in float32; the standard's text says: in the type of the scale.
        by_runtime = source == "FLOAT" and target not in NEW
        for runtime in (False, True) if by_runtime else (False,):
            theirs = evaluated(node, given, out, runtime, 21 if runtime else NEWEST)
            ours = y if theirs.dtype == y.dtype else cast(y, element_type_of(theirs))
            skip = excused(target, x, with_zero, y, saturate, runtime)
            assert (equal(ours, theirs) | skip).all(), (mode, with_zero, saturate, runtime)
            compared += x.size
            held += int((~skip).sum())
    assert held > 0.6 * compared > 0


@pytest.mark.parametrize("target", INTEGERS)
def test_quantize_linear_equals_the_layers_quantization(target: str, rng: np.random.Generator) -> None:
    out = kind(target)
    for mode in ("tensor", "axis"):
        shape, attributes = SHAPES[mode]
        x, zero = tensor("FLOAT", rng) * 100, zeros(out, shape, rng)
        scale = np.asarray(np.exp(rng.standard_normal(shape)), np.float32)
        axis = attributes.get("axis")
        layer = AffineQuantization(scale=scale, zero_point=out.integers(zero), dtype=target.lower(), axis=axis)
        y = quantize_linear(x, scale, zero, target=out, **attributes)
        np.testing.assert_array_equal(out.integers(y), layer.quantize(x))
        back = dequantize_linear(y, scale, zero, target=kind("FLOAT"), **attributes)
        np.testing.assert_array_equal(back, layer.dequantize(layer.quantize(x)))


@pytest.mark.parametrize(("source", "target"), list(product(TARGETS, ("FLOAT", "FLOAT16", "BFLOAT16"))))
def test_dequantize_linear_equals_onnx_reference_and_runtime(
    source: str, target: str, rng: np.random.Generator
) -> None:
    own, out, compared = kind(source), kind(target), 0
    assert own.spec is not None
    for mode, with_zero in product(SHAPES, (False, True)):
        shape, attributes = SHAPES[mode]
        codes = rng.integers(0, 1 << own.spec.bits, (24, 40))
        x = own.array(codes.astype(np.uint16 if own.spec.bits > 8 else np.uint8))
        given = {"x": x, "s": np.asarray(np.exp(rng.standard_normal(shape))).astype(out.dtype)}
        if with_zero:
            given["z"] = zeros(own, shape, rng)
        y = dequantize_linear(x, given["s"], given.get("z"), target=out, **attributes)
        assert y.dtype == out.dtype
        node = helper.make_node("DequantizeLinear", list(given), ["y"], **attributes)
        for runtime in (False, True) if source not in NEW and target != "BFLOAT16" else (False,):
            theirs = evaluated(node, given, out, runtime, 21 if runtime else NEWEST)
            same = equal(y, theirs)
            if "16" in source and "16" in target:  # both round to float32 first: at most a tie differs
                assert (~same).sum() <= 8
            else:
                assert same.all(), (mode, with_zero, runtime)
            compared += x.size
    assert compared >= 6 * 24 * 40


def test_quantize_linear_precision() -> None:
    # 1.0 / 3.0 in FLOAT is below 5461.5 / 16384, in FLOAT16 it is 0.333251953125, in BFLOAT16 0.333984375.
    x, scale = np.array([1.0], np.float32), np.asarray(3.0 / 16384, np.float32)
    assert quantize_linear(x, scale, target=kind("INT16")).tolist() == [5461]
    half = quantize_linear(x, scale, target=kind("INT16"), precision=kind("FLOAT16"))
    assert half.tolist() == [int(np.rint(np.float16(1) / np.float16(3.0 / 16384)))]
    brain = quantize_linear(x, scale, target=kind("INT16"), precision=kind("BFLOAT16"))
    assert brain.tolist() == [5472]
    narrow = quantize_linear(x, scale.astype(ml_dtypes.bfloat16), target=kind("INT16"))
    assert narrow.tolist() == [5472]  # without precision, the type of the scale
    with pytest.raises(ValueError, match="precision must be one of FLOAT, FLOAT16, BFLOAT16, not DOUBLE"):
        quantize_linear(x, scale, target=kind("INT8"), precision=kind("DOUBLE"))


def test_quantize_linear_with_scales_that_are_powers_of_two() -> None:
    # An MXFP4 block of OCP Microscaling 1.0: E8M0 scale 2**-2, elements E2M1.
    scale = np.array([[125]], np.uint8).view(ml_dtypes.float8_e8m0fnu)
    x = np.array([[1.5, -0.125, 0.2, 100.0]], np.float32)
    y = quantize_linear(x, scale, target=kind("FLOAT4E2M1"), axis=1, block_size=4)
    assert y.astype(np.float32).tolist() == [[6.0, -0.5, 1.0, 6.0]]
    back = dequantize_linear(y, scale, target=kind("FLOAT"), axis=1, block_size=4)
    assert back.tolist() == [[1.5, -0.125, 0.25, 1.5]]
    with pytest.raises(ValueError, match="the output must be one of FLOAT, FLOAT16, BFLOAT16, not FLOAT8E8M0"):
        dequantize_linear(y, scale, target=kind("FLOAT8E8M0"), axis=1, block_size=4)


def test_quantize_linear_of_integers() -> None:
    x = np.array([7, -7, 5, 2**31 - 1, -(2**31)], np.int32)
    y = quantize_linear(x, np.asarray(2, np.int32), target=kind("INT16"))
    assert y.tolist() == [4, -4, 2, 32767, -32768]  # exact quotients 3.5, -3.5, 2.5
    back = dequantize_linear(x, np.asarray(0.5, np.float32), target=kind("FLOAT"))
    assert back.tolist() == [3.5, -3.5, 2.5, 2.0**30, -(2.0**30)]


def test_quantize_linear_saturates_infinity_and_refuses_nan() -> None:
    x = np.array([np.inf, -np.inf, 3e38], np.float32)
    scale = np.asarray(1e-3, np.float32)
    assert quantize_linear(x, scale, np.asarray(3, np.uint8), target=kind("UINT8")).tolist() == [255, 0, 255]
    assert quantize_linear(x, scale, target=kind("FLOAT8E5M2")).astype(np.float32).tolist() == [57344, -57344, 57344]
    with pytest.raises(ValueError, match=r"the scale must be finite and not 0, not 0\.0"):
        quantize_linear(np.zeros(2, np.float32), np.asarray(0, np.float32), target=kind("INT8"))


def test_quantize_linear_nan_has_the_sign_of_its_input() -> None:
    x = np.array([np.nan, -np.nan, 0.0, -0.0], np.float32)
    y = quantize_linear(x, np.asarray(0, np.float32), target=kind("FLOAT8E4M3FN"))
    assert y.view(np.uint8).tolist() == [0x7F, 0xFF, 0x7F, 0xFF]


@pytest.mark.parametrize(
    ("scale", "zero", "options", "message"),
    [
        ((4,), None, {"axis": 1}, r"scale must have shape \(6,\) along axis 1 of \(4, 6\), not \(4,\)"),
        ((2,), None, {"axis": 2}, r"axis must be in -2\.\.1, not 2"),
        ((4, 2), None, {"block_size": 4, "axis": 0}, r"scale must have shape \(1, 6\) in blocks of 4 of \(4, 6\), not"),
        ((4, 2), None, {"block_size": -3}, "block_size must be at least 0, not -3"),
        ((), np.zeros((3,), np.int8), {}, r"zero point must have shape \(6,\) along axis 1 of \(4, 6\), not \(3,\)"),
        ((), np.zeros((), np.uint8), {}, "zero point must be INT8, not UINT8"),
    ],
)
def test_quantize_linear_shapes_wrong(scale: Any, zero: Any, options: dict[str, Any], message: str) -> None:
    x = np.zeros((4, 6), np.float32)
    with pytest.raises(ValueError, match=message):
        quantize_linear(x, np.ones(scale, np.float32), zero, target=kind("INT8"), **options)


def test_dequantize_linear_types_wrong() -> None:
    x, scale = np.zeros(3, np.int8), np.asarray(1, np.float32)
    with pytest.raises(ValueError, match="zero point must be of the type of x, INT8, not UINT8"):
        dequantize_linear(x, scale, np.asarray(0, np.uint8), target=kind("FLOAT"))
    with pytest.raises(ValueError, match="numbers are needed, not BOOL"):
        dequantize_linear(np.zeros(3, np.bool_), scale, target=kind("FLOAT"))


def test_dynamic_quantize_linear_equals_onnx_reference_and_runtime(rng: np.random.Generator, models: Any) -> None:
    node = helper.make_node("DynamicQuantizeLinear", ["x"], ["y", "s", "z"])
    types = {"y": TensorProto.UINT8, "z": TensorProto.UINT8}
    model = onnx.load(models.save([node], {"x": ["n"]}, ["y", "s", "z"], {}, types=types))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    reference = ReferenceEvaluator(model)
    compared = 0
    for _ in range(200):
        x = rng.standard_normal(rng.integers(1, 50)) * 10.0 ** rng.integers(-5, 5) + rng.integers(-1, 2)
        ours = dynamic_quantize_linear(x.astype(np.float32))
        for theirs in (
            session.run(None, {"x": x.astype(np.float32)}),
            reference.run(None, {"x": x.astype(np.float32)}),
        ):
            for a, b in zip(ours, theirs, strict=True):
                assert a.dtype == b.dtype
                np.testing.assert_array_equal(a, b)
                compared += a.size
    assert compared > 2000
    flat = np.zeros(3, np.float32)
    for a, b in zip(dynamic_quantize_linear(flat), session.run(None, {"x": flat}), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match="x must be finite float32 numbers, at least one"):
        dynamic_quantize_linear(np.array([np.nan], np.float32))
