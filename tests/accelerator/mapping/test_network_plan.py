# SPDX-License-Identifier: Apache-2.0
"""Plans of whole networks: what is loaded and kept, by hand; parts that add up; residual branches; language models."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import hwsim
from hwsim import data
from hwsim.accelerator import Accelerator, ArrayKind, Objective, SramSpec, schedule
from hwsim.accelerator.mapping import AccessEnergies, LayerPlan, plan
from hwsim.datapath.sparsity import Sparsity
from hwsim.network import Network
from hwsim.network.nonlinear import NonlinearSpec, SoftmaxKind

ENERGIES = AccessEnergies(0.1, 0.12, 0.2, 0.25, 8.0, 0.1, 1.0)


def network(
    tmp_path: Path,
    nodes: list[Any],
    inputs: dict[str, tuple[int, ...]],
    outputs: dict[str, tuple[int, ...]],
    weights: dict[str, tuple[int, ...]],
    dtype: int = TensorProto.FLOAT,
) -> Network:
    rng = np.random.default_rng(0)
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "net",
        [value(name, dtype, shape) for name, shape in inputs.items()],
        [value(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(rng.normal(size=shape).astype(np.float32), name) for name, shape in weights.items()],
    )
    path = tmp_path / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return hwsim.network.read(path)


def int8(kilobytes: int = 64, weights: int = 64, **array: Any) -> Accelerator:
    """Return the int8 preset with memories of so many KiB and wide ports."""
    base = hwsim.accelerator.read("int8_16x16")
    return replace(
        base,
        array=replace(base.array, **array),
        activations=SramSpec(kilobytes=kilobytes, width_bits=4096),
        weights=SramSpec(kilobytes=weights, width_bits=4096),
    )


def moves(one: LayerPlan) -> dict[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    for move in one.traffic.moves:
        found[move.tensor, move.port] = found.get((move.tensor, move.port), 0) + move.bits
    return found


def test_plan_with_everything_on_chip_moves_each_tensor_once() -> None:
    net = hwsim.network.read(data.digits_model_path(quantized=True))
    accelerator = int8()
    plans = plan(net, accelerator, ENERGIES)
    assert [each.layer for each in plans] == list(net.layers)
    outside = sum(spec.elements * spec.bits for spec in (*net.inputs, *net.outputs))
    assert sum(each.traffic.dram_bits for each in plans) == outside
    for each in plans:
        assert each.cycles == each.fill_cycles + each.compute_cycles + each.drain_cycles + each.stall_cycles
        if each.mapping is None:
            continue
        assert each.weights_resident
        assert each.product is not None
        if each.mapping.arrangement == "plain":
            whole = schedule(accelerator.array, each.product, accelerator.unit.width, accelerator.pipeline)
            assert each.schedule == whole
            assert each.cycles == whole.cycles
        assert each.schedule is not None
        assert each.schedule.cycles <= each.cycles


def test_plan_loads_weights_once_where_they_fit_a_layer_at_a_time() -> None:
    net = hwsim.network.read(data.digits_model_path(quantized=True))
    weights = {layer.name: getattr(layer, "weight", None) for layer in net.layers}
    sizes = {name: 8 * weight.size for name, weight in weights.items() if weight is not None}
    plans = plan(net, int8(weights=5), ENERGIES)
    loaded = {each.layer.name: moves(each)[f"{each.layer.name}.weight", "dram"] for each in plans if each.product}
    assert loaded == sizes
    for each in plans:
        assert not each.weights_resident


def test_plan_of_one_fold_by_hand(tmp_path: Path) -> None:
    # (6, 40) by (40, 5) from and to a DRAM of 64 bits a cycle: x is loaded as float32, kept as int8, in parts of K of
    # 16, 16 and 8: 48, 48 and 24 cycles. On 16 x 16 units 40 steps, a skew of 30, a drain of 16 + 2; while the first
    # two parts take 16 steps each, loads take 48 and 24. Then 30 outputs leave as float32 in 15 cycles.
    nodes = [helper.make_node("MatMul", ["x", "w"], ["z"], name="product")]
    net = network(tmp_path, nodes, {"x": (6, 40)}, {"z": (6, 5)}, {"w": (40, 5)})
    (one,) = plan(net, int8(), ENERGIES)
    assert (one.fill_cycles, one.compute_cycles, one.drain_cycles, one.stall_cycles) == (48 + 30, 40, 18 + 15, 32 + 8)
    assert moves(one) == {
        ("x", "dram"): 6 * 40 * 32,
        ("x", "activation_write"): 6 * 40 * 8,
        ("x", "activation_read"): 6 * 40 * 8,
        ("product.weight", "weight_read"): 40 * 5 * 8,
        ("z", "activation_write"): 30 * 32,
        ("z", "activation_read"): 30 * 32,
        ("z", "dram"): 30 * 32,
    }
    assert [event.what for event in one.events] == ["load", "fill", "compute", "stall", "drain", "store"]
    assert one.events[-1].end == one.cycles
    assert one.steps == 6 * 5 * 40
    assert one.register_bits == one.steps * 16


def test_plan_of_the_worked_example() -> None:
    # docs/mapping.md: weights of 144 x 16 bytes do not fit twice into 4 KiB, so a fold's K comes in five tiles
    net = hwsim.network.read(data.digits_model_path(quantized=True))
    base = hwsim.accelerator.read("int8_16x16")
    accelerator = replace(base, weights=replace(base.weights, kilobytes=4))
    one = next(each for each in plan(net, accelerator, ENERGIES) if each.layer.name == "conv3")
    assert one.product == (1, 16, 144, 32)
    assert (one.fill_cycles, one.compute_cycles, one.drain_cycles, one.stall_cycles) == (124, 288, 36, 192)
    assert one.traffic.dram_bits == 144 * 32 * 8
    assert one.mapping is not None
    assert (one.mapping.tile_n, one.mapping.tile_k, one.mapping.exhaustive) == (16, 32, True)


def _residual(tmp_path: Path) -> Network:
    """Return x -> a -> b -> c -> d, and d + a: the branch lives across three products.

    On chip a and d, which are added, are float32, 8 KiB each; the others, which enter products alone, int8, 2 KiB.
    """
    nodes = [
        helper.make_node("MatMul", ["x", "w0"], ["a"], name="first"),
        helper.make_node("MatMul", ["a", "w1"], ["b"], name="second"),
        helper.make_node("MatMul", ["b", "w2"], ["c"], name="third"),
        helper.make_node("MatMul", ["c", "w3"], ["d"], name="fourth"),
        helper.make_node("Add", ["d", "a"], ["z"], name="sum"),
    ]
    sides: dict[str, tuple[int, ...]] = {f"w{i}": (32, 32) for i in range(4)}
    return network(tmp_path, nodes, {"x": (64, 32)}, {"z": (64, 32)}, sides)


def test_plan_keeps_a_residual_branch_or_spills_it(tmp_path: Path) -> None:
    net = _residual(tmp_path)
    whole = 64 * 32
    for kilobytes, spilled in ((18, set()), (11, {"a"})):  # `third` has a, b and c alive, 12 KiB; `fourth` a, c and d
        plans = {each.layer.name: each for each in plan(net, int8(kilobytes), ENERGIES)}
        assert moves(plans["first"])["x", "dram"] == whole * 32
        assert moves(plans["sum"])["z", "dram"] == whole * 32
        crossing = {
            (name, tensor): bits
            for name, each in plans.items()
            for (tensor, port), bits in moves(each).items()
            if port == "dram" and tensor not in ("x", "z")
        }
        wanted = {(name, tensor): whole * 32 for tensor in spilled for name in ("first", "second", "sum")}
        assert crossing == wanted


def test_plan_spills_what_leaves_a_product_too_little_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside x, which fits, `second` has no room for all of h, and would load its weights again and again."""
    nodes = [
        helper.make_node("MatMul", ["x", "w0"], ["h"], name="first"),
        helper.make_node("MatMul", ["h", "w1"], ["z"], name="second"),
        helper.make_node("Add", ["z", "x"], ["y"], name="sum"),
    ]
    net = network(tmp_path, nodes, {"x": (64, 128)}, {"y": (64, 128)}, {"w0": (128, 512), "w1": (512, 128)})
    accelerator = int8(52, 32)
    accelerator = replace(accelerator, dram=replace(accelerator.dram, bits_per_cycle=16))
    plans = {each.layer.name: each for each in plan(net, accelerator, ENERGIES)}
    assert moves(plans["second"])["second.weight", "dram"] == 512 * 128 * 8
    assert moves(plans["sum"])["x", "dram"] == 64 * 128 * 32
    monkeypatch.setattr("hwsim.accelerator.mapping.network_plan._TRIALS", 0)
    kept = {each.layer.name: each for each in plan(net, accelerator, ENERGIES)}
    assert ("x", "dram") not in moves(kept["sum"])
    assert moves(kept["second"])["second.weight", "dram"] > 512 * 128 * 8
    assert sum(each.cycles for each in plans.values()) < sum(each.cycles for each in kept.values())


