# SPDX-License-Identifier: Apache-2.0
"""Describe a multiply-accumulate unit once: what it computes bit for bit, its Verilog, its cost; and networks on it."""

from importlib import import_module
from typing import Any

from hwsim import accelerator, datapath, formats, network
from hwsim.result import SimulationResult
from hwsim.simulation import simulate

__all__ = [
    "SimulationResult",
    "accelerator",
    "datapath",
    "formats",
    "network",
    "simulate",
    "study",
]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import `hwsim.study` when it is asked for: it brings Amaranth and the synthesis tools' wrappers along."""
    if name == "study":
        return import_module("hwsim.study")
    raise AttributeError(f"module 'hwsim' has no attribute {name!r}")
