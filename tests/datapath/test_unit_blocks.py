# SPDX-License-Identifier: Apache-2.0
"""DotProductUnit: the block formats that it refuses, as it has one scale a step and no more."""

import dataclasses
import re

import pytest

from hwsim import formats
from hwsim.datapath import named


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("dfp16", "a must share scales in blocks along one row, and dfp16 does not"),
        ("nvfp4_16x16", "a must share scales in blocks along one row, and nvfp4_16x16 does not"),
        ("channel_int8_float32_amax", "a must share scales in blocks along one row, and channel_int8_float32_amax"),
        ("uint4_g32", "a must have neither zero points nor a choice of elements, and uint4_g32 has"),
        ("bitmod_fp4_g128", "a must have neither zero points nor a choice of elements, and bitmod_fp4_g128 has"),
        ("int4_g32", "a must have a float scale with a NaN and no infinity, and int4_g32 has not"),
        (
            "block32_int4_uint8_amax_channel",
            "a must have a float scale with a NaN and no infinity, and block32_int4_uint8_amax_channel has not",
        ),
    ],
)
def test_unit_block_wrong(name: str, text: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(text)}"):
        dataclasses.replace(named("mxfp4"), a=formats.named(name))


@pytest.mark.parametrize("name", ["mxfp4_ceil", "mxint8_mse", "nvfp4_two_level", "bfp8_b32", "bfp4_e5_b64"])
def test_unit_block_taken(name: str) -> None:
    unit = dataclasses.replace(named("mxfp4"), a=formats.named(name), lanes=16)
    assert unit.a == formats.named(name)
