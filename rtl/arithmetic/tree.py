# SPDX-License-Identifier: Apache-2.0
"""Balanced trees of additions and of maxima."""

from collections.abc import Callable, Sequence
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal

__all__ = [
    "add_signed",
    "balanced",
    "maximum",
]


def balanced(operands: Sequence[Any], combine: Callable[[Any, Any], Any]) -> Any:
    """Combine operands two by two, in a tree of the least depth."""
    row = list(operands)
    while len(row) > 1:
        row = [combine(*row[i : i + 2]) if i + 1 < len(row) else row[i] for i in range(0, len(row), 2)]
    return row[0]


def maximum(m: Module, operands: Sequence[Any], name: str) -> Any:
    """Return the largest of unsigned operands."""
    width = max(len(operand) for operand in operands)
    made: list[Any] = []

    def larger(x: Any, y: Any) -> Any:
        out = Signal(width, name=f"{name}_{len(made)}")
        made.append(out)
        m.d.comb += out.eq(Mux(x > y, x, y))
        return out

    return balanced(operands, larger)


def add_signed(values: Sequence[Any], negatives: Sequence[Any], bits: int) -> Any:
    """Return the sum of ``-value if negative else value``, right in its low `bits` bits.

    A negation is an inversion and a carry. Sign bits are inverted (-s * 2**w is (1 - s) * 2**w - 2**w), so that no
    operand is sign-extended through the tree; the constants of all operands are one constant.

    Parameters
    ----------
    values : sequence of Value
        Signed or unsigned, of any widths.
    negatives : sequence of Value
        One bit each; of width 0 where the value is never negated.
    bits : int
        Width, sign included, that the exact sum fits.
    """
    if len(values) == 1:
        value, negative = values[0], negatives[0]
        if not len(negative):
            return value
        fill = value[-1] if value.shape().signed else Const(0, 1)
        wide = Cat(value, fill.replicate(bits - len(value)))
        return ((wide ^ negative.replicate(bits)) + negative)[:bits].as_signed()
    terms: list[Any] = []
    carries: list[Any] = []
    constant = 0
    for value, negative in zip(values, negatives, strict=True):
        signed = value.shape().signed
        if not signed and not len(negative):
            terms.append(value)
            continue
        body = len(value) - signed
        flip = negative if len(negative) else Const(0, 1)
        sign = value[-1] ^ flip if signed else flip
        terms.append(Cat(value[:body] ^ flip.replicate(body), ~sign))
        constant -= 1 << body
        carries.append(negative)
    carried = [carry for carry in carries if len(carry)]
    total = balanced(terms, lambda x, y: x + y)
    if carried:
        total = total + balanced(carried, lambda x, y: x + y)
    if constant:
        total = total + Const(constant % (1 << bits), bits)
    return total
