# SPDX-License-Identifier: Apache-2.0
"""Operands that stream into a unit: what a distribution, a matrix product and a network put there."""

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwsim import data, datapath, formats, network
from hwsim.datapath import Row, dot_exact
from hwsim.datapath.sparsity import Sparsity
from hwsim.operands import Operands, Recorder, from_matrices, gaussian, load, record, uniform
from hwsim.operands.ports import row_ports
from testbenches.entering import spread, widened
from testbenches.stimulus import fields, random_rows

_INT8 = datapath.named("int8")
_SPARSE = replace(datapath.named("float8_e4m3fn_l4_float32"), sparsity=Sparsity(kept=2, of=4))
_IGNORING = replace(datapath.named("tfloat32_l4_float32"), ignored_bits=13)


@pytest.mark.parametrize("name", ["int8", "mxfp4_l16", "nvfp4", "float8_e5m2", "posit8_2", "mxfp4_l64_float32"])
def test_operands_ports_are_those_of_the_shell(name: str) -> None:
    """The words equal `testbenches.stimulus.fields`, which packs row by row in Python integers."""
    unit = datapath.named(name)
    _compare(unit, random_rows(unit, 300))


def test_operands_ports_of_sparse_and_wide_containers_are_those_of_the_shell() -> None:
    _compare(_SPARSE, spread(_SPARSE, random_rows(replace(_SPARSE, sparsity=None), 200), 1))
    _compare(_IGNORING, widened(_IGNORING, random_rows(_IGNORING, 200), 1))


def _compare(unit: datapath.DotProductUnit, rows: list[Row]) -> None:
    wanted = fields(unit, rows)
    scales = np.array([row.scales for row in rows]) if unit.scales else None
    found = row_ports(
        unit, np.array([row.a for row in rows]), np.array([row.b for row in rows]), scales, [row.c for row in rows]
    )
    assert set(found) == set(wanted) - {"first", "last"}
    for port, words in found.items():
        limbs = words.reshape(len(rows), -1).tolist()
        assert [sum(limb << 64 * place for place, limb in enumerate(row)) for row in limbs] == wanted[port], port


def test_operands_gaussian_is_normal() -> None:
    """A mean of 0, and a deviation of 32: four of them are the range."""
    operands = gaussian(_INT8)
    values = _INT8.element_a.decode(operands.a).ravel()
    assert values.size == 512 * 128
    assert abs(values.mean()) < 0.5
    assert 31 < values.std() < 33
    assert operands.first.sum(axis=1).tolist() == [2] * 512
    zeros, common, toggles = operands.statistics()[0]
    assert zeros == pytest.approx(np.mean(values == 0))
    assert common >= zeros
    assert toggles == pytest.approx(0.5, abs=0.01)  # two's complement of a symmetric distribution


@pytest.mark.parametrize(
    "name",
    [
        "bfloat16_float32", "bfloat16_bfloat16", "float16_float16", "float8_e5m2_float16", "float8_e4m3fn_float16",
        "posit16_1_float32", "posit8_2_float32", "ternary_by_int8", "uint8", "int2", "float4_e2m1fn_l4",
    ],
)  # fmt: skip
def test_operands_gaussian_says_something_of_every_format(name: str) -> None:
    """No format's codes are nearly all zero, or nearly all one; and no sum leaves a register."""
    unit = datapath.named(name)
    operands = gaussian(unit)
    for spec, codes in ((unit.element_a, operands.a), (unit.element_b, operands.b)):
        found, counts = np.unique(codes, return_counts=True)
        share = counts / counts.sum()
        entropy = -(share * np.log2(share)).sum()
        levels = min(len(found), 1 << spec.bits)
        assert share.max() < 0.6
        assert entropy > 0.55 * np.log2(levels)
    a, b = (np.ascontiguousarray(codes[:8, :64].reshape(8, -1)) for codes in (operands.a, operands.b))
    d = datapath.matmul(unit, a, np.ascontiguousarray(b.T))
    assert np.isfinite(unit.output.decode(d)).all()


def test_operands_uniform_has_every_number() -> None:
    for name in ("int8", "float8_e4m3fn", "float8_e5m2"):
        unit = datapath.named(name)
        codes = uniform(unit).a
        every = np.arange(256, dtype=np.uint8)
        numbers = every[np.isfinite(unit.element_a.decode(every))]
        found, counts = np.unique(codes, return_counts=True)
        assert found.tolist() == numbers.tolist()
        assert counts.min() > 0.7 * codes.size / len(numbers)


def test_operands_sparse_keep_the_largest() -> None:
    unit = _SPARSE
    assert unit.sparsity is not None
    for operands in (gaussian(unit), uniform(unit)):
        groups = operands.a.reshape(-1, unit.sparsity.of)
        zero = unit.element_a.decode(groups >> unit.ignored_bits) == 0
        assert ((~zero).sum(axis=1) <= unit.sparsity.kept).all()
        assert "index" in operands.ports()


