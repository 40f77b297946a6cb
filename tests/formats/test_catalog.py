# SPDX-License-Identifier: Apache-2.0
"""Names of formats: the contract's, those of patterns, and those that are none."""

import re
from typing import Any

import numpy as np
import pytest

from hwsim import formats
from hwsim.formats import BlockSpec, FloatSpec, IntegerSpec, ScaleRule, Specials

# What the project's design promises by name, as far as scalar and block formats of floats and integers go.
PROMISED = {
    "float8_e4m3fn",
    "float8_e5m2",
    "float8_e4m3fnuz",
    "float8_e8m0fnu",
    "float6_e2m3fn",
    "float6_e3m2fn",
    "float4_e2m1fn",
    "bfloat16",
    "float16",
    "float32",
    "tfloat32",
    "int8",
    "uint4",
    "int4",
    "int16",
    "int32",
    "int6",
    "mxfp8_e4m3",
    "mxfp8_e5m2",
    "mxfp6_e2m3",
    "mxfp6_e3m2",
    "mxfp4",
    "mxint8",
    "mxint6",
    "mxint4",
    "nvfp4",
    "nvint4",
    "float8_e4m3b11fnuz",
    "float8_e5m2fnuz",
    "float8_e4m3",
    "float8_e3m4",
    "float8_e5m3fnu",
}


def test_catalog_names() -> None:
    names = formats.names()
    assert len(names) == len(set(names)) == 104
    assert set(names) >= PROMISED
    for name in names:
        spec = formats.named(name)
        assert spec.name == name
        assert spec.bits == (spec.element.bits if isinstance(spec, BlockSpec) else spec.bits)
        assert formats.named(name) is spec


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        ("int5", IntegerSpec(bits=5)),
        ("uint3", IntegerSpec(bits=3, signed=False)),
        ("int8_narrow", IntegerSpec(bits=8, narrow=True)),
        ("fixed12_8", IntegerSpec(bits=12, fraction_bits=8)),
        ("ufixed12_m8_narrow", IntegerSpec(bits=12, signed=False, narrow=True, fraction_bits=-8)),
        ("minifloat_e3m2", FloatSpec(exp_bits=3, man_bits=2, bias=3, specials=Specials.FINITE)),
        ("minifloat_e4m3b11", FloatSpec(exp_bits=4, man_bits=3, bias=11, specials=Specials.FINITE)),
        ("float8_e3m4", FloatSpec(exp_bits=3, man_bits=4, bias=3, specials=Specials.IEEE)),
        ("float16_e5m10", FloatSpec(exp_bits=5, man_bits=10, bias=15, specials=Specials.IEEE)),
        ("float7_e3m3bm2fn", FloatSpec(exp_bits=3, man_bits=3, bias=-2, specials=Specials.FN)),
        ("float8_e8m0fnu_zero", FloatSpec(exp_bits=8, man_bits=0, bias=127, specials=Specials.FN, signed=False)),
        ("float4_e2m1fn_nan", FloatSpec(exp_bits=2, man_bits=1, bias=1, specials=Specials.FN)),
        ("float4_e2m1fn_flat", FloatSpec(exp_bits=2, man_bits=1, bias=1, specials=Specials.FN, subnormals=False)),
    ],
)
def test_catalog_patterns(name: str, spec: Any) -> None:
    assert formats.named(name) == spec
    assert formats.named(spec.name) == spec


def test_catalog_block_patterns() -> None:
    small = formats.named("mxfp4_b16")
    assert isinstance(small, BlockSpec)
    assert (small.block_size, small.name) == (16, "mxfp4_b16")
    assert formats.named("mxfp4_b32") == formats.named("mxfp4")
    compared = 0
    elements = [
        formats.named(n) for n in ("int8", "int8_narrow", "fixed8_6_narrow", "float8_e4m3fnuz", "minifloat_e3m3")
    ]
    scales = [formats.named(n) for n in ("float8_e8m0fnu", "float8_e5m3fnu", "float8_e4m3fn", "float9_e5m3fn")]
    names = set()
    for element in elements:
        for scale in scales:
            for rule in (ScaleRule.OCP_FLOOR, ScaleRule.AMAX):
                for tensor_scale in (False, True):
                    if rule is ScaleRule.OCP_FLOOR and scale.name != "float8_e8m0fnu":
                        continue
                    assert isinstance(element, IntegerSpec | FloatSpec)
                    assert isinstance(scale, FloatSpec)
                    spec = BlockSpec(element=element, scale=scale, block_size=24, tensor_scale=tensor_scale, rule=rule)
                    assert formats.named(spec.name) == spec
                    names.add(spec.name)
                    compared += 1
    assert len(names) == compared == 50


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("mxfp5", "unknown format 'mxfp5': did you mean mxfp4, "),
        (
            "float8_e4m3fnx",
            "unknown format 'float8_e4m3fnx': did you mean float8_e4m3fn, float8_e4m3fnuz, float8_e4m3, ",
        ),
        ("INT8", "unknown format 'INT8': "),
        ("zzz", "unknown format 'zzz': `hwsim formats` lists the catalog"),
        ("minifloat_e3m2fn", "unknown format 'minifloat_e3m2fn': did you mean "),
        ("mxfp7_e3m3_b16", "unknown format 'mxfp7_e3m3_b16': did you mean "),
        ("float8_e4m3fn_nan", "unknown format 'float8_e4m3fn_nan': did you mean float8_e4m3fn, "),
        ("block16_nothing_float8_e4m3fn_amax", "unknown format 'block16_nothing_float8_e4m3fn_amax': "),
        ("block16_mxfp4_float8_e4m3fn_amax", "unknown format 'block16_mxfp4_float8_e4m3fn_amax': "),
        ("", "unknown format '': `hwsim formats` lists the catalog"),
    ],
)
def test_catalog_name_wrong(name: str, text: str) -> None:
    with pytest.raises(KeyError) as caught:
        formats.named(name)
    assert str(caught.value.args[0]).startswith(text)


def test_catalog_kind_wrong() -> None:
    with pytest.raises(TypeError, match=r"^the name of a format must be a str, not 8$"):
        formats.named(8)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("int0", "bits must be in 1..64, not 0"),
        ("uint64", "bits must be in 1..63, not 64"),
        ("float9_e4m3fn", "format 'float9_e4m3fn' states 9 bits, but its fields have 8"),
        ("minifloat_e12m3", "exp_bits must be in 1..11, not 12"),
        ("mxfp4_b0", "block_size must be in 1..65536, not 0"),
    ],
)
def test_catalog_width_wrong(name: str, text: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        formats.named(name)


def test_catalog_contract() -> None:
    # The calls that the design shows.
    fmt = formats.named("float8_e4m3fn")
    assert isinstance(fmt, FloatSpec)
    assert (fmt.bits, fmt.name) == (8, "float8_e4m3fn")
    codes = fmt.encode(np.array([0.1, -3.0]), rounding="nearest_even", overflow="saturate")
    assert fmt.decode(codes).tolist() == [0.1015625, -3.0]
