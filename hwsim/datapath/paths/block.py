# SPDX-License-Identifier: Apache-2.0
"""Dot products of blocks, each added to a float32 register with its scales and one rounding."""

from functools import lru_cache, partial
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from hwsim.datapath.paths import block_kernels
from hwsim.datapath.paths.fixed import grid_range, on_grid, step_largest
from hwsim.datapath.paths.integer import left_bytes, right_bytes, width_of
from hwsim.datapath.paths.panels import filled, pack
from hwsim.datapath.problem import Codes, Path, Problem
from hwsim.datapath.simd_integer import vnni_lanes
from hwsim.datapath.staged import output
from hwsim.datapath.threads import threads_for
from hwsim.datapath.unit import DotProductUnit, ExactAlignment, FloatAccumulator, ScalarSpec
from hwsim.datapath.vectors import compiled
from hwsim.formats import BlockSpec, FloatSpec, Overflow, Rounding

__all__ = [
    "offer",
]

_SINGLE_BITS, _DOUBLE_BITS = 24, 53
_LEAST, _BEYOND = -149, 128  # exponents of float32's last place and of the first power of two that it lacks
_CACHED = 4096  # bytes of a column, of which a panel stays in the cache
_NONE = 1 << 20  # no exponent
_RANGE = 250  # exponents of which three add up within float64's range

Float = TypeVar("Float", bound=np.floating[Any])


def offer(unit: DotProductUnit, depth: int) -> Path | None:
    """Return the path where a step's sum, an integer in units of the smallest product, and its scales fit a float.

    With s the sum, x and y the scales, s * x is exact in float32, and fma(s * x, y, register) rounds once: it is what
    the unit does. Powers of two go from x to y so that neither leaves float32's range; where the scales of a problem
    spread too far for that, or s * x is too long, s * x * y is exact in float64, and its sum with the register is
    rounded to odd there, so that the rounding to float32 that follows is as of the exact sum (53 >= 24 + 2).
    """
    if not compiled() or not (unit.is_plain and isinstance(unit.alignment, ExactAlignment)) or depth == 0:
        return None
    register = unit.accumulator
    if not isinstance(register, FloatAccumulator) or not _is_float32(register) or _splits_steps(unit):
        return None
    largest = unit.lanes * step_largest(unit)
    by_a, by_b = (1 if scale is None else scale.max_significand for scale in (unit.scale_a, unit.scale_b))
    if largest * by_a * by_b > 1 << _DOUBLE_BITS or not _in_range(unit):
        return None
    single = max(largest * by_a, by_b) <= 1 << _SINGLE_BITS
    width = width_of(unit.element_a, unit.element_b) if single and unit.lanes % 4 == 0 and vnni_lanes() else 0
    if width == 8 and grid_range(unit.element_a)[1] > 127:
        width = 0
    how = {8: "int32 by bytes", 16: "int32 by words", 0: "float32" if single else "float64"}[width]
    proof = f"a step's {unit.lanes} products of up to {step_largest(unit)} are exact in {how}"
    if single:
        proof += f", their sum times a's scale takes {(largest * by_a).bit_length()} bits, float32 holds 24, and one "
        proof += "fused multiply-add applies b's scale; in float64, rounded to odd, where the scales spread too far"
    else:
        proof += f", with the scales {(largest * by_a * by_b).bit_length()} bits, and float64 holds 53; the register "
        proof += "is added with rounding to odd, then rounded to float32"
    size = {8: 3, 16: 5, 0: 5 if single else 9}[width]
    return Path(
        name="block",
        proof=proof,
        run=partial(_run, width=width, single=single),
        a_bytes=size + 8 / unit.lanes,
        b_bytes=2 * size + 8 / unit.lanes,
        d_bytes=8,
    )


def _is_float32(register: FloatAccumulator) -> bool:
    spec = register.format
    return (
        (spec.exp_bits, spec.man_bits, spec.bias, register.result_man_bits) == (8, 23, 127, 23)
        and register.rounding is Rounding.NEAREST_EVEN
        and register.overflow is Overflow.INFINITY
    )


