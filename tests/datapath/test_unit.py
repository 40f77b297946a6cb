# SPDX-License-Identifier: Apache-2.0
import dataclasses
import random
import re
from typing import Any

import pytest

from hwsim import formats
from hwsim.datapath import (
    DotProductUnit,
    ExactAlignment,
    FixedAccumulator,
    FloatAccumulator,
    NanResult,
    TruncatedAlignment,
    named,
)
from hwsim.formats import FloatSpec, IntegerSpec, Overflow, Rounding, Specials

_INT32 = FixedAccumulator(bits=32, fraction_bits=0, overflow=Overflow.WRAP)
_E8M0 = formats.named("float8_e8m0fnu")
_FLOAT32 = formats.named("float32")
assert isinstance(_E8M0, FloatSpec)
assert isinstance(_FLOAT32, FloatSpec)
_DOWN = "where IEEE 754 makes an exact sum of zero -0, which no unit here does"
_REGISTER = FloatAccumulator(
    format=_FLOAT32, rounding=Rounding.NEAREST_EVEN, overflow=Overflow.INFINITY, result_man_bits=23
)
_FINITE = FloatSpec(exp_bits=3, man_bits=2, bias=3, specials=Specials.FINITE)


def test_unit_names_tell_units_apart(random_unit: Any, interpreted: bool) -> None:
    source = random.Random(12)
    seen: dict[str, DotProductUnit] = {}
    for _ in range(2_000 if interpreted else 20_000):
        unit = random_unit(source)
        if not unit.converts:  # then these two say nothing
            unit = dataclasses.replace(unit, rounding=Rounding.UP, overflow=Overflow.INFINITY)
        assert seen.setdefault(unit.name, unit) == unit
        assert re.fullmatch(r"[a-z][a-z0-9_]*", unit.name)
    assert len(seen) > (1_800 if interpreted else 18_000)


def test_unit_derived_of_int8() -> None:
    unit = named("int8_l4")
    assert (unit.product_max, unit.product_exp_min, unit.product_exp_max) == (1 << 14, 0, 0)
    assert (unit.sum_bits, unit.sum_shift, unit.on_grid) == (18, 0, True)
    assert (unit.converts, unit.has_specials, unit.scales) == (False, False, ())


def test_unit_derived_of_e4m3() -> None:
    # E4M3's places are 2**-9 .. 2**5; its largest significand is 15.
    unit = named("float8_e4m3fn_l2")
    assert (unit.product_max, unit.product_exp_min, unit.product_exp_max) == (225, -18, 10)
    assert unit.sum_bits == (2 * 225 << 28).bit_length() + 1
    assert (unit.converts, unit.has_specials) == (True, True)
    assert not named("float8_e4m3fn_float32").on_grid
    shifted = dataclasses.replace(unit, accumulator=FixedAccumulator(bits=60, fraction_bits=20, overflow=Overflow.WRAP))
    assert shifted.sum_shift == 2


def test_unit_scales_are_as_before_bs() -> None:
    unit = named("mxfp4_by_nvfp4_l16")
    assert unit.scales == (_E8M0, formats.named("float8_e4m3fn"))
    assert named("int8_by_mxfp4").scales == (_E8M0,)
    assert named("int8_by_mxfp4").scale_a is None


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(DotProductUnit)])
def test_unit_field_kind_wrong(field: str) -> None:
    allowed = {
        "a": "IntegerSpec or FloatSpec or PositSpec or CodebookSpec or BlockSpec",
        "b": "IntegerSpec or FloatSpec or PositSpec or CodebookSpec or BlockSpec",
        "lanes": "int",
        "alignment": "ExactAlignment or TruncatedAlignment or PairwiseAlignment or CascadedAlignment",
        "accumulator": "FixedAccumulator or FloatAccumulator",
        "output": "IntegerSpec or FloatSpec or PositSpec",
        "rounding": "Rounding",
        "overflow": "Overflow",
        "promotion": "Promotion or None",
        "order": "tuple",
        "ignored_bits": "int",
        "operand_rounding": "Rounding",
        "flush_operands": "bool",
        "sparsity": "Sparsity or None",
        "unpacked": "FloatSpec or None",
    }[field]
    change: dict[str, Any] = {field: "x"}
    article = "an" if allowed == "int" else "a"
    with pytest.raises(TypeError, match=rf"^{field} must be {article} {allowed}, not 'x'$"):
        dataclasses.replace(named("int8"), **change)


