# SPDX-License-Identifier: Apache-2.0
"""Every kind of array in Amaranth's simulator: bit-equal to the model, in the cycles of the closed form."""

import itertools
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hwsim import datapath
from hwsim.accelerator import streamed
from hwsim.datapath.array import ArrayGeometry, ArrayKind
from hwsim.datapath.unit import DotProductUnit
from hwsim.formats import BlockSpec
from hwsim.network import MatmulShape
from rtl.architecture import Architecture, architecture
from rtl.arrays import Array, array_latency, beat_fields
from testbenches.arrays import program

_SIDES = [(1, 1), (2, 3), (3, 2)]
_FIRST = {ArrayKind.OUTPUT_STATIONARY, ArrayKind.WEIGHT_STATIONARY, ArrayKind.ADDER_TREE}
_KINDS = [kind if kind in _FIRST else pytest.param(kind, marks=pytest.mark.slow) for kind in ArrayKind]


def _geometry(kind: ArrayKind, rows: int, columns: int, *, partial_sums: bool = True) -> ArrayGeometry:
    depth = 2 if kind is ArrayKind.CUBE else 1
    sums = partial_sums and not kind.keeps_outputs
    return ArrayGeometry(kind=kind, rows=rows, columns=columns, depth=depth, partial_sums=sums)


