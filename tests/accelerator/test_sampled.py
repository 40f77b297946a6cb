# SPDX-License-Identifier: Apache-2.0
"""Sampled execution: the sampled tiles are the unit's, the rest the float product's, and the intervals hold."""

from dataclasses import replace
from math import inf
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from hwsim import data, datapath, formats, network
from hwsim.accelerator import UnitEngine
from hwsim.accelerator.sampled import SampledEngine
from hwsim.datapath.unit import FloatAccumulator
from hwsim.formats import Rounding
from hwsim.network.layers.multiply_accumulate import MultiplyAccumulate
from hwsim.network.onnx_reader import from_model

Array = NDArray[Any]


def problem(shape: tuple[int, int, int, int], spread: float) -> tuple[UnitEngine, MultiplyAccumulate, Array, Array]:
    """An engine, a layer, and operands whose rows differ in size, so that tiles differ in their errors."""
    groups, m, k, n = shape
    rng = np.random.default_rng(11)
    net = network.read(data.digits_model_path(quantized=False))
    layer = next(layer for layer in net.layers if isinstance(layer, MultiplyAccumulate))
    a = rng.standard_normal((groups, m, k), np.float32) * np.exp(spread * rng.standard_normal((1, m, 1))).astype("f4")
    b = rng.standard_normal((groups, k, n), np.float32)
    return UnitEngine(datapath.named("mxfp4_l16"), {layer.name: (1.0, 1.0)}), layer, a, b


def truth(engine: UnitEngine, layer: MultiplyAccumulate, a: Array, b: Array) -> tuple[Array, Array, float]:
    exact, plain = engine.matmul(layer, a, b), np.matmul(a, b)
    return exact, plain, float(np.square(exact.astype(np.float64) - plain).mean())


def test_sampled_tiles_have_the_bits_of_the_unit() -> None:
    engine, layer, a, b = problem((2, 40, 64, 50), 0.0)
    exact, plain, _ = truth(engine, layer, a, b)
    sampled = SampledEngine(engine, 5)
    found = sampled.matmul(layer, a, b)
    tiles = 0
    for group in range(2):
        for row in range(0, 40, 16):
            for column in range(0, 50, 16):
                at = (group, slice(row, row + 16), slice(column, column + 16))
                is_exact = found[at].tobytes() == exact[at].tobytes()
                assert is_exact or found[at].tobytes() == plain[at].tobytes()
                tiles += is_exact
    assert tiles == 5
    (error,) = sampled.errors
    assert (error.tiles, error.of, error.elements, error.numerics) == (5, 24, 4000, "float32")
    assert 0 < error.low < error.mean_squared < error.high
    assert error.mean_squared_value == pytest.approx(np.square(plain.astype(np.float64)).mean(), rel=1e-12)
    middle, low, high = error.sqnr_db
    assert low < middle < high


def test_sampled_all_tiles_give_the_error_itself() -> None:
    engine, layer, a, b = problem((1, 33, 64, 17), 0.5)
    exact, plain, mean = truth(engine, layer, a, b)
    sampled = SampledEngine(engine, 100)
    assert sampled.matmul(layer, a, b).tobytes() == exact.tobytes()
    (error,) = sampled.errors
    assert error.low == error.high == error.mean_squared == pytest.approx(mean, rel=1e-12)
    assert error.largest == np.abs(exact.astype(np.float64) - plain).max()


@pytest.mark.parametrize(("spread", "least"), [(0.0, 0.93), (0.5, 0.90)])
def test_sampled_interval_covers_the_error(spread: float, least: float) -> None:
    """Of 300 samples, so many intervals of 95 % hold the error of all 48 tiles: squares are skewed, so not quite."""
    engine, layer, a, b = problem((1, 64, 32, 48), spread)
    exact, _, mean = truth(engine, layer, a, b)

    class Known(UnitEngine):
        """Cuts tiles out of the known answer; that they are the unit's is tested above."""

        def matmul(self, layer: network.Layer, x: Array, y: Array) -> Array:
            rows = [int(np.flatnonzero((a[0] == tile[0]).all(axis=1))[0]) for tile in x]
            columns = [int(np.flatnonzero((b[0] == tile[:, :1]).all(axis=0))[0]) for tile in y]
            pairs = zip(rows, columns, strict=True)
            return np.stack([exact[0, row : row + x.shape[1], column : column + y.shape[2]] for row, column in pairs])

    known = Known(engine.unit, {})
    estimates, held = [], 0
    for seed in range(300):
        sampled = SampledEngine(known, 12, side=8, seed=seed)
        sampled.matmul(layer, a, b)
        (error,) = sampled.errors
        estimates.append(error.mean_squared)
        held += error.low <= mean <= error.high
    assert least <= held / 300 <= 0.985
    deviation = np.std(estimates, ddof=1) / np.sqrt(300)
    assert abs(np.mean(estimates) - mean) < 4 * deviation


