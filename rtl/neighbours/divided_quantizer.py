# SPDX-License-Identifier: Apache-2.0
"""Block quantizers whose scale is a rounded quotient: NVFP4, NVINT4, groups of four-bit integers."""

from fractions import Fraction
from typing import Any, Self

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib.wiring import In, Out

from hwsim.formats import BlockSpec, FloatSpec, IntegerSpec, ScaleRule, Specials
from hwsim.formats.scaling import element_limit
from rtl.arithmetic.shift import shift_right_jam
from rtl.arithmetic.tree import maximum
from rtl.neighbours.elements import check_element, exponent_field, float_magnitude, to_the_top
from rtl.part import Part

__all__ = [
    "DividedBlockQuantizer",
    "ThresholdPattern",
    "check_divided_block",
]

_INFINITY = 0x7F800000


def _levels(spec: BlockSpec) -> list[Fraction]:
    """Return the magnitudes of an element's codes, ascending from zero."""
    element = spec.element
    if isinstance(element, IntegerSpec):
        return [Fraction(code, 1 << element.fraction_bits) for code in range(element.max_int + 1)]
    assert isinstance(element, FloatSpec)
    return [Fraction(value) for value in element.decode(range(element.max_magnitude_code + 1)).tolist()]


def _odd(value: Fraction) -> tuple[int, int]:
    """Return an odd integer and a power of two whose product is a positive dyadic fraction."""
    numerator, power = value.numerator, -(value.denominator.bit_length() - 1)
    while numerator % 2 == 0:
        numerator, power = numerator // 2, power + 1
    return numerator, power


def check_divided_block(spec: BlockSpec) -> None:
    """Raise unless `DividedBlockQuantizer` takes a format.

    Raises
    ------
    TypeError, ValueError
        If it is no block format, or has another rule or shape, or elements of more than four bits or a lone -8.
    """
    if not isinstance(spec, BlockSpec):
        raise TypeError(f"spec must be a BlockSpec, not {spec!r}")
    if spec.rule is not ScaleRule.AMAX:
        raise ValueError(f"rule must be AMAX, not {spec.rule.name}")
    if spec.block_rows != 1 or not spec.block_size or spec.channel_scale:
        raise ValueError(f"blocks must be along one row, without scales of channels; {spec.name} is not so")
    check_element(spec)
    element, scale = spec.element, spec.scale
    if element.bits > 4 or (isinstance(element, IntegerSpec) and element.min_int != -element.max_int):
        raise ValueError(f"elements must be symmetric, of at most 4 bits; those of {spec.name} are {element.name}")
    if isinstance(element, FloatSpec) and element.specials is not Specials.FINITE:
        raise ValueError(f"elements must all be finite; those of {spec.name} are {element.name}")
    if not isinstance(scale, FloatSpec) or not scale.subnormals or not scale.has_nan or scale.name == "float32":
        raise ValueError(f"the scale must be a float with subnormals and NaN; that of {spec.name} is {scale.name}")


class ThresholdPattern(Part):
    """Find the smallest float32 magnitude that passes ``number * 2**power``.

    Parameters
    ----------
    bits : int
        Of the number, at least 24.
    power_bits : int
        Of the signed power.
    reached : bool
        Whether equality passes too.

    Members
    -------
    number : In, `bits` bits
        One of its highest two bits is set.
    power : In, signed, `power_bits` bits
    pattern : Out, 31 bits
        As an integer, its exponent field and mantissa; infinity's, if no finite number passes.

    Latency: none, combinational.
    """

    def __init__(self, bits: int, power_bits: int, *, reached: bool) -> None:
        self._reached = reached
        super().__init__({"number": In(bits), "power": In(signed(power_bits)), "pattern": Out(31)})

    def _module_name(self) -> str:
        return f"threshold_w{len(self.number)}_{'reached' if self._reached else 'passed'}"

    def _build(self) -> Module:
        m = Module()
        width = len(self.number)
        high = self.number[-1]
        normal = Signal(width, name="normal")
        field = Signal(signed(len(self.power) + 2), name="field")
        m.d.comb += normal.eq(Mux(high, self.number, self.number << 1))
        # The highest bit of `normal` stands for 2**(field - 127).
        m.d.comb += field.eq(self.power + (width - 2 + 127) + high)
        is_low = field < 1
        amount = Signal(len(field), name="amount")
        limited = Signal(5, name="limited")
        m.d.comb += amount.eq(Mux(is_low, 1 - field, 0))
        m.d.comb += limited.eq(Mux(amount > 25, 25, amount))
        # A significand of 24 bits, and below it whether any further bit is set.
        whole = Cat(normal[: width - 24].any(), normal[width - 24 :])
        word = shift_right_jam(m, whole, limited, 25, "aligned")
        base = Signal(8, name="base")
        m.d.comb += base.eq(Mux(is_low, 0, field - 1))
        one = word[0] if self._reached else Const(1, 1)
        pattern = Signal(33, name="wide")
        m.d.comb += pattern.eq(Cat(Const(0, 23), base) + word[1:] + one)
        is_beyond = ~is_low & (field > 254)
        m.d.comb += self.pattern.eq(Mux(is_beyond, _INFINITY, pattern))
        return m


