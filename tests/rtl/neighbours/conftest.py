# SPDX-License-Identifier: Apache-2.0
"""How the tests of neighbours run a part on many operands: its Verilog in Icarus, on a table of rows."""

import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rtl.blocks import Block
from rtl.verilog import parts_verilog
from testbenches import vectors

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
    for name, bits in block.inputs.items():
        ports.append(f".{name}(row[{high + bits - 1}:{high}])")
        columns.append((high, inputs[name].tolist()))
        high += bits
    for name, bits in block.outputs.items():
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
    for name, bits in block.outputs.items():
        codes = [(word >> low) & ((1 << bits) - 1) for word in seen]
        found[name] = np.array(codes, np.uint64 if bits <= 64 else object)
        low += bits
    return found


@pytest.fixture(scope="session")
def every() -> Callable[[Block], dict[str, Codes]]:
    """Return a function that gives all combinations of the codes of a block's inputs."""
    return lambda block: next(vectors.every(block.inputs, 1 << block.space))


@pytest.fixture(scope="session")
def some() -> Callable[..., dict[str, Codes]]:
    """Return a function that gives random codes of all kinds, of a block's inputs of up to 64 bits."""
    return lambda block, count: vectors.mixed(block.inputs, block.directed, count, np.random.default_rng(1))
