# SPDX-License-Identifier: Apache-2.0
"""Matrix products through a unit, bit for bit: the fastest way that loses nothing."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwsim.datapath.entry import check_sparse, enter, flush, period, zero_code
from hwsim.datapath.operands import check_operand
from hwsim.datapath.paths import choose
from hwsim.datapath.problem import Codes, Path, Problem
from hwsim.datapath.promotion import SecondRegisters
from hwsim.datapath.specials import flags, marked, product_specials, without_specials
from hwsim.datapath.staged import matmul_registers, output
from hwsim.datapath.unit import DotProductUnit, FixedAccumulator, FloatAccumulator
from hwsim.datapath.words import later_seed
from hwsim.formats import BlockSpec, FloatSpec, Quantized
from hwsim.formats.codes import check_int

__all__ = [
    "Operands",
    "checked",
    "matmul",
]

_WORKING_BYTES = 160 << 20
"""What a path may take beyond operands and result; entering them takes up to 32 MiB more."""
_ENTRY_BYTES = 3.0


def matmul(
    unit: DotProductUnit,
    a: ArrayLike | Quantized,
    b: ArrayLike | Quantized,
    c: ArrayLike | None = None,
    *,
    a_scales: ArrayLike | None = None,
    b_scales: ArrayLike | None = None,
    seed: int = 0,
) -> Codes:
    """Multiply two matrices through a unit: each element is one dot product, in ascending steps of its width.

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
        Codes of the register's format (the second one's, where there are two), from which the sums start; 0 if not
        given.
    a_scales : array of integers, shape (M, ceil(K / block_size))
        Codes of the block scales; given if and only if a is of a block format and no `Quantized`.
    b_scales : array of integers, shape (ceil(K / block_size), N)
        Likewise.
    seed : int
        Of the random words of stochastic rounding (`hwsim.datapath.words`), in [0, 2**62).

    Returns
    -------
    ndarray of the smallest unsigned dtype that holds `unit.output.bits`, shape (M, N)
        Equal to `dot_exact` on the same rows, bit for bit, whatever the number of threads. The way is chosen by
        `choose`; it takes at most 256 MiB beside operands and result (K up to 2**20; more for longer rows).

    Raises
    ------
    TypeError, ValueError
        If an operand is not of the kind, shape or range above, not as sparse as the unit asks, or the unit too wide for
        the kernels (`dot_exact` is not).
    """
    if not isinstance(unit, DotProductUnit):
        raise TypeError(f"unit must be a DotProductUnit, not {unit!r}")
    check_int("seed", seed, 0, (1 << 62) - 1)
    job = checked(unit, a, b, c, a_scales, b_scales, seed)
    path = choose(unit, job.a.shape[1])
    rows, columns = job.a.shape[0], job.b.shape[0]
    height, wide = _block(path, unit, rows, columns, job.a.shape[1])
    parts = [
        (slice(top, min(top + height, rows)), slice(left, min(left + wide, columns)))
        for top in range(0, rows, height)
        for left in range(0, columns, wide)
    ]
    if len(parts) == 1:
        return _part(unit, path, job, parts[0][0], parts[0][1])
    d = np.empty((rows, columns), np.min_scalar_type((1 << unit.output.bits) - 1))
    for down, across in parts:
        d[down, across] = _part(unit, path, job, down, across)
    return d


class Operands(NamedTuple):
    """Checked operands, as they were given; b and its scales by columns."""

    a: Codes
    b: Codes
    c: Codes | None
    a_scales: Codes | None
    b_scales: Codes | None
    seed: int


def checked(
    unit: DotProductUnit,
    a: ArrayLike | Quantized,
    b: ArrayLike | Quantized,
    c: ArrayLike | None,
    a_scales: ArrayLike | None,
    b_scales: ArrayLike | None,
    seed: int = 0,
) -> Operands:
    """Return the arguments of `matmul`, which see, as arrays of codes, or raise as it does."""
    a, a_scales = _taken("a", unit.a, a, a_scales, 1)
    b, b_scales = _taken("b", unit.b, b, b_scales, 0)
    left = check_operand("a", unit.element_a, a, unit.ignored_bits)
    right = check_operand("b", unit.element_b, b, unit.ignored_bits)
    for name, array in (("a", left), ("b", right)):
        if array.ndim != 2:
            raise ValueError(f"{name} must have two dimensions, not the shape {array.shape}")
    if left.shape[1] != right.shape[0]:
        raise ValueError(f"a's columns and b's rows must be as many, not {left.shape[1]} and {right.shape[0]}")
    if left.shape[1] == 0:
        raise ValueError("a must have at least one column, for a dot product has at least one step")
    shape = (left.shape[0], right.shape[1])
    if c is not None and unit.register.bits > 64:
        bits = unit.register.bits
        raise ValueError(f"c must be None for a register of {bits} bits, which no array of codes can hold")
    start = None if c is None else check_operand("c", unit.register.format, c)
    if start is not None and start.shape != shape:
        raise ValueError(f"c must have the shape {shape}, not {start.shape}")
    for name, spec in (("a", unit.element_a), ("b", unit.element_b)):
        if left.shape[1] % period(unit) and zero_code(spec) is None:
            raise ValueError(f"{name} must fill its last step, for {spec.name} has no zero to fill it up with")
    return Operands(
        left,
        right.T,
        start,
        _block_scales("a_scales", unit.a, a_scales, left.shape),
        _block_scales("b_scales", unit.b, b_scales, right.shape[::-1]),
        seed,
    )


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


def _block_scales(name: str, spec: object, scales: ArrayLike | None, shape: tuple[int, ...]) -> Codes | None:
    """Return the scales of an operand of shape (rows, K), a row each."""
    if not isinstance(spec, BlockSpec):
        if scales is not None:
            raise ValueError(f"{name} must be None, for {getattr(spec, 'name', spec)} has no block scales")
        return None
    if scales is None:
        raise ValueError(f"{name} must be given for the block format {spec.name}")
    assert isinstance(spec.scale, FloatSpec)  # the unit's check
    codes = check_operand(name, spec.scale, scales)
    blocks = (shape[0], -(-shape[1] // spec.block_size))
    expected = blocks if name == "a_scales" else blocks[::-1]
    if codes.shape != expected:
        raise ValueError(
            f"{name} must have the shape {expected}, a code a block of {spec.block_size}, not {codes.shape}"
        )
    return codes if name == "a_scales" else codes.T


def _block(path: Path, unit: DotProductUnit, rows: int, columns: int, depth: int) -> tuple[int, int]:
    """Return how many rows and columns of d to make at a time."""
    entered = [_ENTRY_BYTES * spec.bits / 8 for spec in (unit.element_a, unit.element_b)]
    of_row, of_column = depth * (path.a_bytes + entered[0]), depth * (path.b_bytes + entered[1])
    of_output = path.d_bytes + (8 if unit.promotion else 0)
    if rows * of_row + columns * of_column + rows * columns * of_output <= _WORKING_BYTES:
        return max(rows, 1), max(columns, 1)
    share = _WORKING_BYTES / 3
    height = min(rows, max(1, int(share // of_row)))
    wide = min(columns, max(1, int(share // of_column), int((2 * share - height * of_row) // of_column)))
    if of_output * height * wide > share:
        side = max(1, int((share / of_output) ** 0.5))
        height = min(height, max(side, int(share / of_output / wide)))
        wide = min(wide, max(1, int(share / of_output / height)))
    return max(height, 1), max(wide, 1)


def _part(unit: DotProductUnit, path: Path, job: Operands, down: slice, across: slice) -> Codes:
    """Return a part of d: by the path where all is finite, and stage by stage in the other rows and columns."""
    a = enter(unit, "a", unit.element_a, job.a[down])
    b = enter(unit, "b", unit.element_b, job.b[across])
    c = None if job.c is None else job.c[down, across]
    if c is not None and unit.flush_operands and isinstance(unit.register, FloatAccumulator):
        c = flush(unit.register.format, c)
    scales = _filled(unit.a, job.a_scales, down, a.shape[1]), _filled(unit.b, job.b_scales, across, b.shape[1])
    problem = Problem(unit.inner, a, b, c, *scales)
    if unit.sparsity is not None:
        check_sparse(unit, a)
    slow = _Slow(unit, job.seed, down.start, across.start)
    run: _Way = slow if path.name == "staged" or _keeps_specials(unit) else _Fast(path)
    found = None if run is slow else flags(problem, unit.register)
    if found is None:
        return _through(unit, problem, run)
    if isinstance(unit.register, FixedAccumulator):
        d = _through(unit, without_specials(problem, found), run)
        return marked(unit, d, product_specials(problem, found, sparse=unit.sparsity is not None))
    reached = found.rows[:, None] | found.columns
    if 2 * int(reached.sum()) > reached.size:
        return _through(unit, problem, slow)
    d = _through(unit, without_specials(problem, found), run)
    everywhere = np.ones_like(found.columns)
    for rows, columns in ((found.rows, everywhere), (~found.rows, found.columns)):
        if rows.any() and columns.any():
            d[np.ix_(rows, columns)] = _through(unit, _taken_from(problem, rows, columns), slow)
    return d


def _keeps_specials(unit: DotProductUnit) -> bool:
    """Return whether a first register, fixed, hands specials to a second one, which codes of it cannot."""
    return unit.promotion is not None and unit.inner.output != unit.accumulator.format


class _Fast:
    """A path's way: codes."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def codes(self, problem: Problem) -> Codes:
        return self._path.run(problem)

    def registers(self, problem: Problem, step: int) -> tuple[Codes, None]:
        del step
        return self._path.run(problem), None


