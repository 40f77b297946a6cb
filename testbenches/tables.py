# SPDX-License-Identifier: Apache-2.0
"""Compare combinational modules with tables of their outputs, any number of modules in one simulation."""

import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from testbenches.runner import VerificationError
from testbenches.simulators import Simulator, find

__all__ = [
    "Column",
    "Table",
    "TableReport",
    "compare",
]

_BENCH = """module bench(input clk);
  integer index = 0;
{tables}
  always @(posedge clk) begin
    index <= index + 1;
    if (index == {last}) begin
{reports}
      $finish;
    end
  end
endmodule
"""
_TABLE = """  localparam ROWS_{t} = {rows};
  reg [{high}:0] rows_{t} [0:{last}];
  initial $readmemh("rows_{t}.hex", rows_{t});
  wire [{high}:0] row_{t} = rows_{t}[index < ROWS_{t} ? index : ROWS_{t} - 1];
"""
_MODULE = """  reg [{high}:0] want_{k} [0:{last}];
  initial $readmemh("want_{k}.hex", want_{k});
  wire [{seen_high}:0] seen_{k};
  wire [{high}:0] line_{k} = want_{k}[index < ROWS_{t} ? index : ROWS_{t} - 1];
  integer bad_{k} = 0, first_{k} = 0;
  reg [{seen_high}:0] found_{k} = 0;
  {module} dut_{k} ({ports});
  always @(posedge clk)
    if (index < ROWS_{t} && {differs} !== {seen_bits}'d0) begin
      if (bad_{k} == 0) begin
        first_{k} <= index;
        found_{k} <= seen_{k};
      end
      bad_{k} <= bad_{k} + 1;
    end
"""
_CLOCK = """module clocked;
  reg clk = 0;
  always #1 clk = ~clk;
  bench bench(.clk(clk));
endmodule
"""
_MAIN = """#include "Vbench.h"
#include "verilated.h"
int main(int argc, char** argv) {
    VerilatedContext context;
    context.commandArgs(argc, argv);
    Vbench bench{&context};
    while (!context.gotFinish()) {
        bench.clk = !bench.clk;
        bench.eval();
        context.timeInc(1);
    }
    bench.final();
    return 0;
}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """The values of a port, one a row.

    Parameters
    ----------
    bits : int
        Width of the port.
    values : ndarray of integers, shape (rows,)
        As unsigned words: a negative number is in two's complement.
    care : ndarray of bool, shape (rows,), optional
        Of an output: where it counts. Everywhere, if not given.
    """

    bits: int
    values: NDArray[Any]
    care: NDArray[np.bool_] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of inputs, and what each of some modules makes of them.

    Parameters
    ----------
    inputs : mapping of str to Column
        By port; the modules have the same.
    outputs : mapping of str to mapping of str to Column
        By module, then by port.
    """

    inputs: Mapping[str, Column]
    outputs: Mapping[str, Mapping[str, Column]]

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(next(iter(self.inputs.values())).values)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableReport:
    """What was compared, all of it equal; there is no report of a failure.

    Parameters
    ----------
    simulator : str
        What it ran in.
    modules, compared : int
        Modules, and rows compared of all of them together.
    """

    simulator: str
    modules: int
    compared: int


def compare(tables: Sequence[Table], verilog: Sequence[str], *, simulator: str | None = None) -> TableReport:
    """Simulate modules on the rows of their tables, and compare every output.

    Parameters
    ----------
    tables : sequence of Table
    verilog : sequence of str
        Sources that have all the modules.
    simulator : str, optional
        ``"icarus"`` or ``"verilator"``. By default, of those that are installed, the one that should be done first.

    Returns
    -------
    TableReport

    Raises
    ------
    VerificationError
        If an output differs, or a module does not build; the text has the first row of each module that differs.
    MissingToolError
        If there is no simulator.
    """
    work = sum(table.rows * len(table.outputs) for table in tables)
    found = find(simulator, compiled=work > 1_000_000)
    lines = []
    for group in _groups(tables) if found.name == "icarus" else [tables]:
        with tempfile.TemporaryDirectory(prefix="hwsim-tables-") as name:
            folder = Path(name)
            _write(folder, group, verilog)
            text = (_icarus if found.name == "icarus" else _verilator)(folder, found)
            lines += [line.split() for line in text.splitlines() if line.startswith("module ")]
    bad = [_difference(tables, line) for line in lines if line[3] != "0"]
    if bad:
        raise VerificationError("\n".join(bad))
    modules = sum(len(table.outputs) for table in tables)
    compared = sum(int(line[2]) for line in lines)
    if len(lines) != modules or compared != work:
        raise VerificationError(f"{len(lines)} of {modules} modules and {compared} of {work} rows were compared")
    return TableReport(simulator=found.name, modules=modules, compared=compared)


