# SPDX-License-Identifier: Apache-2.0
"""How a unit's core is compared with the oracle, row after row with pauses, without a simulator of Verilog."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from amaranth.sim import Simulator

from hwsim.datapath import DotProductUnit, dot_exact
from rtl import Core
from testbenches.stimulus import fields, stimulus

Compare = Callable[..., int]


@pytest.fixture(scope="session")
def compare() -> Compare:
    """Return a function that raises unless a core is the oracle on corner and random rows; it returns the outputs."""

    def run(unit: DotProductUnit, *, count: int = 70, **built: Any) -> int:
        source = random.Random(unit.name)
        rows = stimulus(unit, count=count, corner_rows=1000, exhaustive=False)
        crossed = rows[:-count]  # each a dot product of its own
        rows = source.sample(crossed, min(count, len(crossed))) + rows[-count:]
        packed, expected = fields(unit, rows), dot_exact(unit, rows)
        core = Core(unit, **built)
        seen: list[int] = []

        async def bench(context: Any) -> None:
            sent = idle = 0
            while idle < 8:
                valid = sent < len(rows) and source.random() < 0.85
                enable = source.random() < 0.85
                at = sent if valid else source.randrange(len(rows))  # another row without `valid` changes nothing
                for name, words in packed.items():
                    context.set(getattr(core, name), words[at])
                context.set(core.valid, int(valid))
                context.set(core.en, int(enable))
                if enable and context.get(core.d_valid):
                    seen.append(context.get(core.d))
                sent += enable and valid
                idle += enable and sent == len(rows)
                await context.tick()

        simulator = Simulator(core)
        simulator.add_clock(1e-6)
        simulator.add_testbench(bench)
        simulator.run()
        assert seen == expected
        return len(seen)

    return run
