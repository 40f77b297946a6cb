# SPDX-License-Identifier: Apache-2.0
"""The folder of an array: Verilog, constraints, pictures, a testbench with a matrix product, and a README."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import rtl
from hwsim.datapath import DotProductUnit
from hwsim.datapath.array import ArrayGeometry, ArrayKind
from hwsim.formats.block import Scalar
from rtl.architecture import Architecture
from rtl.header import header
from rtl.verilog import version
from testbenches.arrays import Program, program, run_verilog
from testbenches.compiled import Compiled
from testbenches.export import scripts
from testbenches.package.constraints import DEFAULT_CLOCK_MHZ, constraints
from testbenches.package.folder import describe_files, lint_checks, made_with, plain_check
from testbenches.package.grid import array_diagram
from testbenches.package.netlist import Module, facts, port_notes, read_modules
from testbenches.package.readme import NOT_RUN, Check, Handover, readme
from testbenches.package.streaming import stream_ports, streaming_testbench
from testbenches.package.trace import codes_near_one, record_stream, waveform
from testbenches.package.written import Written
from testbenches.runner import VerificationError
from testbenches.simulators import MissingToolError

__all__ = [
    "example",
    "write_array",
]

_SEED = 3
_NUMERICS = ("Operand a", "Operand b", "Alignment", "Accumulator", "Output")
_PAUSES = ((0.0, 0.0), (0.3, 0.0), (0.0, 0.6), (0.5, 0.5))
_COMPILED = "a matrix product, compiled, both ports pausing"
_PICTURE_CYCLES = 20


def example(geometry: ArrayGeometry, unit: DotProductUnit) -> Program:
    """Return a matrix product of two tiles and a bit down, and two across, of ordinary values, as an array takes it."""
    random = np.random.default_rng(_SEED)
    kept = geometry.kind.keeps_outputs
    width = geometry.element(unit).lanes
    deep = 3 * width if kept else width * (1 if geometry.kind is ArrayKind.ADDER_TREE else geometry.rows)
    tall, across = (geometry.rows if kept else geometry.columns), geometry.columns
    m, n = 2 * tall + 1, 2 * across

    def operand(spec: Scalar, shape: tuple[int, int]) -> NDArray[Any]:
        return np.asarray(codes_near_one(spec, random, shape))

    scales: dict[str, Any] = {}
    for name, whole, scale, lines in (("a", unit.a, unit.scale_a, m), ("b", unit.b, unit.scale_b, n)):
        if scale is not None:
            blocks = deep // getattr(whole, "block_size", deep)
            codes = operand(scale, (lines, blocks))
            scales[f"{name}_scales"] = codes if name == "a" else codes.T
    a, b = operand(unit.element_a, (m, deep)), operand(unit.element_b, (deep, n))
    return program(geometry, unit, a, b, **scales)


def write_array(  # noqa: PLR0913 -- each is an option of the command
    geometry: ArrayGeometry,
    unit: DotProductUnit,
    folder: Path,
    *,
    pipeline: int = 1,
    architecture: Architecture | None = None,
    name: str | None = None,
    clock_mhz: float = DEFAULT_CLOCK_MHZ,
    checked: bool = False,
    progress: Callable[[str], None] = lambda text: None,
) -> Written:
    """
    Write the folder of an array.

    Parameters
    ----------
    geometry : ArrayGeometry
    unit : DotProductUnit
    pipeline : int
        Ranks of registers of an element (`rtl.Array`).
    folder, architecture, name, clock_mhz, checked, progress
        As of `testbenches.package.unit.write_unit`.

    Returns
    -------
    Written

    Raises
    ------
    TypeError, ValueError
        If there is no such array (`rtl.Array`), or the clock is none.
    VerificationError
        If a check fails.
    """
    how = architecture or Architecture()
    name = name or rtl.array_name(geometry, unit, pipeline)
    progress(f"{name}: Verilog")
    text = rtl.array_verilog(geometry, unit, how, name=name, pipeline=pipeline)
    module = read_modules(text)[name]
    texts = {f"{name}.v": text} | constraints(module, clock_mhz)
    progress(f"{name}: test vectors, diagram and waveform")
    stream = example(geometry, unit)
    rows = _words(stream.beats, stream_ports(module, "input"), "i_")
    outputs = _words(stream.outputs, stream_ports(module, "output"), "o_")
    deadline = 4 * (geometry.rows + geometry.columns) + 64 + pipeline
    texts |= {
        f"{name}_tb.v": streaming_testbench(module, len(rows), len(outputs), deadline),
        "rows.mem": "".join(f"{word}\n" for word in rows),
        "expected.mem": "".join(f"{word}\n" for word in outputs),
        **scripts(name, {f"{name}.v": text}, cocotb=False),
    }
    said = facts(text)
    bits = {port: found.bits for port, found in module.ports.items()}
    texts["block_diagram.svg"] = array_diagram(geometry, name, f"elements: {said['Element']}", bits)
    trace = record_stream(rtl.Array(geometry, unit, how, pipeline), stream.beats, stream.outputs, _PICTURE_CYCLES)
    texts["waveform.svg"] = waveform(trace, f"{name}: the first {trace.cycles} cycles")
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in texts.items():
        (folder / file).write_text(content)
    compiled = Check(what=_COMPILED, command="hwsim verilog --verify", result=NOT_RUN)
    compared = None
    if checked:
        progress(f"{name}: compiled")
        compiled, compared = _compiled(text, name, geometry, unit, stream)
    sources = {f"{name}.v": text}
    checks = [plain_check(folder, name, run=checked), *lint_checks(sources, name, run=checked), compiled]
    files = [folder / file for file in texts] + [folder / "README.md"]
    handover = Handover(
        module=module,
        summary=f"A matrix unit: {text.splitlines()[2].removeprefix('// ')} Synthesizable Verilog-2001 in one file: one"
        " clock, no parameters, no vendor cells, no latches. The comment on top of the file says the same as this"
        " page.",
        ports=port_notes(text, name),
        numerics=_numerics(geometry, unit, said),
        timing={key: value for key, value in said.items() if key != "Element"},
        pictures={"block_diagram.svg": "the grid of elements", "waveform.svg": "waveform of the first cycles"},
        checks=checks,
        files=describe_files(files),
        vectors=_note(module, len(rows), len(outputs)),
        clock_mhz=clock_mhz,
        made_with=made_with(),
    )
    (folder / "README.md").write_text(readme(handover))
    return Written(
        files=files, checks=checks, simulator="verilator" if compared is not None else None, compared=compared
    )


def _numerics(geometry: ArrayGeometry, unit: DotProductUnit, said: Mapping[str, str]) -> dict[str, str]:
    """Return what the array computes, and what its elements say of their numbers."""
    element = geometry.element(unit)
    of_element = facts(header(element, rtl.latency(element), version()))
    return {
        "Product": "(M, K) by (K, N); each output is the dot product that an element computes, in order of K",
        "Element": said["Element"],
        **{key: of_element[key] for key in _NUMERICS},
    }


def _compiled(
    text: str, name: str, geometry: ArrayGeometry, unit: DotProductUnit, stream: Program
) -> tuple[Check, int | None]:
    """Send the product through the array at compiled speed; without a compiler, say so."""
    check = Check(what=_COMPILED, command="hwsim verilog --verify")
    try:
        built = Compiled(text, name)
    except MissingToolError as missing:
        return replace(check, result=f"not run: {missing}"), None
    for bubbles, stalls in _PAUSES:
        run = run_verilog(built, geometry, unit, stream, bubbles=bubbles, stalls=stalls)
        if run.wrong or run.broken:
            raise VerificationError(
                f"{name}: {run.wrong} outputs differ from the model, {run.broken} break the handshake"
            )
    compared = len(stream.outputs) * len(_PAUSES)
    return replace(check, result=f"{compared:,} outputs of {geometry.columns} codes equal to the model's"), compared


def _words(beats: Sequence[Mapping[str, int]], ports: Mapping[str, int], prefix: str) -> list[str]:
    """Return the payload of each beat as one hexadecimal word, the first port at bit 0."""
    digits = (sum(ports.values()) + 3) // 4
    words = []
    for beat in beats:
        word = low = 0
        for name, bits in ports.items():
            word |= beat.get(name.removeprefix(prefix), 0) << low
            low += bits
        words.append(f"{word:0{digits}x}")
    return words


def _note(module: Module, rows: int, outputs: int) -> str:
    def words(direction: str) -> str:
        return ", ".join(f"{name} ({bits})" for name, bits in stream_ports(module, direction).items())

    return (
        f"`rows.mem` has {rows:,} beats, one hexadecimal word a line, from bit 0 up, with their bits: {words('input')}."
        f" `expected.mem` has {outputs:,} outputs of the bit-exact model, so: {words('output')}. Together they are one"
        " matrix product, cut into tiles. In a simulator other than Icarus Verilog compile the files of"
        f" `{module.name}_tb.f` and run in this folder; the last line begins with PASS or FAIL."
    )
