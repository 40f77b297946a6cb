# SPDX-License-Identifier: Apache-2.0
"""Amaranth components that compute what `hwsim.datapath` says, and the Verilog of them."""

from rtl.arrays import Array, array_latency, array_name, array_verilog, beat_fields, output_fields
from rtl.axi import AxiArray, axi_array_name, axi_array_verilog
from rtl.datapath.dot_product import Core, Shell, depth, latency, ranks
from rtl.formats.verilog import decoder_verilog, encoder_verilog
from rtl.verilog import core_verilog, shell_verilog, verilog

__all__ = [
    "Array",
    "AxiArray",
    "Core",
    "Shell",
    "array_latency",
    "array_name",
    "array_verilog",
    "axi_array_name",
    "axi_array_verilog",
    "beat_fields",
    "core_verilog",
    "decoder_verilog",
    "depth",
    "encoder_verilog",
    "latency",
    "output_fields",
    "ranks",
    "shell_verilog",
    "verilog",
]
