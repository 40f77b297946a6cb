# SPDX-License-Identifier: Apache-2.0
"""A job of an array behind AXI: counts the steps and the tiles that enter and leave, and keeps the registers."""

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal

from hwsim.datapath.array import ArrayGeometry
from hwsim.datapath.unit import DotProductUnit
from rtl.axi.control import bus
from rtl.axi.layouts import IDENTIFIER, VERSION, Register, Status, kind_code

__all__ = [
    "Job",
    "job",
]

_WRITABLE = {int(Register.CONTROL), int(Register.STEPS), int(Register.TILES)}


@dataclass(frozen=True, slots=True)
class Job:
    """What the job sees of the streams, each a bit.

    step, ends_packet : of the beat at hand: it is a step, and has TLAST
    accepted : it enters the array
    leaves : the last output of a tile leaves the array
    empty : no output is between the array and the port
    """

    step: Any
    ends_packet: Any
    accepted: Any
    leaves: Any
    empty: Any


def job(
    m: Module, ports: Any, geometry: ArrayGeometry, unit: DotProductUnit, seen: Job, counter_bits: int
) -> tuple[Signal, Signal, Signal]:
    """Build counters and registers; return whether beats may enter, and `first` and `last` of the step at hand."""
    counters = {name: Signal(counter_bits, name=name) for name in ("steps", "tiles", "position", "entering", "leaving")}
    steps, tiles, position, entering, leaving = counters.values()
    flags = {status: Signal(name=status.name.lower()) for status in Status}
    busy, done = flags[Status.BUSY], flags[Status.DONE]
    cycles, counting = Signal(32, name="cycles"), Signal(name="counting")
    readable = {
        Register.IDENTIFIER: IDENTIFIER,
        Register.VERSION: VERSION,
        Register.SHAPE: geometry.rows | geometry.columns << 16,
        Register.ELEMENT: kind_code(geometry.kind) | geometry.depth << 8 | unit.lanes << 16,
        Register.CONTROL: 0,
        Register.STATUS: Cat(*flags.values()),
        Register.STEPS: steps,
        Register.TILES: tiles,
        Register.CYCLES: cycles,
    }
    writes = bus(m, ports, readable, _WRITABLE)
    control = writes.at(Register.CONTROL) & writes.strobes[0]
    starts, clears, ends = Signal(name="starts"), Signal(name="clears"), Signal(name="ends_tile")
    sets_size = writes.at(Register.STEPS) | writes.at(Register.TILES)
    opened, first = Signal(name="opened"), Signal(name="first")
    m.d.comb += [
        starts.eq(control & writes.data[0] & ~busy & steps.any() & tiles.any()),
        clears.eq(control & writes.data[1]),
        ends.eq(position == steps - 1),
        first.eq(~position.any()),
        opened.eq(busy & entering.any()),
        ports.irq.eq(done),
    ]
    with m.If(clears):
        m.d.sync += [flags[status].eq(0) for status in Status if status is not Status.BUSY]
    for register, count in ((Register.STEPS, steps), (Register.TILES, tiles)):
        with m.If(writes.at(register) & ~busy):
            m.d.sync += count.eq(writes.merged(count))
    with m.If((control & writes.data[0] & ~starts) | (sets_size & busy)):
        m.d.sync += flags[Status.REFUSED].eq(1)
    with m.If(seen.accepted & seen.step):
        m.d.sync += position.eq(Mux(ends, 0, position + 1))
        with m.If(ends):
            m.d.sync += entering.eq(entering - 1)
    with m.If(seen.accepted & seen.ends_packet & ~(seen.step & ends)):
        m.d.sync += flags[Status.EARLY_LAST].eq(1)
    with m.If(seen.accepted & seen.step & ends & ~seen.ends_packet):
        m.d.sync += flags[Status.MISSING_LAST].eq(1)
    with m.If(seen.accepted | counting):
        m.d.sync += [cycles.eq(cycles + 1), counting.eq(1)]
    with m.If(seen.leaves):
        m.d.sync += leaving.eq(leaving - 1)
        with m.If(leaving == 1):
            m.d.sync += counting.eq(0)
    with m.If(busy & ~leaving.any() & seen.empty):
        m.d.sync += [busy.eq(0), done.eq(1)]
    with m.If(starts):
        m.d.sync += [
            busy.eq(1),
            done.eq(0),
            cycles.eq(0),
            position.eq(0),
            entering.eq(tiles),
            leaving.eq(tiles),
        ]
    return opened, first, ends
