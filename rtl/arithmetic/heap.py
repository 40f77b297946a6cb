# SPDX-License-Identifier: Apache-2.0
"""A heap of weighted bits: addends and partial products of any mix, reduced to two rows by one carry-save tree.

Signs need no extension: a sign bit s of weight w counts ``-s * 2**w = ~s * 2**w - 2**w``, and the constants of all
addends are one. Source: Baugh and Wooley 1973 (signed partial products); Dadda 1965, in whose stages a heap of AND rows
can be reduced; else a column at a time, from the lowest, which leaves a shorter addition.
"""

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from rtl.architecture import Adder, Multiplier
from rtl.arithmetic.adder import add
from rtl.arithmetic.cells import FullAdder, HalfAdder

__all__ = [
    "Heap",
    "dadda_heights",
]

# Of a full adder's and a half adder's outputs behind the latest input, in gates: what the order of bits is decided by.
_SUM, _CARRY = 2.0, 1.5
_HALF = 1.0


@dataclass(frozen=True, slots=True)
class _Bit:
    """A bit and when it is there, in gates."""

    value: Any
    time: float

    @property
    def is_one(self) -> bool:
        return isinstance(self.value, Const)


class Heap:
    """
    A sum modulo ``2**bits``.

    Parameters
    ----------
    bits : int
        Width of the sum; what has a higher weight is dropped.
    inverted : bool
        Whether the cells add the inverted bits, and their sum is inverted: smaller where the bits are ANDs, or ORs of
        ANDs, for those gates invert.
    """

    def __init__(self, bits: int, *, inverted: bool = False) -> None:
        self.bits = bits
        self._inverted = inverted
        self._columns: list[list[_Bit]] = [[] for _ in range(bits)]
        self._constant = 0

    @property
    def height(self) -> int:
        """The most bits in a column, those of the constant counted."""
        ones = self._constant % (1 << self.bits)
        return max((len(column) + ((ones >> i) & 1) for i, column in enumerate(self._columns)), default=0)

    def add_constant(self, number: int) -> None:
        """Add an integer."""
        self._constant += number

    def take_constant(self) -> int:
        """Return the constants added so far, of all the signs too, and add them no more: someone else will.

        Not of an inverted heap.
        """
        assert not self._inverted
        number, self._constant = self._constant, 0
        return number

    def narrow(self, bits: int) -> None:
        """Have no more places than some, where the bits above are known to be zero."""
        self.bits = min(self.bits, bits)
        del self._columns[self.bits :]

    def add_bit(self, bit: Any, weight: int, time: float = 0.0) -> None:
        """Add a bit times ``2**weight``."""
        if weight < self.bits and len(bit):
            self._columns[weight].append(_Bit(~bit if self._inverted else bit, time))

    def add(self, value: Any, shift: int = 0, time: float = 0.0) -> None:
        """Add a value, signed or unsigned by its shape, times ``2**shift``."""
        value = Value.cast(value)
        signed = value.shape().signed
        for i in range(len(value) - signed):
            self.add_bit(value[i], shift + i, time)
        if signed:
            self.add_bit(~value[-1], shift + len(value) - 1, time)
            self._constant -= 1 << (shift + len(value) - 1)

    def subtract(self, value: Any, shift: int = 0, time: float = 0.0) -> None:
        """Subtract a value times ``2**shift``: inverted, and one more."""
        value = Value.cast(value)
        signed = value.shape().signed
        for i in range(len(value) - signed):
            self.add_bit(~value[i], shift + i, time)
        if signed:
            self.add_bit(value[-1], shift + len(value) - 1, time)
        self._constant += (1 << shift) - (1 << (shift + len(value) - signed))

    def add_signed_if(self, value: Any, negative: Any, shift: int = 0, time: float = 0.0) -> None:
        """Add ``-value if negative else value`` times ``2**shift``; `negative` may have no width: it is 0 then."""
        value = Value.cast(value)
        if not len(negative):
            self.add(value, shift, time)
            return
        signed = value.shape().signed
        body = len(value) - signed
        for i in range(body):
            self.add_bit(value[i] ^ negative, shift + i, time + 1)
        self.add_bit(~(value[-1] ^ negative) if signed else ~negative, shift + body, time + 1)
        self.add_bit(negative, shift, time)
        self._constant -= 1 << (shift + body)

    def add_product(
        self,
        m: Module,
        a: Any,
        b: Any,
        *,
        style: Multiplier = "booth",
        shift: int = 0,
        negative: Any = None,
        name: str,
        time: float = 0.0,
    ) -> None:
        """
        Add ``a * b * 2**shift``, or its negation where the bit `negative` is 1.

        Parameters
        ----------
        m : Module
        a, b : Value
            Signed or unsigned by their shapes. Booth digits are made of b.
        style : {"tool", "array", "booth", "dadda"}
            ``"tool"`` makes a word of the product by the synthesizer's own ``*`` and adds that; ``"booth"`` adds the
            radix-4 digits' multiples of a, the others the rows of ANDs.
        shift : int
        negative : Value, optional
            One bit.
        name : str
            Of the nets.
        time : float
            When the operands are there, in gates.
        """
        a, b = Value.cast(a), Value.cast(b)
        if style == "booth":
            self._booth(m, a, b, shift, negative, name, time)
        elif style == "tool" or negative is not None:
            product = Signal((a * b).shape(), name=name)
            m.d.comb += product.eq(a * b)
            self.add_signed_if(product, Const(0, 0) if negative is None else negative, shift, time + 8)
        else:
            a_sign, b_sign = (len(x) - 1 if x.shape().signed else -1 for x in (a, b))
            for j in range(len(b)):
                for i in range(len(a)):
                    term = a[i] & b[j]
                    if (i == a_sign) != (j == b_sign):
                        self.add_bit(~term, shift + i + j, time + 1)
                        self._constant -= 1 << (shift + i + j)
                    else:
                        self.add_bit(term, shift + i + j, time + 1)

    def _booth(self, m: Module, a: Any, b: Any, shift: int, negative: Any, name: str, time: float) -> None:
        """Add the multiples -2, -1, 0, 1, 2 of a that the overlapping bit triples of b stand for."""
        signed_a, signed_b = a.shape().signed, b.shape().signed
        digits = (len(b) + 1) // 2 if signed_b else len(b) // 2 + 1
        fill = b[-1] if signed_b else Const(0, 1)
        bits = Cat(Const(0, 1), b, fill.replicate(2 * digits - len(b)))
        # 2a has one bit more than a; above it stands the sign.
        body = len(a) + (0 if signed_a else 1)
        top = a[-1] if signed_a else Const(0, 1)
        once = Cat(a, top.replicate(body + 1 - len(a)))
        twice = Cat(Const(0, 1), a, top.replicate(body - len(a)))
        for k in range(digits):
            low, middle, high = bits[2 * k], bits[2 * k + 1], bits[2 * k + 2]
            at = shift + 2 * k
            if at >= self.bits:
                break
            if not signed_b and 2 * k == len(b):  # only 0 or 1 is left
                self._once(a, b[-1], negative, at, time)
                continue
            one, two = Signal(name=f"{name}_one_{k}"), Signal(name=f"{name}_two_{k}")
            minus = Signal(name=f"{name}_minus_{k}")
            is_minus = high if negative is None else high ^ negative
            if not signed_b and 2 * k + 1 == len(b):  # 0, 1 or 2
                is_minus = Const(0, 1) if negative is None else negative
                m.d.comb += [one.eq(middle ^ low), two.eq(middle & low)]
            else:
                m.d.comb += [one.eq(middle ^ low), two.eq(Mux(high, ~(middle | low), middle & low))]
            m.d.comb += minus.eq(is_minus)
            for i in range(body):
                self.add_bit(((once[i] & one) | (twice[i] & two)) ^ minus, at + i, time + 4)
            sign = (top & (one | two)) ^ minus
            self.add_bit(~sign, at + body, time + 4)
            self._constant -= 1 << (at + body)
            self.add_bit(minus, at, time + 1)

    def _once(self, a: Any, digit: Any, negative: Any, shift: int, time: float) -> None:
        """Add a, negated or not, where a digit is 1."""
        # Of a signed and an unsigned operand Amaranth makes a word one bit wider, with the sign of neither.
        masked = a.as_unsigned() & digit.replicate(len(a))
        masked = masked.as_signed() if a.shape().signed else masked
        self.add_signed_if(masked, Const(0, 0) if negative is None else negative & digit, shift, time + 1)

    def rows(self, m: Module, name: str, *, early: bool = True) -> tuple[Any, Any]:
        """
        Reduce to two rows, column by column from the lowest, the earliest bits first.

        Parameters
        ----------
        m : Module
        name : str
            Of the cells and nets.
        early : bool
            Whether both rows are to be there as soon as they can: with a half adder in columns of an odd number of
            bits. Without, those columns end with one bit, and a carry goes through them as through an adder: less area.

        Returns
        -------
        first, second : Value, ``bits`` bits each
            Their sum is the heap's. Bits that only one row has are 0 in the second.
        """
        out, _ = self._reduced(m, name, early, 2)
        first, second = Signal(self.bits, name=f"{name}_row"), Signal(self.bits, name=f"{name}_carries")
        m.d.comb += [row.eq(~each if self._inverted else each) for row, each in zip((first, second), out, strict=True)]
        return first, second

    def total(self, m: Module, name: str, adder: Adder = "tool", *, dadda: bool = False) -> Any:
        """Return the sum, ``bits`` bits unsigned: two rows and a carry-propagate adder where there are two.

        With `dadda`, the heap is first reduced in stages of Dadda's heights to columns of two.
        """
        out, low = self._reduced(m, name, adder not in ("tool", "ripple"), 1, dadda=dadda)
        rows = [Signal(self.bits, name=f"{name}_{what}") for what in ("row", "carries")]
        m.d.comb += [row.eq(each) for row, each in zip(rows, out, strict=True)]
        total = rows[0]
        if low < self.bits:
            total = Cat(total[:low], add(m, total[low:], rows[1][low:], topology=adder, name=f"{name}_total"))
        return ~total if self._inverted else total

    def _reduced(
        self, m: Module, name: str, early: bool, numbers: int, *, dadda: bool = False
    ) -> tuple[list[Any], int]:
        """Return two rows, and the places from the lowest on where only the first has bits.

        Of an inverted heap they are to be inverted, each or their sum: so many numbers.
        """
        constant = self._constant
        if self._inverted:
            # Of each bit b there is 1 - b. And -x is ~x + 1.
            constant = -constant - sum(len(column) << i for i, column in enumerate(self._columns)) - numbers
        ones = constant % (1 << self.bits)
        columns = [list(column) for column in self._columns]
        for i, column in enumerate(columns):
            if (ones >> i) & 1:
                column.append(_Bit(Const(1, 1), 0.0))
        count = self._staged(m, name, columns) if dadda else 0
        for i, column in enumerate(columns):
            # Two bits are left over then, and the last of a column makes no carry that the next column waits for.
            taken = 2 if early and len(column) > 2 and len(column) % 2 else 3
            while len(column) > 2:
                # The constant goes first: three bits with it are two gates.
                column.sort(key=lambda bit: (not bit.is_one, bit.time))
                total, carry = _compress(m, column[:taken], f"{name}_{count}")
                count += 1
                column[:taken] = [total]
                taken = 3
                if i + 1 < self.bits:
                    columns[i + 1].append(carry)
        low = next((i for i, column in enumerate(columns) if len(column) > 1), self.bits)
        rows = [Cat(*(column[k].value if len(column) > k else Const(0, 1) for column in columns)) for k in (0, 1)]
        return rows, low

    def _staged(self, m: Module, name: str, columns: list[list[_Bit]]) -> int:
        """Reduce columns to two bits in stages of Dadda's heights; return how many cells that took."""
        count = 0
        for height in reversed(dadda_heights(max(map(len, columns), default=0))):
            for i, column in enumerate(columns):
                while len(column) > height:
                    column.sort(key=lambda bit: (not bit.is_one, bit.time))
                    taken = 2 if len(column) == height + 1 else 3
                    total, carry = _compress(m, column[:taken], f"{name}_{count}")
                    count += 1
                    column[:taken] = []
                    column.append(total)
                    if i + 1 < self.bits:
                        columns[i + 1].append(carry)
        return count


