# SPDX-License-Identifier: Apache-2.0
"""The folder of a unit: Verilog, constraints, pictures, two testbenches with vectors, and a README."""

from collections.abc import Callable
from pathlib import Path

import rtl
from hwsim.datapath import DotProductUnit, dot_exact
from rtl.architecture import Architecture
from testbenches.design import Design
from testbenches.effort import rows_within, seconds_in_icarus
from testbenches.export import export_testbench
from testbenches.package.constraints import DEFAULT_CLOCK_MHZ, constraints
from testbenches.package.diagram import block_diagram
from testbenches.package.folder import describe_files, lint_checks, made_with, plain_check
from testbenches.package.netlist import facts, port_notes, read_modules
from testbenches.package.readme import NOT_RUN, Check, Handover, readme
from testbenches.package.trace import Trace, record, waveform
from testbenches.package.written import Written
from testbenches.runner import Report, run
from testbenches.stimulus import fields, stimulus
from testbenches.verification import check_kernel, design_of

__all__ = [
    "write_unit",
]

_TIMING = ("Latency", "Throughput", "Clock, reset", "Flow")
_BUILT = ("Structure", "Registers")
_SECONDS, _PASSES = 20.0, 3  # of Icarus Verilog on one core, for the modes of the plain testbench
_FEWEST_ROWS = 320
_VECTORS = 4096
_COCOTB = "cocotb bench, both ports pausing"


