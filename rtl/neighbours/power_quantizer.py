# SPDX-License-Identifier: Apache-2.0
"""Block quantizers whose scale is a power of two: MX formats, block floating point."""

from math import frexp, isqrt
from typing import Self

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib.wiring import In, Out

from hwsim.formats import BlockSpec, FloatSpec, ScaleRule
from hwsim.formats.scaling import element_limit
from rtl.arithmetic.tree import maximum
from rtl.neighbours.elements import ElementEncoder, check_element
from rtl.part import Part

__all__ = [
    "PowerBlockQuantizer",
    "check_power_block",
]

_RULES = (ScaleRule.OCP_FLOOR, ScaleRule.OCP_CEIL, ScaleRule.CEIL, ScaleRule.NEAREST, ScaleRule.EVEN)
_SPECIAL = 255  # the exponent field of infinities and NaNs
_ONE = 1 << 24


def _thresholds(spec: BlockSpec) -> tuple[int, tuple[int, ...]]:
    """Return the power that a block's scale has less than its largest number, and what raises it by one.

    Each threshold is a significand of 24 bits, its highest set, that the largest number's is not below.
    """
    fraction, power = frexp(element_limit(spec.element))
    whole = int(fraction * _ONE)
    if spec.rule is ScaleRule.OCP_FLOOR:
        return power, ()
    if spec.rule is ScaleRule.OCP_CEIL:
        return power, (_ONE // 2 + 1,)
    if spec.rule is ScaleRule.CEIL:
        return power, (whole + 1,)
    if spec.rule is ScaleRule.EVEN:
        assert isinstance(spec.element, FloatSpec)
        return power, (_ONE - (_ONE >> (spec.element.man_bits + 2)),)
    # The boundaries are sqrt(2) and its inverse times the limit's fraction, both irrational.
    return power + 1, (isqrt(whole * whole // 2) + 1, isqrt(2 * whole * whole) + 1)


def _offset(spec: BlockSpec) -> int:
    """Return the scale's code less the largest number's exponent field, where no threshold is reached."""
    assert isinstance(spec.scale, FloatSpec)
    return spec.scale.bias - 126 - _thresholds(spec)[0]


def check_power_block(spec: BlockSpec) -> None:
    """Raise unless `PowerBlockQuantizer` takes a format.

    Raises
    ------
    TypeError, ValueError
        If it is no block format, or has another rule, shape or element, or elements that are all small, so that a
        subnormal float32 would have other than the smallest scale.
    """
    if not isinstance(spec, BlockSpec):
        raise TypeError(f"spec must be a BlockSpec, not {spec!r}")
    if spec.rule not in _RULES:
        raise ValueError(f"rule must be one of {', '.join(rule.name for rule in _RULES)}, not {spec.rule.name}")
    if spec.block_rows != 1 or not spec.block_size or spec.tensor_scale or spec.channel_scale:
        raise ValueError(f"blocks must be along one row, with no scale above theirs; {spec.name} is not so")
    check_element(spec)
    thresholds = _thresholds(spec)[1]
    if _offset(spec) + max(len(thresholds) - 1, 0) > 0 or not isinstance(spec.scale, FloatSpec):
        raise ValueError(f"elements must reach 1 and scales 2**-127 at least, and {spec.name} does not")


class PowerBlockQuantizer(Part):
    """Choose the scale of a block of float32 numbers, a power of two, and encode them, as `quantize` does.

    Parameters
    ----------
    spec : BlockSpec
        A rule of powers of two of the largest magnitude: OCP_FLOOR, OCP_CEIL, CEIL, NEAREST or EVEN. There are
        ``spec.block_size`` lanes.

    Members
    -------
    values : In, 32 bits for each lane
        float32, lane 0 at bit 0.
    codes : Out, ``spec.element.bits`` bits for each lane
        Rounded to nearest even, saturating; zeros where a number of the block is not finite.
    scale : Out, ``spec.scale.bits`` bits
        NaN where a number of the block is not finite.

    Latency: none, combinational.

    Raises
    ------
    TypeError, ValueError
        If spec is no such format.
    """

    def __new__(cls, spec: BlockSpec) -> Self:
        """Check the spec before there is a component: Amaranth warns of one that is not used."""
        check_power_block(spec)
        made: Self = super().__new__(cls)
        return made

    def __init__(self, spec: BlockSpec) -> None:
        self.spec = spec
        lanes = spec.block_size
        super().__init__(
            {"values": In(32 * lanes), "codes": Out(spec.element.bits * lanes), "scale": Out(spec.scale.bits)}
        )

    def _module_name(self) -> str:
        return f"quantize_{self.spec.name}"

    def _build(self) -> Module:
        m = Module()
        spec = self.spec
        assert isinstance(spec.scale, FloatSpec)
        lanes = [self.values[32 * index : 32 * (index + 1)] for index in range(spec.block_size)]
        _, thresholds = _thresholds(spec)
        raised = []
        for index, lane in enumerate(lanes):
            field, significand = lane[23:31], Cat(lane[:23], Const(1, 1))
            if not thresholds:
                raised.append(field)
                continue
            # Of a subnormal number only one that fills the 23 bits counts: any other has the smallest scale.
            aligned = Signal(24, name=f"aligned_{index}")
            total = Signal(9, name=f"raised_{index}")
            m.d.comb += aligned.eq(Mux(field.any(), significand, lane[:23] << 1))
            reached = [aligned >= threshold for threshold in thresholds if threshold < _ONE]
            m.d.comb += total.eq(field + sum(reached))
            raised.append(total)
        largest = maximum(m, raised, "largest")
        special = Signal(name="special")
        m.d.comb += special.eq(Cat(lane[23:31] == _SPECIAL for lane in lanes).any())
        offset = _offset(spec)
        wanted = Signal(signed(max(10, spec.scale.bits + 2, offset.bit_length() + 2)), name="wanted")
        chosen = Signal(spec.scale.bits, name="chosen")
        top = spec.scale.max_magnitude_code
        m.d.comb += wanted.eq(largest + offset)
        m.d.comb += chosen.eq(Mux(wanted < 0, 0, Mux(wanted > top, top, wanted)))
        m.d.comb += self.scale.eq(Mux(special, spec.scale.nan_code, chosen))
        codes = []
        for index, lane in enumerate(lanes):
            m.submodules[f"lane_{index}"] = encoder = ElementEncoder(spec, min(offset, -1))
            m.d.comb += [encoder.value.eq(lane), encoder.scale.eq(chosen), encoder.zero.eq(special)]
            codes.append(encoder.code)
        m.d.comb += self.codes.eq(Cat(codes))
        return m
