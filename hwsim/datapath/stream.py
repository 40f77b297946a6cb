# SPDX-License-Identifier: Apache-2.0
"""Rows of operands as they enter a unit, one a cycle, and what comes out: the oracle on a stream."""

from collections.abc import Iterable
from typing import NamedTuple

from hwsim.datapath.accumulate import load_exact, output_exact, step_exact
from hwsim.datapath.unit import DotProductUnit

__all__ = [
    "Row",
    "dot_exact",
]


class Row(NamedTuple):
    """What a unit accepts in a cycle, as plain integers.

    A row with `first` starts a dot product from c, a code of the accumulator's format; a row with `last` ends it and makes
    an output. Without `first` the register goes on; `c` is then ignored.
    """

    first: bool
    last: bool
    a: tuple[int, ...]
    b: tuple[int, ...]
    scales: tuple[int, ...] = ()
    c: int = 0


def dot_exact(unit: DotProductUnit, rows: Iterable[Row]) -> list[int]:
    """Return d, a code of `unit.output`, for each row with `last`, in order.

    Raises
    ------
    ValueError
        If the stream does not start with a `first`, or a row has not `lanes` operands and a scale for each of `unit.scales`.
    """
    register = None
    outputs = []
    for row in rows:
        if row.first:
            register = load_exact(unit, row.c)
        if register is None:
            raise ValueError("rows must start with a row that has `first`, for a register has no value before")
        register = step_exact(unit, register, row.a, row.b, row.scales)
        if row.last:
            outputs.append(output_exact(unit, register))
    return outputs
