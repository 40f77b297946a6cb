# SPDX-License-Identifier: Apache-2.0
"""The few operations of a GPU that Python has no operator for; in plain Python under Numba's simulator of one."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import cuda

from hwsim.datapath.gpu import simulated

__all__ = [
    "DOUBLE",
    "SIDE",
    "SINGLE",
    "THREADS",
    "TILE",
    "Real",
    "add_max",
    "add_odd",
    "dot4",
]

THREADS = 2 if simulated() else 16
"""Threads of a block, each way."""
TILE = 4
"""Outputs of a thread, each way."""
SIDE = THREADS * TILE
_ADD_MAX = "{ .reg .b32 t; add.s16x2 t, $1, $2; max.s16x2 $0, t, $3; }"
_ADD_MAX_BEFORE_9 = "{ .reg .b32 t; vadd2.s32.s32.s32 t, $1, $2, 0; vmax2.s32.s32.s32 $0, t, $3, 0; }"


class Real(NamedTuple):
    """A float type of the GPU, and what the kernels do in it."""

    dtype: Any
    codes: Any  # the unsigned integer of the same width
    man_bits: int
    exp_low: int  # exponent of the smallest normal
    exp_high: int  # of the largest
    multiply: Callable[..., Any]  # rounded toward zero, subnormal results too
    fma: Callable[..., Any]  # rounded once, to nearest even
    power: Callable[..., Any]  # 2**n of an integer n in exp_low..exp_high
    code: Callable[..., Any]  # the bits as int64, the sign extended
    value: Callable[..., Any]  # of bits
    bits: Callable[..., Any]  # as an unsigned integer of the same width
    single: Callable[..., Any]  # the bits, as int64, of the float32 of a sum of digits, rounded toward zero

    @property
    def digits(self) -> int:
        """Bits of a significand."""
        return self.man_bits + 1

    @property
    def last_exp(self) -> int:
        """Exponent of the smallest subnormal."""
        return self.exp_low - self.man_bits


def _assembly(text: str) -> Any:
    """Return a device function of three int32 words with an int32 result."""
    from llvmlite import ir
    from numba.cuda import types
    from numba.cuda.extending import intrinsic

    @intrinsic
    def call(_context: Any, _a: Any, _b: Any, _c: Any) -> Any:
        word = ir.IntType(32)

        def emit(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            return builder.call(ir.InlineAsm(ir.FunctionType(word, [word] * 3), text, "=r,r,r,r"), args)

        return types.int32(types.int32, types.int32, types.int32), emit

    return call


if simulated():
    from fractions import Fraction

    def _halves(word: int) -> tuple[int, int]:
        low, high = int(word) & 0xFFFF, (int(word) >> 16) & 0xFFFF
        return low - ((low >> 15) << 16), high - ((high >> 15) << 16)

    def add_max(a: int, b: int, c: int) -> Any:
        """Return max(a + b, c) of each half of a word, two's complement of 16 bits."""
        x, y, z = _halves(a), _halves(b), _halves(c)
        low, high = (max(x[at] + y[at], z[at]) & 0xFFFF for at in (0, 1))
        return np.uint32(low | high << 16).view(np.int32)

    def dot4(a_signed: bool, b_signed: bool) -> Any:
        """Return a function that adds the products of two words' four bytes to a third word, modulo 2**32."""

        def call(a: int, b: int, c: int) -> Any:
            total = int(c)
            for at in range(0, 32, 8):
                x, y = (int(a) >> at) & 255, (int(b) >> at) & 255
                total += (x - ((x >> 7) << 8 if a_signed else 0)) * (y - ((y >> 7) << 8 if b_signed else 0))
            return np.uint32(total & 0xFFFFFFFF).view(np.int32)

        return call

    def _directed(exact: Fraction, near: Any, toward_zero: bool) -> Any:
        """Return the neighbour of an exact number that a directed rounding gives; `near` is the nearest."""
        if not np.isfinite(near) or Fraction(float(near)) == exact:
            return near
        beyond = abs(Fraction(float(near))) > abs(exact)
        if beyond == toward_zero:
            return np.nextafter(near, near.dtype.type(0 if toward_zero else np.inf * np.sign(near)))
        return near

    def _multiply(dtype: Any) -> Callable[..., Any]:
        def call(x: Any, y: Any) -> Any:
            with np.errstate(all="ignore"):
                if not (np.isfinite(x) and np.isfinite(y)):
                    return dtype(x) * dtype(y)
                return _directed(Fraction(float(x)) * Fraction(float(y)), dtype(x) * dtype(y), True)

        return call

    def _fma(dtype: Any) -> Callable[..., Any]:
        def call(x: Any, y: Any, z: Any) -> Any:
            with np.errstate(all="ignore"):
                if not (np.isfinite(x) and np.isfinite(y)):
                    return dtype(x) * dtype(y) + dtype(z)
                if not np.isfinite(z):
                    return dtype(z)
                exact = Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z))
                if exact == 0:
                    return dtype(x) * dtype(y) + dtype(z)
                return dtype(_nearest(exact, dtype))

        return call

    def _nearest(exact: Fraction, dtype: Any) -> Any:
        """Round to nearest even."""
        real = SINGLE if dtype is np.float32 else DOUBLE
        lead = abs(exact).numerator.bit_length() - exact.denominator.bit_length()
        lead -= abs(exact) < Fraction(2) ** lead
        unit = Fraction(2) ** (max(lead, real.exp_low) - real.man_bits)
        value = round(exact / unit) * unit  # of a Fraction: half to even
        return float(value) if abs(value) < Fraction(2) ** (real.exp_high + 1) else np.inf * (1 if exact > 0 else -1)

    def add_odd(x: float, y: float) -> Any:
        """Add two float64, rounded to odd: a later rounding to float32 is as of the exact sum."""
        with np.errstate(all="ignore"):
            near = np.float64(x) + np.float64(y)
            if not np.isfinite(near):
                return near
            exact = Fraction(float(x)) + Fraction(float(y))
            kept = _directed(exact, near, True)
            if Fraction(float(kept)) != exact:
                return (kept.view(np.int64) | np.int64(1)).view(np.float64)
            return kept

    def _single(total: int) -> int:
        magnitude = abs(int(total))
        places = max(magnitude.bit_length() - 24, 0)
        return int(np.float32((magnitude >> places << places) * (1 if total >= 0 else -1)).view(np.int32))

    def _real(dtype: Any, codes: Any, man_bits: int, exp_low: int) -> Real:
        signed = np.int32 if man_bits == 23 else np.int64
        return Real(
            dtype,
            codes,
            man_bits,
            exp_low,
            1 - exp_low,
            _multiply(dtype),
            _fma(dtype),
            lambda n: dtype(np.ldexp(1.0, int(n))),
            lambda x: int(dtype(x).view(signed)),
            lambda code: codes(int(code) & (2 ** (8 * codes().nbytes) - 1)).view(dtype),
            lambda x: dtype(x).view(codes),
            _single,
        )

    SINGLE = _real(np.float32, np.uint32, 23, -126)
    DOUBLE = _real(np.float64, np.uint64, 52, -1022)
else:
    from numba.cuda import libdevice

    _hopper = cuda.get_current_device().compute_capability >= (9, 0)
    add_max = _assembly(_ADD_MAX if _hopper else _ADD_MAX_BEFORE_9)

    def dot4(a_signed: bool, b_signed: bool) -> Any:
        """Return a function that adds the products of two words' four bytes to a third word, modulo 2**32."""
        types = ["s32" if signed else "u32" for signed in (a_signed, b_signed)]
        return _assembly(f"dp4a.{types[0]}.{types[1]} $0, $1, $2, $3;")

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
