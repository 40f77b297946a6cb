# SPDX-License-Identifier: Apache-2.0
"""Round-pack stage: an exact number becomes a code, by a named rounding and a named overflow."""

from hwsim.datapath.terms import Term
from hwsim.formats import FloatSpec, IntegerSpec, Overflow, Rounding
from hwsim.formats.codes import NAN, NEGATIVE_INFINITY
from hwsim.formats.rounding import round_shift_exact

__all__ = [
    "round_pack_exact",
]


def round_pack_exact(
    spec: IntegerSpec | FloatSpec, term: Term, rounding: Rounding, overflow: Overflow, *, man_bits: int | None = None
) -> int:
    """Round a term to a code.

    Parameters
    ----------
    spec : IntegerSpec or FloatSpec
        A float needs subnormals; if the term can be NaN, the format too.
    term : Term
    rounding : Rounding
        Applied as if the exponent had no upper limit.
    overflow : Overflow
        Applied to what then lies beyond the largest finite value. An infinity becomes the format's own, else NaN; with
        SATURATE and no infinity in the format, the largest finite value.
    man_bits : int, optional
        Mantissa bits to keep of a float; the rest are zero.

    Returns
    -------
    int
        In [0, 2**spec.bits). A zero is +0; a NaN is `spec.nan_code`.
    """
    if isinstance(spec, IntegerSpec):
        return _pack_integer(spec, term, rounding, overflow)
    sign = 1 << (spec.bits - 1) if spec.signed else 0
    if term.special == NAN:
        return spec.nan_code
    negative = term.significand < 0 or term.special == NEGATIVE_INFINITY
    if term.special:
        beyond = spec.inf_code if spec.has_inf else spec.max_magnitude_code if overflow is Overflow.SATURATE else spec.nan_code
        return _signed(spec, beyond, negative, sign)
    if term.significand == 0:
        return 0
    code = _magnitude_code(spec, abs(term.significand), term.exponent, negative, rounding, man_bits)
    if code > spec.max_magnitude_code:
        if overflow is Overflow.SATURATE:
            kept = spec.man_bits if man_bits is None else man_bits
            code = spec.max_magnitude_code >> (spec.man_bits - kept) << (spec.man_bits - kept)
        else:
            code = spec.inf_code if spec.has_inf else spec.nan_code
    return _signed(spec, code, negative, sign) if code else 0


def _magnitude_code(
    spec: FloatSpec, magnitude: int, exponent: int, negative: bool, rounding: Rounding, man_bits: int | None
) -> int:
    """Return the code below the sign, as if the exponent field had no upper limit."""
    dropped = 0 if man_bits is None else spec.man_bits - man_bits
    lowest = 1 - spec.bias  # exponent of the smallest normal
    lead = max(magnitude.bit_length() - 1 + exponent, lowest)
    unit = lead - spec.man_bits + dropped
    return ((lead - lowest) << spec.man_bits) + (round_shift_exact(magnitude, unit - exponent, negative, rounding) << dropped)


def _signed(spec: FloatSpec, code: int, negative: bool, sign: int) -> int:
    """Return the code with its sign; an unsigned format has zero for what is negative, a NaN is positive."""
    if not negative or code == spec.nan_code:
        return code
    return code | sign if spec.signed else 0


def _pack_integer(spec: IntegerSpec, term: Term, rounding: Rounding, overflow: Overflow) -> int:
    negative = term.significand < 0
    magnitude = round_shift_exact(abs(term.significand), -spec.fraction_bits - term.exponent, negative, rounding)
    value = -magnitude if negative else magnitude
    if overflow is Overflow.SATURATE:
        value = min(max(value, spec.min_int), spec.max_int)
    return value & ((1 << spec.bits) - 1)
