# SPDX-License-Identifier: Apache-2.0
"""Radix-4 Booth digits of operands that are cut into pieces: with the bit below the piece given."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal

from rtl.arithmetic.heap import Heap

__all__ = [
    "add_digits",
]


def add_digits(heap: Heap, m: Module, a: Any, b: Any, *, shift: int = 0, name: str) -> None:
    """Add ``a * (b[1:] + b[0]) * 2**shift``, with ``b[1:]`` two's complement of an even width.

    Parameters
    ----------
    heap : Heap
    m : Module
    a : Value
        Signed.
    b : Value
        The bit below the piece, then the piece.
    shift : int
    name : str
        Of the nets.
    """
    body = len(a)
    once, twice = Cat(a, a[-1]), Cat(Const(0, 1), a)
    for k in range((len(b) - 1) // 2):
        low, middle, high = b[2 * k], b[2 * k + 1], b[2 * k + 2]
        one, two = Signal(name=f"{name}_one_{k}"), Signal(name=f"{name}_two_{k}")
        m.d.comb += [one.eq(middle ^ low), two.eq(Mux(high, ~(middle | low), middle & low))]
        at = shift + 2 * k
        for i in range(body):
            heap.add_bit(((once[i] & one) | (twice[i] & two)) ^ high, at + i, 4.0)
        heap.add_bit(~((a[-1] & (one | two)) ^ high), at + body, 4.0)
        heap.add_constant(-(1 << (at + body)))
        heap.add_bit(high, at, 1.0)
