# SPDX-License-Identifier: Apache-2.0
"""The ways to a matrix product, the fastest first; the first that is exact for a unit and a depth is taken."""

import importlib
import sys
from functools import lru_cache

from hwsim.datapath.problem import Path
from hwsim.datapath.unit import DotProductUnit
from hwsim.formats.codes import check_int

__all__ = [
    "NAMES",
    "choose",
    "choose_staged",
]

NAMES = (
    "bitplane",
    "integer",
    "saturating",
    "blas",
    "chain",
    "pairwise",
    "rounded",
    "block",
    "truncated",
    "sliced",
    "grouped",
    "cascaded",
    "staged",
)
"""The modules of this folder, as they are asked."""


@lru_cache(maxsize=1024)
def choose(unit: DotProductUnit, depth: int) -> Path:
    """Return the fastest path that is exact for a unit, whatever its finite operands.

    Parameters
    ----------
    unit : DotProductUnit
        Of two registers, the path is that of the first; what is done to operands before they enter is not part of it.
    depth : int
        Products of one sum, K; at least 1.

    Returns
    -------
    Path
        With its name and its proof.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or range; if no path is exact: then only `dot_exact` runs this unit.
    """
    if not isinstance(unit, DotProductUnit):
        raise TypeError(f"unit must be a DotProductUnit, not {unit!r}")
    check_int("depth", depth, 1, sys.maxsize)
    inner = unit.inner
    if unit.promotion is not None and inner.output != unit.accumulator.format:
        return choose_staged(unit)  # a fixed register hands specials on, which its codes cannot
    steps = -(-depth // inner.lanes)
    if unit.promotion is not None:
        steps = min(steps, unit.promotion.length // inner.lanes)
    for name in NAMES[:-1]:
        path: Path | None = importlib.import_module(f"{__name__}.{name}").offer(inner, steps * inner.lanes)
        if path is not None:
            return path
    return choose_staged(unit)


def choose_staged(unit: DotProductUnit) -> Path:
    """Return the general path, for any operands.

    Raises
    ------
    ValueError
        If the unit is too wide for it: then only `dot_exact` runs this unit.
    """
    path: Path = importlib.import_module(f"{__name__}.{NAMES[-1]}").offer(unit.inner, 1)
    return path
