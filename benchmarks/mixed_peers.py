# SPDX-License-Identifier: Apache-2.0
"""What the units of mixed precision are compared with: dequantization before the product, and units of one format."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hwsim.datapath.unit import (
    DotProductUnit,
    ExactAlignment,
    FloatAccumulator,
    TruncatedAlignment,
)
from hwsim.formats import FloatSpec, IntegerSpec, Overflow, Rounding, Specials
from rtl.architecture import Architecture
from rtl.arithmetic.adder import add
from rtl.arithmetic.heap import Heap
from rtl.arithmetic.tree import add_signed
from rtl.datapath.accumulate import Accumulate
from rtl.datapath.decode import Decode
from rtl.datapath.dot_product import Core
from rtl.part import Part
from rtl.units.integer_step import add_products

__all__ = [
    "DequantizeFloat",
    "DequantizeInteger",
    "FloatStep",
    "Started",
    "float_unit",
]

FLOAT16 = FloatSpec(exp_bits=5, man_bits=10, bias=15, specials=Specials.IEEE)
FLOAT32 = FloatSpec(exp_bits=8, man_bits=23, bias=127, specials=Specials.IEEE)


def _register(spec: FloatSpec) -> FloatAccumulator:
    return FloatAccumulator(
        format=spec, rounding=Rounding.NEAREST_EVEN, overflow=Overflow.INFINITY, result_man_bits=spec.man_bits
    )


def float_unit(weight: IntegerSpec | FloatSpec, lanes: int, fraction_bits: int) -> DotProductUnit:
    """Return a unit of weights by float16, aligned to the largest exponent and cut, with a float32 register."""
    return DotProductUnit(
        a=weight,
        b=FLOAT16,
        lanes=lanes,
        alignment=TruncatedAlignment(fraction_bits=fraction_bits, exp_floor=-64, with_accumulator=False),
        accumulator=_register(FLOAT32),
        output=FLOAT32,
    )


class Started(wiring.Component):
    """A unit's core with one rank of registers, whose sums start from zero: it has no port for another start."""

    def __init__(
        self, unit: DotProductUnit, weights: wiring.Component | None = None, architecture: Architecture | None = None
    ) -> None:
        self._core, self._weights = Core(unit, 1, architecture), weights
        a = (
            {"a": In(len(self._core.a))}
            if weights is None
            else {"w": In(len(weights.w)), "scale": In(16), "zero": In(4)}
        )
        ports = {"en": In(1), "valid": In(1), "first": In(1), "last": In(1), "b": In(len(self._core.b))}
        super().__init__(ports | a | {"d": Out(len(self._core.d)), "d_valid": Out(1)})

    def elaborate(self, platform: Any) -> Module:
        """Connect what there is."""
        m = Module()
        m.submodules.core = core = self._core
        for name in ("en", "valid", "first", "last", "b"):
            m.d.comb += getattr(core, name).eq(getattr(self, name))
        m.d.comb += [self.d.eq(core.d), self.d_valid.eq(core.d_valid)]
        if self._weights is None:
            m.d.comb += core.a.eq(self.a)
            return m
        m.submodules.weights = weights = self._weights
        m.d.comb += [getattr(weights, name).eq(getattr(self, name)) for name in ("w", "scale", "zero")]
        m.d.comb += core.a.eq(weights.codes)
        return m


class DequantizeFloat(Part):
    """Make float16 weights of uint4 ones: less the zero point, times a float16 scale, rounded to nearest even.

    Members
    -------
    w, zero, scale : In
    codes : Out, a float16 a lane

    Latency: none, combinational.
    """

    def __init__(self, lanes: int) -> None:
        self._lanes = lanes
        super().__init__({"w": In(4 * lanes), "zero": In(4), "scale": In(16), "codes": Out(16 * lanes)})

    def _module_name(self) -> str:
        return "dequantize_float"

    def _build(self) -> Module:
        m = Module()
        unit = DotProductUnit(
            a=IntegerSpec(bits=5),
            b=FLOAT16,
            lanes=1,
            alignment=ExactAlignment(),
            accumulator=_register(FLOAT16),
            output=FLOAT16,
        )
        m.submodules.decode = scale = Decode(FLOAT16)
        m.d.comb += scale.codes.eq(self.scale)
        own = scale.operands[0]
        for lane in range(self._lanes):
            # A product is rounded by an accumulator whose register is zero: the adder in it is optimized away.
            m.submodules[f"round_{lane}"] = rounded = Accumulate(unit)
            m.d.comb += [
                rounded.total.sum.eq((self.w[4 * lane : 4 * lane + 4] - self.zero) * own.significand),
                rounded.total.exponent.eq(own.exponent),
                rounded.total.negative.eq(own.negative),
                rounded.total.special.eq(Cat(own.nan | own.infinite, own.nan | own.infinite)),
                self.codes[16 * lane : 16 * lane + 16].eq(rounded.following.value),
            ]
        return m


