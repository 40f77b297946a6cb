# SPDX-License-Identifier: Apache-2.0
"""How the tests of rtl run a component, and units for them."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest
from amaranth.lib import data
from amaranth.sim import Simulator

Evaluate = Callable[[Any, Iterable[Mapping[str, Any]], str], list[Any]]


@pytest.fixture(scope="session")
def evaluate() -> Evaluate:
    """Return a function that gives a combinational component's output for each assignment of its inputs."""

    def run(component: Any, assignments: Iterable[Mapping[str, Any]], output: str) -> list[Any]:
        seen: list[Any] = []

        async def bench(context: Any) -> None:
            for assignment in assignments:
                for name, value in assignment.items():
                    context.set(getattr(component, name), value)
                seen.append(_plain(context.get(getattr(component, output))))

        simulator = Simulator(component)
        simulator.add_testbench(bench)
        simulator.run()
        return seen

    return run


def _plain(value: Any) -> Any:
    """Return a struct as a dict and an array as a list."""
    if not isinstance(value, data.Const):
        return value
    layout = value.shape()
    if isinstance(layout, data.StructLayout):
        return {name: _plain(value[name]) for name in layout.members}
    return [_plain(value[index]) for index in range(layout.length)]
