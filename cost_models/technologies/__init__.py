# SPDX-License-Identifier: Apache-2.0
"""Technologies as data, and the Liberty and Verilog files made from them."""

from cost_models.technologies.delay import LinearDelay, linear_delays
from cost_models.technologies.liberty import cells_verilog, liberty
from cost_models.technologies.technology import Cell, FpgaTechnology, OperatingPoint, Technology, names, read

__all__ = [
    "Cell",
    "FpgaTechnology",
    "LinearDelay",
    "OperatingPoint",
    "Technology",
    "cells_verilog",
    "liberty",
    "linear_delays",
    "names",
    "read",
]
