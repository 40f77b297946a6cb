# SPDX-License-Identifier: Apache-2.0
"""Tables of steps: the codes of the exact encode, at every step and its neighbours, and where there can be no table."""

import itertools
import os
from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray

from hwsim import formats
from hwsim.formats import BlockSpec, Overflow, Rounding, steps
from hwsim.formats.rounding import DETERMINISTIC

# Uncompiled, the exact encode of a table's million values takes minutes.
INTERPRETED = os.environ.get("NUMBA_DISABLE_JIT", "0") != "0"
ALL = ("float4_e2m1fn", "float8_e4m3fn", "float8_e5m2", "float8_e8m0fnu", "float8_e4m3fnuz", "bfloat16", "int8")


def _exact(spec: object, mode: Rounding, rule: Overflow, values: NDArray[np.float32]) -> NDArray[np.unsignedinteger]:
    """Encode float64 copies of the values: no table is used for these."""
    encode = spec.encode  # type: ignore[attr-defined]
    with np.errstate(invalid="ignore"):  # a signalling NaN is a NaN
        return np.asarray(encode(values.astype(np.float64), mode, rule))


def _neighbours(table: steps.StepTable, has_nan: bool) -> NDArray[np.float32]:
    """Return the float32 patterns of all steps and cell borders, with one below and one above each."""
    first = np.arange(table.cells.size, dtype=np.int64) << table.shift
    step = (table.cells >> np.uint64(32)).astype(np.int64)
    patterns = np.unique(np.concatenate([first, step])[:, None] + np.arange(-1, 2))
    patterns = patterns[(patterns >= 0) & (patterns < 1 << 32)]
    highest = 0x7FFFFFFF if has_nan else 0x7F800000
    return patterns[(patterns & 0x7FFFFFFF) <= highest].astype(np.uint32).view(np.float32)


@pytest.mark.parametrize("name", ALL[:1] if INTERPRETED else ALL)
def test_steps_encode_is_exact(name: str) -> None:
    spec = formats.named(name)
    assert not isinstance(spec, BlockSpec)
    rules = [Overflow.SATURATE, *([Overflow.INFINITY] if spec.has_nan else [])]
    compared = 0
    for mode, rule in itertools.product(DETERMINISTIC, rules):
        exact = partial(_exact, spec, mode, rule)
        table = steps.step_table(spec, mode, rule, exact)
        assert table is not None
        values = _neighbours(table, spec.has_nan)
        values = np.resize(values, max(values.size, 1 << 16))  # so that the table is used
        got = steps.encode(spec, values, mode, rule, exact)
        assert got.dtype == exact(values).dtype
        assert np.array_equal(got, exact(values)), (mode, rule)
        compared += values.size
    assert compared >= len(DETERMINISTIC) * len(rules) << 16


def test_steps_table_none_where_it_cannot_be() -> None:
    half, int4 = formats.named("float16"), formats.named("int4")
    assert not isinstance(half, BlockSpec)
    assert not isinstance(int4, BlockSpec)
    even, saturate, wrap = Rounding.NEAREST_EVEN, Overflow.SATURATE, Overflow.WRAP
    assert steps.step_table(half, even, saturate, partial(_exact, half, even, saturate)) is None  # 2**19 cells
    assert steps.step_table(int4, even, wrap, partial(_exact, int4, even, wrap)) is None


def test_steps_cells_are_few() -> None:
    """E4M3 has three mantissa bits, so a cell of three holds the one step between two codes."""
    spec = formats.named("float8_e4m3fn")
    assert not isinstance(spec, BlockSpec)
    table = steps.step_table(spec, Rounding.NEAREST_EVEN, Overflow.SATURATE, spec.encode)
    assert table is not None
    assert table.shift == 20
    assert table.cells.size == 1 << 12
