# SPDX-License-Identifier: Apache-2.0
"""The second register of a unit, of a whole matrix product at once: load it, add the first one's to it, read it."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from hwsim.datapath.accumulator import FixedAccumulator, FloatAccumulator
from hwsim.datapath.problem import Codes
from hwsim.datapath.staged import load, output
from hwsim.datapath.stream import dot
from hwsim.datapath.unit import DotProductUnit, ExactAlignment
from hwsim.formats import FloatSpec, IntegerSpec, Overflow, Rounding
from hwsim.formats.codes import code_dtype

__all__ = [
    "Outer",
]

_FLOAT32 = FloatSpec(exp_bits=8, man_bits=23, bias=127)


class Outer:
    """The second registers of the elements of d.

    Parameters
    ----------
    unit : DotProductUnit
        With a promotion.
    shape : tuple of int
        Of d.
    c : array of integers of that shape, or None
        Codes of the second register's format.
    """

    def __init__(self, unit: DotProductUnit, shape: tuple[int, ...], c: Codes | None) -> None:
        self._unit = unit
        self._register = unit.register
        bits = self._register.bits
        codes = np.zeros(shape, code_dtype(bits)) if c is None else c.astype(code_dtype(bits))
        self._specials = np.zeros(shape, np.uint8)
        self._values = load(unit, codes) if isinstance(self._register, FixedAccumulator) else None
        self._codes = codes

    def add(self, registers: NDArray[np.int64] | Codes, specials: NDArray[np.uint8] | None) -> None:
        """Add the first registers: codes of their format, or integers with what specials they have seen."""
        inner, outer = self._unit.accumulator, self._register
        if self._values is not None:
            assert isinstance(inner, FixedAccumulator)
            assert isinstance(outer, FixedAccumulator)
            self._add_fixed(self._integers(inner, registers), inner, outer)
            if specials is not None:
                self._specials |= specials
            return
        assert isinstance(outer, FloatAccumulator)
        if _is_float32(inner) and _is_plain_float32(outer):
            with np.errstate(all="ignore"):
                total = self._codes.view(np.float32) + registers.astype(np.uint32, copy=False).view(np.float32)
            codes = (total + np.float32(0)).view(np.uint32)  # a zero is +0, unless both were -0, and here neither is
            codes[np.isnan(total)] = outer.nan_code
            self._codes = codes
            return
        adder = _adder(self._unit)
        if isinstance(inner, FixedAccumulator):
            operand = self._integers(inner, registers).view(np.uint64) & np.uint64((1 << inner.bits) - 1)
        else:
            operand = registers.astype(np.uint64)
        flat = operand.reshape(-1, 1).astype(code_dtype(inner.bits))
        once = np.ones(flat.shape[0], np.bool_)
        one = np.ones(flat.shape, np.uint8)
        summed = dot(adder, flat, one, once, once, self._codes.reshape(-1)).reshape(self._codes.shape)
        self._codes = summed.astype(self._codes.dtype)
        if specials is not None and specials.any():
            self._codes = _with_specials(outer, self._codes, specials)

    def read(self) -> Codes:
        """Return d."""
        registers = self._codes.astype(np.uint64).view(np.int64) if self._values is None else self._values
        return output(self._unit, registers, self._specials)

    def _integers(self, inner: FixedAccumulator, registers: NDArray[np.int64] | Codes) -> NDArray[np.int64]:
        if registers.dtype == np.int64:
            return registers
        return IntegerSpec(bits=inner.bits).unpack(registers).significand

    def _add_fixed(self, values: NDArray[np.int64], inner: FixedAccumulator, outer: FixedAccumulator) -> None:
        assert self._values is not None
        places = min(outer.fraction_bits - inner.fraction_bits, 63)
        half = 1 << (outer.bits - 1)
        total = self._values + (values << places)  # modulo 2**64
        if outer.overflow is Overflow.WRAP:
            self._values = ((total & (2 * half - 1)) ^ half) - half
            return
        above = values > (half - 1 - self._values) >> places
        below = -values > (half + self._values) >> places
        self._values = np.where(above, half - 1, np.where(below, -half, total))


def _is_float32(inner: FixedAccumulator | FloatAccumulator) -> bool:
    return isinstance(inner, FloatAccumulator) and inner.format == _FLOAT32 and not inner.signed_zero


def _is_plain_float32(outer: FloatAccumulator) -> bool:
    plain = outer.format == _FLOAT32 and outer.rounding is Rounding.NEAREST_EVEN and outer.result_man_bits == 23
    return plain and outer.overflow is Overflow.INFINITY and not (outer.flush or outer.signed_zero)


@lru_cache(maxsize=64)
def _adder(unit: DotProductUnit) -> DotProductUnit:
    """Return a unit that adds one number of the first register's format, times one, to the second register."""
    inner, outer = unit.accumulator, unit.register
    if isinstance(inner, FixedAccumulator):
        operand: IntegerSpec | FloatSpec = IntegerSpec(bits=inner.bits, fraction_bits=inner.fraction_bits)
    else:
        operand = inner.format
    return DotProductUnit(
        a=operand,
        b=IntegerSpec(bits=2),
        lanes=1,
        alignment=ExactAlignment(),
        accumulator=outer,
        output=outer.format,
    )


def _with_specials(outer: FloatAccumulator, codes: Codes, specials: NDArray[np.uint8]) -> Codes:
    """Return codes to which infinities and NaN were added."""
    seen = outer.format.unpack(codes).special | specials
    infinity = outer.format.inf_code
    sign = 1 << (outer.format.bits - 1)
    table = np.array([0, infinity, infinity | sign, outer.nan_code], codes.dtype)
    return np.where(specials != 0, table[seen], codes)
