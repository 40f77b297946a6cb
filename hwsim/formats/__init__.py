# SPDX-License-Identifier: Apache-2.0
"""What a bit pattern means: number formats, their codes and values, and how values are rounded to codes."""

from hwsim.formats.block import BlockSpec, ScaleRule
from hwsim.formats.catalog import Format, named, names
from hwsim.formats.codes import Unpacked
from hwsim.formats.float import FloatSpec, Specials
from hwsim.formats.integer import IntegerSpec
from hwsim.formats.quantization import Quantized, quantize
from hwsim.formats.rounding import Overflow, Rounding

__all__ = [
    "BlockSpec",
    "FloatSpec",
    "Format",
    "IntegerSpec",
    "Overflow",
    "Quantized",
    "Rounding",
    "ScaleRule",
    "Specials",
    "Unpacked",
    "named",
    "names",
    "quantize",
]
