# SPDX-License-Identifier: Apache-2.0
"""A combinational module as gates, full and half adders and word adders, and the values of its nets."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from testbenches.formal.proof import work

__all__ = [
    "ADDERS",
    "GATES",
    "Bit",
    "Cell",
    "Netlist",
    "read_cells",
    "read_netlist",
    "read_ports",
]

Bit = int | str
"""A net, or a constant ``"0"`` or ``"1"``."""
_Bools = NDArray[np.bool_]
ADDERS = ("_full_adder", "_half_adder")
GATES: dict[str, Callable[..., Any]] = {
    "$_NOT_": lambda a: ~a,
    "$_AND_": lambda a, b: a & b,
    "$_OR_": lambda a, b: a | b,
    "$_XOR_": lambda a, b: a ^ b,
    "$_XNOR_": lambda a, b: ~(a ^ b),
    "$_NAND_": lambda a, b: ~(a & b),
    "$_NOR_": lambda a, b: ~(a | b),
    "$_ANDNOT_": lambda a, b: a & ~b,
    "$_ORNOT_": lambda a, b: a | ~b,
    "$_MUX_": lambda a, b, s: (a & ~s) | (b & s),
}
_OPERATORS = {
    "$_NOT_": "~{0}",
    "$_AND_": "{0} & {1}",
    "$_OR_": "{0} | {1}",
    "$_XOR_": "{0} ^ {1}",
    "$_XNOR_": "~({0} ^ {1})",
    "$_NAND_": "~({0} & {1})",
    "$_NOR_": "~({0} | {1})",
    "$_ANDNOT_": "{0} & ~{1}",
    "$_ORNOT_": "{0} | ~{1}",
    "$_MUX_": "{2} ? {1} : {0}",
}
_SCRIPT = """
read_verilog -sv design.v
hierarchy -check -top {top}
proc
setattr -mod -set keep_hierarchy 1 {kept}
flatten -noscopeinfo
opt_expr
opt_clean
techmap t:* t:$add %d
techmap t:* t:$add %d
techmap t:* t:$add %d
techmap t:* t:$add %d
simplemap
opt_expr
opt_merge
opt_clean
write_json netlist.json
"""


@dataclass(frozen=True, slots=True)
class Cell:
    """
    A gate (`GATES`), an adder of `ADDERS`, or ``"$add"``.

    Parameters
    ----------
    kind : str
    inputs, outputs : dict of str to list of Bit
        Nets of each port; a word adder's addends are as wide as its sum.
    """

    kind: str
    inputs: dict[str, list[Bit]]
    outputs: dict[str, list[Bit]]

    @property
    def fan_in(self) -> list[Bit]:
        """All nets that it reads."""
        return [bit for bits in self.inputs.values() for bit in bits]


class Netlist:
    """
    Cells in the order of the data, the first reads inputs alone.

    Parameters
    ----------
    inputs, outputs : dict of str to list of Bit
        Nets of each port.
    cells : iterable of Cell
    names : dict of str to list of Bit, optional
        Nets inside by name.

    Raises
    ------
    ValueError
        There is a loop.
    """

    def __init__(
        self,
        inputs: dict[str, list[Bit]],
        outputs: dict[str, list[Bit]],
        cells: Iterable[Cell],
        names: dict[str, list[Bit]] | None = None,
    ) -> None:
        self.inputs, self.outputs, self.names = inputs, outputs, names or {}
        self.driver: dict[Bit, Cell] = {}
        for cell in cells:
            for bits in cell.outputs.values():
                self.driver |= dict.fromkeys(bits, cell)
        self.cells = self._ordered()

    def _ordered(self) -> list[Cell]:
        """Return the cells in the order of the data."""
        placed: dict[int, bool] = {}
        order = []
        for root in self.driver.values():
            stack = [(root, False)]
            while stack:
                cell, done = stack.pop()
                if done:
                    placed[id(cell)] = True
                    order.append(cell)
                    continue
                if id(cell) in placed:
                    if not placed[id(cell)]:
                        raise ValueError(f"netlist must have no loops, and a {cell.kind} is in one")
                    continue
                placed[id(cell)] = False
                stack.append((cell, True))
                drivers = (self.driver.get(bit) for bit in cell.fan_in)
                stack += [(other, False) for other in drivers if other is not None and not placed.get(id(other))]
        return order

    def owners(self, parts: Sequence[Iterable[Bit]]) -> dict[Bit, int | None]:
        """Return for each net the part of the inputs on which alone it depends, or None; none for a constant."""
        owner: dict[Bit, int | None] = {bit: None for bits in self.inputs.values() for bit in bits}
        for index, part in enumerate(parts):
            owner |= dict.fromkeys(part, index)
        for cell in self.cells:
            found = {owner[bit] for bit in cell.fan_in if bit in owner}
            if found:
                only = found.pop() if len(found) == 1 else None
                owner |= dict.fromkeys((bit for bits in cell.outputs.values() for bit in bits), only)
        return owner

    def verilog(self, top: str, sources: Mapping[str, Sequence[Bit]], targets: Mapping[str, Sequence[Bit]]) -> str:
        """
        Return what makes nets out of others as a module of its own.

        Parameters
        ----------
        top : str
        sources, targets : mapping of str to sequence of Bit
            Its input and output ports. A net that is in several sources is one variable, as read from the first.
        """
        names: dict[Bit, str] = {"0": "1'b0", "1": "1'b1"}
        for port, bits in sources.items():
            for index, bit in enumerate(bits):
                names.setdefault(bit, f"{port}[{index}]")
        lines = [f"  input [{len(bits) - 1}:0] {port};" for port, bits in sources.items()]
        lines += [f"  output [{len(bits) - 1}:0] {port};" for port, bits in targets.items()]
        for cell in self._cone([bit for bits in targets.values() for bit in bits], names):
            inputs = [[names[bit] for bit in bits] for bits in cell.inputs.values()]
            for bits in cell.outputs.values():
                for bit in bits:
                    names[bit] = f"n{bit}"
                    lines.append(f"  wire n{bit};")
            nets = [[names[bit] for bit in bits] for bits in cell.outputs.values()]
            if cell.kind == "$add":
                words = [f"{{{', '.join(reversed(bits))}}}" for bits in (*nets, *inputs)]
                lines.append(f"  assign {words[0]} = {words[1]} + {words[2]};")
            elif cell.kind in GATES:
                lines.append(f"  assign {nets[0][0]} = {_OPERATORS[cell.kind].format(*(bits[0] for bits in inputs))};")
            else:
                addends = " + ".join(bits[0] for bits in inputs)
                lines.append(f"  assign {{{nets[1][0]}, {nets[0][0]}}} = {addends};")
        lines += [
            f"  assign {port} = {{{', '.join(names[bit] for bit in reversed(bits))}}};"
            for port, bits in targets.items()
        ]
        return "\n".join([f"module {top}({', '.join([*sources, *targets])});", *lines, "endmodule", ""])

    def _cone(self, nets: Iterable[Bit], known: Mapping[Bit, Any]) -> list[Cell]:
        """Return the cells between what is known and nets, in the order of the data."""
        order, seen = [], set()
        stack = [(self.driver[net], False) for net in nets if net not in known and net in self.driver]
        while stack:
            cell, done = stack.pop()
            if done:
                order.append(cell)
            elif id(cell) not in seen:
                seen.add(id(cell))
                stack.append((cell, True))
                stack += [(self.driver[bit], False) for bit in cell.fan_in if bit not in known and bit in self.driver]
        return order

    def evaluate(self, nets: Iterable[Bit], values: Mapping[Bit, _Bools]) -> dict[Bit, _Bools]:
        """Return the values of nets for given values of inputs, one a row."""
        rows = len(next(iter(values.values()), np.zeros(1, bool)))
        known: dict[Bit, _Bools] = dict(values) | {"0": np.zeros(rows, bool), "1": np.ones(rows, bool)}
        wanted = list(nets)
        for cell in self._cone(wanted, known):
            inputs = [[known[bit] for bit in bits] for bits in cell.inputs.values()]
            if cell.kind in GATES:
                outputs = [[GATES[cell.kind](*(bits[0] for bits in inputs))]]
            elif cell.kind == "$add":
                outputs = [_added(*inputs)]
            else:
                total, carry = _compressed([bits[0] for bits in inputs])
                outputs = [[total], [carry]]
            for bits, found in zip(cell.outputs.values(), outputs, strict=True):
                known |= dict(zip(bits, found, strict=True))
        return {net: known[net] for net in wanted}


def _compressed(bits: list[_Bools]) -> tuple[_Bools, _Bools]:
    """Return the sum and the carry of two or three bits."""
    count = np.sum(bits, axis=0)
    return (count & 1).astype(bool), count > 1


def _added(a: list[_Bools], b: list[_Bools]) -> list[_Bools]:
    """Return the sum of two words of one width, lowest bit first."""
    carry = np.zeros_like(a[0])
    found = []
    for left, right in zip(a, b, strict=True):
        total, carry = _compressed([left, right, carry])
        found.append(total)
    return found


def read_netlist(text: str, top: str, seconds: float = 300.0) -> Netlist:
    """
    Read a combinational module: all of it as gates but full and half adders, which stay, and the word adders.

    Parameters
    ----------
    text, top : str
        Verilog, and the module.
    seconds : float, default 300

    Raises
    ------
    ValueError
        A cell is none of those above, or what a full or half adder's module does is not its sum: checked on every
        operand.
    TimeoutError
        It took longer.
    """
    kept = " ".join(f"*{name}" for name in ADDERS)
    with work({"design.v": text}) as yosys:
        if yosys.run(_SCRIPT.format(top=top, kept=kept), seconds) is None:
            raise TimeoutError(f"{top} is not read after {seconds:g} s")
        modules = json.loads((yosys.path / "netlist.json").read_text())["modules"]
    for name, module in modules.items():
        if name.endswith(ADDERS):
            _check_adder(name, _netlist(module))
    return _netlist(modules[top])


def _netlist(module: Mapping[str, Any]) -> Netlist:
    """Return a module of Yosys' JSON."""
    names = {name: net["bits"] for name, net in module["netnames"].items()}
    return Netlist(
        read_ports(module, "input"), read_ports(module, "output"), read_cells(module["cells"].values()), names
    )


