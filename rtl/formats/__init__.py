# SPDX-License-Identifier: Apache-2.0
"""Decoders and encoders of the number formats as combinational components, with the stems of `hwsim.formats`."""

from rtl.formats.block import BlockDecoder
from rtl.formats.decoder import Decoder
from rtl.formats.encoder import Encoder
from rtl.formats.phase import PhaseDecoder, PhaseEncoder

__all__ = [
    "BlockDecoder",
    "Decoder",
    "Encoder",
    "PhaseDecoder",
    "PhaseEncoder",
]
