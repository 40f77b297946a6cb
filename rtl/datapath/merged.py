# SPDX-License-Identifier: Apache-2.0
"""A step in one carry-save tree: aligned products, and a fixed register with them, and one carry-propagate adder."""

from typing import Any

from amaranth.hdl import Const, Module, Signal
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from hwsim.datapath.unit import DotProductUnit, FixedAccumulator
from hwsim.formats import Overflow
from rtl.architecture import Architecture
from rtl.arithmetic.adder import add
from rtl.arithmetic.heap import Heap
from rtl.datapath.accumulate import saturated
from rtl.datapath.decode import Decode
from rtl.datapath.lanes import add_lanes, inverts, multiplied
from rtl.datapath.layouts import operand_layout, register_layout, scale_max, scale_raw, special_bits, total_layout
from rtl.datapath.multiply import join_specials, parity, scale_product
from rtl.datapath.stages import add_stage, multiply_stage
from rtl.part import Part

__all__ = [
    "AccumulateRows",
    "RowSum",
    "RowsOfRow",
    "StepSum",
    "can_build",
    "check_architecture",
    "decoded_row",
    "is_merged",
    "operand_ports",
    "resolved",
    "step_layout",
]


def check_architecture(unit: DotProductUnit, architecture: Architecture) -> None:
    """Raise for what an architecture cannot be for a unit.

    Raises
    ------
    TypeError
        It is no Architecture.
    ValueError
        Its accumulation is in carry-save form, and the register is a float, or saturates, or its addends are not
        reduced in a heap.
    """
    if not isinstance(architecture, Architecture):
        raise TypeError(f"architecture must be an Architecture, not {architecture!r}")
    if can_build(unit, architecture):
        return
    text = f"unit {unit.name} cannot accumulate in carry-save form"
    if not isinstance(unit.accumulator, FixedAccumulator):
        raise ValueError(f"{text}: a float accumulator is rounded in each step, which takes its value")
    if unit.accumulator.overflow is Overflow.SATURATE:
        raise ValueError(f"{text}: a register that saturates is compared in each step, which takes its value")
    raise ValueError(f"{text} with reduction={architecture.reduction!r}: that takes 'heap'")


def can_build(unit: DotProductUnit, architecture: Architecture) -> bool:
    """Whether an architecture can be that of a unit: one in carry-save form only of a fixed register that wraps."""
    if architecture.accumulation == "binary":
        return True
    wraps = isinstance(unit.accumulator, FixedAccumulator) and unit.accumulator.overflow is not Overflow.SATURATE
    return wraps and architecture.reduction == "heap"


def is_merged(unit: DotProductUnit, architecture: Architecture) -> bool:
    """Whether products and their sum are one tree: they are on one grid, and the architecture has a heap."""
    return unit.on_grid and architecture.reduction == "heap"


def step_layout(unit: DotProductUnit, architecture: Architecture) -> data.StructLayout:
    """Return what the register holds: `register_layout`, and with carry-save accumulation a second word."""
    layout = register_layout(unit)
    if architecture.accumulation == "binary":
        return layout
    assert isinstance(unit.accumulator, FixedAccumulator)
    fields = {name: field.shape for name, field in layout}
    return data.StructLayout({"value": fields["value"], "special": fields["special"], "carry": unit.accumulator.bits})


def operand_ports(unit: DotProductUnit) -> dict[str, Any]:
    """Return the input ports of a row's codes, lane 0 at bit 0."""
    ports = {"a": In(unit.lanes * unit.element_a.bits), "b": In(unit.lanes * unit.element_b.bits)}
    counts = unit.scale_counts
    for name, spec, count in (("scale_a", unit.scale_a, counts[0]), ("scale_b", unit.scale_b, counts[1])):
        if spec is not None:
            ports[name] = In(count * spec.bits)
    return ports


def decoded_row(m: Module, unit: DotProductUnit, codes: Any) -> dict[str, Any]:
    """Decode the codes of a row that are attributes of an object: arrays of `operand_layout` by their names."""
    found = {}
    for name, spec, lanes in (
        ("a", unit.element_a, unit.lanes),
        ("b", unit.element_b, unit.lanes),
        ("scale_a", unit.scale_a, unit.scale_counts[0]),
        ("scale_b", unit.scale_b, unit.scale_counts[1]),
    ):
        if spec is not None:
            m.submodules[f"decode_{name}"] = decode = Decode(spec, lanes)
            operands = Signal(data.ArrayLayout(operand_layout(spec), lanes), name=f"{name}_operands")
            m.d.comb += [decode.codes.eq(getattr(codes, name)), operands.eq(decode.operands)]
            found[name] = operands
    return found


