# SPDX-License-Identifier: Apache-2.0
"""Arrays of units: the cycles and the operand traffic of a matrix product on each."""

from hwsim.accelerator.arrays.streamed import streamed
from hwsim.accelerator.arrays.systolic import Schedule, systolic

__all__ = [
    "Schedule",
    "streamed",
    "systolic",
]
