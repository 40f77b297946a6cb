# SPDX-License-Identifier: Apache-2.0
"""Whole matrix products of units of every kind against the oracle, whatever path and block they go through."""

import random
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hwsim.datapath import DotProductUnit, FloatAccumulator, Row, choose, dot_exact, matmul, named
from hwsim.datapath.words import word_exact
from hwsim.formats import BlockSpec

Codes = NDArray[np.uint64]


def _reference(unit: DotProductUnit, operands: dict[str, Any], seed: int) -> list[list[int]]:
    """Return d by the oracle, element by element, the rows made from the words of the specification."""
    a, b, c = operands["a"], operands["b"], operands.get("c")
    depth = a.shape[1]
    period = len(unit.order) or unit.width
    full = -(-depth // period) * period
    order = [begin + at for begin in range(0, full, period) for at in (unit.order or range(period))]
    bits = unit.accumulator.random_bits if isinstance(unit.accumulator, FloatAccumulator) else 0
    d = []
    for i in range(a.shape[0]):
        line = []
        for j in range(b.shape[1]):
            x = [int(a[i, k]) if k < depth else _zero(unit.element_a) for k in order]
            y = [int(b[k, j]) if k < depth else _zero(unit.element_b) for k in order]
            rows = []
            for step in range(full // unit.width):
                lanes = slice(step * unit.width, (step + 1) * unit.width)
                rows.append(
                    Row(
                        first=step == 0,
                        last=(step + 1) * unit.width == full,
                        a=tuple(x[lanes]),
                        b=tuple(y[lanes]),
                        scales=_scales(unit, operands, i, j, step),
                        c=0 if c is None else int(c[i, j]),
                        word=word_exact(seed, i, j, step, bits) if bits else 0,
                    )
                )
            line.append(dot_exact(unit, rows)[0])
        d.append(line)
    return d


def _zero(spec: Any) -> int:
    return int(spec.encode(0.0))


def _scales(unit: DotProductUnit, operands: dict[str, Any], i: int, j: int, step: int) -> tuple[int, ...]:
    held: list[int] = []
    for name, spec, count in zip("ab", (unit.a, unit.b), unit.scale_counts, strict=True):
        if isinstance(spec, BlockSpec):
            codes = operands["a_scales"][i] if name == "a" else operands["b_scales"][:, j]
            begin = step * unit.width // spec.block_size
            one = int(spec.scale.encode(1.0))
            held += [int(codes[at]) if at < len(codes) else one for at in range(begin, begin + count)]
    return tuple(held)


def _operands(
    unit: DotProductUnit,
    shape: tuple[int, int, int],
    source: random.Random,
    random_codes: Callable[..., Codes],
    finite: bool,
) -> dict[str, Any]:
    rows, depth, columns = shape
    operands: dict[str, Any] = {}
    for name, spec, size in (("a", unit.element_a, (rows, depth)), ("b", unit.element_b, (depth, columns))):
        codes = random_codes(source, spec, size[0] * size[1], finite).reshape(size)
        extra = np.array([[source.getrandbits(unit.ignored_bits or 1) for _ in range(size[1])] for _ in range(size[0])])
        operands[name] = codes << np.uint64(unit.ignored_bits) | extra.astype(np.uint64) if unit.ignored_bits else codes
    if unit.sparsity is not None:
        for begin in range(0, depth, unit.sparsity.of):
            for row in range(rows):
                group = list(range(begin, min(begin + unit.sparsity.of, depth)))
                for k in source.sample(group, max(0, len(group) - unit.sparsity.kept)):
                    operands["a"][row, k] = _zero(unit.element_a)
    if source.random() < 0.6 and unit.register.bits <= 64:
        operands["c"] = random_codes(source, unit.register.format, rows * columns, finite).reshape(rows, columns)
    for name, whole, lines in (("a_scales", unit.a, rows), ("b_scales", unit.b, columns)):
        if isinstance(whole, BlockSpec):
            count = -(-depth // whole.block_size)
            codes = random_codes(source, whole.scale, lines * count, finite or source.random() < 0.5)
            operands[name] = codes.reshape(lines, count) if name == "a_scales" else codes.reshape(count, lines)
    return operands


def _compare(unit: DotProductUnit, operands: dict[str, Any], seed: int) -> int:
    found = matmul(unit, **operands, seed=seed)
    assert found.tolist() == _reference(unit, operands, seed), unit
    return found.size


@pytest.mark.parametrize("part", range(8))
def test_whole_random_units(
    part: int,
    random_unit: Callable[[random.Random], DotProductUnit],
    random_codes: Callable[..., Codes],
    interpreted: bool,
) -> None:
    source = random.Random(f"whole {part}")
    compared = 0
    wanted = 60 if interpreted else 700
    while compared < wanted:
        unit = random_unit(source)
        shape = (source.randint(1, 4), source.choice([1, 2, 5, 16, 33]), source.randint(1, 5))
        needs_zero = shape[1] % (len(unit.order) or unit.width)
        if needs_zero and not all(float(spec.decode(_zero(spec))) == 0 for spec in (unit.element_a, unit.element_b)):
            continue
        operands = _operands(unit, shape, source, random_codes, source.random() < 0.6)
        try:
            choose(unit, shape[1])
        except ValueError:  # too wide for any path: only the oracle runs it
            continue
        compared += _compare(unit, operands, source.getrandbits(40))
    assert compared >= wanted


@pytest.mark.parametrize(
    "name",
    [
        *("float8_e4m3fn_float32", "float8_e4m3fn_float16", "hopper_wgmma_m64n8k32_f32_e4m3_e4m3", "mxfp4", "int8"),
        *("float8_e4m3fn", "cublas_hopper_e4m3_slow_bfloat16", "cublas_hopper_tf32_float32", "float8_e5m2_float16"),
    ],
)
@pytest.mark.parametrize("finite", [True, False])
def test_whole_cut_to_the_memory_changes_nothing(
    name: str, finite: bool, random_codes: Callable[..., Codes], monkeypatch: pytest.MonkeyPatch, interpreted: bool
) -> None:
    unit = named(name)
    source = random.Random(f"cut {name} {finite}")
    shape = (3, 300, 5) if interpreted else (37, 900, 150)
    operands = _operands(unit, shape, source, random_codes, finite)
    if not finite:  # a few specials, so that rows and columns are made again
        for side, spec in (("a", unit.element_a), ("b", unit.element_b)):
            clean = random_codes(source, spec, operands[side].size, True).reshape(operands[side].shape)
            keep = np.random.default_rng(1).random(clean.shape) < 0.0005
            operands[side] = np.where(keep, operands[side], clean << np.uint64(unit.ignored_bits))
    whole = matmul(unit, **operands)
    cutting = sys.modules[matmul.__module__]
    monkeypatch.setattr(cutting, "_DEPTH", 128)
    monkeypatch.setattr(cutting, "_WORKING_BYTES", 1 << 16)
    assert np.array_equal(matmul(unit, **operands), whole)
