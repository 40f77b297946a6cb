# SPDX-License-Identifier: Apache-2.0
"""Units that take several cycles for a row: what they have in common, and dot products bit by bit.

Sources: Stripes (Judd et al., MICRO 2016): one bit of an operand a cycle. Pragmatic (Albericio et al., MICRO 2017):
only the bits that are 1, shifted in two stages.
"""

from typing import Any, Self

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hwsim.datapath.unit import DotProductUnit, FixedAccumulator
from hwsim.formats import IntegerSpec, Overflow
from hwsim.formats.codes import check_int
from rtl.arithmetic.adder import add
from rtl.arithmetic.heap import Heap
from rtl.datapath.dot_product import row_fields

__all__ = [
    "BitSerialCore",
    "PragmaticCore",
    "SerialCore",
    "check_integers",
]


def check_integers(unit: DotProductUnit) -> None:
    """Raise for a unit that is no plain sum of integer products.

    Raises
    ------
    TypeError
        If unit is no DotProductUnit.
    ValueError
        If an operand is no integer without a zero point, or the sum is not kept and given as it is, wrapping.
    """
    if not isinstance(unit, DotProductUnit):
        raise TypeError(f"unit must be a DotProductUnit, not {unit!r}")
    for name, spec in (("a", unit.a), ("b", unit.b)):
        if not isinstance(spec, IntegerSpec) or spec.zero_point or not 2 <= spec.bits <= 32:
            raise ValueError(f"{name} of a unit of digits must be an integer of 2 to 32 bits, not {spec.name}")
    check_sum(unit)


def check_sum(unit: DotProductUnit) -> None:
    """Raise for a unit whose register is not an integer that wraps, or is not what it gives.

    Raises
    ------
    ValueError
        If so.
    """
    register = unit.accumulator
    whole = isinstance(register, FixedAccumulator) and register.overflow is Overflow.WRAP and not unit.sum_shift
    if not (whole and unit.is_plain and not unit.converts):
        raise ValueError(f"unit {unit.name} must add in an integer register that wraps, and give that register")


class SerialCore(wiring.Component):
    """
    A unit that takes several cycles for a row, without flow control; the core of `rtl.units.step_core.Streams`.

    Of a row, operands are kept while a subclass takes bits of them, one addend a cycle, which a register keeps for a
    cycle before it comes to the sum. Rows of a sum follow one another without a pause; behind a row with `last` the
    addend on its way is waited for.

    Parameters
    ----------
    unit : DotProductUnit
        Of integers, with an integer register that wraps and is the output.

    Members
    -------
    en : In, 1 bit
        Clock enable of everything.
    valid, first, last : In, 1 bit
        There is a row, offered only where `ready`; it starts from `c`; it ends a dot product.
    a, b : In, ``lanes`` codes
        Lane 0 at bit 0.
    c : In, d : Out, a code of the register
    ready, d_valid : Out, 1 bit

    Attributes
    ----------
    latency, longest_latency : int
        The fewest and the most enabled cycles from a row with `last` to its `d`.
    full_rate : bool
        Never.
    """

    latency = 3
    longest_latency: int
    full_rate = False

    def __new__(cls, unit: DotProductUnit, *args: Any, **options: Any) -> Self:
        """Check before there is a component: Amaranth warns of one that is not used."""
        check_integers(unit)
        cls._check(unit, *args, **options)
        made: Self = super().__new__(cls)
        return made

    def __init__(self, unit: DotProductUnit) -> None:
        self.spec = unit
        self.row_fields = row_fields(unit)
        ports = {name: In(bits) for name, bits in ({"en": 1, "valid": 1} | self.row_fields).items()}
        super().__init__(ports | {"ready": Out(1), "d": Out(unit.accumulator.bits), "d_valid": Out(1)})

    @classmethod
    def _check(cls, unit: DotProductUnit, *args: Any, **options: Any) -> None:
        """Raise for options that a unit cannot have."""

    def _operands(self, name: str, codes: Any) -> list[Any]:
        """Return the lanes of an operand, signed as their format is."""
        spec = self.spec.a if name == "a" else self.spec.b
        assert isinstance(spec, IntegerSpec)
        lanes = [codes.word_select(i, spec.bits) for i in range(self.spec.lanes)]
        return [lane.as_signed() if spec.signed else lane for lane in lanes]

    def _work(self, m: Module, start: Any, busy: Any, drop: Any) -> tuple[Any, Any]:
        """Build what a row is worked off with.

        Parameters
        ----------
        start : Value
            A row comes.
        busy : Value
            There is one.
        drop : Value
            A row comes that starts from c: the addend of this cycle counts no more.

        Returns
        -------
        finishing, settled : Value
            Nothing of the row is left behind this cycle; the sum is a number behind the next edge.
        """
        raise NotImplementedError

    def elaborate(self, platform: Any) -> Module:
        """Build the control around the work."""
        m = Module()
        busy, ending, draining = Signal(name="busy"), Signal(name="ending", reset_less=True), Signal(name="draining")
        done = Signal(name="done")
        start, drop = Signal(name="start"), Signal(name="drop")
        m.d.comb += [start.eq(self.en & self.valid), drop.eq(start & self.first)]
        finishing, settled = self._work(m, start, busy, drop)
        m.d.comb += [
            self.ready.eq(~draining & (~busy | (finishing & ~ending))),
            self.d_valid.eq(done),
        ]
        with m.If(self.en):
            m.d.sync += [
                busy.eq(self.valid | (busy & ~finishing)),
                draining.eq((busy & finishing & ending) | (draining & ~settled)),
                done.eq(draining & settled),
            ]
            with m.If(self.valid):
                m.d.sync += ending.eq(self.last)
        return m

    def _accumulate(self, m: Module, addend: Any, carry: Any) -> None:
        """Add an addend, signed and of its width, and a carry to the register; c is put there by a row with `first`."""
        total = Signal(len(self.d), name="register", reset_less=True)
        wide = Signal(len(self.d), name="addend_wide")
        m.d.comb += [wide.eq(addend), self.d.eq(total)]
        following = add(m, total, wide, carry, name="following")
        with m.If(self.en):
            m.d.sync += total.eq(Mux(self.valid & self.first, self.c, following))


