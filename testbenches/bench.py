# SPDX-License-Identifier: Apache-2.0
"""The cocotb bench of a unit's shell, run inside the simulator.

It needs the standard library and cocotb only, and reads what it is to do from the file that ``HWSIM_BENCH`` names
(``bench.json`` in the working directory otherwise): the ports, the vectors, the stated latency, the modes, the seed.
"""

import json
import os
import random
import time
from bisect import bisect_left
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock

__all__ = [
    "BenchError",
    "full_throughput",
    "long_stalls",
    "random_stalls",
    "reset_in_stream",
]

_PERIOD = 10  # simulator steps
_RESETS = 8  # resets in the middle of a stream


class BenchError(AssertionError):
    """The design does not do what its model or the contract of its ports says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Vectors:
    """The rows to be sent, the outputs expected of them, and what else the description says."""

    names: list[str]
    bits: list[int]
    output_bits: int
    latency: int
    longest_latency: int
    full_rate: bool
    seed: int
    windows: dict[str, tuple[int, int]]
    rows: list[tuple[int, ...]]
    lasts: list[int]
    expected: list[int]
    results: Path

    def describe(self, output: int) -> str:
        """Spell the row that asked for one output, and say where its sum began."""
        row = begin = self.lasts[output]
        first = self.names.index("first")
        while begin > 0 and not self.rows[begin][first]:
            begin -= 1
        summed = "a sum of this row alone" if begin == row else f"a sum from row {begin} on"
        spelled = zip(self.names, self.bits, self.rows[row], strict=True)
        inputs = " ".join(f"{name}={value:0{(bits + 3) // 4}x}" for name, bits, value in spelled)
        return f"row {row} ({inputs}), {summed}"

    def hexadecimal(self, value: int) -> str:
        """Spell one output."""
        return f"{value:0{(self.output_bits + 3) // 4}x}"


@cache
def _read() -> _Vectors:
    """Read the bench's description and its vectors."""
    path = Path(os.environ.get("HWSIM_BENCH", "bench.json")).absolute()
    config = json.loads(path.read_text())
    slices = []
    low = 0
    for _, width in config["fields"]:
        slices.append((low, (1 << width) - 1))
        low += width
    words = [int(line, 16) for line in (path.parent / config["rows"]).read_text().split()]
    rows = [tuple([(word >> shift) & mask for shift, mask in slices]) for word in words]
    expected = [int(line, 16) for line in (path.parent / config["expected"]).read_text().split()]
    names = [name for name, _ in config["fields"]]
    last = names.index("last")
    lasts = [index for index, row in enumerate(rows) if row[last]]
    if len(lasts) != len(expected):
        raise ValueError(f"{path}: {len(lasts)} rows ask for an output, but {len(expected)} outputs are expected")
    return _Vectors(
        names=names,
        bits=[width for _, width in config["fields"]],
        output_bits=config["output_bits"],
        latency=config["latency"],
        longest_latency=config["longest_latency"],
        full_rate=config["full_rate"],
        seed=config["seed"],
        windows={mode: (begin, end) for mode, (begin, end) in config["modes"].items()},
        rows=rows,
        lasts=lasts,
        expected=expected,
        results=path.parent / config["results"],
    )


class _Pattern:
    """Whether one side is active, cycle by cycle: runs of up to `on` active and up to `off` idle cycles."""

    def __init__(self, source: random.Random, on: int, off: int) -> None:
        self.source = source
        self.on = on
        self.off = off
        self._active = False
        self._left = 0

    def next(self) -> bool:
        """Say whether the side is active in the coming cycle."""
        if self.off == 0:
            return True
        if self._left == 0:
            self._active = not self._active
            self._left = self.source.randint(1, self.on if self._active else self.off)
        self._left -= 1
        return self._active


