# SPDX-License-Identifier: Apache-2.0
"""Arrays behind AXI: AXI4-Stream for data, AXI4-Lite for control."""

from rtl.axi.array import AxiArray
from rtl.axi.layouts import Register, control_ports, input_bits, output_bits
from rtl.axi.verilog import axi_array_name, axi_array_verilog

__all__ = [
    "AxiArray",
    "Register",
    "axi_array_name",
    "axi_array_verilog",
    "control_ports",
    "input_bits",
    "output_bits",
]
