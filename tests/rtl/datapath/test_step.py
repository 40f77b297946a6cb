# SPDX-License-Identifier: Apache-2.0
"""Step and Resolve against the oracle: a chain of steps from c, over fixed, float, scaled and truncating units."""

import random
from typing import Any

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hwsim import datapath
from hwsim.datapath import Row, dot_exact
from hwsim.datapath.unit import DotProductUnit
from rtl.architecture import Architecture
from rtl.datapath.step import Resolve, Step, register_of_code, step_register_layout


class _Chain(wiring.Component):
    """Two steps from c, one behind the other, and the output."""

    def __init__(self, unit: DotProductUnit, architecture: Architecture) -> None:
        self._unit, self._architecture = unit, architecture
        ports = {"c": In(step_register_layout(unit, architecture)["value"].width), "d": Out(unit.output.bits)}
        for index in (0, 1):
            ports[f"a{index}"] = In(unit.lanes * unit.element_a.bits)
            ports[f"b{index}"] = In(unit.lanes * unit.element_b.bits)
            for name, spec in (("scale_a", unit.scale_a), ("scale_b", unit.scale_b)):
                if spec is not None:
                    ports[f"{name}{index}"] = In(spec.bits)
        super().__init__(ports)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        register: Any = register_of_code(self._unit, self._architecture, self.c)
        for index in (0, 1):
            m.submodules[f"step_{index}"] = step = Step(self._unit, self._architecture)
            for name in ("a", "b", "scale_a", "scale_b"):
                if hasattr(step, name):
                    m.d.comb += getattr(step, name).eq(getattr(self, f"{name}{index}"))
            m.d.comb += step.register.eq(register)
            register = step.following
        m.submodules.resolve = resolve = Resolve(self._unit, self._architecture)
        m.d.comb += [resolve.register.eq(register), self.d.eq(resolve.d)]
        return m


@pytest.mark.parametrize(
    "name", ["int8", "int8_l4", "float8_e4m3fn", "float8_e4m3fn_l2_float32", "float16_float32", "nvfp4_l2", "mxint8_l2"]
)
def test_step_chain_matches_the_oracle(evaluate: Any, name: str) -> None:
    unit = datapath.named(name)
    source = random.Random(name)
    inputs, expected = [], []
    for _ in range(40):
        c = source.choice([0, source.getrandbits(unit.register.format.bits)])
        rows, row_ports = [], {"c": c}
        for index in (0, 1):
            a = tuple(source.getrandbits(unit.element_a.bits) for _ in range(unit.lanes))
            b = tuple(source.getrandbits(unit.element_b.bits) for _ in range(unit.lanes))
            scales = tuple(source.getrandbits(spec.bits) for spec in unit.scales)
            rows.append(Row(first=index == 0, last=index == 1, a=a, b=b, scales=scales, c=c))
            for port, codes, spec in (("a", a, unit.element_a), ("b", b, unit.element_b)):
                row_ports[f"{port}{index}"] = sum(code << (lane * spec.bits) for lane, code in enumerate(codes))
            names = [n for n, s in (("scale_a", unit.scale_a), ("scale_b", unit.scale_b)) if s is not None]
            row_ports |= {f"{n}{index}": scale for n, scale in zip(names, scales, strict=True)}
        inputs.append(row_ports)
        expected += dot_exact(unit, rows)
    found = evaluate(_Chain(unit, Architecture()), inputs, "d")
    assert len(found) == 40
    assert found == expected
