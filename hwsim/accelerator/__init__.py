# SPDX-License-Identifier: Apache-2.0
"""Where and when a network's products are computed: arrays of units, memories, schedules."""

from hwsim.accelerator.arrays import Schedule, schedule, serial, stalled, streamed
from hwsim.accelerator.engine import Record, UnitEngine, check_network
from hwsim.accelerator.footprint import Footprint, footprint, step_bits
from hwsim.accelerator.reader import UnknownNameError, keys, presets, read, read_text, toml_text
from hwsim.accelerator.sampled import SampledEngine, SampledError
from hwsim.accelerator.spec import (
    Accelerator,
    ArraySpec,
    DramSpec,
    Folds,
    MappingSpec,
    Objective,
    SramSpec,
    WireSpec,
)
from hwsim.accelerator.traffic import Move, Traffic
from hwsim.datapath.array import ArrayKind

__all__ = [
    "Accelerator",
    "ArrayKind",
    "ArraySpec",
    "DramSpec",
    "Folds",
    "Footprint",
    "MappingSpec",
    "Move",
    "Objective",
    "Record",
    "SampledEngine",
    "SampledError",
    "Schedule",
    "SramSpec",
    "Traffic",
    "UnitEngine",
    "UnknownNameError",
    "WireSpec",
    "check_network",
    "footprint",
    "keys",
    "presets",
    "read",
    "read_text",
    "schedule",
    "serial",
    "stalled",
    "step_bits",
    "streamed",
    "toml_text",
]
