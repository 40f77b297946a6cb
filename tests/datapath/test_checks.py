# SPDX-License-Identifier: Apache-2.0
"""What a unit says of fields that do not go together."""

import dataclasses
import re

import pytest

from hwsim import formats
from hwsim.datapath import (
    CascadedAlignment,
    DotProductUnit,
    FixedAccumulator,
    FloatAccumulator,
    NanResult,
    PairwiseAlignment,
    Promotion,
    Sparsity,
    TruncatedAlignment,
    named,
)
from hwsim.formats import FloatSpec, Overflow, Rounding

_FLOAT32, _FLOAT64 = formats.named("float32"), formats.named("float64")
assert isinstance(_FLOAT32, FloatSpec)
_REGISTER = FloatAccumulator(
    format=_FLOAT32, rounding=Rounding.NEAREST_EVEN, overflow=Overflow.INFINITY, result_man_bits=23
)
_INT20 = FixedAccumulator(bits=20, fraction_bits=0, overflow=Overflow.WRAP)
_GROUPED = TruncatedAlignment(fraction_bits=35, exp_floor=-133, group=16)
_OPERAND = dataclasses.replace(_REGISTER, nan=NanResult.OPERAND)
_RANDOM = dataclasses.replace(_REGISTER, rounding=Rounding.STOCHASTIC, random_bits=8)


@pytest.mark.parametrize(
    ("name", "changes", "text"),
    [
        ("float16_l4_float32", {"order": (0, 1, 2)}, "order must be a permutation of 0..n - 1, n a multiple of lanes"),
        ("float16_l4_float32", {"order": (0, 1, 2, 2)}, "order must be a permutation of 0..n - 1"),
        ("mxfp4", {"order": tuple(range(32))}, "order must be empty for block formats and sparse operands"),
        ("int8", {"ignored_bits": 4}, "a must be a float with IEEE specials where bits are ignored, not int8"),
        ("float16_l4_float32", {"ignored_bits": 33}, "ignored_bits must be in 0..32, not 33"),
        (
            "float16_l4_float32",
            {"ignored_bits": 4, "operand_rounding": Rounding.UP},
            "operand_rounding must be TOWARD_ZERO or NEAREST_EVEN, not <Rounding.UP: 'up'>",
        ),
        (
            "float16_l4_float32",
            {"promotion": Promotion(length=6, accumulator=_REGISTER)},
            "promotion.length must be a multiple of 4, a step, not 6",
        ),
        (
            "mxfp4_l4",
            {"promotion": Promotion(length=12, accumulator=_REGISTER)},
            "promotion.length must be a multiple of a's block of 32, or divide it, not 12",
        ),
        (
            "float16_l4_float32",
            {"promotion": Promotion(length=8, accumulator=_INT20)},
            "promotion.accumulator must hold every bit of float32, and int20 does not",
        ),
        (
            "float16_l4_float32",
            {"promotion": Promotion(length=8, accumulator=_RANDOM)},
            "promotion.accumulator must round without chance and make its own NaN, not float32_stochastic8",
        ),
        (
            "float8_e4m3fn_float32",
            {"unpacked": formats.named("float6_e3m2fn")},
            "unpacked must hold every value of float8_e4m3fn, and float6_e3m2fn does not",
        ),
        (
            "int8",
            {"unpacked": formats.named("float16")},
            "a must be a float of at most 16 bits to be unpacked, not int8",
        ),
        ("int8_l3", {"sparsity": Sparsity(kept=2, of=4)}, "lanes must be a multiple of sparsity.kept, 2, not 3"),
        ("mxfp4_l16", {"lanes": 24}, "lanes must divide a's block of 32, or be a multiple of it, and 24 is neither"),
        ("float16_l4_float32", {"alignment": _GROUPED}, "alignment.group must divide a step of 4 products of block"),
        (
            "nvfp4",
            {"alignment": dataclasses.replace(_GROUPED, group=32), "lanes": 64},
            "alignment.group must divide the blocks of [16, 16], and 32 does not",
        ),
        ("float16_l3_float32", {"alignment": PairwiseAlignment()}, "lanes must be a power of two for a Pairwise"),
        ("mxfp4", {"alignment": PairwiseAlignment()}, "a and b must be scalar formats for a PairwiseAlignment"),
        ("float16_l4_float32", {"accumulator": _OPERAND}, "accumulator.nan must not be OPERAND but for one lane of"),
        (
            "float16_l4_float32",
            {"accumulator": _RANDOM, "alignment": PairwiseAlignment()},
            "rounding of a PairwiseAlignment must be deterministic, not STOCHASTIC",
        ),
        ("int8", {"alignment": PairwiseAlignment()}, "accumulator must be a float for truncated alignment or a block"),
        ("posit8_0", {"rounding": Rounding.STOCHASTIC}, "rounding of a unit's output must be deterministic"),
        (
            "posit8_0",
            {"output": formats.named("posit8_0"), "overflow": Overflow.SATURATE, "rounding": Rounding.UP},
            "rounding must be NEAREST_EVEN for posit8_0, not <Rounding.UP: 'up'>",
        ),
    ],
)
def test_checks_fields_that_do_not_go_together(name: str, changes: dict[str, object], text: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(text)}"):
        dataclasses.replace(named(name), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("promotion", "promotion must be a Promotion or None, not 'x'"),
        ("order", "order must be a tuple, not 'x'"),
        ("sparsity", "sparsity must be a Sparsity or None, not 'x'"),
        ("flush_operands", "flush_operands must be a bool, not 'x'"),
        ("operand_rounding", "operand_rounding must be a Rounding, not 'x'"),
        ("ignored_bits", "ignored_bits must be an int, not 'x'"),
    ],
)
def test_checks_kind_wrong(field: str, text: str) -> None:
    with pytest.raises(TypeError, match=f"^{re.escape(text)}$"):
        dataclasses.replace(named("int8"), **{field: "x"})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"nan": 1}, TypeError, "nan must be a NanResult, not 1"),
        ({"signed_zero": 1}, TypeError, "signed_zero must be a bool, not 1"),
        ({"flush": 1}, TypeError, "flush must be a bool, not 1"),
        ({"random_bits": 1}, ValueError, "random_bits must be in 0..0, not 1"),
        ({"rounding": Rounding.STOCHASTIC}, ValueError, "random_bits must be in 1..32, not 0"),
        (
            {
                "format": formats.named("float64"),
                "result_man_bits": 52,
                "rounding": Rounding.STOCHASTIC,
                "random_bits": 8,
            },
            ValueError,
            "random_bits must be at most 4 for float64, not 8",
        ),
    ],
)
def test_checks_accumulator_field_wrong(changes: dict[str, object], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(text)}$"):
        dataclasses.replace(_REGISTER, **changes)  # type: ignore[arg-type]


