# SPDX-License-Identifier: Apache-2.0
from typing import Any

import pytest
from amaranth.sim import Simulator

from hwsim.formats import IntegerSpec
from rtl.units.bit_mod import BitModCore
from rtl.units.integer_step import IntegerStep
from rtl.units.mixed_precision import GroupCore, MixedPrecision
from rtl.units.step_core import StepCore, Streams

INT8, INT4 = (IntegerSpec(bits=bits) for bits in (8, 4))


@pytest.mark.parametrize("kind", ["step", "group", "bit_mod"])
def test_streams_latency_measured(kind: str) -> None:
    """From the cycle in which a row with `last` is taken to the first one in which the output is valid."""
    cores: dict[str, Any] = {
        "step": lambda: StepCore(IntegerStep(INT8, INT4, 2)),
        "group": lambda: GroupCore(MixedPrecision(lanes=2, group=4)),
        "bit_mod": BitModCore,
    }
    shell = Streams(cores[kind]())
    counted = []

    async def bench(context: Any) -> None:
        row = {"last": 1} | ({} if kind == "bit_mod" else {"first": 1})
        context.set(shell.o.ready, 1)
        context.set(shell.i.valid, 1)
        context.set(shell.i.p, row)
        await context.tick().until(shell.i.ready)
        context.set(shell.i.valid, 0)
        for cycles in range(1, 50):
            if context.get(shell.o.valid):
                counted.append(cycles)
                return
            await context.tick()

    simulator = Simulator(shell)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert counted == [shell.latency]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((INT8, INT8, 0), r"^lanes must be in 1\.\.1024, not 0$"),
        ((INT8, IntegerSpec(bits=4, signed=False, zero_point=8), 2), r"no zero point, not int8 and uint4_z8$"),
    ],
)
def test_integer_step_arguments_wrong(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        IntegerStep(*arguments)


def test_integer_step_stream_wraps(run_rows: Any) -> None:
    """A register of 12 bits takes -128 * -8 twice: 2048 is -2048 there."""
    rows = [{"first": 1, "last": 0, "a": 0x80, "b": 8, "c": 0}, {"first": 0, "last": 1, "a": 0x80, "b": 8, "c": 5}]
    assert run_rows(Streams(StepCore(IntegerStep(INT8, INT4, 1, 12))), rows, 1) == [2048]