class DividedBlockQuantizer(Part):
    """Choose the scale of a block of float32 numbers, a rounded quotient, and encode them, as `quantize` does.

    The scale is the largest magnitude over the element's limit and the tensor's scale, by a few steps of long
    division. An element is not divided: its magnitude is compared with the float32 numbers at which codes change, which
    are found once for the block from the products of its scale, the tensor's and the means of neighbouring codes.

    Parameters
    ----------
    spec : BlockSpec
        Rule AMAX, elements of up to four bits. There are ``spec.block_size`` lanes.

    Members
    -------
    values : In, 32 bits for each lane
        float32, lane 0 at bit 0.
    tensor_scale : In, 32 bits, where the format has one
        A float32, whose sign is ignored.
    codes : Out, ``spec.element.bits`` bits for each lane
        Rounded to nearest even, saturating; zeros where the scale is zero or NaN.
    scale : Out, ``spec.scale.bits`` bits
        To nearest even, saturating; NaN where a number of the block is not finite, or the tensor's scale is not so or
        zero.

    Latency: none, combinational.

    Raises
    ------
    TypeError, ValueError
        If spec is no such format.
    """

    def __new__(cls, spec: BlockSpec) -> Self:
        """Check the spec before there is a component: Amaranth warns of one that is not used."""
        check_divided_block(spec)
        made: Self = super().__new__(cls)
        return made

    def __init__(self, spec: BlockSpec) -> None:
        self.spec = spec
        lanes = spec.block_size
        outer = {"tensor_scale": In(32)} if spec.tensor_scale else {}
        ports = {"codes": Out(spec.element.bits * lanes), "scale": Out(spec.scale.bits)}
        super().__init__({"values": In(32 * lanes)} | outer | ports)

    def _module_name(self) -> str:
        return f"quantize_{self.spec.name}"

    def _build(self) -> Module:
        m = Module()
        spec = self.spec
        assert isinstance(spec.scale, FloatSpec)
        lanes = [self.values[32 * index : 32 * (index + 1)] for index in range(spec.block_size)]
        largest = Signal(31, name="largest_magnitude")
        m.d.comb += largest.eq(maximum(m, [lane[:31] for lane in lanes], "largest"))
        special: Value = largest[23:].all()
        number, number_field = _normal(m, largest, "number")
        above: Value = Const(1 << 23, 24)
        above_field: Value = Const(127, 8)
        if spec.tensor_scale:
            outer = self.tensor_scale[:31]
            special = special | outer[23:].all() | ~outer.any()
            above, above_field = _normal(m, outer, "outer")
        chosen = self._scale(m, number, number_field, above, above_field)
        m.d.comb += self.scale.eq(Mux(special, spec.scale.nan_code, chosen))
        zero = Signal(name="zero")
        m.d.comb += zero.eq(special | ~chosen.any())
        thresholds = self._thresholds(m, chosen, above, above_field)
        codes = []
        for index, lane in enumerate(lanes):
            passed = Signal(len(thresholds), name=f"passed_{index}")
            m.d.comb += passed.eq(Cat(lane[:31] >= threshold for threshold in thresholds))
            codes.append(self._code(passed, lane[-1]) & (~zero).replicate(spec.element.bits))
        m.d.comb += self.codes.eq(Cat(codes))
        return m

    def _scale(self, m: Module, number: Value, number_field: Value, above: Value, above_field: Value) -> Value:
        """Return the code of ``number / limit / above``, by long division."""
        scale = self.spec.scale
        assert isinstance(scale, FloatSpec)
        odd, power = _odd(Fraction(element_limit(self.spec.element)))
        divisor = Signal(24 + odd.bit_length(), name="divisor")
        m.d.comb += divisor.eq(above * odd)
        # The quotient of two significands, one times `odd`, has this many bits before its point is moved by `places`,
        # and of these at least two more than the scale's significand.
        places = scale.sig_bits + 1 + odd.bit_length()
        steps = (((2 << places) - 1) // odd).bit_length()
        rest: Any = Cat(Const(0, places - steps + 1), number)
        digits = []
        for index in range(steps):
            # Less than twice the divisor, so that the difference's sign is the digit's opposite.
            difference = Signal(len(divisor) + 2, name=f"difference_{steps - 1 - index}")
            after = Signal(len(divisor) + 1, name=f"rest_{steps - 1 - index}")
            m.d.comb += difference.eq(rest - divisor)
            m.d.comb += after.eq(Mux(difference[-1], rest, difference) << 1)
            digits.append(~difference[-1])
            rest = after
        quotient = Cat(rest.any(), *reversed(digits))
        normal, raised = to_the_top(m, quotient, "quotient")
        bits = max(12, scale.exp_bits + 3)
        field = Signal(signed(bits), name="scale_field")
        constant = steps - 1 - places - power + scale.bias
        m.d.comb += field.eq(number_field - above_field + constant - raised)
        chosen = Signal(scale.bits, name="chosen")
        m.d.comb += chosen.eq(float_magnitude(m, scale, normal, field, "scale"))
        return chosen

    def _thresholds(self, m: Module, chosen: Value, above: Value, above_field: Value) -> list[Value]:
        """Return the float32 magnitudes from which an element has at least the first, the second ... code."""
        scale = self.spec.scale
        assert isinstance(scale, FloatSpec)
        field = chosen[scale.man_bits : scale.man_bits + scale.exp_bits]
        significand = Cat(chosen[: scale.man_bits], field.any())
        normal, raised = to_the_top(m, significand, "scale_normal")
        product = Signal(24 + len(significand), name="product")
        factor = Signal(len(product), name="factor")
        m.d.comb += product.eq(normal * above)
        m.d.comb += factor.eq(Mux(product[-1], product, product << 1))
        power = Signal(signed(13), name="factor_power")
        # Of significands that are integers: the scale's unit and float32's.
        constant = -(scale.bias + scale.man_bits) - (127 + 23) - 1
        m.d.comb += power.eq(exponent_field(field) + above_field + constant + product[-1] - raised)
        levels = _levels(self.spec)
        multiples: dict[int, Value] = {}
        found = []
        for index in range(len(levels) - 1):
            odd, shift = _odd((levels[index] + levels[index + 1]) / 2)
            if odd not in multiples:
                multiples[odd] = Signal(len(factor) + odd.bit_length() - (odd == 1), name=f"factor_times_{odd}")
                m.d.comb += multiples[odd].eq(factor * odd)
            # A mean is rounded to the even code.
            part = ThresholdPattern(len(multiples[odd]), len(power) + 1, reached=index % 2 == 1)
            m.submodules[f"threshold_{index + 1}"] = part
            m.d.comb += [part.number.eq(multiples[odd]), part.power.eq(power + shift)]
            found.append(part.pattern)
        return found

    def _code(self, passed: Value, negative: Value) -> Value:
        """Return an element's code from the thresholds that its magnitude reaches, all up to the last of them."""
        element = self.spec.element
        bits = len(passed).bit_length()
        highest = passed & ~(passed >> 1)
        places = [
            Cat(highest[code - 1] for code in range(1, len(passed) + 1) if code >> bit & 1).any() for bit in range(bits)
        ]
        magnitude = Cat(*places)
        if isinstance(element, FloatSpec):
            return Cat(magnitude, negative)
        wide = Cat(magnitude, Const(0, element.bits - bits))
        return ((wide ^ negative.replicate(element.bits)) + negative)[: element.bits]


def _normal(m: Module, pattern: Value, name: str) -> tuple[Value, Value]:
    """Return the significand of a float32 magnitude, its highest bit set unless it is zero, and its exponent field."""
    field = pattern[23:31]
    significand = Cat(pattern[:23], field.any())
    normal, raised = to_the_top(m, significand, name)
    lowered = Signal(signed(10), name=f"{name}_field")
    m.d.comb += lowered.eq(exponent_field(field) - raised)
    return normal, lowered
