# SPDX-License-Identifier: Apache-2.0
"""The heap adds what it was given, whatever the signs, shapes, styles and adders."""

import random
from typing import Any, get_args

import pytest
from amaranth.hdl import Module, Shape, Signal
from amaranth.sim import Simulator

from rtl.architecture import Adder, Multiplier
from rtl.arithmetic.heap import Heap, dadda_heights

STYLES: tuple[Multiplier, ...] = get_args(Multiplier)
ADDERS: tuple[Adder, ...] = get_args(Adder)
SHAPES = [
    (Shape(8, True), Shape(8, True)),
    (Shape(4), Shape(4)),
    (Shape(5), Shape(3)),
    (Shape(4, True), Shape(5)),
    (Shape(4, True), Shape(4)),
    (Shape(4), Shape(6, True)),
    (Shape(1), Shape(1)),
    (Shape(3), Shape(2)),
]
BITS = 20


def draw(generator: random.Random, shape: Shape) -> int:
    low = -(1 << (shape.width - 1)) if shape.signed else 0
    high = low + (1 << shape.width) - 1
    drawn = generator.randint(low, high)
    return generator.choice((low, high, drawn, drawn))


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("index", range(len(SHAPES)))
def test_heap_sum(index: int, style: Multiplier) -> None:
    """A product, negated or not, a register, and words added, subtracted and negated by a bit."""
    a_shape, b_shape = SHAPES[index]
    generator = random.Random(f"{index} {style}")
    m = Module()
    a, b, c, minus = Signal(a_shape), Signal(b_shape), Signal(Shape(BITS, True)), Signal()
    totals = []
    for negated in (False, True):
        heap = Heap(BITS)
        heap.add_product(m, a, b, style=style, negative=minus if negated else None, name=f"product_{negated}")
        heap.add(c)
        heap.subtract(a, 1)
        heap.add_signed_if(b, minus, 2)
        heap.add_constant(-5)
        totals.append(heap.total(m, f"tree_{negated}", generator.choice(ADDERS)))

    async def bench(ctx: Any) -> None:
        for _ in range(40):
            x, y, z, s = (
                draw(generator, a_shape),
                draw(generator, b_shape),
                draw(generator, c.shape()),
                draw(generator, Shape(1)),
            )
            for signal, value in zip((a, b, c, minus), (x, y, z, s), strict=True):
                ctx.set(signal, value)
            rest = z - 2 * x + 4 * (-y if s else y) - 5
            assert ctx.get(totals[0]) == (x * y + rest) % (1 << BITS)
            assert ctx.get(totals[1]) == ((-x * y if s else x * y) + rest) % (1 << BITS)

    simulator = Simulator(m)
    simulator.add_testbench(bench)
    simulator.run()


def test_dadda_heights() -> None:
    """The sequence of the paper: 2, 3, 4, 6, 9, 13, 19, 28, 42, 63."""
    assert dadda_heights(64) == [2, 3, 4, 6, 9, 13, 19, 28, 42, 63]
    assert dadda_heights(2) == []
    assert dadda_heights(3) == [2]


def test_heap_height() -> None:
    heap = Heap(8)
    for _ in range(5):
        heap.add(Signal(3), 2)
    heap.add_constant(4)
    assert heap.height == 6
    assert Heap(4).height == 0
