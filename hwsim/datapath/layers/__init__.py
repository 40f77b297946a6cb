# SPDX-License-Identifier: Apache-2.0
"""The integer layers beside the matrix products: requantization, softmax, GELU, layer normalization, Hadamard."""

from hwsim.datapath.layers.block_hadamard import block_hadamard
from hwsim.datapath.layers.exponential import exponential_unit, shift_exponential, shift_gelu, shiftmax
from hwsim.datapath.layers.layer_norm import layer_norm, newton_root
from hwsim.datapath.layers.requantization import dyadic, requantization_ratio, requantize, rescale
from hwsim.datapath.layers.specs import (
    HadamardSpec,
    LayerNormSpec,
    RequantizerSpec,
    ShiftGeluSpec,
    ShiftmaxSpec,
    ShiftRounding,
)

__all__ = [
    "HadamardSpec",
    "LayerNormSpec",
    "RequantizerSpec",
    "ShiftGeluSpec",
    "ShiftRounding",
    "ShiftmaxSpec",
    "block_hadamard",
    "dyadic",
    "exponential_unit",
    "layer_norm",
    "newton_root",
    "requantization_ratio",
    "requantize",
    "rescale",
    "shift_exponential",
    "shift_gelu",
    "shiftmax",
]
