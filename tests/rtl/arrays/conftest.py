# SPDX-License-Identifier: Apache-2.0
"""How the tests of arrays run one in Amaranth's simulator."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from amaranth.sim import Simulator

Streamed = Callable[..., tuple[list[tuple[int, int]], int]]


@pytest.fixture(scope="session")
def streamed_through() -> Streamed:
    """Return a function that sends beats through an array: outputs (d, last), and cycles from first beat to the last.

    With a seed both sides pause at random; an output that waits must stay as it is.
    """

    def run(array: Any, beats: list[dict[str, int]], count: int, seed: int | None = None) -> tuple[list[Any], int]:
        taken: list[tuple[int, int]] = []
        cycles = [0]
        limit = 40 * (len(beats) + count) + 1000

        async def bench(context: Any) -> None:
            source = random.Random(seed)
            sent, begin, cycle, held = 0, None, 0, None
            while len(taken) < count:
                assert cycle < limit, f"{sent} beats and {len(taken)} outputs in {cycle} cycles"
                offered = sent < len(beats) and (seed is None or held_valid(context) or source.random() < 0.6)
                context.set(array.i.valid, offered)
                if offered:
                    fields = array.i.p.shape().members
                    context.set(array.i.p, {name: beats[sent].get(name, 0) for name in fields})
                context.set(array.o.ready, seed is None or source.random() < 0.5)
                output = (context.get(array.o.p.d), context.get(array.o.p.last)) if context.get(array.o.valid) else None
                assert held is None or output == held, f"output {len(taken)} changed while it waited"
                if offered and context.get(array.i.ready):
                    begin = cycle if begin is None else begin
                    sent += 1
                    waiting[0] = False
                else:
                    waiting[0] = offered
                held = output
                if output is not None and context.get(array.o.ready):
                    taken.append(output)
                    held = None
                    cycles[0] = cycle - (begin or 0) + 1
                await context.tick()
                cycle += 1
            for _ in range(8):
                assert not context.get(array.o.valid) or sent < len(beats), "an output too many"
                await context.tick()

        waiting = [False]

        def held_valid(context: Any) -> bool:
            return waiting[0]

        simulator = Simulator(array)
        simulator.add_clock(1e-9)
        simulator.add_testbench(bench)
        simulator.run()
        return taken, cycles[0]

    return run