class RowSum(Part):
    """Sum of a row's products, from the codes of its operands.

    Parameters
    ----------
    unit : DotProductUnit
        Of which the register is not one of the addends of a truncating step.
    architecture : Architecture

    Members
    -------
    a, b : In, ``lanes`` codes
    scale_a, scale_b : In, a code
        Where the operand is of a block format.
    total : Out, `total_layout`, narrow

    Latency: none, combinational.
    """

    def __init__(self, unit: DotProductUnit, architecture: Architecture) -> None:
        self.spec = unit
        self._architecture = architecture
        super().__init__(operand_ports(unit) | {"total": Out(total_layout(unit, narrow=True))})

    def _module_name(self) -> str:
        return "row_sum"

    def _build(self) -> Module:
        m = Module()
        unit, architecture = self.spec, self._architecture
        operands = decoded_row(m, unit, self)
        if not is_merged(unit, architecture):
            m.submodules.multiply = multiply = multiply_stage(unit, architecture)
            m.submodules.align_add = align_add = add_stage(unit, architecture)
            m.d.comb += [getattr(multiply, name).eq(value) for name, value in operands.items()]
            m.d.comb += align_add.products.eq(multiply.products)
            m.d.comb += [self.total[field].eq(align_add.total[field]) for field in self.total.shape().members]
            return m
        bits = unit.sum_bits if scale_max(unit) > 1 else len(self.total.sum)
        heap = Heap(bits, inverted=inverts(unit, architecture))
        add_lanes(m, heap, unit, architecture, operands["a"], operands["b"])
        total = heap.total(m, "sum", architecture.adder).as_signed()
        scales = [operands[name][0] for name in ("scale_a", "scale_b") if name in operands]
        if scale_max(unit) > 1:
            scale = scale_product(m, unit, scales, architecture)
            total = multiplied(m, total, scale, architecture, "scaled")
        m.d.comb += [self.total.sum.eq(total), self.total.negative.eq(parity([scale.negative for scale in scales]))]
        if scale_raw(unit).bits:
            m.d.comb += self.total.exponent.eq(sum((scale.exponent for scale in scales[1:]), scales[0].exponent))
        if special_bits(unit):
            join_specials(m, unit, operands["a"], operands["b"], scales, self.total.special)
        return m


class RowsOfRow(Part):
    """Sum of a row's products for a fixed accumulator, as two words whose sum as integers is it and a constant more.

    Parameters
    ----------
    unit : DotProductUnit
        With products on one grid and a fixed accumulator.
    architecture : Architecture

    Members
    -------
    a, b : In, ``lanes`` codes
    rows : Out, struct of first, second, special

    Attributes
    ----------
    layout : StructLayout
        Of `rows`.
    constant : int
        To be added to the two words, in units of the register's last place.

    Latency: none, combinational.
    """

    def __init__(self, unit: DotProductUnit, architecture: Architecture) -> None:
        self.spec = unit
        codes = {name: Signal(port.shape, name=f"{name}_codes") for name, port in operand_ports(unit).items()}
        self._made = m = Module()
        operands = decoded_row(m, unit, _Codes(codes))
        largest = (unit.lanes * (unit.product_max << (unit.product_exp_max - unit.product_exp_min))) + 1
        largest = largest << unit.sum_shift if unit.sum_shift >= 0 else largest >> -unit.sum_shift
        # Without the constants of the signs there are only positive addends, and no carry is lost above their sum. A
        # constant is no more than one of a heap's width a place.
        heap = Heap((largest << 8).bit_length())
        add_lanes(m, heap, unit, architecture, operands["a"], operands["b"], unit.sum_shift)
        self.constant = heap.take_constant()
        heap.narrow((largest - self.constant).bit_length())
        first, second = heap.rows(m, "rows")
        self.layout = data.StructLayout({"first": heap.bits, "second": heap.bits, "special": special_bits(unit)})
        super().__init__(operand_ports(unit) | {"rows": Out(self.layout)})
        m.d.comb += [codes[name].eq(getattr(self, name)) for name in codes]
        m.d.comb += [self.rows.first.eq(first), self.rows.second.eq(second)]
        if special_bits(unit):
            join_specials(m, unit, operands["a"], operands["b"], [], self.rows.special)

    def _module_name(self) -> str:
        return "rows"

    def _build(self) -> Module:
        return self._made


