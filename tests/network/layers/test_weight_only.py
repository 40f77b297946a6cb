# SPDX-License-Identifier: Apache-2.0
"""MatMulNBits and MatMulBnb4 against ONNX Runtime, and on units with the weights' codes as they are."""

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from hwsim import datapath, formats, network
from hwsim.accelerator import UnitEngine, check_network
from hwsim.network.layers.weight_only import unpacked


def _packed(codes: np.ndarray, bits: int) -> np.ndarray:
    """Pack codes of shape (rows, count), low bits first, each row to whole bytes."""
    each = 8 // bits
    wide = np.pad(codes, ((0, 0), (0, -codes.shape[1] % each))).reshape(codes.shape[0], -1, each).astype(np.uint32)
    return np.asarray((wide << (np.arange(each) * bits)).sum(axis=2).astype(np.uint8))


def _nbits(
    models: Any, rng: np.random.Generator, bits: int, *, zeros: bool, scales: Any, k: int = 64, n: int = 6
) -> tuple[Any, np.ndarray]:
    """Return a model of one MatMulNBits with blocks of 16, and its weights (k, n) in float64."""
    size, blocks = 16, -(-k // 16)
    codes = rng.integers(0, 1 << bits, (n, blocks * size)).astype(np.uint8)
    zero = rng.integers(0, 1 << bits, (n, blocks)) if zeros else np.full((n, blocks), 1 << (bits - 1))
    scale = scales((n, blocks)).astype(np.float32)
    constants = {"b": _packed(codes, bits).reshape(n, blocks, -1), "s": scale.reshape(-1)}
    names = ["x", "b", "s"]
    if zeros:
        constants["z"] = _packed(zero, bits).reshape(-1)
        names.append("z")
    attributes: dict[str, Any] = {"K": k, "N": n, "bits": bits, "block_size": size}
    node = helper.make_node("MatMulNBits", names, ["y"], name="nbits", domain="com.microsoft", **attributes)
    path = models.save([node], {"x": [5, k]}, ["y"], constants, rank=2)
    spread = np.repeat(np.arange(blocks), size)
    weight = (codes - zero[:, spread].astype(np.float64)) * scale[:, spread]
    return path, weight[:, :k].T


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("zeros", [False, True])
def test_weight_only_nbits_equals_runtime(models: Any, rng: np.random.Generator, bits: int, zeros: bool) -> None:
    # Small integers under powers of two: every order of float32 additions gives the same sum.
    path, weight = _nbits(models, rng, bits, zeros=zeros, scales=lambda shape: 2.0 ** rng.integers(-3, 4, shape))
    x = rng.integers(-8, 9, (5, 64)).astype(np.float32)
    net = models.assert_same(path, {"x": x})
    np.testing.assert_array_equal(network.run(net, {"x": x})["y"], x @ weight)


def test_weight_only_nbits_within_float32_of_the_exact_sum(models: Any, rng: np.random.Generator) -> None:
    path, weight = _nbits(models, rng, 4, zeros=True, scales=lambda shape: rng.uniform(0.01, 0.1, shape), k=72)
    x = rng.normal(size=(5, 72)).astype(np.float32)
    exact = x.astype(np.float64) @ weight
    bound = np.abs(x).astype(np.float64) @ np.abs(weight) * 72 * 2.0**-23
    for found in (network.run(network.read(path), {"x": x})["y"], models.oracle(path, {"x": x})["y"]):
        assert (np.abs(found - exact) <= bound).all()


@pytest.mark.parametrize(("kind", "name"), [(0, "bnb_fp4"), (1, "nf4")])
def test_weight_only_bnb4_equals_runtime(models: Any, rng: np.random.Generator, kind: int, name: str) -> None:
    k, n, size = 64, 16, 32
    codes = (np.arange(n)[:, np.newaxis] + np.zeros(k)).astype(np.uint8)  # column c holds the code c
    pairs = codes.reshape(-1, 2)
    constants = {"b": (pairs[:, 0] << 4 | pairs[:, 1]).astype(np.uint8), "s": np.ones(n * k // size, np.float32)}
    attributes: dict[str, Any] = {"K": k, "N": n, "block_size": size, "quant_type": kind}
    node = helper.make_node("MatMulBnb4", ["x", "b", "s"], ["y"], domain="com.microsoft", **attributes)
    path = models.save([node], {"x": [1, k]}, ["y"], constants, rank=2)
    x = np.zeros((1, k), np.float32)
    x[0, 33] = 1
    net = models.assert_same(path, {"x": x})
    spec = formats.named(name)
    assert not isinstance(spec, formats.PhaseSpec | formats.BlockSpec)
    expected = spec.decode(np.arange(16, dtype=np.uint8)).astype(np.float32)
    np.testing.assert_array_equal(network.run(net, {"x": x})["y"][0], expected)


@pytest.mark.parametrize("unit", ["float16_by_int4_l8_float32", "bfloat16_by_int4_l8_float32"])
def test_weight_only_on_a_unit_scales_each_block_apart(models: Any, rng: np.random.Generator, unit: str) -> None:
    path, weight = _nbits(models, rng, 4, zeros=False, scales=lambda shape: rng.uniform(0.01, 0.1, shape))
    net, spec = network.read(path), datapath.named(unit)
    check_network(net, spec, {})
    x = rng.normal(size=(5, 64)).astype(np.float32)
    ours = network.run(net, {"x": x}, engine=UnitEngine(spec, {}))["y"]
    (layer,) = net.layers
    codes, blocks = layer.weight, layer.b_quantization  # type: ignore[attr-defined]
    a = spec.element_a.encode(x, overflow="infinity")
    b = (codes.astype(np.int64) & 15).astype(np.uint8)
    total = np.zeros((5, 6), np.float32)
    for index in range(4):
        part = slice(16 * index, 16 * index + 16)
        d = spec.output.decode(datapath.matmul(spec, a[:, part], b[part]))
        total = total + (d * blocks.scale_values()[index]).astype(np.float32)
    np.testing.assert_array_equal(ours, total)
    assert np.abs(ours - x.astype(np.float64) @ weight).max() < 0.1


def test_weight_only_unpacked_every_byte() -> None:
    data = np.arange(256, dtype=np.uint8).reshape(-1, 1)
    for bits in (2, 4, 8):
        codes = unpacked(data, bits, 8 // bits).astype(np.int64)
        np.testing.assert_array_equal((codes << (np.arange(8 // bits) * bits)).sum(axis=1), np.arange(256))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bits": 3}, "bits must be 2, 4 or 8, not 3"),
        ({"K": 65}, r"B must be uint8 of shape \(6, 5, 8\)"),
        ({"N": 0}, "N must be in 1"),
        ({"block_size": 32}, "scales must be floats of shape"),
    ],
)
def test_weight_only_attribute_wrong(
    models: Any, rng: np.random.Generator, change: dict[str, int], message: str
) -> None:
    path, _ = _nbits(models, rng, 4, zeros=False, scales=np.ones)
    model = onnx.load(path)
    for attribute in model.graph.node[0].attribute:
        attribute.i = change.get(attribute.name, attribute.i)
    onnx.save(model, path)
    with pytest.raises(ValueError, match=f"node 'nbits' .com.microsoft::MatMulNBits.: {message}"):
        network.read(path)


def test_weight_only_weights_are_read(models: Any, rng: np.random.Generator) -> None:
    path, weight = _nbits(models, rng, 4, zeros=True, scales=lambda shape: 2.0 ** rng.integers(-3, 4, shape))
    ((name, found),) = network.weights(path).items()
    assert name == "b"
    np.testing.assert_array_equal(found.values, weight.T)


@pytest.mark.parametrize("unit", ["float16_by_int8_l8_float32", "bfloat16_by_int8_l4_float32", "int8_l16"])
def test_weight_only_dequantized_channels_on_a_unit(models: Any, rng: np.random.Generator, unit: str) -> None:
    codes = rng.integers(-128, 128, (32, 6)).astype(np.int8)
    scales = rng.uniform(0.01, 0.1, 6).astype(np.float32)
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "ws"], ["wf"], axis=1),
        helper.make_node("MatMul", ["x", "wf"], ["y"], name="product"),
    ]
    net = network.read(models.save(nodes, {"x": [5, 32]}, ["y"], {"w": codes, "ws": scales}))
    x = rng.normal(size=(5, 32)).astype(np.float32)
    spec = datapath.named(unit)
    ranges = network.calibrate(net, {"x": x})
    check_network(net, spec, ranges)
    ours = network.run(net, {"x": x}, engine=UnitEngine(spec, ranges))["y"]
    if unit == "int8_l16":
        step = np.float32(np.abs(x).max() / 127)
        a = formats.quantize(x, "int8", None, scale=step).codes
        factor = np.float64(step) * scales
        d = spec.output.decode(datapath.matmul(spec, a, codes.view(np.uint8)))
    else:
        factor = scales.astype(np.float64)
        d = spec.output.decode(
            datapath.matmul(spec, spec.element_a.encode(x, overflow="infinity"), codes.view(np.uint8))
        )
    np.testing.assert_array_equal(ours, (d * factor).astype(np.float32))
    with pytest.raises(ValueError, match=r"product \(float32 by int8\); the unit takes int4 by int4"):
        check_network(net, datapath.named("int4"), ranges)


def test_weight_only_nbits_of_half_floats_equals_runtime(models: Any, rng: np.random.Generator) -> None:
    k, n, size = 64, 6, 32
    codes = rng.integers(0, 16, (n, k)).astype(np.uint8)
    constants = {
        "b": _packed(codes, 4).reshape(n, k // size, -1),
        "s": (2.0 ** rng.integers(-3, 4, n * k // size)).astype(np.float16),
    }
    attributes: dict[str, Any] = {"K": k, "N": n, "bits": 4, "block_size": size}
    node = helper.make_node("MatMulNBits", ["x", "b", "s"], ["y"], domain="com.microsoft", **attributes)
    types = {"x": TensorProto.FLOAT16, "y": TensorProto.FLOAT16}
    path = models.save([node], {"x": [5, k]}, ["y"], constants, types=types, rank=2)
    x = rng.integers(-2, 3, (5, k)).astype(np.float16)
    net = models.assert_same(path, {"x": x})
    assert any(layer.kind == "gemm" and layer.form.value == "coded" for layer in net.layers)
