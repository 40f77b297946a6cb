# SPDX-License-Identifier: Apache-2.0
"""A dot product of the non-zero radix-4 digits of its operands, one a cycle and element; the sum in carry-save form.

Source: TPE (arXiv:2503.06342): OPT3, one element; OPT4E, four that share one 6:2 tree. There the digits of one weight
come together and the sums of the weights are shifted at the end. A unit that is given whole rows has the digits of all
weights in one row: an element shifts its operand to the place of the digit.
"""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal

from hwsim.datapath.unit import DotProductUnit
from hwsim.formats import IntegerSpec
from hwsim.formats.codes import check_int
from rtl.arithmetic.cells import FullAdder, HalfAdder
from rtl.arithmetic.heap import Heap
from rtl.units.bit_serial import SerialCore
from rtl.units.bit_slice_digits import DigitEncoder, Encoding, check_encoding, digit_count

__all__ = [
    "SparseDigitCore",
]


class SparseDigitCore(SerialCore):
    """
    A dot product digit by digit, zeros skipped.

    Parameters
    ----------
    unit : DotProductUnit
    encoding : {"en_t", "booth"}
        Of a's digits.
    elements : int
        That take a digit a cycle each, of neighbouring lanes; a divisor of the lanes. From two on they share a tree,
        ``elements + 2`` to 2.
    carry_bits : int
        As of `rtl.units.bit_slice.DigitElement`.

    Members as of `SerialCore`. Latency: at least 4 cycles; behind the last digit the carries run out in the register, a
    cycle for each kept carry that one passes. Throughput: a row in as many cycles as the digits of the element that has
    most of them, at least 1.
    """

    latency = 4

    def __init__(
        self, unit: DotProductUnit, encoding: Encoding = "en_t", elements: int = 1, carry_bits: int = 1
    ) -> None:
        super().__init__(unit)
        self._encoding, self._elements, self._step = encoding, elements, carry_bits
        assert isinstance(unit.a, IntegerSpec)
        most = digit_count(unit.a.bits, unit.a.signed) * unit.lanes // elements
        self.longest_latency = most + 3 + (unit.accumulator.bits - 1) // carry_bits

    @classmethod
    def _check(cls, unit: DotProductUnit, encoding: Encoding = "en_t", elements: int = 1, carry_bits: int = 1) -> None:
        check_encoding(encoding)
        check_int("elements", elements, 1, unit.lanes)
        check_int("carry_bits", carry_bits, 1, unit.accumulator.bits)
        if unit.lanes % elements:
            raise ValueError(f"elements must be a divisor of {unit.lanes} lanes, not {elements!r}")

    def _work(self, m: Module, start: Any, busy: Any, drop: Any) -> tuple[Any, Any]:
        picked = [self._element(m, index) for index in range(self._elements)]
        finishing = Signal(name="finishing")
        m.d.comb += finishing.eq(Cat(*(over for _, _, over in picked)).all())
        counts = Signal(name="counts")
        m.d.comb += counts.eq(busy & ~drop)
        filled = Signal(name="filled")
        with m.If(self.en):
            m.d.sync += filled.eq(counts)
        keep = [(multiple & counts.replicate(len(multiple)), minus & counts) for multiple, minus, _ in picked]
        settled = self._accumulate_digits(m, keep, counts)
        return finishing, settled & ~filled

    def _element(self, m: Module, index: int) -> tuple[Any, Any, Any]:
        """Return the multiple that an element adds, less 1 if negative, that bit, and whether it is the last."""
        unit = self.spec
        assert isinstance(unit.a, IntegerSpec)
        assert isinstance(unit.b, IntegerSpec)
        count = digit_count(unit.a.bits, unit.a.signed)
        lanes = unit.lanes // self._elements
        kept = {
            name: Signal(lanes * count, name=f"{name}_{index}", reset_less=True) for name in ("left", "two", "negative")
        }
        b = Signal(lanes * unit.b.bits, name=f"b_{index}", reset_less=True)
        encoders = [DigitEncoder(unit.a.bits, unit.a.signed, self._encoding) for _ in range(lanes)]
        for lane, encoder in enumerate(encoders):
            m.submodules[f"encoder_{index}_{lane}"] = encoder
            m.d.comb += encoder.value.eq(self.a.word_select(index * lanes + lane, unit.a.bits))
        left = kept["left"]
        first = Signal(lanes * count, name=f"first_{index}")
        lower = Signal(lanes * count, name=f"lower_{index}")  # whether there is one at or below a place
        m.d.comb += [lower.eq(_prefix(left)), first.eq(Cat(left[0], left[1:] & ~lower[:-1]))]
        rest = Signal(lanes * count, name=f"rest_{index}")
        m.d.comb += rest.eq(left & ~first)
        with m.If(self.en):
            m.d.sync += left.eq(rest)
            with m.If(self.valid):
                m.d.sync += b.eq(self.b[index * len(b) : (index + 1) * len(b)])
                for name, port in (("left", "nonzero"), ("two", "two"), ("negative", "negative")):
                    m.d.sync += kept[name].eq(Cat(*(getattr(encoder, port) for encoder in encoders)))
        return *self._multiple(m, index, b, first, kept), ~rest.any()

    def _multiple(self, m: Module, index: int, b: Any, first: Any, kept: dict[str, Any]) -> tuple[Any, Any]:
        """Return the operand of the digit picked, doubled, shifted to its place and inverted; and whether inverted."""
        unit = self.spec
        assert isinstance(unit.b, IntegerSpec)
        lanes = unit.lanes // self._elements
        count = len(first) // lanes
        two, minus = Signal(name=f"is_two_{index}"), Signal(name=f"minus_{index}")
        operand = Signal(unit.b.bits, name=f"operand_{index}")
        places = [Cat(*(first[lane * count + i] for lane in range(lanes))).any() for i in range(count)]
        of_lane = [first[lane * count : (lane + 1) * count].any() for lane in range(lanes)]
        m.d.comb += [
            two.eq((first & kept["two"]).any()),
            minus.eq((first & kept["negative"]).any()),
            operand.eq(_select(of_lane, [b.word_select(lane, unit.b.bits) for lane in range(lanes)])),
        ]
        sign = operand[-1] if unit.b.signed else Const(0, 1)
        doubled = Signal(unit.b.bits + 1 + (not unit.b.signed), name=f"doubled_{index}")
        m.d.comb += doubled.eq(
            Mux(two, Cat(Const(0, 1), operand, Const(0, 0 if unit.b.signed else 1)), Cat(operand, sign, sign))
        )
        width = len(doubled) + 2 * (count - 1)
        top = doubled[-1] if unit.b.signed else Const(0, 1)
        wide = [
            Cat(Const(0, 2 * i), doubled, top.replicate(width - len(doubled) - 2 * i))[:width] for i in range(count)
        ]
        multiple = Signal(width, name=f"multiple_{index}")
        m.d.comb += multiple.eq(_select(places, wide) ^ minus.replicate(width))
        return multiple, minus

    def _accumulate_digits(self, m: Module, addends: list[tuple[Any, Any]], counts: Any) -> Any:
        """Add multiples to a sum in carry-save form; return whether it has no carries."""
        bits, step = len(self.d), self._step
        total = Signal(bits, name="register", reset_less=True)
        carries = Signal((bits - 1) // step, name="carries", reset_less=True)
        load = Signal(name="load")
        m.d.comb += [load.eq(self.valid & self.first), self.d.eq(total)]
        rows, carry = self._rows(m, addends, counts)
        above: Any = None
        for i in range(bits):
            if i and i % step == 0:
                with m.If(self.en):
                    m.d.sync += carries[i // step - 1].eq(carry & ~load)
                carry = carries[i // step - 1]
            low, sign = rows[0][:-1], rows[0][-1]
            base = total[i]
            following = None
            if len(rows) == 2 and i < len(low):
                base, following = _full(m, rows[0][i], rows[1][i], total[i], f"pair_{i}")
            addend = rows[0][min(i, len(rows[0]) - 1)]
            if len(rows) == 2:
                addend = above
                if i == len(low):
                    addend = sign if above is None else sign ^ above
                    extension = Signal(name="extension")
                    m.d.comb += extension.eq(sign if above is None else sign & ~above)
                elif i > len(low):
                    addend = extension
            above = following
            if addend is None:
                place, carry = _half(m, base, carry, f"place_{i}")
            else:
                place, carry = _full(m, addend, base, carry, f"place_{i}")
            with m.If(self.en):
                m.d.sync += total[i].eq(Mux(load, self.c[i], place))
        return ~carries.any()

    def _rows(self, m: Module, addends: list[tuple[Any, Any]], counts: Any) -> tuple[list[Any], Any]:
        """Return registers of one signed row or of two, the second unsigned, and of a carry; all 0 where idle."""
        minus = Signal(name="minus_kept", reset_less=True)
        rows = [Signal(len(addends[0][0]), name="multiple_kept", reset_less=True)]
        values: list[Any] = [addends[0][0]]
        if len(addends) > 1:
            width = len(addends[0][0])
            grown = width + (len(addends) - 1).bit_length()
            heap = Heap(grown + 1)
            for index, (multiple, negative) in enumerate(addends):
                # Offset binary: the signs inverted, and one constant for all, which the sign of the row takes off.
                for i in range(width - 1):
                    heap.add_bit(multiple[i], i)
                heap.add_bit(~multiple[-1], width - 1)
                if index:
                    heap.add_bit(negative, 0)
            heap.add_constant((1 << grown) - (len(addends) << (width - 1)))
            first, second = heap.rows(m, "tree")
            # Both rows at the highest place would be more than there can be.
            sign = ~(first[grown] | second[grown]) & counts
            rows = [Signal(grown + 1, name=f"row_{i}", reset_less=True) for i in range(2)]
            values = [
                Cat(first[:grown] & counts.replicate(grown), sign),
                Cat(second[:grown] & counts.replicate(grown), Const(0, 1)),
            ]
        with m.If(self.en):
            m.d.sync += minus.eq(addends[0][1])
            m.d.sync += [row.eq(value) for row, value in zip(rows, values, strict=True)]
        return rows, minus


def _full(m: Module, a: Any, b: Any, c: Any, name: str) -> tuple[Any, Any]:
    """Return the sum and the carry of three bits."""
    m.submodules[name] = cell = FullAdder()
    m.d.comb += [cell.a.eq(a), cell.b.eq(b), cell.c.eq(c)]
    return cell.total, cell.carry


def _half(m: Module, a: Any, b: Any, name: str) -> tuple[Any, Any]:
    """Return the sum and the carry of two bits."""
    m.submodules[name] = cell = HalfAdder()
    m.d.comb += [cell.a.eq(a), cell.b.eq(b)]
    return cell.total, cell.carry


def _prefix(word: Any) -> Any:
    """Return the OR of each bit with all below, in a tree."""
    bits = [word[i] for i in range(len(word))]
    step = 1
    while step < len(bits):
        bits = [bits[i] | bits[i - step] if i >= step else bits[i] for i in range(len(bits))]
        step *= 2
    return Cat(*bits)


def _select(choices: list[Any], words: list[Any]) -> Any:
    """Return the word whose choice is 1, or 0."""
    masked = [word & choice.replicate(len(word)) for choice, word in zip(choices, words, strict=True)]
    while len(masked) > 1:
        masked = [masked[i] | masked[i + 1] if i + 1 < len(masked) else masked[i] for i in range(0, len(masked), 2)]
    return masked[0]
