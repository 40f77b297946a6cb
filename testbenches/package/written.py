# SPDX-License-Identifier: Apache-2.0
"""What was written into a folder."""

from dataclasses import dataclass
from pathlib import Path

from testbenches.package.readme import Check

__all__ = [
    "Written",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A folder that was written.

    files : the files, the Verilog first
    checks : what was run on it, with results
    simulator : what the bench ran in; None where it was not run
    compared : outputs or rows compared; None where none were
    """

    files: list[Path]
    checks: list[Check]
    simulator: str | None = None
    compared: int | None = None
