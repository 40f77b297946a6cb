# SPDX-License-Identifier: Apache-2.0
"""Encoders of integers into radix-4 digits, modified Booth and EN-T, and a digit's multiple of an operand.

Sources: Booth 1951 in MacSorley's radix-4 form of 1961; EN-T of TPE (arXiv:2503.06342).
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, Literal, Self, get_args

import numpy as np
from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray

from hwsim.formats.codes import check_int
from rtl.blocks import Block
from rtl.part import Part

__all__ = [
    "DigitEncoder",
    "Encoding",
    "blocks",
    "check_encoding",
    "digit_count",
]

Encoding = Literal["booth", "en_t"]


def check_encoding(encoding: str) -> None:
    """Raise ValueError for an encoding that there is not."""
    if encoding not in get_args(Encoding):
        raise ValueError(f"encoding must be one of {', '.join(get_args(Encoding))}, not {encoding!r}")


def digit_count(bits: int, signed: bool) -> int:
    """Return the digits of an integer, the same in both encodings."""
    return (bits + 1) // 2 if signed else bits // 2 + 1


class DigitEncoder(Part):
    """
    Encode an integer.

    Parameters
    ----------
    bits : int
        2 to 32.
    signed : bool
    encoding : {"booth", "en_t"}

    Members
    -------
    value : In, ``bits`` bits
    nonzero, two, negative : Out, a bit a digit, that of weight 1 first
        Whether the digit is not 0, its magnitude is 2, and it is below 0; 0 for a digit that is 0, but for `negative`,
        which is of no meaning then.

    Latency: none, combinational.
    """

    def __new__(cls, bits: int, signed: bool = True, encoding: Encoding = "en_t") -> Self:
        """Check before there is a component: Amaranth warns of one that is not used."""
        check_int("bits", bits, 2, 32)
        check_encoding(encoding)
        made: Self = super().__new__(cls)
        return made

    def __init__(self, bits: int, signed: bool = True, encoding: Encoding = "en_t") -> None:
        self._bits, self._signed, self._encoding = bits, signed, encoding
        count = digit_count(bits, signed)
        super().__init__({"value": In(bits), "nonzero": Out(count), "two": Out(count), "negative": Out(count)})

    def _module_name(self) -> str:
        return f"{self._encoding}_{'' if self._signed else 'u'}int{self._bits}"

    def _build(self) -> Module:
        m = Module()
        count = len(self.nonzero)
        sign = self.value[-1] if self._signed else Const(0, 1)
        wide = Cat(self.value, sign.replicate(2 * count - self._bits))
        if self._encoding == "booth":
            low: Any = Const(0, 1)
            for i in range(count):
                middle, high = wide[2 * i], wide[2 * i + 1]
                m.d.comb += [
                    self.two[i].eq((high ^ middle) & ~(middle ^ low)),
                    self.nonzero[i].eq((high ^ middle) | (middle ^ low)),
                    self.negative[i].eq(high),
                ]
                low = high
            return m
        # The digits of -x are those of x negated, and -x is ~x and one more: the one enters as the first carry.
        carry: Any = sign
        for i in range(count):
            low, high = wide[2 * i] ^ sign, wide[2 * i + 1] ^ sign
            once, twice = Signal(name=f"once_{i}"), Signal(name=f"twice_{i}")
            m.d.comb += [once.eq(low ^ carry), twice.eq(high ^ (low & carry))]
            m.d.comb += [
                self.two[i].eq(twice & ~once),
                self.nonzero[i].eq(twice | once),
                self.negative[i].eq(sign ^ (twice & once)),
            ]
            following = Signal(name=f"carry_{i}")
            m.d.comb += following.eq(high & (low | carry))
            carry = following
        return m


def _oracle(bits: int, signed: bool, encoding: Encoding) -> Any:
    def oracle(value: NDArray[Any]) -> Mapping[str, NDArray[Any]]:
        """Take the digits off one by one, each the one of its set that leaves a multiple of 4, in Python's ints."""
        out = {name: np.zeros(len(value), np.uint64) for name in ("nonzero", "two", "negative")}
        for row, code in enumerate(value.tolist()):
            number = code - (1 << bits if signed and code >> (bits - 1) else 0)
            below = 0
            for i in range(digit_count(bits, signed)):
                if encoding == "booth":
                    digit = below + ((number >> (2 * i)) & 1) - 2 * ((number >> (2 * i + 1)) & 1)
                    below = (number >> (2 * i + 1)) & 1
                    minus = below
                else:
                    left = abs(number) - below
                    digit = (left >> (2 * i)) % 4
                    digit = -1 if digit == 3 else digit
                    below += digit * 4**i
                    digit, minus = (-digit, int(digit != -1)) if number < 0 else (digit, int(digit == -1))
                out["nonzero"][row] |= np.uint64((digit != 0) << i)
                out["two"][row] |= np.uint64((abs(digit) == 2) << i)
                # Of a digit that is 0 the sign has no meaning: that here is the circuit's choice, not the sources'.
                out["negative"][row] |= np.uint64(minus << i)
        return out

    return oracle


def blocks() -> tuple[Block, ...]:
    """Return the catalog's entries: encoders of int8 and uint8."""
    return tuple(
        Block(
            name=f"{encoding}_{'' if signed else 'u'}int8_digits",
            summary=f"radix-4 digits of a{' signed' if signed else 'n unsigned'} 8-bit integer ({encoding})",
            part=partial(DigitEncoder, 8, signed, encoding),
            oracle=_oracle(8, signed, encoding),
            source="MacSorley 1961" if encoding == "booth" else "arXiv:2503.06342, EN-T",
        )
        for encoding in get_args(Encoding)
        for signed in (True, False)
    )
