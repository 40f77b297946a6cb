# SPDX-License-Identifier: Apache-2.0
"""Vectors and register tiles inside compiled kernels: each function here becomes a few LLVM instructions.

A `Vec` is an LLVM vector, a `Tile` is `rows` x `vectors` of them, kept in registers (`hwsim.datapath.tiles`). All is
unchecked: arrays are C-contiguous of any number of dimensions and indices are flat. A scalar beside a vector is cast
and spread. Operations go by the elements' type: signed, unsigned or float. Sizes are literals or global constants. The
instructions are portable ones, which LLVM makes fit the machine's vectors, whatever their width. Numba's cache on disk
does not see that a kernel depends on this file: after a change here, delete the caches.
"""

from typing import Any

from llvmlite import ir
from numba import types

from hwsim.datapath.vectors import (
    Tile,
    Typed,
    Vec,
    address,
    call_llvm,
    dtype_of,
    elementwise,
    intrinsic,
    is_contiguous,
    is_float,
    is_signed,
    load_vec,
    mask_of,
    spread,
    vec_of,
)

__all__ = [
    "Tile",
    "Vec",
    "absolute",
    "add",
    "add_saturating",
    "bit_and",
    "bit_or",
    "bit_xor",
    "bitcast",
    "bits",
    "call_llvm",
    "compare_eq",
    "compare_le",
    "compare_lt",
    "convert",
    "elementwise",
    "floats",
    "floor",
    "fma",
    "fmuladd",
    "load",
    "maximum",
    "minimum",
    "mul",
    "reduce_and",
    "reduce_or",
    "rint",
    "select",
    "shift_left",
    "shift_right",
    "splat",
    "store",
    "sub",
    "sub_saturating",
]


def _first(*operands: Any) -> Vec | Tile:
    return next((of for of in operands if isinstance(of, Vec | Tile)), operands[0])


def _arithmetic(x: Any, y: Any, name: str) -> Typed | None:
    if not isinstance(_first(x, y), Vec | Tile):
        return None
    method = f"f{name}" if is_float(_first(x, y)) else name
    return elementwise((x, y), lambda builder, p, q: getattr(builder, method)(p, q))


def _named(operands: tuple[Any, ...], of_float: str, of_signed: str, of_unsigned: str) -> Typed | None:
    """Return an LLVM intrinsic of the operands' own type."""
    shape = _first(*operands)
    if not isinstance(shape, Vec | Tile):
        return None
    name = of_float if is_float(shape) else of_signed if is_signed(shape) else of_unsigned
    return elementwise(operands, lambda builder, *each: call_llvm(builder, name, each[0].type, list(each)))


@intrinsic
def add(_context: Any, x: Any, y: Any) -> Any:
    """Return ``x + y``; integers modulo 2**bits."""
    return _arithmetic(x, y, "add")


@intrinsic
def sub(_context: Any, x: Any, y: Any) -> Any:
    """Return ``x - y``; integers modulo 2**bits."""
    return _arithmetic(x, y, "sub")


@intrinsic
def mul(_context: Any, x: Any, y: Any) -> Any:
    """Return ``x * y``; integers modulo 2**bits."""
    return _arithmetic(x, y, "mul")


@intrinsic
def fma(_context: Any, x: Any, y: Any, z: Any) -> Any:
    """Return ``x * y + z`` rounded once. Slow on a machine without such an instruction, but right."""
    return _named((x, y, z), "llvm.fma", "", "")


@intrinsic
def fmuladd(_context: Any, x: Any, y: Any, z: Any) -> Any:
    """Return ``x * y + z`` rounded once or twice, whichever is quicker: for products that are exact."""
    return _named((x, y, z), "llvm.fmuladd", "", "")


def _extreme(x: Any, y: Any, sign: str, name: str) -> Typed | None:
    if not is_float(_first(x, y)):
        return _named((x, y), "", f"llvm.s{name}", f"llvm.u{name}")
    # one instruction on x86, where LLVM's own for floats takes three for the sake of NaN
    return elementwise((x, y), lambda builder, p, q: builder.select(builder.fcmp_ordered(sign, p, q), p, q))


@intrinsic
def minimum(_context: Any, x: Any, y: Any) -> Any:
    """Return the smaller; y where a float is NaN."""
    return _extreme(x, y, "<", "min")


@intrinsic
def maximum(_context: Any, x: Any, y: Any) -> Any:
    """Return the larger; y where a float is NaN."""
    return _extreme(x, y, ">", "max")


