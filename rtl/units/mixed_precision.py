# SPDX-License-Identifier: Apache-2.0
"""Mixed precision by shift and add: small integer weights, wider activations, dequantization behind the group.

Source: MixPE, arXiv:2411.16158 (abstract). A product with an n-bit weight is n shifted copies of the activation, taken
or not; a float16's are on the grid of its smallest significand, so that all sums of a group are exact. Scale and zero
point, which a group shares, come after it: ``y += scale * (sum(w * x) - zero * sum(x))``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray

from hwsim.datapath.unit import (
    Accumulator,
    DotProductUnit,
    ExactAlignment,
    FixedAccumulator,
    FloatAccumulator,
)
from hwsim.formats import FloatSpec, IntegerSpec, Overflow, Rounding, Specials
from hwsim.formats.codes import check_bool, check_int
from rtl.architecture import ARCHITECTURES, Architecture
from rtl.arithmetic.adder import add
from rtl.arithmetic.heap import Heap
from rtl.arithmetic.tree import balanced
from rtl.blocks import Block
from rtl.datapath.decode import Decode
from rtl.datapath.dot_product import Core
from rtl.part import Part

__all__ = [
    "GroupCore",
    "GroupSums",
    "MixedPrecision",
    "blocks",
]

_TOOL = Architecture()
_FLOAT32 = FloatSpec(exp_bits=8, man_bits=23, bias=127, specials=Specials.IEEE)
_FLOAT16 = FloatSpec(exp_bits=5, man_bits=10, bias=15, specials=Specials.IEEE)
_INT8 = IntegerSpec(bits=8)
_SINGLE = FloatAccumulator(
    format=_FLOAT32, rounding=Rounding.NEAREST_EVEN, overflow=Overflow.INFINITY, result_man_bits=23
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MixedPrecision:
    """A unit of mixed precision.

    Parameters
    ----------
    lanes : int
        Products a row, 1 to 256.
    group : int
        The most products that share a scale, a multiple of the lanes, up to 1024.
    activation : IntegerSpec or FloatSpec
        Without a zero point; a float with IEEE specials.
    weight_bits : int
        2 to 8: unsigned with a zero point, two's complement without.
    zero_point : bool
        Whether a group has one, an unsigned integer of the weights' width.
    scale : IntegerSpec or FloatSpec
        Of a group's scale. With float activations it must have a NaN.
    accumulator : FixedAccumulator or FloatAccumulator
        Rounds (or wraps) once a group; the product with the scale is exact.

    Raises
    ------
    TypeError, ValueError
        If a field is of the wrong kind, out of range, or does not go with the others.
    """

    lanes: int
    group: int = 128
    activation: IntegerSpec | FloatSpec = _INT8
    weight_bits: int = 4
    zero_point: bool = True
    scale: IntegerSpec | FloatSpec = _FLOAT16
    accumulator: Accumulator = _SINGLE

    def __post_init__(self) -> None:
        check_int("lanes", self.lanes, 1, 256)
        check_int("group", self.group, self.lanes, 1024)
        check_int("weight_bits", self.weight_bits, 2, 8)
        check_bool("zero_point", self.zero_point)
        if self.group % self.lanes:
            raise ValueError(f"group must be a multiple of the {self.lanes} lanes, not {self.group!r}")
        if isinstance(self.activation, FloatSpec) and not self.scale.has_nan:
            raise ValueError(f"scale must have a NaN for float activations, and {self.scale.name} has none")

    @property
    def name(self) -> str:
        """A name that spells the fields."""
        zero = "" if self.zero_point else "_symmetric"
        return (
            f"mixed_{self.weight.name}_by_{self.activation.name}_l{self.lanes}_g{self.group}{zero}"
            f"_{self.scale.name}_{self.accumulator.name}"
        )

    @property
    def weight(self) -> IntegerSpec:
        """The weights' format."""
        return IntegerSpec(bits=self.weight_bits, signed=not self.zero_point)

    @property
    def sum_bits(self) -> int:
        """Bits, sign included, of a group's sum in units of the activation's smallest significand."""
        largest = self.activation.max_significand << (self.activation.exp_max - self.activation.exp_min)
        weights = (1 << self.weight_bits) - 1 if self.zero_point else 1 << (self.weight_bits - 1)
        return (largest * weights * self.group).bit_length() + 1

    @property
    def dequantize(self) -> DotProductUnit:
        """The unit behind the group: one lane, the group's sum by the scale."""
        output = self.accumulator.format
        fixed = isinstance(self.accumulator, FixedAccumulator)
        return DotProductUnit(
            a=IntegerSpec(bits=self.sum_bits, fraction_bits=-self.activation.exp_min),
            b=self.scale,
            lanes=1,
            alignment=ExactAlignment(),
            accumulator=self.accumulator,
            output=output,
            overflow=Overflow.WRAP if fixed else Overflow.INFINITY,
        )