def test_checks_alignment_field_wrong() -> None:
    with pytest.raises(ValueError, match=r"^rounding of an alignment must be deterministic, not"):
        TruncatedAlignment(fraction_bits=1, exp_floor=0, rounding=Rounding.STOCHASTIC)
    with pytest.raises(TypeError, match=r"^rounding must be a Rounding, not 1$"):
        TruncatedAlignment(fraction_bits=1, exp_floor=0, rounding=1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^parts must be in 1..2, not 3$"):
        CascadedAlignment(fraction_bits=1, sum_fraction_bits=1, register_fraction_bits=1, parts=3)


def test_checks_promotion_field_wrong() -> None:
    with pytest.raises(ValueError, match=r"^length must be in 1..1048576, not 0$"):
        Promotion(length=0, accumulator=_REGISTER)
    with pytest.raises(TypeError, match=r"^accumulator must be a FixedAccumulator or FloatAccumulator, not 'x'$"):
        Promotion(length=1, accumulator="x")  # type: ignore[arg-type]


def test_checks_quire_has_its_exact_width() -> None:
    spec = formats.named("posit8_2")
    assert isinstance(spec, formats.PositSpec)
    quire = FixedAccumulator(bits=spec.quire_bits, fraction_bits=spec.quire_fraction_bits, overflow=Overflow.WRAP)
    unit = dataclasses.replace(named("posit8_2"), accumulator=quire)
    assert isinstance(unit, DotProductUnit)
    assert (unit.product_last_exp, unit.sum_shift) == (-48, -6)
    short = dataclasses.replace(quire, fraction_bits=47)
    with pytest.raises(ValueError, match=r"^accumulator must have at least 48 fraction bits, for the products' last"):
        dataclasses.replace(unit, accumulator=short)
