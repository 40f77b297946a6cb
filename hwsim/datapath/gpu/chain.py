# SPDX-License-Identifier: Apache-2.0
"""One lane into a float32 or float64 register on the GPU: a chain of its own fused multiply-adds."""

from functools import lru_cache
from math import isnan
from typing import Any, NamedTuple

import numpy as np

from hwsim.datapath.gpu.intrinsics import DOUBLE, SINGLE
from hwsim.datapath.gpu.operands import TABLE_BITS, Side, entry, no_codes, take, take_floats, values
from hwsim.datapath.gpu.reals import SIDE, Real, cuda
from hwsim.datapath.gpu.tiles import OUTPUTS, across, down, grid_for, load_tile, padded, start_of, store
from hwsim.datapath.unit import DotProductUnit, ExactAlignment, FloatAccumulator, NanResult, ScalarSpec
from hwsim.formats import FloatSpec, Overflow, Rounding, Specials

__all__ = [
    "Chain",
    "chain",
    "register_real",
    "run_chain",
]

_DEPTH = 32  # products between two loads of a tile


class Chain(NamedTuple):
    """A unit as the kernel takes it."""

    single: bool  # float32, else float64
    nan_code: int
    nan_operand: bool  # a NaN result is the first NaN of b, c and a, made quiet
    signed_zero: bool


def _is_float(spec: object, real: Real) -> bool:
    """Tell whether a format is the GPU's own."""
    if not isinstance(spec, FloatSpec) or spec.specials is not Specials.IEEE or not (spec.signed and spec.subnormals):
        return False
    return (spec.man_bits, 1 - spec.bias, spec.bits) == (real.man_bits, real.exp_low, 8 * np.dtype(real.dtype).itemsize)


def register_real(accumulator: object) -> Real | None:
    """Return the GPU's float type that is a register, rounded to nearest even at every step, or None."""
    if not isinstance(accumulator, FloatAccumulator) or accumulator.flush:
        return None
    rules = (accumulator.rounding, accumulator.overflow, accumulator.result_man_bits)
    if rules != (Rounding.NEAREST_EVEN, Overflow.INFINITY, accumulator.format.man_bits):
        return None
    return next((real for real in (SINGLE, DOUBLE) if _is_float(accumulator.format, real)), None)


def _held(spec: ScalarSpec, real: Real) -> bool:
    """Tell whether every value of a format is one of a float type."""
    if spec.bits > TABLE_BITS:
        return _is_float(spec, real)
    end = spec.exp_max + spec.max_significand.bit_length()
    return spec.max_significand < 1 << real.digits and spec.exp_min >= real.last_exp and end <= real.exp_high + 1


def chain(unit: DotProductUnit) -> Chain | None:
    """Return the kernel's form of a unit that is a chain of fused multiply-adds, or None."""
    real = register_real(unit.accumulator)
    if real is None or unit.lanes != 1 or unit.scales:
        return None
    if not isinstance(unit.alignment, ExactAlignment) or unit.promotion or unit.flush_operands or unit.sparsity:
        return None
    if unit.ignored_bits and max(unit.element_a.bits, unit.element_b.bits) > TABLE_BITS:
        return None
    if not (_held(unit.element_a, real) and _held(unit.element_b, real)):
        return None
    assert isinstance(unit.accumulator, FloatAccumulator)
    register = unit.accumulator
    return Chain(real is SINGLE, register.nan_code, register.nan is NanResult.OPERAND, register.signed_zero)


@lru_cache(maxsize=32)
def _kernel(how: Chain) -> Any:
    real = SINGLE if how.single else DOUBLE
    dtype, codes, fma, bits_of, value_of = real.dtype, real.codes, real.fma, real.bits, real.value
    nan_code, nan_operand, signed_zero = codes(how.nan_code), how.nan_operand, how.signed_zero
    quiet = codes(1 << (real.man_bits - 1))
    magnitude = codes((1 << (8 * np.dtype(dtype).itemsize - 1)) - 1)

    @cuda.jit(device=True)
    def first_nan(x: Any, y: Any, register: Any) -> Any:
        """Return the NaN of a step whose result is one."""
        code = nan_code
        if isnan(y):
            code = bits_of(y) | quiet
        elif isnan(register):
            code = bits_of(register) | quiet
        elif isnan(x):
            code = bits_of(x) | quiet
        return value_of(code)

    def kernel(x: Any, y: Any, c: Any, out: Any) -> None:
        xs = cuda.shared.array((_DEPTH, SIDE), dtype)
        ys = cuda.shared.array((_DEPTH, SIDE), dtype)
        total = cuda.local.array(OUTPUTS, dtype)
        for o in range(OUTPUTS):
            total[o] = value_of(start_of(c, o))
        for begin in range(0, x.shape[0], _DEPTH):
            many = min(_DEPTH, x.shape[0] - begin)
            cuda.syncthreads()
            load_tile(xs, x, begin, many, cuda.blockIdx.y * SIDE)
            load_tile(ys, y, begin, many, cuda.blockIdx.x * SIDE)
            cuda.syncthreads()
            for k in range(np.uint32(many)):
                for o in range(OUTPUTS):
                    left, right = xs[k, down(o)], ys[k, across(o)]
                    after = fma(left, right, total[o])
                    if nan_operand and isnan(after):
                        after = first_nan(left, right, total[o])
                    total[o] = after
        for o in range(OUTPUTS):
            code = bits_of(total[o])
            if isnan(total[o]) and not nan_operand:
                code = nan_code
            if code & magnitude == 0 and not signed_zero:
                code = codes(0)
            store(out, o, code)

    return cuda.jit(kernel)


def run_chain(unit: DotProductUnit, how: Chain, x: Side, y: Side, c: Any) -> Any:
    """Return the registers' codes; specials are the float type's own."""
    real = SINGLE if how.single else DOUBLE
    args = []
    for side, spec in ((x, unit.element_a), (y, unit.element_b)):
        if spec.bits > TABLE_BITS:
            args.append(take_floats(side, padded(side.rows), real))
        else:
            held = cuda.device_array((side.source.shape[0], padded(side.rows)), real.dtype)
            args.append(take(side, values(entry(spec), real.dtype, special=True), held))
    out = cuda.device_array((x.rows, y.rows), real.codes)
    _kernel(how)[grid_for(x.rows, y.rows)](*args, no_codes(real.codes) if c is None else c, out)
    return out
