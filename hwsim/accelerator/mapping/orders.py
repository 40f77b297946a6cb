# SPDX-License-Identifier: Apache-2.0
"""Orders of the loops over tiles, and what each has loaded again."""

from itertools import permutations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "K_INNERMOST",
    "ORDERS",
    "RULES",
    "Rules",
]

ORDERS = tuple(permutations(("m", "n", "k")))
K_INNERMOST = ORDERS.index(("m", "n", "k"))


class Rules(NamedTuple):
    """For each set of sides that are cut (4 for m, 2 for n, 1 for k) and each order of loops, shape (8, 6).

    distinct : whether no order before it visits the tiles in the same way
    a_again, b_again : whether the tiles of an operand are loaded again for each tile of the side that it has not
    m_live, n_live : whether the sums of all of m, or n, are begun before the first is complete
    """

    distinct: NDArray[np.bool_]
    a_again: NDArray[np.bool_]
    b_again: NDArray[np.bool_]
    m_live: NDArray[np.bool_]
    n_live: NDArray[np.bool_]


def _rules() -> Rules:
    rules = Rules(*(np.zeros((8, 6), bool) for _ in Rules._fields))
    for cut in range(8):
        seen = set()
        for index, order in enumerate(ORDERS):
            loops = [side for side in order if cut & {"m": 4, "n": 2, "k": 1}[side]]
            rules.distinct[cut, index] = tuple(loops) not in seen
            seen.add(tuple(loops))
            inside = {side: set(loops[loops.index(side) + 1 :]) if side in loops else set() for side in order}
            rules.a_again[cut, index] = bool(inside["n"] & {"m", "k"})
            rules.b_again[cut, index] = bool(inside["m"] & {"n", "k"})
            rules.m_live[cut, index] = "m" in inside["k"]
            rules.n_live[cut, index] = "n" in inside["k"]
    return rules


RULES = _rules()
