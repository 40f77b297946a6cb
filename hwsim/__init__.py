# SPDX-License-Identifier: Apache-2.0
"""Describe a multiply-accumulate unit once: what it computes bit for bit, its Verilog, its cost; and networks on it."""

from hwsim import accelerator, datapath, formats, network
from hwsim.simulation import SimulationResult, simulate

__all__ = [
    "SimulationResult",
    "accelerator",
    "datapath",
    "formats",
    "network",
    "simulate",
]

__version__ = "0.1.0"
