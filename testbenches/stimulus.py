# SPDX-License-Identifier: Apache-2.0
"""Rows of operands that try a unit: all pairs where they are few, corner values crossed, random dot products."""

import itertools
import math
from collections.abc import Sequence

import numpy as np

from hwsim.datapath import DotProductUnit, Row
from hwsim.datapath.unit import FixedAccumulator, ScalarSpec
from hwsim.formats import FloatSpec
from testbenches.entering import kept_codes, spread, widened
from testbenches.pools import EXHAUSTIVE_BITS, KINDS, LONGEST_SUM, ODDS, POOL, finite_codes, negated, pools
from testbenches.ports import register_bits

__all__ = [
    "all_pairs",
    "corner_codes",
    "corners",
    "fields",
    "integer_corners",
    "random_rows",
    "register_corners",
    "stimulus",
]


def fields(unit: DotProductUnit, rows: Sequence[Row]) -> dict[str, list[int]]:
    """Pack rows into the fields of the unit's shell.

    Parameters
    ----------
    unit : DotProductUnit
        The unit.
    rows : sequence of Row
        Rows for it.

    Returns
    -------
    dict of str to list of int
        One word a row for ``first``, ``last``, ``a``, ``b`` (lane 0 at bit 0), ``scale_a`` and ``scale_b`` where the
        unit has them, and ``c``.
    """
    packed = {name: [int(getattr(row, name)) for row in rows] for name in ("first", "last")}
    kept = [kept_codes(unit, row) for row in rows]
    packed["a"] = [_pack(codes, unit.element_a.bits + unit.ignored_bits) for codes, _ in kept]
    packed["b"] = [_pack(row.b, unit.element_b.bits + unit.ignored_bits) for row in rows]
    if unit.sparsity is not None:
        packed["index"] = [_pack(places, (unit.sparsity.of - 1).bit_length()) for _, places in kept]
    begin = 0
    for name, scale, count in zip("ab", (unit.scale_a, unit.scale_b), unit.scale_counts, strict=True):
        if scale is not None:
            packed[f"scale_{name}"] = [_pack(row.scales[begin : begin + count], scale.bits) for row in rows]
        begin += count
    packed["c"] = [row.c for row in rows]
    return packed


def stimulus(
    unit: DotProductUnit, *, count: int = 4096, corner_rows: int = 16384, exhaustive: bool = True, seed: int = 1
) -> list[Row]:
    """Make the rows that try a unit; the same ones for the same arguments.

    Parameters
    ----------
    unit : DotProductUnit
        The unit.
    count : int, default 4096
        Random rows, at least 1.
    corner_rows : int, default 16384
        Most rows with corner values in c as well as in a and b, at least 1.
    exhaustive : bool, default True
        Whether all pairs of operands come before, where a code of each has at most 16 bits together.
    seed : int, default 1
        Seed of all that is random.

    Returns
    -------
    list of Row
        All pairs, the corners, the random rows; the first begins a sum and the last ends one.

    Raises
    ------
    ValueError
        If `count` or `corner_rows` is less than 1.
    """
    for name, rows in (("count", count), ("corner_rows", corner_rows)):
        if rows < 1:
            raise ValueError(f"{name} must be at least 1, not {rows!r}")
    pairs = all_pairs(unit, seed=seed) if exhaustive else []
    made = pairs + corners(unit, corner_rows, seed=seed) + random_rows(unit, count, seed=seed)
    made = spread(unit, made, seed) if unit.sparsity else made
    return widened(unit, made, seed) if unit.ignored_bits else made


