# SPDX-License-Identifier: Apache-2.0
"""Registers in the middle of a combinational part: as many ranks as asked, where the paths balance.

The part is taken as the netlist of its operators. Each operator is put into the first stage, or the last, in which it
ends within a period; the period is the shortest for which the stages suffice. Delays are counted in gates
(`operator_delay`), before any mapping: a synthesizer that knows its cells may move the registers on.
Source: the problem is that of Leiserson and Saxe, Retiming Synchronous Circuitry, 1991, for a graph without cycles.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, log2
from typing import Any, Self

from amaranth.hdl import ClockSignal, Instance, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.part import Boxes, Part
from rtl.pipelined_netlist import Netlist, netlist_of, written

__all__ = [
    "Pipelined",
    "Placement",
    "operator_delay",
    "placed",
]

_STEPS = 30  # halvings of the period
_PER_BIT = {"$and": 1.0, "$or": 1.0, "$not": 0.5, "$xor": 2.0, "$xnor": 2.0, "$mux": 2.0, "$pos": 0.0, "$buf": 0.0}
_ADDERS = ("full_adder", "half_adder")


def operator_delay(kind: str, widths: Mapping[str, int]) -> float:
    """
    Return what an operator takes, in two-input gates.

    Parameters
    ----------
    kind : str
        Type of the cell in RTLIL, or the name of an adder's module.
    widths : mapping of str to int
        Of its ports.
    """
    if kind in _PER_BIT:
        return _PER_BIT[kind]
    if kind.endswith(_ADDERS):
        return 4.0 if kind.endswith(_ADDERS[0]) else 2.0
    widest = max(widths.values())
    levels = ceil(log2(max(widest, 2)))
    if kind in ("$add", "$sub", "$neg", "$alu", "$lt", "$le", "$gt", "$ge"):
        return 2.0 * levels + 4
    if kind == "$mul":
        return 4.0 * ceil(log2(max(widths["A"], widths["B"], 2))) + 2.0 * levels + 4
    if kind in ("$shl", "$shr", "$sshl", "$sshr", "$shift", "$shiftx"):
        return 2.0 * widths["B"]
    if kind == "$pmux":
        return 2.0 + ceil(log2(max(widths["S"], 2)))
    if kind in ("$eq", "$ne"):
        return 2.0 + ceil(log2(max(widths["A"], 2)))
    return float(levels)  # reductions and logical operators


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """
    Where the ranks are.

    Attributes
    ----------
    ranks : int
        Registers on every path from an input to an output.
    period : float
        The longest path between two ranks, in gates.
    whole : float
        The longest path without any.
    stages : tuple of int
        The stage of each operator of the netlist: it stands behind so many ranks.
    """

    ranks: int
    period: float
    whole: float
    stages: tuple[int, ...] = field(repr=False)


def placed(netlist: Netlist, ranks: int) -> Placement:
    """
    Place ranks of registers in a netlist, the last of them at its outputs.

    Parameters
    ----------
    netlist : Netlist
    ranks : int
        At least 1.

    Raises
    ------
    ValueError
        ranks is below 1.
    """
    if ranks < 1:
        raise ValueError(f"ranks must be at least 1, not {ranks}")
    delays = [operator_delay(operator.kind, operator.widths) for operator in netlist.operators]
    whole = _ends(netlist, delays, float("inf"))[1]
    low, high = max(delays, default=0.0), whole
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if max(_ends(netlist, delays, middle)[0], default=0) < ranks:
            high = middle
        else:
            low = middle
    early, _ = _ends(netlist, delays, high)
    late = _starts(netlist, delays, high, ranks)
    stages = min((early, late), key=lambda found: netlist.registers(found, ranks))
    return Placement(ranks=ranks, period=_period(netlist, delays, stages), whole=whole, stages=tuple(stages))


def _ends(netlist: Netlist, delays: Sequence[float], period: float) -> tuple[list[int], float]:
    """Return the first stage in which each operator can end, and the latest end within a stage."""
    at: list[tuple[int, float]] = []
    latest = 0.0
    for operator, delay in zip(netlist.operators, delays, strict=True):
        stage, time = max((at[source] for source in operator.sources), default=(0, 0.0))
        stage, time = (stage, time + delay) if time + delay <= period else (stage + 1, delay)
        at.append((stage, time))
        latest = max(latest, time)
    return [stage for stage, _ in at], latest


def _starts(netlist: Netlist, delays: Sequence[float], period: float, ranks: int) -> list[int]:
    """Return the last stage in which each operator can stand."""
    at: list[tuple[int, float]] = [(ranks - 1, 0.0)] * len(netlist.operators)
    for index in reversed(range(len(netlist.operators))):
        stage, time = at[index]
        delay = delays[index]
        stage, time = (stage, time + delay) if time + delay <= period else (stage - 1, delay)
        at[index] = (stage, time)
        for source in netlist.operators[index].sources:
            # The earliest user decides; in one stage, the one with the longest way to the rank.
            at[source] = min(at[source], (stage, time), key=lambda found: (found[0], -found[1]))
    return [stage for stage, _ in at]


def _period(netlist: Netlist, delays: Sequence[float], stages: Sequence[int]) -> float:
    """Return the longest path between two ranks."""
    ends: list[float] = []
    for index, operator in enumerate(netlist.operators):
        here = [ends[source] for source in operator.sources if stages[source] == stages[index]]
        ends.append(max(here, default=0.0) + delays[index])
    return max(ends, default=0.0)


class Pipelined(wiring.Component):
    """
    A combinational part with ranks of registers in it.

    Parameters
    ----------
    part : Part
    ranks : int
        At least 1.

    Members
    -------
    en : In, 1 bit
        Clock enable of every register.
    others
        Those of the part; the outputs are of the inputs `ranks` enabled cycles before.

    Attributes
    ----------
    latency : int
        `ranks`. The registers have no reset.

    In Amaranth's own simulator all ranks stand at the outputs; in Verilog, where the paths balance.
    """

    def __new__(cls, part: Part, ranks: int) -> Self:
        """Check the ranks: Amaranth warns of a component that exists and is not used."""
        if isinstance(ranks, bool) or ranks < 1:
            raise ValueError(f"ranks must be an int of at least 1, not {ranks!r}")
        made: Self = super().__new__(cls, part, ranks)
        return made

    def __init__(self, part: Part, ranks: int) -> None:
        self._part = part
        self.latency = ranks
        super().__init__({"en": In(1), **dict(part.signature.members)})

    def elaborate(self, platform: Any) -> Module:
        """Return an instance of the pipelined netlist, or the part with all its registers behind it."""
        return self._balanced(platform) if isinstance(platform, Boxes) else self._behind()

    def _balanced(self, boxes: Boxes) -> Module:
        name, texts = boxes.apart(self._part)
        name = f"{name}_p{self.latency}"
        if name not in boxes.modules:
            netlist = netlist_of(texts)
            boxes.modules[name] = written(netlist, name, placed(netlist, self.latency).stages, self.latency)
        connections: dict[str, Any] = {"i_clk": ClockSignal(), "i_en": self.en}
        for path, member, port in self._part.signature.flatten(self):
            value = Value.cast(port)
            if len(value):
                connections[("i_" if member.flow == In else "o_") + "__".join(map(str, path))] = value
        m = Module()
        m.submodules.pipeline = Instance(name, **connections)
        return m

    def _behind(self) -> Module:
        m = Module()
        m.submodules.part = part = self._part
        for (path, member, port), (_, _, inner) in zip(
            part.signature.flatten(self), part.signature.flatten(part), strict=True
        ):
            outside, inside = Value.cast(port), Value.cast(inner)
            if member.flow == In:
                m.d.comb += inside.eq(outside)
                continue
            assert member.flow == Out
            for rank in range(self.latency):
                following = Signal(len(inside), name="_".join(map(str, (*path, "rank", rank))), reset_less=True)
                with m.If(self.en):
                    m.d.sync += following.eq(inside)
                inside = following
            m.d.comb += outside.eq(inside)
        return m