def test_plan_without_room_is_an_error(tmp_path: Path) -> None:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["z"], name="product")]
    net = network(tmp_path, nodes, {"x": (64, 4096)}, {"z": (64, 64)}, {"w": (4096, 64)})
    unit = hwsim.datapath.named("int8")
    accelerator = replace(int8(1, 1, rows=256, columns=256, dataflow=ArrayKind.WEIGHT_STATIONARY), unit=unit)
    with pytest.raises(ValueError, match=r"layer 'product'.* of the activations' memory"):
        plan(net, accelerator, ENERGIES)


def test_plan_of_a_reshape_shares_its_input(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"], name="product"),
        helper.make_node("Flatten", ["a"], ["b"], name="flat", axis=0),
        helper.make_node("Relu", ["b"], ["z"], name="relu"),
    ]
    net = network(tmp_path, nodes, {"x": (8, 16)}, {"z": (1, 128)}, {"w": (16, 16)})
    plans = {each.layer.name: each for each in plan(net, int8(), ENERGIES)}
    if "flat" in plans:
        assert plans["flat"].cycles == 0
        assert not plans["flat"].traffic.moves
    crossing = {tensor for each in plans.values() for tensor, port in moves(each) if port == "dram"}
    assert crossing == {"x", "z"}


def test_plan_decode_streams_its_weights_and_a_batch_uses_them_again(tmp_path: Path) -> None:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["z"], name="product")]
    for batch in (1, 8):
        net = network(tmp_path, nodes, {"x": (batch, 512)}, {"z": (batch, 512)}, {"w": (512, 512)})
        (one,) = plan(net, int8(weights=64), ENERGIES)
        assert moves(one)["product.weight", "dram"] == 512 * 512 * 8
        least = one.traffic.dram_bits // 64
        assert least < one.cycles < 1.1 * least + 512  # the DRAM never waits for long
        assert one.mapping is not None
        assert one.mapping.tile_n < 512
        assert any("DRAM bandwidth" in line for line in one.mapping.explanation)


