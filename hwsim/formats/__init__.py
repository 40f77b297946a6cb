# SPDX-License-Identifier: Apache-2.0
"""What a bit pattern means: number formats, their codes and values, and how values are rounded to codes."""

from hwsim.formats.block import BlockSpec, ScaleRule
from hwsim.formats.catalog import AnyFormat, Entry, Format, entries, named, names
from hwsim.formats.codebook import CodebookSpec, bitmod_options
from hwsim.formats.codes import Unpacked
from hwsim.formats.float import FloatSpec, Specials
from hwsim.formats.integer import IntegerSpec
from hwsim.formats.levels import Ties
from hwsim.formats.logarithmic import fit_sulq
from hwsim.formats.normal import normal_codes, normal_deviation
from hwsim.formats.phase import PhaseSpec, quantize_phase
from hwsim.formats.posit import PositSpec
from hwsim.formats.quality import Quality, measure, measure_blocks
from hwsim.formats.quantization import Quantized, quantize
from hwsim.formats.rounding import Overflow, Rounding
from hwsim.formats.storage import BitOrder, pack_codes, unpack_codes
from hwsim.formats.transforms import clip_symmetric, hadamard, inverse_hadamard, random_signs, reorder_channels, smooth

__all__ = [
    "AnyFormat",
    "BitOrder",
    "BlockSpec",
    "CodebookSpec",
    "Entry",
    "FloatSpec",
    "Format",
    "IntegerSpec",
    "Overflow",
    "PhaseSpec",
    "PositSpec",
    "Quality",
    "Quantized",
    "Rounding",
    "ScaleRule",
    "Specials",
    "Ties",
    "Unpacked",
    "bitmod_options",
    "clip_symmetric",
    "entries",
    "fit_sulq",
    "hadamard",
    "inverse_hadamard",
    "measure",
    "measure_blocks",
    "named",
    "names",
    "normal_codes",
    "normal_deviation",
    "pack_codes",
    "quantize",
    "quantize_phase",
    "random_signs",
    "reorder_channels",
    "smooth",
    "unpack_codes",
]
