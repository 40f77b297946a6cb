# SPDX-License-Identifier: Apache-2.0
"""Blocks of a matrix unit of block formats, counted: Chen et al., INT v.s. FP, arXiv:2510.25602, appendix C, table 6.

The paper weights its counts by cell areas and energies of a FinFET library, which it does not publish: here the caller
gives them. A format is of x exponent and y mantissa bits, an integer of b bits x = 0 and y = b - 1.
"""

import math
from dataclasses import dataclass, fields

from cost_models.closed_forms import gates

__all__ = [
    "FORMATS",
    "PSUM_BITS",
    "VAN_BAALEN",
    "BlockFormat",
    "Counts",
    "Factors",
    "aligner_bits",
    "counts",
    "per_product",
]

PSUM_BITS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockFormat:
    """Exponent and mantissa bits of the elements, and how many share a scale."""

    exp_bits: int
    man_bits: int
    lanes: int


FORMATS = {
    "mxfp8": BlockFormat(exp_bits=4, man_bits=3, lanes=32),
    "mxint8": BlockFormat(exp_bits=0, man_bits=7, lanes=32),
    "nvfp4": BlockFormat(exp_bits=2, man_bits=1, lanes=16),
    "nvint4": BlockFormat(exp_bits=0, man_bits=3, lanes=16),
}
"""Of table 1, with the block sizes of table 5."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Cells of each block of the lanes of a unit together; 0 where the format has no such block."""

    multiplier: float
    adder: float
    exponent_adder: float
    exponent_subtractor: float
    comparator: float
    aligner: float
    normaliser: float

    def weighted(self, factors: "Factors") -> float:
        """Return the sum over all blocks of cells times what a cell costs."""
        return float(sum(getattr(self, field.name) * getattr(factors, field.name) for field in fields(self)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Factors:
    """What a cell of each block costs, in any unit: area, or energy a toggle times the share of them that toggle."""

    multiplier: float
    adder: float
    exponent_adder: float
    exponent_subtractor: float
    comparator: float
    aligner: float
    normaliser: float


VAN_BAALEN = Factors(
    multiplier=gates.AND + gates.FULL_ADDER,
    adder=gates.FULL_ADDER,
    exponent_adder=gates.FULL_ADDER,
    exponent_subtractor=gates.XOR + gates.FULL_ADDER,
    comparator=gates.XOR + gates.AND + gates.OR,
    aligner=gates.MUX,
    normaliser=gates.MUX + gates.OR,
)
"""Two-input gates (`cost_models.closed_forms.gates`) of the cells that table 6 names: not the paper's factors."""


def aligner_bits(exp_bits: int, man_bits: int, psum_bits: int = PSUM_BITS) -> int:
    """Return n, the width of the aligner: the span of a product, at most that of a partial sum."""
    return int(min((1 << (exp_bits + 1)) + 2 * man_bits, psum_bits))


def counts(exp_bits: int, man_bits: int, lanes: int, psum_bits: int = PSUM_BITS) -> Counts:
    """
    Return the cells of the lanes of a unit: multiply and add, without scales and float32 accumulator.

    Parameters
    ----------
    exp_bits : int
        x; 0: an integer.
    man_bits : int
        y: stored bits of a mantissa; of an integer, its bits less one.
    lanes : int
        k, at least 1.
    psum_bits : int
        Of a partial sum, at least 1.

    Returns
    -------
    Counts

    Raises
    ------
    TypeError, ValueError
        A number is no int, or out of range.
    """
    for name, value, least in (
        ("exp_bits", exp_bits, 0),
        ("man_bits", man_bits, 0),
        ("lanes", lanes, 1),
        ("psum_bits", psum_bits, 1),
    ):
        if type(value) is not int:
            raise TypeError(f"{name} must be an int, not {value!r}")
        if value < least:
            raise ValueError(f"{name} must be at least {least}, not {value!r}")
    if exp_bits == 0:
        return Counts(
            multiplier=lanes * (man_bits + 1) ** 2, adder=2 * lanes * (man_bits + 1),
            exponent_adder=0, exponent_subtractor=0, comparator=0, aligner=0, normaliser=0,
        )  # fmt: skip
    n = aligner_bits(exp_bits, man_bits, psum_bits)
    exponents = lanes * exp_bits
    return Counts(
        multiplier=lanes * (man_bits + 1) ** 2, adder=lanes * n,
        exponent_adder=exponents, exponent_subtractor=exponents, comparator=exponents,
        aligner=lanes * n * math.log2(n), normaliser=n * math.log2(n),
    )  # fmt: skip


def per_product(
    spec: BlockFormat, factors: Factors, *, scales: float = 0.0, accumulator: float = 0.0, psum_bits: int = PSUM_BITS
) -> float:
    """Return what a product costs: lanes, and a block's scales (DEQ) and float32 accumulator (ACC), by the lanes.

    The paper gives no counts of the latter two; they are in the unit of `factors`.
    """
    lanes = counts(spec.exp_bits, spec.man_bits, spec.lanes, psum_bits).weighted(factors)
    return (lanes + scales + accumulator) / spec.lanes