class _Checker:
    """Compare the outputs with those expected: in order, no more, no fewer, steady while they wait."""

    def __init__(self, vectors: _Vectors, begin: int, timed: bool) -> None:
        self.vectors = vectors
        self.begin = begin
        self.timed = timed
        self.next = begin
        self.asked: list[int] = []
        self.latencies: set[int] = set()
        self._held: Any = None

    @property
    def pending(self) -> int:
        """Outputs that accepted rows still wait for."""
        return len(self.asked) - (self.next - self.begin)

    def observe(self, cycle: int, valid: bool, ready: bool, value: Any) -> bool:
        """Judge one cycle of the output port; say whether an output was taken."""
        if not valid:
            if self._held is not None:
                raise BenchError(f"o_valid fell while o_ready was low: output {self.next} is lost")
            return False
        if self._held is not None and value != self._held:
            raise BenchError(
                f"o_d changed while o_valid was high and o_ready low: output {self.next} was {self._held}, is {value}"
            )
        self._held = None if ready else value
        if ready:
            self._compare(cycle, str(value))
        return ready

    def _compare(self, cycle: int, bits: str) -> None:
        """Compare one output, and when it came, with the next one expected."""
        vectors, index = self.vectors, self.next
        known = "1" in bits or "0" in bits
        seen = int(bits, 2) if known and set(bits) <= {"0", "1"} else None
        shown = f"{bits} (unknown bits)" if seen is None else vectors.hexadecimal(seen)
        shown += self._neighbour(seen)
        if self.pending == 0:
            raise BenchError(f"extra output {shown}: every output that was asked for had been taken")
        if seen != vectors.expected[index]:
            expected = vectors.hexadecimal(vectors.expected[index])
            raise BenchError(f"output {index} is wrong: expected {expected}, seen {shown}; {vectors.describe(index)}")
        taken = cycle - self.asked[index - self.begin]
        self.latencies.add(taken)
        if self.timed and not vectors.latency <= taken <= vectors.longest_latency:
            stated = (
                vectors.latency
                if vectors.latency == vectors.longest_latency
                else (f"{vectors.latency} to {vectors.longest_latency}")
            )
            raise BenchError(
                f"the latency is {taken} cycles, stated is {stated}: output {index}; {vectors.describe(index)}"
            )
        self.next = index + 1

    def _neighbour(self, seen: int | None) -> str:
        """Say whether an output that is not the right one is its neighbour."""
        index, expected = self.next, self.vectors.expected
        if index < len(expected) and seen == expected[index]:
            return ""
        if index > self.begin and seen == expected[index - 1]:
            return " (the output before it again: duplicated?)"
        if index + 1 < len(expected) and seen == expected[index + 1]:
            return " (the output after it: one lost?)"
        return ""


class _Stream:
    """Drive and watch both ports, one clock cycle a call."""

    def __init__(self, dut: Any, vectors: _Vectors, mode: str) -> None:
        self.dut = dut
        self.vectors = vectors
        self.source = random.Random(f"{vectors.seed} {mode}")
        self.cycles = 0
        self.waiting = False
        self.row = 0
        self.end = 0
        self.checker = _Checker(vectors, 0, False)
        self._last = vectors.names.index("last")
        self._fields = [getattr(dut, f"i_{name}") for name in vectors.names]
        self._driven: list[int] = [-1] * len(vectors.names)
        self._valid = False
        self._edge = dut.clk.rising_edge

    def check_ports(self) -> None:
        """Compare the widths of the ports with those described."""
        vectors = self.vectors
        inputs = [f"i_{name}" for name in vectors.names]
        for name, bits in zip([*inputs, "o_d"], [*vectors.bits, vectors.output_bits], strict=True):
            found = len(getattr(self.dut, name))
            if found != bits:
                raise BenchError(f"port {name} has {found} bits, described are {bits}")

    async def start(self) -> None:
        """Start the clock with every input driven and the reset held: before the first edges all else is unknown."""
        dut = self.dut
        dut.rst.value = 1
        dut.o_ready.value = 0
        dut.i_valid.value = 0
        self._offer(False)
        Clock(dut.clk, _PERIOD, unit="step", impl="gpi").start(start_high=False)
        for _ in range(4):
            await self._edge
        dut.rst.value = 0

    def begin(self, mode: str, timed: bool = False) -> None:
        """Point at the first row of a mode's window, and expect its outputs."""
        self.row, self.end = self.vectors.windows[mode]
        self.waiting = False
        self.checker = _Checker(self.vectors, bisect_left(self.vectors.lasts, self.row), timed)

    async def cycle(self, offer: bool, ready: bool) -> bool:
        """Drive one cycle and judge it; say whether a row or an output went through."""
        dut, checker = self.dut, self.checker
        self._offer((offer or self.waiting) and self.row < self.end)
        dut.o_ready.value = int(ready)
        await self._edge
        self.cycles += 1
        accepted = self._bit("i_ready") and self._valid
        valid = self._bit("o_valid")
        taken = checker.observe(self.cycles, valid, ready, dut.o_d.value if valid else None)
        self.waiting = self._valid and not accepted
        if accepted:
            if self.vectors.rows[self.row][self._last]:
                checker.asked.append(self.cycles)
            self.row += 1
        return accepted or taken

    async def reset(self, length: int) -> None:
        """Hold the reset over `length` edges, offering rows all the while; nothing may be left of the stream."""
        self.dut.rst.value = 1
        for edge in range(length + 1):
            if edge == length:
                self.dut.rst.value = 0
            self._offer(edge < length, self.source.randrange(len(self.vectors.rows)))
            self.dut.o_ready.value = self.source.getrandbits(1)
            await self._edge
            self.cycles += 1
            if edge > 0 and self._bit("o_valid"):
                raise BenchError(f"o_valid is high {edge} cycles after rst rose: the reset does not clear it")

    async def drain(self) -> None:
        """Offer nothing and take whatever comes: nothing may."""
        self.end = self.row
        for _ in range(2 * self.vectors.longest_latency + 16):
            await self.cycle(False, True)

    def _bit(self, name: str) -> bool:
        """Read one bit, which must be known."""
        value = str(getattr(self.dut, name).value)
        if value not in ("0", "1"):
            raise BenchError(f"{name} is {value}, and the reset is over")
        return value == "1"

    def _offer(self, valid: bool, row: int | None = None) -> None:
        """Offer a row (the next one of the window unless given), or with `valid` low show one that is to be ignored."""
        if valid is not self._valid:
            self.dut.i_valid.value = int(valid)
            self._valid = valid
        if row is None:
            row = self.row if valid else self.source.randrange(len(self.vectors.rows))
        for position, value in enumerate(self.vectors.rows[row]):
            if value != self._driven[position]:
                self._fields[position].value = value
                self._driven[position] = value


