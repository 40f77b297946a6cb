# SPDX-License-Identifier: Apache-2.0
"""Matrix products through a unit, bit for bit: the fastest way that loses nothing."""

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwsim.datapath.accumulate import load, output, run
from hwsim.datapath.multiply import step_special
from hwsim.datapath.operands import Operand, check_operand, operand
from hwsim.datapath.plan import FIXED, Plan, plan, register_packing
from hwsim.datapath.round_pack import Packing
from hwsim.datapath.threads import threads_for
from hwsim.datapath.unit import DotProductUnit, ScalarSpec
from hwsim.formats import BlockSpec, Quantized

__all__ = [
    "matmul",
]

_TILE = 64  # columns of b that a core works on while they are in its cache
_EXACT = 1 << 53  # float64 holds every integer up to here


@numba.njit(cache=True, parallel=True)
def _matmul_kernel(
    how: Plan,
    pack: Packing,
    a: Operand,
    b: Operand,
    steps: int,
    out: NDArray[np.int64],
    specials: NDArray[np.uint8],
) -> None:
    """Unchecked. `out` holds the registers, loaded; b's rows are its columns."""
    rows, columns = out.shape
    for part in numba.prange(rows * ((columns + _TILE - 1) // _TILE)):
        row = part % rows
        begin = part // rows * _TILE
        for column in range(begin, min(begin + _TILE, columns)):
            out[row, column], specials[row, column] = run(
                how, pack, out[row, column], a, row * steps, b, column * steps, steps
            )


@numba.njit(cache=True, parallel=True)
def _special_kernel(a: Operand, b: Operand, lanes: int, steps: int, specials: NDArray[np.uint8]) -> None:
    """OR the specials of every product; unchecked."""
    rows, columns = specials.shape
    for row in numba.prange(rows):
        for column in range(columns):
            seen = 0
            for at in range(steps):
                i, j = row * steps + at, column * steps + at
                if a.flag[i] | b.flag[j]:
                    seen |= step_special(a, i, b, j, lanes, 0)
            specials[row, column] = seen


def matmul(
    unit: DotProductUnit,
    a: ArrayLike | Quantized,
    b: ArrayLike | Quantized,
    c: ArrayLike | None = None,
    *,
    a_scales: ArrayLike | None = None,
    b_scales: ArrayLike | None = None,
) -> NDArray[np.unsignedinteger]:
    """Multiply two matrices through a unit: each element is one dot product, in ascending steps of `lanes` products.

    Parameters
    ----------
    unit : DotProductUnit
    a : array of integers, shape (M, K), or Quantized
        Codes of a's format, of its elements for a block format. A last step that is not full is filled up with zeros.
        Of a `Quantized`, quantized along its last axis if to a block format, the codes and block scales are taken; the
        float32 scales of a scalar format and the scale of the whole tensor are the caller's to apply.
    b : array of integers, shape (K, N), or Quantized
        Likewise; a block format goes along its first axis.
    c : array of integers, shape (M, N), optional
        Codes of the accumulator's format, from which the sums start; 0 if not given.
    a_scales : array of integers, shape (M, ceil(K / block_size))
        Codes of the block scales; given if and only if a is of a block format and no `Quantized`.
    b_scales : array of integers, shape (ceil(K / block_size), N)
        Likewise.

    Returns
    -------
    ndarray of the smallest unsigned dtype that holds `unit.output.bits`, shape (M, N)
        Equal to `dot_exact` on the same rows, bit for bit, whatever the number of threads.

    Raises
    ------
    TypeError, ValueError
        If an operand is not of the kind, shape or range above, or the unit too wide for the kernels (`step_exact` is
        not).
    """
    if not isinstance(unit, DotProductUnit):
        raise TypeError(f"unit must be a DotProductUnit, not {unit!r}")
    how = plan(unit)
    a, a_scales = _taken("a", unit.a, a, a_scales, 1)
    b, b_scales = _taken("b", unit.b, b, b_scales, 0)
    left, right = check_operand("a", unit.element_a, a), check_operand("b", unit.element_b, b)
    for name, array in (("a", left), ("b", right)):
        if array.ndim != 2:
            raise ValueError(f"{name} must have two dimensions, not the shape {array.shape}")
    if left.shape[1] != right.shape[0]:
        raise ValueError(f"a's columns and b's rows must be as many, not {left.shape[1]} and {right.shape[0]}")
    if left.shape[1] == 0:
        raise ValueError("a must have at least one column, for a dot product has at least one step")
    shape = (left.shape[0], right.shape[1])
    start = check_operand("c", unit.accumulator.format, np.zeros(shape, np.uint8) if c is None else c)
    if start.shape != shape:
        raise ValueError(f"c must have the shape {shape}, not {start.shape}")
    steps = -(-left.shape[1] // unit.lanes)
    scales = (
        _step_scales("a_scales", unit, unit.a, a_scales, left.shape),
        _step_scales("b_scales", unit, unit.b, b_scales, right.shape[::-1]),
    )
    x = operand(how, unit.element_a, _padded("a", unit.element_a, left, steps * unit.lanes), unit.scale_a, scales[0])
    y = operand(how, unit.element_b, _padded("b", unit.element_b, right.T, steps * unit.lanes), unit.scale_b, scales[1])
    registers = load(unit, start)
    specials = np.zeros(shape, np.uint8)
    products = registers.size * steps * unit.lanes
    chunk = _chunk(how, x, y, registers, steps) if how.kind == FIXED else 0
    if chunk:
        registers = _add_chunks(how, x, y, registers, chunk)
        if x.special.size or y.special.size:
            with threads_for(products):
                _special_kernel(x, y, unit.lanes, steps, specials)
    else:
        with threads_for(products):
            _matmul_kernel(how, register_packing(unit), x, y, steps, registers, specials)
    return output(unit, registers, specials)


def _taken(
    name: str, spec: object, given: ArrayLike | Quantized, scales: ArrayLike | None, axis: int
) -> tuple[ArrayLike, ArrayLike | None]:
    """Return codes and block scales of an operand that may be a `Quantized`."""
    if not isinstance(given, Quantized):
        return given, scales
    if scales is not None:
        raise ValueError(f"{name}_scales must be None where {name} is a Quantized, which brings its own")
    if given.format != spec:
        raise ValueError(f"{name} must be quantized to {getattr(spec, 'name', spec)}, not to {given.format.name}")
    if not isinstance(spec, BlockSpec):
        return given.codes, None
    if given.axis != axis:
        raise ValueError(f"{name} must be quantized along axis {axis}, not along {given.axis}")
    return given.codes, given.scales


def _step_scales(
    name: str, unit: DotProductUnit, spec: object, scales: ArrayLike | None, shape: tuple[int, ...]
) -> NDArray[np.unsignedinteger] | None:
    """Return the scales of each step, shape (rows, steps), of an operand of shape (rows, K)."""
    if not isinstance(spec, BlockSpec):
        if scales is not None:
            raise ValueError(f"{name} must be None, for {getattr(spec, 'name', spec)} has no block scales")
        return None
    if scales is None:
        raise ValueError(f"{name} must be given for the block format {spec.name}")
    codes = check_operand(name, spec.scale, scales)
    blocks = (shape[0], -(-shape[1] // spec.block_size))
    expected = blocks if name == "a_scales" else blocks[::-1]
    if codes.shape != expected:
        raise ValueError(
            f"{name} must have the shape {expected}, a code a block of {spec.block_size}, not {codes.shape}"
        )
    steps = -(-shape[1] // unit.lanes)
    by_row = codes if name == "a_scales" else codes.T
    return np.repeat(by_row, spec.block_size // unit.lanes, axis=1)[:, :steps]


def _padded(
    name: str, spec: ScalarSpec, codes: NDArray[np.unsignedinteger], length: int
) -> NDArray[np.unsignedinteger]:
    """Return rows of codes, filled up with zeros to a length."""
    if codes.shape[1] == length:
        return np.ascontiguousarray(codes)
    zero = int(spec.encode(0.0))
    if float(spec.decode(zero)) != 0:
        raise ValueError(f"{name} must fill its last step, for {spec.name} has no zero to fill it up with")
    padded = np.full((codes.shape[0], length), zero, codes.dtype)
    padded[:, : codes.shape[1]] = codes
    return padded


def _chunk(how: Plan, a: Operand, b: Operand, registers: NDArray[np.int64], steps: int) -> int:
    """Return along how much of K a float64 matrix product is exact; 0 where the kernel must run.

    A sum of n products of integers of magnitude up to p and q is exact in any order if n * p * q <= 2**53. The chunks
    are then added modulo 2**64, which is exact for a register that wraps, and for one that saturates if it cannot: with
    all of K of the one sign, the register would still be within its limits.
    """
    if registers.size == 0:
        return 0
    largest = _largest(a.significand) * _largest(b.significand)
    length = steps * how.lanes
    if not how.wrap and _largest(registers) + (length * largest << how.sum_shift) > how.high:
        return 0
    chunk = min(_EXACT // max(largest, 1), length)
    return chunk if chunk >= min(_TILE, length) else 0


def _largest(values: NDArray[np.int64]) -> int:
    return max(int(values.max()), -int(values.min()))


def _add_chunks(how: Plan, a: Operand, b: Operand, registers: NDArray[np.int64], chunk: int) -> NDArray[np.int64]:
    """Return the registers after all products, summed in chunks by float64 matrix products."""
    rows, columns = registers.shape
    left = a.significand.reshape(rows, -1).astype(np.float64)
    right = b.significand.reshape(columns, -1).astype(np.float64).T
    total = np.zeros_like(registers)
    for begin in range(0, left.shape[1], chunk):
        total += (left[:, begin : begin + chunk] @ right[begin : begin + chunk]).astype(np.int64)
    value = registers + (total << how.sum_shift)
    if how.wrap:
        value = ((value & (how.high - how.low)) ^ -how.low) + how.low
    return value
