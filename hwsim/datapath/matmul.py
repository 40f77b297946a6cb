# SPDX-License-Identifier: Apache-2.0
"""Matrix products through a unit, bit for bit: the fastest way that loses nothing."""

import math
import sys
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwsim.datapath.entry import check_sparse, enter, flush, period, zero_code
from hwsim.datapath.operands import check_operand
from hwsim.datapath.paths import choose, choose_staged
from hwsim.datapath.problem import Codes, Path, Problem
from hwsim.datapath.promotion import SecondRegisters
from hwsim.datapath.specials import flags, marked, product_specials, without_specials
from hwsim.datapath.staged import load, matmul_registers, output
from hwsim.datapath.unit import DotProductUnit, FixedAccumulator, FloatAccumulator, ScalarSpec
from hwsim.datapath.words import later_seed
from hwsim.formats import BlockSpec, FloatSpec, Overflow, Quantized, Rounding
from hwsim.formats.codes import check_int, code_dtype

__all__ = [
    "Operands",
    "checked",
    "matmul",
]

_WORKING_BYTES = 144 << 20
"""What a part of d may take beyond operands and result; so much is left for what was forgotten."""
_ENTRY_COPIES = 3
"""Of the codes of a part: as they enter, which are special, and without those."""
_DEPTH = 1 << 16
"""Of K, at a time, into a float register: paths fill up rows and columns to panels, and a panel must not be large."""
_PANEL = (8, 64)
_SPARSE_CHECKED = 1 << 20


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
        `choose`; it takes at most 256 MiB beside operands and result, up to K = 2**20; into a fixed register longer
        rows take more.

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
    depth = job.a.shape[1]
    path = choose(unit, depth)
    rows, columns = job.a.shape[0], job.b.shape[0]
    height, wide = _block(path, unit, (rows, columns), min(depth, _length(unit)))
    parts = [
        (slice(top, min(top + height, rows)), slice(left, min(left + wide, columns)))
        for top in range(0, rows, height)
        for left in range(0, columns, wide)
    ]
    if len(parts) == 1:
        return _part(unit, path, job, parts[0][0], parts[0][1])
    d = np.empty((rows, columns), code_dtype(unit.output.bits))
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
    row: int = 0  # of the first one in the whole product, as its column
    column: int = 0


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
    if unit.sparsity is not None:
        lines = max(1, _SPARSE_CHECKED // left.shape[1])
        for top in range(0, shape[0], lines):
            check_sparse(unit, enter(unit, "a", unit.element_a, left[top : top + lines]), top)
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


def _length(unit: DotProductUnit) -> int:
    """Return how much of K is multiplied at a time: all of it into a fixed register, which no code may hold."""
    if isinstance(unit.register, FixedAccumulator):
        return sys.maxsize
    whole = math.lcm(period(unit), unit.promotion.length if unit.promotion else 1)
    for spec in (unit.a, unit.b):
        whole = math.lcm(whole, spec.block_size if isinstance(spec, BlockSpec) else 1)
    return max(_DEPTH // whole, 1) * whole


def _block(path: Path, unit: DotProductUnit, shape: tuple[int, int], depth: int) -> tuple[int, int]:
    """Return how many rows and columns of d to make at a time."""
    entered = [_ENTRY_COPIES * np.dtype(code_dtype(spec.bits + unit.ignored_bits)).itemsize for spec in _elements(unit)]
    of_row, of_column = depth * (path.a_bytes + entered[0]), depth * (path.b_bytes + entered[1])
    of_output = path.d_bytes + (16 if unit.promotion else 0)
    panel = (1, 1) if path.name == "staged" else _PANEL
    full = [-(-count // side) * side for count, side in zip(shape, panel, strict=True)]
    if full[0] * of_row + full[1] * of_column + full[0] * full[1] * of_output <= _WORKING_BYTES:
        return max(shape[0], 1), max(shape[1], 1)
    share = _WORKING_BYTES / 3
    height = min(full[0], max(panel[0], int(share // of_row) // panel[0] * panel[0]))
    left_over = 2 * share - height * of_row
    wide = min(full[1], max(panel[1], int(left_over // of_column) // panel[1] * panel[1]))
    if of_output * height * wide > share:
        side = max(panel[1], int((share / of_output) ** 0.5) // panel[1] * panel[1])
        height = min(height, max(side, int(share / of_output / wide)))
        wide = min(wide, max(panel[1], int(share / of_output / height)))
    return max(height, 1), max(wide, 1)


def _elements(unit: DotProductUnit) -> tuple[ScalarSpec, ScalarSpec]:
    return unit.element_a, unit.element_b


def _part(unit: DotProductUnit, path: Path, job: Operands, down: slice, across: slice) -> Codes:
    """Return a part of d, made of as much of K at a time as `_length` says, from register to register."""
    length = _length(unit)
    part = Operands(
        job.a[down],
        job.b[across],
        None if job.c is None else job.c[down, across],
        None if job.a_scales is None else job.a_scales[down],
        None if job.b_scales is None else job.b_scales[across],
        job.seed,
        down.start,
        across.start,
    )
    depth = job.a.shape[1]
    if depth <= length:
        return _product(unit, path, part)
    register = unit.register
    assert isinstance(register, FloatAccumulator)
    on = replace(unit, output=register.format, rounding=Rounding.NEAREST_EVEN, overflow=Overflow.INFINITY)
    d = part.c
    for begin in range(0, depth, length):
        end = min(begin + length, depth)
        piece = part._replace(
            a=part.a[:, begin:end],
            b=part.b[:, begin:end],
            c=d,
            a_scales=_of_chunk(unit.a, part.a_scales, begin, end),
            b_scales=_of_chunk(unit.b, part.b_scales, begin, end),
            seed=later_seed(job.seed, begin // unit.width),
        )
        d = _product(on, choose(on, end - begin), piece)
    assert d is not None
    return output(unit, load(unit, d), np.zeros(d.shape, np.uint8)) if unit.converts else d


def _product(unit: DotProductUnit, path: Path, part: Operands) -> Codes:
    """Return d of operands that fit the memory: by the path where all is finite, and stage by stage in other rows."""
    a = enter(unit, "a", unit.element_a, part.a)
    b = enter(unit, "b", unit.element_b, part.b)
    c = part.c
    if c is not None and unit.flush_operands and isinstance(unit.register, FloatAccumulator):
        c = flush(unit.register.format, c)
    scales = _filled(unit.a, part.a_scales, a.shape[1]), _filled(unit.b, part.b_scales, b.shape[1])
    problem = Problem(unit.inner, a, b, c, *scales)
    slow = _Slow(unit, part)
    run: _Way = slow if path.name == "staged" else _Fast(path)
    found = None if run is slow else flags(problem, unit.register)
    if found is None:
        return _through(unit, problem, run)
    if isinstance(unit.register, FixedAccumulator):
        d = _through(unit, without_specials(problem, found), run)
        return marked(unit, d, product_specials(problem, found, sparse=unit.sparsity is not None))
    reached = found.rows[:, None] | found.columns
    d = np.empty(reached.shape, code_dtype(unit.output.bits))
    if 2 * int(reached.sum()) < reached.size:
        d = _through(unit, without_specials(problem, found), run)
        _redo(unit, problem, slow, (np.flatnonzero(~found.rows), np.flatnonzero(found.columns)), d)
        _redo(unit, problem, slow, (np.flatnonzero(found.rows), np.arange(len(b))), d)
    else:
        _redo(unit, problem, slow, (np.arange(len(a)), np.arange(len(b))), d)
    return d


def _redo(
    unit: DotProductUnit, problem: Problem, slow: "_Slow", where: tuple[NDArray[np.intp], NDArray[np.intp]], d: Codes
) -> None:
    """Make the rows and columns of d stage by stage, as many at a time as fit the memory."""
    path = choose_staged(unit)
    height, wide = _block(path, unit, (len(where[0]), len(where[1])), problem.a.shape[1])
    for top in range(0, len(where[0]), height):
        for left in range(0, len(where[1]), wide):
            rows, columns = where[0][top : top + height], where[1][left : left + wide]
            d[np.ix_(rows, columns)] = _through(unit, _taken_from(problem, rows, columns), slow)


class _Fast:
    """A path's way: codes of finite operands."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def codes(self, problem: Problem) -> Codes:
        return self._path.run(problem)

    def registers(self, problem: Problem, step: int) -> tuple[Codes, None]:
        del step
        return self._path.run(problem), None


class _Slow:
    """The way through the stages, which takes specials, and random words by the place in the whole product."""

    def __init__(self, unit: DotProductUnit, part: Operands) -> None:
        self._sparse = unit.sparsity is not None
        self._seed, self._row, self._column = part.seed, part.row, part.column

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


def _taken_from(problem: Problem, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Problem:
    """Return the problem of some rows and columns of d."""
    return problem._replace(
        a=problem.a[rows],
        b=problem.b[columns],
        c=None if problem.c is None else problem.c[np.ix_(rows, columns)],
        a_scales=None if problem.a_scales is None else problem.a_scales[rows],
        b_scales=None if problem.b_scales is None else problem.b_scales[columns],
    )


def _filled(spec: object, scales: Codes | None, length: int) -> Codes | None:
    """Return the scales of a part, and ones for the blocks by which its last step is filled up."""
    if scales is None:
        return None
    assert isinstance(spec, BlockSpec)
    blocks = -(-length // spec.block_size)
    if scales.shape[1] == blocks:
        return scales
    filled = np.full((scales.shape[0], blocks), int(spec.scale.encode(1.0)), scales.dtype)
    filled[:, : scales.shape[1]] = scales
    return filled
