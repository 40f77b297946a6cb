# SPDX-License-Identifier: Apache-2.0
"""Operands of a layer: streams that pass through units of an array that multiplies two matrices."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim.datapath import DotProductUnit, matmul
from hwsim.datapath.entry import period, zero_code
from hwsim.datapath.unit import ScalarSpec
from hwsim.formats import BlockSpec, FloatSpec
from hwsim.operands.streams import STEPS, STREAMS, Codes, Operands

__all__ = [
    "DATAFLOWS",
    "from_matrices",
]

_SEED = 7
DATAFLOWS = ("output_stationary", "weight_stationary")


class _Side(NamedTuple):
    """One operand by steps: codes (groups, rows, steps, width) and scales (groups, rows, steps, scales of a step)."""

    codes: Codes
    scales: Codes | None


def from_matrices(
    unit: DotProductUnit,
    a: NDArray[Any],
    b: NDArray[Any],
    *,
    a_scales: NDArray[Any] | None = None,
    b_scales: NDArray[Any] | None = None,
    dataflow: str = "output_stationary",
    name: str = "two matrices",
) -> Operands:
    """Return the streams of 512 units of an array that multiplies two matrices, 128 steps of each; seeded.

    Output stationary: a unit takes one output after another, along m first, each from its first step along K to its
    last; the units are spread evenly over all outputs and begin anywhere in one. Weight stationary: a unit keeps a
    step of b while that of a goes through m; c is the sum so far, of the steps before along K.

    Parameters
    ----------
    unit : DotProductUnit
    a : ndarray of integers, shape (M, K) or (groups, M, K)
        Codes.
    b : ndarray of integers, shape (K, N) or (groups, K, N)
        Codes. K is filled up with zeros to a whole number of steps.
    a_scales, b_scales : ndarray of integers, shape (..., M, blocks) and (..., blocks, N), optional
        Codes of the blocks' scales, if and only if the format has them.
    dataflow : {"output_stationary", "weight_stationary"}
    name : str
        What they are, for the description.

    Raises
    ------
    TypeError
        If codes are no integers.
    ValueError
        If shapes do not go together, a code has too many bits, there is no zero to fill K up with, or the dataflow is
        unknown, or weight stationary where a sum so far cannot be c: the result of the unit is not its register, or
        elements enter in another order than K's.
    """
    if dataflow not in DATAFLOWS:
        raise ValueError(f"dataflow must be one of {', '.join(DATAFLOWS)}, not {dataflow!r}")
    left, right = _matrices("a", a), np.swapaxes(_matrices("b", b), 1, 2)
    if left.shape[0] != right.shape[0] or left.shape[2] != right.shape[2] or 0 in (*left.shape, *right.shape):
        raise ValueError(
            f"a and b must be (groups, M, K) and (groups, K, N), not empty, not of shapes {a.shape} and {b.shape}"
        )
    scales = (
        _scales("a", unit.a, left, None if a_scales is None else _matrices("a_scales", a_scales)),
        _scales("b", unit.b, right, None if b_scales is None else np.swapaxes(_matrices("b_scales", b_scales), 1, 2)),
    )
    sides = (
        _side(unit, "a", unit.element_a, left, scales[0], unit.a),
        _side(unit, "b", unit.element_b, right, scales[1], unit.b),
    )
    k = left.shape[2]
    filled = sides[0].codes.shape[2] * unit.width - k
    what = f"{name}, M={left.shape[1]} K={k} N={right.shape[1]}"
    what += f" groups={len(left)}" if len(left) > 1 else ""
    what += f", K filled up with {filled} zeros" if filled else ""
    description = f"{what}; {dataflow}, {STREAMS} units, {STEPS} steps of each"
    if dataflow == "output_stationary":
        return _output_stationary(unit, sides, description)
    if unit.converts or unit.promotion is not None or unit.order or unit.sparsity is not None:
        raise ValueError(
            f"weight_stationary needs a unit whose result is its register and whose steps are K's, not {unit.name}"
        )
    return _weight_stationary(unit, sides, (left, right), scales, description)


def _output_stationary(unit: DotProductUnit, sides: tuple[_Side, _Side], description: str) -> Operands:
    (groups, m, steps), n = sides[0].codes.shape[:3], sides[1].codes.shape[1]
    outputs = groups * m * n
    begin = np.random.default_rng(_SEED).integers(0, steps, STREAMS)
    time = begin[:, None] + np.arange(STEPS)
    output = (np.arange(STREAMS)[:, None] * outputs // STREAMS + time // steps) % outputs
    step = time % steps
    first = step == 0
    first[:, 0] = True
    rows = (output // (m * n), output % m, step), (output // (m * n), output // m % n, step)
    return _streams(unit, sides, rows, (first, step == steps - 1), None, description)


def _weight_stationary(
    unit: DotProductUnit,
    sides: tuple[_Side, _Side],
    matrices: tuple[Codes, Codes],
    scales: tuple[Codes | None, Codes | None],
    description: str,
) -> Operands:
    (groups, m, steps), n = sides[0].codes.shape[:3], sides[1].codes.shape[1]
    place = np.arange(STREAMS) * (groups * n * steps) // STREAMS
    begin = np.random.default_rng(_SEED).integers(0, m, STREAMS)
    group, column, step = place // (n * steps), place // steps % n, place % steps
    row = (begin[:, None] + np.arange(STEPS)) % m
    whole = [np.broadcast_to(index[:, None], row.shape) for index in (group, column, step)]
    c = np.zeros(row.shape, dtype=np.uint64)
    for stream in range(STREAMS):
        end = step[stream] * unit.width
        if end:
            some, of, at = np.unique(row[stream]), group[stream], column[stream]
            sums = matmul(
                unit,
                matrices[0][of, some, :end],
                matrices[1][of, at, :end, None],
                a_scales=None if scales[0] is None else scales[0][of, some, : _blocks(unit.a, end)],
                b_scales=None if scales[1] is None else scales[1][of, at, : _blocks(unit.b, end), None],
            )
            c[stream] = sums[np.searchsorted(some, row[stream]), 0]
    ones = np.ones(row.shape, dtype=np.bool_)
    return _streams(
        unit, sides, ((whole[0], row, whole[2]), (whole[0], whole[1], whole[2])), (ones, ones), c, description
    )


def _streams(
    unit: DotProductUnit,
    sides: tuple[_Side, _Side],
    rows: tuple[tuple[NDArray[np.int64], ...], tuple[NDArray[np.int64], ...]],
    ends: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    c: Codes | None,
    description: str,
) -> Operands:
    """Gather what the units see."""
    a, b = (side.codes[at] for side, at in zip(sides, rows, strict=True))
    a_scales, b_scales = (
        None if side.scales is None else side.scales[at] for side, at in zip(sides, rows, strict=True)
    )
    return Operands(
        unit=unit, a=a, b=b, a_scales=a_scales, b_scales=b_scales, first=ends[0], last=ends[1], c=c,
        description=description,
    )  # fmt: skip


def _matrices(name: str, codes: NDArray[Any]) -> Codes:
    """Check that codes are unsigned integers of two or three dimensions; make it three."""
    codes = np.asarray(codes)
    if codes.dtype.kind not in "iu":
        raise TypeError(f"{name} must be integers, not {codes.dtype}")
    if codes.ndim not in (2, 3):
        raise ValueError(f"{name} must have 2 or 3 dimensions, not shape {codes.shape}")
    if codes.size and codes.min() < 0:
        raise ValueError(f"{name} must be codes, not below 0, not {int(codes.min())}")
    codes = codes.astype(f"u{codes.dtype.itemsize}", copy=False)
    return codes if codes.ndim == 3 else codes[None]


def _blocks(spec: ScalarSpec | BlockSpec, k: int) -> int:
    """Count the blocks of so many elements."""
    assert isinstance(spec, BlockSpec)
    return -(-k // spec.block_size)


def _scales(name: str, spec: ScalarSpec | BlockSpec, codes: Codes, scales: Codes | None) -> Codes | None:
    """Check the scales of codes (groups, rows, K)."""
    if (scales is None) != (not isinstance(spec, BlockSpec)):
        raise ValueError(f"{name}_scales must be given if and only if {name} is of a block format, not of {spec.name}")
    if scales is not None:
        wanted = (*codes.shape[:2], _blocks(spec, codes.shape[2]))
        if scales.shape != wanted:
            raise ValueError(f"{name}_scales must be {wanted[2]} a row of K={codes.shape[2]}, not of {scales.shape}")
    return scales


def _side(
    unit: DotProductUnit,
    name: str,
    element: ScalarSpec,
    codes: Codes,
    scales: Codes | None,
    spec: ScalarSpec | BlockSpec,
) -> _Side:
    """Cut K into steps."""
    bits = element.bits + unit.ignored_bits
    if int(codes.max()) >> bits:
        raise ValueError(f"{name} must be codes of {bits} bits, not {int(codes.max())}")
    groups, rows, k = codes.shape
    count = period(unit)
    length = -(-k // count) * count
    if length > k:
        zero = zero_code(element)
        if zero is None:
            raise ValueError(f"{name}: K={k} must be a multiple of {count}, for {element.name} has no zero")
        rest = np.full((groups, rows, length - k), zero << unit.ignored_bits, codes.dtype)
        codes = np.concatenate([codes, rest], axis=2)
    if unit.order:
        codes = codes.reshape(groups, rows, -1, count)[..., list(unit.order)]
    steps = codes.reshape(groups, rows, -1, unit.width)
    if scales is None:
        return _Side(steps, None)
    assert isinstance(spec, BlockSpec)
    assert isinstance(spec.scale, FloatSpec)
    if spec.block_size >= unit.width:
        step_scales = np.repeat(scales, spec.block_size // unit.width, axis=2)[:, :, : steps.shape[2], None]
        return _Side(steps, step_scales)
    missing = length // spec.block_size - scales.shape[2]
    one = np.full((groups, rows, missing), int(spec.scale.encode(1.0)), scales.dtype)
    return _Side(steps, np.concatenate([scales, one], axis=2).reshape(*steps.shape[:3], -1))
