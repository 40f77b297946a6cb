# SPDX-License-Identifier: Apache-2.0
"""How tensors are kept, by hand: residuals, weights of few bits, scales of blocks, constants; buffers used as one."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import hwsim
from hwsim.accelerator import Accelerator, SramSpec
from hwsim.accelerator.mapping import AccessEnergies, LayerPlan, plan
from hwsim.accelerator.mapping.pieces import Image
from hwsim.datapath import DotProductUnit, named
from hwsim.network import Network

ENERGIES = AccessEnergies(0.1, 0.12, 0.2, 0.25, 8.0, 0.1, 1.0)
NODE = helper.make_node


def _network(path: Path, nodes: list[Any], inputs: list[Any], output: tuple[int, ...], constants: list[Any]) -> Network:
    z = helper.make_tensor_value_info("z", TensorProto.FLOAT, output)
    graph = helper.make_graph(nodes, "net", inputs, [z], constants)
    file = path / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), file)
    return hwsim.network.read(file)


def _floats(name: str, *shape: int) -> onnx.TensorProto:
    return numpy_helper.from_array(np.linspace(-1, 1, int(np.prod(shape)), dtype=np.float32).reshape(shape), name)


def _value(name: str, *shape: int, kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def _accelerator(unit: str | DotProductUnit, kilobytes: int = 64, weights: int = 64, bits: int = 64) -> Accelerator:
    base = hwsim.accelerator.read("int8_16x16")
    return replace(
        base,
        unit=unit if not isinstance(unit, str) else named(unit),
        activations=SramSpec(kilobytes=kilobytes, width_bits=4096),
        weights=SramSpec(kilobytes=weights, width_bits=4096),
        dram=replace(base.dram, bits_per_cycle=bits),
    )


def _moves(plans: tuple[LayerPlan, ...]) -> dict[tuple[str, str, str], tuple[int, int]]:
    """Return bits of elements and of scales, by layer, tensor and port."""
    return {
        (one.layer.name, move.tensor, move.port): (move.element_bits, move.scale_bits)
        for one in plans
        for move in one.traffic.moves
    }


def test_a_float_tensor_has_the_units_format_if_products_alone_read_it(tmp_path: Path) -> None:
    # (32, 64) by (64, 64) twice: h enters a product alone and is kept as MXFP4, x is added too and kept as float32
    nodes = [
        NODE("MatMul", ["x", "w0"], ["h"], name="first"),
        NODE("MatMul", ["h", "w1"], ["y"], name="second"),
        NODE("Add", ["y", "x"], ["z"], name="sum"),
    ]
    net = _network(tmp_path, nodes, [_value("x", 32, 64)], (32, 64), [_floats("w0", 64, 64), _floats("w1", 64, 64)])
    found = _moves(plan(net, _accelerator("mxfp4_l16"), ENERGIES))
    elements, blocks = 32 * 64, 32 * 64 // 32
    assert found["first", "x", "activation_write"] == (elements * 32, 0)
    assert found["first", "x", "activation_read"] == (4 * elements * 32, 0)  # for each of four folds of columns
    assert found["first", "h", "activation_write"] == (elements * 4, blocks * 8)
    assert found["second", "h", "activation_read"] == (4 * elements * 4, 4 * blocks * 8)
    assert found["second", "y", "activation_write"] == (elements * 32, 0)
    assert found["sum", "x", "activation_read"] == (elements * 32, 0)


def test_tiles_of_a_spilled_float_tensor_are_rounded_as_they_are_loaded(tmp_path: Path) -> None:
    nodes = [NODE("Relu", ["x"], ["y"], name="relu"), NODE("MatMul", ["y", "w"], ["h"], name="product")]
    nodes.append(NODE("Add", ["h", "y"], ["z"], name="sum"))
    net = _network(tmp_path, nodes, [_value("x", 64, 64)], (64, 64), [_floats("w", 64, 64)])
    found = _moves(plan(net, _accelerator("int8", kilobytes=12), ENERGIES))
    assert found["product", "y", "dram"] == (64 * 64 * 32, 0)
    assert found["product", "y", "activation_write"] == (64 * 64 * 8, 0)


@pytest.mark.parametrize("unit", ["int8", "int4"])
def test_weights_of_four_bits_cross_the_dram_with_four(tmp_path: Path, unit: str) -> None:
    # (4, 256) by (256, 64): int8 activations need an int8 unit; on it, 4 bits of a weight are still 4
    rng = np.random.default_rng(0)
    kind = TensorProto.INT8 if unit == "int8" else TensorProto.INT4
    nodes = [
        NODE("QuantizeLinear", ["x", "xs", "xz"], ["xq"]),
        NODE("DequantizeLinear", ["xq", "xs", "xz"], ["xd"]),
        NODE("DequantizeLinear", ["w", "s"], ["wd"], axis=1),
        NODE("MatMul", ["xd", "wd"], ["z"], name="product"),
    ]
    constants = [
        helper.make_tensor("w", TensorProto.INT4, (256, 64), rng.integers(-7, 8, 256 * 64).tolist()),
        helper.make_tensor("xs", TensorProto.FLOAT, (), [0.1]),
        helper.make_tensor("xz", kind, (), [0]),
        numpy_helper.from_array(np.full(64, 0.1, np.float32), "s"),
    ]
    net = _network(tmp_path, nodes, [_value("x", 4, 256)], (4, 64), constants)
    found = _moves(plan(net, _accelerator(unit, weights=4), ENERGIES))
    name = next(layer for layer, *_ in found if layer in ("product", "z"))
    for port in ("dram", "weight_write", "weight_read"):
        assert found[name, f"{name}.weight", port] == (256 * 64 * 4, 0)
    fits = plan(net, _accelerator(unit, weights=8), ENERGIES)
    assert all(one.weights_resident for one in fits if one.product is not None)  # 8 KiB to the bit


def test_block_scales_that_are_applied_apart_are_moved(tmp_path: Path) -> None:
    # (4, 256) by (256, 64): a float32 scale for each 32 of K; as int4 codes on a unit without blocks
    rng = np.random.default_rng(0)
    nodes = [
        NODE("DequantizeLinear", ["w", "s"], ["wd"], axis=0, block_size=32),
        NODE("MatMul", ["x", "wd"], ["z"], name="product"),
    ]
    constants = [
        helper.make_tensor("w", TensorProto.INT4, (256, 64), rng.integers(-7, 8, 256 * 64).tolist()),
        numpy_helper.from_array(rng.uniform(0.1, 0.2, (8, 64)).astype(np.float32), "s"),
    ]
    net = _network(tmp_path, nodes, [_value("x", 4, 256)], (4, 64), constants)
    base = named("bfloat16_l1_float32")
    unit = replace(base, b=hwsim.formats.named("int4"))
    (one,) = plan(net, _accelerator(unit, weights=8), ENERGIES)
    found = _moves((one,))
    for port in ("dram", "weight_write", "weight_read"):
        assert found[one.layer.name, f"{one.layer.name}.weight", port] == (256 * 64 * 4, 8 * 64 * 32)
    assert not one.weights_resident  # 8 KiB of codes, and their scales
    (one,) = plan(net, _accelerator(unit, weights=10), ENERGIES)
    assert one.weights_resident


def test_constants_come_from_the_dram_in_each_pass(tmp_path: Path) -> None:
    # 16 rows of 64 of a table of 1000; a table of positions; a normalization's two vectors
    nodes = [
        NODE("Gather", ["table", "ids"], ["e"], name="embed"),
        NODE("Add", ["e", "positions"], ["h"], name="add"),
        NODE("LayerNormalization", ["h", "gamma", "beta"], ["y"], name="norm"),
        NODE("Mul", ["y", "two"], ["z"], name="mul"),
    ]
    constants = [_floats("table", 1000, 64), _floats("positions", 16, 64), _floats("gamma", 64), _floats("beta", 64)]
    constants.append(helper.make_tensor("two", TensorProto.FLOAT, (), [2.0]))
    ids = _value("ids", 1, 16, kind=TensorProto.INT64)
    plans = plan(_network(tmp_path, nodes, [ids], (1, 16, 64), constants), _accelerator("int8", bits=8), ENERGIES)
    wanted = {"gather": 16 * 64 * 32, "add": 16 * 64 * 32, "layer_norm": 2 * 64 * 32}
    for one in plans:
        found = _moves((one,))
        for port in ("dram", "weight_write", "weight_read"):
            bits, _ = found.get((one.layer.name, f"{one.layer.name}.constants", port), (0, 0))
            assert bits == wanted.get(one.layer.kind, 0)
        assert one.cycles >= one.traffic.dram_bits // 8


@pytest.mark.parametrize("product", [(64, 1024, 64), (256, 512, 48)])
def test_two_buffers_are_never_slower_than_one(tmp_path: Path, product: tuple[int, int, int]) -> None:
    # all of K for a fold fits into either memory once, and not twice
    m, k, n = product
    nodes = [NODE("MatMul", ["x", "w"], ["z"], name="product")]
    net = _network(tmp_path, nodes, [_value("x", m, k)], (m, n), [_floats("w", k, n)])
    cycles = {}
    explained: tuple[str, ...] = ()
    for doubled in ((True, True), (True, False), (False, True), (False, False)):
        base = _accelerator("int8", kilobytes=24, weights=-(-k * 16 * 3 // 2 // 1024))
        activations, weights = (
            replace(memory, double_buffered=each)
            for memory, each in zip((base.activations, base.weights), doubled, strict=True)
        )
        (one,) = plan(net, replace(base, activations=activations, weights=weights), ENERGIES)
        cycles[doubled] = one.cycles
        if all(doubled):
            assert one.mapping is not None
            explained = one.mapping.explanation
    assert cycles[True, True] == min(cycles.values())
    if cycles[True, True] in (cycles[True, False], cycles[False, True], cycles[False, False]):
        assert "memory as one buffer" in explained[0]


def test_image_loads_no_line_that_is_skipped_after_its_last() -> None:
    # 1 x 1 with a stride of 2: outputs of a line need one line, those of two lines three; loaded for good, all eight
    view = Image(8, 5, 4, 3, 2, 0, 1, 1)
    lines = np.arange(0, 13, 3)
    assert view.rows(lines[:-1], lines[1:]).tolist() == [5, 5, 5, 5]
    assert view.rows(np.array([0, 6]), np.array([6, 12])).tolist() == [15, 15]
    assert view.new_rows(lines[1:]).tolist() == [10, 10, 10, 10]