def corner_codes(spec: ScalarSpec) -> list[int]:
    """List the codes of a format at which arithmetic goes wrong first.

    Parameters
    ----------
    spec : IntegerSpec, FloatSpec, PositSpec or CodebookSpec
        The format.

    Returns
    -------
    list of int
        Ascending. All codes of a format of up to 4 bits. Of all but a float, those around zero, the ends, the middle
        and two checkered ones. Of a float, both signs of the least and the largest mantissas and one between, in the
        exponent fields of the subnormals, the least normals, one, the largest values and all ones: zeros, the least and
        largest subnormal and normal numbers, infinities and NaNs where the format has them.
    """
    if spec.bits <= 4:
        return list(range(1 << spec.bits))
    if not isinstance(spec, FloatSpec):
        return integer_corners(spec.bits)
    top = (1 << spec.exp_bits) - 1
    exponents = {field for field in (0, 1, spec.bias, top - 1, top) if 0 <= field <= top}
    ones = (1 << spec.man_bits) - 1
    mantissas = {0, min(1, ones), (ones + 1) // 2, ones}
    signs = (0, 1) if spec.signed else (0,)
    codes = {
        ((sign << spec.exp_bits | exponent) << spec.man_bits) | mantissa
        for sign, exponent, mantissa in itertools.product(signs, exponents, mantissas)
    }
    return sorted(codes | {sign << (spec.bits - 1) | spec.max_magnitude_code for sign in signs})


def integer_corners(bits: int) -> list[int]:
    """List the corners of two's complement and unsigned codes of one width."""
    mask = (1 << bits) - 1
    half = 1 << (bits - 1)
    near = {0, 1, 2, mask, mask - 1, half, half + 1, half - 1, half - 2, half >> 1, mask // 3, mask - mask // 3}
    return sorted(code & mask for code in near)


def register_corners(unit: DotProductUnit) -> list[int]:
    """List the corners of c."""
    accumulator = unit.register
    if isinstance(accumulator, FixedAccumulator):
        return integer_corners(accumulator.bits)
    return corner_codes(accumulator.format)


def all_pairs(unit: DotProductUnit, *, seed: int = 1) -> list[Row]:
    """Make all pairs of operand codes, where the two have at most 16 bits together.

    Parameters
    ----------
    unit : DotProductUnit
        The unit.
    seed : int, default 1
        Seed of the order in which the pairs go to several lanes.

    Returns
    -------
    list of Row
        With one lane a row a pair, from c = 0 to an output. With more, all pairs of finite codes spread over the lanes
        in random order, once. None for wider operands. Scales are 1.
    """
    a, b = unit.element_a, unit.element_b
    if a.bits + b.bits > EXHAUSTIVE_BITS:
        return []
    scales = tuple(_encode(scale, 1.0) for scale in unit.scales)
    if unit.lanes == 1:
        pairs = itertools.product(range(1 << a.bits), range(1 << b.bits))
        return [Row(True, True, (left,), (right,), scales) for left, right in pairs]
    left, right = (pool.ravel() for pool in np.meshgrid(finite_codes(a), finite_codes(b), indexing="ij"))
    order = np.random.default_rng((seed, 0)).permutation(left.size)
    order = np.resize(order, -(-left.size // unit.lanes) * unit.lanes)
    steps_a, steps_b = (codes[order].reshape(-1, unit.lanes).tolist() for codes in (left, right))
    return [Row(True, True, tuple(a), tuple(b), scales) for a, b in zip(steps_a, steps_b, strict=True)]


def corners(unit: DotProductUnit, count: int = 16384, *, seed: int = 1) -> list[Row]:
    """Cross the corner values of a, b, the scales and c, one output a row.

    Parameters
    ----------
    unit : DotProductUnit
        The unit.
    count : int, default 16384
        Most rows of the cross of all three; a seeded choice is made of more.
    seed : int, default 1
        Seed of that choice, and of the lanes around a corner.

    Returns
    -------
    list of Row
        Every pair of corners of a and b with c = 0, then the pairs crossed with the corners of c. With several lanes a
        pair goes to one lane after another; the other lanes hold zeros, the same pair or random finite codes in turn.
    """
    random = np.random.default_rng((seed, 1))
    a, b = unit.element_a, unit.element_b
    pairs = list(itertools.product(corner_codes(a), corner_codes(b)))
    registers = register_corners(unit)
    crossed = [(pair, 0) for pair in pairs]
    rest = len(pairs) * len(registers)
    chosen = range(rest) if rest <= count else sorted(random.choice(rest, count, replace=False).tolist())
    crossed += [(pairs[index // len(registers)], registers[index % len(registers)]) for index in chosen]
    ones = tuple(_encode(scale, 1.0) for scale in unit.scales)
    of_scales = [corner_codes(scale) for scale in unit.scales]
    drawn = (tuple(int(random.choice(codes)) for codes in of_scales) for _ in range(POOL))  # too many to cross
    scales = list(drawn if max(unit.scale_counts) > 1 else itertools.product(*of_scales))
    finite_a, finite_b = finite_codes(a), finite_codes(b)
    rows = []
    for index, ((left, right), register) in enumerate(crossed):
        if index % 3 == 0:
            step_a, step_b = [_encode(a, 0.0)] * unit.lanes, [_encode(b, 0.0)] * unit.lanes
        elif index % 3 == 1:
            step_a, step_b = [left] * unit.lanes, [right] * unit.lanes
        else:
            step_a, step_b = (random.choice(pool, unit.lanes).tolist() for pool in (finite_a, finite_b))
        step_a[index % unit.lanes], step_b[index % unit.lanes] = left, right
        scale = scales[index // 2 % len(scales)] if index % 2 else ones
        rows.append(Row(True, True, tuple(step_a), tuple(step_b), scale, register))
    return rows


def random_rows(unit: DotProductUnit, count: int, *, seed: int = 1) -> list[Row]:
    """Make random dot products of 1 to 24 steps.

    Parameters
    ----------
    unit : DotProductUnit
        The unit.
    count : int
        Rows.
    seed : int, default 1
        Seed.

    Returns
    -------
    list of Row
        The codes of each dot product are uniform over all codes, the finite ones, those near 1, the smallest or the
        largest, normally distributed, or come in pairs that almost cancel; c is zero, a corner, any code, or near the
        sum of the first step, with either sign. Some sums are given out on the way, some are abandoned, some go on
        after they were given out.
    """
    random = np.random.default_rng((seed, 2))
    source = _Source(unit, random)
    rows: list[Row] = []
    while len(rows) < count:
        kind = str(random.choice(KINDS, p=ODDS))
        length = min(1 if random.random() < 0.3 else int(random.integers(2, LONGEST_SUM + 1)), count - len(rows))
        fresh = not rows or random.random() < 0.9
        steps = source.steps(kind, length)
        register = source.register(*steps[0]) if fresh else source.any_register()
        ends = random.random() < 0.95
        given = random.random(length) < 0.1
        for index, step in enumerate(steps):
            last = bool(given[index]) or (ends and index == length - 1) or len(rows) == count - 1
            rows.append(Row(fresh and index == 0, last, *step, source.any_register() if index else register))
    return rows


_Step = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]


class _Source:
    """Random operands, scales and registers for a unit."""

    def __init__(self, unit: DotProductUnit, random: np.random.Generator) -> None:
        self.unit = unit
        self.random = random
        self.pools = [pools(spec, random) for spec in (unit.element_a, unit.element_b)]
        self.corners = register_corners(unit)

    def steps(self, kind: str, length: int) -> list[_Step]:
        """Draw the operands and scales of one dot product."""
        lanes, cancelling = self.unit.lanes, kind == "cancelling"
        shape = (length * lanes,)
        a, b = (self.random.choice(pools["near" if cancelling else kind], shape) for pools in self.pools)
        if cancelling:
            half = a[1::2].size
            a[1::2] = negated(self.unit.element_a, a[::2][:half])
            b[1::2] = b[::2][:half]
            flips = self.random.integers(0, a.size, max(1, a.size // 8))
            a[flips] ^= 1
            a = np.where(np.isin(a, self.pools[0]["finite"]), a, _encode(self.unit.element_a, 0.0))
        scales = [self._scales(kind) for _ in range(length)]
        if cancelling:
            scales = scales[:1] * length
        steps = zip(a.reshape(length, lanes).tolist(), b.reshape(length, lanes).tolist(), scales, strict=True)
        return [(tuple(step_a), tuple(step_b), scale) for step_a, step_b, scale in steps]

    def register(self, step_a: tuple[int, ...], step_b: tuple[int, ...], scales: tuple[int, ...]) -> int:
        """Draw c for a sum that begins with a given step."""
        choice = int(self.random.integers(0, 8))
        if choice < 2:
            return 0
        if choice == 2:
            return int(self.random.choice(np.array(self.corners, object)))
        if choice == 3:
            return self.any_register()
        unit = self.unit
        with np.errstate(all="ignore"):
            a, b = (np.array(step, np.uint64) for step in (step_a, step_b))
            total = float(unit.element_a.decode(a) @ unit.element_b.decode(b))
            for spec, code in zip(unit.scales, scales, strict=True):
                total *= float(spec.decode(np.array(code, np.uint64)))
        shift = 0 if choice > 5 else int(self.random.integers(-30, 31))
        near = -total * 2.0**shift * (1.0 + float(self.random.integers(-2, 3)) * 2.0**-12)
        return _register_code(unit, near if self.random.random() < 0.8 else -near)

    def any_register(self) -> int:
        """Draw any code of c."""
        bits = register_bits(self.unit)
        return int.from_bytes(self.random.bytes((bits + 7) // 8), "little") & ((1 << bits) - 1)

    def _scales(self, kind: str) -> tuple[int, ...]:
        """Draw the scales of one step: mostly near 1, so that not every sum overflows."""
        codes = []
        for spec in self.unit.scales:
            one, top = _encode(spec, 1.0), (1 << spec.bits) - 1
            spread = 2 + spec.bits if kind != "any" else top
            code = one + int(self.random.integers(-spread, spread + 1))
            codes.append(min(max(code, 0), top if kind == "any" else spec.max_magnitude_code))
        return tuple(codes)


def _pack(codes: Sequence[int], bits: int) -> int:
    """Put codes side by side, the first at bit 0."""
    word = 0
    for code in reversed(codes):
        word = word << bits | code
    return word


def _encode(spec: ScalarSpec, value: float) -> int:
    """Encode one value."""
    return int(spec.encode(np.array([value]))[0])


def _register_code(unit: DotProductUnit, value: float) -> int:
    """Encode a value, roughly, as a code of c."""
    if not math.isfinite(value):
        return 0
    register = unit.register
    if isinstance(register, FixedAccumulator):
        numerator, denominator = value.as_integer_ratio()
        return (numerator << register.fraction_bits) // denominator & ((1 << register.bits) - 1)
    return _encode(register.format, value)
