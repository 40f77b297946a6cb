# SPDX-License-Identifier: Apache-2.0
"""The ways to a matrix product, the fastest first; the first that is exact for a unit and a depth is taken."""

import importlib
from functools import lru_cache

from hwsim.datapath.problem import Path
from hwsim.datapath.unit import DotProductUnit

__all__ = [
    "NAMES",
    "choose",
]

NAMES = ("bitplane", "integer", "saturating", "blas", "chain", "rounded", "block", "truncated", "sliced", "staged")
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
    ValueError
        If no path is exact: then only `dot_exact` runs this unit.
    """
    inner = unit.inner
    steps = -(-depth // inner.lanes)
    if unit.promotion is not None:
        steps = min(steps, unit.promotion.length // inner.lanes)
    for name in NAMES:
        module = importlib.import_module(f"{__name__}.{name}")
        path: Path | None = module.offer(inner, steps * inner.lanes)
        if path is not None:
            return path
    raise AssertionError("the last path takes what it can, or says why it cannot")
