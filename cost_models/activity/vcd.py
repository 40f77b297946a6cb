# SPDX-License-Identifier: Apache-2.0
"""The same run in an event-driven Verilog simulator: a bench that drives a netlist, and the changes in its VCD file."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cost_models.activity.netlist import Netlist
from cost_models.technologies import Technology, cells_verilog

__all__ = [
    "PERIOD",
    "bench",
    "count_changes",
    "unit_delay_cells",
]

PERIOD = 4096
"""Clock period of the bench in steps of time: more than the gates on any path."""

_VARIABLE = re.compile(r"\$var \w+ (\d+) (\S+) (\S+)(?: \[(-?\d+)(?::(-?\d+))?\])? \$end")


def unit_delay_cells(technology: Technology) -> str:
    """
    Models of all cells in which a gate's output takes one step of time and a flip-flop's takes none.

    ``assign #1`` drops pulses shorter than a step; with whole steps there are none.
    """
    modules = cells_verilog(technology).split("endmodule")
    return "endmodule".join(
        module if "reg IQ" in module else module.replace("  assign ", "  assign #1 ") for module in modules
    )


def bench(netlist: Netlist, inputs: Mapping[str, npt.NDArray[Any]], file: str = "trace.vcd") -> str:
    """
    Verilog that drives a netlist as the gate simulators do and dumps all its nets.

    The first row of inputs is there from time 0 on; the first clock edge is at `PERIOD`, and each edge brings the next
    row at the same instant.

    Parameters
    ----------
    netlist : Netlist
    inputs : mapping of str to ndarray of an integer kind
        Every input port but the clock: shape (cycles, 1), or (cycles, 1, limbs), as for `Simulator.run`.
    file : str
        Where the VCD goes.

    Returns
    -------
    str
        A module ``bench``, to be simulated with the netlist and the cells.

    Raises
    ------
    ValueError
        An input is not of one lane.
    """
    lines = ["module bench;", "reg clk = 0; integer t = 0;"]
    edges = []
    cycles = len(next(iter(inputs.values())))
    for name, values in inputs.items():
        if values.ndim < 2 or values.shape[1] != 1:
            raise ValueError(f"input {name!r} must have shape (cycles, 1) or (cycles, 1, limbs), not {values.shape}")
        width = len(netlist.inputs[name])
        digits = -(-width // 4)
        rows = [sum(int(limb) << 64 * place for place, limb in enumerate(row)) for row in values.reshape(cycles, -1)]
        text = "".join(f"{row & (1 << width) - 1:0{digits}x}" for row in reversed(rows))
        lines.append(f"reg [{4 * digits * cycles - 1}:0] all_{name} = {4 * digits * cycles}'h{text};")
        lines.append(f"reg [{width - 1}:0] {name}; initial {name} = all_{name}[{width - 1}:0];")
        edges.append(f"{name} <= all_{name}[{4 * digits} * t +: {width}];")
    pins = ", ".join([*([f".{netlist.clock}(clk)"] if netlist.clock else []), *(f".{name}({name})" for name in inputs)])
    lines += [
        f"{netlist.top} dut({pins});",
        f"always @(posedge clk) begin t = t + 1; {' '.join(edges)} end",
        f'initial begin $dumpfile("{file}"); $dumpvars(1, dut); #{PERIOD // 2};',
        f"repeat ({cycles - 1}) begin #{PERIOD // 2} clk = 1; #{PERIOD - PERIOD // 2} clk = 0; end",
        f"#{PERIOD // 2 - 1} $finish(0); end",
        "endmodule",
    ]
    return "\n".join([*lines, ""])


def count_changes(path: Path, *, settled: bool) -> dict[str, int]:
    """
    Count the changes of every bit in the VCD file of `bench`, from the first clock edge on.

    Parameters
    ----------
    path : Path
    settled : bool
        Count changes from the end of one clock cycle to the end of the next; else every change at every step of time.

    Returns
    -------
    dict of str to int
        By ``name`` or ``name[index]``, as `Netlist.names`.
    """
    bits: dict[str, list[str]] = {}
    old: dict[str, str] = {}
    new: dict[str, str] = {}
    counts: dict[str, npt.NDArray[np.int64]] = {}
    scale = PERIOD if settled else 1
    bucket = 0

    def close(counting: bool) -> None:
        for code, value in new.items():
            if counting and value != old[code]:
                counts[code] += [before != after for before, after in zip(old[code], value, strict=True)]
            old[code] = value
        new.clear()

    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            time = int(line[1:])
            if time // scale != bucket:
                close(bucket * scale >= PERIOD)
                bucket = time // scale
        elif line.startswith("b"):
            value, code = line[1:].split()
            new[code] = value.rjust(len(counts[code]), "0" if value[0] in "01" else value[0])
        elif line and line[0] in "01xz":
            new[line[1:]] = line[0]
        elif declared := _VARIABLE.match(line):
            width, code, name = int(declared[1]), declared[2], declared[3].removeprefix("\\")
            single = width == 1 and declared[4] is None
            low = int(declared[5] or declared[4] or 0)
            names = [name] if single else [f"{name}[{low + width - 1 - place}]" for place in range(width)]
            bits.setdefault(code, []).extend(names)
            counts[code] = np.zeros(width, dtype=np.int64)
            old[code] = "x" * width
    close(bucket * scale >= PERIOD)
    return {
        name: int(counts[code][place % len(counts[code])])
        for code, names in bits.items()
        for place, name in enumerate(names)
    }
