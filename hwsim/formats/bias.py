# SPDX-License-Identifier: Apache-2.0
"""Minifloats whose exponent bias is a real number: an ordinary minifloat and a scale.

With bias b a format's values are ``2**(B - b)`` times those with the integer bias B, subnormals too. So nothing but the
scale is new: quantize ``x / scale`` to the format, and multiply by the scale what comes out.

Source: LLM-FP4, arXiv:2310.16836, section 3; the same form in Kuzmin et al., arXiv:2208.09225.
"""

import math

import numpy as np

from hwsim.formats.float import FloatSpec
from hwsim.formats.specials import Specials, usual_bias

__all__ = [
    "bias_of_maximum",
    "with_real_bias",
]

_SCALE_EXPONENT = 126  # so that the scale is a normal float32


def with_real_bias(exp_bits: int, man_bits: int, bias: float) -> tuple[FloatSpec, np.float32]:
    """Split a minifloat with a real exponent bias into one with the usual bias and a scale.

    Parameters
    ----------
    exp_bits, man_bits : int
        Of a signed format with subnormals of which every code is a number.
    bias : float
        An exponent field of e stands for ``2**(e - bias)``.

    Returns
    -------
    FloatSpec
        With the bias B of ``2**(exp_bits - 1) - 1``.
    float32
        ``2**(B - bias)``, rounded to nearest: where the bias is no integer, the format is defined by this scale.

    Raises
    ------
    TypeError, ValueError
        If the bias is not a real number within 126 of B, or the fields are none of a `FloatSpec`.
    """
    usual = usual_bias(exp_bits, Specials.FINITE)
    spec = FloatSpec(exp_bits=exp_bits, man_bits=man_bits, bias=usual, specials=Specials.FINITE)
    if isinstance(bias, bool) or not isinstance(bias, int | float | np.floating):
        raise TypeError(f"bias must be a real number, not {bias!r}")
    if not abs(usual - bias) <= _SCALE_EXPONENT:
        raise ValueError(f"bias must be within {_SCALE_EXPONENT} of {usual}, the usual one, not {bias!r}")
    return spec, np.float32(2.0 ** (usual - float(bias)))


def bias_of_maximum(exp_bits: int, man_bits: int, largest: float) -> float:
    """Return the real bias with which the largest value of a minifloat is `largest`.

    Parameters
    ----------
    exp_bits, man_bits : int
        As `with_real_bias`.
    largest : float
        Finite, above 0.

    Returns
    -------
    float
        ``2**exp_bits - log2(largest) + log2(2 - 2**-man_bits) - 1``, in float64.

    Raises
    ------
    ValueError
        If `largest` is not finite and above 0.
    """
    if not 0 < largest < math.inf:
        raise ValueError(f"largest must be finite and above 0, not {largest!r}")
    return float((1 << exp_bits) - math.log2(largest) + math.log2(2 - 2.0**-man_bits) - 1)
