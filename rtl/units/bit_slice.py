# SPDX-License-Identifier: Apache-2.0
"""Elements that take one radix-4 digit a cycle and skip zeros, and the queue of digits that feeds a column of them.

Source: TPE (arXiv:2503.06342), OPT3 (the element), OPT4C (one encoder for a column of elements) and OPT4E (elements
that share a sum). Of a dot product's digits those of one weight come together, so that nothing is shifted before the
end.
"""

from typing import Any, Self

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hwsim.formats.codes import check_int
from rtl.arithmetic.cells import FullAdder
from rtl.arithmetic.heap import Heap

__all__ = [
    "DigitColumn",
    "DigitElement",
    "DigitGroup",
    "DigitQueue",
]

_DIGITS = 4  # of a group


class DigitElement(wiring.Component):
    """
    Multiply an operand by a digit of -2, -1, 1 or 2 and add it in carry-save form, one digit a cycle.

    A zero digit takes no cycle; an idle cycle has operand 0.

    Parameters
    ----------
    operand_bits : int
        2 to 32.
    register_bits : int
        Of the sum, which wraps; more than `operand_bits`, at most 64.
    carry_bits : int
        A carry is kept for every so many bits of the sum, 1 to `register_bits`: 1 is a full carry-save form, all of
        them a number; between the two lie fewer registers for a longer ripple.

    Members
    -------
    two, negative : In, 1 bit
        The digit: whether its magnitude is 2, and its sign.
    operand : In, ``operand_bits`` bits, two's complement
    first : In, 1 bit
        Whether the sum begins with this digit.
    total : Out, ``register_bits`` bits
    carries : Out, ``(register_bits - 1) // carry_bits`` bits
        Bit i has the weight ``2**((i + 1) * carry_bits)``. ``total`` and these are the sum, behind the second edge.

    Attributes
    ----------
    latency : int
        2 cycles from a digit to its place in the sum. Throughput: a digit a cycle.
    """

    latency = 2

    def __new__(cls, operand_bits: int = 8, register_bits: int = 26, carry_bits: int = 1) -> Self:
        """Check before there is a component: Amaranth warns of one that is not used."""
        check_int("operand_bits", operand_bits, 2, 32)
        check_int("register_bits", register_bits, operand_bits + 1, 64)
        check_int("carry_bits", carry_bits, 1, register_bits)
        made: Self = super().__new__(cls)
        return made

    def __init__(self, operand_bits: int = 8, register_bits: int = 26, carry_bits: int = 1) -> None:
        self._operand_bits, self._bits, self._step = operand_bits, register_bits, carry_bits
        super().__init__(
            {
                "two": In(1),
                "negative": In(1),
                "operand": In(operand_bits),
                "first": In(1),
                "total": Out(register_bits),
                "carries": Out((register_bits - 1) // carry_bits),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Multiply before the first registers, add between them and the second."""
        m = Module()
        multiple = _multiple(m, self.operand, self.two, self.negative, "multiple")
        width = len(multiple)
        minus = Signal(name="minus", reset_less=True)
        fresh = Signal(name="fresh", reset_less=True)
        # -x is ~x and one more, which the lowest place has room for.
        m.d.sync += [minus.eq(self.negative), fresh.eq(self.first)]
        total = Signal(self._bits, name="total_register", reset_less=True)
        carries = Signal(len(self.carries), name="carries_register", reset_less=True)
        carry: Any = minus
        for i in range(self._bits):
            if i and i % self._step == 0:
                m.d.sync += carries[i // self._step - 1].eq(carry)
                carry = carries[i // self._step - 1] & ~fresh
            m.submodules[f"place_{i}"] = place = FullAdder()
            m.d.comb += [place.a.eq(multiple[min(i, width - 1)]), place.b.eq(total[i] & ~fresh), place.c.eq(carry)]
            m.d.sync += total[i].eq(place.total)
            carry = place.carry
        m.d.comb += [self.total.eq(total), self.carries.eq(carries)]
        return m


class DigitGroup(wiring.Component):
    """
    Elements with one sum in carry-save form: their multiples and its two words go through one tree.

    Parameters
    ----------
    elements : int
        2 to 64: four make a 6:2 tree.
    operand_bits, register_bits : int
        As of `DigitElement`.

    Members
    -------
    two, negative : In, a bit an element
    operands : In, ``elements * operand_bits`` bits
        Element 0 at bit 0; 0 where an element has no digit.
    first : In, 1 bit
    total, carries : Out, ``register_bits`` bits
        Their sum is the sum.

    Attributes
    ----------
    latency : int
        2 cycles from digits to their place in the sum. Throughput: a digit a cycle and element.
    """

    latency = 2

    def __new__(cls, elements: int = 4, operand_bits: int = 8, register_bits: int = 26) -> Self:
        """Check before there is a component: Amaranth warns of one that is not used."""
        check_int("elements", elements, 2, 64)
        check_int("operand_bits", operand_bits, 2, 32)
        check_int("register_bits", register_bits, operand_bits + 1, 64)
        made: Self = super().__new__(cls)
        return made

    def __init__(self, elements: int = 4, operand_bits: int = 8, register_bits: int = 26) -> None:
        self._elements, self._operand_bits = elements, operand_bits
        super().__init__(
            {
                "two": In(elements),
                "negative": In(elements),
                "operands": In(elements * operand_bits),
                "first": In(1),
                "total": Out(register_bits),
                "carries": Out(register_bits),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Multiply before the first registers, add between them and the second."""
        m = Module()
        bits = len(self.total)
        fresh = Signal(name="fresh", reset_less=True)
        total = Signal(bits, name="total_register", reset_less=True)
        carries = Signal(bits, name="carries_register", reset_less=True)
        heap = Heap(bits)
        for i in range(self._elements):
            operand = self.operands.word_select(i, self._operand_bits)
            minus = Signal(name=f"minus_{i}", reset_less=True)
            m.d.sync += minus.eq(self.negative[i])
            heap.add(_multiple(m, operand, self.two[i], self.negative[i], f"multiple_{i}").as_signed())
            heap.add_bit(minus, 0)
        for word in (total, carries):
            heap.add(word & ~fresh.replicate(bits), time=1.0)
        rows = heap.rows(m, "tree")
        m.d.sync += [fresh.eq(self.first), total.eq(rows[0]), carries.eq(rows[1])]
        m.d.comb += [self.total.eq(total), self.carries.eq(carries)]
        return m


class DigitQueue(wiring.Component):
    """
    Hand out the non-zero digits of a group, one a cycle: those of one weight of four operands.

    Members
    -------
    load : In, 1 bit
        Take a group, whatever is left of the one before.
    digits : In, 8 bits
        Two bits a digit, the first at bit 0: 0, 1, 2, and 3 for -1.
    signs : In, 4 bits
        Whether each digit is negated.
    cycles : Out, 3 bits
        The non-zero digits of the group at the input; a group without takes a cycle all the same.
    position : Out, 2 bits
        The operand whose digit leaves at the next edge.
    two, negative : Out, 1 bit
        The digit, as `DigitElement` takes it, a cycle after its position. Nothing is left where they are asked for
        more: the operand has to be 0 then.

    Attributes
    ----------
    latency : int
        2 cycles from a group to its first digit. Throughput: a digit a cycle.
    """

    latency = 2

    def __init__(self) -> None:
        super().__init__(
            {
                "load": In(1),
                "digits": In(2 * _DIGITS),
                "signs": In(_DIGITS),
                "cycles": Out(3),
                "position": Out(2),
                "two": Out(1),
                "negative": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Keep which digits are left, and take the first of them."""
        m = Module()
        nonzero = [self.digits[2 * i] | self.digits[2 * i + 1] for i in range(_DIGITS)]
        two = Signal(_DIGITS, name="two_digits", reset_less=True)
        minus = Signal(_DIGITS, name="minus_digits", reset_less=True)
        left = Signal(_DIGITS, name="left")
        m.d.comb += self.position.eq(Cat(~left[0] & (left[1] | ~left[2]), ~left[0] & ~left[1]))
        m.d.comb += self.cycles.eq(sum(nonzero))
        with m.If(self.load):
            for i in range(_DIGITS):
                low, high = self.digits[2 * i], self.digits[2 * i + 1]
                m.d.sync += [left[i].eq(nonzero[i]), two[i].eq(high & ~low), minus[i].eq((high & low) ^ self.signs[i])]
        with m.Else():
            m.d.sync += [left[i].eq(left[i] & left[:i].any()) for i in range(_DIGITS)]
        picked_two, picked_minus = (
            Signal(name="picked_two", reset_less=True),
            Signal(name="picked_minus", reset_less=True),
        )
        m.d.sync += [
            picked_two.eq(two.bit_select(self.position, 1)),
            picked_minus.eq(minus.bit_select(self.position, 1)),
        ]
        m.d.comb += [self.two.eq(picked_two), self.negative.eq(picked_minus)]
        return m


class DigitColumn(wiring.Component):
    """
    A queue of digits and the elements that it feeds; one element is OPT3 with its encoder, several are OPT4C.

    Parameters
    ----------
    elements : int
        1 to 256, each with an operand of its own and a sum of its own.
    operand_bits, register_bits, carry_bits : int
        As of `DigitElement`.

    Members
    -------
    load, digits, signs, cycles, position
        As of `DigitQueue`.
    operands : In, ``elements * operand_bits`` bits
        Those at the position of the cycle before, element 0 at bit 0.
    first : In, 1 bit
        As of `DigitElement`, with the operands.
    totals, carries : Out
        As of `DigitElement`, element 0 at bit 0.

    Attributes
    ----------
    latency : int
        4 cycles from a group to its first digit's place in the sums. Throughput: a digit a cycle.
    """

    latency = DigitQueue.latency + DigitElement.latency

    def __new__(cls, elements: int = 1, operand_bits: int = 8, register_bits: int = 26, carry_bits: int = 1) -> Self:
        """Check before there is a component: Amaranth warns of one that is not used."""
        check_int("elements", elements, 1, 256)
        check_int("operand_bits", operand_bits, 2, 32)
        check_int("register_bits", register_bits, operand_bits + 1, 64)
        check_int("carry_bits", carry_bits, 1, register_bits)
        made: Self = super().__new__(cls)
        return made

    def __init__(self, elements: int = 1, operand_bits: int = 8, register_bits: int = 26, carry_bits: int = 1) -> None:
        self._elements, self._operand_bits = elements, operand_bits
        self._shape = (operand_bits, register_bits, carry_bits)
        carries = (register_bits - 1) // carry_bits
        super().__init__(
            {
                "load": In(1),
                "digits": In(2 * _DIGITS),
                "signs": In(_DIGITS),
                "operands": In(elements * operand_bits),
                "first": In(1),
                "cycles": Out(3),
                "position": Out(2),
                "totals": Out(elements * register_bits),
                "carries": Out(elements * carries),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Connect the elements to the queue."""
        m = Module()
        m.submodules.queue = queue = DigitQueue()
        m.d.comb += [getattr(queue, name).eq(getattr(self, name)) for name in ("load", "digits", "signs")]
        m.d.comb += [getattr(self, name).eq(getattr(queue, name)) for name in ("cycles", "position")]
        elements = [DigitElement(*self._shape) for _ in range(self._elements)]
        for i, element in enumerate(elements):
            m.submodules[f"element_{i}"] = element
            m.d.comb += [
                element.two.eq(queue.two),
                element.negative.eq(queue.negative),
                element.operand.eq(self.operands.word_select(i, self._operand_bits)),
                element.first.eq(self.first),
            ]
        m.d.comb += [
            self.totals.eq(Cat(*(element.total for element in elements))),
            self.carries.eq(Cat(*(element.carries for element in elements))),
        ]
        return m


def _multiple(m: Module, operand: Any, two: Any, negative: Any, name: str) -> Any:
    """Return a register of an operand, doubled or not, inverted or not."""
    multiple = Signal(len(operand) + 1, name=name, reset_less=True)
    doubled = Mux(two, Cat(Const(0, 1), operand), Cat(operand, operand[-1]))
    m.d.sync += multiple.eq(doubled ^ negative.replicate(len(multiple)))
    return multiple
