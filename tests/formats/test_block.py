# SPDX-License-Identifier: Apache-2.0
"""BlockSpec: the formats as their sources print them, and what is refused."""

import re
from typing import Any

import numpy as np
import pytest

from hwsim import formats
from hwsim.formats import BlockSpec, FloatSpec, IntegerSpec, ScaleRule, Specials

# block size, largest element, smallest element above 0, scale, tensor scale.
# OCP Microscaling Formats 1.0, table 1, and sections 5.2 and 5.3; MXINT6, MXINT4, NVFP4, NVINT4: arXiv:2510.25602,
# table 1, whose integers stand for themselves, where OCP puts a binary point behind the first bit of MXINT8.
PRINTED = {
    "mxfp8_e5m2": (32, 57344.0, 2.0**-16, "float8_e8m0fnu", False),
    "mxfp8_e4m3": (32, 448.0, 2.0**-9, "float8_e8m0fnu", False),
    "mxfp6_e3m2": (32, 28.0, 2.0**-4, "float8_e8m0fnu", False),
    "mxfp6_e2m3": (32, 7.5, 0.125, "float8_e8m0fnu", False),
    "mxfp4": (32, 6.0, 0.5, "float8_e8m0fnu", False),
    "mxint8": (32, 1.984375, 2.0**-6, "float8_e8m0fnu", False),
    "mxint6": (32, 31 / 16, 1 / 16, "float8_e8m0fnu", False),
    "mxint4": (32, 7 / 4, 1 / 4, "float8_e8m0fnu", False),
    "nvfp4": (16, 6.0, 0.5, "float8_e4m3fn", True),
    "nvint4": (16, 7.0, 1.0, "float8_e4m3fn", True),
}
# Largest over smallest, arXiv:2510.25602, table 1.
RANGES = {
    "mxfp8_e4m3": 1.75 * 2**17,
    "mxint8": 127,
    "mxfp6_e2m3": 60,
    "mxint6": 31,
    "mxfp4": 12,
    "mxint4": 7,
    "nvfp4": 12,
    "nvint4": 7,
}
E8M0 = formats.named("float8_e8m0fnu")
E2M1 = formats.named("float4_e2m1fn")
E4M3 = formats.named("float8_e4m3fn")
FIELDS: dict[str, Any] = {
    "element": formats.named("float4_e2m1fn"),
    "scale": E4M3,
    "block_size": 16,
    "tensor_scale": True,
    "rule": ScaleRule.AMAX,
}


@pytest.mark.parametrize("name", PRINTED)
def test_block_constants_printed(name: str) -> None:
    spec = formats.named(name)
    assert isinstance(spec, BlockSpec)
    size, largest, smallest, scale, tensor_scale = PRINTED[name]
    values = spec.element.decode(np.arange(1 << spec.bits))
    assert (spec.block_size, spec.scale.name, spec.tensor_scale) == (size, scale, tensor_scale)
    assert spec.element.max_value == largest
    assert spec.element.min_value == -largest
    assert values[values > 0].min() == smallest
    assert spec.rule is (ScaleRule.AMAX if tensor_scale else ScaleRule.OCP_FLOOR)
    assert spec.bits_per_element == spec.bits + 8 / size
    if name in RANGES:
        assert largest / smallest == RANGES[name]


def test_block_name() -> None:
    assert BlockSpec(**FIELDS).name == "nvfp4"
    assert BlockSpec(**{**FIELDS, "block_size": 32}).name == "nvfp4_b32"
    assert BlockSpec(**{**FIELDS, "tensor_scale": False}).name == "block16_float4_e2m1fn_float8_e4m3fn_amax"
    assert BlockSpec(**{**FIELDS, "element": IntegerSpec(bits=4)}).name == "block16_int4_float8_e4m3fn_amax_tensor"


