# SPDX-License-Identifier: Apache-2.0
"""Vectors of 64-bit words inside compiled kernels: a gate on all lanes, and bits of numbers to words and back.

Each function becomes LLVM instructions on vectors of eight words, which LLVM makes fit the machine. All is unchecked:
arrays are C-contiguous, and rows a multiple of eight words long. They work in compiled kernels only. Numba's cache on
disk does not see that a kernel depends on this file: after a change here, delete the caches.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from llvmlite import ir
from numba import extending, types
from numba.core import cgutils as untyped

from cost_models.activity.functions import FUNCTIONS

__all__ = [
    "CHUNK",
    "COPY",
    "evaluate",
    "gather_bits",
    "scatter_bits",
]

intrinsic: Any = extending.intrinsic  # a checker would take the arguments of a definition for those of a call
cgutils: Any = untyped

CHUNK = 8
"""Words in a vector: rows are a multiple of it."""

COPY = len(FUNCTIONS)
"""The operation code of a pin passed on without counting."""

_I32, _I64 = ir.IntType(32), ir.IntType(64)
_VECTOR = ir.VectorType(_I64, CHUNK)
_LANES = ir.VectorType(_I64, 64)


@dataclass(frozen=True, slots=True)
class _Word:
    """An LLVM value with the operators that `FUNCTIONS` are written in."""

    builder: Any
    value: Any

    def __and__(self, other: "_Word") -> "_Word":
        return _Word(self.builder, self.builder.and_(self.value, other.value))

    def __or__(self, other: "_Word") -> "_Word":
        return _Word(self.builder, self.builder.or_(self.value, other.value))

    def __xor__(self, other: "_Word") -> "_Word":
        return _Word(self.builder, self.builder.xor(self.value, other.value))


def _data(context: Any, builder: Any, of: Any, array: Any) -> Any:
    """Give the address of an array's data."""
    return context.make_array(of)(context, builder, array).data


def _load(builder: Any, base: Any, index: Any, of: ir.Type) -> Any:
    """Load a vector that starts at an element."""
    place = builder.bitcast(builder.gep(base, [index]), of.as_pointer())
    return builder.load(place, align=8)


def _store(builder: Any, value: Any, base: Any, index: Any) -> None:
    """Store a vector from an element on."""
    builder.store(value, builder.bitcast(builder.gep(base, [index]), value.type.as_pointer()), align=8)


def _splat(builder: Any, scalar: Any, of: Any) -> Any:
    """Put a scalar into every element."""
    one = builder.insert_element(ir.Constant(of, ir.Undefined), scalar, ir.Constant(_I32, 0))
    return builder.shuffle_vector(
        one, ir.Constant(of, ir.Undefined), ir.Constant(ir.VectorType(_I32, of.count), [0] * of.count)
    )


def _ones(builder: Any, value: Any) -> Any:
    """Count the ones of each element."""
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(value.type, [value.type]), f"llvm.ctpop.v{value.type.count}i64"
    )
    return builder.call(function, [value])


@dataclass(frozen=True, slots=True)
class _Row:
    """One operation's row, loaded: the addresses of its nets' words, and its phases."""

    builder: Any
    values: Any
    totals: Any
    mask: Any
    words: Any
    row: Any

    def field(self, place: int) -> Any:
        """Load a field of the row."""
        index = ir.Constant(_I64, place)
        return self.builder.sext(self.builder.load(self.builder.gep(self.row, [index])), _I64)

    def apply(self, pins: int, function: Callable[..., Any], counts: bool) -> None:
        """Emit the operation over all words."""
        builder = self.builder
        out = self.field(1)
        base = builder.gep(self.values, [builder.mul(out, self.words)])
        nets = [builder.gep(self.values, [builder.mul(self.field(2 + pin), self.words)]) for pin in range(pins)]
        phases = self.field(6)
        inverts = []
        for pin in range(pins):
            bit = builder.and_(builder.lshr(phases, ir.Constant(_I64, pin)), ir.Constant(_I64, 1))
            inverts.append(_splat(builder, builder.neg(bit), _VECTOR))
        place = builder.mul(out, ir.Constant(_I64, CHUNK))
        total = cgutils.alloca_once(builder, _VECTOR)
        builder.store(ir.Constant(_VECTOR, [0] * CHUNK), total)
        step = ir.Constant(_I64, CHUNK)
        with cgutils.for_range_slice(builder, ir.Constant(_I64, 0), self.words, step, _I64) as (index, _):
            operands = [
                _Word(builder, builder.xor(_load(builder, net, index, _VECTOR), invert))
                for net, invert in zip(nets, inverts, strict=True)
            ]
            new = function(*operands).value
            if counts:
                changed = builder.xor(_load(builder, base, index, _VECTOR), new)
                changed = builder.and_(changed, _load(builder, self.mask, index, _VECTOR))
                builder.store(builder.add(builder.load(total), _ones(builder, changed)), total)
            _store(builder, new, base, index)
        if counts:
            seen = _load(builder, self.totals, place, _VECTOR)
            _store(builder, builder.add(seen, builder.load(total)), self.totals, place)