_CASES: list[tuple[dict[str, Any], str]] = [
    ({"lanes": 0}, "lanes must be in 1..1024, not 0"),
    (
        {"a": formats.named("mxint8"), "lanes": 5},
        "lanes must divide a's block of 32, or be a multiple of it, and 5 is neither",
    ),
    ({"b": _E8M0}, "b must have a zero, and float8_e8m0fnu has none"),
    (
        {"a": formats.named("mxint8")},
        "accumulator must be a float for truncated alignment or a block format, not int32",
    ),
    (
        {"alignment": TruncatedAlignment(fraction_bits=3, exp_floor=0)},
        "accumulator must be a float for truncated alignment or a block format, not int32",
    ),
    (
        {"a": formats.named("fixed8_4"), "b": formats.named("fixed8_4")},
        "accumulator must have at least 8 fraction bits, for the products' last place is 2**-8, not 0",
    ),
    ({"output": _E8M0}, "output must have a zero, and float8_e8m0fnu has none"),
    (
        {"accumulator": _REGISTER, "output": IntegerSpec(bits=8)},
        "output must have a NaN, for the operands or the accumulator have, and int8 has none",
    ),
    (
        {"output": IntegerSpec(bits=8), "overflow": Overflow.INFINITY},
        "overflow must be WRAP or SATURATE for int8, not <Overflow.INFINITY: 'infinity'>",
    ),
    (
        {"output": _FLOAT32, "overflow": Overflow.WRAP},
        "overflow must be INFINITY or SATURATE for float32, not <Overflow.WRAP: 'wrap'>",
    ),
    (
        {"output": _FINITE, "overflow": Overflow.INFINITY},
        "overflow must be SATURATE for float6_e3m2fn, which has neither infinity nor NaN",
    ),
    (
        {"overflow": Overflow.PROPAGATE},
        "overflow of a unit must be WRAP, SATURATE or INFINITY, not <Overflow.PROPAGATE: 'propagate'>",
    ),
    (
        {"rounding": Rounding.STOCHASTIC},
        "rounding of a unit's output must be deterministic, not <Rounding.STOCHASTIC: 'stochastic'>",
    ),
    (
        {"a": IntegerSpec(bits=8, signed=False, zero_point=128)},
        "a must have its zero point at 0, and uint8_z128 has not: correct for it outside",
    ),
    (
        {"output": FloatSpec(exp_bits=4, man_bits=0, bias=7, specials=Specials.FN)},
        "output must store mantissa bits, and float5_e4m0fn has none",
    ),
]


@pytest.mark.parametrize(("change", "text"), _CASES)
def test_unit_value_wrong(change: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        dataclasses.replace(named("int8"), **change)


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"fraction_bits": 61}, ValueError, "fraction_bits must be in 0..60, not 61"),
        ({"fraction_bits": True}, TypeError, "fraction_bits must be an int, not True"),
        ({"exp_floor": -5000}, ValueError, "exp_floor must be in -4096..4096, not -5000"),
        ({"with_accumulator": 1}, TypeError, "with_accumulator must be a bool, not 1"),
    ],
)
def test_unit_truncated_alignment_wrong(change: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(text)}$"):
        dataclasses.replace(TruncatedAlignment(fraction_bits=3, exp_floor=0), **change)


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"bits": 1}, ValueError, "bits must be in 2..1024, not 1"),
        ({"bits": 8.0}, TypeError, "bits must be an int, not 8.0"),
        ({"fraction_bits": 1001}, ValueError, "fraction_bits must be in -1000..1000, not 1001"),
        (
            {"overflow": Overflow.INFINITY},
            ValueError,
            "overflow of a fixed accumulator must be WRAP or SATURATE, not <Overflow.INFINITY: 'infinity'>",
        ),
    ],
)
def test_unit_fixed_accumulator_wrong(change: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(text)}$"):
        dataclasses.replace(_INT32, **change)


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"format": "float32"}, TypeError, "format of a float accumulator must be a FloatSpec, not 'float32'"),
        (
            {"format": _FINITE},
            ValueError,
            "format of a float accumulator must be signed, with infinity and NaN, not float6_e3m2fn",
        ),
        ({"rounding": "up"}, TypeError, "rounding must be a Rounding, not 'up'"),
        (
            {"rounding": Rounding.STOCHASTIC},
            ValueError,
            "random_bits must be in 1..32, not 0",
        ),
        (
            {"overflow": Overflow.WRAP},
            ValueError,
            "overflow of a float accumulator must be INFINITY or SATURATE, not <Overflow.WRAP: 'wrap'>",
        ),
        ({"result_man_bits": 24}, ValueError, "result_man_bits must be in 1..23, not 24"),
        (
            {"signed_zero": True, "rounding": Rounding.DOWN},
            ValueError,
            f"signed_zero must be False with rounding DOWN, {_DOWN}",
        ),
        ({"nan": 0}, TypeError, "nan must be a NanResult, not 0"),
    ],
)
def test_unit_float_accumulator_wrong(change: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(text)}$"):
        dataclasses.replace(_REGISTER, **change)


def test_unit_nan_codes() -> None:
    assert _REGISTER.nan_code == 0x7FC00000
    assert dataclasses.replace(_REGISTER, nan=NanResult.ALL_ONES).nan_code == 0x7FFFFFFF


def test_unit_is_a_key() -> None:
    assert hash(named("int8")) == hash(dataclasses.replace(named("int8"), alignment=ExactAlignment()))