# Every pattern of a block format's name, with what it says: element, scale, block size, rows, rule, bits an element.
NAMED = {
    "mxfp4_b16": ("float4_e2m1fn", "float8_e8m0fnu", 16, 1, "ocp_floor", 4.5),
    "mxfp4_ceil": ("float4_e2m1fn", "float8_e8m0fnu", 32, 1, "ceil", 4.25),
    "mxfp8_e4m3_even": ("float8_e4m3fn", "float8_e8m0fnu", 32, 1, "even", 8.25),
    "mxfp4_quest": ("float4_e2m1fn", "float8_e8m0fnu", 32, 1, "quest", 4.25),
    "mxint8_b64_nearest": ("fixed8_6_narrow", "float8_e8m0fnu", 64, 1, "nearest", 8.125),
    "mxfp6_e2m3_32x32_ocp_ceil": ("float6_e2m3fn", "float8_e8m0fnu", 32, 32, "ocp_ceil", 6 + 1 / 128),
    "nvfp4_16x16": ("float4_e2m1fn", "float8_e4m3fn", 16, 16, "amax", 4.03125),
    "nvfp4_two_level": ("float4_e2m1fn", "float8_e4m3fn", 16, 1, "two_level", 4.5),
    "nvfp4_16x16_two_level": ("float4_e2m1fn", "float8_e4m3fn", 16, 16, "two_level", 4.03125),
    "nvint4_mse": ("int4_narrow", "float8_e4m3fn", 16, 1, "mse", 4.5),
    "bfp8_b64": ("int8_narrow", "float8_e8m0fnu", 64, 1, "ocp_floor", 8.125),
    "bfp4_b128": ("int4_narrow", "float8_e8m0fnu", 128, 1, "ocp_floor", 4.0625),
    "bfp4_e5_b16": ("int4_narrow", "float5_e5m0fnu", 16, 1, "ocp_floor", 4.3125),
    "bfp6_16x16_ceil": ("int6_narrow", "float8_e8m0fnu", 16, 16, "ceil", 6.03125),
    "dfp16": ("int16", "float8_e8m0fnu", 0, 0, "ocp_floor", 16.0),
    "qfx8": ("int8", "float8_e8m0fnu", 0, 0, "mse", 8.0),
    "bitnet": ("ternary", "float32", 0, 0, "absmean", 2.0),
    "bitnet_median": ("ternary", "float32", 0, 0, "absmedian", 2.0),
    "nf4_b64": ("nf4", "float32", 64, 1, "amax", 4.5),
    "int4_g128": ("int4_narrow", "float16", 128, 1, "amax", 4.125),
    "uint4_g32": ("uint4", "float16", 32, 1, "range", 4.625),
    "bitmod_fp4_g128": ("bitmod_fp4_er_pos", "int8", 128, 1, "amax", 4 + 10 / 128),  # BitMoD: 4.0625 and the selector
    "bitmod_fp3_g128": ("bitmod_fp3_er_pos", "int8", 128, 1, "amax", 3 + 10 / 128),
    "block16_int4_narrow_uint8_amax_channel": ("int4_narrow", "uint8", 16, 1, "amax", 4.5),  # VS-Quant
    "block16_int8_float8_e5m3fnu_amax": ("int8", "float8_e5m3fnu", 16, 1, "amax", 8.5),
    "block16_float4_e2m1fn_minifloat_e5m3u_amax": ("float4_e2m1fn", "minifloat_e5m3u", 16, 1, "amax", 4.5),
    "block4x16_posit8_2_bfloat16_amax": ("posit8_2", "bfloat16", 16, 4, "amax", 8.25),
    "channel_int8_narrow_float32_amax": ("int8_narrow", "float32", 0, 1, "amax", 8.0),
    "whole_float8_e4m3fn_float32_amax": ("float8_e4m3fn", "float32", 0, 0, "amax", 8.0),
    "block32_int4_narrow_or_float4_e2m1fn_float16_amax": ("int4_narrow", "float16", 32, 1, "amax", 4 + 17 / 32),
    "block64_uint4_uint8_range_channel": ("uint4", "uint8", 64, 1, "range", 4 + 12 / 64),
}


@pytest.mark.parametrize("name", NAMED)
def test_block_name_round_trip(name: str) -> None:
    spec = formats.named(name)
    assert isinstance(spec, BlockSpec)
    element, scale, size, rows, rule, bits = NAMED[name]
    assert (spec.element.name, spec.scale.name) == (element, scale)
    assert (spec.block_size, spec.block_rows, spec.rule.value, spec.bits_per_element) == (size, rows, rule, bits)
    assert spec.name == name
    assert formats.named(spec.name) == spec


@pytest.mark.parametrize("name", ["mxfp5", "mxfp5_b16", "nf5_b64", "block16_x_float32_amax", "mxfp4_log", "mxfp4_b"])
def test_block_name_wrong(name: str) -> None:
    with pytest.raises(KeyError, match=f"unknown format '{name}'"):
        formats.named(name)


def test_block_name_redundant() -> None:
    assert formats.named("mxfp4_b32_ocp_floor") == formats.named("mxfp4")
    assert formats.named("nvfp4_1x16_amax") == formats.named("nvfp4")
    assert formats.named("bfp8_e8_b64").name == "bfp8_b64"


