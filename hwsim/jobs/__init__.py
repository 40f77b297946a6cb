# SPDX-License-Identifier: Apache-2.0
"""The jobs of the command line, from files to files."""

from hwsim.jobs.report import SimulationReport
from hwsim.jobs.simulation import SimulationTask, accuracy, simulate_files

__all__ = [
    "SimulationReport",
    "SimulationTask",
    "accuracy",
    "simulate_files",
]
