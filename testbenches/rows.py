# SPDX-License-Identifier: Apache-2.0
"""Rows that try a unit, as arrays: what `testbenches.stimulus` makes one by one, millions at a time."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim.datapath import DotProductUnit, Row
from hwsim.datapath.unit import FixedAccumulator, ScalarSpec
from testbenches.compiled import from_limbs, to_limbs
from testbenches.pools import KINDS, LONGEST_SUM, ODDS, negated, pools
from testbenches.ports import register_bits
from testbenches.stimulus import register_corners

__all__ = [
    "Rows",
    "pair_rows",
    "pairs_bits",
    "random_arrays",
]

_Codes = NDArray[np.int64]


class Rows(NamedTuple):
    """Rows of a unit: codes of shape (rows, lanes), scales (rows, scales), c as Python integers where it is wide."""

    a: _Codes
    b: _Codes
    first: NDArray[np.bool_]
    last: NDArray[np.bool_]
    scales: _Codes
    c: NDArray[np.uint64]

    def ports(self, unit: DotProductUnit) -> dict[str, NDArray[np.uint64]]:
        """Return the rows as the ports of the unit's shell take them."""
        names = [name for name, spec in (("scale_a", unit.scale_a), ("scale_b", unit.scale_b)) if spec is not None]
        scales = {f"i_{name}": self.scales[:, index].astype(np.uint64) for index, name in enumerate(names)}
        return {
            "i_first": self.first.astype(np.uint64),
            "i_last": self.last.astype(np.uint64),
            "i_a": _packed(self.a, unit.element_a.bits),
            "i_b": _packed(self.b, unit.element_b.bits),
            "i_c": self.c,
            **scales,
        }

    def listed(self, begin: int, end: int) -> list[Row]:
        """Return some of the rows as the oracle takes them."""
        rows = slice(begin, end)
        columns = (self.first[rows].tolist(), self.last[rows].tolist(), self.a[rows].tolist())
        rest = (self.b[rows].tolist(), self.scales[rows].tolist(), from_limbs(self.c[rows]).tolist())
        return [
            Row(first, last, tuple(a), tuple(b), tuple(scale), word)
            for first, last, a, b, scale, word in zip(*columns, *rest, strict=True)
        ]


def pairs_bits(unit: DotProductUnit) -> int:
    """Return the bits of a code of a and one of b together."""
    return unit.element_a.bits + unit.element_b.bits


