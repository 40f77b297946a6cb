# SPDX-License-Identifier: Apache-2.0
"""Two-input gates of a multiply-accumulate unit of 8-bit operands: INT8 and FP8 of 2 to 5 exponent bits.

Source: van Baalen et al., arXiv:2303.17951, section 3 and appendix B. Its figure 3 has three segments a bar. The
appendix does not say which of them has which flip-flops: where they stand here the fixed-point bars come out within
1.1 %. Of the float accumulators it lists the steps and not their widths, nor what a leading-zero detector costs; what
is chosen here is said in `float_accumulator`.
"""

from dataclasses import dataclass

from cost_models.closed_forms import gates

__all__ = [
    "HEADROOM_BITS",
    "INT8",
    "Segments",
    "fixed_accumulator",
    "fixed_accumulator_bits",
    "float_accumulator",
]

HEADROOM_BITS = 12
"""Bits above the widest product: 4096 terms."""

INT8 = 1
"""Exponent bits that stand for INT8: with one, every number is subnormal."""

# The figure's bars less the other segments; the appendix has no cost of the detector.
_LEADING_ZEROS = {5: 36, 8: 110}
_FLOATS = {5: 10, 8: 23}


@dataclass(frozen=True, slots=True, kw_only=True)
class Segments:
    """Gates of a unit, as figure 3 splits them."""

    multiply: int
    align: int
    accumulate: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.multiply + self.align + self.accumulate


def fixed_accumulator_bits(exp_bits: int, headroom_bits: int = HEADROOM_BITS) -> int:
    """Return the width of the accumulator of exact sums: product, widest shift, head-room."""
    product, shift = _widths(exp_bits)
    return product + shift + headroom_bits


def fixed_accumulator(exp_bits: int, headroom_bits: int = HEADROOM_BITS) -> Segments:
    """
    Return the gates of a unit that adds exactly.

    Parameters
    ----------
    exp_bits : int
        Of both operands, 2 to 5; `INT8`: integers.
    headroom_bits : int
        At least 1: half adders, for only a carry comes there.

    Returns
    -------
    Segments

    Raises
    ------
    TypeError, ValueError
        A number is no int, or out of range.
    """
    product, shift = _widths(exp_bits)
    registers = fixed_accumulator_bits(exp_bits, headroom_bits) * gates.FLIP_FLOP
    accumulate = gates.increment(headroom_bits) + registers
    if exp_bits == INT8:
        return Segments(multiply=gates.multiply(8), align=gates.add(product), accumulate=accumulate)
    return Segments(
        multiply=gates.multiply(9 - exp_bits) + gates.add(exp_bits),
        align=(product + exp_bits + 1) * gates.FLIP_FLOP
        + gates.shift_left_widening(product, shift)
        + gates.add(product + shift),
        accumulate=accumulate,
    )


def float_accumulator(exp_bits: int, register_exp_bits: int) -> Segments:
    """
    Return the gates of a unit that rounds to a float in each step.

    The steps are the paper's: subtract exponents, sort, shift the smaller (two bits more than a signed significand),
    add, detect leading zeros, shift left, round. Ours, as it does not say: the sum goes through XOR and increment to be
    a magnitude, one adder adjusts the exponent, and the detector costs what was missing in the figure (36 gates for
    float16, 110 for float32). So the totals are close to the figure in part by construction.

    Parameters
    ----------
    exp_bits : int
        Of both operands, 2 to 5; `INT8`: integers.
    register_exp_bits : int
        5: float16; 8: float32.

    Returns
    -------
    Segments

    Raises
    ------
    TypeError, ValueError
        A number is no int, or out of range.
    """
    product, _ = _widths(exp_bits)
    if register_exp_bits not in _FLOATS:
        raise ValueError(f"register_exp_bits must be 5 (float16) or 8 (float32), not {register_exp_bits!r}")
    mantissa = _FLOATS[register_exp_bits]
    significand = mantissa + 2  # hidden bit and sign
    window = significand + 2  # round and sticky
    align = (product + exp_bits + 1) * gates.FLIP_FLOP + gates.add(register_exp_bits + 1)
    align += (2 * significand + register_exp_bits) * gates.MUX + gates.shift_right(window, window - 1)
    align += gates.add(window) + window * gates.XOR + gates.increment(window)
    accumulate = _LEADING_ZEROS[register_exp_bits] + gates.shift_left(window, window - 1)
    accumulate += gates.add(register_exp_bits + 1) + gates.increment(mantissa + 1)
    accumulate += (1 + register_exp_bits + mantissa) * gates.FLIP_FLOP
    return Segments(multiply=gates.multiply(9 - exp_bits) + gates.add(exp_bits + 1), align=align, accumulate=accumulate)


def _widths(exp_bits: int) -> tuple[int, int]:
    """Return the bits of a signed product of significands, and the widest shift."""
    if type(exp_bits) is not int:
        raise TypeError(f"exp_bits must be an int, not {exp_bits!r}")
    if not 1 <= exp_bits <= 5:
        raise ValueError(f"exp_bits must be 2 to 5, or 1 for INT8, not {exp_bits!r}")
    return 2 * (9 - exp_bits) - 1, 2 * ((1 << exp_bits) - 2)
