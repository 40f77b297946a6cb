# SPDX-License-Identifier: Apache-2.0
"""The float register plus a step's sum, rounded once: a fused multiply-add where the sum is one product.

The register is shifted, and the sum stands still: a single path. The window starts at the register where that is by far
the larger, so that the sum behind it is only seen as whether it is there; its leading columns are empty where the
register is not. One power of two of the shift is therefore made by moving the sum up and not the register down: those
columns are not built. Source: single-path fused multiply-add (Montoye, Hokenek and Runyon 1990), with two positions of
the product.
"""

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib.wiring import In, Out

from hwsim.datapath.unit import DotProductUnit, ExactAlignment, FixedAccumulator, FloatAccumulator
from hwsim.formats import FloatSpec, PositSpec
from rtl.architecture import Architecture
from rtl.arithmetic.adder import add
from rtl.arithmetic.rounder import Rounder, RounderSpec
from rtl.arithmetic.shift import shift_right_split
from rtl.datapath.layouts import fused, operand_layout, operand_raw, register_layout, total_layout, total_raw
from rtl.datapath.specials import joined_specials
from rtl.part import Part

__all__ = [
    "FloatAdd",
    "Window",
    "float_step",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """
    The columns in which a sum and a float register are added; column 0 is the sum's last place.

    Parameters
    ----------
    sum_bits : int
        Bits of the sum's magnitude.
    low : int
        Columns below the sum's last place. Under them one bit stands for all.
    least : int
        The lowest column that can be the leading one of a result, unless it is subnormal. A negative power of two is
        found one column below it.
    gap : int
        Columns between the register and the sum where that is only seen as whether it is there.
    fold : int
        Binary logarithm of the columns by which the sum moves instead of the register.
    """

    sum_bits: int
    low: int
    least: int
    gap: int
    fold: int


def _window(unit: DotProductUnit, accumulator: FloatAccumulator) -> Window:
    """Return the window of a unit.

    A result's leading bit is at most one column below that of the sum, unless the register is near: then it is exact.
    No bit of the register stands below its format's last place.
    """
    spec, kept = accumulator.format, accumulator.result_man_bits + 1
    below = max(accumulator.random_bits, 1)
    shape = total_layout(unit)["sum"].shape
    bits = shape.width - shape.signed
    own = operand_raw(spec)
    low, least = 0, bits
    for lead, exponent in _leads(unit):
        places = exponent - own.low - own.offset
        low = max(low, min(max(kept + below, spec.sig_bits) - lead, places))
        least = min(least, max(lead - spec.sig_bits, -places))
    fold = 0
    while 2 << fold <= kept + 2 and 4 << fold <= bits + low + 2 - 2 * below:
        fold += 1
    return Window(sum_bits=bits, low=low, least=least, gap=below + 1, fold=fold)


def _leads(unit: DotProductUnit) -> list[tuple[int, int]]:
    """Return for each kind of sum the lowest place of its leading bit, and the largest exponent of its last place."""
    raw = total_raw(unit)
    elements = (unit.element_a, unit.element_b)
    if unit.lanes > 1 or unit.scales or not all(isinstance(spec, FloatSpec | PositSpec) for spec in elements):
        return [(0, raw.high + raw.offset)]
    kinds = []
    for spec in elements:
        own = operand_raw(spec)
        kind = [(spec.sig_bits - 1, own.high + own.offset)]
        if isinstance(spec, FloatSpec) and spec.subnormals:
            kind.append((0, own.low + own.offset))
        kinds.append(kind)
    return [(a[0] + b[0], a[1] + b[1]) for a in kinds[0] for b in kinds[1]]


def float_step(unit: DotProductUnit, architecture: Architecture) -> "FloatAdd | None":
    """Return what takes the place of `Accumulate` in a unit of that architecture; None where nothing does."""
    if architecture.reduction != "heap" or isinstance(unit.accumulator, FixedAccumulator) or fused(unit):
        return None
    if not isinstance(unit.alignment, ExactAlignment):
        return None
    return FloatAdd(unit, architecture)


class FloatAdd(Part):
    """Compute the next value of a float register.

    Parameters
    ----------
    unit : DotProductUnit
        With a float accumulator that is not an addend of the step.
    architecture : Architecture
        Its adder is the one of sum and register.

    Members
    -------
    register : In, `register_layout`
    decoded : In, `operand_layout`
        What decode makes of the register.
    total : In, `total_layout`
    nonzero : In, 1 bit
        Whether the sum is not zero. Where it is one product, the operands tell so before it is there.
    random : In, ``random_bits`` bits
        A number in [0, 2**random_bits), new in each step; with stochastic rounding only.
    following : Out, `register_layout`

    Latency: none, combinational.
    """

    def __new__(cls, unit: DotProductUnit, architecture: Architecture) -> Any:
        """Check before there is a component, of which Amaranth warns where it is not used."""
        if isinstance(unit.accumulator, FixedAccumulator) or fused(unit):
            raise ValueError(f"unit must add its sum to a float register, not {unit.name}")
        return super().__new__(cls, unit, architecture)

    def __init__(self, unit: DotProductUnit, architecture: Architecture) -> None:
        accumulator = unit.accumulator
        assert isinstance(accumulator, FloatAccumulator)
        self.spec = unit
        self._architecture = architecture
        self._accumulator = accumulator
        ports = {
            "register": In(register_layout(unit)),
            "decoded": In(operand_layout(accumulator.format)),
            "total": In(total_layout(unit)),
            "nonzero": In(1),
            "following": Out(register_layout(unit)),
        }
        if accumulator.random_bits:
            ports["random"] = In(accumulator.random_bits)
        super().__init__(ports)

    def _module_name(self) -> str:
        return "float_add"

    def _build(self) -> Module:
        m = Module()
        accumulator, window = self._accumulator, _window(self.spec, self._accumulator)
        spec = accumulator.format
        moved = 1 << window.fold
        # The highest column is for a carry; the lowest stands for all that is below it.
        columns = window.sum_bits + window.gap + spec.sig_bits + window.low + 2 - moved
        fold, amount, top, tops = self._place(m, window, columns)
        aligned = shift_right_split(m, self.decoded.significand, amount, columns - 1, sticky=True, name="aligned")
        subtract = Signal(name="subtract")
        m.d.comb += subtract.eq(self.decoded.negative ^ self.total.negative)
        sum_placed, register_placed = Signal(signed(columns + 1), name="sum"), Signal(signed(columns + 1), name="own")
        # The sum below is cut to whether any of it is there: it is far below the register then.
        up = Cat(Const(0, window.low + 1), self.total.sum)
        down = Cat(up[: moved + 1].any(), up[moved + 1 :])
        if self.total.sum.shape().signed:
            up, down = up.as_signed(), down.as_signed()
        m.d.comb += [
            sum_placed.eq(Mux(fold, up, down)),
            register_placed.eq(Cat(aligned ^ subtract.replicate(columns - 1), subtract).as_signed()),
        ]
        added = add(m, sum_placed, register_placed, subtract, topology=self._architecture.adder, name="added")
        m.submodules.rounder = rounder = Rounder(
            RounderSpec(
                format=spec,
                rounding=accumulator.rounding,
                overflow=accumulator.overflow,
                man_bits=accumulator.result_man_bits,
                nan_code=accumulator.nan_code,
                bits=columns + 1,
                top_min=tops[0],
                top_max=tops[1],
                special_bits=2,
                normalised=False,
                columns=max(columns - window.low - window.least, moved + 2),
                random_bits=accumulator.random_bits,
                signed_zero=accumulator.signed_zero,
                flush=accumulator.flush,
            )
        )
        m.d.comb += [
            rounder.value.eq(added.as_signed()),
            rounder.negative.eq(self.total.negative),
            rounder.top.eq(top),
            rounder.special.eq(joined_specials(self.decoded, self.total.special)),
        ]
        if accumulator.random_bits:
            m.d.comb += rounder.random.eq(self.random)
        if accumulator.signed_zero:
            m.d.comb += rounder.zero_negative.eq(self.decoded.negative & self.total.negative)
        following = rounder.code
        if self._late:
            keep = ~(self.nonzero | joined_specials(self.decoded, self.total.special).any())
            own = self.register.value
            canonical = Cat(own[:-1], own[-1] & own[:-1].any()) if not accumulator.signed_zero else own
            following = Mux(keep, canonical, following)
        m.d.comb += self.following.value.eq(following)
        return m

    @property
    def _late(self) -> bool:
        """Whether a register to which nothing is added passes by: else it must be known before it is aligned."""
        accumulator = self._accumulator
        whole = accumulator.result_man_bits == accumulator.format.man_bits
        return self.spec.lanes > 1 and whole and not (accumulator.flush or accumulator.signed_zero)

    def _place(self, m: Module, window: Window, columns: int) -> tuple[Any, Any, Any, tuple[int, int]]:
        """Return whether the sum moves up, the register's shift, and the exponent field of the leading column."""
        spec, raw, own = self._accumulator.format, total_raw(self.spec), self.decoded.exponent
        moved = 1 << window.fold
        # Exponent field of the leading column where the sum is up, but for the one of the carry.
        offset = raw.offset + window.sum_bits + window.gap + spec.man_bits + spec.bias - moved
        low, high = raw.low + offset, raw.high + offset
        field_max = (1 << spec.exp_bits) - 1
        bits = max(high, field_max, -low).bit_length() + 2
        distance, up_field = Signal(signed(bits), name="distance"), Signal(signed(bits), name="up_field")
        m.d.comb += [distance.eq(self.total.exponent + offset - own), up_field.eq(self.total.exponent + offset)]
        here = Const(1, 1) if self._late else self.nonzero
        fold, near = Signal(name="sum_up"), Signal(name="near")
        amount_bits = columns.bit_length()
        low_bits = distance[: window.fold]
        m.d.comb += [
            fold.eq(~distance[-1] & here),
            near.eq(distance[-1] & distance[window.fold : -1].all() & here),
        ]
        far = Signal(name="far")
        m.d.comb += far.eq(distance[amount_bits:-1].any() & ~distance[-1])
        upper = distance[window.fold : amount_bits] | far.replicate(amount_bits - window.fold)
        amount = Signal(amount_bits, name="amount")
        m.d.comb += amount.eq(
            Cat(
                (low_bits | far.replicate(window.fold)) & (fold | near).replicate(window.fold)
                if window.fold
                else Const(0, 0),
                upper & fold.replicate(amount_bits - window.fold),
            )
        )
        top_max = max(high, min(high + moved, field_max + moved), field_max) + 1
        top = Signal(range(top_max + 1), name="top")
        near_shift = Signal(window.fold, name="near_shift")
        m.d.comb += near_shift.eq(low_bits & near.replicate(window.fold))
        m.d.comb += top.eq(Mux(fold, up_field, own + near_shift) + 1)
        return fold, amount, top, (2, top_max)
