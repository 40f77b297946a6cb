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


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"element": "int8"}, TypeError, "element must be an IntegerSpec or a FloatSpec, not 'int8'"),
        ({"scale": IntegerSpec(bits=8)}, TypeError, f"scale must be a FloatSpec, not {IntegerSpec(bits=8)!r}"),
        ({"rule": "amax"}, TypeError, "rule must be a ScaleRule, not 'amax'"),
        ({"block_size": 0}, ValueError, "block_size must be in 1..65536, not 0"),
        ({"block_size": 16.0}, TypeError, "block_size must be an int, not 16.0"),
        ({"tensor_scale": 1}, TypeError, "tensor_scale must be a bool, not 1"),
        (
            {"rule": ScaleRule.OCP_FLOOR},
            ValueError,
            "scale must be a power of two without zero for rule OCP_FLOOR, not float8_e4m3fn",
        ),
        (
            {"scale": formats.named("float8_e5m2")},
            ValueError,
            "scale must have a NaN, for blocks that hold one, and no infinity, not float8_e5m2",
        ),
        (
            {"scale": formats.named("float6_e3m2fn")},
            ValueError,
            "scale must have a NaN, for blocks that hold one, and no infinity, not float6_e3m2fn",
        ),
        ({"element": IntegerSpec(bits=1)}, ValueError, "element must have zero and positive values, not int1"),
        ({"element": E8M0}, ValueError, "element must have zero and positive values, not float8_e8m0fnu"),
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
