# SPDX-License-Identifier: Apache-2.0
"""Elements that a scheduler feeds with bits: eight lanes, one bit of each a cycle, or one of the bits that are 1.

Sources: Stripes (Judd et al., MICRO 2016); Pragmatic (Albericio et al., MICRO 2017).
"""

from typing import Any, Self

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hwsim.formats.codes import check_int
from rtl.architecture import Adder
from rtl.arithmetic.adder import add
from rtl.arithmetic.heap import Heap

__all__ = [
    "BitSerialElement",
    "PragmaticElement",
]


class _Element(wiring.Component):
    """
    Registers for the lanes, for the sum of the lanes and for the sum of all.

    Parameters
    ----------
    lanes : int
        1 to 256.
    operand_bits : int
        2 to 32.
    places : int
        Places by which a sum of the lanes can be shifted, a power of two, 2 to 32.
    register_bits : int
        Of the sum, which wraps; more than a shifted sum of the lanes needs, at most 64.
    adder : str
        Of the carry-propagate adders; as `rtl.architecture.Architecture`.
    """

    latency = 3
    _window = 1

    def __new__(
        cls, lanes: int = 8, operand_bits: int = 8, places: int = 8, register_bits: int = 24, adder: Adder = "tool"
    ) -> Self:
        """Check before there is a component: Amaranth warns of one that is not used."""
        check_int("lanes", lanes, 1, 256)
        check_int("operand_bits", operand_bits, 2, 32)
        check_int("places", places, 2, 32)
        if places & (places - 1):
            raise ValueError(f"places must be a power of two, not {places!r}")
        check_int("register_bits", register_bits, cls._sum_bits(lanes, operand_bits) + places - 1, 64)
        made: Self = super().__new__(cls)
        return made

    def __init__(
        self, lanes: int = 8, operand_bits: int = 8, places: int = 8, register_bits: int = 24, adder: Adder = "tool"
    ) -> None:
        self._lanes, self._operand_bits, self._places, self._adder = lanes, operand_bits, places, adder
        self._bits = self._sum_bits(lanes, operand_bits)
        super().__init__(
            {
                "en": In(1),
                "operands": In(lanes * operand_bits),
                "place": In(range(places)),
                "first": In(1),
                "base": In(register_bits),
                "total": Out(register_bits),
            }
            | self._more_ports()
        )

    @classmethod
    def _sum_bits(cls, lanes: int, operand_bits: int) -> int:
        """Return the bits of a signed sum of the lanes, negated or not."""
        return (lanes << (operand_bits - 1 + cls._window - 1)).bit_length() + 1

    def _more_ports(self) -> dict[str, Any]:
        raise NotImplementedError

    def _lane_sum(self, m: Module) -> tuple[Any, Any]:
        """Return the sum of the lanes, in `_bits` bits, and the bit that is to be added to it once more inverted."""
        raise NotImplementedError

    def elaborate(self, platform: Any) -> Module:
        """Add the lanes, keep that, shift it and add it to the sum."""
        m = Module()
        place = Signal(len(self.place), name="place_kept", reset_less=True)
        shift = Signal(len(self.place), name="shift", reset_less=True)
        count = Signal(self._bits, name="count", reset_less=True)
        minus = Signal(name="minus", reset_less=True)
        total = Signal(len(self.total), name="register", reset_less=True)
        lane_sum, negative = self._lane_sum(m)
        m.d.sync += place.eq(self.place)
        # What is subtracted is inverted with the places below it, and one more.
        wide = Cat(count, count[-1].replicate(self._places - 1))
        for bit in range(len(shift)):
            step = 1 << bit
            fill = minus.replicate(step)
            wide = Mux(shift[bit], Cat(fill, wide[: len(wide) - step]), wide)
        addend = Signal(len(total), name="addend")
        m.d.comb += [addend.eq(wide.as_signed()), self.total.eq(total)]
        base = Mux(self.first, self.base, total)
        following = add(m, base, addend, minus if len(negative) else None, topology=self._adder, name="following")
        with m.If(self.en):
            m.d.sync += [count.eq(lane_sum), shift.eq(place), minus.eq(negative), total.eq(following)]
        return m


class BitSerialElement(_Element):
    """
    Add the operands whose bit is 1, shifted by the bit's place; subtract those of the place of a sign.

    Parameters as of `_Element`.

    Members
    -------
    en : In, 1 bit
        Enable of the two sums.
    operands : In, two's complement, lane 0 at bit 0
    bits : In, a bit a lane
    place : In
        The bits' place.
    top : In, 1 bit
        Whether it is that of a sign.
    first : In, 1 bit
        Whether the sum begins, at `base`, with what came in two cycles before.
    base : In, total : Out, ``register_bits`` bits

    Attributes
    ----------
    latency : int
        3 cycles from a bit to the sum. Throughput: a place a cycle.
    """

    def _more_ports(self) -> dict[str, Any]:
        return {"bits": In(self._lanes), "top": In(1)}

    def _lane_sum(self, m: Module) -> tuple[Any, Any]:
        top = Signal(name="top_kept", reset_less=True)
        m.d.sync += top.eq(self.top)
        heap = Heap(self._bits)
        for i in range(self._lanes):
            operand = Signal(self._operand_bits, name=f"operand_{i}", reset_less=True)
            taken = self.operands.word_select(i, self._operand_bits) & self.bits[i].replicate(self._operand_bits)
            m.d.sync += operand.eq(taken)
            heap.add(operand.as_signed())
        return heap.total(m, "lanes", self._adder) ^ top.replicate(self._bits), top


class PragmaticElement(_Element):
    """
    Add operands, each shifted by up to 3 places and negated or not, shifted once more together.

    Parameters as of `_Element`.

    Members
    -------
    en, operands, place, first, base, total
        As of `BitSerialElement`.
    shifts : In, 2 bits a lane
        Of each operand on its own.
    taken, negative : In, a bit a lane
        Whether an operand is added at all, and whether it is subtracted.

    Attributes
    ----------
    latency : int
        3 cycles from operands to the sum. Throughput: a digit a cycle and lane.
    """

    _window = 4

    def _more_ports(self) -> dict[str, Any]:
        return {"shifts": In(2 * self._lanes), "taken": In(self._lanes), "negative": In(self._lanes)}

    def _lane_sum(self, m: Module) -> tuple[Any, Any]:
        heap = Heap(self._bits)
        width = self._operand_bits + 3
        for i in range(self._lanes):
            operand = Signal(width, name=f"operand_{i}", reset_less=True)
            minus = Signal(name=f"minus_{i}", reset_less=True)
            value = self.operands.word_select(i, self._operand_bits)
            shift, taken = self.shifts.word_select(i, 2), self.taken[i]
            once = Mux(shift[0], Cat(Const(0, 1), value), Cat(value, value[-1]))
            shifted = Mux(shift[1], Cat(Const(0, 2), once), Cat(once, once[-1].replicate(2)))
            negated = self.negative[i] & taken
            m.d.sync += [
                # -x is ~x and one more.
                operand.eq((shifted & taken.replicate(width)) ^ negated.replicate(width)),
                minus.eq(negated),
            ]
            heap.add(operand.as_signed())
            heap.add_bit(minus, 0)
        return heap.total(m, "lanes", self._adder), Const(0, 0)
