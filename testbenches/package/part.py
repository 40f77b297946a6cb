# SPDX-License-Identifier: Apache-2.0
"""The folder of a combinational module: a block of the catalog, a format's decoder or encoder."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rtl.blocks import Block
from rtl.verilog import parts_verilog, version
from testbenches import vectors
from testbenches.blocks import check_block
from testbenches.compiled import from_limbs
from testbenches.export import scripts
from testbenches.package.combinational import combinational_testbench
from testbenches.package.constraints import DEFAULT_CLOCK_MHZ, constraints
from testbenches.package.diagram import part_diagram
from testbenches.package.folder import describe_files, lint_checks, made_with, plain_check
from testbenches.package.netlist import Module, facts, port_notes, read_modules
from testbenches.package.readme import Check, Handover, readme
from testbenches.package.written import Written
from testbenches.tables import Column, Table

__all__ = [
    "block_table",
    "block_verilog",
    "write_block",
    "write_part",
]

_EXHAUSTIVE_BITS = 16
_CORNERS, _RANDOM = 2048, 2048
_SEED = 1


def block_verilog(block: Block) -> str:
    """Return Verilog of a block with a comment that says what it is."""
    text = parts_verilog({block.name: block.part()})[block.name]
    lines = [
        f"{block.name}: written by hwsim {version()}",
        "",
        f"Function:     {block.summary}",
        f"Source:       {block.source}",
        "Timing:       combinational, no clock",
        "",
        f"Module {block.name}",
    ]
    ports = read_modules(text)[block.name].ports
    lines += [f"  {port.direction:6} {name:11} {port.bits:4}" for name, port in ports.items()]
    return "".join(f"// {line}".rstrip() + "\n" for line in lines) + "\n" + text


def block_table(block: Block, module: Module) -> Table:
    """
    Return rows for a block's testbench, with the outputs of its oracle.

    Every operand where the inputs have at most 16 bits together; else corner codes crossed, the block's own among them,
    and seeded random codes of every kind.
    """
    ports = {name: port.bits for name, port in module.ports.items() if port.direction == "input"}
    if sum(ports.values()) <= _EXHAUSTIVE_BITS:
        parts = list(vectors.every(ports))
    else:
        crossed = vectors.crossed(ports, block.directed)
        total = len(next(iter(crossed.values())))
        chosen = np.sort(np.random.default_rng(_SEED).choice(total, min(_CORNERS, total), replace=False))
        parts = [{name: words[chosen] for name, words in crossed.items()}]
        parts.append(vectors.mixed(ports, block.directed, _RANDOM, np.random.default_rng(_SEED)))
    codes = {name: np.concatenate([from_limbs(part[name]) for part in parts]) for name in ports}
    rows = len(next(iter(codes.values())))
    outputs = {}
    for name, words in block.oracle(**codes).items():
        outputs[name] = Column(bits=module.ports[name].bits, values=np.broadcast_to(np.asarray(words), rows))
    return Table(
        inputs={name: Column(bits=ports[name], values=words) for name, words in codes.items()},
        outputs={block.name: outputs},
    )


def write_block(
    block: Block,
    folder: Path,
    *,
    clock_mhz: float = DEFAULT_CLOCK_MHZ,
    checked: bool = False,
    progress: Callable[[str], None] = lambda text: None,
) -> Written:
    """
    Write the folder of a block.

    Parameters
    ----------
    block : Block
    folder, clock_mhz, checked, progress
        As of `testbenches.package.unit.write_unit`; checked, it is also compared with its oracle at compiled speed.

    Returns
    -------
    Written

    Raises
    ------
    VerificationError
        If a check fails.
    ValueError
        If the clock is none.
    """
    progress(f"{block.name}: Verilog and vectors")
    text = block_verilog(block)
    table = block_table(block, read_modules(text)[block.name])
    extra = []
    compared = None
    if checked:
        progress(f"{block.name}: against its oracle")
        report = check_block(block)
        compared = report.vectors
        kind = "every operand" if report.exhaustive else "corners and random operands"
        extra.append(
            Check(
                what="against the oracle, compiled",
                command="hwsim verilog --verify",
                result=f"{report.vectors:,} rows equal ({kind})",
            )
        )
    written = write_part(
        text,
        block.name,
        folder,
        summary=f"{block.summary}. Combinational; synthesizable Verilog-2001 in one file, without vendor cells.",
        table=table,
        clock_mhz=clock_mhz,
        checked=checked,
        extra=tuple(extra),
    )
    return replace(written, compared=compared, simulator="verilator" if checked else None)


def write_part(
    text: str,
    name: str,
    folder: Path,
    *,
    summary: str,
    table: Table | None,
    clock_mhz: float = DEFAULT_CLOCK_MHZ,
    checked: bool = False,
    extra: tuple[Check, ...] = (),
) -> Written:
    """
    Write the folder of a combinational module.

    Parameters
    ----------
    text : str
        Its Verilog, with the modules that it consists of.
    name : str
        Of the module.
    folder : Path
        Made where it is missing; files of the same names are replaced.
    summary : str
        What it does, for the README.
    table : Table, optional
        Rows and expected outputs; without one there is no testbench.
    clock_mhz, checked
        As of `write_block`.
    extra : tuple of Check
        What was checked already.

    Returns
    -------
    Written
    """
    modules = read_modules(text)
    module = modules[name]
    sources = {f"{name}.v": text}
    said = facts(text)
    texts = sources | constraints(module, clock_mhz)
    made = scripts(name, sources, cocotb=False, testbench=table is not None)
    note = "There are no vectors for it."
    if table is not None:
        rows = list(_lines(module, table.inputs, "input"))
        texts[f"{name}_tb.v"] = combinational_testbench(module, len(rows))
        texts["rows.mem"] = "".join(f"{word}\n" for word in rows)
        texts["expected.mem"] = "".join(f"{word}\n" for word in _lines(module, table.outputs[name], "output"))
        note = _vectors(module, len(rows))
    texts |= made
    texts["block_diagram.svg"] = part_diagram(
        module, title=name, subtitle="combinational", inside=tuple(_inside(module, modules))
    )
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in texts.items():
        (folder / file).write_text(content)
    checks = [
        *([] if table is None else [plain_check(folder, name, run=checked)]),
        *lint_checks(sources, name, run=checked),
        *extra,
    ]
    files = [folder / file for file in texts] + [folder / "README.md"]
    handover = Handover(
        module=module,
        summary=summary,
        ports=port_notes(text, name),
        numerics={key: value for key, value in said.items() if key != "Timing"},
        timing={"Latency": "none: combinational", "Throughput": "one result for each change of the inputs"},
        pictures={"block_diagram.svg": "the module and its ports"},
        checks=checks,
        files=describe_files(files),
        vectors=note,
        clock_mhz=clock_mhz,
        made_with=made_with(),
    )
    (folder / "README.md").write_text(readme(handover))
    return Written(files=files, checks=checks)


def _lines(module: Module, columns: Mapping[str, Column], direction: str) -> Iterator[str]:
    """Give the words of a file of vectors: ports side by side, the first lowest; above outputs, the bits that count."""
    ports = {name: port.bits for name, port in module.ports.items() if port.direction == direction}
    missing = set(ports) ^ set(columns)
    if missing:
        raise ValueError(f"columns must be those of the ports {', '.join(ports)}, not {', '.join(columns)}")
    rows = len(next(iter(columns.values())).values)
    total = sum(ports.values())
    digits = -(-total * (1 if direction == "input" else 2) // 4)
    lists: list[tuple[int, int, list[Any], list[bool]]] = []
    low = 0
    for name, bits in ports.items():
        column = columns[name]
        counts = [True] * rows if column.care is None else column.care.tolist()
        lists.append((low, bits, np.asarray(column.values).tolist(), counts))
        low += bits
    for row in range(rows):
        word = 0
        for low, bits, values, counts in lists:
            ones = (1 << bits) - 1
            word |= (int(values[row]) & ones) << low
            if direction == "output" and counts[row]:
                word |= ones << (total + low)
        yield f"{word:0{digits}x}"


def _inside(module: Module, modules: Mapping[str, Module]) -> list[str]:
    """Return what a module consists of, all levels together, the most frequent first."""
    counts: Counter[str] = Counter()

    def count(name: str, times: int) -> None:
        for instance in modules[name].instances.values() if name in modules else ():
            counts[instance.module] += times
            count(instance.module, times)

    count(module.name, 1)
    return [f"{times} x {name.removeprefix(f'{module.name}_')}" for name, times in counts.most_common(8)]


def _vectors(module: Module, rows: int) -> str:
    def words(direction: str) -> str:
        return ", ".join(f"{name} ({port.bits})" for name, port in module.ports.items() if port.direction == direction)

    return (
        f"`rows.mem` has {rows:,} rows of inputs, one hexadecimal word a line, from bit 0 up, with their bits:"
        f" {words('input')}. `expected.mem` has the outputs of an oracle in integers, so: {words('output')}; and"
        " above them, in the high half of the word, as many bits of mask, 1 where an output's bit counts. In"
        f" another simulator than Icarus Verilog compile the files of `{module.name}_tb.f` and run in this folder; the"
        " last line begins with PASS or FAIL."
    )