def pair_rows(unit: DotProductUnit, chunk: int, generator: np.random.Generator) -> Iterator[Rows]:
    """
    Go through all pairs of codes, each row a sum of its own that starts from a random register.

    With several lanes, all pairs of numbers (no infinities, no NaNs), spread over the lanes in random order.
    """
    _check(unit)
    bits = unit.element_b.bits
    order = np.arange(1 << pairs_bits(unit), dtype=np.int64)
    if unit.lanes > 1:
        codes = ((unit.element_a, order >> bits), (unit.element_b, order & ((1 << bits) - 1)))
        finite_a, finite_b = (np.isfinite(_values(spec, each)) for spec, each in codes)
        order = order[finite_a & finite_b]
        order = generator.permutation(order)
        order = np.resize(order, -(-order.size // unit.lanes) * unit.lanes)
    left, right = (codes.reshape(-1, unit.lanes) for codes in (order >> bits, order & ((1 << bits) - 1)))
    for begin in range(0, len(left), chunk):
        a, b = left[begin : begin + chunk], right[begin : begin + chunk]
        scales = _scales(unit, np.full(len(a), False), generator)
        ones = np.ones(len(a), bool)
        yield Rows(a, b, ones, ones, scales, _registers(unit, a, b, scales, generator))


def random_arrays(unit: DotProductUnit, count: int, generator: np.random.Generator) -> Rows:
    """Return random dot products of every kind that `testbenches.stimulus.random_rows` has."""
    _check(unit)
    lengths = np.where(generator.random(count) < 0.3, 1, generator.integers(2, LONGEST_SUM + 1, count))
    ends = np.cumsum(lengths)
    ends = np.append(ends[ends < count], count)
    starts = np.concatenate(([0], ends[:-1]))
    kinds = generator.choice(len(KINDS), ends.size, p=ODDS)
    segment = np.repeat(np.arange(ends.size), ends - starts)
    first, last = np.zeros((2, count), bool)
    first[starts] = generator.random(ends.size) < 0.9
    last[ends - 1] = generator.random(ends.size) < 0.95
    last |= generator.random(count) < 0.05
    first[0] = last[-1] = True
    row_kinds = kinds[segment]
    a, b = (_drawn(spec, unit.lanes, row_kinds, generator) for spec in (unit.element_a, unit.element_b))
    cancelling = np.flatnonzero(row_kinds == KINDS.index("cancelling"))
    a[cancelling], b[cancelling] = _cancelled(unit, a[cancelling], b[cancelling], generator)
    scales = _scales(unit, row_kinds == KINDS.index("any"), generator)
    scales[cancelling] = scales[starts[segment[cancelling]]]
    return Rows(a, b, first, last, scales, _registers(unit, a, b, scales, generator))


def _check(unit: DotProductUnit) -> None:
    """Raise unless codes come as they are of the operands' formats, one scale an operand."""
    if unit.ignored_bits or unit.sparsity or max(unit.scale_counts) > 1:
        text = f"unit {unit.name} must have dense operands, no ignored bits and one scale a step"
        raise ValueError(f"{text}: `testbenches.verification.verify` takes the others")


def _drawn(spec: ScalarSpec, lanes: int, kinds: NDArray[np.int64], generator: np.random.Generator) -> _Codes:
    """Return codes of the kind of each row."""
    known = pools(spec, generator)
    codes = np.empty((kinds.size, lanes), np.int64)
    for index, kind in enumerate(KINDS):
        rows = np.flatnonzero(kinds == index)
        pool = known["near" if kind == "cancelling" else kind].astype(np.int64)
        codes[rows] = pool[generator.integers(0, pool.size, (rows.size, lanes))]
    return codes


def _cancelled(unit: DotProductUnit, a: _Codes, b: _Codes, generator: np.random.Generator) -> tuple[_Codes, _Codes]:
    """Return rows in which each second product is the negative of the one before, but for a few flipped bits."""
    left, right = a.ravel().copy(), b.ravel().copy()
    half = left[1::2].size
    left[1::2] = negated(unit.element_a, left[::2][:half])
    right[1::2] = right[::2][:half]
    flips = generator.random(left.size) < 1 / 8
    flipped = np.where(flips, left ^ 1, left)
    left = np.where(np.isfinite(_values(unit.element_a, flipped)), flipped, left)
    return left.reshape(a.shape), right.reshape(b.shape)


def _scales(unit: DotProductUnit, wild: NDArray[np.bool_], generator: np.random.Generator) -> _Codes:
    """Return scale codes near 1, or any."""
    columns = []
    for spec in unit.scales:
        one = int(spec.encode(np.array([1.0]))[0])
        spread = 2 + spec.bits
        near = one + generator.integers(-spread, spread + 1, wild.size)
        anything = generator.integers(0, 1 << spec.bits, wild.size)
        columns.append(np.where(wild, anything, np.clip(near, 0, spec.max_magnitude_code)))
    return np.stack(columns, axis=1) if columns else np.zeros((wild.size, 0), np.int64)


def _registers(
    unit: DotProductUnit, a: _Codes, b: _Codes, scales: _Codes, generator: np.random.Generator
) -> NDArray[np.uint64]:
    """Return codes of c: zero, corners, any, and near the negative of the row's own sum."""
    bits, count = register_bits(unit), len(a)
    limbs = generator.integers(0, 1 << 64, (count, -(-bits // 64)), dtype=np.uint64)
    limbs[:, -1] >>= np.uint64(-bits % 64)
    corners = to_limbs(register_corners(unit), bits)
    corners = corners[:, None] if corners.ndim == 1 else corners
    kind = generator.integers(0, 8, count)
    limbs[kind < 2] = 0
    chosen = np.flatnonzero(kind == 2)
    limbs[chosen] = corners[generator.integers(0, len(corners), chosen.size)]
    near = np.flatnonzero(kind >= 4)
    if bits <= 63:
        limbs[near, 0] = _near(unit, a[near], b[near], scales[near], generator)
    return limbs[:, 0] if bits <= 64 else limbs


def _near(
    unit: DotProductUnit, a: _Codes, b: _Codes, scales: _Codes, generator: np.random.Generator
) -> NDArray[np.uint64]:
    """Return codes of c that a row's sum almost cancels, with either sign, and some far from it."""
    with np.errstate(all="ignore"):
        total = (_values(unit.element_a, a) * _values(unit.element_b, b)).sum(axis=1)
        for index, spec in enumerate(unit.scales):
            total *= _values(spec, scales[:, index])
        shift = np.where(generator.random(total.size) < 0.5, 0, generator.integers(-30, 31, total.size))
        value = -total * 2.0**shift * (1.0 + generator.integers(-2, 3, total.size) * 2.0**-12)
        value *= np.where(generator.random(total.size) < 0.8, 1.0, -1.0)
        value = np.where(np.isfinite(value), value, 0.0)
        accumulator = unit.register
        if not isinstance(accumulator, FixedAccumulator):
            return accumulator.format.encode(value).astype(np.uint64)
        grid = np.clip(np.floor(value * 2.0**accumulator.fraction_bits), -(2.0**62), 2.0**62).astype(np.int64)
    return grid.view(np.uint64) & np.uint64((1 << accumulator.bits) - 1)


def _values(spec: ScalarSpec, codes: _Codes) -> NDArray[np.float64]:
    """Return the values of codes, by a table where the format has few."""
    if spec.bits > 16:
        return np.asarray(spec.decode(codes.astype(np.uint64)), np.float64)
    return np.asarray(spec.decode(np.arange(1 << spec.bits).astype(np.uint64)), np.float64)[codes]


def _packed(codes: _Codes, bits: int) -> NDArray[np.uint64]:
    """Return the codes of a row side by side, the first at bit 0."""
    rows, lanes = codes.shape
    limbs = -(-lanes * bits // 64)
    words = np.zeros((rows, limbs + 1), np.uint64)
    for lane in range(lanes):
        limb, low = divmod(lane * bits, 64)
        code = codes[:, lane].astype(np.uint64)
        words[:, limb] |= code << np.uint64(low)
        if low + bits > 64:
            words[:, limb + 1] |= code >> np.uint64(64 - low)
    return words[:, 0].copy() if limbs == 1 else words[:, :limbs].copy()