def _splits_steps(unit: DotProductUnit) -> bool:
    """Whether a step has several scales."""
    return any(isinstance(spec, BlockSpec) and spec.block_size % unit.lanes for spec in (unit.a, unit.b))


def _in_range(unit: DotProductUnit) -> bool:
    """Whether sums and scales are so that float64 holds every bit of their products."""
    exponents = [unit.product_exp_min, *(spec.exp_min for spec in unit.scales), *(spec.exp_max for spec in unit.scales)]
    return all(abs(exponent) <= _RANGE for exponent in exponents)


class _Scales(NamedTuple):
    """Block scales of an operand; of their nonzero ones the largest exponent and the least one of a last place."""

    spec: FloatSpec | None
    size: int
    codes: Codes | None
    lead: int
    last: int

    def steps(self, dtype: type[Float], power: int, lanes: int, shape: tuple[int, int]) -> NDArray[Float]:
        """Return the scale of each step times a power of two, which dtype must hold, filled up to rows and steps."""
        if self.spec is None or self.codes is None:
            return np.full(shape, 2.0**power, dtype)
        with np.errstate(over="ignore"):  # of scales that are not there
            table = np.ldexp(_scale_table(self.spec)[0], power).astype(dtype)
        out = np.zeros(shape, dtype)
        block_kernels.spread(np.ascontiguousarray(self.codes), table, (lanes, self.size), out)
        return out