async def _send(stream: _Stream, mode: str, gaps: _Pattern, stalls: _Pattern) -> None:
    """Send the rows of a mode's window and take every output, then nothing more."""
    vectors = stream.vectors
    full = mode == "full_throughput"
    stream.begin(mode, full)
    deadline = 4 * (vectors.longest_latency + gaps.off + stalls.off) + 64
    idle = 0
    while stream.row < stream.end or stream.checker.pending:
        moved = await stream.cycle(gaps.next(), stalls.next())
        idle = 0 if moved else idle + 1
        if full and vectors.full_rate and stream.waiting:
            raise BenchError(f"row {stream.row} is not accepted at once, though every output is: not one row a cycle")
        if idle > deadline and stream.checker.pending:
            output = stream.checker.next
            raise BenchError(
                f"output {output} does not come, nothing moved for {idle} cycles: {stream.checker.pending} outputs are"
                f" lost; expected {vectors.hexadecimal(vectors.expected[output])}; {vectors.describe(output)}"
            )
        if idle > deadline:
            raise BenchError(f"row {stream.row} is not accepted, i_ready stays low: nothing moved for {idle} cycles")
    await stream.drain()


async def _run(dut: Any, mode: str, gaps: tuple[int, int], stalls: tuple[int, int]) -> None:
    """Run one mode, and add what it did to the file of results."""
    vectors = _read()
    stream = _Stream(dut, vectors, mode)
    valid, ready = _Pattern(stream.source, *gaps), _Pattern(stream.source, *stalls)
    started = time.perf_counter()
    outputs = 0
    error: str | None = f"{mode}: the bench itself failed"
    try:
        stream.check_ports()
        await stream.start()
        if mode == "reset_in_stream":
            for _ in range(_RESETS):
                stream.begin(mode)
                for _ in range(stream.source.randint(1, 2 * vectors.longest_latency + 24)):
                    await stream.cycle(valid.next(), ready.next())
                outputs += stream.checker.next - stream.checker.begin
                await stream.reset(stream.source.randint(1, 3))
                stream.begin(mode)
                await stream.drain()
        await _send(stream, mode, valid, ready)
        error = None
    except BenchError as wrong:
        error = f"{mode}, cycle {stream.cycles}: {wrong}"
        raise BenchError(error) from None
    finally:
        done = json.loads(vectors.results.read_text()) if vectors.results.exists() else []
        done.append(
            {
                "mode": mode,
                "rows": vectors.windows[mode][1] - vectors.windows[mode][0],
                "outputs": outputs + stream.checker.next - stream.checker.begin,
                "cycles": stream.cycles,
                "latencies": sorted(stream.checker.latencies),
                "seconds": time.perf_counter() - started,
                "error": error,
            }
        )
        vectors.results.write_text(json.dumps(done, indent=1))


@cocotb.test()
async def full_throughput(dut: Any) -> None:
    """Offer a row in every cycle and take every output at once; the latency is that stated."""
    await _run(dut, "full_throughput", (1, 0), (1, 0))


@cocotb.test()
async def random_stalls(dut: Any) -> None:
    """Pause both ports for a few cycles at a time."""
    await _run(dut, "random_stalls", (4, 3), (4, 3))


@cocotb.test()
async def long_stalls(dut: Any) -> None:
    """Pause both ports for so long that the pipeline fills and empties."""
    await _run(dut, "long_stalls", (24, 40), (24, 40))


@cocotb.test()
async def reset_in_stream(dut: Any) -> None:
    """Reset the design in the middle of a stream, several times, then send one that must come through whole."""
    await _run(dut, "reset_in_stream", (8, 4), (6, 6))
