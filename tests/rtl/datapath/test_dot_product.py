# SPDX-License-Identifier: Apache-2.0
import random
import re
from typing import Any

import pytest
from amaranth.sim import Simulator

from hwsim import datapath, formats
from hwsim.datapath import DotProductUnit, FixedAccumulator, Row, TruncatedAlignment, dot_exact
from hwsim.datapath.unit import ScalarSpec
from hwsim.formats import FloatSpec
from rtl import Core, Shell, depth, latency, ranks

_NAMES = (
    *("int4", "int8", "int8_int16_sat", "int4_by_int8", "uint8_by_int8", "int8_l16_int28_to_float32"),
    *("float8_e4m3fn", "float8_e4m3fn_float32", "float8_e5m2", "float4_e2m1fn", "float16_float32"),
    *(
        "mxint8_l8",
        "mxfp8_e4m3_l8",
        "mxfp8_e5m2_l2",
        "mxfp4_l8",
        "nvfp4",
        "nvfp4_l1",
        "float8_e5m2_l2_float16_to_float8_e4m3fn",
    ),
    *("hopper_e4m3_e4m3_float32", "hopper_e5m2_e4m3_float32"),
)


def _code(spec: ScalarSpec, source: random.Random) -> int:
    """Draw a code: often a corner, seldom a special."""
    if source.random() < 0.15:
        return source.choice([0, 1, (1 << spec.bits) - 1, 1 << (spec.bits - 1), (1 << (spec.bits - 1)) - 1])
    if isinstance(spec, FloatSpec) and source.random() < 0.9:
        middle = spec.bias + source.randint(-12, 12)
        field = min(max(middle, 0), (spec.max_magnitude_code >> spec.man_bits) - 1)
        sign = source.getrandbits(1) << (spec.bits - 1) if spec.signed else 0
        return sign | max(field, 0) << spec.man_bits | source.getrandbits(spec.man_bits)
    return source.getrandbits(spec.bits)


def _rows(unit: DotProductUnit, count: int) -> list[Row]:
    source = random.Random(unit.name)
    return [
        Row(
            first=number == 0 or source.random() < 0.4,
            last=source.random() < 0.7,
            a=tuple(_code(unit.element_a, source) for _ in range(unit.lanes)),
            b=tuple(_code(unit.element_b, source) for _ in range(unit.lanes)),
            scales=tuple(_code(spec, source) for spec in unit.scales),
            c=_code(unit.accumulator.format, source),
        )
        for number in range(count)
    ]


def _fields(unit: DotProductUnit, row: Row) -> dict[str, int]:
    names = [name for name, spec in (("scale_a", unit.scale_a), ("scale_b", unit.scale_b)) if spec is not None]
    packed = {
        "a": sum(code << (lane * unit.element_a.bits) for lane, code in enumerate(row.a)),
        "b": sum(code << (lane * unit.element_b.bits) for lane, code in enumerate(row.b)),
    }
    scales = dict(zip(names, row.scales, strict=True))
    return {"first": int(row.first), "last": int(row.last), **packed, **scales, "c": row.c}


def _run_core(core: Core, rows: list[Row], *, pauses: bool) -> tuple[list[int], list[int]]:
    """Return the outputs, and the enabled cycles from each row with `last` to its output."""
    source = random.Random(1)
    outputs: list[int] = []
    cycles: list[int] = []

    async def bench(context: Any) -> None:
        sent = enabled = 0
        asked: list[int] = []
        while len(outputs) < sum(row.last for row in rows):
            assert enabled < 2 * len(rows) + 32, "the outputs do not come"
            valid = sent < len(rows) and not (pauses and source.random() < 0.2)
            enable = not (pauses and source.random() < 0.2)
            # What is shown without `valid` is another row, and must change nothing.
            row = rows[sent] if valid else source.choice(rows)
            for name, value in (_fields(core.spec, row) | {"valid": int(valid), "en": int(enable)}).items():
                context.set(getattr(core, name), value)
            if enable and context.get(core.d_valid):
                outputs.append(context.get(core.d))
                cycles.append(enabled - asked[len(outputs) - 1])
            if enable and valid:
                sent += 1
                if row.last:
                    asked.append(enabled)
            enabled += enable
            await context.tick()

    _simulate(core, bench)
    return outputs, cycles


def _simulate(component: Any, *benches: Any) -> None:
    simulator = Simulator(component)
    simulator.add_clock(1e-6)
    for bench in benches:
        simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize("name", _NAMES)
def test_dot_product_core_is_the_oracle(name: str) -> None:
    unit = datapath.named(name)
    rows = _rows(unit, 60)
    outputs, _ = _run_core(Core(unit), rows, pauses=True)
    assert outputs == dot_exact(unit, rows)
    assert len(outputs) > 30


@pytest.mark.parametrize(
    "name", ["int8", "int4", "float8_e4m3fn", "float4_e2m1fn", "mxint8", "mxfp8_e4m3", "mxfp4", "nvfp4"]
)
def test_dot_product_compared_units(name: str) -> None:
    unit = datapath.comparable(name, 16)
    rows = _rows(unit, 24)
    assert _run_core(Core(unit, len(ranks(unit))), rows, pauses=False)[0] == dot_exact(unit, rows)