class GroupSums(Part):
    """Add a row to a group's sums, of products and of activations.

    Parameters
    ----------
    spec : MixedPrecision
    architecture : Architecture
        With a heap, the shifted copies of all lanes go into one tree; else the synthesizer makes products and sums.

    Members
    -------
    w, x : In, codes of the lanes
        Lane 0 at bit 0.
    base : In, following : Out
        The sum of products, of ``sum_bits`` bits, then that of activations if there is a zero point, then a bit for an
        infinity or NaN if activations are floats.

    Latency: none, combinational.
    """

    def __init__(self, spec: MixedPrecision, architecture: Architecture = _TOOL) -> None:
        self.spec = spec
        self._architecture = architecture
        width = spec.sum_bits * (1 + spec.zero_point) + isinstance(spec.activation, FloatSpec)
        super().__init__(
            {
                "w": In(spec.lanes * spec.weight_bits),
                "x": In(spec.lanes * spec.activation.bits),
                "base": In(width),
                "following": Out(width),
            }
        )

    def _module_name(self) -> str:
        return "group_sums"

    def _build(self) -> Module:
        m = Module()
        spec, bits = self.spec, self.spec.sum_bits
        activations, special = self._activations(m)
        weights = [self.w[spec.weight_bits * i : spec.weight_bits * (i + 1)] for i in range(spec.lanes)]
        if not spec.zero_point:
            weights = [weight.as_signed() for weight in weights]
        pairs = list(zip(activations, weights, strict=True))
        parts = [self._sum(m, self.base[:bits], [], pairs, "products")]
        if spec.zero_point:
            parts.append(self._sum(m, self.base[bits : 2 * bits], activations, [], "activations"))
        if special is not None:
            parts.append(self.base[-1] | special)
        m.d.comb += self.following.eq(Cat(*parts))
        return m

    def _activations(self, m: Module) -> tuple[list[Any], Any]:
        """Return the activations as integers, and whether one is an infinity or NaN."""
        spec = self.spec.activation
        if isinstance(spec, IntegerSpec):
            words = [self.x[place : place + spec.bits] for place in range(0, len(self.x), spec.bits)]
            return [word.as_signed() if spec.signed else word for word in words], None
        m.submodules.decode = decode = Decode(spec, self.spec.lanes)
        m.d.comb += decode.codes.eq(self.x)
        values = []
        width = spec.sig_bits + spec.exp_max - spec.exp_min
        for index, operand in enumerate(decode.operands):
            value = Signal(signed(width + 1), name=f"fixed_{index}")
            # The exponent field is at least 1; that of the unit of the grid is 1.
            moved = (operand.significand << operand.exponent)[1 : width + 1]
            special = operand.nan | operand.infinite
            m.d.comb += value.eq(Mux(special, 0, Mux(operand.negative, -moved, moved)))
            values.append(value)
        return values, Cat(*(operand.nan | operand.infinite for operand in decode.operands)).any()

    def _sum(self, m: Module, base: Any, addends: list[Any], pairs: list[tuple[Any, Any]], name: str) -> Any:
        """Return base + addends + products modulo the sum's width."""
        if self._architecture.reduction == "tool":
            terms = [*addends, *(a * b for a, b in pairs)]
            return (base + balanced(terms, lambda x, y: x + y))[: len(base)]
        heap = Heap(len(base))
        heap.add(base)
        for value in addends:
            heap.add(value)
        for index, (a, b) in enumerate(pairs):
            style = "array" if self._architecture.multiplier == "dadda" else self._architecture.multiplier
            heap.add_product(m, a, b, style=style, name=f"{name}_{index}")
        first, second = heap.rows(m, name)
        return add(m, first, second, topology=self._architecture.adder, name=f"{name}_sum")


