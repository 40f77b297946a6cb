# SPDX-License-Identifier: Apache-2.0
"""Registers and streams around a unit's combinational step, whatever that computes."""

from collections.abc import Mapping
from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.part import Part

__all__ = [
    "StepCore",
    "Streams",
    "operand_ports",
]


def operand_ports(step: Part) -> dict[str, int]:
    """Return the ports of a step that a row brings, with their widths: its inputs but for `base`."""
    members = step.signature.members
    return {name: members[name].shape for name in members if members[name].flow == In and name != "base"}


class StepCore(wiring.Component):
    """A step and its register, without flow control.

    Parameters
    ----------
    step : Part
        Combinational, of unsigned ports: operands, ``base`` (the register before) and ``following`` (behind the step).

    Members
    -------
    en : In, 1 bit
        Clock enable of everything.
    valid, first, last : In, 1 bit
        There is a row; it starts from `c` instead of the register; it ends a sum.
    operands : In
        Those of the step, by their names there.
    c : In, d : Out
        Of the register's width.
    ready : Out, 1 bit
        Always 1: a row is taken in every enabled cycle.
    d_valid : Out, 1 bit

    Latency: 1 enabled cycle from a row with `last` to its `d`. Throughput: one row an enabled cycle.
    """

    latency = 1

    def __init__(self, step: Part) -> None:
        self.spec = step
        width = step.signature.members["base"].shape
        self.row_fields: Mapping[str, int] = {"first": 1, "last": 1} | operand_ports(step) | {"c": width}
        ports = {name: In(bits) for name, bits in ({"en": 1, "valid": 1} | dict(self.row_fields)).items()}
        super().__init__(ports | {"ready": Out(1), "d": Out(width), "d_valid": Out(1)})

    def elaborate(self, platform: Any) -> Module:
        """Connect the register."""
        m = Module()
        m.submodules.step = step = self.spec
        register = Signal(len(self.d), name="register", reset_less=True)
        done = Signal(name="done")
        m.d.comb += [getattr(step, name).eq(getattr(self, name)) for name in operand_ports(step)]
        m.d.comb += [
            step.base.eq(Mux(self.first, self.c, register)),
            self.ready.eq(1),
            self.d.eq(register),
            self.d_valid.eq(done),
        ]
        with m.If(self.en):
            m.d.sync += done.eq(self.valid & self.last)
            with m.If(self.valid):
                m.d.sync += register.eq(step.following)
        return m


class Streams(wiring.Component):
    """A core behind streams.

    While an output waits, everything stands still: then `i.ready` is low, as it is where the core takes no row.

    Parameters
    ----------
    core : Component
        With ``row_fields`` and the ports of `StepCore`.

    Members
    -------
    i : In, stream of rows
        A struct of the core's ``row_fields``, the first at bit 0.
    o : Out, stream
        `d` of the core, one for each row with `last`, in order.

    Latency and throughput: those of the core, where nothing waits.
    """

    def __init__(self, core: Any) -> None:
        self.spec = core.spec
        self._core = core
        self.latency = core.latency
        row = data.StructLayout(dict(core.row_fields))
        super().__init__({"i": In(stream.Signature(row)), "o": Out(stream.Signature(len(core.d)))})

    def elaborate(self, platform: Any) -> Module:
        """Connect the streams to the core."""
        m = Module()
        m.submodules.core = core = self._core
        for name in core.row_fields:
            m.d.comb += getattr(core, name).eq(self.i.p[name])
        m.d.comb += [
            core.en.eq(self.o.ready | ~core.d_valid),
            core.valid.eq(self.i.valid & core.ready),
            self.i.ready.eq(core.en & core.ready),
            self.o.valid.eq(core.d_valid),
            self.o.p.eq(core.d),
        ]
        return m
