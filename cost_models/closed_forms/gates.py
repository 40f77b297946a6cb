# SPDX-License-Identifier: Apache-2.0
"""Counts of two-input gates of arithmetic blocks: a gate of f inputs counts f - 1, and an inverter nothing.

So an AND or OR of two is 1, and XOR, multiplexer and half adder are 3 each, a half adder's AND being one of its XOR's.
The same figures are the sizes of and-inverter graphs.

Source: van Baalen et al., FP8 versus INT8 for efficient deep learning inference, arXiv:2303.17951, appendix B.
"""

__all__ = [
    "AND",
    "FLIP_FLOP",
    "FULL_ADDER",
    "HALF_ADDER",
    "MUX",
    "OR",
    "XOR",
    "add",
    "increment",
    "multiply",
    "shift_left",
    "shift_left_widening",
    "shift_right",
]

AND = OR = 1
XOR = MUX = HALF_ADDER = 3
FULL_ADDER = 2 * HALF_ADDER + OR
FLIP_FLOP = 2 * MUX


def add(bits: int) -> int:
    """Return the gates of a ripple-carry adder of two numbers."""
    _check("bits", bits)
    return (bits - 1) * FULL_ADDER + HALF_ADDER


def increment(bits: int) -> int:
    """Return the gates that add a carry to a number."""
    _check("bits", bits)
    return bits * HALF_ADDER


def multiply(bits: int) -> int:
    """Return the gates of an array multiplier of two numbers of so many bits, signs included."""
    _check("bits", bits)
    return bits**2 * AND + (bits - 1) ** 2 * FULL_ADDER + (bits - 1) * HALF_ADDER


def shift_left(bits: int, most: int) -> int:
    """Return the gates of a shift by 0 to `most` places in a word that keeps its width: zeros need no multiplexer."""
    _check("bits", bits)
    return bits * _levels(most) * MUX - most * (MUX - AND)


def shift_left_widening(bits: int, most: int) -> int:
    """Return the gates of a shift by 0 to `most` places of a word that loses no bit."""
    _check("bits", bits)
    return (bits - 2) * _levels(most) * MUX + most * (MUX + AND)


def shift_right(bits: int, most: int) -> int:
    """Return the gates of a shift by 0 to `most` places of a number in two's complement."""
    _check("bits", bits)
    return (bits - 1) * _levels(most) * MUX


def _levels(most: int) -> int:
    """Return ceil(log2(most + 1))."""
    _check("most", most)
    return most.bit_length()


def _check(name: str, value: int) -> None:
    if type(value) is not int:
        raise TypeError(f"{name} must be an int, not {value!r}")
    if value < 1:
        raise ValueError(f"{name} must be at least 1, not {value!r}")