class GroupCore(wiring.Component):
    """A unit of mixed precision, without flow control.

    Parameters
    ----------
    spec : MixedPrecision
    architecture : Architecture

    Members
    -------
    en : In, 1 bit
        Clock enable of everything.
    valid, first, last, close : In, 1 bit
        There is a row; it starts a sum from `c`; it ends the sum; it ends a group, as a row with `last` does.
    w, x : In
        Codes of the lanes, lane 0 at bit 0.
    zero, scale : In
        Of the group that the row ends. `zero` is there with a zero point only.
    c : In, d : Out
        Codes of the accumulator.
    ready : Out, 1 bit
        Always 1.
    d_valid : Out, 1 bit

    Latency: that of ``latency`` enabled cycles, from a row with `last`. Throughput: one row an enabled cycle.
    """

    def __init__(self, spec: MixedPrecision, architecture: Architecture = _TOOL) -> None:
        self.spec = spec
        self._sums = GroupSums(spec, architecture)
        self._back = Core(spec.dequantize, 1)
        self.latency = 1 + self._back.latency
        fields = {"first": 1, "last": 1, "close": 1, "w": len(self._sums.w), "x": len(self._sums.x)}
        fields |= {"zero": spec.weight_bits} if spec.zero_point else {}
        self.row_fields: Mapping[str, int] = fields | {"scale": spec.scale.bits, "c": len(self._back.c)}
        ports = {name: In(bits) for name, bits in ({"en": 1, "valid": 1} | dict(self.row_fields)).items()}
        super().__init__(ports | {"ready": Out(1), "d": Out(len(self._back.d)), "d_valid": Out(1)})

    def elaborate(self, platform: Any) -> Module:
        """Connect the group's registers to the unit behind them."""
        m = Module()
        spec, bits = self.spec, self.spec.sum_bits
        m.submodules.sums = sums = self._sums
        m.submodules.back = back = self._back
        register = Signal(len(sums.base), name="group", reset_less=True)
        fresh = Signal(name="fresh")  # the row before has closed its group
        held = {name: Signal(len(getattr(self, name)), name=f"held_{name}", reset_less=True) for name in self._held}
        started = Signal(name="started", reset_less=True)
        closed, ended = Signal(name="closed"), Signal(name="ended", reset_less=True)
        closing = Signal(name="closing")
        m.d.comb += [
            closing.eq(self.close | self.last),
            sums.w.eq(self.w),
            sums.x.eq(self.x),
            sums.base.eq(Mux(self.first | fresh, 0, register)),
        ]
        with m.If(self.en):
            m.d.sync += closed.eq(self.valid & closing)
            with m.If(self.valid):
                m.d.sync += [register.eq(sums.following), fresh.eq(closing), ended.eq(self.last)]
                # The row that starts a sum may not be the one that closes its first group.
                with m.If(self.first):
                    m.d.sync += [held["c"].eq(self.c), started.eq(1)]
                with m.Elif(fresh):
                    m.d.sync += started.eq(0)
                m.d.sync += [held[name].eq(getattr(self, name)) for name in held if name != "c"]
        group: Any = register[:bits]
        if spec.zero_point:
            group = group - held["zero"] * register[bits : 2 * bits]
        scale: Any = held["scale"]
        if isinstance(spec.activation, FloatSpec):
            scale = Mux(register[-1], Const(spec.scale.nan_code, spec.scale.bits), scale)
        m.d.comb += [
            back.en.eq(self.en),
            back.valid.eq(closed),
            back.first.eq(started),
            back.last.eq(ended),
            back.a.eq(group),
            back.b.eq(scale),
            back.c.eq(held["c"]),
            self.ready.eq(1),
            self.d.eq(back.d),
            self.d_valid.eq(back.d_valid),
        ]
        return m

    @property
    def _held(self) -> tuple[str, ...]:
        return ("c", "scale", "zero") if self.spec.zero_point else ("c", "scale")


def _oracle(spec: MixedPrecision) -> Any:
    def oracle(w: Any, x: Any, base: Any) -> Mapping[str, NDArray[Any]]:
        """Multiply the values that the formats give the codes, in units of the activation's smallest."""
        bits, ones = spec.sum_bits, (1 << spec.sum_bits) - 1
        unit, special = 2.0**-spec.activation.exp_min, np.zeros(len(w), dtype=bool)
        products, sums = base & ones, (base >> bits) & ones
        for lane in range(spec.lanes):
            codes = (w >> (spec.weight_bits * lane)) & ((1 << spec.weight_bits) - 1)
            weight = np.array([int(value) for value in spec.weight.decode(codes.astype(np.int64))], dtype=object)
            codes = (x >> (spec.activation.bits * lane)) & ((1 << spec.activation.bits) - 1)
            values = spec.activation.decode(codes.astype(np.int64)) * unit
            special = special | ~np.isfinite(values)
            value = np.array([int(number) if np.isfinite(number) else 0 for number in values], dtype=object)
            products, sums = products + weight * value, sums + value
        out = products & ones
        if spec.zero_point:
            out = out | (sums & ones) << bits
        if isinstance(spec.activation, FloatSpec):
            place = bits * (1 + spec.zero_point)
            out = out | ((base >> place) | special.astype(int).astype(object)) << place
        return {"following": out}

    return oracle


def blocks() -> tuple[Block, ...]:
    """Return the catalog's entries: eight lanes of uint4 and int4 by int8, four of uint4 by float16."""
    specs = {
        "w4a8": MixedPrecision(lanes=8),
        "w4a8_symmetric": MixedPrecision(lanes=8, zero_point=False),
        "w4a16": MixedPrecision(lanes=4, activation=_FLOAT16),
    }
    return tuple(
        Block(
            name=f"group_sums_{name}_{kind}",
            summary=f"{spec.lanes} products of {spec.weight.name} by {spec.activation.name}, added to a group ({kind})",
            part=partial(GroupSums, spec, ARCHITECTURES[kind]),
            oracle=_oracle(spec),
            source="MixPE, arXiv:2411.16158",
            directed={"x": (0x8080808080808080, 0x7BFF7BFF7BFF7BFF, 0x0001000180018001, 0xFC007E0000000000)},
        )
        for name, spec in specs.items()
        for kind in ("tool", "dadda_heap")
    )
