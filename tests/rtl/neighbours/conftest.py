# SPDX-License-Identifier: Apache-2.0
"""How the tests of neighbours run a part on many operands: its Verilog in Icarus, on a table of rows."""

import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Fragment
from numpy.typing import NDArray

from rtl.blocks import Block
from rtl.verilog import parts_verilog

Codes = NDArray[Any]
Work = tuple[Block, Mapping[str, Codes]]
CheckBlocks = Callable[..., int]

_BENCH = """module bench;
  reg [{high}:0] rows [0:{last}];
  reg [{high}:0] row;
  wire [{out_high}:0] out;
  integer index, file;
  {module} dut ({ports});
  initial begin
    $readmemh("rows.hex", rows);
    file = $fopen("out.hex", "w");
    for (index = 0; index <= {last}; index = index + 1) begin
      row = rows[index];
      #1 $fdisplay(file, "%h", out);
    end
    $fclose(file);
    $finish;
  end
endmodule
"""


@pytest.fixture
def check_blocks(tmp_path: Path) -> CheckBlocks:
    """Return a function that holds outputs of blocks to their oracles', for rows of inputs; it gives the rows' number.

    Instead of an oracle's outputs, others can be given.
    """
    if shutil.which("iverilog") is None:
        pytest.skip("Icarus Verilog is not installed")

    def check(works: Iterable[Work], expected: Mapping[str, Codes] | None = None) -> int:
        listed = list(works)
        texts = parts_verilog({block.name: block.part() for block, _ in listed})
        for block, inputs in listed:
            (tmp_path / "block.v").write_text(texts[block.name])
            seen = _simulate(tmp_path, block, inputs)
            wanted = block.oracle(**inputs) if expected is None else expected
            assert set(seen) == set(wanted)
            for name, codes in wanted.items():
                bad = np.flatnonzero(seen[name] != codes)
                first = {port: hex(int(values[bad[0]])) for port, values in inputs.items()} if bad.size else {}
                assert not bad.size, (
                    f"{block.name}.{name} differs in {bad.size} rows: of {first} "
                    f"{int(seen[name][bad[0]]):#x}, expected {int(codes[bad[0]]):#x}"
                )
        return sum(len(next(iter(inputs.values()))) for _, inputs in listed)

    return check


def _simulate(folder: Path, block: Block, inputs: Mapping[str, Codes]) -> dict[str, Codes]:
    """Return the outputs of ``block.v`` in a folder."""
    rows = len(next(iter(inputs.values())))
    ports, columns, high, out_high = [], [], 0, 0
    for name, bits in _ports(block, "In").items():
        ports.append(f".{name}(row[{high + bits - 1}:{high}])")
        columns.append((high, inputs[name].tolist()))
        high += bits
    outputs = _ports(block, "Out")
    for name, bits in outputs.items():
        ports.append(f".{name}(out[{out_high + bits - 1}:{out_high}])")
        out_high += bits
    words = [sum(int(values[index]) << place for place, values in columns) for index in range(rows)]
    (folder / "rows.hex").write_text("\n".join(f"{word:x}" for word in words))
    bench = _BENCH.format(
        high=high - 1, last=rows - 1, out_high=out_high - 1, module=block.name, ports=", ".join(ports)
    )
    (folder / "bench.v").write_text(bench)
    for command in (["iverilog", "-g2005", "-o", "bench.vvp", "bench.v", "block.v"], ["vvp", "-n", "bench.vvp"]):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    seen = [int(line, 16) for line in (folder / "out.hex").read_text().split()]
    assert len(seen) == rows
    found, low = {}, 0
    for name, bits in outputs.items():
        codes = [(word >> low) & ((1 << bits) - 1) for word in seen]
        found[name] = np.array(codes, np.uint64 if bits <= 64 else object)
        low += bits
    return found


@pytest.fixture(scope="session")
def every() -> Callable[[Block], dict[str, Codes]]:
    """Return a function that gives all combinations of the codes of a block's inputs."""
    return _every


@pytest.fixture(scope="session")
def some() -> Callable[..., dict[str, Codes]]:
    """Return a function that gives random codes of a block's inputs, small ones and directed ones among them."""
    return _some


def _ports(block: Block, flow: str) -> dict[str, int]:
    """Return a block's ports of a direction, of a part that is elaborated: Amaranth warns of one that is not used."""
    part = block.part()
    Fragment.get(part, None)
    found = ((path[0], member, port) for path, member, port in part.signature.flatten(part))
    return {str(name): len(port) for name, member, port in found if member.flow.name == flow and len(port)}


def _every(block: Block) -> dict[str, Codes]:
    index = np.arange(1 << sum(_ports(block, "In").values()), dtype=np.uint64)
    found, low = {}, 0
    for name, width in _ports(block, "In").items():
        found[name] = (index >> np.uint64(low)) & np.uint64((1 << width) - 1)
        low += width
    return found


def _some(block: Block, count: int, seed: int = 1) -> dict[str, Codes]:
    generator = np.random.default_rng(seed)
    found = {}
    for name, bits in _ports(block, "In").items():
        codes = generator.integers(0, (1 << bits) - 1, count, dtype=np.uint64, endpoint=True)
        codes >>= generator.integers(0, bits, count, dtype=np.uint64)
        negative = generator.random(count) < 0.3
        codes = np.where(negative, -codes.astype(np.int64), codes.astype(np.int64)).astype(np.uint64)
        codes &= np.uint64((1 << bits) - 1)
        known = np.array((0, 1, (1 << bits) - 1, *block.directed.get(name, ())), np.uint64)
        where = generator.random(count) < 0.2
        found[name] = np.where(where, generator.choice(known, count), codes)
    return found