@pytest.mark.parametrize(
    "name", ["int8", "int8_l2", "float8_e4m3fn", "float8_e4m3fn_l2_float32", "nvfp4_l2", "mxint8_l1"]
)
def test_dot_product_latency_is_the_pipeline(name: str) -> None:
    unit = datapath.named(name)
    rows = _rows(unit, 20)
    for pipeline in range(1, len(ranks(unit)) + 1):
        core = Core(unit, pipeline)
        outputs, cycles = _run_core(core, rows, pauses=False)
        assert outputs == dot_exact(unit, rows)
        assert set(cycles) == {pipeline} == {core.latency} == {latency(unit, pipeline)} == {depth(unit, pipeline)}
    assert latency(unit) == 2


@pytest.mark.parametrize("pipeline", [1, 2, 4])
def test_dot_product_shell_stalls(pipeline: int) -> None:
    unit = datapath.named("float8_e4m3fn_l2")
    shell, rows = Shell(unit, pipeline), _rows(unit, 60)
    expected = dot_exact(unit, rows)
    source = random.Random(pipeline)
    outputs: list[int] = []

    async def send(context: Any) -> None:
        for row in rows:
            while source.random() < 0.3:
                await context.tick()
            context.set(shell.i.p, _fields(unit, row))
            context.set(shell.i.valid, 1)
            for _ in range(100):
                *_, ready = await context.tick().sample(shell.i.ready)
                if ready:
                    break
            else:
                pytest.fail("a row is not accepted")
            context.set(shell.i.valid, 0)

    async def take(context: Any) -> None:
        held = None
        for _ in range(20 * len(rows)):
            context.set(shell.o.ready, int(source.random() < 0.4))
            *_, valid, ready, code = await context.tick().sample(shell.o.valid, shell.o.ready, shell.o.p)
            assert held is None or (valid and code == held), "the output changed while it waited"
            held = code if valid and not ready else None
            if valid and ready:
                outputs.append(code)

    _simulate(shell, send, take)
    assert outputs == expected
    assert len(outputs) > 30


def test_dot_product_shell_accepts_a_row_a_cycle() -> None:
    unit = datapath.named("int8")
    shell = Shell(unit)
    rows = [Row(first=True, last=True, a=(number,), b=(3,), c=1) for number in range(20)]
    outputs: list[tuple[int, int]] = []

    async def bench(context: Any) -> None:
        context.set(shell.o.ready, 1)
        for cycle in range(30):
            context.set(shell.i.valid, int(cycle < len(rows)))
            context.set(shell.i.p, _fields(unit, rows[min(cycle, 19)]))
            *_, accepted, valid, code = await context.tick().sample(shell.i.ready, shell.o.valid, shell.o.p)
            assert accepted
            if valid:
                outputs.append((cycle, code))

    _simulate(shell, bench)
    assert outputs == [(number + shell.latency, 3 * number + 1) for number in range(20)]


def test_dot_product_ranks() -> None:
    expected = {
        "int8": ("multiply", "accumulate"),
        "int8_l4": ("multiply", "align_add", "accumulate"),
        "int8_to_float32": ("multiply", "accumulate", "round_pack"),
        "float8_e4m3fn": ("multiply", "align_add", "accumulate", "round_pack"),
        "float8_e4m3fn_float32": ("multiply", "accumulate"),
        "nvfp4_l1": ("multiply", "align_add", "accumulate"),
        "mxfp4_l1": ("multiply", "accumulate"),
        "hopper_e4m3_e4m3_float32": ("multiply", "accumulate"),
    }
    assert {name: ranks(datapath.named(name)) for name in expected} == expected


def test_dot_product_of_any_width_elaborates() -> None:
    float16 = formats.named("float16")
    assert isinstance(float16, FloatSpec)
    wide = datapath.named("float16_l2_fixed100")
    assert isinstance(wide.accumulator, FixedAccumulator)
    assert wide.accumulator.bits == 100
    rows = [row._replace(c=row.c << 60) for row in _rows(datapath.named("float16_l2_float32"), 10)]
    assert _run_core(Core(wide), rows, pauses=False)[0] == dot_exact(wide, rows)
    apart = datapath.named("hopper_e4m3_e4m3_float32")
    assert isinstance(apart.alignment, TruncatedAlignment)


@pytest.mark.parametrize("made", [Core, Shell, latency, depth])
def test_dot_product_pipeline_wrong(made: Any) -> None:
    unit = datapath.named("float8_e4m3fn")
    for pipeline in (0, 33, -1):
        message = (
            "pipeline must be in 1..32 for float8_e4m3fn_l1_fixed49_to_float32 "
            f"(multiply, align_add, accumulate, round_pack; beyond 4, within them), not {pipeline}"
        )
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            made(unit, pipeline)
    for wrong in (True, 2.0, "2"):
        with pytest.raises(TypeError, match=f"^{re.escape(f'pipeline must be an int, not {wrong!r}')}$"):
            made(unit, wrong)
    with pytest.raises(TypeError, match=r"^unit must be a DotProductUnit, not 'int8'$"):
        made("int8", 1)