@pytest.mark.parametrize(
    "name",
    ["mxfp4_b0", "bfp8_b0", "nf4_b0", "int4_g0", "nvfp4_16x0", "bitmod_fp4_g0", "block0_int8_float8_e8m0fnu_amax"],
)
def test_block_name_size_wrong(name: str) -> None:
    with pytest.raises(ValueError, match=r"^block_size must be in 1\.\.65536, not 0$"):
        formats.named(name)


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"element": "int8"}, TypeError, "element must be a scalar format, not 'int8'"),
        ({"others": ("int8",)}, TypeError, "element must be a scalar format, not 'int8'"),
        ({"others": [E2M1]}, TypeError, f"others must be a tuple of scalar formats, not [{E2M1!r}]"),
        ({"scale": "int8"}, TypeError, "scale must be a FloatSpec or an IntegerSpec, not 'int8'"),
        ({"rule": "amax"}, TypeError, "rule must be a ScaleRule, not 'amax'"),
        ({"block_size": -1}, ValueError, "block_size must be in 0..65536, not -1"),
        ({"block_size": 16.0}, TypeError, "block_size must be an int, not 16.0"),
        ({"block_rows": 65537}, ValueError, "block_rows must be in 0..65536, not 65537"),
        ({"block_rows": 0}, ValueError, "block_size must be 0 for a block of all rows, not 16"),
        (
            {"block_rows": 2, "block_size": 0},
            ValueError,
            "block_size must be at least 1 for a block of 2 rows, not 0",
        ),
        ({"tensor_scale": 1}, TypeError, "tensor_scale must be a bool, not 1"),
        ({"channel_scale": 1}, TypeError, "channel_scale must be a bool, not 1"),
        ({"zero_point": 1}, TypeError, "zero_point must be a bool, not 1"),
        (
            {"channel_scale": True},
            ValueError,
            "channel_scale must be False with a tensor_scale, and where a block has more than one row",
        ),
        (
            {"rule": ScaleRule.OCP_FLOOR},
            ValueError,
            "scale must be a power of two without zero for rule OCP_FLOOR, not float8_e4m3fn",
        ),
        (
            {"rule": ScaleRule.MSE, "scale": formats.named("float16")},
            ValueError,
            "scale must be a float of at most 4 mantissa bits for rule MSE, not float16",
        ),
        (
            {"rule": ScaleRule.TWO_LEVEL, "tensor_scale": False},
            ValueError,
            "rule TWO_LEVEL must have a float scale float8_e4m3fn and a tensor_scale above it",
        ),
        (
            {"scale": IntegerSpec(bits=8), "tensor_scale": False},
            ValueError,
            "scale must be a float where no float32 scale is above it, not int8",
        ),
        ({"scale": IntegerSpec(bits=1)}, ValueError, "scale must have positive values, not int1"),
        ({"element": IntegerSpec(bits=1)}, ValueError, "element must have zero and positive values, not int1"),
        ({"element": E8M0}, ValueError, "element must have zero and positive values, not float8_e8m0fnu"),
        ({"others": (IntegerSpec(bits=5),)}, ValueError, "others must be of 4 bits like the element, not int5"),
        (
            {"others": (IntegerSpec(bits=4),), "rule": ScaleRule.ABSMEAN},
            ValueError,
            "others must be empty for rule ABSMEAN, not 1 formats",
        ),
        ({"zero_point": True}, ValueError, "zero_point must be True for rule RANGE and no other, not True"),
        (
            {"zero_point": True, "rule": ScaleRule.RANGE},
            ValueError,
            "element must be an integer of at most 16 bits for a zero_point, not float4_e2m1fn",
        ),
        (
            {"rule": ScaleRule.QUEST, "scale": E8M0, "element": IntegerSpec(bits=4)},
            ValueError,
            "element must be float4_e2m1fn for rule QUEST, whose factor is for it, not int4",
        ),
        (
            {"rule": ScaleRule.MSE, "element": IntegerSpec(bits=17)},
            ValueError,
            "element must be of at most 16 bits for a search, not int17",
        ),
    ],
)
def test_block_fields_wrong(change: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(text)}$"):
        BlockSpec(**{**FIELDS, **change})


def test_block_specs_compare() -> None:
    assert formats.named("mxfp4") == BlockSpec(
        element=FloatSpec(exp_bits=2, man_bits=1, bias=1, specials=Specials.FINITE),
        scale=FloatSpec(exp_bits=8, man_bits=0, bias=127, specials=Specials.FN, signed=False, subnormals=False),
        block_size=32,
        tensor_scale=False,
        rule=ScaleRule.OCP_FLOOR,
    )
    assert len({formats.named(name) for name in formats.names()}) == len(formats.names())
