# SPDX-License-Identifier: Apache-2.0
"""Which codes of a float are not numbers, and the exponent bias that is usual with them."""

from enum import Enum

from hwsim.formats.codes import check_int

__all__ = [
    "Specials",
    "usual_bias",
]


class Specials(Enum):
    """Which codes are not numbers.

    IEEE: the top exponent holds infinity (mantissa 0) and NaN. FN: no infinity; NaN is all ones below the sign (OFP8
    E4M3). FNUZ: no infinity and no negative zero; NaN is the code of negative zero (Graphcore, AMD; the FP8 of van
    Baalen et al., arXiv:2303.17951; IEEE P3109's signed finite formats). FINITE: every code is a number (OCP FP6, FP4).
    EXTENDED: as FNUZ, or FN without a sign, but the largest magnitude that is left is infinity (IEEE P3109).
    """

    IEEE = "ieee"
    FN = "fn"
    FNUZ = "fnuz"
    FINITE = "finite"
    EXTENDED = "extended"


def usual_bias(exp_bits: int, specials: Specials) -> int:
    """Return the usual exponent bias: ``2**(exp_bits - 1)`` for FNUZ and P3109's formats, one less for the others.

    Parameters
    ----------
    exp_bits : int
        1 to 11.
    specials : Specials
        Which codes are no numbers.

    Raises
    ------
    TypeError, ValueError
        If exp_bits is not one of these.
    """
    check_int("exp_bits", exp_bits, 1, 11)
    return (1 << (exp_bits - 1)) - (specials not in (Specials.FNUZ, Specials.EXTENDED))