def test_operands_output_stationary_computes_the_product() -> None:
    """Every dot product that a stream has from its first step to its last is an element of the product."""
    random = np.random.default_rng(3)
    a, b = random.integers(-128, 128, (7, 20)), random.integers(-128, 128, (20, 5))
    unit = datapath.named("int8_l8")
    operands = from_matrices(unit, a.astype(np.int8).view(np.uint8), b.astype(np.int8).view(np.uint8))
    assert operands.a.shape == (512, 128, 8)  # K = 20 takes 3 steps, the last with 4 zeros
    assert "K=20" in operands.description
    assert "filled up with 4 zeros" in operands.description
    left, right = operands.a.view(np.int8).astype(np.int64), operands.b.view(np.int8).astype(np.int64)
    product, seen = (a @ b).T.ravel(), set()
    for stream in range(512):
        output = stream * 35 // 512
        sums = (left[stream] * right[stream]).sum(axis=1)
        begins, ends = np.flatnonzero(operands.first[stream]), np.flatnonzero(operands.last[stream])
        for index, end in enumerate(ends):
            begin = begins[begins <= end][-1]
            if end - begin == 2:
                assert sums[begin : end + 1].sum() == product[(output + index) % 35]
                seen.add((output + index) % 35)
    assert len(seen) == 35


def test_operands_weight_stationary_keeps_b_and_passes_sums() -> None:
    random = np.random.default_rng(4)
    a, b = random.integers(-128, 128, (9, 16)), random.integers(-128, 128, (16, 5))
    unit = datapath.named("int8_l4")
    operands = from_matrices(
        unit, a.astype(np.int8).view(np.uint8), b.astype(np.int8).view(np.uint8), dataflow="weight_stationary"
    )
    assert (operands.b == operands.b[:, :1]).all()
    assert operands.first.all()
    assert operands.last.all()
    assert operands.c is not None
    left, right = operands.a.view(np.int8).astype(np.int64), operands.b.view(np.int8).astype(np.int64)
    sums = operands.c.astype(np.uint32).view(np.int32) + (left * right).sum(axis=2)
    partial = {
        int(a[m, : 4 * k + 4] @ b[: 4 * k + 4, n]) for m, n, k in itertools.product(range(9), range(5), range(4))
    }
    assert set(sums.ravel().tolist()) == partial
    row = Row(True, True, tuple(operands.a[7, 3].tolist()), tuple(operands.b[7, 3].tolist()), c=int(operands.c[7, 3]))
    assert dot_exact(unit, [row]) == [int(sums[7, 3]) & 0xFFFFFFFF]


def test_operands_of_blocks_bring_their_scales() -> None:
    random = np.random.default_rng(5)
    for name in ("mxfp4_l16", "mxfp4_l64_float32"):
        unit = datapath.named(name)
        qa = formats.quantize(random.standard_normal((6, 96)), "mxfp4", axis=1)
        qb = formats.quantize(random.standard_normal((96, 3)), "mxfp4", axis=0)
        operands = from_matrices(unit, qa.codes, qb.codes, a_scales=qa.scales, b_scales=qb.scales)
        assert operands.a_scales is not None
        known = {
            (*qa.codes[m, at : at + 16].tolist(), int(qa.scales[m, at // 32]))
            for m in range(6)
            for at in range(0, 96, 16)
        }
        parts = operands.a.reshape(-1, unit.width // 16, 16)
        scales = np.repeat(
            operands.a_scales.reshape(len(parts), -1), parts.shape[1] // operands.a_scales.shape[2], axis=1
        )
        filled = {(*[0] * 16, 127)}  # zeros at a scale of 1 behind K = 96
        seen = {(*codes, scale) for row, of in zip(parts.tolist(), scales.tolist(), strict=True)
                for codes, scale in zip(row, of, strict=True)}  # fmt: skip
        assert seen <= known | filled
        assert known <= seen


def test_operands_recorded_of_a_network_multiply_to_its_products(tmp_path: Path) -> None:
    net = network.read(data.digits_model_path(quantized=True))
    images, _ = data.digits_test()
    inputs = {net.inputs[0].name: images[:8]}
    layers = record(net, _INT8, inputs, tmp_path)
    products: dict[str, np.ndarray] = {}

    class Engine(network.ExactEngine):
        def matmul(self, layer: network.Layer, a: np.ndarray, b: np.ndarray) -> np.ndarray:
            products[layer.name] = a.astype(np.int64) @ b.astype(np.int64)
            return products[layer.name]

    network.run(net, inputs, engine=Engine())
    assert list(layers) == list(products)
    for name, arrays in layers.items():
        left, right = (arrays[side].view(np.int8).astype(np.int64) for side in "ab")
        assert (left @ right == products[name][:, : left.shape[1]]).all()
    files = sorted(tmp_path.iterdir())
    assert len(files) == len(layers)
    for file, (name, arrays) in zip(files, layers.items(), strict=True):
        operands = load(file, _INT8)
        assert f"layer {name} of {file.name}, M=" in operands.description
        assert set(np.unique(operands.b)) <= set(np.unique(arrays["b"])) | {0}


def test_operands_recorder_rows_wrong() -> None:
    with pytest.raises(ValueError, match=r"rows must be at least 1, not 0"):
        Recorder(_INT8, 0)


_LEFT_OUT = np.zeros(0)
_GOOD = {
    "a": np.zeros((2, 3), np.uint8),
    "b": np.zeros((3, 2), np.uint8),
    "a_format": np.array("int8"),
    "b_format": np.array("int8"),
    "layer": np.array("conv"),
}


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"b": _LEFT_OUT}, ValueError, r"lacks b; want a, b, a_format, b_format, layer"),
        ({"z": np.zeros(1)}, ValueError, r"has unknown z; want a"),
        (
            {"a_format": np.array("int4")},
            ValueError,
            r"a_format must be int8, which unit int8_l1_int32 takes, not 'int4'",
        ),
        ({"b_format": np.array("no")}, ValueError, r"b_format must be int8, .* not 'no'"),
        ({"a": np.full((2, 3), 256)}, ValueError, r"a must be codes of 8 bits, not 256"),
        ({"a": np.full((2, 3), -1)}, ValueError, r"a must be codes, not below 0, not -1"),
        ({"a": np.zeros((2, 3))}, TypeError, r"a must be integers, not float64"),
        ({"a": np.zeros(3, np.uint8)}, ValueError, r"a must have 2 or 3 dimensions, not shape \(3,\)"),
        ({"a": np.zeros((2, 4), np.uint8)}, ValueError, r"a and b must be \(groups, M, K\) .* \(2, 4\) and \(3, 2\)"),
        (
            {"a_scales": np.zeros((2, 1), np.uint8)},
            ValueError,
            r"a_scales must be given if and only if a is of a block",
        ),
    ],
)
def test_operands_file_wrong(tmp_path: Path, change: dict[str, np.ndarray], error: type[Exception], text: str) -> None:
    path = tmp_path / "layer.npz"
    content: dict[str, Any] = {name: array for name, array in (_GOOD | change).items() if array is not _LEFT_OUT}
    np.savez(path, **content)
    with pytest.raises(error, match=rf"layer\.npz: .*{text}"):
        load(path, _INT8)