def test_plan_decode_reads_a_cache_in_its_own_type(tmp_path: Path) -> None:
    # one token of 4 heads against a cache of 128 keys of 64: the cache comes as float16, stays as int8
    nodes = [
        helper.make_node("Cast", ["keys"], ["k"], name="cast", to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["q", "k"], ["z"], name="scores"),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "net",
        [value("q", TensorProto.FLOAT, (4, 1, 64)), value("keys", TensorProto.FLOAT16, (4, 64, 128))],
        [value("z", TensorProto.FLOAT, (4, 1, 128))],
    )
    path = tmp_path / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    plans = plan(hwsim.network.read(path), int8(), ENERGIES)
    total: dict[tuple[str, str], int] = {}
    for each in plans:
        total |= moves(each)
    assert total["keys", "dram"] == 4 * 64 * 128 * 16
    assert total["q", "dram"] == 4 * 64 * 32
    scores = plans[-1]
    assert scores.product is not None
    assert scores.product[:2] == (4, 1)
    assert not any(port.startswith("weight") for _, port in moves(scores))


def test_plan_softmax_passes(tmp_path: Path) -> None:
    nodes = [helper.make_node("Softmax", ["x"], ["z"], name="softmax", axis=-1)]
    net = network(tmp_path, nodes, {"x": (32, 64)}, {"z": (32, 64)}, {})
    for kind, passes in ((SoftmaxKind.FLOAT, 3), (SoftmaxKind.ONLINE, 2)):
        accelerator = replace(int8(), nonlinear=NonlinearSpec(softmax=kind), vector_lanes=1)
        (one,) = plan(net, accelerator, ENERGIES)
        assert one.compute_cycles == passes * 32 * 64
        assert moves(one)["x", "activation_read"] == passes * 32 * 64 * 32
        assert moves(one)["x", "dram"] == 32 * 64 * 32


def test_plan_sparse_unit_halves_steps_and_counts_places(tmp_path: Path) -> None:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["z"], name="product")]
    net = network(tmp_path, nodes, {"x": (16, 256)}, {"z": (16, 16)}, {"w": (256, 16)})
    dense = int8()
    unit = replace(dense.unit, lanes=2)
    sparse = replace(dense, unit=replace(unit, sparsity=Sparsity(kept=2, of=4)))
    (one,), (other,) = plan(net, replace(dense, unit=unit), ENERGIES), plan(net, sparse, ENERGIES)
    assert (one.compute_cycles, other.compute_cycles) == (128, 64)
    assert one.traffic.index_bits == 0
    assert other.traffic.index_bits == 16 * 128 * 2


