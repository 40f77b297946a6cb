# SPDX-License-Identifier: Apache-2.0
"""The unit as the engine of a network: against exact integers, and against the oracle, product by product."""

import re

import numpy as np
import pytest
from onnx import helper, numpy_helper

from hwsim import data, datapath, formats, network
from hwsim.accelerator import UnitEngine, check_network
from hwsim.datapath import Row, dot_exact
from hwsim.formats import BlockSpec
from hwsim.network import Network


def _digits(*, quantized: bool) -> tuple[Network, dict[str, np.ndarray]]:
    net = network.read(data.digits_model_path(quantized=quantized))
    images, _ = data.digits_test()
    return net, {net.inputs[0].name: images[:16]}


@pytest.mark.parametrize("unit", ["int8", "int8_l16", "int16", "int8_l16_int28_to_float32"])
def test_engine_integer_unit_equals_exact_integers(unit: str) -> None:
    net, inputs = _digits(quantized=True)
    exact = network.trace(net, inputs)
    ours = network.trace(net, inputs, engine=UnitEngine(datapath.named(unit), {}))
    assert ours.keys() == exact.keys()
    for name, values in exact.items():
        assert np.array_equal(ours[name], values), name
    assert sum(values.size for values in exact.values()) > 20_000


@pytest.mark.parametrize("unit", ["float8_e4m3fn_l4", "mxfp4_l16", "nvfp4", "int4_l2", "posit8_1_l4"])
def test_engine_float_layer_equals_the_oracle(unit: str) -> None:
    spec = datapath.named(unit)
    net, inputs = _digits(quantized=False)
    ranges = network.calibrate(net, inputs)
    layer = next(layer for layer in net.layers if layer.kind == "conv" and "2" in layer.name)
    generator = np.random.default_rng(3)
    a = generator.normal(size=(1, 6, 72)).astype(np.float32)
    b = generator.normal(size=(1, 72, 5)).astype(np.float32)
    got = UnitEngine(spec, ranges).matmul(layer, a, b)[0]
    largest_a, largest_b = ranges[layer.name]
    if isinstance(spec.a, BlockSpec):
        assert isinstance(spec.b, BlockSpec)
        size = spec.a.block_size
        wholes: list[np.float32 | None] = [None, None]
        if spec.a.tensor_scale:
            top = spec.a.element.max_value * spec.a.scale.max_value
            wholes = [np.float32(largest_a / top), np.float32(largest_b / top)]
        qa = formats.quantize(a[0], spec.a, -1, scale=wholes[0])
        qb = formats.quantize(b[0], spec.b, 0, scale=wholes[1])
        factor = np.full((6, 5), qa.tensor_scale * qb.tensor_scale)
    else:
        size = 0
        top = 4 if unit.startswith("posit") else spec.a.max_value  # of posit8_1 useed, not the largest value
        qa = formats.quantize(a[0], spec.a, None, scale=np.float32(largest_a / top))
        columns = np.abs(b[0]).max(axis=0, keepdims=True).astype(np.float64)
        qb = formats.quantize(b[0], spec.b, 0, scale=(columns / top).astype(np.float32))
        factor = float(qa.scales) * qb.scales.astype(np.float64) * np.ones((6, 5))
    compared = 0
    for i in range(6):
        for j in range(5):
            rows = []
            steps = -(-72 // spec.lanes)
            for step in range(steps):
                lanes = range(step * spec.lanes, (step + 1) * spec.lanes)
                codes = tuple(int(qa.codes[i, k]) if k < 72 else 0 for k in lanes)
                weights = tuple(int(qb.codes[k, j]) if k < 72 else 0 for k in lanes)
                scales: tuple[int, ...] = ()
                if size:
                    at = step * spec.lanes // size
                    scales = (int(qa.scales[i, at]), int(qb.scales[at, j]))
                rows.append(Row(step == 0, step == steps - 1, codes, weights, scales))
            (d,) = dot_exact(spec, rows)
            want = np.float32(
                float(spec.output.decode(np.array([d], formats.codes.code_dtype(spec.output.bits)))[0]) * factor[i, j]
            )
            assert got[i, j] == want
            compared += 1
    assert compared == 30


def test_engine_network_wrong() -> None:
    net, inputs = _digits(quantized=True)
    wanted = r"conv1 \(int8 by int8\); conv2 \(int8 by int8\).*; the unit takes float8_e4m3fn by float8_e4m3fn"
    with pytest.raises(ValueError, match=wanted):
        check_network(net, datapath.named("float8_e4m3fn"), {})
    floats, _ = _digits(quantized=False)
    with pytest.raises(ValueError, match=re.escape("(float32, and no range of its operands is known: calibrate)")):
        check_network(floats, datapath.named("int8"), {})
    check_network(floats, datapath.named("int8"), network.calibrate(floats, inputs))


@pytest.mark.parametrize(
    ("kinds", "unit"), [((2, 3), "int8"), ((2, 2), "int8_l4"), ((3, 2), "int8"), ((2, 3), "int16")]
)
def test_engine_unsigned_codes_on_a_signed_unit(kinds: tuple[int, int], unit: str) -> None:
    """The codes less 128 are multiplied, and the zero point is 128 less: the same values, by plain integers."""
    rng = np.random.default_rng(5)
    types = [helper.tensor_dtype_to_np_dtype(kind) for kind in kinds]
    a, b = (
        rng.integers(np.iinfo(t).min, np.iinfo(t).max, s, t, True)
        for t, s in zip(types, ((7, 19), (19, 5)), strict=True)
    )
    zeros = [np.array(rng.integers(np.iinfo(t).min, np.iinfo(t).max), t) for t in types]
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["a", "b", "za", "zb"], ["y"])],
        "one",
        [helper.make_tensor_value_info("a", kinds[0], (7, 19))],
        [helper.make_tensor_value_info("y", 6, (7, 5))],
        [numpy_helper.from_array(value, name) for value, name in ((b, "b"), (zeros[0], "za"), (zeros[1], "zb"))],
    )
    net = network.onnx_reader.from_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]))
    spec = datapath.named(unit)
    check_network(net, spec, {})
    expected = (a.astype(np.int64) - zeros[0]) @ (b.astype(np.int64) - zeros[1])
    assert np.array_equal(network.run(net, {"a": a}, engine=UnitEngine(spec, {}))["y"], expected)


def test_engine_negative_values_on_an_unsigned_unit() -> None:
    net, inputs = _digits(quantized=False)
    ranges = network.calibrate(net, inputs)
    engine = UnitEngine(datapath.named("uint8_by_int8"), ranges)
    layer = next(layer for layer in net.layers if layer.kind == "conv")
    a = np.full((1, 2, 9), -1.5, np.float32)
    with pytest.raises(ValueError, match=r"layer 'conv1': uint8 has no negative values, .* down to -1\.5"):
        engine.matmul(layer, a, np.ones((1, 9, 8), np.float32))
