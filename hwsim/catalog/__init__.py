# SPDX-License-Identifier: Apache-2.0
"""The catalog of measured costs: what is in it, how it is built, and whether it still holds."""

from hwsim.catalog.build import Outcome, build, expected_seconds, left, ship_table
from hwsim.catalog.check import Check, check
from hwsim.catalog.plan import PLAN, Row, plan

__all__ = [
    "PLAN",
    "Check",
    "Outcome",
    "Row",
    "build",
    "check",
    "expected_seconds",
    "left",
    "plan",
    "ship_table",
]
