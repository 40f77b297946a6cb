# SPDX-License-Identifier: Apache-2.0
"""Synthesis of Verilog text with open tools: standard cells, FPGAs, static timing, and the store of results."""

from cost_models.synthesis.asic import asic, explore, sweep
from cost_models.synthesis.fpga import FpgaResult, ecp5, ecp5_models, registered_wrapper, xilinx
from cost_models.synthesis.recipes import FIXED, RECIPES
from cost_models.synthesis.records import asic_cost, fpga_cost
from cost_models.synthesis.results import CHOICES, Asic, AsicResult
from cost_models.synthesis.timing import Timing, timing
from cost_models.synthesis.yosys import ToolError, versions

__all__ = [
    "CHOICES",
    "FIXED",
    "RECIPES",
    "Asic",
    "AsicResult",
    "FpgaResult",
    "Timing",
    "ToolError",
    "asic",
    "asic_cost",
    "ecp5",
    "ecp5_models",
    "explore",
    "fpga_cost",
    "registered_wrapper",
    "sweep",
    "timing",
    "versions",
    "xilinx",
]
