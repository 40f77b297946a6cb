# SPDX-License-Identifier: Apache-2.0
"""What a small layer moves, counted by hand: elements, scales and sums, tensor by tensor."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import hwsim
from hwsim import datapath
from hwsim.accelerator import Accelerator, ArrayKind, Move
from hwsim.result import LayerResult, SimulationResult

M, K, N = 6, 40, 5


def _run(tmp_path: Path, accelerator: Accelerator, k: int = K) -> SimulationResult:
    """Multiply (6, k) by weights (k, 5)."""
    value = helper.make_tensor_value_info
    rng = np.random.default_rng(0)
    weights = numpy_helper.from_array(rng.normal(size=(k, N)).astype(np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["z"], name="product")],
        "one",
        [value("x", TensorProto.FLOAT, [M, k])],
        [value("z", TensorProto.FLOAT, [M, N])],
        [weights],
    )
    path = tmp_path / "one.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return hwsim.simulate(hwsim.network.read(path), accelerator, {"x": rng.normal(size=(M, k)).astype(np.float32)})


def _layer(tmp_path: Path, accelerator: Accelerator, k: int = K) -> LayerResult:
    (layer,) = _run(tmp_path, accelerator, k).layers
    return layer


def _moves(layer: LayerResult) -> dict[tuple[str, str], tuple[int, int, int]]:
    return {(each.tensor, each.port): (each.element_bits, each.scale_bits, each.times) for each in layer.traffic.moves}


def test_traffic_mxfp4_by_hand(tmp_path: Path) -> None:
    # 4 x 4 units: two tiles of rows and two of columns. A row or column of 40 has two scales of 8 bits.
    layer = _layer(tmp_path, hwsim.accelerator.read("mxfp4_4x4"))
    a, a_scales, b, b_scales = M * K * 4, M * 2 * 8, N * K * 4, N * 2 * 8
    z = M * N * 32  # an output of the network stays float32
    assert _moves(layer) == {
        ("x", "dram"): (M * K * 32, 0, 1),
        ("x", "activation_write"): (a, a_scales, 1),
        ("x", "activation_read"): (2 * a, 2 * a_scales, 2),
        ("product.weight", "weight_read"): (2 * b, 2 * b_scales, 2),
        ("z", "activation_write"): (z, 0, 1),
        ("z", "activation_read"): (z, 0, 1),
        ("z", "dram"): (M * N * 32, 0, 1),
    }
    traffic = layer.traffic
    assert traffic.scale_bits == 3 * a_scales + 2 * b_scales
    assert traffic.activation_read_bits == 2 * (a + a_scales) + z
    assert traffic.weight_read_bits == 2 * (b + b_scales)
    assert traffic.dram_bits == (M * K + M * N) * 32
    assert traffic.bits == traffic.sram_bits + traffic.dram_bits


def test_traffic_nvfp4_by_hand(tmp_path: Path) -> None:
    # a row of 40 has three scales of 8 bits, and each tensor a float32 one
    accelerator = replace(hwsim.accelerator.read("mxfp4_4x4"), unit=datapath.named("nvfp4_l16"))
    moves = _moves(_layer(tmp_path, accelerator))
    assert moves["x", "activation_write"] == (M * K * 4, M * 3 * 8 + 32, 1)
    assert moves["product.weight", "weight_read"] == (2 * N * K * 4, 2 * (N * 3 * 8 + 32), 2)


def test_traffic_weight_stationary_by_hand(tmp_path: Path) -> None:
    # One row of 16 lanes holds 16 of K: of 72, five folds, each with the scale of the block that it is in; the register
    # of an output, float32, leaves after each but the last and comes back. Transposed is faster, five steps a fold and
    # not six: x stays, two tiles of columns, and the weights are read for each.
    accelerator = hwsim.accelerator.read("mxfp4_4x4")
    array = replace(accelerator.array, dataflow=ArrayKind.WEIGHT_STATIONARY, rows=1)
    moves = _moves(_layer(tmp_path, replace(accelerator, array=array), 72))
    assert moves["x", "activation_read"] == (M * 72 * 4, M * 5 * 8, 1)
    assert moves["product.weight", "weight_read"] == (2 * N * 72 * 4, 2 * N * 5 * 8, 2)
    assert moves["x", "activation_write"] == (M * 72 * 4, M * 3 * 8, 1)
    assert moves["product.partial_sums", "activation_write"] == (4 * M * N * 32, 0, 1)
    assert moves["product.partial_sums", "activation_read"] == (4 * M * N * 32, 0, 1)


def test_traffic_integers_have_no_scales(tmp_path: Path) -> None:
    layer = _layer(tmp_path, hwsim.accelerator.read("int8_16x16"))
    assert layer.traffic.scale_bits == layer.traffic.index_bits == 0
    assert _moves(layer)["x", "activation_read"] == (M * K * 8, 0, 1)


def test_traffic_weights_that_do_not_fit(tmp_path: Path) -> None:
    # 5 columns of 2048: 4 bits and 64 scales of 8 a column take 5440 bytes. Four, a fold, take 4352: they fit 5 KiB
    # once, not twice, so the memory is one buffer, and both rows of tiles use a column's weights before the next ones.
    accelerator = hwsim.accelerator.read("mxfp4_4x4")
    small = replace(accelerator, weights=replace(accelerator.weights, kilobytes=5))
    whole = (N * 2048 * 4, N * 64 * 8, 1)
    for kilobytes, wanted in ((5, whole), (6, None)):
        held = replace(small, weights=replace(small.weights, kilobytes=kilobytes))
        moves = _moves(_layer(tmp_path, held, 2048))
        assert moves.get(("product.weight", "dram")) == wanted
        assert moves.get(("product.weight", "weight_write")) == wanted


def test_traffic_dram_rows_by_hand(tmp_path: Path) -> None:
    accelerator = hwsim.accelerator.read("mxfp4_4x4")
    hbm = replace(accelerator, dram=replace(accelerator.dram, kind="hbm2"))
    layer = _layer(tmp_path, hbm, 2048)
    # float32: 6 x 2048 values are 48 rows of 1024 bytes, 6 x 5 values are in one
    assert layer.dram_activations == 48 + 1
    assert layer.energy.dram_pj == pytest.approx(49 * 909 + (M * 2048 + M * N) * 32 * 3.48)
    closed = replace(hbm, dram=replace(hbm.dram, constants=(("page_policy", "closed"),)))
    assert _layer(tmp_path, closed, 2048).dram_activations == 48 * 32 + 4  # accesses of 32 bytes
    assert _layer(tmp_path, accelerator, 2048).dram_activations == 0


def test_traffic_json(tmp_path: Path) -> None:
    layer = _layer(tmp_path, hwsim.accelerator.read("mxfp4_4x4"))
    figures = layer.traffic.as_dict()
    assert figures["scale_bits"] == layer.traffic.scale_bits
    assert sum(figures[f"{port}_bits"] for port in ("activation_read", "activation_write", "weight_read")) == (
        layer.traffic.sram_bits
    )
    assert [Move(**each) for each in figures["moves"]] == list(layer.traffic.moves)
