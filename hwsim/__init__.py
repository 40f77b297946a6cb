# SPDX-License-Identifier: Apache-2.0
"""Describe a multiply-accumulate unit once: what it computes bit for bit, its Verilog, its cost; and networks on it."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hwsim import accelerator, allocation, datapath, formats, network, quantization, study
    from hwsim.result import SimulationResult
    from hwsim.simulation import simulate

__all__ = [
    "SimulationResult",
    "accelerator",
    "allocation",
    "datapath",
    "formats",
    "network",
    "quantization",
    "simulate",
    "study",
]

__version__ = "0.1.0"
_HOMES = {"SimulationResult": "hwsim.result", "simulate": "hwsim.simulation"}


def __getattr__(name: str) -> Any:
    """Import a room when it is asked for, so that what needs the formats alone does not wait for the rest."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name in __all__:
        return import_module(f"hwsim.{name}")
    raise AttributeError(f"module 'hwsim' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
