# SPDX-License-Identifier: Apache-2.0
"""Check a unit's Verilog, or the netlist mapped from it, against the unit's model."""

import re
from pathlib import Path

from hwsim.datapath import DotProductUnit, dot_exact
from testbenches.design import Design
from testbenches.ports import shell_ports
from testbenches.runner import Report, run
from testbenches.stimulus import fields, stimulus

__all__ = [
    "replace_module",
    "shell_design",
    "verify_verilog",
]


def verify_verilog(
    unit: DotProductUnit,
    design: Design,
    *,
    vectors: int = 4096,
    exhaustive: bool = True,
    simulator: str | None = None,
    seed: int = 1,
    workdir: Path | None = None,
) -> Report:
    """Simulate a unit's shell and compare every output with the oracle, bit for bit.

    Parameters
    ----------
    unit : DotProductUnit
        The unit.
    design : Design
        Its shell and core (`shell_design`).
    vectors : int, default 4096
        Random rows, and most rows of corner values crossed, at least 1.
    exhaustive : bool, default True
        Whether all pairs of operands come as well, where two codes have at most 16 bits together.
    simulator : str, optional
        ``"icarus"`` or ``"verilator"``; by default `testbenches.simulators.find` chooses.
    seed : int, default 1
        Seed of the rows and of the pauses.
    workdir : Path, optional
        Folder for files and logs; by default a temporary one.

    Returns
    -------
    Report
        What was compared.

    Raises
    ------
    VerificationError
        If the design and the model differ, or a port breaks its contract.
    MissingToolError
        If there is no simulator.
    """
    rows = stimulus(unit, count=vectors, corner_rows=4 * vectors, exhaustive=exhaustive, seed=seed)
    expected = dot_exact(unit, rows)
    return run(design, fields(unit, rows), expected, simulator=simulator, seed=seed, workdir=workdir)


def shell_design(
    unit: DotProductUnit,
    verilog: str,
    latency: int,
    *,
    netlist: str | None = None,
    cell_models: str | None = None,
) -> Design:
    """Put together what is simulated: a unit's shell around its core, or around the netlist mapped from that core.

    Parameters
    ----------
    unit : DotProductUnit
        The unit.
    verilog : str
        Shell and core: modules ``<unit.name>`` and ``<unit.name>_core``.
    latency : int
        Stated latency of the shell, in clock cycles.
    netlist : str, optional
        Verilog of a module ``<unit.name>_core`` made of cells; it takes the place of the core.
    cell_models : str, optional
        Verilog modules of those cells.

    Returns
    -------
    Design
        The design.

    Raises
    ------
    ValueError
        If there are models without a netlist, or the core is not in the Verilog or not in the netlist.
    """
    sources = [(f"{unit.name}.v", verilog)]
    if netlist is None and cell_models is not None:
        raise ValueError("cell_models must come with a netlist of such cells, not alone")
    if netlist is not None:
        sources[0] = (f"{unit.name}_shell.v", replace_module(verilog, f"{unit.name}_core"))
        if _module(f"{unit.name}_core").search(netlist) is None:
            raise ValueError(f"netlist must have the module {unit.name}_core, and has not")
        sources.append((f"{unit.name}_netlist.v", netlist))
    if cell_models is not None:
        sources.append(("cell_models.v", cell_models))
    mapped = netlist is not None
    return Design(top=unit.name, sources=tuple(sources), ports=shell_ports(unit), latency=latency, mapped=mapped)


def replace_module(verilog: str, module: str, replacement: str = "") -> str:
    """Take a module out of a Verilog text, and put other text in its place.

    Parameters
    ----------
    verilog : str
        The text.
    module : str
        Name of the module.
    replacement : str, default ""
        What stands there instead.

    Returns
    -------
    str
        The text with the change.

    Raises
    ------
    ValueError
        If there is not exactly one such module.
    """
    found = list(_module(module).finditer(verilog))
    if len(found) != 1:
        raise ValueError(f"verilog must have one module {module}, not {len(found)}")
    return verilog[: found[0].start()] + replacement + verilog[found[0].end() :]


def _module(name: str) -> re.Pattern[str]:
    """Match a module of a name with the attributes before it; the name may be written as an escaped identifier."""
    attributes = r"(?:[ \t]*\(\*[^\n]*?\*\)[ \t]*\n)*"
    body = rf"[ \t]*module\s+\\?{re.escape(name)}(?![\w$]).*?^[ \t]*endmodule\b[^\n]*\n?"
    return re.compile(rf"^{attributes}{body}", re.MULTILINE | re.DOTALL)
