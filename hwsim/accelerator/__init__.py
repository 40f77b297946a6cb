# SPDX-License-Identifier: Apache-2.0
"""Where and when a network's products are computed: arrays of units, memories, schedules."""

from hwsim.accelerator.arrays import Schedule, streamed, systolic
from hwsim.accelerator.engine import UnitEngine, check_network
from hwsim.accelerator.reader import presets, read
from hwsim.accelerator.spec import Accelerator, ArraySpec, Dataflow, DramSpec, SramSpec, stored_bits

__all__ = [
    "Accelerator",
    "ArraySpec",
    "Dataflow",
    "DramSpec",
    "Schedule",
    "SramSpec",
    "UnitEngine",
    "check_network",
    "presets",
    "read",
    "stored_bits",
    "streamed",
    "systolic",
]
