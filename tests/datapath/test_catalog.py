# SPDX-License-Identifier: Apache-2.0
import re

import pytest

from hwsim import formats
from hwsim.datapath import (
    ExactAlignment,
    FixedAccumulator,
    FloatAccumulator,
    TruncatedAlignment,
    comparable,
    matmul,
    named,
    names,
)
from hwsim.formats import BlockSpec, FloatSpec, IntegerSpec, Overflow, Rounding


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("int8", "int8_l1_int32"),
        ("int4_l16", "int4_l16_int32"),
        ("int16", "int16_l1_int44"),
        ("uint8_by_int4_l4", "uint8_by_int4_l4_int32"),
        ("int8_int16_sat", "int8_l1_int16_sat"),
        ("float8_e4m3fn", "float8_e4m3fn_l1_fixed49_to_float32"),
        ("float8_e4m3fn_fixed40_sat", "float8_e4m3fn_l1_fixed40_sat_to_float32"),
        ("float8_e5m2", "float8_e5m2_l1_float32"),
        ("float8_e4m3fn_l4_float32", "float8_e4m3fn_l4_float32"),
        ("float16_float16", "float16_l1_float16"),
        ("mxfp4", "mxfp4_l32_float32"),
        ("nvfp4_l4", "nvfp4_l4_float32"),
        ("nvfp4_by_mxfp8_e4m3", "nvfp4_by_mxfp8_e4m3_l16_float32"),
        ("int8_to_float32", "int8_l1_int32_to_float32"),
        ("int8_to_int8", "int8_l1_int32_to_int8_saturate"),
        ("hopper_e4m3_e5m2_float32", "float8_e4m3fn_by_float8_e5m2_l32_t13_floorm133_float32_toward_zero_m13_ones"),
    ],
)
def test_catalog_named(name: str, full: str) -> None:
    unit = named(name)
    assert unit.name == full
    if isinstance(unit.alignment, ExactAlignment) and not full.endswith("saturate"):
        assert named(full) == unit


def test_catalog_headroom_is_twelve_bits() -> None:
    # A product of two E4M3 numbers, up to 448 * 448 in units of 2**-18, and its sign take 37 bits.
    unit = named("float8_e4m3fn")
    assert isinstance(unit.accumulator, FixedAccumulator)
    assert unit.accumulator.bits == (448 * 448 << 18).bit_length() + 1 + 12 == 49
    assert unit.accumulator.fraction_bits == 18


@pytest.mark.parametrize("name", names()[:4])
def test_catalog_short_names(name: str) -> None:
    unit = named(name)
    _, a, b, _ = name.split("_")
    assert unit == named(f"hopper_wgmma_m64n8k32_f32_{a}_{b}")
    assert unit.lanes == 32
    assert unit.alignment == TruncatedAlignment(fraction_bits=13, exp_floor=-133)
    assert isinstance(unit.accumulator, FloatAccumulator)
    assert (unit.accumulator.rounding, unit.accumulator.result_man_bits) == (Rounding.TOWARD_ZERO, 13)
    assert unit.accumulator.nan_code == 0x7FFFFFFF
    assert matmul(unit, [[0]], [[0]]) == 0


# Formats that no unit takes as they are, and a part of what it says.
REFUSED = {
    "uint8_z128": "zero point at 0",
    "nvfp4_16x16": "blocks along one row",
    **dict.fromkeys(("dfp16", "qfx8", "bitnet", "bitnet_median"), "blocks along one row"),
    **dict.fromkeys(("int8_g128", "int4_g128", "int4_g32", "nf4_b64", "bnb_fp4_b64"), "a NaN and no infinity"),
    **dict.fromkeys(("uint4_g128", "uint4_g32", "bitmod_fp4_g128", "bitmod_fp3_g128"), "nor a choice of elements"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_catalog_format_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"^a must .*{REFUSED[name]}"):
        named(name)


def test_catalog_every_format_has_a_unit() -> None:
    tried = 0
    for name in formats.names():
        spec = formats.named(name)
        if name in REFUSED or (isinstance(spec, FloatSpec) and not spec.subnormals):
            continue  # the latter is a scale, not an operand
        unit = named(name)
        assert unit.a == unit.b == spec
        assert unit.lanes == (spec.block_size if isinstance(spec, BlockSpec) else 1)
        tried += 1
    assert tried > 80


@pytest.mark.parametrize("name", ["int8", "int4", "float8_e4m3fn", "float4_e2m1fn", "float8_e5m2", "mxfp4", "nvfp4"])
def test_catalog_comparable_gives_float32(name: str) -> None:
    unit = comparable(name, 16)
    assert (unit.lanes, unit.output.name) == (16, "float32")
    assert isinstance(unit.alignment, ExactAlignment)
    wide = name in ("float8_e5m2", "mxfp4", "nvfp4")
    assert isinstance(unit.accumulator, FloatAccumulator if wide else FixedAccumulator)


def test_catalog_defaults_to_its_accumulator() -> None:
    unit = named("int8_by_uint4_l2_int20")
    assert isinstance(unit.output, IntegerSpec)
    assert (unit.output, unit.overflow) == (unit.accumulator.format, Overflow.SATURATE)


@pytest.mark.parametrize(
    ("name", "error", "text"),
    [
        (8, TypeError, "the name of a unit must be a str, not 8"),
        (
            "mxfp4_fixed40",
            ValueError,
            "the accumulator of a block format must be a float: its scales spread too far for a fixed point",
        ),
        (
            "int8_float32_sat",
            ValueError,
            "unit 'int8_float32_sat' asks for a float accumulator that saturates, which a name cannot say",
        ),
        ("int8_to_mxfp4", ValueError, "the output of a unit must be a scalar format, not mxfp4"),
        ("int8_l0", ValueError, "lanes must be in 1..1024, not 0"),
    ],
)
def test_catalog_name_wrong(name: str, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(text)}$"):
        named(name)


def test_catalog_unknown_name_wrong() -> None:
    with pytest.raises(
        KeyError, match=r"^\"unknown unit 'hoper_e4m3_e4m3_float32': .*did you mean the unit hopper_e4m3_e4m3"
    ):
        named("hoper_e4m3_e4m3_float32")
    with pytest.raises(KeyError, match=r"^\"unknown unit 'float8_e4m3f_l4': unknown format 'float8_e4m3f'"):
        named("float8_e4m3f_l4")
    with pytest.raises(
        KeyError, match=r"^\"unknown unit '': a unit is FORMAT\[_by_FORMAT\]\[_lLANES\]\[_ACCUMULATOR\]"
    ):
        named("")
