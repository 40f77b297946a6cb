# SPDX-License-Identifier: Apache-2.0
"""Widths of accumulators that hold every partial sum of a dot product of minifloats, or of integers.

Source: Aggarwal et al., Shedding the Bits: Pushing the Boundaries of Quantization with Minifloats on FPGAs,
arXiv:2311.12359, after Uguen and de Dinechin's Kulisch accumulators. Its formulas for the look-up tables that such an
accumulator takes were not at hand.
"""

__all__ = [
    "integer_accumulator_bits",
    "minifloat_accumulator_bits",
]


def minifloat_accumulator_bits(a_exp_bits: int, a_man_bits: int, b_exp_bits: int, b_man_bits: int, terms: int) -> int:
    """Return the bits for exact sums of `terms` products of finite floats: `2**ea + ma + 2**eb + mb + log2(n) - 1`."""
    for name, value in (
        ("a_exp_bits", a_exp_bits),
        ("a_man_bits", a_man_bits),
        ("b_exp_bits", b_exp_bits),
        ("b_man_bits", b_man_bits),
    ):
        _check(name, value, 0)
    return int((1 << a_exp_bits) + a_man_bits + (1 << b_exp_bits) + b_man_bits + _log2(terms) - 1)


def integer_accumulator_bits(a_bits: int, b_bits: int, terms: int) -> int:
    """Return the bits for sums of `terms` products of integers by the paper: one or two more than are needed."""
    _check("a_bits", a_bits, 1)
    _check("b_bits", b_bits, 1)
    return a_bits + b_bits + _log2(terms) + 1


def _log2(terms: int) -> int:
    """Return ceil(log2(terms))."""
    _check("terms", terms, 1)
    return (terms - 1).bit_length()


def _check(name: str, value: int, least: int) -> None:
    if type(value) is not int:
        raise TypeError(f"{name} must be an int, not {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, not {value!r}")
