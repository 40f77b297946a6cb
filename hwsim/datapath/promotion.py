# SPDX-License-Identifier: Apache-2.0
"""The second registers of a whole matrix product: loaded with c, added to chunk by chunk, and read."""

import numpy as np
from numpy.typing import NDArray

from hwsim.datapath.accumulator import FixedAccumulator, FloatAccumulator
from hwsim.datapath.problem import Codes
from hwsim.datapath.promote import promote, promoting
from hwsim.datapath.staged import load, output
from hwsim.datapath.unit import DotProductUnit
from hwsim.formats import FloatSpec, IntegerSpec, Overflow, Rounding, Specials

__all__ = [
    "SecondRegisters",
]

_FLOAT32 = FloatSpec(exp_bits=8, man_bits=23, bias=127, specials=Specials.IEEE)


class SecondRegisters:
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
        self._registers = np.zeros(shape, np.int64) if c is None else load(unit, c)
        self._specials = np.zeros(shape, np.uint8)
        self._floats = None
        if _adds_float32(unit):
            self._floats = self._registers.astype(np.uint32).view(np.float32)

    def add(self, first: Codes | NDArray[np.int64], seen: NDArray[np.uint8] | None) -> None:
        """Add the first registers: codes of their format, or int64 with the specials that fixed ones have seen."""
        if self._floats is not None:
            with np.errstate(all="ignore"):
                self._floats += first.astype(np.uint32, copy=False).view(np.float32)
            return
        accumulator = self._unit.accumulator
        if first.dtype != np.int64 and isinstance(accumulator, FixedAccumulator):
            values = IntegerSpec(bits=accumulator.bits).unpack(first).significand
        else:
            values = first.astype(np.int64, copy=False)
        count = values.size
        specials = np.zeros(count, np.uint8) if seen is None else seen.reshape(-1)
        out, found = np.empty(count, np.int64), np.empty(count, np.uint8)
        chains = np.arange(count + 1), np.arange(count), self._registers.reshape(-1)
        promote(promoting(self._unit), chains, values.reshape(-1), specials, out, found)
        self._registers = out.reshape(self._registers.shape)
        self._specials |= found.reshape(self._specials.shape)

    def read(self) -> Codes:
        """Return d."""
        if self._floats is not None:
            register = self._unit.register
            assert isinstance(register, FloatAccumulator)
            codes = (self._floats + np.float32(0)).view(np.uint32)  # a zero is +0
            codes[np.isnan(self._floats)] = register.nan_code
            self._registers = codes.astype(np.int64)
        return output(self._unit, self._registers, self._specials)


def _adds_float32(unit: DotProductUnit) -> bool:
    """Return whether float32 addition is what the second register does, up to the codes of zeros and NaN."""
    inner, outer = unit.accumulator, unit.register
    if not (isinstance(inner, FloatAccumulator) and isinstance(outer, FloatAccumulator)):
        return False
    if inner.format != _FLOAT32 or outer.format != _FLOAT32 or outer.rounding is not Rounding.NEAREST_EVEN:
        return False
    whole = outer.result_man_bits == 23 and outer.overflow is Overflow.INFINITY
    return whole and not (outer.flush or outer.signed_zero)