def test_operands_path_wrong(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"operands file .*none\.npz does not exist"):
        load(tmp_path / "none.npz", _INT8)
    (tmp_path / "text.npz").write_text("no", encoding="utf-8")
    with pytest.raises(ValueError, match=r"text\.npz: not a \.npz of arrays"):
        load(tmp_path / "text.npz", _INT8)


def test_operands_dataflow_wrong() -> None:
    a, b = np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8)
    with pytest.raises(ValueError, match=r"dataflow must be one of output_stationary, weight_stationary, not 'none'"):
        from_matrices(_INT8, a, b, dataflow="none")
    with pytest.raises(ValueError, match=r"weight_stationary needs a unit whose result is its register"):
        from_matrices(datapath.named("float8_e4m3fn"), a, b, dataflow="weight_stationary")


def test_operands_scales_wrong() -> None:
    unit = datapath.named("mxfp4_l16")
    a, b = np.zeros((2, 64), np.uint8), np.zeros((64, 2), np.uint8)
    with pytest.raises(ValueError, match=r"a_scales must be given if and only if a is of a block format, not of mxfp4"):
        from_matrices(unit, a, b)
    with pytest.raises(ValueError, match=r"b_scales must be 2 a row of K=64, not of \(1, 2, 3\)"):
        from_matrices(unit, a, b, a_scales=np.zeros((2, 2), np.uint8), b_scales=np.zeros((3, 2), np.uint8))


def test_operands_shape_wrong() -> None:
    good = gaussian(_INT8)
    with pytest.raises(ValueError, match=r"b must have shape \(512, 128, 1\), not \(512, 127, 1\)"):
        replace(good, b=good.b[:, 1:])
    with pytest.raises(ValueError, match=r"a must be codes of 8 bits, not 256"):
        replace(good, a=good.a.astype(np.uint16) + 256 - good.a)
    with pytest.raises(ValueError, match=r"a_scales must be given if and only if unit int8_l1_int32 has them"):
        replace(good, a_scales=good.a)


def test_operands_too_dense_for_a_sparse_unit() -> None:
    unit = _SPARSE
    one = int(unit.element_a.encode(1.0)) << unit.ignored_bits
    ones = np.full((1, unit.width), one)
    with pytest.raises(ValueError, match=r"a must have at most \d numbers in each group of \d, for unit .* is sparse"):
        row_ports(unit, ones, ones)


def test_operands_no_zero_to_fill_up_with() -> None:
    wide = datapath.named("bipolar_l4")
    with pytest.raises(ValueError, match=r"a: K=3 must be a multiple of 4, for bipolar has no zero"):
        from_matrices(wide, np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8))
    assert isinstance(from_matrices(wide, np.zeros((2, 4), np.uint8), np.zeros((4, 2), np.uint8)), Operands)
