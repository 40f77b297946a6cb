# SPDX-License-Identifier: Apache-2.0
"""Operands as they enter a unit: low bits dropped, a wider format, subnormals flushed to zero."""

from dataclasses import replace
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from hwsim.datapath.unit import (
    Alignment,
    DotProductUnit,
    FloatAccumulator,
    Promotion,
    ScalarSpec,
    TruncatedAlignment,
)
from hwsim.formats import BlockSpec, FloatSpec, Rounding
from rtl.datapath.layouts import operand_layout
from rtl.formats.float import decode_float
from rtl.part import Part

__all__ = [
    "Enter",
    "can_enter",
    "changes_codes",
    "code_bits",
    "entered",
    "flush",
    "loaded",
]


def entered(unit: DotProductUnit) -> DotProductUnit:
    """Return the unit of the codes that have entered; the unit itself where they do so as they are.

    An order is no part of it: rows come in the order in which they enter.
    """
    if not (changes_codes(unit) or unit.order or unit.sparsity):
        return unit
    return replace(
        unit,
        a=unit.unpacked or _dense(unit, unit.a),
        b=unit.unpacked or _dense(unit, unit.b),
        alignment=_dense_alignment(unit),
        promotion=_dense_promotion(unit),
        sparsity=None,
        order=(),
        ignored_bits=0,
        operand_rounding=Rounding.TOWARD_ZERO,
        flush_operands=False,
        unpacked=None,
    )


