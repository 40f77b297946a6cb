# SPDX-License-Identifier: Apache-2.0
"""The mapper: how each layer of a network is cut for an accelerator's array and memories, and what that takes."""

from hwsim.accelerator.mapping.layer_plan import ARRANGEMENTS, AccessEnergies, Event, LayerPlan, Mapping
from hwsim.accelerator.mapping.network_plan import plan

__all__ = [
    "ARRANGEMENTS",
    "AccessEnergies",
    "Event",
    "LayerPlan",
    "Mapping",
    "plan",
]