def dadda_heights(height: int) -> list[int]:
    """Return Dadda's heights 2, 3, 4, 6, 9, 13, ... below a height."""
    heights = [2]
    while heights[-1] * 3 // 2 < height:
        heights.append(heights[-1] * 3 // 2)
    return [h for h in heights if h < height]


def _compress(m: Module, bits: list[_Bit], name: str) -> tuple[_Bit, _Bit]:
    """Add two or three bits of a column; one of them may be the constant."""
    ones = [bit for bit in bits if bit.is_one]
    others = [bit.value for bit in bits if not bit.is_one]
    time = max(bit.time for bit in bits)
    assert len(ones) <= 1
    if len(others) == 1:  # and the constant
        return _Bit(~others[0], time), _Bit(others[0], time)
    if len(others) == 2 and ones:
        a, b = others
        total, carry = Signal(name=f"{name}_total"), Signal(name=f"{name}_carry")
        m.d.comb += [total.eq(~(a ^ b)), carry.eq(a | b)]
        return _Bit(total, time + _HALF), _Bit(carry, time + _HALF)
    cell: Any = HalfAdder() if len(others) == 2 else FullAdder()
    m.submodules[name] = cell
    for port, value in zip("abc", others, strict=False):
        m.d.comb += getattr(cell, port).eq(value)
    if len(others) == 2:
        return _Bit(cell.total, time + _HALF), _Bit(cell.carry, time + _HALF)
    return _Bit(cell.total, time + _SUM), _Bit(cell.carry, time + _CARRY)