def _dense(unit: DotProductUnit, spec: ScalarSpec | BlockSpec) -> ScalarSpec | BlockSpec:
    """Return an operand's format of what is left when the zeros of a are left out."""
    if unit.sparsity is None or not isinstance(spec, BlockSpec):
        return spec
    return replace(spec, block_size=spec.block_size // unit.sparsity.of * unit.sparsity.kept)


def _dense_alignment(unit: DotProductUnit) -> Alignment:
    """Return the alignment of what is left when the zeros of a are left out."""
    alignment = unit.alignment
    if unit.sparsity is None or not isinstance(alignment, TruncatedAlignment) or alignment.group == 1:
        return alignment
    return replace(alignment, group=alignment.group // unit.sparsity.of * unit.sparsity.kept)


def _dense_promotion(unit: DotProductUnit) -> Promotion | None:
    """Return the promotion after as many steps, of what is left when the zeros of a are left out."""
    if unit.sparsity is None or unit.promotion is None:
        return unit.promotion
    return replace(unit.promotion, length=unit.promotion.length // unit.sparsity.of * unit.sparsity.kept)


def can_enter(unit: DotProductUnit) -> bool:
    """Whether what operands are unpacked to has signs, where they have."""
    wide = unit.unpacked
    return wide is None or wide.signed or not any(isinstance(x, FloatSpec) and x.signed for x in (unit.a, unit.b))


def changes_codes(unit: DotProductUnit) -> bool:
    """Whether an operand's code is another one when it has entered."""
    return unit.ignored_bits > 0 or unit.flush_operands or unit.unpacked is not None


def code_bits(unit: DotProductUnit) -> tuple[int, int]:
    """Return the bits of a code of a, and of b, before it enters."""
    return unit.element_a.bits + unit.ignored_bits, unit.element_b.bits + unit.ignored_bits


def loaded(m: Module, unit: DotProductUnit, c: Any) -> Any:
    """Return c as the register takes it: with flushed operands, a zero of its sign for a subnormal."""
    if not (unit.flush_operands and isinstance(unit.register, FloatAccumulator)):
        return c
    out = Signal(len(c), name="loaded")
    m.d.comb += out.eq(flush(unit.register.format, c))
    return out


def flush(spec: FloatSpec, code: Any) -> Any:
    """Return a code, or a zero of its sign for a subnormal; where -0 is NaN, a zero without one."""
    normal = code[spec.man_bits : spec.man_bits + spec.exp_bits].any()
    mantissa = code[: spec.man_bits]
    rest = code[spec.man_bits :]
    if spec.signed and spec.nan_code == 1 << (spec.bits - 1):
        rest = Cat(rest[:-1], rest[-1] & (normal | ~mantissa.any()))
    return Cat(mantissa & normal.replicate(spec.man_bits), rest)


class Enter(Part):
    """Change the codes of one operand as they enter a unit.

    Parameters
    ----------
    unit : DotProductUnit
    spec : IntegerSpec, FloatSpec, PositSpec or CodebookSpec
        ``unit.element_a`` or ``unit.element_b``.
    count : int
        Codes: ``unit.lanes``, or the ``unit.width`` of a dense operand beside a sparse one.

    Members
    -------
    codes : In, ``count * (spec.bits + ignored_bits)`` bits
        The first at bit 0.
    entered : Out, ``count`` codes of ``unit.unpacked``, or of `spec` where that is None

    Latency: none, combinational.
    """

    def __init__(self, unit: DotProductUnit, spec: ScalarSpec, count: int) -> None:
        self.spec = unit
        self._format = spec
        self._count = count
        self._bits = spec.bits + unit.ignored_bits
        bits = spec.bits if unit.unpacked is None else unit.unpacked.bits
        super().__init__({"codes": In(count * self._bits), "entered": Out(count * bits)})

    def _module_name(self) -> str:
        return f"enter_{self._format.name}"

    def _build(self) -> Module:
        m = Module()
        unit, spec = self.spec, self._format
        found = []
        for lane in range(self._count):
            code: Any = self.codes[lane * self._bits : (lane + 1) * self._bits]
            wide = spec
            if unit.ignored_bits:
                assert isinstance(spec, FloatSpec)  # by the unit's check
                code = _dropped(spec, code, unit.ignored_bits, unit.operand_rounding)
            if unit.unpacked is not None:
                assert isinstance(spec, FloatSpec)
                code, wide = _widened(m, spec, unit.unpacked, code, f"wide_{lane}"), unit.unpacked
            if unit.flush_operands and isinstance(wide, FloatSpec):
                code = flush(wide, code)
            found.append(code)
        m.d.comb += self.entered.eq(Cat(*found))
        return m


def _dropped(spec: FloatSpec, code: Any, ignored: int, rounding: Rounding) -> Any:
    """Return a code of IEEE specials without its lowest bits, cut or rounded to nearest even."""
    narrow = code[ignored:]
    if rounding is Rounding.TOWARD_ZERO:
        return narrow
    bits = spec.exp_bits + spec.man_bits
    magnitude, below = narrow[:bits], code[:ignored]
    sticky = below[:-1].any() if ignored > 1 else Const(0, 1)
    rounded = (magnitude + (below[-1] & (sticky | magnitude[0])))[:bits]
    special = magnitude[spec.man_bits :].all()
    nan = special & (magnitude[: spec.man_bits].any() | below.any())
    kept = Cat(Mux(special, magnitude, rounded)[:bits], narrow[bits:])
    return Mux(nan, Const(spec.nan_code, spec.bits), kept)[: spec.bits]


def _widened(m: Module, spec: FloatSpec, wide: FloatSpec, code: Any, name: str) -> Any:
    """Return the code of the same number in a format that holds every value of `spec`."""
    operand = Signal(operand_layout(spec), name=f"{name}_operand")
    decode_float(m, spec, code, operand)
    mantissa, field = code[: spec.man_bits], code[spec.man_bits : spec.man_bits + spec.exp_bits]
    magnitude = Signal(wide.exp_bits + wide.man_bits, name=name)
    normal = Cat(Const(0, wide.man_bits - spec.man_bits), mantissa, (field + (wide.bias - spec.bias))[: wide.exp_bits])
    m.d.comb += magnitude.eq(normal)
    with m.If(~field.any()):
        m.d.comb += magnitude.eq(_subnormal(spec, wide, mantissa))
    if spec.has_inf:
        with m.If(operand.infinite):
            m.d.comb += magnitude.eq(wide.inf_code)
    negative = operand.negative.any()
    if wide.nan_code == 1 << (wide.bits - 1):  # no zero has a sign
        negative = negative & magnitude.any()
    out = Cat(magnitude, negative)[: wide.bits]
    return Mux(operand.nan, Const(wide.nan_code, wide.bits), out)[: wide.bits] if spec.has_nan else out


def _subnormal(spec: FloatSpec, wide: FloatSpec, mantissa: Any) -> Any:
    """Return the magnitude's code of a subnormal of `spec`: of each place of its leading bit a field and a shift."""
    found: Any = Const(0, wide.exp_bits + wide.man_bits)
    for place in range(spec.man_bits):
        field = spec.exp_min + place + wide.bias
        if field < 1:  # a subnormal of the wider format, too
            made = mantissa << (spec.exp_min - wide.exp_min)
        else:
            made = Cat(Const(0, wide.man_bits - place), mantissa[:place], Const(field, wide.exp_bits))
        found = Mux(mantissa[place], made, found)
    return found
