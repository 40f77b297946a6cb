# SPDX-License-Identifier: Apache-2.0
"""Every architecture computes what the oracle says, at every depth, over units that take each of the structures."""

import random
import re
from dataclasses import replace
from typing import Any

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

import rtl
from hwsim import datapath
from hwsim.datapath import Row, dot_exact
from hwsim.datapath.unit import DotProductUnit
from hwsim.formats import CodebookSpec
from rtl.architecture import ARCHITECTURES, Architecture, architecture
from rtl.datapath.dot_product import Core, chosen_ranks, ranks, row_fields
from rtl.datapath.merged import RowsOfRow, RowSum
from rtl.datapath.step import Resolve, Step, register_of_code, step_register_layout

ODD = Architecture(multiplier="array", reduction="heap", adder="ripple")
PREFIX = Architecture(multiplier="booth", adder="brent_kung")
GRID = [
    ("int8", "booth_heap", 1),
    ("int8", "carry_save", 1),
    ("int8", "carry_save", 3),
    ("int4_l5", "dadda_heap", 1),
    ("int4_l4", "dadda_heap", 2),
    ("int4_l2", "fast_heap", 3),
    ("int4_l5", "carry_save", 4),
    ("uint4_by_int4_l3_int12_sat", "booth_heap", 2),
    ("uint4_by_int4_l3_int12_sat", "dadda_heap", 1),
    ("float4_e2m1fn_l5", "booth_heap", 1),
    ("float4_e2m1fn_l5", "carry_save", 2),
    ("float4_e2m1fn_l3", "fast_heap", 3),
    ("int4_by_float4_e2m1fn_l2", "dadda_heap", 1),
    ("float8_e4m3fn_l4", "dadda_heap", 1),
    ("float8_e4m3fn", "carry_save", 3),
    pytest.param("float8_e5m2_l2_float32", "booth_heap", 2, marks=pytest.mark.slow),  # as the next, and wider
    ("float8_e4m3fn_float32", "fast_heap", 1),
    ("posit8_1_quire_to_float32", "dadda_heap", 1),
    ("ternary_l5", "booth_heap", 1),
    ("binary_l5", "carry_save", 2),
    ("int4_by_binary_l3", "dadda_heap", 1),
    ("posit8_1_quire_to_float32", "carry_save", 2),
    ("nvfp4_l2", "booth_heap", 2),
    pytest.param("nvfp4_l2", "dadda_heap", 3, marks=pytest.mark.slow),
    ("mxint4_l1", "fast_heap", 1),
    pytest.param("mxint8_l2", "fast_heap", 1, marks=pytest.mark.slow),
    ("hopper_e4m3_e4m3_float32", "booth_heap", 2),  # with two lanes
]


def _rows(unit: DotProductUnit, count: int) -> list[Row]:
    """Return random rows, sums of one to four of them."""
    source = random.Random(unit.name)
    rows, first = [], True
    for index in range(count):
        last = index == count - 1 or source.random() < 0.4
        codes = [
            tuple(source.choice((0, (1 << s.bits) - 1, source.getrandbits(s.bits))) for _ in range(unit.lanes))
            for s in (unit.element_a, unit.element_b)
        ]
        scales = tuple(source.getrandbits(spec.bits) for spec in unit.scales)
        bits = row_fields(unit)["c"]
        c = source.choice((0, source.getrandbits(bits)))
        rows.append(Row(first=first, last=last, a=codes[0], b=codes[1], scales=scales, c=c))
        first = last
    return rows


def _ports(unit: DotProductUnit, row: Row) -> dict[str, int]:
    """Return the codes of a row by port."""
    ports = {"first": int(row.first), "last": int(row.last), "c": row.c}
    for name, codes, spec in (("a", row.a, unit.element_a), ("b", row.b, unit.element_b)):
        ports[name] = sum(code << (lane * spec.bits) for lane, code in enumerate(codes))
    names = [name for name, scale in (("scale_a", unit.scale_a), ("scale_b", unit.scale_b)) if scale is not None]
    return ports | dict(zip(names, row.scales, strict=True))


def _outputs(core: Core, rows: list[Row]) -> list[int]:
    """Return the outputs of a core for rows, one a cycle."""
    seen = []

    async def bench(ctx: Any) -> None:
        ctx.set(core.en, 1)
        for row in [*rows, *[None] * core.latency]:
            ctx.set(core.valid, row is not None)
            if row is not None:
                for name, code in _ports(core.spec, row).items():
                    ctx.set(getattr(core, name), code)
            _, _, valid, code = await ctx.tick().sample(core.d_valid, core.d)
            if valid:
                seen.append(code)
        if ctx.get(core.d_valid):
            seen.append(ctx.get(core.d))

    simulator = Simulator(core)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return seen


@pytest.mark.parametrize(("name", "how", "pipeline"), GRID)
def test_architecture_matches_the_oracle(name: str, how: str, pipeline: int) -> None:
    unit = datapath.named(name)
    if unit.lanes > 5:
        unit = replace(unit, lanes=2)
    rows = _rows(unit, 40)
    expected = dot_exact(unit, rows)
    assert len(expected) >= 10
    assert _outputs(Core(unit, pipeline, architecture(how)), rows) == expected


def test_signs_alone_are_counted(evaluate: Any) -> None:
    """Codes of +1 and -1: the lanes less twice those that differ."""
    signs = CodebookSpec(name="signs", levels=(1.0, -1.0))
    unit = replace(datapath.named("ternary_l5"), a=signs, b=signs)
    inputs = [{"a": a, "b": b} for a in range(32) for b in range(32)]
    found = evaluate(RowSum(unit, architecture("booth_heap")), inputs, "total")
    assert [total["sum"] for total in found] == [5 - 2 * (x["a"] ^ x["b"]).bit_count() for x in inputs]


