# SPDX-License-Identifier: Apache-2.0
"""What happens to a unit's operands before they enter: bits ignored, subnormals flushed, elements put in order."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from hwsim.datapath.operands import unpack
from hwsim.datapath.problem import Codes
from hwsim.datapath.unit import DotProductUnit, ScalarSpec
from hwsim.formats import FloatSpec, Rounding
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
    dtype = code_dtype(spec.bits)
    narrow = codes >> codes.dtype.type(ignored_bits)
    if rounding is Rounding.TOWARD_ZERO:
        return narrow.astype(dtype)
    wide = codes.astype(np.int64)
    sign = 1 << (spec.bits - 1) if spec.signed else 0
    magnitude = wide & ((sign << ignored_bits) - 1 if sign else -1)
    half = 1 << (ignored_bits - 1)
    even = (magnitude >> ignored_bits) & 1
    rounded = (magnitude + (half - 1) + even) >> ignored_bits
    limit = spec.inf_code << ignored_bits
    result = np.where(magnitude >= limit, spec.inf_code, rounded) | (narrow.astype(np.int64) & sign)
    return np.where(magnitude > limit, spec.nan_code, result).astype(dtype)


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
    else:
        found = unpack(spec, codes).special != 0
    return found if found is not None and found.any() else None


def check_sparse(unit: DotProductUnit, a: Codes) -> None:
    """Raise unless the rows of a are as sparse as the unit asks."""
    sparsity = unit.sparsity
    assert sparsity is not None
    parts = unpack(unit.inner.element_a, a)
    held = ((parts.significand != 0) | (parts.special != 0)).reshape(a.shape[0], -1, sparsity.of).sum(axis=-1)
    if (held > sparsity.kept).any():
        row, group = (int(at) for at in np.argwhere(held > sparsity.kept)[0])
        raise ValueError(
            f"a must have at most {sparsity.kept} non-zeros in {sparsity.of} neighbours, and row {row} has "
            f"{int(held[row, group])} from column {group * sparsity.of} on"
        )