@intrinsic
def add_saturating(_context: Any, x: Any, y: Any) -> Any:
    """Return ``x + y`` of integers, kept within their type."""
    return _named((x, y), "", "llvm.sadd.sat", "llvm.uadd.sat")


@intrinsic
def sub_saturating(_context: Any, x: Any, y: Any) -> Any:
    """Return ``x - y`` of integers, kept within their type."""
    return _named((x, y), "", "llvm.ssub.sat", "llvm.usub.sat")


@intrinsic
def absolute(_context: Any, x: Any) -> Any:
    """Return ``|x|``; the least integer stays itself."""
    if isinstance(x, Vec | Tile) and not is_float(x):
        zero = ir.Constant(ir.IntType(1), 0)
        return elementwise((x,), lambda builder, p: _absolute_integer(builder, p, zero))
    return _named((x,), "llvm.fabs", "", "")


def _absolute_integer(builder: Any, value: Any, poison: Any) -> Any:
    return call_llvm(builder, "llvm.abs", value.type, [value, poison])


@intrinsic
def floor(_context: Any, x: Any) -> Any:
    """Return the integer below, as a float."""
    return _named((x,), "llvm.floor", "", "")


@intrinsic
def rint(_context: Any, x: Any) -> Any:
    """Return the nearest integer, ties to even, as a float."""
    return _named((x,), "llvm.nearbyint", "", "")


def _bitwise(x: Any, y: Any, method: str) -> Typed | None:
    shape = _first(x, y)
    if not is_float(shape):
        return elementwise((x, y), lambda builder, p, q: getattr(builder, method)(p, q))
    integers = ir.VectorType(ir.IntType(vec_of(shape).dtype.bitwidth), vec_of(shape).count)

    def emit(builder: Any, p: Any, q: Any) -> Any:
        return builder.bitcast(
            getattr(builder, method)(builder.bitcast(p, integers), builder.bitcast(q, integers)), p.type
        )

    return elementwise((x, y), emit)


@intrinsic
def bit_and(_context: Any, x: Any, y: Any) -> Any:
    """Return ``x & y`` of integers, masks or floats' bits."""
    return _bitwise(x, y, "and_")


@intrinsic
def bit_or(_context: Any, x: Any, y: Any) -> Any:
    """Return ``x | y`` of integers, masks or floats' bits."""
    return _bitwise(x, y, "or_")


@intrinsic
def bit_xor(_context: Any, x: Any, y: Any) -> Any:
    """Return ``x ^ y`` of integers, masks or floats' bits."""
    return _bitwise(x, y, "xor")


@intrinsic
def shift_left(_context: Any, x: Any, y: Any) -> Any:
    """Return ``x << y``, y below the width."""
    return elementwise((x, y), lambda builder, p, q: builder.shl(p, q))


@intrinsic
def shift_right(_context: Any, x: Any, y: Any) -> Any:
    """Return ``x >> y``, y below the width: with copies of the sign for signed elements, zeros for unsigned."""
    if not isinstance(x, Vec | Tile):
        return None
    method = "ashr" if is_signed(x) else "lshr"
    return elementwise((x, y), lambda builder, p, q: getattr(builder, method)(p, q))


def _compare(x: Any, y: Any, sign: str) -> Typed | None:
    shape = _first(x, y)
    if not isinstance(shape, Vec | Tile):
        return None
    method = "fcmp_ordered" if is_float(shape) else "icmp_signed" if is_signed(shape) else "icmp_unsigned"
    return elementwise((x, y), lambda builder, p, q: getattr(builder, method)(sign, p, q), mask_of(shape))


@intrinsic
def compare_lt(_context: Any, x: Any, y: Any) -> Any:
    """Return the mask ``x < y``, false for NaN."""
    return _compare(x, y, "<")


@intrinsic
def compare_le(_context: Any, x: Any, y: Any) -> Any:
    """Return the mask ``x <= y``, false for NaN."""
    return _compare(x, y, "<=")


@intrinsic
def compare_eq(_context: Any, x: Any, y: Any) -> Any:
    """Return the mask ``x == y``, false for NaN."""
    return _compare(x, y, "==")


@intrinsic
def select(_context: Any, mask: Any, x: Any, y: Any) -> Any:
    """Return x where the mask is set, else y."""
    shape = _first(x, y)
    if not isinstance(shape, Vec | Tile):
        return None
    return elementwise((mask, x, y), lambda builder, m, p, q: builder.select(m, p, q), vec_of(shape))


