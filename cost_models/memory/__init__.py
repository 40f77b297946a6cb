# SPDX-License-Identifier: Apache-2.0
"""What storing and moving bits costs: registers, SRAM, DRAM and wires, each constant with its source."""

from cost_models.memory.dram import PAGE_POLICIES, Dram, Stream, dram, dram_names
from cost_models.memory.presets import Preset, preset, preset_names
from cost_models.memory.registers import (
    Register,
    RegisterFile,
    published_register_file,
    register,
    register_file,
    register_file_names,
)
from cost_models.memory.sram import Sram, sram
from cost_models.memory.tables import overridden
from cost_models.memory.wires import Wire, technology_wire, wire, wire_names

__all__ = [
    "PAGE_POLICIES",
    "Dram",
    "Preset",
    "Register",
    "RegisterFile",
    "Sram",
    "Stream",
    "Wire",
    "dram",
    "dram_names",
    "overridden",
    "preset",
    "preset_names",
    "published_register_file",
    "register",
    "register_file",
    "register_file_names",
    "sram",
    "technology_wire",
    "wire",
    "wire_names",
]
