# SPDX-License-Identifier: Apache-2.0
"""The fast way to encode float32 arrays: every deterministic rounding is a step function of the bits of a float32.

From one float32 to the next the code of a format changes seldom: an 8-bit format has a few hundred steps over all 2**32
patterns. The patterns are cut into cells by their upper bits, so finely that no cell holds more than one step; a cell's
entry has the pattern at which the code changes and the codes on either side. To encode is then one lookup and one
comparison, whatever the format, the rounding mode and the overflow rule. The entries are found by bisection over the
format's own exact encode, which stays the only definition: where no table fits, it is called.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import NamedTuple, Protocol

import numba
import numpy as np
from numpy.typing import NDArray

from hwsim.formats.codes import code_dtype
from hwsim.formats.rounding import Overflow, Rounding

__all__ = [
    "StepTable",
    "encode",
    "step_table",
]

_BUILD_SIZE = 1 << 16  # a table is made for an array of this size, as it costs some milliseconds
_USE_SIZE = 1 << 10  # and used, once it is there, from this size on
_MAX_INDEX_BITS = 7  # mantissa bits that select a cell: 2**16 cells, half a megabyte
_KEPT_TABLES = 64
_INFINITY = 0x7F800000  # the magnitude bits of a float32 infinity; above them are NaNs


Exact = Callable[[NDArray[np.float32] | NDArray[np.float64]], NDArray[np.unsignedinteger]]


class _Format(Hashable, Protocol):
    """What a table needs of a format."""

    @property
    def bits(self) -> int:
        """Width of a code."""

    @property
    def has_nan(self) -> bool:
        """Whether NaN has a code."""


class StepTable(NamedTuple):
    """Cells of float32 bit patterns that share their upper bits; each holds at most one step.

    cells : ndarray of uint64
        Upper half: the pattern from which on the second code holds. Lower half: the second code, then the first, 16
        bits each.
    shift : int
        A pattern's cell is itself shifted right by so many places.
    """

    cells: NDArray[np.uint64]
    shift: int


_tables: OrderedDict[tuple[_Format, Rounding, Overflow], StepTable | None] = OrderedDict()


def encode(
    spec: _Format,
    values: NDArray[np.float32] | NDArray[np.float64],
    mode: Rounding,
    rule: Overflow,
    exact: Exact,
) -> NDArray[np.unsignedinteger]:
    """Encode checked values by a table of steps where there can be one, else by `exact`; the same codes either way.

    Parameters
    ----------
    spec : a scalar format
        With the rounding mode and the overflow rule, the key of its table.
    values : contiguous ndarray of float32 or float64, any shape
        Without NaN where the format has none.
    mode, rule : Rounding, Overflow
        Stochastic rounding and wrapping are not step functions.
    exact : callable
        The format's encode under these rules; monotone within each sign: the patterns with one
        code are consecutive within a cell.

    Returns
    -------
    ndarray of the smallest unsigned dtype that holds `bits`, same shape
    """
    if values.dtype != np.float32 or values.size < _USE_SIZE:
        return exact(values)
    key = (spec, mode, rule)
    if key in _tables:
        _tables.move_to_end(key)
    elif values.size < _BUILD_SIZE:
        return exact(values)
    else:
        _tables[key] = step_table(spec, mode, rule, exact)
        if len(_tables) > _KEPT_TABLES:
            _tables.popitem(last=False)
    table = _tables[key]
    if table is None:
        return exact(values)
    out = np.empty(values.shape, code_dtype(spec.bits))
    _encode_kernel(values.reshape(-1).view(np.uint32), table.cells, table.shift, out.reshape(-1))
    return out


def step_table(
    spec: _Format,
    mode: Rounding,
    rule: Overflow,
    exact: Exact,
) -> StepTable | None:
    """Return the table of a format under some rules, with as few cells as do; None where 2**16 are too few."""
    if spec.bits > 16 or mode is Rounding.STOCHASTIC or rule is Overflow.WRAP:
        return None
    highest = 0x7FFFFFFF if spec.has_nan else _INFINITY

    def codes(patterns: NDArray[np.uint32]) -> NDArray[np.uint64]:
        kept = (patterns & 0x80000000) | np.minimum(patterns & 0x7FFFFFFF, np.uint32(highest))
        return exact(kept.astype(np.uint32).view(np.float32)).astype(np.uint64)

    for index_bits in range(_MAX_INDEX_BITS + 1):
        shift = 23 - index_bits
        first = np.arange(1 << (9 + index_bits), dtype=np.uint32) << np.uint32(shift)
        last = first + np.uint32((1 << shift) - 1)
        below, above = codes(first), codes(last)
        low, high = first.copy(), last.copy()  # the step is above low, and not above high
        for _ in range(shift):
            middle = low + (high - low) // 2
            stays = codes(middle) == below
            low, high = np.where(stays, middle, low), np.where(stays, high, middle)
        step = np.where(below == above, first, high)
        if (codes(step) == above).all():
            return StepTable((step.astype(np.uint64) << np.uint64(32)) | (above << np.uint64(16)) | below, shift)
    return None


@numba.njit(cache=True)
def _encode_kernel(
    patterns: NDArray[np.uint32], cells: NDArray[np.uint64], shift: int, out: NDArray[np.unsignedinteger]
) -> None:
    """Look up the code of each pattern; unchecked. All of it is uint64, no int64 meets it."""
    places = np.uint32(shift)
    upper = np.uint64(0xFFFFFFFF00000000)
    code = np.uint64(0xFFFF)
    for i in range(patterns.size):
        pattern = patterns[i]
        cell = cells[pattern >> places]
        if np.uint64(pattern) << np.uint64(32) >= cell & upper:
            out[i] = (cell >> np.uint64(16)) & code
        else:
            out[i] = cell & code
