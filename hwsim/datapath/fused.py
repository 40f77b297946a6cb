# SPDX-License-Identifier: Apache-2.0
"""The fused multiply-add of float64, and the units of one lane that it is."""

from fractions import Fraction
from math import copysign, inf, isfinite
from typing import Any

import numba
import numpy as np
from numba import types
from numba.extending import overload

from hwsim.datapath.operands import Operand
from hwsim.datapath.plan import Plan
from hwsim.datapath.round_pack import Packing
from hwsim.datapath.vectors import intrinsic

__all__ = [
    "multiply_add",
    "operand_nan",
    "run_fused",
]

_SMALLEST_NORMAL = 2.0**-1022


def _emit(_context: Any, a: Any, b: Any, c: Any) -> Any:
    if not all(of == types.float64 for of in (a, b, c)):
        return None
    return types.float64(a, b, c), lambda _context, builder, _signature, values: builder.fma(*values)


_multiply_add: Any = intrinsic(_emit)


def multiply_add(a: float, b: float, c: float) -> float:
    """Return ``a * b + c``, rounded once to the nearest float64, ties to even; in kernels by the machine's own."""
    a, b, c = float(a), float(b), float(c)
    if not (isfinite(a) and isfinite(b) and isfinite(c)):
        return c if isfinite(a) and isfinite(b) else a * b + c
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    if exact == 0:
        minus = copysign(1.0, a) * copysign(1.0, b) < 0
        return -0.0 if minus and copysign(1.0, c) < 0 and c == 0 else 0.0
    try:
        return float(exact)
    except OverflowError:
        return -inf if exact < 0 else inf


@overload(multiply_add, strict=False)
def _overload(a: Any, b: Any, c: Any) -> Any:  # the machine's, where Numba compiles
    del a, b, c

    def compiled(a: Any, b: Any, c: Any) -> Any:
        return _multiply_add(a, b, c)

    return compiled


@numba.njit(cache=True)
def _float(code: int) -> float:
    value: Any = np.int64(code).view(np.float64)
    return float(value)


@numba.njit(cache=True)
def _code(value: float) -> int:
    code: Any = np.float64(value).view(np.int64)
    return int(code)


@numba.njit(cache=True)
def operand_nan(plan: Plan, a: int, b: int, register: int) -> int:
    """Return the first NaN of b, the register and a, made quiet; 0 where none is; unchecked."""
    magnitude = (1 << (plan.register_exp_bits + plan.register_man_bits)) - 1
    infinity = ((1 << plan.register_exp_bits) - 1) << plan.register_man_bits
    for code in (b, register, a):
        if code & magnitude > infinity:
            return code | (1 << (plan.register_man_bits - 1))
    return 0


@numba.njit(cache=True)
def run_fused(plan: Plan, pack: Packing, register: int, a: Operand, b: Operand, place: tuple[int, int, int]) -> int:
    """Run the steps of a row of a and one of b, as many as `place` has third; unchecked: `plan` has the proof."""
    i, j, steps = place
    for at in range(steps):
        x, y = a.code[i * a.depth + at], b.code[j * b.depth + at]
        value = multiply_add(_float(x), _float(y), _float(register))
        if np.isnan(value):
            named = operand_nan(plan, x, y, register) if plan.nan_operand else 0
            register = named if named != 0 else pack.nan
            continue
        if pack.flush and abs(value) < _SMALLEST_NORMAL:
            value = value * 0.0
        if value == 0.0 and not pack.signed_zero:
            value = 0.0
        register = _code(value)
    return register