@pytest.mark.parametrize("kind", list(ArrayKind))
def test_plan_several_arrays_share_out_a_product(tmp_path: Path, kind: ArrayKind) -> None:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["z"], name="product")]
    net = network(tmp_path, nodes, {"x": (64, 48)}, {"z": (64, 96)}, {"w": (48, 96)})
    depth = 2 if kind is ArrayKind.CUBE else 1
    plans = {}
    for count in (1, 2, 4):
        accelerator = int8(dataflow=kind, depth=depth, count=count)
        fast = replace(accelerator, dram=replace(accelerator.dram, bits_per_cycle=65536))
        (plans[count],) = plan(net, fast, ENERGIES)
    alone = plans[1]
    assert alone.mapping is not None
    assert alone.mapping.arrays == ""
    for count in (2, 4):
        mapping, found = plans[count].mapping, plans[count]
        assert mapping is not None
        assert mapping.arrays in ("m", "n")
        assert found.steps == alone.steps
        assert alone.cycles / count < found.cycles < alone.cycles


def test_plan_objectives_differ_as_they_should(tmp_path: Path) -> None:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["z"], name="product")]
    net = network(tmp_path, nodes, {"x": (256, 256)}, {"z": (256, 256)}, {"w": (256, 256)})
    found = {}
    for objective in Objective:
        accelerator = int8(32, 16)
        accelerator = replace(accelerator, mapping=replace(accelerator.mapping, objective=objective))
        (found[objective],) = plan(net, accelerator, ENERGIES)
    bits = {objective: one.traffic.dram_bits for objective, one in found.items()}
    assert found[Objective.LATENCY].cycles <= found[Objective.EDP].cycles
    assert found[Objective.LATENCY].cycles <= found[Objective.ENERGY].cycles
    assert bits[Objective.ENERGY] <= bits[Objective.LATENCY]
    explained = found[Objective.ENERGY].mapping
    assert explained is not None
    assert any("compared for least energy" in line for line in explained.explanation)


def test_plan_unknown_unit_is_said(tmp_path: Path) -> None:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["z"], name="product")]
    net = network(tmp_path, nodes, {"x": (6, 40)}, {"z": (6, 5)}, {"w": (40, 5)})
    (one,) = plan(net, int8(), ENERGIES._replace(step_pj=None, idle_pj_per_cycle=None))
    assert one.mapping is not None
    assert one.mapping.explanation[-1] == "energy of accesses alone: that of the units is not known"


@pytest.mark.parametrize("preset", hwsim.accelerator.presets())
@pytest.mark.parametrize("kilobytes", [2, 64])
def test_plan_moves_all_that_there_is_and_no_port_moves_more_than_its_width(preset: str, kilobytes: int) -> None:
    base = hwsim.accelerator.read(preset)
    accelerator = replace(
        base,
        activations=replace(base.activations, kilobytes=max(kilobytes, base.activations.banks)),
        weights=replace(base.weights, kilobytes=max(kilobytes, base.weights.banks)),
    )
    net = hwsim.network.read(data.digits_model_path(quantized=base.unit.name.startswith("int8")))
    widths = {
        "activation_read": accelerator.activations.port_bits,
        "activation_write": accelerator.activations.port_bits,
        "weight_read": accelerator.weights.port_bits,
        "weight_write": accelerator.weights.port_bits,
        "dram": accelerator.dram.bits_per_cycle,
    }
    compared = 0
    for one in plan(net, accelerator, ENERGIES):
        for port, width in widths.items():
            assert one.traffic.port_bits(port) <= one.cycles * width
        assert all(0 <= event.start < event.end <= one.cycles for event in one.events)
        assert min(one.fill_cycles, one.compute_cycles, one.drain_cycles, one.stall_cycles) >= 0
        if one.product is None:
            continue
        found, (groups, m, k, n) = moves(one), one.product
        weight = f"{one.layer.name}.weight"
        assert found[weight, "weight_read"] >= groups * k * n * accelerator.unit.element_b.bits
        assert found[one.layer.inputs[0], "activation_read"] > 0
        assert found[one.layer.outputs[0], "activation_write"] >= groups * m * n * accelerator.unit.element_a.bits
        if not one.weights_resident:
            assert (
                found[weight, "dram"]
                == found[weight, "weight_write"]
                >= groups * k * n * accelerator.unit.element_b.bits
            )
        assert one.mapping is not None
        assert one.mapping.arrays in (("groups", "m", "n") if accelerator.array.count > 1 else ("",))
        assert one.steps * accelerator.element.width >= one.product.macs
        compared += 1
    assert compared == 4
