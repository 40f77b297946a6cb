# SPDX-License-Identifier: Apache-2.0
"""Amaranth components that compute what `hwsim.datapath` says, and the Verilog of them."""

from rtl.arrays import Array, array_latency, array_name, array_verilog
from rtl.datapath.dot_product import Core, Shell, depth, latency, ranks
from rtl.formats.verilog import decoder_verilog, encoder_verilog
from rtl.verilog import core_verilog, shell_verilog, verilog

__all__ = [
    "Array",
    "Core",
    "Shell",
    "array_latency",
    "array_name",
    "array_verilog",
    "core_verilog",
    "decoder_verilog",
    "depth",
    "encoder_verilog",
    "latency",
    "ranks",
    "shell_verilog",
    "verilog",
]
