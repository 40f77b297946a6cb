# SPDX-License-Identifier: Apache-2.0
"""Sums in a fixed register by float matrix products, which lose nothing while every partial sum fits a significand."""

from functools import partial
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from hwsim.datapath.paths.fixed import finish, on_grid, step_largest, takes
from hwsim.datapath.problem import Codes, Path, Problem
from hwsim.datapath.threads import threads_for
from hwsim.datapath.unit import DotProductUnit, FixedAccumulator
from hwsim.formats import Overflow

__all__ = [
    "offer",
]

_SINGLE_BITS = 24
_DOUBLE_BITS = 53
_WORTH_SINGLE = 192  # below, adding up the chunks takes longer than a product in float64
_WORTH_DOUBLE = 64


def offer(unit: DotProductUnit, depth: int) -> Path | None:
    """Return the path where chunks of K are exact in float32 or float64, in any order of their additions.

    A sum of n integer products of magnitude up to p is exact if n * p <= 2**24 in float32, 2**53 in float64: so is
    every partial sum. Chunks are added modulo 2**64, which is exact for a register that wraps; one that saturates must
    be wide enough for the largest sum.
    """
    if not takes(unit) or depth == 0:
        return None
    register = unit.accumulator
    assert isinstance(register, FixedAccumulator)
    largest = step_largest(unit)
    if register.overflow is Overflow.SATURATE and (depth * largest << unit.sum_shift) >= 1 << (register.bits - 1):
        return None
    single, double = (min((1 << bits) // max(largest, 1), depth) for bits in (_SINGLE_BITS, _DOUBLE_BITS))
    is_single = single >= min(_WORTH_SINGLE, depth)
    chunk, dtype, bits = (single, np.float32, _SINGLE_BITS) if is_single else (double, np.float64, _DOUBLE_BITS)
    if chunk < min(_WORTH_DOUBLE, depth):
        return None
    name = np.dtype(dtype).name
    proof = (
        f"{chunk} products of up to {largest} in units of 2**{unit.product_exp_min} take at most "
        f"{(chunk * largest).bit_length()} bits, and {name} holds integers up to 2**{bits}"
    )
    if chunk < depth:
        proof += f"; the {-(-depth // chunk)} chunks of K are added in int64, modulo 2**64"
    if register.overflow is Overflow.SATURATE:
        proof += f"; the sum of all {depth} fits the register, and sums to which c leaves less room are done by steps"
    size = np.dtype(dtype).itemsize
    return Path(
        name="blas",
        proof=proof,
        run=partial(_run, chunk=chunk, dtype=dtype),
        a_bytes=size,
        b_bytes=size,
        d_bytes=size if chunk == depth else size + 8,
    )


def _run(problem: Problem, *, chunk: int, dtype: type[np.floating]) -> Codes:
    unit = problem.unit
    depth = problem.a.shape[1]
    left = on_grid(unit.element_a, problem.a, dtype)
    right = on_grid(unit.element_b, problem.b, dtype).T
    total: NDArray[Any]
    if chunk >= depth:
        total = left @ right
    else:
        total = np.zeros((left.shape[0], right.shape[1]), np.int64)
        for begin in range(0, depth, chunk):
            part = left[:, begin : begin + chunk] @ right[begin : begin + chunk]
            with threads_for(total.size * 16):
                _add(part, total)
    return finish(problem, total, depth * step_largest(unit))


@numba.njit(cache=True, parallel=True)
def _add(part: NDArray[Any], total: NDArray[Any]) -> None:
    """Unchecked: integers within 2**53."""
    for row in numba.prange(total.shape[0]):
        for column in range(total.shape[1]):
            total[row, column] += np.int64(part[row, column])
