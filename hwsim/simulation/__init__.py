# SPDX-License-Identifier: Apache-2.0
"""Simulate a network on an accelerator: its exact outputs, its cycles, its traffic, its energy, its errors."""

from hwsim.prices import Prices, check_prices
from hwsim.simulation.float_network import FloatNetwork
from hwsim.simulation.simulator import VALUES, simulate

__all__ = [
    "VALUES",
    "FloatNetwork",
    "Prices",
    "check_prices",
    "simulate",
]