class BitSerialCore(SerialCore):
    """
    A dot product one bit of a a cycle: the lanes of b whose bit is 1 are added, shifted by its place.

    Parameters and members as of `SerialCore`. Latency: ``a.bits + 2`` cycles. Throughput: a row in ``a.bits`` cycles,
    two more behind the end of a dot product.
    """

    def __init__(self, unit: DotProductUnit) -> None:
        super().__init__(unit)
        self.latency = self.longest_latency = unit.element_a.bits + 2

    def _work(self, m: Module, start: Any, busy: Any, drop: Any) -> tuple[Any, Any]:
        unit = self.spec
        assert isinstance(unit.a, IntegerSpec)
        bits = unit.a.bits
        lanes = [Signal(bits, name=f"a_{i}", reset_less=True) for i in range(unit.lanes)]
        b = Signal(len(self.b), name="b_kept", reset_less=True)
        place = Signal(range(bits), name="place", reset_less=True)
        finishing = Signal(name="finishing")
        m.d.comb += finishing.eq(place == bits - 1)
        heap = Heap(_sum_bits(unit))
        for lane, operand in zip(lanes, self._operands("b", b), strict=True):
            masked = operand.as_unsigned() & lane[0].replicate(len(operand))
            heap.add(masked.as_signed() if operand.shape().signed else masked, time=1.0)
        total = heap.total(m, "lanes")
        minus = finishing if unit.a.signed else Const(0, 1)
        count, shift, negative = _counted(m, self.en, total, busy & ~drop, place, minus)
        with m.If(self.en):
            m.d.sync += place.eq(Mux(self.valid, 0, place + 1))
            m.d.sync += [lane.eq(lane >> 1) for lane in lanes]
            with m.If(self.valid):
                m.d.sync += b.eq(self.b)
                m.d.sync += [lane.eq(self.a.word_select(i, bits)) for i, lane in enumerate(lanes)]
        self._accumulate(m, (count << shift) ^ negative.replicate(len(self.d)), negative)
        return finishing, Const(1, 1)


