# SPDX-License-Identifier: Apache-2.0
"""Elements of a block whose scale is a power of two: float32 numbers, rounded to nearest even, saturating."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib.wiring import In, Out

from hwsim.formats import BlockSpec, FloatSpec, IntegerSpec, Rounding
from rtl.arithmetic.increment import cut, increment
from rtl.arithmetic.leading_zeros import LeadingZeros
from rtl.part import Part

__all__ = [
    "ElementEncoder",
    "check_element",
    "exponent_field",
    "float_magnitude",
    "to_the_top",
]

_FLOAT32_BIAS = 127


def check_element(spec: BlockSpec) -> None:
    """Raise unless a block's elements are signed floats with subnormals and two zeros, or two's complement."""
    element = spec.element
    if isinstance(element, FloatSpec):
        good = element.signed and element.subnormals and element.man_bits >= 1
        good = good and element.nan_code != 1 << (element.bits - 1)
    else:
        good = isinstance(element, IntegerSpec) and element.signed and not element.zero_point
    if not good or spec.zero_point or spec.others:
        text = "elements must be of one signed format, floats with subnormals and -0 or integers about zero"
        raise ValueError(f"{text}, to be quantized in hardware; {spec.name} has others")


def exponent_field(field: Any) -> Any:
    """Return the exponent field by which a number counts: that of a subnormal is the smallest normal number's."""
    return Cat(field[0] | ~field.any(), field[1:])


def to_the_top(m: Module, value: Any, name: str, most: int | None = None) -> tuple[Any, Any]:
    """Shift a value left, by at most `most` places, until its highest bit is set; return it and how far it went.

    Zero goes the whole way, which is the value's width if not given.
    """
    most = len(value) if most is None else most
    m.submodules[f"{name}_zeros"] = leading = LeadingZeros(most)
    m.d.comb += leading.value.eq(value[len(value) - most :])
    stage = value
    for index in range(len(leading.count)):
        step = min(1 << index, len(value))
        wide = Signal(len(value), name=f"{name}_{1 << index}")
        m.d.comb += wide.eq(Mux(leading.count[index], Cat(Const(0, step), stage[: len(value) - step]), stage))
        stage = wide
    return stage, leading.count


def float_magnitude(m: Module, spec: FloatSpec, significand: Any, field: Any, name: str) -> Any:
    """Return the code, less its sign, of a number rounded to nearest even and saturated.

    Parameters
    ----------
    significand : Value
        Its lowest bit may be sticky, if it has three bits more than the format's significand. The highest is set unless
        the number is below the smallest normal one.
    field : signed Signal
        The exponent field that the highest bit would have.
    """
    amount = Signal(len(field), name=f"{name}_amount")
    base = Signal(len(field), name=f"{name}_base")
    is_low = field < 1
    m.d.comb += amount.eq(Mux(is_low, 1 - field, 0))
    m.d.comb += base.eq(Mux(is_low | ~significand[-1], 0, field - 1))
    kept, below = cut(m, significand, amount, spec.sig_bits, Rounding.NEAREST_EVEN, 0, name)
    last = kept[0] if spec.man_bits else kept[0] ^ base[0]
    one = increment(Rounding.NEAREST_EVEN, last, below, Const(0, 1), Const(0, 1))
    wide = Signal(len(base) + spec.man_bits + 1, name=f"{name}_wide")
    m.d.comb += wide.eq(Cat(Const(0, spec.man_bits), base) + kept + one)
    magnitude = Signal(spec.exp_bits + spec.man_bits, name=f"{name}_magnitude")
    m.d.comb += magnitude.eq(Mux(wide > spec.max_magnitude_code, spec.max_magnitude_code, wide))
    return magnitude


class ElementEncoder(Part):
    """Divide a float32 number by a block's scale, a power of two, and encode it.

    Parameters
    ----------
    spec : BlockSpec
    lowest : int
        The least that the scale's code is above the number's exponent field, of any number in the block.

    Members
    -------
    value : In, 32 bits
    scale : In, ``spec.scale.bits`` bits
        Of a finite scale.
    zero : In, 1 bit
        Make it the code of zero.
    code : Out, ``spec.element.bits`` bits

    Latency: none, combinational.
    """

    def __init__(self, spec: BlockSpec, lowest: int) -> None:
        self.spec = spec
        self._lowest = lowest
        super().__init__({"value": In(32), "scale": In(spec.scale.bits), "zero": In(1), "code": Out(spec.element.bits)})

    def _module_name(self) -> str:
        return f"element_{self.spec.name}"

    def _build(self) -> Module:
        m = Module()
        element, scale = self.spec.element, self.spec.scale
        assert isinstance(scale, FloatSpec)
        field = self.value[23:31]
        significand = Cat(self.value[:23], field.any())
        known = exponent_field(field)
        distance = Signal(signed(max(len(known), scale.bits) + 1), name="distance")
        m.d.comb += distance.eq(self.scale - known)
        offset = scale.bias - _FLOAT32_BIAS
        if isinstance(element, FloatSpec):
            code = self._float(m, element, significand, distance, element.bias + offset)
        else:
            assert isinstance(element, IntegerSpec)
            code = self._integer(m, element, significand, distance, offset)
        m.d.comb += self.code.eq(code & (~self.zero).replicate(element.bits))
        return m

    def _float(self, m: Module, spec: FloatSpec, significand: Any, distance: Any, offset: int) -> Any:
        top = Signal(signed(len(distance) + 2), name="top")
        if offset > 0:
            # A subnormal number under the smallest scales may be a normal element.
            significand, raised = to_the_top(m, significand, "normal", offset)
            m.d.comb += top.eq(offset - distance - raised)
        else:
            m.d.comb += top.eq(offset - distance)
        return Cat(float_magnitude(m, spec, significand, top, "element"), self.value[-1])

    def _integer(self, m: Module, spec: IntegerSpec, significand: Any, distance: Any, offset: int) -> Any:
        # One bit more than the largest magnitude has, so that what exceeds it shows.
        kept_bits = spec.max_int.bit_length() + 1
        constant = kept_bits - 1 - spec.fraction_bits - offset
        assert self._lowest + constant >= 0
        amount = Signal(len(distance) + 1, name="amount")
        m.d.comb += amount.eq(distance + constant)
        kept, below = cut(m, significand, amount, kept_bits, Rounding.NEAREST_EVEN, 0)
        one = increment(Rounding.NEAREST_EVEN, kept[0], below, Const(0, 1), Const(0, 1))
        rounded = Signal(kept_bits + 1, name="rounded")
        m.d.comb += rounded.eq(kept + one)
        negative = self.value[-1]
        limit = Mux(negative, -spec.min_int, spec.max_int)
        magnitude = Signal(spec.bits, name="magnitude")
        m.d.comb += magnitude.eq(Mux(rounded > limit, limit, rounded))
        return ((magnitude ^ negative.replicate(spec.bits)) + negative)[: spec.bits]
