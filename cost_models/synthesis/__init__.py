# SPDX-License-Identifier: Apache-2.0
"""Synthesis of Verilog text with open tools: standard cells, FPGAs, static timing, and the store of results."""

from cost_models.synthesis.asic import asic, explore, sweep
from cost_models.synthesis.fpga import FpgaResult, ecp5_models, fpga, fpga_explore
from cost_models.synthesis.placement import registered_wrapper, shift_wrapper
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
    "ecp5_models",
    "explore",
    "fpga",
    "fpga_cost",
    "fpga_explore",
    "registered_wrapper",
    "shift_wrapper",
    "sweep",
    "timing",
    "versions",
]