def _operands(unit: DotProductUnit, m: int, k: int, n: int) -> dict[str, Any]:
    source = np.random.default_rng(m * k * n)
    operands: dict[str, Any] = {
        "a": source.integers(0, 1 << unit.element_a.bits, (m, k)),
        "b": source.integers(0, 1 << unit.element_b.bits, (k, n)),
    }
    if isinstance(unit.a, BlockSpec):
        operands["a_scales"] = source.integers(0, 1 << unit.a.scale.bits, (m, k // unit.a.block_size))
    if isinstance(unit.b, BlockSpec):
        operands["b_scales"] = source.integers(0, 1 << unit.b.scale.bits, (k // unit.b.block_size, n))
    return operands


def _product(operands: dict[str, Any]) -> NDArray[np.int64]:
    """Multiply integers of 8 bits in NumPy."""
    a, b = (operands[name].astype(np.uint8).astype(np.int8).astype(np.int64) for name in ("a", "b"))
    return np.asarray(a @ b)


@pytest.mark.parametrize("kind", ArrayKind)
def test_array_products_and_cycles(streamed_through: Any, kind: ArrayKind) -> None:
    unit = datapath.named("int8")
    compared = 0
    for (rows, columns), (m, k, n) in itertools.product(_SIDES, [(3, 5, 4), (5, 4, 5)]):
        geometry = _geometry(kind, rows, columns)
        operands = _operands(unit, m, k, n)
        stream = program(geometry, unit, **operands)
        for seed in (None, rows):
            outputs, cycles = streamed_through(Array(geometry, unit), stream.beats, len(stream.outputs), seed)
            assert outputs == [(output["d"], output["last"]) for output in stream.outputs]
            found = stream.gather([d for d, _ in outputs], geometry, 32).astype(np.uint32).view(np.int32)
            assert np.array_equal(found, _product(operands))
            expected = streamed(geometry, MatmulShape(1, m, k, n), 1).cycles
            assert cycles == expected if seed is None else cycles > expected
            compared += found.size
    assert compared == 3 * 2 * (12 + 25)


@pytest.mark.parametrize("kind", _KINDS)
@pytest.mark.parametrize("name", ["float8_e4m3fn_l2_float32", "nvfp4_l2", "int8_l4"])
def test_array_units(streamed_through: Any, kind: ArrayKind, name: str) -> None:
    unit = datapath.named(name)
    geometry = _geometry(kind, 2, 1, partial_sums=not unit.converts)
    m, k, n = 2, 16 if unit.scales else unit.lanes * (2 if unit.converts else 4), 2
    operands = _operands(unit, m, k, n)
    stream = program(geometry, unit, **operands)
    outputs, cycles = streamed_through(Array(geometry, unit), stream.beats, len(stream.outputs))
    found = stream.gather([d for d, _ in outputs], geometry, unit.output.bits)
    assert np.array_equal(found, datapath.matmul(geometry.element(unit), **operands))
    assert cycles == streamed(geometry, MatmulShape(1, m, k, n), unit.lanes).cycles


@pytest.mark.parametrize("kind", _KINDS)
def test_array_of_carry_save_elements(streamed_through: Any, kind: ArrayKind) -> None:
    unit = datapath.named("int8")
    geometry = _geometry(kind, 2, 2)
    operands = _operands(unit, 2, 6, 2)
    stream = program(geometry, unit, **operands)
    outputs, _ = streamed_through(Array(geometry, unit, architecture("carry_save")), stream.beats, len(stream.outputs))
    found = stream.gather([d for d, _ in outputs], geometry, 32).astype(np.uint32).view(np.int32)
    assert np.array_equal(found, _product(operands))


@pytest.mark.parametrize("kind", ArrayKind)
def test_array_latency_is_measured(streamed_through: Any, kind: ArrayKind) -> None:
    unit = datapath.named("int8")
    geometry = _geometry(kind, 3, 2)
    rows = geometry.rows
    operands = _operands(unit, rows if kind.keeps_outputs else 1, 2 if kind.keeps_outputs else 3, 1)
    operands["a"] = operands["a"][: 1 if kind is ArrayKind.INPUT_STATIONARY else None]
    stream = program(geometry, unit, **operands)
    after = rows - 1 if kind.keeps_outputs else 0
    for pipeline in (1, 4):
        array = Array(geometry, unit, pipeline=pipeline)
        _, cycles = streamed_through(array, stream.beats, len(stream.outputs))
        assert array.latency == array_latency(geometry, pipeline)
        assert cycles == len(stream.beats) + array.latency + after


def test_array_partial_sums_wrong() -> None:
    unit = datapath.named("int8")
    operands = _operands(unit, 2, 5, 2)
    geometry = _geometry(ArrayKind.WEIGHT_STATIONARY, 2, 2, partial_sums=False)
    with pytest.raises(ValueError, match=r"^array weight_stationary_2x2 of int8_l1_int32 must take K in one fold of 2"):
        program(geometry, unit, **operands)
    with pytest.raises(ValueError, match=r"^array weight_stationary_2x2 must have partial sums for a K of 5"):
        streamed(geometry, MatmulShape(1, 2, 5, 2), 1)


def test_array_arguments_wrong() -> None:
    unit = datapath.named("int8")
    geometry = _geometry(ArrayKind.BROADCAST, 2, 2)
    with pytest.raises(TypeError, match=r"^geometry must be an ArrayGeometry, not 2$"):
        Array(2, unit)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^unit must be a DotProductUnit, not 'int8'$"):
        Array(geometry, "int8")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^architecture must be an Architecture, not 'tool'$"):
        Array(geometry, unit, "tool")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^pipeline must be in 1\.\.32 for int8_l1_int32 \(.*\), not 0$"):
        Array(geometry, unit, pipeline=0)
    with pytest.raises(TypeError, match=r"^pipeline must be an int, not True$"):
        Array(geometry, unit, pipeline=True)
    with pytest.raises(ValueError, match=r"^geometry must have at most 256 rows and columns, not broadcast_257x2$"):
        Array(_geometry(ArrayKind.BROADCAST, 257, 2), unit)
    with pytest.raises(ValueError, match=r"^lanes must be in 1\.\.1024, not 2048$"):
        Array(_geometry(ArrayKind.CUBE, 1, 1), datapath.named("int8_l1024"), Architecture())


def test_beat_fields_of_each_kind() -> None:
    unit = datapath.named("int8")
    found = {kind: beat_fields(_geometry(kind, 3, 2), unit) for kind in ArrayKind}
    assert found[ArrayKind.OUTPUT_STATIONARY] == {"first": 1, "last": 1, "a": 24, "b": 16}
    assert found[ArrayKind.BROADCAST] == found[ArrayKind.OUTPUT_STATIONARY]
    assert found[ArrayKind.CUBE] == {"first": 1, "last": 1, "a": 48, "b": 32}
    flags = {"step": 1, "first": 1, "last": 1, "load": 1}
    assert found[ArrayKind.WEIGHT_STATIONARY] == flags | {"a": 24, "b": 16, "c": 64}
    assert found[ArrayKind.INPUT_STATIONARY] == flags | {"a": 16, "b": 24, "c": 64}
    assert found[ArrayKind.ADDER_TREE] == found[ArrayKind.WEIGHT_STATIONARY]
