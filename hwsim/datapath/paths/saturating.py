# SPDX-License-Identifier: Apache-2.0
"""Small integers into a narrow register that saturates at each step: 16-bit or 32-bit elements of a vector."""

from functools import partial
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from hwsim.datapath.paths.fixed import finish_registers, grid_range, on_grid, step_largest, takes
from hwsim.datapath.paths.panels import filled, pack
from hwsim.datapath.problem import Codes, Path, Problem
from hwsim.datapath.simd import add, add_saturating, maximum, minimum, mul
from hwsim.datapath.threads import threads_for
from hwsim.datapath.tiles import tile_load, tile_step, tile_store
from hwsim.datapath.unit import DotProductUnit, FixedAccumulator
from hwsim.datapath.vectors import NATIVE, REGISTER_BITS, REGISTERS
from hwsim.formats import Overflow

__all__ = [
    "offer",
]

_ROWS, _VECTORS = (4, 4) if REGISTERS == 32 else (4, 2)
_CACHED = 2048  # bytes of a column, of which a panel stays in the cache


def offer(unit: DotProductUnit, depth: int) -> Path | None:
    """Return the path where a step's sum fits 16 or 32 bits, and so does the register.

    The sum of register and step is then saturated by an addition that saturates at the elements' own limits, which are
    at or beyond the register's, and by the register's limits after it where those are narrower.
    """
    if not takes(unit) or depth == 0:
        return None
    register = unit.accumulator
    assert isinstance(register, FixedAccumulator)
    if register.overflow is not Overflow.SATURATE:
        return None
    largest = unit.lanes * step_largest(unit) << unit.sum_shift
    ends = [abs(end) << unit.sum_shift for spec in (unit.element_a, unit.element_b) for end in grid_range(spec)]
    bits = next((bits for bits in (16, 32) if max(largest, *ends) < 1 << (bits - 1) and register.bits <= bits), 0)
    if not bits:
        return None
    proof = (
        f"a step's sum of up to {largest} and the register of {register.bits} bits fit int{bits}, whose addition "
        "saturates no earlier than the register"
    )
    return Path(
        name="saturating",
        proof=proof,
        run=partial(_run, dtype=np.int16 if bits == 16 else np.int32),
        a_bytes=2 * bits / 8,
        b_bytes=2 * bits / 8,
        d_bytes=2 * bits / 8,
    )


def _run(problem: Problem, *, dtype: type[np.signedinteger]) -> Codes:
    unit = problem.unit
    register = unit.accumulator
    assert isinstance(register, FixedAccumulator)
    (rows, depth), columns = problem.a.shape, problem.b.shape[0]
    size = np.dtype(dtype).itemsize
    panel = _VECTORS * REGISTER_BITS // (8 * size)
    tall = -(-rows // _ROWS) * _ROWS
    half = 1 << (register.bits - 1)
    with threads_for(rows * columns * depth // 8):
        left = filled(on_grid(unit.element_a, np.ascontiguousarray(problem.a), dtype), (tall, depth))
        scaled = on_grid(unit.element_b, problem.b, dtype)
        right = pack(scaled << dtype(unit.sum_shift) if unit.sum_shift else scaled, 1, panel)
        out = np.zeros((tall, right.shape[0] * panel), dtype)
        if problem.c is not None:
            out[:rows, :columns] = register.format.unpack(problem.c).significand
        each = max(_CACHED // size // unit.lanes, 1)
        steps = depth // unit.lanes
        for begin in range(0, steps, each):
            span = (begin, min(begin + each, steps), unit.lanes)
            _saturate(left, right, span, (-half, half - 1), register.bits < 8 * size, out)
    return finish_registers(unit, np.ascontiguousarray(out[:rows, :columns]))


@numba.njit(forceinline=True)
def _one_step(register: Any, a: Any, b: Any, _extra: Any) -> Any:
    return add_saturating(register, mul(a, b))


@numba.njit(forceinline=True)
def _one_clamped(register: Any, a: Any, b: Any, limits: Any) -> Any:
    low, high = limits
    return minimum(maximum(add_saturating(register, mul(a, b)), low), high)


@numba.njit(forceinline=True)
def _first_step(_total: Any, a: Any, b: Any, _extra: Any) -> Any:
    return mul(a, b)


@numba.njit(forceinline=True)
def _next_step(total: Any, a: Any, b: Any, _extra: Any) -> Any:
    return add(total, mul(a, b))


@numba.njit(cache=True, parallel=True)
def _saturate(
    left: NDArray[Any],
    right: NDArray[Any],
    span: tuple[int, int, int],
    limits: tuple[int, int],
    clamped: bool,
    out: NDArray[Any],
) -> None:
    """Run a span of steps of so many lanes on the registers; unchecked: left (rows, K), right (panels, K, columns)."""
    begin, end, lanes = span
    low, high = limits
    depth, width, columns = left.shape[1], out.shape[1], right.shape[2]
    bands = left.shape[0] // _ROWS
    for tile_at in numba.prange(bands * right.shape[0]):
        row, panel = tile_at % bands * _ROWS, tile_at // bands
        at = row * width + panel * columns
        register = tile_load(out, at, width, _ROWS, _VECTORS, NATIVE)
        a, b = row * depth, panel * depth * columns
        if lanes == 1 and clamped:
            for k in range(begin, end):
                register = tile_step(_one_clamped, register, (left, a + k, depth), (right, b + k * columns), limits)
        elif lanes == 1:
            for k in range(begin, end):
                register = tile_step(_one_step, register, (left, a + k, depth), (right, b + k * columns), 0)
        else:
            total = register
            for first in range(begin * lanes, end * lanes, lanes):
                total = tile_step(_first_step, total, (left, a + first, depth), (right, b + first * columns), 0)
                for k in range(first + 1, first + lanes):
                    total = tile_step(_next_step, total, (left, a + k, depth), (right, b + k * columns), 0)
                register = add_saturating(register, total)
                if clamped:
                    register = minimum(maximum(register, low), high)
        tile_store(out, at, width, register)