@lru_cache(maxsize=32)
def _scale_table(spec: FloatSpec) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Return value, exponent of the leading and of the last place of each code; of 0 and specials, 0 and extremes."""
    parts = spec.unpack(np.arange(1 << spec.bits, dtype=np.uint16))
    values = np.ldexp(parts.significand.astype(np.float64), parts.exponent)
    some = parts.significand != 0
    lead = np.where(some, np.frexp(values)[1] - 1, -_NONE)
    return values, lead, np.where(some, parts.exponent, _NONE)


def _scales(spec: BlockSpec | ScalarSpec, codes: Codes | None) -> _Scales:
    if not isinstance(spec, BlockSpec) or codes is None:
        return _Scales(None, 0, None, 0, 0)
    assert isinstance(spec.scale, FloatSpec)
    _, lead, last = _scale_table(spec.scale)
    seen = np.flatnonzero(np.bincount(codes.reshape(-1), minlength=1))
    least, largest = int(last[seen].min(initial=_NONE)), int(lead[seen].max(initial=-_NONE))
    return _Scales(spec.scale, spec.block_size, codes, largest, least)


def _shift(x: _Scales, y: _Scales, exponent: int, largest: int) -> int | None:
    """Return the power of two by which y grows and x shrinks so that float32 holds all; None where there is none."""
    low = max(x.lead + 1 + exponent + largest.bit_length() - _BEYOND, _LEAST - y.last)
    high = min(x.last + exponent - _LEAST, _BEYOND - 1 - y.lead)
    return min(max(low, 0), high) if low <= high else None


def _run(problem: Problem, *, width: int, single: bool) -> Codes:
    unit = problem.unit
    register = unit.accumulator
    assert isinstance(register, FloatAccumulator)
    (rows, depth), columns = problem.a.shape, problem.b.shape[0]
    x, y = _scales(unit.a, problem.a_scales), _scales(unit.b, problem.b_scales)
    exponent = unit.product_exp_min
    shift = _shift(x, y, exponent, unit.lanes * step_largest(unit)) if single else None
    with threads_for(rows * columns * depth // 16):
        if shift is None:
            total: NDArray[Any] = _floats(problem, np.float64, (x, exponent), (y, 0))
        elif width:
            total = _integers(problem, width, (x, exponent - shift), (y, shift))
        else:
            total = _floats(problem, np.float32, (x, exponent - shift), (y, shift))
        with np.errstate(over="ignore"):
            codes = np.ascontiguousarray(total[:rows, :columns].astype(np.float32, copy=False)).view(np.uint32)
        block_kernels.canonical(codes, register.nan_code)
    if not unit.converts:
        return codes
    converted: Codes = output(unit, codes.astype(np.int64), np.zeros(codes.shape, np.uint8))
    return converted


def _start(c: Codes | None, shape: tuple[int, int], dtype: type[Float]) -> NDArray[Float]:
    """Return the registers, filled up to a shape."""
    out = np.zeros(shape, dtype)
    if c is not None:
        out[: c.shape[0], : c.shape[1]] = np.ascontiguousarray(c).view(np.float32)
    return out


def _spans(steps: int, lanes: int) -> list[tuple[int, int]]:
    """Return spans of steps, of which a panel's elements stay in the cache."""
    each = max(_CACHED // lanes, 1)
    return [(begin, min(begin + each, steps)) for begin in range(0, steps, each)]


def _tall(rows: int) -> int:
    """Return rows filled up to whole tiles."""
    return -(-rows // block_kernels.ROWS) * block_kernels.ROWS


def _factors(
    problem: Problem, dtype: type[Float], x: tuple[_Scales, int], y: tuple[_Scales, int], size: int
) -> tuple[NDArray[Float], NDArray[Float]]:
    """Return both operands' scales of each step, times powers of two, as the kernels take them."""
    lanes, steps = problem.unit.lanes, problem.a.shape[1] // problem.unit.lanes
    left = x[0].steps(dtype, x[1], lanes, (_tall(problem.a.shape[0]), steps))
    right: NDArray[Float] = pack(y[0].steps(dtype, y[1], lanes, (problem.b.shape[0], steps)), 1, size)
    return left, right


def _integers(problem: Problem, width: int, x: tuple[_Scales, int], y: tuple[_Scales, int]) -> NDArray[np.float32]:
    unit, (rows, depth), size = problem.unit, problem.a.shape, block_kernels.INTEGER_COLUMNS
    steps, group = depth // unit.lanes, 32 // width
    begin = np.zeros((_tall(rows), steps), np.int32)
    if width == 8:
        signed, _ = left_bytes(unit.element_a, problem.a)
        unsigned, flip, offset = right_bytes(unit.element_b, problem.b)
        left, right = filled(signed, (_tall(rows), depth)), pack(unsigned, group, size, flip)
        if offset:
            block_kernels.sum_steps(left.view(np.int32), -offset, begin)
    else:
        left = filled(on_grid(unit.element_a, np.ascontiguousarray(problem.a), np.int16), (_tall(rows), depth))
        right = pack(on_grid(unit.element_b, problem.b, np.int16), group, size)
    scales = _factors(problem, np.float32, x, y, size)
    out = _start(problem.c, (_tall(rows), right.shape[0] * size), np.float32)
    for span in _spans(steps, unit.lanes):
        block_kernels.run_integers((left.view(np.int32), right.view(np.int32)), scales, begin, span, width == 8, out)
    return out


def _floats(problem: Problem, dtype: type[Float], x: tuple[_Scales, int], y: tuple[_Scales, int]) -> NDArray[Float]:
    unit, (rows, depth) = problem.unit, problem.a.shape
    single = dtype is np.float32
    size = block_kernels.SINGLE_COLUMNS if single else block_kernels.DOUBLE_COLUMNS
    left = filled(on_grid(unit.element_a, np.ascontiguousarray(problem.a), dtype), (_tall(rows), depth))
    right = pack(on_grid(unit.element_b, problem.b, dtype), 1, size)
    out = _start(problem.c, (_tall(rows), right.shape[0] * size), dtype)
    scales = _factors(problem, dtype, x, y, size)
    kernel: Any = block_kernels.run_singles if single else block_kernels.run_doubles
    for span in _spans(depth // unit.lanes, 4 * unit.lanes):
        kernel((left, right), scales, span, out)
    return out
