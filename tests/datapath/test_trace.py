# SPDX-License-Identifier: Apache-2.0
"""A trace's registers are the oracle's, and what it says lies between them adds up."""

import random
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from hwsim import formats
from hwsim.datapath import (
    CascadedAlignment,
    DotProductUnit,
    ExactAlignment,
    FixedAccumulator,
    FloatAccumulator,
    NanResult,
    PairwiseAlignment,
    Promotion,
    Row,
    Sparsity,
    TruncatedAlignment,
    accumulate_exact,
    dot_exact,
    load_exact,
    matmul,
    named,
)
from hwsim.datapath.accumulate import promote_exact
from hwsim.datapath.trace import StepTrace, element_order, element_rows, register_term, term_value, trace_exact
from hwsim.formats import FloatSpec, IntegerSpec, Overflow, Rounding


def _float(name: str) -> FloatSpec:
    spec = formats.named(name)
    assert isinstance(spec, FloatSpec)
    return spec


def _register(name: str = "float32", **more: Any) -> FloatAccumulator:
    spec = _float(name)
    held = FloatAccumulator(
        format=spec, rounding=Rounding.NEAREST_EVEN, overflow=Overflow.INFINITY, result_man_bits=spec.man_bits
    )
    return replace(held, **more)


_E4M3 = named("float8_e4m3fn_l8_float32")
_CASCADE = CascadedAlignment(fraction_bits=24, sum_fraction_bits=31, register_fraction_bits=24)
_UNITS = {
    "integer": named("int8_l4"),
    "saturating": named("int8_l2_int16_sat"),
    "fixed": named("float8_e4m3fn"),
    "float": _E4M3,
    "converted": named("float8_e4m3fn_float32_to_float16"),
    "hopper": named("hopper_e4m3_e5m2_float32"),
    "apart": replace(_E4M3, alignment=TruncatedAlignment(fraction_bits=9, exp_floor=-20, with_accumulator=False)),
    "down": replace(_E4M3, alignment=TruncatedAlignment(fraction_bits=9, exp_floor=-20, rounding=Rounding.DOWN)),
    "even": replace(_E4M3, alignment=TruncatedAlignment(fraction_bits=6, exp_floor=-4, rounding=Rounding.NEAREST_EVEN)),
    "pairwise": replace(
        _E4M3, alignment=PairwiseAlignment(), accumulator=_register("bfloat16"), output=_float("bfloat16")
    ),
    "flushed tree": replace(
        named("float16_l4_float32"),
        alignment=PairwiseAlignment(),
        accumulator=_register(flush=True),
        flush_operands=True,
    ),
    "cascaded": replace(named("float16_l8_float32"), alignment=_CASCADE),
    "even and odd": replace(
        _E4M3, lanes=16, alignment=replace(_CASCADE, sum_fraction_bits=24, parts=2, register_reach=25)
    ),
    "promoted": replace(named("hopper_e4m3_e4m3_float32"), promotion=Promotion(length=64, accumulator=_register())),
    "promoted integer": replace(
        named("int8_l4_int16"),
        promotion=Promotion(length=16, accumulator=FixedAccumulator(bits=32, fraction_bits=0, overflow=Overflow.WRAP)),
        output=IntegerSpec(bits=32),
    ),
    "ordered": replace(_E4M3, order=(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15)),
    "ignored bits": replace(named("tfloat32_l4_float32"), ignored_bits=13),
    "sparse": replace(_E4M3, sparsity=Sparsity(kept=2, of=4)),
    "stochastic": replace(
        _E4M3,
        accumulator=_register("bfloat16", rounding=Rounding.STOCHASTIC, random_bits=8),
        output=_float("bfloat16"),
    ),
    "signed zero": replace(named("float32_float32"), accumulator=_register(signed_zero=True)),
    "operand NaN": replace(named("float32_float32"), accumulator=_register(signed_zero=True, nan=NanResult.OPERAND)),
    "blocks": named("mxfp4"),
    "several scales": replace(named("mxfp4"), a=formats.named("nvfp4"), b=formats.named("nvfp4"), lanes=64),
    "grouped": replace(
        named("nvfp4"), lanes=64, alignment=TruncatedAlignment(fraction_bits=35, exp_floor=-133, group=16)
    ),
    "one scale for steps": named("mxfp8_e4m3_l8"),
    "posit": named("posit8_1_l2_float32"),
    "codebook": named("nf4_l2_float32"),
}


