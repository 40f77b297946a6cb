# SPDX-License-Identifier: Apache-2.0
"""Codebooks: codes looked up in a table, and floats compared with the thresholds between the levels."""

from itertools import pairwise
from typing import Any

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Signal

from hwsim.formats import CodebookSpec, FloatSpec, Rounding
from rtl.arithmetic.shift import shift_right_split
from rtl.formats.conversion import Conversion, lead_exponent

__all__ = [
    "decode_codebook",
    "encode_codebook",
]


def decode_codebook(m: Module, spec: CodebookSpec, code: Any, out: Any) -> None:
    """Drive the fields of an operand from a code."""
    parts = spec.unpack(np.arange(1 << spec.bits))
    significands = [int(each) for each in parts.significand]
    m.d.comb += [
        out.significand.eq(_lookup([abs(each) for each in significands], code)),
        out.exponent.eq(_lookup([int(each) - spec.exp_min for each in parts.exponent], code)),
        out.negative.eq(_lookup([int(each < 0) for each in significands], code)),
    ]


def _lookup(table: list[int], code: Any) -> Any:
    """Return the entry of a code: a tree of multiplexers, without those of equal inputs."""
    if len(set(table)) == 1:
        return Const(table[0])
    half = len(table) // 2
    low, high = table[:half], table[half:]
    if low == high:
        return _lookup(low, code[:-1])
    return Mux(code[-1], _lookup(high, code[:-1]), _lookup(low, code[:-1]))


def encode_codebook(m: Module, spec: CodebookSpec, conversion: Conversion, value: Any, number: Any, random: Any) -> Any:
    """Return the code of a number: of the level above as many thresholds as it is; that of the largest one for NaN."""
    order = np.unique(np.array(spec.levels))
    _, codes = spec.thresholds("down")
    if conversion.rounding is Rounding.STOCHASTIC:
        above = _above_random(m, spec, conversion, number, random)
    else:
        thresholds, _ = spec.thresholds(conversion.rounding)
        above = [_above(conversion.source, value, float(threshold)) for threshold in thresholds]
    passed = Signal(len(above), name="passed")
    m.d.comb += passed.eq(Cat(above))
    # Thresholds are passed in order, so a bit of the code has changed as often as it changes up to the level.
    bits = []
    for place in range(spec.bits):
        changes = [int(low ^ high) >> place & 1 for low, high in pairwise(codes)]
        mask = sum(change << index for index, change in enumerate(changes))
        bits.append((passed & mask).xor() ^ (int(codes[0]) >> place & 1))
    code = Signal(spec.bits, name="level")
    m.d.comb += code.eq(Cat(bits))
    result: Any = code
    zeros = {bool(np.signbit(level)): each for each, level in reversed(list(enumerate(spec.levels))) if level == 0}
    if len(zeros) == 2:
        rank = int(np.flatnonzero(order == 0)[0])
        is_zero = (passed[rank - 1] if rank else Const(1, 1)) & (~passed[rank] if rank < len(above) else Const(1, 1))
        result = Mux(is_zero & number.negative, zeros[True], result)
    return Mux(number.nan, int(codes[-1]), result)[: spec.bits]


def _above(source: FloatSpec, value: Any, threshold: float) -> Any:
    """Return whether a float is at least a threshold, by its bits: magnitudes are in the order of their codes."""
    bits = source.bits - 1
    magnitude, negative = value[:bits], value[bits]
    limit = int(source.encode(threshold, "up", "infinity")) & ((1 << bits) - 1)  # the smallest float that is
    if threshold > 0:
        return ~negative & (magnitude >= limit)
    return ~negative | (magnitude <= limit)


def _above_random(m: Module, spec: CodebookSpec, conversion: Conversion, number: Any, random: Any) -> list[Any]:
    """Return for each two neighbouring levels whether stochastic rounding goes to the upper one, or beyond it.

    A magnitude in fixed point, with the random bits below the lowest place of all levels, is compared with the random
    point between them.
    """
    unit = 2.0**spec.exp_min
    levels = [int(level / unit) for level in np.unique(np.array(spec.levels))]
    random_bits, negative = len(random), number.negative
    whole_bits = max(map(abs, levels)).bit_length()
    lead, low, high = lead_exponent(m, conversion.source, number, -spec.exp_min)
    places = Signal(range(min(whole_bits - 1 - high, -1), max(whole_bits - 1 - low, 0) + 1), name="places")
    m.d.comb += places.eq(whole_bits - 1 - lead)
    beyond = Signal(name="beyond")
    m.d.comb += beyond.eq(((places < 0) & number.significand.any()) | number.infinite)
    width = whole_bits + random_bits
    fixed = shift_right_split(m, number.significand, places[:-1], width + 1, sticky=True, name="fixed")
    size = Signal(width, name="size")
    inexact = Signal(name="inexact")
    m.d.comb += [size.eq(fixed[1:] | beyond.replicate(width)), inexact.eq(fixed[0] | beyond)]
    rest = Const(1 << random_bits, random_bits + 1) - random
    above = []
    for lower, upper in pairwise(levels):
        if lower >= 0:
            above.append(~negative & (size >= rest * (upper - lower) + (lower << random_bits)))
        elif upper <= 0:
            above.append(~negative | (size < rest * (upper - lower) - (upper << random_bits)))
        else:
            point = rest * (upper - lower) + (lower << random_bits)
            above.append(Mux(negative, size + inexact <= -point, size >= point))
    return above
