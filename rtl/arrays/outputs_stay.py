# SPDX-License-Identifier: Apache-2.0
"""Arrays whose outputs stay in place until the tile is done: output-stationary systolic, broadcast matrix, cube."""

from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import Cat, Const, Signal

from hwsim.datapath.array import ArrayKind
from rtl.arrays.cell import place
from rtl.arrays.elements import OutputElement
from rtl.arrays.frame import Frame, named
from rtl.arrays.layouts import words

__all__ = [
    "outputs_stay",
]


def outputs_stay(frame: Frame) -> None:
    """Build an array in which each element sums up one output of a tile.

    A systolic one delays row r of a by r cycles and column c of b by c, and passes them on from element to element. A
    broadcast one has registers at its edges only. When the last element has had the last step, the accumulators move
    down their columns and leave at the bottom, a row a cycle; so rows stand upside down, row 0 at the bottom. The next
    tile may enter as soon as it meets no accumulator that has yet to move: after ``rows + columns - 2`` cycles, or
    ``rows - 1`` in a broadcast array.
    """
    m, i, moves, rows = frame.m, frame.i, frame.moves, frame.geometry.rows
    passing, skew, ahead = frame.geometry.kind is ArrayKind.OUTPUT_STATIONARY, frame.geometry.skew_cycles, frame.ahead
    accepted, closed = Signal(name="accepted"), Signal(name="closed")
    step = frame.line(accepted, skew + 1 + ahead, "step")
    first = frame.line(accepted & i.p.first, skew + 1 + ahead, "first")
    last = frame.line(accepted & i.p.last, skew + 1 + ahead + rows, "last")
    drain = last[skew + 2 + ahead :]
    gap = skew if passing else rows - 1
    m.d.comb += [
        accepted.eq(i.valid & i.ready),
        closed.eq(Cat(last[1 : gap + 1]).any()),
        i.ready.eq(moves & ~closed),
    ]
    bottoms = _elements(frame, (step[1 + ahead :], first[1 + ahead :]), drain, passing=passing)
    frame.leave(frame.resolved(bottoms), Cat(drain).any(), drain[-1])


def _elements(frame: Frame, flags: tuple[list[Any], list[Any]], drain: list[Any], *, passing: bool) -> list[Any]:
    """Place the elements; return the accumulators of the lowest row."""
    m, geometry = frame.m, frame.geometry
    rows, columns = geometry.rows, geometry.columns
    a, b = (words(frame.i.p, geometry, frame.element, operand) for operand in ("a", "b"))
    left = [
        frame.delayed(a[row], rows - 1 - row if passing else 1, f"a_skew_r{row}" if passing else f"a_r{row}")
        for row in range(rows)
    ]
    above = [
        frame.delayed(word, column if passing else 1, f"b_skew_c{column}" if passing else f"b_c{column}")
        for column, word in enumerate(b)
    ]
    registers: list[Any] = [Const(0)] * columns
    for level in range(rows):
        row = rows - 1 - level
        shift = named(m, reduce(or_, drain[:level], Const(0, 1)), f"shift_r{row}")
        for column in range(columns):
            element = OutputElement(frame.element, frame.architecture, frame.ahead, passing=passing)
            name = f"r{row}_c{column}"
            place(m, element, f"element_{name}")
            stage = level + column if passing else 0
            m.d.comb += [
                element.en.eq(frame.moves),
                element.step.eq(flags[0][stage]),
                element.first.eq(flags[1][stage]),
                element.shift.eq(shift),
                element.a.eq(left[row]),
                element.b.eq(above[column]),
                element.above.eq(registers[column]),
            ]
            registers[column] = named(m, element.register, f"sum_{name}")
            if passing and column + 1 < columns:
                left[row] = named(m, element.a_next, f"a_{name}")
            if passing and row:
                above[column] = named(m, element.b_next, f"b_{name}")
    return registers