@intrinsic
def bitcast(_context: Any, x: Any, dtype: Any) -> Any:
    """Return the same bits as elements of dtype, such as `np.int32`; fewer or more of them where the widths differ."""
    if not isinstance(x, Vec | Tile):
        return None
    to, vec = dtype_of(dtype), vec_of(x)
    result = Vec(to, vec.count * _scalar_bits(vec.dtype) // _scalar_bits(to))
    return elementwise((x, dtype), lambda builder, p: builder.bitcast(p, result.llvm), result)


@intrinsic
def bits(_context: Any, x: Any) -> Any:
    """Return the bits of floats as signed integers of their width."""
    if not is_float(x):
        return None
    result = Vec(types.int32 if vec_of(x).dtype == types.float32 else types.int64, vec_of(x).count)
    return elementwise((x,), lambda builder, p: builder.bitcast(p, result.llvm), result)


@intrinsic
def floats(_context: Any, x: Any) -> Any:
    """Return the floats of bits: `bits` undone."""
    if not isinstance(x, Vec | Tile) or vec_of(x).dtype not in (types.int32, types.int64):
        return None
    result = Vec(types.float32 if vec_of(x).dtype == types.int32 else types.float64, vec_of(x).count)
    return elementwise((x,), lambda builder, p: builder.bitcast(p, result.llvm), result)


def _scalar_bits(dtype: Any) -> int:
    return 1 if isinstance(dtype, types.Boolean) else int(dtype.bitwidth)


@intrinsic
def convert(_context: Any, x: Any, dtype: Any) -> Any:
    """Return the values as elements of dtype: floats to nearest even or, to integers in range, toward zero."""
    if not isinstance(x, Vec | Tile):
        return None
    to: Any = dtype_of(dtype)
    of = vec_of(x).dtype
    result = Vec(to, vec_of(x).count)
    wider = _scalar_bits(to) > _scalar_bits(of)
    if isinstance(of, types.Float):
        signed = "fptosi" if to in types.signed_domain else "fptoui"
        method = ("fpext" if wider else "fptrunc") if isinstance(to, types.Float) else signed
    elif isinstance(to, types.Float):
        method = "sitofp" if is_signed(x) else "uitofp"
    else:
        method = ("sext" if is_signed(x) else "zext") if wider else "trunc"
    if _scalar_bits(to) == _scalar_bits(of) and isinstance(to, types.Float) == isinstance(of, types.Float):
        method = "bitcast"
    return elementwise((x, dtype), lambda builder, p: getattr(builder, method)(p, result.llvm), result)


def _reduce(x: Any, name: str) -> Typed | None:
    if not isinstance(x, Vec) or is_float(x):
        return None

    def codegen(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return call_llvm(builder, name, x.llvm.element, [values[0]], of=x.llvm)

    return x.dtype(x), codegen


@intrinsic
def reduce_or(_context: Any, x: Any) -> Any:
    """Return all elements of a Vec of integers or of a mask, OR-ed: a scalar."""
    return _reduce(x, "llvm.vector.reduce.or")


@intrinsic
def reduce_and(_context: Any, x: Any) -> Any:
    """Return all elements of a Vec of integers or of a mask, AND-ed: a scalar."""
    return _reduce(x, "llvm.vector.reduce.and")


@intrinsic(prefer_literal=True)
def splat(_context: Any, scalar: Any, dtype: Any, count: Any) -> Any:
    """Return a Vec of `count` times the scalar, cast to dtype."""
    if not isinstance(count, types.IntegerLiteral):
        return None
    vec = Vec(dtype_of(dtype), count.literal_value)
    return vec(scalar, dtype, count), lambda context, builder, _signature, values: spread(
        context, builder, values[0], scalar, vec
    )


@intrinsic(prefer_literal=True)
def load(_context: Any, array: Any, at: Any, count: Any) -> Any:
    """Return a Vec of `count` elements of an array from index `at` on."""
    if not is_contiguous(array) or not isinstance(count, types.IntegerLiteral):
        return None
    vec = Vec(array.dtype, count.literal_value)
    return vec(array, types.intp, count), lambda context, builder, _signature, values: load_vec(
        context, builder, array, values[0], values[1], vec
    )


@intrinsic
def store(_context: Any, array: Any, at: Any, x: Any) -> Any:
    """Store a Vec to an array from index `at` on."""
    if not is_contiguous(array) or not isinstance(x, Vec) or x.dtype != array.dtype:
        return None

    def codegen(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        where = address(context, builder, array, values[0], values[1], x.llvm)
        builder.store(values[2], where, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, x), codegen
