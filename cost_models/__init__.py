# SPDX-License-Identifier: Apache-2.0
"""What a unit costs: technologies as data, synthesis, switching energy, memories, and the store of measured results."""

from cost_models.estimate import Cost, NotMeasuredError, catalog, estimate, save, usual_architecture

__all__ = [
    "Cost",
    "NotMeasuredError",
    "catalog",
    "estimate",
    "save",
    "usual_architecture",
]