def read_ports(module: Mapping[str, Any], direction: str) -> dict[str, list[Bit]]:
    """Return the nets of a module's ports in Yosys' JSON, of one direction."""
    return {name: port["bits"] for name, port in module["ports"].items() if port["direction"] == direction}


def read_cells(cells: Iterable[Mapping[str, Any]]) -> list[Cell]:
    """Return cells of Yosys' JSON; ValueError if one is no gate and no adder."""
    return [_cell(cell) for cell in cells]


def _cell(cell: Mapping[str, Any]) -> Cell:
    """Return a cell of Yosys' JSON."""
    kind, nets = cell["type"], cell["connections"]
    if kind in GATES:
        return Cell(kind, {port: nets[port] for port in "ABS" if port in nets}, {"Y": nets["Y"]})
    if kind.endswith(ADDERS):
        ports = {port: nets[port] for port in "abc" if port in nets}
        return Cell(kind, ports, {"total": nets["total"], "carry": nets["carry"]})
    if kind != "$add":
        raise ValueError(f"netlist must consist of gates and adders, and has a {kind}")
    width = len(nets["Y"])
    words = {}
    for port in "AB":
        is_signed = all(int(cell["parameters"][f"{each}_SIGNED"], 2) for each in "AB")
        fill = nets[port][-1] if is_signed else "0"
        words[port] = (nets[port] + [fill] * width)[:width]
    return Cell(kind, words, {"Y": nets["Y"]})


def _check_adder(name: str, netlist: Netlist) -> None:
    """Raise unless a module adds its bits."""
    bits = [nets[0] for nets in netlist.inputs.values()]
    rows = np.arange(1 << len(bits))
    values = {bit: (rows >> index) & 1 == 1 for index, bit in enumerate(bits)}
    total, carry = netlist.outputs["total"][0], netlist.outputs["carry"][0]
    seen = netlist.evaluate([total, carry], values)
    if (np.sum(list(values.values()), axis=0) != seen[total] + 2 * seen[carry].astype(np.int64)).any():
        raise ValueError(f"module {name} does not add its inputs")
