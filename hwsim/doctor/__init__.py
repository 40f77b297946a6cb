# SPDX-License-Identifier: Apache-2.0
"""What is installed here and what is missing, and a self-test of some seconds."""

from hwsim.doctor.diagnosis import Diagnosis, diagnose
from hwsim.doctor.selftest import BUDGET_S, Outcome, State, run_steps
from hwsim.doctor.tools import Tool, examine

__all__ = [
    "BUDGET_S",
    "Diagnosis",
    "Outcome",
    "State",
    "Tool",
    "diagnose",
    "examine",
    "run_steps",
]
