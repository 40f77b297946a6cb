# SPDX-License-Identifier: Apache-2.0
"""Arrays in which one operand stays: systolic ones, of the weights or of the inputs, and multiplier-adder trees."""

from typing import Any

from amaranth.hdl import Cat, Signal

from hwsim.datapath.array import ArrayKind
from rtl.arrays.cell import place
from rtl.arrays.elements import PassingElement, TreeElement
from rtl.arrays.frame import Frame, named
from rtl.arrays.layouts import words

__all__ = [
    "adder_trees",
    "operand_stays",
]


def operand_stays(frame: Frame) -> None:
    """Build a weight-stationary or input-stationary array.

    The operand that streams enters from the left, row r delayed by r cycles; c enters from above and outputs leave
    below, column c delayed by c, and the others wait for the last column. The operand that stays moves down its column
    into registers beside those in use. The step with `first` swaps them, element by element as it comes by; a load may
    follow ``rows - 1`` cycles after it.
    """
    m, i, geometry = frame.m, frame.i, frame.geometry
    rows, columns, beat = geometry.rows, geometry.columns, frame.i.p
    out = rows + columns + frame.ahead
    accepted, closed = Signal(name="accepted"), Signal(name="closed")
    step = frame.line(accepted & beat.step, out, "step")
    first = frame.line(accepted & beat.step & beat.first, rows + columns - 2, "first")
    last = frame.line(accepted & beat.step & beat.last, out, "last")
    load = frame.line(accepted & beat.load, columns - 1, "load")
    m.d.comb += [
        closed.eq(beat.load & Cat(first[1 : rows - 1]).any()),
        i.ready.eq(frame.moves & ~closed),
        accepted.eq(i.valid & i.ready),
    ]
    outputs = [
        frame.delayed(d, columns - 1 - column, f"d_skew_c{column}")
        for column, d in enumerate(frame.resolved(_elements(frame, first, load)))
    ]
    frame.leave(outputs, step[-1], last[-1])


def _elements(frame: Frame, first: list[Any], load: list[Any]) -> list[Any]:
    """Place the elements; return the sums below the lowest row."""
    m, geometry, beat = frame.m, frame.geometry, frame.i.p
    stays, streams = ("a", "b") if geometry.kind is ArrayKind.INPUT_STATIONARY else ("b", "a")
    left = [
        frame.delayed(word, row, f"{streams}_skew_r{row}")
        for row, word in enumerate(words(beat, geometry, frame.element, streams))
    ]
    kept = [
        frame.delayed(word, column, f"{stays}_skew_c{column}")
        for column, word in enumerate(words(beat, geometry, frame.element, stays))
    ]
    registers = frame.starts()
    if geometry.partial_sums:
        registers = [
            frame.delayed(start, column + 1 + frame.ahead, f"c_skew_c{column}")
            for column, start in enumerate(registers)
        ]
    for row in range(geometry.rows):
        for column in range(geometry.columns):
            element = PassingElement(frame.element, frame.architecture, frame.ahead, stays=stays)
            name = f"r{row}_c{column}"
            place(m, element, f"element_{name}")
            m.d.comb += [
                element.en.eq(frame.moves),
                element.load.eq(load[column]),
                element.swap.eq(first[row + column]),
                element.stream.eq(left[row]),
                element.kept.eq(kept[column]),
                element.above.eq(registers[column]),
            ]
            if column + 1 < geometry.columns:
                left[row] = named(m, element.stream_next, f"{streams}_{name}")
            if row + 1 < geometry.rows:
                kept[column] = named(m, element.kept_next, f"{stays}_{name}")
            registers[column] = named(m, element.register, f"sum_{name}")
    return registers


def adder_trees(frame: Frame) -> None:
    """Build an array of adder trees, one a column.

    The operand that streams and c enter through a register; all columns take a step in the same cycle. A beat may have
    `load` and `first`: it is the first row of the operand after the one that it takes into use.
    """
    m, i, geometry, element = frame.m, frame.i, frame.geometry, frame.element
    beat, accepted = i.p, Signal(name="accepted")
    step = frame.line(accepted & beat.step, 2 + frame.ahead, "step")
    last = frame.line(accepted & beat.step & beat.last, 2 + frame.ahead, "last")
    load, swap = Signal(name="load"), Signal(name="swap")
    m.d.comb += [
        i.ready.eq(frame.moves),
        accepted.eq(i.valid & i.ready),
        load.eq(accepted & beat.load),
        swap.eq(accepted & beat.step & beat.first),
    ]
    stream = [beat.a] if element.scale_a is None else [beat.a, beat.scale_a]
    held = frame.delayed(Cat(*stream), 1, "a_held")
    starts = frame.starts()
    if geometry.partial_sums:
        starts = [frame.delayed(start, 1 + frame.ahead, f"c_held_c{column}") for column, start in enumerate(starts)]
    registers = []
    codes = len(beat.b) // geometry.columns
    for column, kept in enumerate(words(beat, geometry, element, "b")):
        tree = TreeElement(element, frame.architecture, frame.ahead, rows=geometry.rows)
        place(m, tree, f"tree_c{column}")
        m.d.comb += [
            tree.en.eq(frame.moves),
            tree.load.eq(load),
            tree.swap.eq(swap),
            tree.stream.eq(held),
            tree.kept.eq(kept[:codes]),
            tree.start.eq(starts[column]),
        ]
        if element.scale_b is not None:
            m.d.comb += tree.kept_scale.eq(kept[codes:])
        registers.append(named(m, tree.register, f"sum_c{column}"))
    frame.leave(frame.resolved(registers), step[-1], last[-1])
