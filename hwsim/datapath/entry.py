# SPDX-License-Identifier: Apache-2.0
"""What happens to a unit's operands before they enter: bits ignored, subnormals flushed, elements put in order."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from hwsim.datapath.operands import unpack
from hwsim.datapath.problem import Codes
from hwsim.datapath.unit import DotProductUnit, ScalarSpec
from hwsim.formats import FloatSpec, Rounding, Specials
from hwsim.formats.codes import code_dtype

__all__ = [
    "check_sparse",
    "enter",
    "flush",
    "period",
    "special_of",
    "zero_code",
]

_TABLE_BITS = 16


def period(unit: DotProductUnit) -> int:
    """Return the elements to a multiple of which K is filled up with zeros: a step, or the whole of an order."""
    return len(unit.order) or unit.width


def zero_code(spec: ScalarSpec) -> int | None:
    """Return the code of zero; None where the format has none."""
    code = int(spec.encode(0.0))
    return code if float(spec.decode(code)) == 0 else None


def enter(unit: DotProductUnit, name: str, spec: ScalarSpec, codes: Codes) -> Codes:
    """Return rows of codes as they enter `unit.inner`: of `spec` alone, filled up, flushed and in order.

    Raises
    ------
    ValueError
        If there is nothing to fill them up with.
    """
    if unit.ignored_bits:
        assert isinstance(spec, FloatSpec)
        codes = _drop_bits(spec, codes, unit.ignored_bits, unit.operand_rounding)
    if unit.unpacked is not None:
        assert isinstance(spec, FloatSpec)
        codes, spec = _unpack_table(spec, unit.unpacked)[codes], unit.unpacked
    if unit.flush_operands and isinstance(spec, FloatSpec):
        codes = flush(spec, codes)
    count = period(unit)
    length = -(-codes.shape[1] // count) * count
    if codes.shape[1] < length:
        zero = zero_code(spec)
        if zero is None:
            raise ValueError(f"{name} must fill its last step, for {spec.name} has no zero to fill it up with")
        filled = np.full((codes.shape[0], length), zero, codes.dtype)
        filled[:, : codes.shape[1]] = codes
        codes = filled
    if unit.order:
        split = codes.reshape(codes.shape[0], -1, count)
        codes = np.ascontiguousarray(split[:, :, list(unit.order)]).reshape(codes.shape)
    return codes


@lru_cache(maxsize=16)
def _unpack_table(spec: FloatSpec, unpacked: FloatSpec) -> Codes:
    """Return the code in a wider format of each code."""
    codes = np.arange(1 << spec.bits, dtype=code_dtype(spec.bits))
    return np.asarray(unpacked.encode(spec.decode(codes), overflow="infinity"))


def _drop_bits(spec: FloatSpec, codes: Codes, ignored_bits: int, rounding: Rounding) -> Codes:
    """Return `drop_bits_exact` of each code."""
    kind = codes.dtype.type
    narrow = (codes >> kind(ignored_bits)).astype(code_dtype(spec.bits))
    if rounding is Rounding.TOWARD_ZERO:
        return narrow
    narrow &= narrow.dtype.type((1 << (spec.bits - spec.signed)) - 1)
    lost = codes & kind((1 << ignored_bits) - 1)
    half = kind(1 << (ignored_bits - 1))
    finite = narrow < spec.inf_code
    nan = ~finite & ((lost != 0) | (narrow > spec.inf_code))
    narrow += finite & ((lost > half) | ((lost == half) & (narrow & 1 == 1)))
    if spec.signed:
        narrow |= (codes >> kind(spec.bits - 1 + ignored_bits)).astype(narrow.dtype) << narrow.dtype.type(spec.bits - 1)
    narrow[nan] = spec.nan_code
    return narrow


def flush(spec: FloatSpec, codes: Codes) -> Codes:
    """Return codes with a zero, of the same sign, for each subnormal."""
    exponent = ((1 << spec.exp_bits) - 1) << spec.man_bits
    sign = 1 << (spec.bits - 1) if spec.signed else 0
    kind = codes.dtype.type
    zero = codes & kind(sign)
    if sign and spec.nan_code == sign:  # the code of -0 is a NaN, and no zero has a sign
        zero = np.where(codes == kind(sign), codes, kind(0))
    flushed: NDArray[np.unsignedinteger] = np.where(codes & kind(exponent) == 0, zero, codes)
    return flushed


@lru_cache(maxsize=64)
def _special_table(spec: ScalarSpec) -> NDArray[np.bool_] | None:
    """Return which codes are special; None where none is."""
    special = spec.unpack(np.arange(1 << spec.bits, dtype=code_dtype(spec.bits))).special != 0
    return special if special.any() else None


def special_of(spec: ScalarSpec, codes: Codes) -> NDArray[np.bool_] | None:
    """Return which codes are an infinity or a NaN; None where none is."""
    if not (spec.has_nan or spec.has_inf):
        return None
    if spec.bits <= _TABLE_BITS:
        table = _special_table(spec)
        found = None if table is None else table[codes]
    elif isinstance(spec, FloatSpec) and spec.specials is Specials.IEEE:
        infinity = codes.dtype.type(spec.inf_code)
        found = codes & infinity == infinity
    else:
        found = unpack(spec, codes).special != 0
    return found if found is not None and found.any() else None


def check_sparse(unit: DotProductUnit, a: Codes, first: int = 0) -> None:
    """Raise unless the rows of a, from row `first` on, as they enter, are as sparse as the unit asks."""
    sparsity = unit.sparsity
    assert sparsity is not None
    spec = unit.inner.element_a
    if spec.bits <= _TABLE_BITS:
        there = _nonzero_table(spec)[a]
    else:
        parts = unpack(spec, a)
        there = (parts.significand != 0) | (parts.special != 0)
    held = there.reshape(a.shape[0], -1, sparsity.of).sum(axis=-1)
    if (held > sparsity.kept).any():
        row, group = (int(at) for at in np.argwhere(held > sparsity.kept)[0])
        raise ValueError(
            f"a must have at most {sparsity.kept} non-zeros in {sparsity.of} neighbours, and row {first + row} has "
            f"{int(held[row, group])} from column {group * sparsity.of} on"
        )


@lru_cache(maxsize=64)
def _nonzero_table(spec: ScalarSpec) -> NDArray[np.bool_]:
    parts = spec.unpack(np.arange(1 << spec.bits, dtype=code_dtype(spec.bits)))
    found: NDArray[np.bool_] = (parts.significand != 0) | (parts.special != 0)
    return found
