# SPDX-License-Identifier: Apache-2.0
"""One transaction of a unit, recorded from its RTL, and drawn as a waveform."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from amaranth.sim import Simulator
from numpy.typing import NDArray

from hwsim.datapath import DotProductUnit, Row, dot_exact
from hwsim.datapath.unit import FixedAccumulator, ScalarSpec
from hwsim.formats import IntegerSpec
from rtl import Shell
from testbenches.package.svg import Drawing, text_width
from testbenches.runner import VerificationError
from testbenches.stimulus import fields

__all__ = [
    "Trace",
    "Wave",
    "codes_near_one",
    "record",
    "record_stream",
    "waveform",
]

_SEED = 5
_DEADLINE_CYCLES = 10_000
_COLUMN = 78.0
_ROW = 30.0
_LEFT = 24.0
_TOP = 62.0
_SLOPE = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """A signal: its value in each cycle, just before the clock edge that ends it; None where it has no meaning."""

    name: str
    bits: int
    values: tuple[int | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """
    What the ports did, cycle by cycle.

    Parameters
    ----------
    waves : tuple of Wave
    accepted, valid : int
        The cycles at whose end the (first) row with last was accepted, and its output could first be taken.
    rows : tuple of Row
        The rows that were sent to a unit: a dot product of two, and one of a single row.
    outputs : tuple of int
        What came out, which is what the model says.
    """

    waves: tuple[Wave, ...]
    accepted: int
    valid: int
    rows: tuple[Row, ...]
    outputs: tuple[int, ...]

    @property
    def latency(self) -> int:
        """Cycles between the two."""
        return self.valid - self.accepted

    @property
    def cycles(self) -> int:
        """How many there are."""
        return len(self.waves[0].values)


def record(unit: DotProductUnit, shell: Shell) -> Trace:
    """
    Simulate a unit's shell for two dot products, the first of which waits for a cycle before it is taken.

    Parameters
    ----------
    unit : DotProductUnit
    shell : Shell
        Of that unit; it serves for no other simulation afterwards.

    Returns
    -------
    Trace

    Raises
    ------
    VerificationError
        If an output is not the model's, or does not come in time.
    """
    rows = _rows(unit)
    packed = fields(unit, rows)
    seen: list[dict[str, int]] = []

    async def drive(context: Any) -> None:
        sent, taken, waited = 0, 0, False
        for cycle in range(4 * shell.latency + 16):
            # The third row comes while the output of the first two waits.
            offered = cycle > 0 and sent < (3 if waited or context.get(shell.o.valid) else 2)
            row = {name: values[min(sent, 2)] for name, values in packed.items()}
            for name, value in row.items():
                context.set(shell.i.p[name], value if offered else 0)
            context.set(shell.i.valid, offered)
            context.set(shell.o.ready, bool(context.get(shell.o.valid)) <= waited)
            now = {
                "i_valid": int(offered),
                "i_ready": int(context.get(shell.i.ready)),
                **{f"i_{name}": value for name, value in row.items()},
                "o_valid": int(context.get(shell.o.valid)),
                "o_ready": int(context.get(shell.o.ready)),
                "o_d": int(context.get(shell.o.p)),
            }
            seen.append(now)
            waited = waited or bool(now["o_valid"])
            sent += now["i_valid"] & now["i_ready"]
            taken += now["o_valid"] & now["o_ready"]
            await context.tick()
            if taken == 2:
                return

    simulator = Simulator(shell)
    simulator.add_clock(1e-6)
    simulator.add_testbench(drive)
    simulator.run()
    outputs = [now["o_d"] for now in seen if now["o_valid"] and now["o_ready"]]
    expected = dot_exact(unit, rows)
    if outputs != expected:
        raise VerificationError(f"{unit.name}: the transaction gives {outputs}, and the model {expected}")
    widths = {f"i_{name}": len(shell.i.p[name]) for name in packed} | {"o_d": unit.output.bits}
    return Trace(
        waves=tuple(_waves(seen, widths)),
        accepted=next(cycle for cycle, now in enumerate(seen) if now["i_valid"] and now["i_ready"] and now["i_last"]),
        valid=next(cycle for cycle, now in enumerate(seen) if now["o_valid"]),
        rows=tuple(rows),
        outputs=tuple(outputs),
    )


def record_stream(
    component: Any, beats: Sequence[Mapping[str, int]], outputs: Sequence[Mapping[str, int]], most_cycles: int
) -> Trace:
    """
    Simulate a component with streams of structs, a beat on offer in every cycle and every output taken at once.

    Parameters
    ----------
    component : Component
        With streams ``i`` and ``o``; it serves for no other simulation afterwards.
    beats, outputs : sequence of mapping of str to int
        Fields of each beat, 0 where not given; and those that the outputs must have.
    most_cycles : int
        How many are kept; it goes on to the first output at least.

    Returns
    -------
    Trace
        From the beat whose output comes first: the last of the first tile, or the first step.

    Raises
    ------
    VerificationError
        If an output is not the expected one, or none comes.
    """
    fields_in, fields_out = (list(stream.payload.shape().members) for stream in (component.i, component.o))
    seen: list[dict[str, int]] = []

    async def drive(context: Any) -> None:
        sent = 0
        for cycle in range(_DEADLINE_CYCLES):
            if len(seen) >= most_cycles and any(now["o_valid"] for now in seen):
                return
            beat = beats[min(sent, len(beats) - 1)]
            for name in fields_in:
                context.set(component.i.p[name], beat.get(name, 0) if cycle and sent < len(beats) else 0)
            context.set(component.i.valid, cycle > 0 and sent < len(beats))
            context.set(component.o.ready, 1)
            now = {"i_valid": int(context.get(component.i.valid)), "i_ready": int(context.get(component.i.ready))}
            now |= {f"i_{name}": beat.get(name, 0) for name in fields_in}
            now |= {"o_valid": int(context.get(component.o.valid)), "o_ready": 1}
            now |= {f"o_{name}": int(context.get(component.o.p[name])) for name in fields_out}
            seen.append(now)
            sent += now["i_valid"] & now["i_ready"]
            await context.tick()

    simulator = Simulator(component)
    simulator.add_clock(1e-6)
    simulator.add_testbench(drive)
    simulator.run()
    given = [{name: now[f"o_{name}"] for name in fields_out} for now in seen if now["o_valid"]]
    if not given or given != [dict(output) for output in outputs[: len(given)]]:
        raise VerificationError(f"the stream gives {given}, and the model {list(outputs[: len(given)])}")
    valid = next(cycle for cycle, now in enumerate(seen) if now["o_valid"])
    widths = {f"i_{name}": len(component.i.p[name]) for name in fields_in}
    widths |= {f"o_{name}": len(component.o.p[name]) for name in fields_out}
    return Trace(
        waves=tuple(_waves(seen, widths)),
        accepted=valid - component.latency,
        valid=valid,
        rows=(),
        outputs=tuple(output["d"] for output in given),
    )


def waveform(trace: Trace, title: str) -> str:
    """
    Draw a trace.

    Parameters
    ----------
    trace : Trace
    title : str
        What stands on top.

    Returns
    -------
    str
        SVG: a column a cycle, between two rising edges of clk.
    """
    left = _LEFT + max(text_width(wave.name) for wave in trace.waves) + 14
    bottom = _TOP + _ROW * (len(trace.waves) + 1)
    width = left + _COLUMN * trace.cycles + 24
    drawing = Drawing(max(width, text_width(title, 14) + 2 * _LEFT), bottom + 64, title)
    drawing.text(_LEFT, 26, title, "strong", size=14)
    note = (
        f"values in hexadecimal, from a simulation of the RTL; latency {trace.latency} cycle{'s' * (trace.latency > 1)}"
    )
    drawing.text(_LEFT, 44, note, "soft")
    for cycle in range(trace.cycles + 1):
        x = left + _COLUMN * cycle
        drawing.path([(x, _TOP), (x, bottom)], "grid")
        if cycle < trace.cycles:
            drawing.text(x + _COLUMN / 2, bottom + 14, str(cycle), "soft", size=10, anchor="middle")
    start, end = (left + _COLUMN * (cycle + 1) for cycle in (trace.accepted, trace.valid))
    for x in (start, end):
        drawing.path([(x, _TOP - 4), (x, bottom + 34)], "mark")
    y = bottom + 30
    drawing.path([(start, y), (end - 5, y)], "mark")
    drawing.head(end, y, "markhead")
    label = f"latency {trace.latency}"
    drawing.text((start + end) / 2, y + 16, label, "marked", anchor="middle")
    _clock(drawing, left, trace.cycles)
    for index, wave in enumerate(trace.waves, start=1):
        y = _TOP + _ROW * index
        drawing.text(left - 10, y + 20, wave.name, anchor="end")
        (_level if wave.bits == 1 else _bus)(drawing, wave, left, y)
    return drawing.finish()


def _rows(unit: DotProductUnit) -> list[Row]:
    """Return a dot product of two rows and one of a single row, of values that are ordinary for the formats."""
    random = np.random.default_rng(_SEED)
    rows = []
    for first, last in ((True, False), (False, True), (True, True)):
        a, b = (
            tuple(int(code) for code in codes_near_one(spec, random, unit.lanes))
            for spec in (unit.element_a, unit.element_b)
        )
        scales = tuple(_code(spec, 2.0) for spec in unit.scales)
        register = unit.accumulator
        c = 5 if isinstance(register, FixedAccumulator) else _code(register.format, 1.5)
        rows.append(Row(first, last, a, b, scales, c if first else 0))
    return rows


def codes_near_one(spec: ScalarSpec, random: np.random.Generator, shape: int | tuple[int, ...]) -> NDArray[Any]:
    """Return codes of normally distributed values that are ordinary for a format."""
    spread = (spec.max_value + 1) / 4 if isinstance(spec, IntegerSpec) else min(2.0, float(spec.max_value) / 2)
    values = random.normal(size=shape) * float(spread)
    return np.asarray(spec.encode(np.abs(values) + float(spread) / 4 if spec.min_value >= 0 else values))


def _code(spec: ScalarSpec, value: float) -> int:
    return int(spec.encode(np.array([value]))[0])


def _waves(seen: Sequence[Mapping[str, int]], widths: Mapping[str, int]) -> list[Wave]:
    """Return the signals of the cycles."""
    return [
        Wave(
            name=name,
            bits=widths.get(name, 1),
            values=tuple(now[name] if _has_meaning(name, now) else None for now in seen),
        )
        for name in seen[0]
    ]


def _has_meaning(name: str, now: Mapping[str, int]) -> bool:
    """Whether a signal counts in a cycle: data with its valid bit only, c with first."""
    if name.endswith(("_valid", "_ready")):
        return True
    if not now[f"{name[0]}_valid"]:
        return False
    needs = {"i_c": "i_step" if "i_step" in now else "i_first"}.get(name, "")
    return bool(now.get(needs, True))


def _clock(drawing: Drawing, left: float, cycles: int) -> None:
    high, low = _TOP + 6, _TOP + _ROW - 6
    points = [(left, low)]
    for cycle in range(cycles):
        x = left + _COLUMN * cycle
        points += [(x, high), (x + _COLUMN / 2, high), (x + _COLUMN / 2, low), (x + _COLUMN, low)]
    drawing.text(left - 10, _TOP + 20, "clk", anchor="end")
    drawing.path([*points, (left + _COLUMN * cycles, high)], "wave")


def _runs(values: Sequence[int | None]) -> list[tuple[int, int, int | None]]:
    """Return the stretches of equal values: first cycle, end, value."""
    runs: list[tuple[int, int, int | None]] = []
    for cycle, value in enumerate(values):
        if runs and runs[-1][2] == value:
            runs[-1] = (runs[-1][0], cycle + 1, value)
        else:
            runs.append((cycle, cycle + 1, value))
    return runs


def _level(drawing: Drawing, wave: Wave, left: float, y: float) -> None:
    """Draw a single bit as a line that is high or low."""
    heights = {0: y + _ROW - 6, 1: y + 6}
    previous: float | None = None
    for start, end, value in _runs(wave.values):
        x, right = left + _COLUMN * start, left + _COLUMN * end
        if value is None:
            drawing.path([(x + _SLOPE, y + _ROW / 2), (right, y + _ROW / 2)], "idle")
            previous = None
            continue
        level = heights[value]
        points = [(x + _SLOPE, level), (right, level)]
        drawing.path([(x, previous if previous is not None else level), *points], "wave")
        previous = level


def _bus(drawing: Drawing, wave: Wave, left: float, y: float) -> None:
    """Draw words as boxes with their digits."""
    high, low, middle = y + 5, y + _ROW - 5, y + _ROW / 2
    for start, end, value in _runs(wave.values):
        x, right = left + _COLUMN * start, left + _COLUMN * end
        if value is None:
            drawing.path([(x + _SLOPE, middle), (right, middle)], "idle")
            continue
        box = [(x, middle), (x + _SLOPE, high), (right - _SLOPE, high), (right, middle), (right - _SLOPE, low)]
        drawing.path([*box, (x + _SLOPE, low)], "bus", closed=True)
        digits = f"{value:0{(wave.bits + 3) // 4}x}"
        room = int((right - x - 2 * _SLOPE) / text_width("0", 10))
        short = digits if len(digits) <= room else f"{digits[: room // 2 - 1]}…{digits[-(room // 2 - 1) :]}"
        drawing.text((x + right) / 2, middle + 4, short, size=10, anchor="middle", full=f"{wave.name} = {digits}")
