# SPDX-License-Identifier: Apache-2.0
"""The arithmetic blocks in the sizes that units use, each with its oracle in NumPy integers."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from amaranth.hdl import Module, Shape, signed, unsigned
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray

from rtl.architecture import Adder, Multiplier
from rtl.arithmetic.adder import add
from rtl.arithmetic.heap import Heap
from rtl.arithmetic.leading_zeros import LeadingZeros
from rtl.arithmetic.multiplier import Multiply
from rtl.arithmetic.shift import shift_left_sticky, shift_right_jam, shift_right_truncate
from rtl.arithmetic.tree import maximum
from rtl.blocks import Block
from rtl.part import Part

__all__ = [
    "Function",
    "blocks",
]

_MULTIPLIERS: tuple[Multiplier, ...] = ("tool", "array", "booth", "dadda")
_ADDERS: tuple[Adder, ...] = ("tool", "ripple", "brent_kung", "han_carlson", "sklansky", "kogge_stone")
_SHAPES = {"int8": signed(8), "int4": signed(4), "uint4": unsigned(4), "uint11": unsigned(11)}
_Array = NDArray[Any]


class Function(Part):
    """
    A combinational function as a part.

    Parameters
    ----------
    name : str
        Of its module.
    inputs, outputs : mapping of str to Shape
        Ports.
    build : callable
        Takes the module and the part, and connects the outputs.
    """

    def __init__(
        self,
        name: str,
        inputs: Mapping[str, Any],
        outputs: Mapping[str, Any],
        build: Callable[[Module, Any], None],
    ) -> None:
        self._name, self._connect = name, build
        super().__init__(
            {port: In(shape) for port, shape in inputs.items()} | {port: Out(shape) for port, shape in outputs.items()}
        )

    def _module_name(self) -> str:
        return self._name

    def _build(self) -> Module:
        m = Module()
        self._connect(m, self)
        return m


def blocks() -> tuple[Block, ...]:
    """Return multipliers, adders, a compressor tree, leading zeros, shifters and a tree of maxima."""
    found = [_multiplier(kind, shape, style) for kind, shape in _SHAPES.items() for style in _MULTIPLIERS]
    found += [_adder(topology, bits) for bits in (16, 32) for topology in _ADDERS]
    found += [_leading_zeros(bits) for bits in (8, 16, 48)]
    return (*found, _compressor(), _left_sticky(), _right_jam(), _right_truncate(), _maximum())


def _integers(codes: _Array, bits: int) -> _Array:
    """Return two's complement codes as signed integers."""
    values = codes.astype(np.int64)
    return values - ((values >> (bits - 1)) << bits)


def _multiplier(kind: str, shape: Shape, style: Multiplier) -> Block:
    bits = shape.width

    def oracle(a: _Array, b: _Array) -> dict[str, _Array]:
        x, y = (_integers(v, bits) if shape.signed else v.astype(np.int64) for v in (a, b))
        return {"product": (x * y).astype(np.uint64) & np.uint64((1 << 2 * bits) - 1)}

    sign = "signed " if shape.signed else ""
    top = 2 * bits - 1
    return Block(
        name=f"multiply_{kind}_{style}",
        summary=f"{kind} x {kind}, exact, {style}",
        part=lambda: Multiply(shape, shape, style),
        oracle=oracle,
        source="rtl.arithmetic.multiplier",
        specification=(
            f"module specification(input {sign}[{bits - 1}:0] a, input {sign}[{bits - 1}:0] b,"
            f" output {sign}[{top}:0] product);\n  assign product = a * b;\nendmodule\n"
        ),
    )


def _adder(topology: Adder, bits: int) -> Block:
    def build(m: Module, part: Any) -> None:
        m.d.comb += part.total.eq(add(m, part.a, part.b, part.carry, topology=topology, name="sum"))

    def oracle(a: _Array, b: _Array, carry: _Array) -> dict[str, _Array]:
        return {"total": (a + b + carry) & np.uint64((1 << bits) - 1)}

    return Block(
        name=f"add{bits}_{topology}",
        summary=f"{bits}-bit carry-propagate adder, {topology}",
        part=lambda: Function(f"add{bits}_{topology}", {"a": bits, "b": bits, "carry": 1}, {"total": bits}, build),
        oracle=oracle,
        source="rtl.arithmetic.adder",
        specification=(
            f"module specification(input [{bits - 1}:0] a, input [{bits - 1}:0] b, input carry,"
            f" output [{bits - 1}:0] total);\n  assign total = a + b + carry;\nendmodule\n"
        ),
    )


