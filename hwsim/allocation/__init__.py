# SPDX-License-Identifier: Apache-2.0
"""Mixed precision: what each layer suffers and costs in each format, and the best choice under a budget."""

from hwsim.allocation.candidates import Candidate, MixedEngine, candidates
from hwsim.allocation.costs import QUANTITIES, Costs, layer_costs
from hwsim.allocation.program import Allocation, allocate, best_first, check_budget
from hwsim.allocation.search import Choice, choose_by_simulation, uniform
from hwsim.allocation.sensitivity import (
    Loss,
    Probe,
    Sensitivities,
    estimate_sensitivities,
    measure_sensitivities,
)

__all__ = [
    "QUANTITIES",
    "Allocation",
    "Candidate",
    "Choice",
    "Costs",
    "Loss",
    "MixedEngine",
    "Probe",
    "Sensitivities",
    "allocate",
    "best_first",
    "candidates",
    "check_budget",
    "choose_by_simulation",
    "estimate_sensitivities",
    "layer_costs",
    "measure_sensitivities",
    "uniform",
]