def _groups(tables: Sequence[Table]) -> list[list[Table]]:
    """Return tables of about as many rows together: an interpreter is slowed by modules that are done."""
    groups: dict[int, list[Table]] = {}
    for table in tables:
        groups.setdefault(table.rows.bit_length() // 2, []).append(table)
    return list(groups.values())


def _difference(tables: Sequence[Table], line: Sequence[str]) -> str:
    """Say how a module differs in its first row that does."""
    module, bad, row = line[1], int(line[3]), int(line[4])
    table = next(table for table in tables if module in table.outputs)
    sent = ", ".join(f"{port} {int(column.values[row]):#x}" for port, column in table.inputs.items())
    parts = []
    low = 0
    for port, column in table.outputs[module].items():
        word = line[5][::-1][low : low + column.bits][::-1]
        low += column.bits
        ignored = " (of no meaning)" if column.care is not None and not column.care[row] else ""
        seen = f"{int(word, 2):#x}" if set(word) <= {"0", "1"} else word
        want = int(column.values[row]) & ((1 << column.bits) - 1)
        parts.append(f"{port} is {seen}, expected {want:#x}{ignored}")
    return f"{module} differs in {bad} of {table.rows} rows, first in row {row}: of {sent} {'; '.join(parts)}"


def _words(columns: Sequence[tuple[int, NDArray[Any]]]) -> Iterator[str]:
    """Give the lines of a memory's file: the columns of a row side by side, the first at bit 0."""
    total: Any = 0
    low = 0
    for bits, values in columns:
        wide = values.astype(np.int64) & ((1 << bits) - 1)
        total = total + (wide.astype(object) << low if low + bits > 62 else wide << low)
        low += bits
    return (f"{word:x}" for word in total.tolist())


def _write(folder: Path, tables: Sequence[Table], verilog: Sequence[str]) -> None:
    """Write the bench, the modules and the memories."""
    parts: list[str] = []
    reports: list[str] = []
    for t, table in enumerate(tables):
        row_bits = sum(column.bits for column in table.inputs.values())
        parts.append(_TABLE.format(t=t, rows=table.rows, high=row_bits - 1, last=table.rows - 1))
        rows = _words([(column.bits, column.values) for column in table.inputs.values()])
        (folder / f"rows_{t}.hex").write_text("\n".join(rows))
        for module, outputs in table.outputs.items():
            k = len(reports)
            ports, low = [], 0
            for port, column in table.inputs.items():
                ports.append(f".{port}(row_{t}[{low + column.bits - 1}:{low}])")
                low += column.bits
            columns, low = [], 0
            for port, column in outputs.items():
                ports.append(f".{port}(seen_{k}[{low + column.bits - 1}:{low}])")
                columns.append((column.bits, column.values))
                low += column.bits
            seen = low
            masked = any(column.care is not None for column in outputs.values())
            if masked:
                for column in outputs.values():
                    care = np.ones(table.rows, np.bool_) if column.care is None else column.care
                    columns.append((column.bits, np.where(care, (1 << column.bits) - 1, 0)))
            (folder / f"want_{k}.hex").write_text("\n".join(_words(columns)))
            differs = f"(seen_{k} ^ line_{k}[{seen - 1}:0])"
            parts.append(
                _MODULE.format(
                    k=k,
                    t=t,
                    high=seen * (1 + masked) - 1,
                    seen_high=seen - 1,
                    seen_bits=seen,
                    last=table.rows - 1,
                    module=module,
                    ports=", ".join(ports),
                    differs=f"({differs} & line_{k}[{2 * seen - 1}:{seen}])" if masked else differs,
                )
            )
            values = f"ROWS_{t}, bad_{k}, first_{k}, found_{k}"
            reports.append(f'      $display("module {module} %0d %0d %0d %b", {values});')
    last = max(table.rows for table in tables)
    text = _BENCH.format(tables="\n".join(parts), last=last, reports="\n".join(reports))
    (folder / "bench.v").write_text(text)
    (folder / "clocked.v").write_text(_CLOCK)
    (folder / "main.cpp").write_text(_MAIN)
    (folder / "modules.v").write_text("\n".join(verilog))


def _icarus(folder: Path, found: Simulator) -> str:
    """Run the bench in Icarus Verilog, and give what it prints."""
    build = ["iverilog", "-g2005", "-o", "bench.vvp", "-s", "clocked", "clocked.v", "bench.v", "modules.v"]
    _run(build, folder, found)
    return _run(["vvp", "-n", "bench.vvp"], folder, found)


def _verilator(folder: Path, found: Simulator) -> str:
    """Run the bench in Verilator, and give what it prints."""
    warnings = ["-Wno-fatal", "-Wno-lint", "-Wno-style"]
    sources = ["main.cpp", "bench.v", "modules.v"]
    build = ["verilator", "--cc", "--exe", "--build", *warnings, "--top-module", "bench", "--prefix", "Vbench"]
    _run([*build, *sources], folder, found)
    return _run(["./obj_dir/Vbench"], folder, found)


def _run(command: list[str], folder: Path, found: Simulator) -> str:
    """Run a program in the folder, and give what it prints, or raise with the end of that."""
    done = subprocess.run(
        command, cwd=folder, env=found.environment(), capture_output=True, text=True, check=False, errors="replace"
    )
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-30:])
        raise VerificationError(f"{command[0]} fails with status {done.returncode}:\n{tail}")
    return done.stdout
