# SPDX-License-Identifier: Apache-2.0
"""Where and when a network's products are computed: arrays of units, memories, schedules."""

from hwsim.accelerator.arrays import Schedule, streamed, systolic
from hwsim.accelerator.engine import Record, UnitEngine, check_network
from hwsim.accelerator.footprint import Footprint, footprint, step_bits
from hwsim.accelerator.reader import presets, read
from hwsim.accelerator.spec import Accelerator, ArraySpec, Dataflow, DramSpec, SramSpec, WireSpec
from hwsim.accelerator.traffic import Move, Traffic, layer_traffic, weights_fit

__all__ = [
    "Accelerator",
    "ArraySpec",
    "Dataflow",
    "DramSpec",
    "Footprint",
    "Move",
    "Record",
    "Schedule",
    "SramSpec",
    "Traffic",
    "UnitEngine",
    "WireSpec",
    "check_network",
    "footprint",
    "layer_traffic",
    "presets",
    "read",
    "step_bits",
    "streamed",
    "systolic",
    "weights_fit",
]