class DequantizeInteger(Part):
    """Add products of int8 with weights made int8 before: uint4 less the zero point, times a scale of 4 bits.

    Members
    -------
    w, zero, scale, x : In
    base : In, following : Out, 32 bits

    Latency: none, combinational.
    """

    def __init__(self, lanes: int, register_bits: int, architecture: Architecture) -> None:
        self._lanes, self._architecture = lanes, architecture
        ports = {"w": In(4 * lanes), "zero": In(4), "scale": In(4), "x": In(8 * lanes)}
        super().__init__(ports | {"base": In(register_bits), "following": Out(register_bits)})

    def _module_name(self) -> str:
        return "dequantize_integer"

    def _build(self) -> Module:
        m = Module()
        pairs = []
        for lane in range(self._lanes):
            weight = Signal(signed(8), name=f"weight_{lane}")
            m.d.comb += weight.eq((self.w[4 * lane : 4 * lane + 4] - self.zero) * self.scale)
            pairs.append((self.x[8 * lane : 8 * lane + 8].as_signed(), weight))
        m.d.comb += self.following.eq(add_products(m, self._architecture, pairs, self.base))
        return m


class FloatStep(Part):
    """Add exact products of one small float format to a fixed-point register, as `SimdFloat` does of two.

    Members
    -------
    a, b : In
    base : In, following : Out, ``register_bits + 1`` bits
        Above the sum, whether a NaN has been seen.

    Latency: none, combinational.
    """

    def __init__(self, spec: FloatSpec, lanes: int, register_bits: int, architecture: Architecture) -> None:
        self._spec, self._lanes, self._bits, self._architecture = spec, lanes, register_bits, architecture
        width, bits = register_bits + 1, lanes * spec.bits
        super().__init__({"a": In(bits), "b": In(bits), "base": In(width), "following": Out(width)})

    def _module_name(self) -> str:
        return f"float_step_{self._spec.name}"

    def _build(self) -> Module:
        m = Module()
        spec = self._spec
        sides = []
        for name, codes in (("a", self.a), ("b", self.b)):
            m.submodules[f"decode_{name}"] = decode = Decode(spec, self._lanes)
            m.d.comb += decode.codes.eq(codes)
            sides.append(decode.operands)
        magnitudes, negatives, nans = [], [], []
        span = 2 * ((1 << spec.exp_bits) - 2)
        for lane in range(self._lanes):
            a, b = sides[0][lane], sides[1][lane]
            exponent, product = Signal(spec.exp_bits + 1, name=f"exponent_{lane}"), Signal(2 * spec.sig_bits)
            placed = Signal(2 * spec.sig_bits + span, name=f"placed_{lane}")
            m.d.comb += [exponent.eq(a.exponent + b.exponent), product.eq(a.significand * b.significand)]
            m.d.comb += placed.eq((product << exponent)[2:])
            magnitudes.append(placed)
            negatives.append(a.negative ^ b.negative)
            nans += [a.nan, b.nan]
        nan = Cat(*nans).any() if spec.has_nan else Const(0, 1)
        base = self.base[:-1]
        if self._architecture.reduction == "tool":
            total = (base + add_signed(magnitudes, negatives, self._bits))[: self._bits]
        else:
            heap = Heap(self._bits)
            heap.add(base)
            for magnitude, negative in zip(magnitudes, negatives, strict=True):
                heap.add_signed_if(magnitude, negative)
            first, second = heap.rows(m, "total")
            total = add(m, first, second, topology=self._architecture.adder, name="sum")
        m.d.comb += self.following.eq(Cat(total, self.base[-1] | nan))
        return m
