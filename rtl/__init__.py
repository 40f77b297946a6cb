# SPDX-License-Identifier: Apache-2.0
"""Amaranth components that compute what `hwsim.datapath` says, and the Verilog of them."""

from rtl.datapath.dot_product import Core, Shell, depth, latency, ranks
from rtl.verilog import core_verilog, shell_verilog, verilog

__all__ = [
    "Core",
    "Shell",
    "core_verilog",
    "depth",
    "latency",
    "ranks",
    "shell_verilog",
    "verilog",
]
