# SPDX-License-Identifier: Apache-2.0
"""Lanes of a step as weighted bits: products aligned on one grid, with their signs, in one heap.

A negative magnitude is inverted within the places that it can reach, from `low` to below `high`; what that is beside
its negation is ``2**low - 2**high`` for each such lane. So the signs are counted once, and their number is added at
`low` and taken off at `high`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from hwsim.datapath.unit import DotProductUnit
from hwsim.formats import CodebookSpec
from rtl.architecture import Architecture
from rtl.arithmetic.heap import Heap
from rtl.arithmetic.shift import shift_left_above
from rtl.arithmetic.tree import add_signed
from rtl.datapath.layouts import operand_layout, operand_raw, product_raw

__all__ = [
    "add_lanes",
    "inverts",
    "multiplied",
    "sum_signed",
]

# Areas in NAND2 gates of small cells, by which a lane's structure is chosen.
_XOR, _AND, _FULL_ADDER = 2.0, 1.33, 5.33
_MANY_LANES = 4
_SMALL_BITS = 3
_SLOW_ADDERS = ("tool", "ripple")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Window:
    """Places of the grid, `low` to below `high`, that a product reaches whose coarse exponent is `coarse`."""

    coarse: int
    low: int
    high: int


def inverts(unit: DotProductUnit, architecture: Architecture) -> bool:
    """Whether a heap of the lanes is smaller with inverted bits: there are many, and they are ANDs.

    Other bits are exclusive ORs, which there are of either sense.
    """
    if unit.lanes < _MANY_LANES:
        return False
    layouts = [operand_layout(spec) for spec in (unit.element_a, unit.element_b)]
    if any(layout["negative"].width for layout in layouts):
        return False
    return architecture.multiplier in ("array", "dadda")


def multiplied(m: Module, a: Any, b: Any, architecture: Architecture, name: str) -> Value:
    """
    Return ``a * b`` exactly, by the architecture's multiplier.

    Two operands of up to three bits are left to the synthesizer: it is better with so few gates than any tree.

    Parameters
    ----------
    m : Module
    a, b : Value
        Signed or unsigned by their shapes.
    architecture : Architecture
    name : str
        Of the nets.
    """
    a, b = Value.cast(a), Value.cast(b)
    if architecture.multiplier == "tool" or max(len(a), len(b)) <= _SMALL_BITS:
        return a * b
    if len(a) == 1 or len(b) == 1:  # an unsigned bit is a mask; -1 is the only other number of a signed one
        bit, other = (a, b) if len(a) == 1 else (b, a)
        if not bit.shape().signed:
            masked = other.as_unsigned() & bit.replicate(len(other))
            return masked.as_signed() if other.shape().signed else masked
    shape = (a * b).shape()
    heap = Heap(shape.width)
    heap.add_product(m, a, b, style=architecture.multiplier, name=name)
    total = heap.total(m, name, architecture.adder)
    return total.as_signed() if shape.signed else total


def sum_signed(
    m: Module, values: Sequence[Any], negatives: Sequence[Any], bits: int, architecture: Architecture, name: str
) -> Value:
    """
    Return the sum of ``-value if negative else value``, by one heap or by the synthesizer's operators.

    Parameters
    ----------
    m : Module
    values, negatives : sequence of Value
        As of `rtl.arithmetic.tree.add_signed`.
    bits : int
        Width, sign included, that the exact sum fits; without a heap there may be more bits above, of no meaning.
    architecture : Architecture
    name : str
        Of the nets.
    """
    if architecture.reduction == "tool":
        return add_signed(values, negatives, bits)
    heap = Heap(bits)
    for value, negative in zip(values, negatives, strict=True):
        heap.add_signed_if(value, negative)
    return heap.total(m, name, architecture.adder).as_signed()


def add_lanes(
    m: Module,
    heap: Heap,
    unit: DotProductUnit,
    architecture: Architecture,
    a: Sequence[Any],
    b: Sequence[Any],
    shift: int = 0,
) -> None:
    """
    Add the products of a step whose products are on one grid.

    Parameters
    ----------
    m : Module
    heap : Heap
    unit : DotProductUnit
        With ``on_grid``.
    architecture : Architecture
    a, b : sequence of views of `operand_layout`
    shift : int
        Places above the heap's last at which the smallest product's last is; below it, those that are zero in every
        product.
    """
    is_signed = a[0].significand.shape().signed or b[0].significand.shape().signed
    if not is_signed and len(a[0].negative ^ b[0].negative):
        _add_magnitudes(m, heap, unit, architecture, a, b, shift)
        return
    grid = product_raw(unit)
    for index, (x, y) in enumerate(zip(a, b, strict=True)):
        name, negative = f"lane_{index}", x.negative ^ y.negative
        masks = any(len(z.significand) == 1 and not z.significand.shape().signed for z in (x, y))
        if not grid.bits and shift >= 0 and not masks:
            sign = negative if len(negative) else None
            heap.add_product(
                m, x.significand, y.significand, style=architecture.multiplier, shift=shift, negative=sign, name=name
            )
            continue
        product = multiplied(m, x.significand, y.significand, architecture, name)
        low = grid.low - min(shift, 0)
        if grid.bits:
            product = shift_left_above(m, product, x.exponent + y.exponent, low, grid.high, f"aligned_{index}")
        elif low:
            product = product[low:].as_signed() if product.shape().signed else product[low:]
        heap.add_signed_if(product, negative, max(shift, 0))


def _add_magnitudes(
    m: Module,
    heap: Heap,
    unit: DotProductUnit,
    architecture: Architecture,
    a: Sequence[Any],
    b: Sequence[Any],
    shift: int,
) -> None:
    """Add products of which magnitude and sign are known."""
    grid = product_raw(unit)
    if unit.product_max == 1 and not grid.bits and shift >= 0:
        _add_units(heap, unit, a, b, shift)
        return
    # Places that are zero for every product are not made: those below the least exponent, those that a quire has not.
    low = grid.low - min(shift, 0)
    up = max(shift, 0)
    bits = unit.product_max.bit_length()
    # Exponents of two bits, of which 0 does not occur, are sums of two shifts by 0, 1 or 2.
    short = low == grid.low == 2 and all(operand_raw(s).bits == 2 for s in (unit.element_a, unit.element_b))
    fine = _fine_bits(bits, grid.bits)
    shifts = grid.bits > 0 and not short
    windows = [_Window(coarse=0, low=0, high=bits + grid.high - low)]
    if shifts:
        windows = _windows(bits, fine, grid.high, low)
    shares = architecture.adder in _SLOW_ADDERS
    narrow = len(windows) > 1 and _narrow_signs(len(a), bits, fine, windows, shares)
    signs: list[list[Any]] = [[] for _ in (windows if narrow else windows[:1])]
    for index, (x, y) in enumerate(zip(a, b, strict=True)):
        negative = Signal(name=f"negative_{index}")
        m.d.comb += negative.eq(x.negative ^ y.negative)
        product: Any = Signal(bits, name=f"product_{index}")
        m.d.comb += product.eq(multiplied(m, x.significand, y.significand, architecture, f"lane_{index}"))
        selects: list[Any] = []
        if short:
            product = _shifted_shortly(m, product, x.exponent, y.exponent, f"shifted_{index}")
        elif grid.bits:
            exponent = Signal(grid.bits, name=f"exponent_{index}")
            m.d.comb += exponent.eq(x.exponent + y.exponent)
            for place in range(fine):
                product = _shifted(m, product, exponent[place], 1 << place, f"shifted_{index}_{place}")
            coarse = exponent[fine:]
            selects = [coarse == window.coarse for window in windows]
        if narrow:
            product = product ^ negative.replicate(len(product))
        base = 0 if short else low
        placed = _placed(m, product, selects, windows, 1 << fine, base, f"placed_{index}")
        for place, bit in placed:
            heap.add_bit(bit if narrow else bit ^ negative, up + place, 12)
        if not narrow:
            signs[0].append(negative)
            continue
        for window, select, column in zip(windows, selects, signs, strict=True):
            sign = Signal(name=f"negative_{index}_{window.coarse}")
            m.d.comb += sign.eq(negative & select)
            column.append(sign)
    reach = windows if narrow else [_Window(coarse=0, low=0, high=max(window.high for window in windows))]
    for window, column in zip(reach, signs, strict=True):
        _add_signs(m, heap, column, up + window.low, up + window.high, shares, f"negatives_{window.coarse}")


def _add_units(heap: Heap, unit: DotProductUnit, a: Sequence[Any], b: Sequence[Any], shift: int) -> None:
    """Add products that are 1, -1 or 0: 1, less 2 where it is negative; of signs alone, how many differ."""
    specs = (unit.element_a, unit.element_b)
    always = all(isinstance(spec, CodebookSpec) and 0 not in spec.levels for spec in specs)
    for x, y in zip(a, b, strict=True):
        negative = x.negative ^ y.negative
        if always:
            heap.add_constant(1 << shift)
            heap.subtract(negative, shift + 1, 1)
        else:
            product = x.significand & y.significand
            heap.add_bit(product, shift, 1)
            heap.subtract(product & negative, shift + 1, 2)


def _add_signs(m: Module, heap: Heap, signs: list[Any], low: int, high: int, shares: bool, name: str) -> None:
    """Add ``2**low - 2**high`` for each sign that is set."""
    if not shares or len(signs) < 4:
        for sign in signs:
            heap.add(sign, low, 3)
            heap.subtract(sign, high, 3)
        return
    counter = Heap(len(signs).bit_length())
    for sign in signs:
        counter.add_bit(sign, 0)
    count = counter.total(m, name, "ripple")
    late = 3 + 4.0 * len(count)
    heap.add(count, low, late)
    heap.subtract(count, high, late)


def _fine_bits(bits: int, exponent_bits: int) -> int:
    """Return how many low bits of the exponent shift; the others choose among windows of which two overlap at most."""
    fine = 0
    while (1 << fine) < bits - 1 and fine < exponent_bits:
        fine += 1
    return fine


def _windows(bits: int, fine: int, high: int, low: int) -> list[_Window]:
    """Return the windows that products of some bits can stand in, with exponents up to `high`."""
    found = []
    for coarse in range((high >> fine) + 1):
        start = coarse << fine
        largest = min(high, start + (1 << fine) - 1)
        if bits + largest > low:
            found.append(_Window(coarse=coarse, low=max(start - low, 0), high=bits + largest - low))
    return found


def _narrow_signs(lanes: int, bits: int, fine: int, windows: list[_Window], shares: bool) -> bool:
    """Whether it is smaller to invert before the windows are chosen, and to count the signs of each."""
    count = lanes.bit_length()
    counted = (lanes + count) / lanes if shares and lanes >= 4 else 2.0
    wide = _XOR * max(window.high for window in windows) + counted * _FULL_ADDER
    narrow = _XOR * (bits + (1 << fine) - 1) + len(windows) * (counted * _FULL_ADDER + _AND)
    return narrow < wide


def _shifted(m: Module, value: Any, amount: Any, step: int, name: str) -> Any:
    """Shift left by a step or not."""
    out = Signal(len(value) + step, name=name)
    m.d.comb += out.eq(Mux(amount, Cat(Const(0, step), value), value))
    return out


def _shifted_shortly(m: Module, value: Any, a: Any, b: Any, name: str) -> Value:
    """Shift left by ``a + b - 2``, with a and b 1, 2 or 3.

    What is never both shifted by 1 or 2 and by 4 needs no multiplexer.
    """
    bits = len(value)
    one = (a[1] & ~a[0]) ^ (b[1] & ~b[0])
    two = (a[1] & ~a[0] & b[1] & ~b[0]) | ((a[1] & a[0]) ^ (b[1] & b[0]))
    four = Signal(name=f"{name}_four")
    m.d.comb += four.eq(a[1] & a[0] & b[1] & b[0])
    near = _shifted(m, _shifted(m, value, one, 1, f"{name}_by_1"), two, 2, f"{name}_by_2")
    out = Signal(bits + 4, name=name)
    for i in range(bits + 4):
        far = value[i - 4] if i >= 4 else Const(0, 1)
        if i < bits:
            m.d.comb += out[i].eq(Mux(four, far, near[i]))
        else:
            m.d.comb += out[i].eq((near[i] if i < len(near) else Const(0, 1)) | (far & four))
    return out


def _placed(
    m: Module, value: Any, selects: list[Any], windows: list[_Window], step: int, low: int, name: str
) -> list[tuple[int, Any]]:
    """Return the bits of a value in the window that is selected, zero in the others, by place of the grid."""
    if len(windows) == 1:
        base = windows[0].coarse * step - low
        return [(base + i, value[i]) for i in range(len(value)) if windows[0].low <= base + i < windows[0].high]
    terms: dict[int, list[Any]] = {}
    for window, select in zip(windows, selects, strict=True):
        base = window.coarse * step - low
        chosen = Signal(name=f"{name}_select_{window.coarse}")
        m.d.comb += chosen.eq(select)
        for place in range(window.low, window.high):
            terms.setdefault(place, []).append(value[place - base] & chosen)
    bits = Signal(max(terms) + 1, name=name)
    for place, parts in terms.items():
        m.d.comb += bits[place].eq(Cat(*parts).any() if len(parts) > 1 else parts[0])
    return [(place, bits[place]) for place in sorted(terms)]