class _Codes:
    """Signals by name, as attributes."""

    def __init__(self, signals: dict[str, Any]) -> None:
        self.__dict__.update(signals)


class StepSum(Part):
    """Compute a fixed register's next value from the codes of a row, in one heap.

    Parameters
    ----------
    unit : DotProductUnit
        With a fixed accumulator.
    architecture : Architecture

    Members
    -------
    a, b : In, ``lanes`` codes
    register, following : In and Out, `step_layout`

    Latency: none, combinational.
    """

    def __init__(self, unit: DotProductUnit, architecture: Architecture) -> None:
        self.spec = unit
        self._architecture = architecture
        register = step_layout(unit, architecture)
        super().__init__(operand_ports(unit) | {"register": In(register), "following": Out(register)})

    def _module_name(self) -> str:
        return "step_sum"

    def _build(self) -> Module:
        m = Module()
        unit, architecture = self.spec, self._architecture
        operands = decoded_row(m, unit, self)
        heap = Heap(_heap_bits(unit), inverted=inverts(unit, architecture))
        add_lanes(m, heap, unit, architecture, operands["a"], operands["b"], unit.sum_shift)
        special: Any = Const(0, 0)
        if special_bits(unit):
            special = Signal(special_bits(unit), name="special")
            join_specials(m, unit, operands["a"], operands["b"], [], special)
        _accumulate(m, heap, unit, architecture, self.register, self.following, special)
        return m


class AccumulateRows(Part):
    """Compute a fixed register's next value from the two words of a row.

    Parameters
    ----------
    unit : DotProductUnit
    architecture : Architecture
    layout : StructLayout
    constant : int
        Of `RowsOfRow`.

    Members
    -------
    rows : In, `layout`
    register, following : In and Out, `step_layout`

    Latency: none, combinational.
    """

    def __init__(
        self, unit: DotProductUnit, architecture: Architecture, layout: data.StructLayout, constant: int
    ) -> None:
        self.spec = unit
        self._architecture = architecture
        self._constant = constant
        register = step_layout(unit, architecture)
        super().__init__({"rows": In(layout), "register": In(register), "following": Out(register)})

    def _module_name(self) -> str:
        return "accumulate"

    def _build(self) -> Module:
        m = Module()
        heap = Heap(_heap_bits(self.spec))
        heap.add(self.rows.first)
        heap.add(self.rows.second)
        heap.add_constant(self._constant)
        _accumulate(m, heap, self.spec, self._architecture, self.register, self.following, self.rows.special)
        return m


def _heap_bits(unit: DotProductUnit) -> int:
    """Return the width of a sum of a step and a fixed register: a saturating one must be seen to be beyond."""
    accumulator = unit.accumulator
    assert isinstance(accumulator, FixedAccumulator)
    if accumulator.overflow is Overflow.WRAP:
        return accumulator.bits
    return max(unit.sum_bits + unit.sum_shift, accumulator.bits) + 1


def _accumulate(
    m: Module,
    heap: Heap,
    unit: DotProductUnit,
    architecture: Architecture,
    register: Any,
    following: Any,
    special: Any,
) -> None:
    """Add a fixed register to a heap of `_heap_bits`, and drive what follows it."""
    accumulator = unit.accumulator
    assert isinstance(accumulator, FixedAccumulator)
    m.d.comb += following.special.eq(register.special | special)
    heap.add(register.value)
    if architecture.accumulation == "carry_save":
        heap.add(register.carry)
        first, second = heap.rows(m, "sum")
        m.d.comb += [following.value.eq(first), following.carry.eq(second)]
        return
    total = heap.total(m, "sum", architecture.adder)
    if accumulator.overflow is Overflow.SATURATE:
        total = saturated(m, total.as_signed(), accumulator.bits)
    m.d.comb += following.value.eq(total)


def resolved(m: Module, unit: DotProductUnit, architecture: Architecture, register: Any) -> Any:
    """Return the register as `register_layout`: a carry-save one is added up."""
    if architecture.accumulation == "binary":
        return register
    out = Signal(register_layout(unit), name="resolved")
    total = add(m, register.value, register.carry, topology=architecture.adder, name="resolved_value")
    m.d.comb += [out.value.eq(total), out.special.eq(register.special)]
    return out
