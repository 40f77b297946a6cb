# SPDX-License-Identifier: Apache-2.0
"""Decode stage: a code becomes a significand, an exponent and, where there is one, a special."""

from fractions import Fraction

import numba
from numpy.typing import ArrayLike

from hwsim.datapath.terms import Term
from hwsim.datapath.unit import ScalarSpec
from hwsim.formats import CodebookSpec, FloatSpec, IntegerSpec, PositSpec, Specials, Unpacked
from hwsim.formats.codes import NAN, NEGATIVE_INFINITY, POSITIVE_INFINITY

__all__ = [
    "decode",
    "decode_exact",
    "decode_register",
    "point_bits",
]


def point_bits(spec: ScalarSpec) -> int:
    """Return how far the place by which an operand is aligned stands above the last place of its significand."""
    return spec.man_bits if isinstance(spec, FloatSpec) else spec.sig_bits - 1


def decode_exact(spec: ScalarSpec, code: int) -> Term:
    """Decode one code; the oracle of `decode`.

    Parameters
    ----------
    spec : IntegerSpec, FloatSpec, PositSpec or CodebookSpec
    code : int
        In [0, 2**spec.bits).

    Returns
    -------
    Term
        Exact.
    """
    if isinstance(spec, IntegerSpec):
        negative = spec.signed and code >> (spec.bits - 1) == 1
        exponent = -spec.fraction_bits
        integer = (code - (1 << spec.bits) if negative else code) - spec.zero_point
        return Term(integer, exponent, exponent + point_bits(spec))
    if isinstance(spec, PositSpec):
        return _decode_posit(spec, code)
    if isinstance(spec, CodebookSpec):
        exponent = int(spec.unpack(code).exponent)
        significand = Fraction(spec.levels[code]) / Fraction(2) ** exponent
        assert significand.denominator == 1
        return Term(significand.numerator, exponent, exponent + point_bits(spec))
    return _decode_float(spec, code)


def _decode_float(spec: FloatSpec, code: int) -> Term:
    """Decode a float's fields."""
    sign = code >> (spec.bits - 1) if spec.signed else 0
    field = (code >> spec.man_bits) & ((1 << spec.exp_bits) - 1)
    mantissa = code & ((1 << spec.man_bits) - 1)
    all_ones = field == (1 << spec.exp_bits) - 1
    if spec.specials is Specials.IEEE and all_ones:
        infinity = NEGATIVE_INFINITY if sign else POSITIVE_INFINITY
        return Term(0, 0, 0, NAN if mantissa else infinity)
    if spec.specials is Specials.FN and all_ones and mantissa == (1 << spec.man_bits) - 1:
        return Term(0, 0, 0, NAN)
    if spec.specials is Specials.FNUZ and code == 1 << (spec.bits - 1):
        return Term(0, 0, 0, NAN)
    if spec.specials is Specials.EXTENDED:
        if code == (1 << (spec.bits - 1) if spec.signed else (1 << spec.bits) - 1):
            return Term(0, 0, 0, NAN)
        ones = (1 << (spec.exp_bits + spec.man_bits)) - 1
        if (code & ones) == (ones if spec.signed else ones - 1):
            return Term(0, 0, 0, NEGATIVE_INFINITY if sign else POSITIVE_INFINITY)
    subnormal = spec.subnormals and field == 0
    significand = mantissa if subnormal else mantissa + (1 << spec.man_bits)
    lead = (1 if subnormal else field) - spec.bias
    return Term(-significand if sign else significand, lead - spec.man_bits, lead, 0, bool(sign))


def _decode_posit(spec: PositSpec, code: int) -> Term:
    """Decode a posit's string of digits."""
    if code in (0, spec.nan_code):
        return Term(0, spec.exp_min, spec.exp_min + point_bits(spec), NAN if code else 0)
    negative = code > spec.nan_code
    digits = f"{(1 << spec.bits) - code if negative else code:0{spec.bits - 1}b}"
    run = len(digits) - len(digits.lstrip(digits[0]))
    rest = digits[run + 1 :].ljust(spec.es + spec.fraction_bits, "0")
    exponent = int(rest[: spec.es] or "0", 2)
    significand = int("1" + rest[spec.es : spec.es + spec.fraction_bits], 2)
    lead = (run - 1 if digits[0] == "1" else -run) * (1 << spec.es) + exponent
    return Term(-significand if negative else significand, lead - spec.fraction_bits, lead)


def decode(spec: ScalarSpec, codes: ArrayLike) -> Unpacked:
    """Decode codes of any shape into int64 significands and exponents and uint8 specials.

    Raises
    ------
    TypeError, ValueError
        If the codes are not integers in [0, 2**spec.bits).
    """
    return spec.unpack(codes)


@numba.njit(cache=True)
def decode_register(code: int, exp_bits: int, man_bits: int, bias: int) -> tuple[int, int, int]:
    """Return significand, exponent and special of a code of a signed format with IEEE specials; unchecked."""
    negative = (code >> (exp_bits + man_bits)) & 1
    ones = (1 << exp_bits) - 1
    field = (code >> man_bits) & ones
    mantissa = code & ((1 << man_bits) - 1)
    if field == ones:
        return 0, 0, NAN if mantissa else NEGATIVE_INFINITY if negative else POSITIVE_INFINITY
    significand = mantissa | (int(field != 0) << man_bits)
    return -significand if negative else significand, max(field, 1) - bias - man_bits, 0