@intrinsic
def evaluate(_context: Any, values: Any, totals: Any, mask: Any, operations: Any, index: Any, words: Any) -> Any:
    """
    Run one operation on all words and count the changes.

    ``values`` uint64 (nets, words), ``totals`` int64 (nets, CHUNK), ``mask`` uint64 (words,), ``operations`` int32
    (operations, 8): code, out, four pins, phases, unused.
    """

    def emit(context: Any, builder: Any, signature: Any, arguments: Sequence[Any]) -> Any:
        bases = [_data(context, builder, signature.args[i], arguments[i]) for i in range(4)]
        row = builder.gep(bases[3], [builder.mul(arguments[4], ir.Constant(_I64, 8))])
        loaded = _Row(builder, bases[0], bases[1], bases[2], arguments[5], row)
        after = builder.append_basic_block("after")
        switch = builder.switch(loaded.field(0), after)
        for code, (pins, function) in enumerate((*FUNCTIONS, FUNCTIONS[0])):
            block = builder.append_basic_block(f"code{code}")
            switch.add_case(ir.Constant(_I64, code), block)
            builder.position_at_end(block)
            loaded.apply(pins, function, counts=code != COPY)
            builder.branch(after)
        builder.position_at_end(after)
        return context.get_dummy_value()

    return types.void(values, totals, mask, operations, types.int64, types.int64), emit


@intrinsic
def gather_bits(_context: Any, numbers: Any, index: Any, bit: Any) -> Any:
    """Collect one bit of 64 numbers of an integer array, from an element on: the first becomes bit 0 of the word."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Sequence[Any]) -> Any:
        element = ir.IntType(signature.args[0].dtype.bitwidth)
        of = ir.VectorType(element, 64)
        base = _data(context, builder, signature.args[0], arguments[0])
        loaded = builder.load(
            builder.bitcast(builder.gep(base, [arguments[1]]), of.as_pointer()), align=element.width // 8
        )
        place = arguments[2] if element.width == 64 else builder.trunc(arguments[2], element)
        single = builder.shl(ir.Constant(element, 1), place)
        found = builder.and_(loaded, _splat(builder, single, of))
        return builder.bitcast(builder.icmp_unsigned("!=", found, ir.Constant(of, [0] * 64)), _I64)

    return types.uint64(numbers, types.int64, types.int64), emit


@intrinsic
def scatter_bits(_context: Any, numbers: Any, index: Any, words: Any, first: Any, stride: Any, bits: Any) -> Any:
    """Make 64 uint64 numbers from an element on: word ``first + i * stride`` holds their bit i, below ``bits``."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Sequence[Any]) -> Any:
        base = _data(context, builder, signature.args[0], arguments[0])
        source = _data(context, builder, signature.args[2], arguments[2])
        zeros = ir.Constant(_LANES, [0] * 64)
        made = cgutils.alloca_once(builder, _LANES)
        builder.store(zeros, made)
        with cgutils.for_range(builder, arguments[5]) as loop:
            place = builder.add(arguments[3], builder.mul(loop.index, arguments[4]))
            word = builder.load(builder.gep(source, [place]))
            single = _splat(builder, builder.shl(ir.Constant(_I64, 1), loop.index), _LANES)
            chosen = builder.select(builder.bitcast(word, ir.VectorType(ir.IntType(1), 64)), single, zeros)
            builder.store(builder.or_(builder.load(made), chosen), made)
        _store(builder, builder.load(made), base, arguments[1])
        return context.get_dummy_value()

    return types.void(numbers, types.int64, words, types.int64, types.int64, types.int64), emit
