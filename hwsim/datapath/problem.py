# SPDX-License-Identifier: Apache-2.0
"""A matrix product as the paths take it, and what a path says of itself."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim.datapath.unit import DotProductUnit

__all__ = [
    "Codes",
    "Path",
    "Problem",
]

Codes = NDArray[np.unsignedinteger]


class Problem(NamedTuple):
    """Checked operands of one matrix product; no special among them.

    `a` has the shape (M, K), `b` (N, K): its rows are the columns of the matrix, and it may be a transposed view. K is
    a multiple of the unit's lanes. `c` is (M, N), codes of the register's format, or None for zeros. Scales are (M,
    blocks) and (N, blocks), one a block of the format along K, or None.
    """

    unit: DotProductUnit
    a: Codes
    b: Codes
    c: Codes | None
    a_scales: Codes | None
    b_scales: Codes | None


class Path(NamedTuple):
    """A way to a matrix product that loses nothing.

    `proof` says why in one sentence, with the numbers. `run` gives codes of the unit's output, shape (M, N). The bytes
    are the working memory that an element of a, of b, of d takes while it runs, beyond the operands and the result.
    """

    name: str
    proof: str
    run: Callable[[Problem], Codes]
    a_bytes: float
    b_bytes: float
    d_bytes: float
