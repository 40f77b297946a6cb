# SPDX-License-Identifier: Apache-2.0
"""Codes that stream into a unit, for its switching energy: from a distribution, or of a layer of a network."""

from hwsim.operands.distribution import gaussian, uniform
from hwsim.operands.files import load
from hwsim.operands.matrices import DATAFLOWS, from_matrices
from hwsim.operands.recording import Recorder, record
from hwsim.operands.streams import Operands, Statistics

__all__ = [
    "DATAFLOWS",
    "Operands",
    "Recorder",
    "Statistics",
    "from_matrices",
    "gaussian",
    "load",
    "record",
    "uniform",
]