@pytest.mark.parametrize("how", [ODD, PREFIX], ids=["odd", "prefix"])
def test_architecture_of_no_name_matches_the_oracle(how: Architecture) -> None:
    unit = datapath.named("int4_l3")
    rows = _rows(unit, 60)
    assert _outputs(Core(unit, 1, how), rows) == dot_exact(unit, rows)


class _Steps(wiring.Component):
    """Three steps one behind the other, and the output."""

    def __init__(self, unit: DotProductUnit, how: Architecture) -> None:
        self._unit, self._how = unit, how
        a, b = 3 * unit.lanes * unit.element_a.bits, 3 * unit.lanes * unit.element_b.bits
        super().__init__({"a": In(a), "b": In(b), "c": In(32), "d": Out(unit.output.bits)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        register: Any = register_of_code(self._unit, self._how, self.c)
        assert len(register) == step_register_layout(self._unit, self._how).size
        for index in range(3):
            m.submodules[f"step_{index}"] = step = Step(self._unit, self._how)
            m.d.comb += [step.a.eq(self.a.word_select(index, len(step.a))), step.register.eq(register)]
            m.d.comb += step.b.eq(self.b.word_select(index, len(step.b)))
            register = step.following
        m.submodules.resolve = resolve = Resolve(self._unit, self._how)
        m.d.comb += [resolve.register.eq(register), self.d.eq(resolve.d)]
        return m


def test_step_in_carry_save_form_adds_up(evaluate: Any) -> None:
    """Products and a start added by plain integers, modulo 2**32."""
    source = random.Random(7)
    inputs, expected = [], []
    for _ in range(50):
        a, b, c = source.getrandbits(24), source.getrandbits(24), source.getrandbits(32)
        signed = [[((code >> (8 * i)) & 255 ^ 128) - 128 for i in range(3)] for code in (a, b)]
        inputs.append({"a": a, "b": b, "c": c})
        expected.append((c + sum(x * y for x, y in zip(*signed, strict=True))) % (1 << 32))
    found = evaluate(_Steps(datapath.named("int8"), architecture("carry_save")), inputs, "d")
    assert [value % (1 << 32) for value in found] == expected


def test_row_sum_needs_no_register(evaluate: Any) -> None:
    """E2M1 by its eight magnitudes in halves, OCP Microscaling Formats 1.0, table 5."""
    unit = datapath.named("float4_e2m1fn_l4")
    halves = [0, 1, 2, 3, 4, 6, 8, 12]
    source = random.Random(9)
    inputs = [{"a": source.getrandbits(16), "b": source.getrandbits(16)} for _ in range(200)]

    def value(codes: int, lane: int) -> int:
        code = codes >> (4 * lane) & 15
        return -halves[code & 7] if code & 8 else halves[code & 7]

    expected = [sum(value(x["a"], i) * value(x["b"], i) for i in range(4)) for x in inputs]
    found = evaluate(RowSum(unit, architecture("dadda_heap")), inputs, "total")
    assert [total["sum"] for total in found] == expected


def test_tool_architecture_is_the_default() -> None:
    unit = datapath.named("int8_l2")
    assert rtl.core_verilog(unit, architecture=Architecture()) == rtl.core_verilog(unit)


def test_architecture_verilog_has_its_structure() -> None:
    unit = datapath.named("int8_l4")
    text = rtl.verilog(unit, pipeline=2, architecture=architecture("booth_heap"))
    assert " * " not in text[text.index("\nmodule ") :]
    assert text.count("module int8_l4_int32_full_adder(") == 1
    assert len(re.findall(r"^  int8_l4_int32_full_adder ", text, re.MULTILINE)) > 60
    assert "// Structure:    products by booth, reduction by heap, adders by tool, accumulation in binary form" in text


def test_ranks_of_carry_save_accumulation() -> None:
    unit, how = datapath.named("int8_l4"), architecture("carry_save")
    assert ranks(unit, how) == ("multiply", "align_add", "accumulate", "resolve")
    assert chosen_ranks(unit, 2, how) == ("accumulate", "resolve")
    assert rtl.latency(unit, 3, how) == 3


def test_rows_keep_their_constant() -> None:
    """Two words without the constants of the signs: as many bits as their sum, not as the register."""
    part = RowsOfRow(datapath.named("int8"), ARCHITECTURES["dadda_heap"])
    assert part.constant < 0
    assert part.layout["first"].width == part.layout["second"].width <= 18
    Simulator(part)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("float8_e4m3fn_float32", "a float accumulator is rounded in each step, which takes its value"),
        ("int8_int20_sat", "a register that saturates is compared in each step, which takes its value"),
    ],
)
def test_carry_save_accumulation_wrong(name: str, text: str) -> None:
    unit = datapath.named(name)
    message = re.escape(f"unit {unit.name} cannot accumulate in carry-save form: {text}")
    with pytest.raises(ValueError, match=message):
        rtl.core_verilog(unit, architecture=architecture("carry_save"))
    with pytest.raises(ValueError, match=message):
        Step(unit, architecture("carry_save"))


def test_carry_save_reduction_wrong() -> None:
    how = Architecture(accumulation="carry_save")
    message = "unit int8_l1_int32 cannot accumulate in carry-save form with reduction='tool': that takes 'heap'"
    with pytest.raises(ValueError, match=re.escape(message)):
        rtl.core_verilog(datapath.named("int8"), architecture=how)


def test_architecture_wrong() -> None:
    with pytest.raises(TypeError, match=re.escape("architecture must be an Architecture, not 'booth_heap'")):
        rtl.core_verilog(datapath.named("int8"), architecture="booth_heap")  # type: ignore[arg-type]
