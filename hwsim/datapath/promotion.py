# SPDX-License-Identifier: Apache-2.0
"""The second register of a unit: the first one's value is added to it, of a stream or of a whole matrix product."""

from functools import lru_cache
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from hwsim.datapath.align_add import add_two
from hwsim.datapath.decode import decode_register
from hwsim.datapath.plan import accumulator_packing
from hwsim.datapath.problem import Codes
from hwsim.datapath.round_pack import Packing, pack_register, packing
from hwsim.datapath.staged import load, output
from hwsim.datapath.threads import threads_for
from hwsim.datapath.unit import DotProductUnit, FixedAccumulator, FloatAccumulator
from hwsim.datapath.wide import merge_wide
from hwsim.formats import FloatSpec, IntegerSpec, Overflow, Rounding, Specials

__all__ = [
    "Chains",
    "Promoting",
    "SecondRegisters",
    "promote",
    "promoting",
]

Chains = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]

_REGISTER_BITS = 63
_FLOAT32 = FloatSpec(exp_bits=8, man_bits=23, bias=127, specials=Specials.IEEE)


class _Registers(NamedTuple):
    """Both registers of a unit; what they do not use is 0."""

    outer_fixed: int
    inner_fixed: int
    shift: int = 0  # places by which the first goes left to meet the second
    low: int = 0  # least and largest value of the second
    high: int = 0
    wrap: int = 0
    fraction_bits: int = 0  # of the first
    inner_exp_bits: int = 0
    inner_man_bits: int = 0
    inner_bias: int = 0
    outer_exp_bits: int = 0
    outer_man_bits: int = 0
    outer_bias: int = 0


Promoting = tuple[_Registers, Packing]
"""Both registers as the kernels take them, and the rounding to the second where it is a float."""


@lru_cache(maxsize=256)
def promoting(unit: DotProductUnit) -> Promoting:
    """Return the kernels' form of a unit's two registers.

    Raises
    ------
    ValueError
        If the second one does not fit 64-bit integers.
    """
    first, second = unit.accumulator, unit.register
    fraction_bits = first.fraction_bits if isinstance(first, FixedAccumulator) else 0
    fixed = int(isinstance(first, FixedAccumulator))
    if isinstance(second, FixedAccumulator):
        if second.bits > _REGISTER_BITS:
            text = f"the second register of unit {unit.name} needs {second.bits} bits, and the kernels take"
            raise ValueError(f"{text} {_REGISTER_BITS}: only step_exact runs this unit")
        half = 1 << (second.bits - 1)
        unused = packing(IntegerSpec(bits=2), Rounding.TOWARD_ZERO, Overflow.WRAP, 0)
        wrap = int(second.overflow is Overflow.WRAP)
        return _Registers(1, fixed, second.fraction_bits - fraction_bits, -half, half - 1, wrap), unused
    registers = _Registers(0, fixed, fraction_bits=fraction_bits)
    if isinstance(first, FloatAccumulator):
        spec = first.format
        registers = registers._replace(inner_exp_bits=spec.exp_bits, inner_man_bits=spec.man_bits, inner_bias=spec.bias)
    spec = second.format
    registers = registers._replace(outer_exp_bits=spec.exp_bits, outer_man_bits=spec.man_bits, outer_bias=spec.bias)
    return registers, accumulator_packing(second)


@numba.njit(cache=True)
def _add_fixed(how: _Registers, outer: int, inner: int) -> int:
    """Unchecked: `outer` within 2**62."""
    if how.wrap:
        value = outer + (inner << how.shift) if how.shift < 63 else outer
        return ((value & (how.high - how.low)) ^ -how.low) + how.low
    places = min(how.shift, 63)
    if inner > 0:
        return how.high if inner > (how.high - outer) >> places else outer + (inner << places)
    return how.low if -inner > (outer - how.low) >> places else outer - (-inner << places)


@numba.njit(cache=True)
def _add_float(how: _Registers, pack: Packing, outer: int, inner: int, special: int) -> int:
    """Unchecked."""
    sig, exponent, held = decode_register(outer, how.outer_exp_bits, how.outer_man_bits, how.outer_bias)
    if how.inner_fixed:
        if special | held:
            return pack_register(pack, 0, 0, special | held, 0, 0)
        total, unit = merge_wide(inner >> 32, inner & 0xFFFFFFFF, -how.fraction_bits, sig, exponent)
        return pack_register(pack, total, unit, 0, 0, 0)
    inner_sig, inner_exponent, special = decode_register(inner, how.inner_exp_bits, how.inner_man_bits, how.inner_bias)
    total, unit = add_two(inner_sig, inner_exponent, sig, exponent)
    negative = (inner >> (how.inner_exp_bits + how.inner_man_bits)) & 1
    minus = int(inner_sig == 0 and negative == 1 and outer == pack.sign)
    return pack_register(pack, total, unit, special | held, minus, 0)


@numba.njit(cache=True, parallel=True)
def _promote_kernel(
    how: _Registers,
    pack: Packing,
    chains: Chains,
    values: NDArray[np.int64],
    seen: NDArray[np.uint8],
    out: NDArray[np.int64],
    specials: NDArray[np.uint8],
) -> None:
    """Unchecked."""
    starts, target, registers = chains
    for chain in numba.prange(starts.size - 1):
        register, special = registers[chain], 0
        for at in range(starts[chain], starts[chain + 1]):
            if how.outer_fixed:
                register, special = _add_fixed(how, register, values[at]), special | seen[at]
            else:
                register = _add_float(how, pack, register, values[at], seen[at])
            if target[at] >= 0:
                out[target[at]] = register
                specials[target[at]] = special


def promote(
    how: Promoting,
    chains: Chains,
    values: NDArray[np.int64],
    seen: NDArray[np.uint8],
    out: NDArray[np.int64],
    specials: NDArray[np.uint8],
) -> None:
    """Add first registers to second ones.

    Parameters
    ----------
    how : Promoting
    chains : tuple of arrays of int64
        The first of `values` of each dot product and the end, the place of each in `out`, or -1, and the second
        registers from which the dot products start.
    values, seen : arrays
        First registers in the order in which they are added, and the specials that fixed ones have seen.
    out, specials : arrays
        For second registers, and the specials that fixed ones have seen.
    """
    with threads_for(values.size):
        _promote_kernel(*how, chains, values, seen, out, specials)


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
