# SPDX-License-Identifier: Apache-2.0
"""Check a unit's Verilog, or the netlist mapped from it, against the unit's model."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

import rtl
from hwsim.datapath import DotProductUnit, Row, dot, dot_exact
from rtl.architecture import Architecture
from testbenches.design import Design
from testbenches.export import export_testbench
from testbenches.ports import register_bits, shell_ports
from testbenches.runner import Report, VerificationError, run
from testbenches.stimulus import fields, stimulus

__all__ = [
    "check_kernel",
    "design_of",
    "verify",
    "write_testbench",
]

_SEED = 1  # of the rows and of the pauses


def verify(
    unit: DotProductUnit,
    *,
    pipeline: int | None = None,
    architecture: Architecture | None = None,
    netlist: str | None = None,
    cell_models: str | None = None,
    vectors: int = 4096,
    exhaustive: bool = True,
    simulator: str | None = None,
) -> Report:
    """Simulate a unit's Verilog and compare every output with the model, bit for bit.

    Oracle and kernel are compared on the same rows before.

    Parameters
    ----------
    unit : DotProductUnit
        The unit.
    pipeline : int, optional
        Ranks of registers, as for `rtl.verilog`.
    architecture : Architecture, optional
        How it is built, as for `rtl.verilog`.
    netlist, cell_models : str, optional
        Verilog of a module ``<unit.name>_core`` made of cells, and of the cells: it takes the place of the core.
    vectors : int, default 4096
        Random rows, at least 1. At most four times as many have corner values in a, b and c.
    exhaustive : bool, default True
        Whether all pairs of operands come as well, where two codes have at most 16 bits together.
    simulator : str, optional
        ``"icarus"`` or ``"verilator"``. By default, of those that are installed, the one that should be done first
        (`testbenches.effort`).

    Returns
    -------
    Report
        What was compared.

    Raises
    ------
    VerificationError
        If Verilog, oracle and kernel are not equal, or a port breaks its contract.
    MissingToolError
        If there is no simulator.
    ValueError
        If there are models without a netlist, or the unit cannot have such a pipeline.
    """
    design = design_of(unit, pipeline=pipeline, architecture=architecture, netlist=netlist, cell_models=cell_models)
    rows = stimulus(unit, count=vectors, corner_rows=4 * vectors, exhaustive=exhaustive, seed=_SEED)
    expected = dot_exact(unit, rows)
    check_kernel(unit, rows, expected)
    return run(design, fields(unit, rows), expected, simulator=simulator, seed=_SEED)


def design_of(
    unit: DotProductUnit,
    *,
    pipeline: int | None = None,
    architecture: Architecture | None = None,
    netlist: str | None = None,
    cell_models: str | None = None,
    name: str | None = None,
) -> Design:
    """Put together what is simulated: a unit's shell around its core, or around the netlist mapped from that core.

    Parameters
    ----------
    unit, pipeline, netlist, cell_models
        As for `verify`.
    architecture : Architecture, optional
        How it is built, as for `rtl.verilog`.
    name : str, optional
        What the names of the modules begin with, as for `rtl.verilog`; not with a netlist.

    Returns
    -------
    Design
        The design.

    Raises
    ------
    ValueError
        If there are models without a netlist, or the unit cannot have such a pipeline.
    """
    ports, latency = shell_ports(unit), rtl.latency(unit, pipeline, architecture)
    if netlist is None:
        if cell_models is not None:
            raise ValueError("cell_models must come with a netlist of such cells, not alone")
        text = rtl.verilog(unit, pipeline=pipeline, architecture=architecture, name=name)
        top = name or unit.name
        return Design(top=top, sources=((f"{top}.v", text),), ports=ports, latency=latency)
    if name is not None:
        raise ValueError(f"name must be None with a netlist, whose modules have their names, not {name!r}")
    texts = {f"{unit.name}.v": rtl.shell_verilog(unit), f"{unit.name}_netlist.v": netlist}
    if cell_models is not None:
        texts["cell_models.v"] = cell_models
    return Design(top=unit.name, sources=tuple(texts.items()), ports=ports, latency=latency, mapped=True)


def check_kernel(unit: DotProductUnit, rows: Sequence[Row], expected: Sequence[int]) -> int:
    """Compare the compiled model with the oracle.

    Parameters
    ----------
    unit : DotProductUnit
        The unit.
    rows : sequence of Row
        Rows for it.
    expected : sequence of int
        What the oracle makes of them.

    Returns
    -------
    int
        Outputs compared; 0 where c has more than 63 bits, for which there is no kernel.

    Raises
    ------
    VerificationError
        If an output differs.
    """
    if register_bits(unit) > 63:
        return 0
    a, b = (np.array([getattr(row, name) for row in rows], np.int64) for name in ("a", "b"))
    first, last = (np.array([getattr(row, name) for row in rows], bool) for name in ("first", "last"))
    c = np.array([row.c for row in rows], np.uint64)
    scales = np.array([row.scales for row in rows], np.int64) if unit.scales else None
    seen = dot(unit, a, b, first, last, c, scales=scales).tolist()
    wrong = [index for index, (one, other) in enumerate(zip(seen, expected, strict=True)) if one != other]
    if wrong:
        index = wrong[0]
        row = rows[int(np.flatnonzero(last)[index])]
        raise VerificationError(
            f"{unit.name}: the kernel differs from the oracle in {len(wrong)} of {len(expected)} outputs, first in"
            f" output {index}: oracle {expected[index]:x}, kernel {seen[index]:x}; {row}"
        )
    return len(expected)


def write_testbench(
    unit: DotProductUnit,
    folder: Path,
    *,
    pipeline: int | None = None,
    vectors: int = 1024,
    exhaustive: bool = True,
    seed: int = 1,
) -> list[Path]:
    """Write a unit's Verilog and, beside it, testbenches that need nothing of this package.

    Parameters
    ----------
    unit : DotProductUnit
        The unit.
    folder : Path
        Where to; made where it is missing. Files of the same names are replaced.
    pipeline : int, optional
        Ranks of registers, as for `rtl.verilog`.
    vectors : int, default 1024
        Random rows, at least 1. At most four times as many have corner values in a, b and c.
    exhaustive : bool, default True
        Whether all pairs of operands come as well, where two codes have at most 16 bits together.
    seed : int, default 1
        Seed of the rows and of the pauses.

    Returns
    -------
    list of Path
        The files, the unit's own Verilog first (see `testbenches.export.export_testbench`).
    """
    rows = stimulus(unit, count=vectors, corner_rows=4 * vectors, exhaustive=exhaustive, seed=seed)
    design = design_of(unit, pipeline=pipeline)
    return export_testbench(folder, design, fields(unit, rows), dot_exact(unit, rows), seed=seed)
