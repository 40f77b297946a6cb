# SPDX-License-Identifier: Apache-2.0
"""Technologies as data, and the Liberty and Verilog files made from them."""

from cost_models.technologies.delay import LinearDelay, linear_delays
from cost_models.technologies.liberty import cells_verilog, liberty
from cost_models.technologies.liberty_library import read_liberty
from cost_models.technologies.reader import names, read
from cost_models.technologies.technology import Cell, FpgaTechnology, OperatingPoint, Technology, Wires

__all__ = [
    "Cell",
    "FpgaTechnology",
    "LinearDelay",
    "OperatingPoint",
    "Technology",
    "Wires",
    "cells_verilog",
    "liberty",
    "linear_delays",
    "names",
    "read",
    "read_liberty",
]
