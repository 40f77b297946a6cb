# SPDX-License-Identifier: Apache-2.0
"""What a unit costs: technologies as data, synthesis, switching energy, memories, and the measured catalog."""

from cost_models.cost import Cost, Point
from cost_models.estimate import NotMeasuredError, catalog, estimate, save

__all__ = [
    "Cost",
    "NotMeasuredError",
    "Point",
    "catalog",
    "estimate",
    "save",
]
