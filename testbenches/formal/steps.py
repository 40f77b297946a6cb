# SPDX-License-Identifier: Apache-2.0
"""The sum of a unit's step, from operand codes to the register, proved against the tables of the formats."""

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.datapath import DotProductUnit
from hwsim.datapath.unit import FixedAccumulator, ScalarSpec
from hwsim.formats import Overflow
from rtl.architecture import Architecture
from rtl.datapath.layouts import special_bits
from rtl.datapath.merged import RowSum, StepSum
from rtl.verilog import parts_verilog
from testbenches.formal.algebra import Term, integer_terms, product_term, prove_sum
from testbenches.formal.proof import Proof

__all__ = [
    "lane_terms",
    "prove_row",
    "prove_step",
]


def prove_step(unit: DotProductUnit, architecture: Architecture) -> Proof:
    """
    Prove what a fixed register becomes in a step: itself and the exact products of all lanes, modulo its width.

    For every register and every pair of codes in each lane; codes that are no numbers are left to the special flags.

    Raises
    ------
    ValueError
        The register is no fixed one that wraps, or the architecture has no heap.
    """
    accumulator = unit.accumulator
    if not isinstance(accumulator, FixedAccumulator) or accumulator.overflow is not Overflow.WRAP or unit.scales:
        raise ValueError(f"unit must have a fixed register that wraps, and no scales; {unit.name} has not")
    if architecture.reduction != "heap":
        raise ValueError(f"architecture must have a heap, not {architecture.reduction!r}")
    bits = accumulator.bits
    name = f"{unit.name}_step"
    text = parts_verilog({name: StepSum(unit, architecture)})[name]
    words = [0, bits + special_bits(unit)] if architecture.accumulation == "carry_save" else [0]
    terms = [term for low in words for term in integer_terms("register", bits, low=low)]
    terms += lane_terms(unit, accumulator.fraction_bits)
    return prove_sum(
        f"{unit.name}, {architecture.name}: step",
        text,
        name,
        [("following", low, bits, 1) for low in words],
        terms,
        bits,
        rows=_rows(architecture),
    )


def prove_row(unit: DotProductUnit, architecture: Architecture) -> Proof:
    """
    Prove the exact sum of a row's products, before its scales, in front of a float register.

    Raises
    ------
    ValueError
        The products are not on one grid, or the architecture has no heap.
    """
    if not unit.on_grid or architecture.reduction != "heap":
        raise ValueError(f"unit must have its products on a grid, in a heap; {unit.name}, {architecture.name} has not")
    name = f"{unit.name}_row"
    text = parts_verilog({name: RowSum(unit, architecture)})[name]
    bits = unit.sum_bits
    terms = lane_terms(unit, -unit.product_exp_min)
    return prove_sum(
        f"{unit.name}, {architecture.name}: row",
        text,
        name,
        [("total", 0, bits, 1)],
        terms,
        bits,
        rows=_rows(architecture),
    )


def lane_terms(unit: DotProductUnit, fraction_bits: int) -> list[Term]:
    """Return each lane's product in units of ``2**-fraction_bits``, of the values that the formats give their codes."""
    left, right = (_numbers(spec) for spec in (unit.element_a, unit.element_b))
    care = np.outer(*(np.array([value is not None for value in side]) for side in (left, right)))
    table = np.array([[_scaled(x, y, fraction_bits) for y in right] for x in left], object)
    a_bits, b_bits = unit.element_a.bits, unit.element_b.bits
    return [
        product_term(("a", lane * a_bits, a_bits), ("b", lane * b_bits, b_bits), table, care)
        for lane in range(unit.lanes)
    ]


def _numbers(spec: ScalarSpec) -> list[Fraction | None]:
    """Return the exact value of every code, None where it is no number."""
    values: NDArray[Any] = spec.decode(np.arange(1 << spec.bits).astype(np.uint64))
    return [Fraction(float(value)) if np.isfinite(value) else None for value in values]


def _scaled(x: Fraction | None, y: Fraction | None, fraction_bits: int) -> int:
    """Return a product as an integer; 0 where it is none."""
    if x is None or y is None:
        return 0
    product = x * y * Fraction(2) ** fraction_bits
    if product.denominator != 1:
        raise ValueError(f"the register must hold every product exactly, and not {x} times {y}")
    return int(product)


def _rows(architecture: Architecture) -> str | None:
    """Return the name of the heap whose rows an adder of ours adds, where that is the last step."""
    return None if architecture.adder == "tool" or architecture.accumulation == "carry_save" else "sum"