def test_sampled_passes_of_a_layer_are_added() -> None:
    engine, layer, a, b = problem((1, 64, 32, 64), 0.3)
    sampled = SampledEngine(engine, 6)
    sampled.matmul(layer, a[:, :32], b)
    sampled.matmul(layer, a[:, 32:], b)
    (error,) = sampled.errors
    assert (error.tiles, error.of, error.elements) == (12, 16, 4096)
    _, _, mean = truth(engine, layer, a, b)
    assert error.low <= mean <= error.high


def test_sampled_choice_depends_on_seed_and_layer_only() -> None:
    engine, layer, a, b = problem((1, 64, 32, 64), 0.3)
    other = replace(layer, name="another")
    both = SampledEngine(UnitEngine(engine.unit, dict.fromkeys((layer.name, "another"), (1.0, 1.0))), 4)
    first = both.matmul(other, a, b)
    assert both.matmul(layer, a, b).tobytes() == SampledEngine(engine, 4).matmul(layer, a, b).tobytes()
    assert first.tobytes() != SampledEngine(engine, 4).matmul(layer, a, b).tobytes()
    assert SampledEngine(engine, 4, seed=1).matmul(layer, a, b).tobytes() != first.tobytes()


def test_sampled_network_of_integers_is_exact() -> None:
    net = network.read(data.digits_model_path(quantized=True))
    images, _ = data.digits_test()
    inputs = {net.inputs[0].name: images[:8]}
    sampled = SampledEngine(UnitEngine(datapath.named("int8"), {}), 3)
    found = network.run(net, inputs, engine=sampled)
    for name, values in network.run(net, inputs).items():
        assert np.array_equal(found[name], values)
    assert {error.numerics for error in sampled.errors} == {"exact integers"}
    assert all(error.mean_squared == error.high == 0 and error.sqnr_db[0] == inf for error in sampled.errors)


def test_sampled_network_of_blocks() -> None:
    """Codes with block scales, which are cut with their tiles."""
    rng = np.random.default_rng(5)
    x = formats.quantize(rng.standard_normal((40, 96)), "mxfp4", 1)
    w = formats.quantize(rng.standard_normal((96, 50)), "mxfp4", 0)
    attributes: dict[str, Any] = {"block_size": 32, "output_dtype": TensorProto.FLOAT}
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "xs"], ["f"], axis=1, **attributes),
        helper.make_node("DequantizeLinear", ["w", "ws"], ["wf"], axis=0, **attributes),
        helper.make_node("MatMul", ["f", "wf"], ["y"]),
    ]
    element, scale = TensorProto.FLOAT4E2M1, TensorProto.FLOAT8E8M0
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "blocks",
        [info("x", element, [40, 96]), info("xs", scale, [40, 3])],
        [info("y", TensorProto.FLOAT, [40, 50])],
        [
            numpy_helper.from_array(w.codes.astype(np.uint8).view(ml_dtypes.float4_e2m1fn), "w"),
            numpy_helper.from_array(w.scales.astype(np.uint8).view(ml_dtypes.float8_e8m0fnu), "ws"),
        ],
    )
    net = from_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 28)]))
    inputs = {"x": x.codes, "xs": x.scales}
    engine = UnitEngine(datapath.named("mxfp4_l16"), {})
    exact = network.run(net, inputs, engine=engine)["y"]
    every, some = SampledEngine(engine, 12), SampledEngine(engine, 3)
    assert network.run(net, inputs, engine=every)["y"].tobytes() == exact.tobytes()
    found = network.run(net, inputs, engine=some)["y"]
    (error,) = every.errors
    (part,) = some.errors
    assert (part.tiles, part.of, part.numerics) == (6, 12, "float32")  # 32 rows go through at once, then 8
    assert np.allclose(found, exact, rtol=1e-5, atol=1e-5)  # both are sums of the same values
    assert 0 <= error.mean_squared < 1e-10


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ({"tiles": 1}, ValueError, "tiles must be"),
        ({"tiles": 2.0}, TypeError, "tiles must be"),
        ({"side": 0}, ValueError, "side must be"),
        ({"confidence": 1.0}, ValueError, r"confidence must be between 0 and 1, not 1\.0"),
    ],
)
def test_sampled_arguments_wrong(given: dict[str, Any], kind: type[Exception], message: str) -> None:
    engine = UnitEngine(datapath.named("int8"), {})
    with pytest.raises(kind, match=message):
        SampledEngine(engine, **({"tiles": 2} | given))


def test_sampled_stochastic_unit_wrong() -> None:
    unit = datapath.named("mxfp4_l16")
    assert isinstance(unit.accumulator, FloatAccumulator)
    random = replace(unit, accumulator=replace(unit.accumulator, rounding=Rounding.STOCHASTIC, random_bits=8))
    with pytest.raises(ValueError, match="rounds stochastically, so that no tile can be computed alone"):
        SampledEngine(UnitEngine(random, {}), 2)