def _compressor() -> Block:
    """Return nine addends of three kinds in one tree."""
    words, width, bits = 8, 12, 24

    def build(m: Module, part: Any) -> None:
        heap = Heap(bits)
        for index in range(words):
            heap.add_signed_if(part.words.word_select(index, width), part.negative[index], 2 * (index % 4))
        heap.add(part.register.as_signed())
        m.d.comb += part.total.eq(heap.total(m, "tree"))

    def oracle(words: _Array, negative: _Array, register: _Array) -> dict[str, _Array]:
        total = register.astype(object)
        for index in range(8):
            word = (words.astype(object) >> (width * index)) % (1 << width)
            sign = 1 - 2 * ((negative.astype(object) >> index) % 2)
            total = total + sign * word * (1 << 2 * (index % 4))
        return {"total": np.asarray(total % (1 << bits), dtype=object)}

    terms = "".join(
        f" + ((negative[{i}] ? -{{12'd0, words[{12 * i + 11}:{12 * i}]}} : {{12'd0, words[{12 * i + 11}:{12 * i}]}})"
        f" << {2 * (i % 4)})"
        for i in range(words)
    )
    return Block(
        name="compress_8x12_24",
        summary="eight 12-bit magnitudes with signs, shifted, and a 24-bit register in one carry-save tree",
        part=lambda: Function(
            "compress_8x12_24", {"words": words * width, "negative": words, "register": bits}, {"total": bits}, build
        ),
        oracle=oracle,
        source="rtl.arithmetic.heap",
        specification=(
            "module specification(input [95:0] words, input [7:0] negative, input [23:0] register,"
            f" output [23:0] total);\n  assign total = register{terms};\nendmodule\n"
        ),
    )


def _leading_zeros(bits: int) -> Block:
    def oracle(value: _Array) -> dict[str, _Array]:
        lengths = [int(v).bit_length() for v in value.tolist()]
        return {"count": np.array([bits - length for length in lengths], np.uint64)}

    return Block(
        name=f"leading_zeros{bits}",
        summary=f"leading zeros of {bits} bits",
        part=lambda: LeadingZeros(bits),
        oracle=oracle,
        source="rtl.arithmetic.leading_zeros",
    )


def _left_sticky() -> Block:
    bits, kept = 24, 12

    def build(m: Module, part: Any) -> None:
        top, sticky = shift_left_sticky(m, part.value, part.amount, kept, "shift")
        m.d.comb += [part.top.eq(top), part.sticky.eq(sticky)]

    def oracle(value: _Array, amount: _Array) -> dict[str, _Array]:
        shifted = (value << amount) & np.uint64((1 << bits) - 1)
        low = shifted & np.uint64((1 << (bits - kept)) - 1)
        return {"top": shifted >> np.uint64(bits - kept), "sticky": (low != 0).astype(np.uint64)}

    return Block(
        name="shift_left_sticky_24_12",
        summary="24 bits shifted left by 0..31, the top 12 kept, the rest as one sticky bit",
        part=lambda: Function("shift_left_sticky", {"value": bits, "amount": 5}, {"top": kept, "sticky": 1}, build),
        oracle=oracle,
        source="rtl.arithmetic.shift",
    )


def _right_jam() -> Block:
    bits, width = 12, 24

    def build(m: Module, part: Any) -> None:
        m.d.comb += part.out.eq(shift_right_jam(m, part.value, part.amount, width, "shift"))

    def oracle(value: _Array, amount: _Array) -> dict[str, _Array]:
        wide = value << np.uint64(width - bits)
        lost = wide & ((np.uint64(1) << amount) - np.uint64(1))
        return {"out": (wide >> amount) | (lost != 0).astype(np.uint64)}

    return Block(
        name="shift_right_jam_12_24",
        summary="12 bits at the top of 24, shifted right by 0..31, what is lost OR-ed into the last bit",
        part=lambda: Function("shift_right_jam", {"value": bits, "amount": 5}, {"out": width}, build),
        oracle=oracle,
        source="rtl.arithmetic.shift",
    )


def _right_truncate() -> Block:
    bits = 16

    def build(m: Module, part: Any) -> None:
        m.d.comb += part.out.eq(shift_right_truncate(m, part.value, part.amount, "shift"))

    return Block(
        name="shift_right_truncate_16",
        summary="16 bits shifted right by 0..31, what is lost dropped",
        part=lambda: Function("shift_right_truncate", {"value": bits, "amount": 5}, {"out": bits}, build),
        oracle=lambda value, amount: {"out": value >> amount},
        source="rtl.arithmetic.shift",
        specification=(
            "module specification(input [15:0] value, input [4:0] amount, output [15:0] out);\n"
            "  assign out = value >> amount;\nendmodule\n"
        ),
    )


def _maximum() -> Block:
    count, bits = 8, 5

    def build(m: Module, part: Any) -> None:
        words = [part.words.word_select(index, bits) for index in range(count)]
        m.d.comb += part.largest.eq(maximum(m, words, "largest"))

    def oracle(words: _Array) -> dict[str, _Array]:
        parts = [(words >> np.uint64(bits * index)) & np.uint64(31) for index in range(count)]
        return {"largest": np.max(parts, axis=0)}

    return Block(
        name="max_exponent_8x5",
        summary="the largest of eight 5-bit exponents",
        part=lambda: Function("max_exponent", {"words": count * bits}, {"largest": bits}, build),
        oracle=oracle,
        source="rtl.arithmetic.tree",
    )
