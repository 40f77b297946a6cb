# SPDX-License-Identifier: Apache-2.0
"""The operations of `intrinsics` as a GPU has them."""

from importlib import import_module
from typing import Any

import numpy as np
from llvmlite import ir

from hwsim.datapath.gpu.reals import Real, cuda

__all__ = [
    "DOUBLE",
    "SINGLE",
    "add_max",
    "add_odd",
    "dot4",
]

libdevice: Any = import_module("numba.cuda.libdevice")
_int32: Any = import_module("numba.cuda.types").int32
_intrinsic: Any = import_module("numba.cuda.extending").intrinsic
_ADD_MAX = "{ .reg .b32 t; add.s16x2 t, $1, $2; max.s16x2 $0, t, $3; }"
_ADD_MAX_BEFORE_9 = "{ .reg .b32 t; vadd2.s32.s32.s32 t, $1, $2, 0; vmax2.s32.s32.s32 $0, t, $3, 0; }"


def _assembly(text: str) -> Any:
    """Return a device function of three int32 words with an int32 result."""

    @_intrinsic
    def call(_context: Any, _a: Any, _b: Any, _c: Any) -> Any:
        word = ir.IntType(32)

        def emit(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            return builder.call(ir.InlineAsm(ir.FunctionType(word, [word] * 3), text, "=r,r,r,r"), args)

        return _int32(_int32, _int32, _int32), emit

    return call


_hopper = cuda.get_current_device().compute_capability >= (9, 0)
add_max = _assembly(_ADD_MAX if _hopper else _ADD_MAX_BEFORE_9)


def dot4(a_signed: bool, b_signed: bool) -> Any:
    """Return a function that adds the products of two words' four bytes to a third word, modulo 2**32."""
    kinds = ["s32" if signed else "u32" for signed in (a_signed, b_signed)]
    return _assembly(f"dp4a.{kinds[0]}.{kinds[1]} $0, $1, $2, $3;")


@cuda.jit(device=True, inline="always")
def _multiply_single(x: Any, y: Any) -> Any:
    return libdevice.fmul_rz(x, y)


@cuda.jit(device=True, inline="always")
def _multiply_double(x: Any, y: Any) -> Any:
    return libdevice.dmul_rz(x, y)


@cuda.jit(device=True, inline="always")
def _fma_single(x: Any, y: Any, z: Any) -> Any:
    return libdevice.fmaf_rn(x, y, z)


@cuda.jit(device=True, inline="always")
def _fma_double(x: Any, y: Any, z: Any) -> Any:
    return libdevice.fma_rn(x, y, z)


@cuda.jit(device=True, inline="always")
def _power_single(n: int) -> Any:
    return libdevice.int_as_float(np.int32((n + 127) << 23))


@cuda.jit(device=True, inline="always")
def _power_double(n: int) -> Any:
    return libdevice.longlong_as_double(np.int64(n + 1023) << 52)


@cuda.jit(device=True, inline="always")
def _code_single(x: Any) -> Any:
    return np.int64(libdevice.float_as_int(x))


@cuda.jit(device=True, inline="always")
def _code_double(x: Any) -> Any:
    return libdevice.double_as_longlong(x)


@cuda.jit(device=True, inline="always")
def _value_single(code: int) -> Any:
    return libdevice.int_as_float(np.int32(code))


@cuda.jit(device=True, inline="always")
def _value_double(code: int) -> Any:
    return libdevice.longlong_as_double(np.int64(code))


@cuda.jit(device=True, inline="always")
def _bits_single(x: Any) -> Any:
    return np.uint32(libdevice.float_as_int(x))


@cuda.jit(device=True, inline="always")
def _bits_double(x: Any) -> Any:
    return np.uint64(libdevice.double_as_longlong(x))


@cuda.jit(device=True, inline="always")
def _single_of_32(total: int) -> Any:
    return np.int64(libdevice.float_as_int(libdevice.int2float_rz(np.int32(total))))


@cuda.jit(device=True, inline="always")
def _single_of_64(total: int) -> Any:
    return np.int64(libdevice.float_as_int(libdevice.ll2float_rz(total)))


@cuda.jit(device=True, inline="always")
def add_odd(x: float, y: float) -> Any:
    """Add two float64, rounded to odd: a later rounding to float32 is as of the exact sum."""
    kept = libdevice.dadd_rz(x, y)
    if libdevice.dadd_rd(x, y) != libdevice.dadd_ru(x, y):
        return libdevice.longlong_as_double(libdevice.double_as_longlong(kept) | np.int64(1))
    return kept


SINGLE = Real(
    *(np.float32, np.uint32, 23, -126, 127),
    *(_multiply_single, _fma_single, _power_single, _code_single, _value_single, _bits_single, _single_of_32),
)
DOUBLE = Real(
    *(np.float64, np.uint64, 52, -1022, 1023),
    *(_multiply_double, _fma_double, _power_double, _code_double, _value_double, _bits_double, _single_of_64),
)
