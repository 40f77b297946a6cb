# SPDX-License-Identifier: Apache-2.0
"""How the tests of units run blocks against their oracles, and cores behind streams that stall."""

import random
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from rtl.blocks import Block
from rtl.verilog import parts_verilog

RunBlock = Callable[[Block, int], int]
RunRows = Callable[[Any, Sequence[Mapping[str, int]], int], list[int]]
DEADLINE = 20_000


@pytest.fixture(scope="session")
def run_block(tmp_path_factory: pytest.TempPathFactory) -> RunBlock:
    """Return a function that compares a block with its oracle on as many vectors, and counts the ports compared."""

    def run(block: Block, count: int) -> int:
        generator = random.Random(block.name)
        part = block.part()
        inputs, outputs = ({name: _bits(part, name) for name in _names(part, flow)} for flow in (In, Out))
        rows = []
        for _ in range(count):
            row = {}
            for name, bits in inputs.items():
                ones = (1 << bits) - 1
                known = [0, 1, ones, *(code & ones for code in block.directed.get(name, ()))]
                row[name] = generator.choice(known) if generator.random() < 0.2 else generator.getrandbits(bits)
            rows.append(row)
        columns = {name: np.array([row[name] for row in rows], dtype=object) for name in inputs}
        expected = block.oracle(**columns)
        seen = _simulate(part, inputs, outputs, rows, tmp_path_factory.mktemp("block"))
        for name in outputs:
            wrong = [
                (rows[i], got, int(want))
                for i, (got, want) in enumerate(zip(seen[name], expected[name], strict=True))
                if got != int(want)
            ]
            assert not wrong, f"{block.name}.{name}: {len(wrong)} of {count}, as {wrong[0]}"
        return count * len(outputs)

    return run


@pytest.fixture(scope="session")
def run_rows() -> RunRows:
    """Return a function that streams rows through a shell, both sides stalling at random, for as many outputs."""

    def run(shell: Any, rows: Sequence[Mapping[str, int]], outputs: int) -> list[int]:
        generator = random.Random(len(rows))
        seen: list[int] = []

        async def feed(context: Any) -> None:
            for row in rows:
                while generator.random() < 0.3:
                    await context.tick()
                context.set(shell.i.valid, 1)
                context.set(shell.i.p, row)
                await context.tick().until(shell.i.ready)
                context.set(shell.i.valid, 0)

        async def drain(context: Any) -> None:
            for _ in range(DEADLINE):
                ready = generator.random() < 0.6
                context.set(shell.o.ready, ready)
                _, _, valid, payload = await context.tick().sample(shell.o.valid, shell.o.p)
                if valid and ready:
                    seen.append(payload)
                if len(seen) == outputs:
                    return

        simulator = Simulator(shell)
        simulator.add_clock(1e-6)
        simulator.add_testbench(feed, background=True)
        simulator.add_testbench(drain)
        simulator.run()
        return seen

    return run


def _simulate(
    part: Any, inputs: Mapping[str, int], outputs: Mapping[str, int], rows: Sequence[Mapping[str, int]], folder: Path
) -> dict[str, list[int]]:
    """Return the codes of each output, from Icarus on the part's Verilog."""
    (folder / "part.v").write_text(parts_verilog({"part": part})["part"])
    lines = [" ".join(f"{row[name]:x}" for name in inputs) for row in rows]
    (folder / "vectors.hex").write_text("\n".join(lines) + "\n")
    declared = [f"reg [{bits - 1}:0] {name};" for name, bits in inputs.items()]
    declared += [f"wire [{bits - 1}:0] {name};" for name, bits in outputs.items()]
    ports = ", ".join(f".{name}({name})" for name in (*inputs, *outputs))
    formats = [" ".join(["%h"] * len(names)) for names in (inputs, outputs)]
    (folder / "bench.v").write_text(
        f"""module bench; integer file, i, count; {" ".join(declared)} part part({ports});
        initial begin file = $fopen("vectors.hex", "r");
        for (i = 0; i < {len(rows)}; i = i + 1) begin
        count = $fscanf(file, "{formats[0]}\\n", {", ".join(inputs)}); #1
        $display("{formats[1]}", {", ".join(outputs)}); end $finish; end endmodule"""
    )
    for command in (["iverilog", "-g2005-sv", "-o", "bench.vvp", "bench.v", "part.v"], ["vvp", "-n", "bench.vvp"]):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    columns = [line.split() for line in done.stdout.splitlines() if "$finish" not in line]
    assert len(columns) == len(rows)
    return {name: [int(line[place], 16) for line in columns] for place, name in enumerate(outputs)}


def _names(part: Any, flow: Any) -> list[str]:
    return [name for name, member in part.signature.members.items() if member.flow == flow and _bits(part, name)]


def _bits(part: Any, name: str) -> int:
    return len(getattr(part, name))