class _Slow:
    """The way through the stages, which takes specials, and random words by the place in the whole product."""

    def __init__(self, unit: DotProductUnit, seed: int, row: int, column: int) -> None:
        self._sparse = unit.sparsity is not None
        self._seed, self._row, self._column = seed, row, column

    def codes(self, problem: Problem) -> Codes:
        return output(problem.unit, *self.registers(problem, 0))

    def registers(self, problem: Problem, step: int) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        seed = later_seed(self._seed, step)
        return matmul_registers(problem, seed=seed, row=self._row, column=self._column, sparse=self._sparse)


_Way = _Fast | _Slow


def _through(unit: DotProductUnit, problem: Problem, run: _Way) -> Codes:
    """Return d of operands that have entered: chunk by chunk where there is a promotion."""
    if unit.promotion is None:
        return run.codes(problem)
    second = SecondRegisters(unit, (problem.a.shape[0], problem.b.shape[0]), problem.c)
    for begin in range(0, problem.a.shape[1], unit.promotion.length):
        end = begin + unit.promotion.length
        chunk = problem._replace(
            a=problem.a[:, begin:end],
            b=problem.b[:, begin:end],
            c=None,
            a_scales=_of_chunk(unit.a, problem.a_scales, begin, end),
            b_scales=_of_chunk(unit.b, problem.b_scales, begin, end),
        )
        second.add(*run.registers(chunk, begin // unit.width))
    return second.read()


def _of_chunk(spec: object, scales: Codes | None, begin: int, end: int) -> Codes | None:
    if scales is None:
        return None
    assert isinstance(spec, BlockSpec)
    return scales[:, begin // spec.block_size : -(-end // spec.block_size)]


def _taken_from(problem: Problem, rows: NDArray[np.bool_], columns: NDArray[np.bool_]) -> Problem:
    """Return the problem of some rows and columns of d."""
    return problem._replace(
        a=problem.a[rows],
        b=problem.b[columns],
        c=None if problem.c is None else problem.c[np.ix_(rows, columns)],
        a_scales=None if problem.a_scales is None else problem.a_scales[rows],
        b_scales=None if problem.b_scales is None else problem.b_scales[columns],
    )


def _filled(spec: object, scales: Codes | None, part: slice, length: int) -> Codes | None:
    """Return the scales of a part, and ones for the blocks by which its last step is filled up."""
    if scales is None:
        return None
    assert isinstance(spec, BlockSpec)
    held = scales[part]
    blocks = -(-length // spec.block_size)
    if held.shape[1] == blocks:
        return held
    filled = np.full((held.shape[0], blocks), int(spec.scale.encode(1.0)), held.dtype)
    filled[:, : held.shape[1]] = held
    return filled
