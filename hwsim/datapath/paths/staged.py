# SPDX-License-Identifier: Apache-2.0
"""The general way: each dot product through the stages, step after step, in 64-bit integers."""

from hwsim.datapath.plan import plan
from hwsim.datapath.problem import Codes, Path, Problem
from hwsim.datapath.staged import matmul_staged
from hwsim.datapath.unit import DotProductUnit

__all__ = [
    "offer",
]


def offer(unit: DotProductUnit, depth: int) -> Path:
    """Offer any unit that fits the kernels.

    Raises
    ------
    ValueError
        If a sum or the register does not fit 64-bit integers.
    """
    del depth  # every step is rounded, wrapped or saturated as the oracle does it
    plan(unit)
    proof = "every stage in 64-bit integers, whose bit budget `plan` checks; what is lost is kept as a sticky bit"
    return Path("staged", proof, _run, a_bytes=26, b_bytes=26, d_bytes=9)


def _run(problem: Problem) -> Codes:
    return matmul_staged(problem)
