# SPDX-License-Identifier: Apache-2.0
"""Block formats: a code of an element and that of its block's scale become one significand and one exponent."""

from typing import Self

from amaranth.hdl import Module, Shape, Signal
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from hwsim.formats import BlockSpec, FloatSpec
from rtl.datapath.layouts import Raw, operand_layout, operand_raw
from rtl.formats.decoder import decode
from rtl.part import Part

__all__ = [
    "BlockDecoder",
    "check_block",
    "scaled_layout",
    "scaled_raw",
]


def scaled_raw(spec: BlockSpec) -> Raw:
    """Return the range and the offset of the exponents of scaled elements."""
    assert isinstance(spec.scale, FloatSpec)
    return (operand_raw(spec.element) + operand_raw(spec.scale)).fixed()


def scaled_layout(spec: BlockSpec) -> data.StructLayout:
    """Return what is made of an element and its scale: as `operand_layout`, the significand being their product."""
    assert isinstance(spec.scale, FloatSpec)
    element, scale = operand_layout(spec.element), operand_layout(spec.scale)
    shape = Shape.cast(element["significand"].shape)
    grown = spec.scale.sig_bits if spec.scale.max_significand > 1 else 0
    return data.StructLayout(
        {
            "significand": Shape(shape.width + grown, signed=shape.signed),
            "exponent": scaled_raw(spec).bits,
            "negative": int(element["negative"].width or scale["negative"].width),
            "nan": int(spec.element.has_nan or spec.scale.has_nan or spec.element.has_inf or spec.scale.has_inf),
            "infinite": int(spec.element.has_inf or spec.scale.has_inf),
        }
    )


def check_block(spec: BlockSpec) -> None:
    """Raise unless a block format has a decoder: it has a float scale, one element format and no zero points."""
    if not isinstance(spec, BlockSpec):
        raise TypeError(f"spec must be a BlockSpec, not {spec!r}")
    if not isinstance(spec.scale, FloatSpec):
        raise ValueError(f"the scale of a block decoder must be a float, not {spec.scale.name}")
    if spec.zero_point or spec.others:
        what = "zero points" if spec.zero_point else "more than one element format"
        raise ValueError(f"a block decoder takes one element format without zero points; {spec.name} has {what}")


class BlockDecoder(Part):
    """Decode an element with its scale: ``significand * 2**(exponent + offset)``, negated where `negative` is set.

    Scales of the tensor or of a channel are left to the user.

    Parameters
    ----------
    spec : BlockSpec
        With a float scale, one element format and no zero points.

    Members
    -------
    code, scale : In
        The element and the scale of its block.
    significand, exponent, negative, nan, infinite : Out
        The fields of `scaled_layout`, without those of no use. The offset is ``scaled_raw(spec).offset``. An infinity
        times zero is NaN. Where `nan` or `infinite` is set, all but `negative` is of no meaning, and with `nan` that
        neither.

    Latency: none, combinational.

    Raises
    ------
    TypeError, ValueError
        If spec is no such format.
    """

    def __new__(cls, spec: BlockSpec) -> Self:
        """Check the spec before there is a component: Amaranth warns of one that is not used."""
        check_block(spec)
        made: Self = super().__new__(cls)
        return made

    def __init__(self, spec: BlockSpec) -> None:
        self.spec = spec
        fields = {name: Out(field.shape) for name, field in scaled_layout(spec) if field.width}
        super().__init__({"code": In(spec.element.bits), "scale": In(spec.scale.bits)} | fields)

    def _module_name(self) -> str:
        return f"decode_{self.spec.name}"

    def _build(self) -> Module:
        m = Module()
        spec = self.spec
        assert isinstance(spec.scale, FloatSpec)
        element = Signal(operand_layout(spec.element), name="element")
        scale = Signal(operand_layout(spec.scale), name="block_scale")
        decode(m, spec.element, self.code, element)
        decode(m, spec.scale, self.scale, scale)
        significand = element.significand
        if spec.scale.max_significand > 1:
            significand = significand * scale.significand
        special = element.infinite.any() | scale.infinite.any()
        nan = element.nan.any() | scale.nan.any()
        if spec.element.has_inf:
            nan = nan | (element.infinite & ~scale.significand.any() & ~scale.infinite.any())
        if spec.scale.has_inf:
            nan = nan | (scale.infinite & ~element.significand.any() & ~element.infinite.any())
        outputs = {
            "significand": significand,
            "exponent": element.exponent + scale.exponent,
            "negative": element.negative.any() ^ scale.negative.any(),
            "nan": nan,
            "infinite": special & ~nan,
        }
        for name, field in scaled_layout(spec):
            if field.width:
                m.d.comb += getattr(self, name).eq(outputs[name])
        return m