def write_unit(  # noqa: PLR0913 -- each is an option of the command
    unit: DotProductUnit,
    folder: Path,
    *,
    pipeline: int | None = None,
    architecture: Architecture | None = None,
    name: str | None = None,
    clock_mhz: float = DEFAULT_CLOCK_MHZ,
    checked: bool = False,
    simulator: str | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> Written:
    """
    Write the folder of a unit.

    Parameters
    ----------
    unit : DotProductUnit
    folder : Path
        Made where it is missing; files of the same names are replaced.
    pipeline : int, optional
        Ranks of registers, as for `rtl.verilog`.
    architecture : Architecture, optional
        How it is built, as for `rtl.verilog`.
    name : str, optional
        What the names of modules and files begin with; the unit's name if not given.
    clock_mhz : float, default 100
        Of the constraints.
    checked : bool
        Whether to run every check that the folder offers, and note the results in its README.
    simulator : str, optional
        For the cocotb bench, ``"icarus"`` or ``"verilator"``.
    progress : callable
        Called with what is being done.

    Returns
    -------
    Written

    Raises
    ------
    VerificationError
        If a check fails.
    ValueError
        If the clock or the pipeline is none that the unit can have.
    """
    top = name or unit.name
    progress(f"{top}: Verilog")
    design = design_of(unit, pipeline=pipeline, architecture=architecture, name=name)
    sources = dict(design.sources)
    text = sources[f"{top}.v"]
    modules = read_modules(text)
    texts = constraints(modules[top], clock_mhz)
    progress(f"{top}: test vectors")
    affordable = max(rows_within(design, _SECONDS / _PASSES), _FEWEST_ROWS)
    count = min(affordable // 5, 1024)
    pairs = 1 << (unit.element_a.bits + unit.element_b.bits)
    rows = stimulus(unit, count=count, corner_rows=4 * count, exhaustive=pairs <= 2 * affordable)
    files = export_testbench(folder, design, fields(unit, rows), dot_exact(unit, rows))
    progress(f"{top}: diagram and waveform")
    trace = record(unit, rtl.Shell(unit, pipeline, architecture))
    said = facts(text)
    texts["block_diagram.svg"] = block_diagram(
        modules[f"{top}_core"],
        modules,
        title=f"{top}: the core",
        subtitle=f"registers {said['Registers']}",
        footer="Not drawn: clk, rst, en. The shell around the core makes en = i_ready = o_ready | ~o_valid.",
        notes=_notes(unit),
    )
    texts["waveform.svg"] = waveform(trace, f"{top}: two dot products, of two rows and of one")
    report: Report | None = None
    if checked:
        progress(f"{top}: in a simulator")
        report = _simulated(unit, design, simulator)
        progress(f"{top}: lint")
    checks = [
        plain_check(folder, top, run=checked),
        Check(what=_COCOTB, command="make cocotb", result=NOT_RUN if report is None else _result(report)),
        *lint_checks(sources, top, run=checked),
    ]
    for file, content in texts.items():
        (folder / file).write_text(content)
    files += [folder / file for file in texts] + [folder / "README.md"]
    handover = Handover(
        module=modules[top],
        summary=_summary(unit),
        ports=port_notes(text, top),
        numerics={key: value for key, value in said.items() if key not in (*_TIMING, *_BUILT)},
        timing=_timing(said, design, trace),
        pictures={"block_diagram.svg": "block diagram", "waveform.svg": "waveform of two dot products"},
        checks=checks,
        files=describe_files(files),
        vectors=_vectors(design, len(rows), sum(row.last for row in rows)),
        core=(modules[f"{top}_core"], port_notes(text, f"{top}_core")),
        clock_mhz=clock_mhz,
        made_with=made_with(),
    )
    (folder / "README.md").write_text(readme(handover))
    return Written(
        files=files,
        checks=checks,
        simulator=None if report is None else report.simulator,
        compared=None if report is None else report.compared,
    )


def _simulated(unit: DotProductUnit, design: Design, simulator: str | None) -> Report:
    """Compare oracle, kernel and the design that was written, on more rows than the folder has."""
    rows = stimulus(unit, count=_VECTORS, corner_rows=4 * _VECTORS)
    expected = dot_exact(unit, rows)
    check_kernel(unit, rows, expected)
    return run(design, fields(unit, rows), expected, simulator=simulator)


def _summary(unit: DotProductUnit) -> str:
    lanes = f"{unit.lanes} product{'s' * (unit.lanes > 1)}"
    return (
        f"A dot-product unit: `d = round(c + sum(a[i] * b[i]))`, {lanes} a row, one row a cycle. A row with `first`"
        " starts from `c`, any other from the register; a row with `last` makes an output. Synthesizable Verilog-2001"
        " in one file: one clock, no parameters, no vendor cells, no latches. The comment on top of the file says the"
        " same as this page."
    )


def _timing(said: dict[str, str], design: Design, trace: Trace) -> dict[str, str]:
    outputs = " and ".join(f"{value:#x}" for value in trace.outputs)
    return {
        **{key: said[key] for key in _TIMING if key in said},
        **{key: said[key] for key in _BUILT if key in said},
        "Core alone": f"`{design.top}_core` has a clock enable `en` in place of the handshakes; it can be used alone;"
        " rst acts without en",
        "In the picture": f"the outputs are {outputs}, from a simulation of the RTL, equal to the model's; the first"
        " one waits for a cycle (o_ready low), and the row on offer with it",
    }


def _notes(unit: DotProductUnit) -> dict[str, str]:
    """Return what stands in the stages and at the ports of the diagram."""
    lanes = "" if unit.lanes == 1 else f"{unit.lanes} x "
    notes = {
        "a": f"{lanes}{unit.element_a.name}",
        "b": f"{lanes}{unit.element_b.name}",
        "c": "",
        "d": unit.output.name,
        "decode_a": f"{lanes}{unit.element_a.name}",
        "decode_b": f"{lanes}{unit.element_b.name}",
        "multiply": f"{unit.lanes} product{'s' * (unit.lanes > 1)}",
        "align_add": "sum of the row",
        "accumulate": "+ register, or c",
        "round_pack": unit.output.name,
        "resolve": "sum + carry",
        "step_sum": "products + register, or c",
    }
    for name, scale in (("scale_a", unit.scale_a), ("scale_b", unit.scale_b)):
        if scale is not None:
            notes[name] = notes[f"decode_{name}"] = scale.name
    return notes


def _vectors(design: Design, rows: int, outputs: int) -> str:
    row_fields = ", ".join(f"{port.name} ({port.bits})" for port in design.ports.fields)
    bits = design.ports.output_bits
    return (
        f"`rows.mem` has {rows:,} rows of inputs, one hexadecimal word a line; fields from bit 0 up, with their bits:"
        f" {row_fields}. `expected.mem` has {outputs:,} outputs of {bits} bits from the bit-exact model, one for each"
        " row with last set, in order. `make` takes about"
        f" {max(1, round(_PASSES * seconds_in_icarus(design, rows)))} s in Icarus Verilog, within a factor of three; it"
        " prints a line a mode. In a simulator other than Icarus Verilog compile the files of"
        f" `{design.top}_tb.f` (top: `{design.top}_tb`; Verilator 5: `--binary --timing -Wno-fatal`) and run in this"
        " folder; the last line begins with PASS or FAIL."
    )


def _result(report: Report) -> str:
    version = report.simulator_version.split(" (")[0]
    where = version if report.simulator == "icarus" else f"Verilator {version}"
    return f"{report.compared:,} outputs equal in {where}, of more rows than the folder has"
