# SPDX-License-Identifier: Apache-2.0
"""What a mapped netlist does: bit-parallel simulation, toggles, and the energy they cost."""

from cost_models.activity.energy import Energy, energy
from cost_models.activity.glitches import GlitchSimulator
from cost_models.activity.netlist import Netlist, levelize
from cost_models.activity.planes import Planes
from cost_models.activity.toggles import Simulator, Trace

__all__ = [
    "Energy",
    "GlitchSimulator",
    "Netlist",
    "Planes",
    "Simulator",
    "Trace",
    "energy",
    "levelize",
]