def _operands(unit: DotProductUnit, source: random.Random, depth: int) -> tuple[list[int], list[int]]:
    """Draw codes; specials come seldom, or nothing else would be seen."""
    drawn = []
    for spec in (unit.element_a, unit.element_b):
        codes = [source.getrandbits(spec.bits + unit.ignored_bits) for _ in range(depth)]
        special = spec.unpack(np.array(codes) >> unit.ignored_bits).special != 0
        zero = int(spec.encode(0.0))
        seldom = [bad and source.random() < 0.98 for bad in special.tolist()]
        drawn.append([zero if bad else code for code, bad in zip(codes, seldom, strict=True)])
    if unit.sparsity:
        for at in range(0, depth, unit.sparsity.of):
            for gone in source.sample(range(unit.sparsity.of), unit.sparsity.of - unit.sparsity.kept):
                if at + gone < depth:
                    drawn[0][at + gone] = 0
    return drawn[0], drawn[1]


def _rows(unit: DotProductUnit, source: random.Random, depth: int) -> list[Row]:
    a, b = _operands(unit, source, depth)
    scales = []
    for spec in (unit.a, unit.b):
        if isinstance(spec, formats.BlockSpec):
            middle = int(spec.scale.encode(1.0))
            scales.append([middle + source.randint(-3, 3) for _ in range(-(-depth // spec.block_size))])
        else:
            scales.append([])
    c = source.getrandbits(unit.register.bits)
    place = source.randrange(9), source.randrange(9)
    return element_rows(unit, a, b, c, a_scales=scales[0], b_scales=scales[1], place=place, seed=5)


@pytest.mark.parametrize("kind", _UNITS)
def test_trace_registers_are_the_oracles(kind: str) -> None:
    unit = _UNITS[kind]
    source = random.Random(kind)
    finite = 0
    for _ in range(40):
        rows = _rows(unit, source, source.choice([1, 7, 64, 100]))
        steps = trace_exact(unit, rows)
        assert [step.output for step in steps if step.output is not None] == dot_exact(unit, rows)
        assert [step.row for step in steps] == list(range(len(rows)))
        outer, before = load_exact(unit, rows[0].c), (0, 0)
        if unit.promotion is None:
            before = outer
        for step in steps:
            assert step.before == before
            if not (isinstance(unit.accumulator, FloatAccumulator) and unit.accumulator.nan is NanResult.OPERAND):
                assert accumulate_exact(unit, step.before, step.total, step.word) == step.after
            before = step.after
            if step.promoted is not None:
                outer = promote_exact(unit, outer, step.after)
                assert step.promoted == outer
                before = (0, 0)
            finite += _adds_up(unit, step)
    assert finite >= 40


def _adds_up(unit: DotProductUnit, step: StepTrace) -> bool:
    """Check the parts of a finite step, and tell whether it is one."""
    if step.total.special or any(each.exact.special for each in step.addends):
        return False
    total = term_value(step.total)
    kept = sum((term_value(each.kept) for each in step.addends), Fraction(0))
    if isinstance(unit.alignment, PairwiseAlignment | CascadedAlignment):
        assert step.sums
        if isinstance(unit.alignment, PairwiseAlignment):
            assert term_value(step.sums[-1].kept) == total
        else:
            last = [each.kept for each in step.sums if each.of in ("sum of the products", "register")]
            assert sum(map(term_value, last)) == total
            assert all(each.lost >= 0 for each in step.sums if each.of != "register")  # downward
    else:
        assert kept == total
        assert not step.sums
    if isinstance(unit.alignment, ExactAlignment):
        assert all(each.lost == 0 for each in step.addends)
        exact = [term_value(lane.product) * term_value(lane.scale) for lane in step.lanes]
        assert sum(exact) == total
    elif isinstance(unit.alignment, TruncatedAlignment):
        place = Fraction(2) ** (step.total.lead - unit.alignment.fraction_bits)
        assert all(abs(each.lost) < place for each in step.addends)
        assert all((term_value(each.kept) / place).denominator == 1 for each in step.addends)
    return True


def test_trace_truncated_by_hand() -> None:
    """1.875 * 1.875 = 225 * 2**-6 sets the exponent 0; beside it 13 fraction bits keep 1 of 9 * 2**-16."""
    unit = named("hopper_e4m3_e4m3_float32")
    spec = _float("float8_e4m3fn")
    a = spec.encode(np.array([1.875, 0.01171875, 0.0])).tolist()  # 3 * 2**-8
    b = spec.encode(np.array([1.875, 0.01171875, 448.0])).tolist()
    step = trace_exact(unit, element_rows(unit, a, b))[0]
    assert [lane.a.significand for lane in step.lanes[:3]] == [15, 6, 0]
    assert [lane.product.significand for lane in step.lanes[:3]] == [225, 36, 0]
    assert step.total.lead == 0
    assert step.total.exponent == -13
    assert [term_value(each.kept) * 2**13 for each in step.addends[:3]] == [225 << 7, 1, 0]
    assert [each.lost for each in step.addends[:3]] == [0, Fraction(9, 2**16) - Fraction(1, 2**13), 0]
    assert term_value(register_term(unit.accumulator, step.after)) == Fraction(225, 64)  # 13 bits below 2**1
    assert len(step.addends) == 33
    assert step.addends[-1].of == "register"


def test_trace_element_rows_are_those_of_matmul() -> None:
    rng = np.random.default_rng(3)
    compared = 0
    for kind, unit in _UNITS.items():
        depth = 75
        source = random.Random(f"matmul {kind}")
        drawn = [_operands(unit, source, depth) for _ in range(3)]
        a, b = np.array([pair[0] for pair in drawn]), np.array([pair[1] for pair in drawn]).T
        scales: dict[str, np.ndarray] = {}
        if isinstance(unit.a, formats.BlockSpec):
            blocks = -(-depth // unit.a.block_size)
            middle = int(unit.a.scale.encode(1.0))
            scales["a_scales"] = rng.integers(middle - 4, middle + 4, (3, blocks))
            scales["b_scales"] = rng.integers(middle - 4, middle + 4, (blocks, 3))
        found = matmul(unit, a, b, **scales, seed=11)
        for row, column in np.ndindex(3, 3):
            held = (
                {"a_scales": scales["a_scales"][row].tolist(), "b_scales": scales["b_scales"][:, column].tolist()}
                if scales
                else {}
            )
            codes = a[row].tolist(), b[:, column].tolist()
            rows = element_rows(unit, *codes, **held, place=(row, column), seed=11)
            assert trace_exact(unit, rows)[-1].output == found[row, column], kind
            compared += 1
    assert compared == 9 * len(_UNITS)


def test_trace_element_order() -> None:
    unit = replace(named("int8_l2"), order=(0, 1, 4, 5, 2, 3, 6, 7))
    assert element_order(unit, 5) == [0, 1, 4, 5, 2, 3, 6, 7]
    assert element_order(named("int8_l4"), 5) == list(range(8))
    rows = element_rows(unit, [1, 2, 3, 4, 5], [1] * 5)
    assert [row.a for row in rows] == [(1, 2), (5, 0), (3, 4), (0, 0)]


def test_trace_rows_wrong() -> None:
    unit = named("int8")
    with pytest.raises(ValueError, match=r"^a and b must be as long as each other, and not empty, not 2 and 1$"):
        element_rows(unit, [1, 2], [1])
    with pytest.raises(ValueError, match=r"^rows must start with a row that has `first`"):
        trace_exact(unit, [Row(first=False, last=True, a=(1,), b=(1,))])