class PragmaticCore(SerialCore):
    """
    A dot product of the bits of a that are 1: each lane one a cycle, those within a window above the lowest place left.

    A lane's operand is shifted within the window, the sum of the lanes by the place of the window.

    Parameters
    ----------
    unit : DotProductUnit
    window : int
        Places of the window, 1 to the bits of a.

    Members as of `SerialCore`. Latency: at least 3 cycles. Throughput: a row in as many cycles as its bits need, at
    least 1, two more behind the end of a dot product.
    """

    def __init__(self, unit: DotProductUnit, window: int = 4) -> None:
        super().__init__(unit)
        self._window = window
        self.longest_latency = unit.element_a.bits + 2

    @classmethod
    def _check(cls, unit: DotProductUnit, *args: Any, **options: Any) -> None:
        window = args[0] if args else options.get("window", 4)
        check_int("window", window, 1, unit.element_a.bits)

    def _work(self, m: Module, start: Any, busy: Any, drop: Any) -> tuple[Any, Any]:
        unit, window = self.spec, self._window
        assert isinstance(unit.a, IntegerSpec)
        bits = unit.a.bits
        left = [Signal(bits, name=f"left_{i}", reset_less=True) for i in range(unit.lanes)]
        b = Signal(len(self.b), name="b_kept", reset_less=True)
        any_left = Signal(bits, name="any_left")
        lowest = Signal(bits, name="lowest")
        base = Signal(range(bits), name="base")
        m.d.comb += [any_left.eq(_or(left)), lowest.eq(_first(any_left)), base.eq(_index(lowest))]
        heap = Heap(_sum_bits(unit) + window - 1)
        rest = []
        for i, operand in enumerate(self._operands("b", b)):
            # The places of this lane from the window's first on, and the lowest 1 among them.
            seen, taken = Signal(window, name=f"seen_{i}"), Signal(window, name=f"taken_{i}")
            m.d.comb += [seen.eq(left[i] >> base), taken.eq(_first(seen))]
            at = [taken[j] for j in range(window)]
            top = Cat(*(at[j] & (lowest[bits - 1 - j] if j < bits else Const(0, 1)) for j in range(window))).any()
            minus = top if unit.a.signed else Const(0, 0)
            widest = Cat(operand, (operand[-1] if operand.shape().signed else Const(0, 1)).replicate(window - 1))
            picked = Signal(len(widest), name=f"picked_{i}")
            m.d.comb += picked.eq(
                _or([(widest << j)[: len(widest)] & at[j].replicate(len(widest)) for j in range(window)])
            )
            heap.add_signed_if(picked.as_signed() if operand.shape().signed else picked, minus, time=4.0)
            following = Signal(bits, name=f"rest_{i}")
            m.d.comb += following.eq(left[i] & ~(taken << base))
            rest.append(following)
        finishing = Signal(name="finishing")
        m.d.comb += finishing.eq(~_or(rest).any())
        count, shift, _ = _counted(m, self.en, heap.total(m, "lanes"), busy & ~drop, base, Const(0, 1))
        with m.If(self.en):
            m.d.sync += [lane.eq(following) for lane, following in zip(left, rest, strict=True)]
            with m.If(self.valid):
                m.d.sync += b.eq(self.b)
                m.d.sync += [lane.eq(self.a.word_select(i, bits)) for i, lane in enumerate(left)]
        self._accumulate(m, count << shift, Const(0, 1))
        return finishing, Const(1, 1)


def _sum_bits(unit: DotProductUnit) -> int:
    """Return the bits of a signed sum of all lanes of b, negated or not."""
    return (unit.lanes * unit.element_b.max_significand).bit_length() + 1


def _counted(m: Module, en: Any, total: Any, counts: Any, place: Any, minus: Any) -> tuple[Any, Any, Any]:
    """Return registers of a sum (0 where it does not count), its place and whether it is to be subtracted."""
    count = Signal(len(total), name="count", reset_less=True)
    shift = Signal(len(place), name="shift", reset_less=True)
    negative = Signal(name="negative", reset_less=True)
    with m.If(en):
        m.d.sync += [
            count.eq(total & counts.replicate(len(total))),
            shift.eq(place & counts.replicate(len(place))),  # an unknown place of 0 is unknown to a simulator
            negative.eq(minus & counts),
        ]
    return count.as_signed(), shift, negative


def _or(words: list[Any]) -> Any:
    """Return the OR of words, in a tree."""
    while len(words) > 1:
        words = [words[i] | words[i + 1] if i + 1 < len(words) else words[i] for i in range(0, len(words), 2)]
    return words[0]


def _first(word: Any) -> Any:
    """Return the lowest 1 of a word alone."""
    return Cat(*(word[i] & ~word[:i].any() if i else word[0] for i in range(len(word))))


def _index(one_hot: Any) -> Any:
    """Return the place of the only 1 of a word."""
    bits = range((len(one_hot) - 1).bit_length())
    return Cat(*(Cat(*(one_hot[i] for i in range(len(one_hot)) if (i >> bit) & 1)).any() for bit in bits))
