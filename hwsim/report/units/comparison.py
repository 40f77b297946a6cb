# SPDX-License-Identifier: Apache-2.0
"""How two results of the same products differ: in how many places, by how many ulps, and from the exact sums."""

from dataclasses import dataclass
from fractions import Fraction
from operator import mul
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.datapath import DotProductUnit
from hwsim.datapath.accumulate import operand_exact
from hwsim.datapath.decode import decode_exact
from hwsim.datapath.round_pack import round_pack_exact
from hwsim.datapath.terms import Term
from hwsim.datapath.trace import register_term, term_value
from hwsim.datapath.unit import ScalarSpec
from hwsim.formats import BlockSpec, FloatSpec, IntegerSpec, Overflow, PositSpec, Rounding
from hwsim.formats.codes import NAN
from hwsim.report.units.operands import Codes, Operands, encode

__all__ = [
    "Comparison",
    "Exactness",
    "compare",
    "compare_values",
    "exactness",
    "ordered",
]

Output = IntegerSpec | FloatSpec | PositSpec
_LISTED = 10
_PRODUCTS = 1 << 22  # of exact sums: a few seconds of Python integers


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two results, the second against the first.

    format : the name of the coarser output format, in whose codes ulps are counted
    outputs : how many were compared; `differ` stand for different numbers, of them `specials` with a NaN or an infinity
        on one side, or infinities of both signs; `zero_signs` and `nan_codes` are equal but for that
    above, below : finite ones in which the second is larger, smaller
    histogram : finite ones by their distance in ulps: least and most of a class, and its count; 0 first: those that
        fall together in the coarser format
    largest_ulps, largest_absolute, largest_relative : with their places; None without finite differences
    places : the first differing ones, row by row
    rows, columns : how many rows and columns of d have a difference
    """

    format: str
    outputs: int
    differ: int
    specials: int
    zero_signs: int
    nan_codes: int
    above: int
    below: int
    histogram: tuple[tuple[int, int, int], ...]
    largest_ulps: tuple[int, tuple[int, int]] | None
    largest_absolute: tuple[float, tuple[int, int]] | None
    largest_relative: tuple[float, tuple[int, int]] | None
    places: tuple[tuple[int, int], ...]
    rows: int
    columns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Exactness:
    """A result against the exact dot products, rounded once to nearest: how many were looked at, how many are equal.

    `left_out` have a NaN or an infinity among their operands. Ulps are of the unit's own output.
    """

    outputs: int
    equal: int
    left_out: int
    mean_ulps: float
    largest_ulps: int
    largest_relative: float


def ordered(spec: Output, codes: Codes) -> NDArray[Any]:
    """Return codes as integers in the order of their values, neighbours one apart; both zeros are 0."""
    kind = object if spec.bits > 62 else np.int64
    whole: NDArray[Any] = codes.astype(np.uint64).astype(kind)
    if isinstance(spec, FloatSpec):
        sign = 1 << (spec.bits - 1) if spec.signed else 0
        return np.where(whole & sign != 0, -(whole & (sign - 1)), whole) if sign else whole
    if isinstance(spec, IntegerSpec) and not spec.signed:
        return whole
    half = 1 << (spec.bits - 1)
    return np.where(whole & half != 0, whole - 2 * half, whole)


def _significant_bits(spec: Output) -> int:
    return spec.bits if isinstance(spec, IntegerSpec) else spec.sig_bits


def compare(
    specs: tuple[Output, Output], results: tuple[Codes, Codes], scales: tuple[float, float] = (1.0, 1.0)
) -> Comparison:
    """Compare two results of one shape, codes of a format each.

    `scales` are what their values are multiplied by. Where the two differ, so do the codes of equal values: then values
    are compared, and ulps are those of the coarser format at the scaled values.
    """
    coarse = min(specs, key=_significant_bits)
    first, second = (np.asarray(spec.decode(codes), np.float64) for spec, codes in zip(specs, results, strict=True))
    if scales[0] != scales[1]:
        return compare_values(coarse, (first * scales[0], second * scales[1]))
    differ = _unequal(first, second)
    apart = np.zeros(first.shape, np.bool_)
    if specs[0] == specs[1]:
        apart = results[0] != results[1]
        if isinstance(specs[0], IntegerSpec):
            differ = apart  # float64 does not tell all of 64 bits apart
    at = np.nonzero(differ & np.isfinite(first) & np.isfinite(second))
    left, right = (
        ordered(coarse, codes[at] if spec == coarse else encode(coarse, value[at]))
        for spec, codes, value in zip(specs, results, (first, second), strict=True)
    )
    return _comparison(coarse, (first * scales[0], second * scales[0]), differ, apart, np.abs(right - left))


def compare_values(spec: Output, values: tuple[NDArray[np.float64], NDArray[np.float64]]) -> Comparison:
    """Compare two results that are no codes; ulps are those of a format to which the values are rounded."""
    first, second = values
    differ = _unequal(first, second)
    apart = (first == second) & (np.signbit(first) != np.signbit(second))
    at = np.nonzero(differ & np.isfinite(first) & np.isfinite(second))
    left, right = (ordered(spec, encode(spec, value[at])) for value in values)
    return _comparison(spec, values, differ, apart, np.abs(right - left))


def _unequal(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.asarray((first != second) & ~(np.isnan(first) & np.isnan(second)), np.bool_)


def _comparison(
    coarse: Output,
    values: tuple[NDArray[np.float64], NDArray[np.float64]],
    differ: NDArray[np.bool_],
    apart: NDArray[np.bool_],
    ulps: NDArray[Any],
) -> Comparison:
    """Count: `apart` are those of unlike codes, `ulps` the distances of the finite ones that differ, in their order."""
    first, second = values
    finite = np.isfinite(first) & np.isfinite(second)
    places = np.argwhere(differ)
    at = np.nonzero(differ & finite)
    absolute = np.abs(second[at] - first[at])
    scale = np.maximum(np.abs(first[at]), np.abs(second[at]))
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        relative = np.where(scale > 0, absolute / scale, 0.0)

    def largest(amounts: NDArray[Any]) -> tuple[Any, tuple[int, int]] | None:
        if not amounts.size:
            return None
        worst = int(np.argmax(amounts))
        return amounts[worst], (int(at[0][worst]), int(at[1][worst]))

    worst = largest(ulps)
    return Comparison(
        format=coarse.name,
        outputs=int(first.size),
        differ=int(differ.sum()),
        specials=int((differ & ~finite).sum()),
        zero_signs=int((apart & (first == 0) & (second == 0)).sum()),
        nan_codes=int((apart & np.isnan(first) & np.isnan(second)).sum()),
        above=int((second[at] > first[at]).sum()),
        below=int((second[at] < first[at]).sum()),
        histogram=_classes(ulps),
        largest_ulps=None if worst is None else (int(worst[0]), worst[1]),
        largest_absolute=_float(largest(absolute)),
        largest_relative=_float(largest(relative)),
        places=tuple((int(row), int(column)) for row, column in places[:_LISTED]),
        rows=int(differ.any(axis=1).sum()),
        columns=int(differ.any(axis=0).sum()),
    )


def _float(found: tuple[Any, tuple[int, int]] | None) -> tuple[float, tuple[int, int]] | None:
    return None if found is None else (float(found[0]), found[1])


def _classes(ulps: NDArray[Any]) -> tuple[tuple[int, int, int], ...]:
    """Count distances in classes 0, 1, 2, 3..4, 5..8, and so on."""
    if not ulps.size:
        return ()
    if ulps.dtype == object:
        bits = np.array([0 if value == 0 else int(value - 1).bit_length() + 1 for value in ulps.tolist()])
    else:
        bits = np.where(ulps == 0, 0, np.frexp(np.maximum(ulps - 1, 0).astype(np.float64))[1] + 1)
    counts = np.bincount(bits)
    found = []
    for width, number in enumerate(counts.tolist()):
        low, high = (0, 0) if width == 0 else ((1 << (width - 1)) // 2 + 1, 1 << (width - 1))
        if number:
            found.append((low, high, number))
    return tuple(found)


def exactness(unit: DotProductUnit, operands: Operands, codes: Codes) -> Exactness:
    """Compare a result with the exact dot products; of many, with an even sample."""
    rows, depth, columns = operands.shape
    step = -(-rows * columns // max(_PRODUCTS // depth, 1))
    step += step % 2 == 0 and columns % 2 == 0  # so that not every sampled output lies in one half of the columns
    places = [divmod(at, columns) for at in range(0, rows * columns, step)]
    sums = _Sums(unit, operands)
    rule = Overflow.INFINITY if isinstance(unit.output, FloatSpec) and unit.output.has_inf else Overflow.SATURATE
    found = ordered(unit.output, codes)
    values = np.asarray(unit.output.decode(codes), np.float64)
    distances: list[int] = []
    relative = 0.0
    left_out = 0
    for row, column in places:
        exact = sums.at(row, column)
        if exact is None or np.isnan(values[row, column]):
            left_out += 1
            continue
        rounded = round_pack_exact(unit.output, _term(exact), Rounding.NEAREST_EVEN, rule)
        target = ordered(unit.output, np.array([rounded], np.uint64))[0]
        distances.append(abs(int(found[row, column]) - int(target)))
        if exact and np.isfinite(values[row, column]):
            error = abs((Fraction(float(values[row, column])) - exact) / exact)
            relative = max(relative, float(min(error, Fraction(10**300))))
    return Exactness(
        outputs=len(distances),
        equal=distances.count(0),
        left_out=left_out,
        mean_ulps=sum(distances) / len(distances) if distances else 0.0,
        largest_ulps=max(distances, default=0),
        largest_relative=relative,
    )


def _term(value: Fraction) -> Term:
    """Return a fraction whose denominator is a power of two."""
    return Term(value.numerator, 1 - value.denominator.bit_length(), 0)


class _Sums:
    """Exact dot products of operands as they enter a unit; rows and columns are decoded when they are asked for."""

    def __init__(self, unit: DotProductUnit, operands: Operands) -> None:
        self.unit, self.operands = unit, operands
        self._known: dict[tuple[str, int], tuple[list[int], int] | None] = {}
        self._terms: dict[tuple[str, int], Term] = {}

    def at(self, row: int, column: int) -> Fraction | None:
        """Return c + a dot product; None where an operand is not finite."""
        left, right = self._vector("a", row), self._vector("b", column)
        if left is None or right is None:
            return None
        total = Fraction(sum(map(mul, left[0], right[0])))
        total *= Fraction(2) ** (left[1] + right[1])
        if self.operands.c is None:
            return total
        register = self.unit.register
        code = int(self.operands.c[row, column])
        if not isinstance(register.format, FloatSpec):
            code -= (code >> (register.bits - 1)) << register.bits
        start = register_term(register, (code, 0))
        return None if start.special else total + term_value(start)

    def _vector(self, name: str, at: int) -> tuple[list[int], int] | None:
        """Return integers along K and the exponent of their unit."""
        key = name, at
        if key not in self._known:
            self._known[key] = self._decoded(name, at)
        return self._known[key]

    def _decoded(self, name: str, at: int) -> tuple[list[int], int] | None:
        first = name == "a"
        operands = self.operands
        codes = operands.a[at] if first else operands.b[:, at]
        spec, element = (self.unit.a, self.unit.element_a) if first else (self.unit.b, self.unit.element_b)
        terms = [self._term(name, element, code) for code in codes.tolist()]
        if isinstance(spec, BlockSpec):
            held = operands.a_scales if first else operands.b_scales
            assert held is not None
            assert isinstance(spec.scale, FloatSpec)
            scales = [decode_exact(spec.scale, code) for code in (held[at] if first else held[:, at]).tolist()]
            factors = [scales[i // spec.block_size] for i in range(len(terms))]
            terms = [
                Term(x.significand * y.significand, x.exponent + y.exponent, 0, NAN if x.special or y.special else 0)
                for x, y in zip(terms, factors, strict=True)
            ]
        if any(term.special for term in terms):
            return None
        low = min(term.exponent for term in terms)
        return [term.significand << (term.exponent - low) for term in terms], low

    def _term(self, name: str, element: ScalarSpec, code: int) -> Term:
        key = name, code
        if key not in self._terms:
            self._terms[key] = operand_exact(self.unit, element, code)
        return self._terms[key]
