# SPDX-License-Identifier: Apache-2.0
"""Write the testbench that goes beside a unit's Verilog, for those who receive it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from testbenches.design import Design, write_job
from testbenches.plain import plain_testbench

__all__ = [
    "export_testbench",
]

_MAKEFILE = """\
# SPDX-License-Identifier: Apache-2.0
# make: the testbench in plain Verilog, in Icarus Verilog. make cocotb: the bench in Python (cocotb 2.1 or newer).
PYTHON ?= python3

plain: @TOP@_tb.v @SOURCES@ rows.mem expected.mem
	iverilog -g2012 -s @TOP@_tb -o @TOP@_tb.vvp @TOP@_tb.v @SOURCES@
	vvp -n @TOP@_tb.vvp > @TOP@_tb.log
	cat @TOP@_tb.log
	grep -q '^PASS' @TOP@_tb.log

cocotb:
	$(PYTHON) run.py

clean:
	rm -rf @TOP@_tb.vvp @TOP@_tb.log sim_build __pycache__ build.log simulation.log results.json results.xml

.PHONY: plain cocotb clean
"""

_README = """\
@TOP@: how to check it

Plain Verilog: `make` runs @TOP@_tb.v, a testbench that checks itself, in Icarus Verilog. In another simulator,
compile @TOP@_tb.v @SOURCES@ (top: @TOP@_tb)
and run it in this folder; a line that begins with PASS or FAIL says how it went. Verilator 5 takes the options
--binary --timing -Wno-fatal.

cocotb: `pip install "cocotb~=2.1"`, then `make cocotb` (or `python run.py --simulator verilator`) sends the same
vectors in Icarus Verilog or Verilator. bench.py is the bench, bench.json says what it reads, results.json what it did.

rows.mem      @ROWS@ rows of inputs, one hexadecimal word a line. Fields from bit 0 up, with their bits:
              @FIELDS@
expected.mem  @OUTPUTS@ outputs of @D_BITS@ bits from the bit-exact model, one for each row with last set, in order.
latency       @LATENCY@ clock cycles from the edge that accepts a row with last to the first that can take its output.
"""


def export_testbench(
    folder: Path, design: Design, stimulus: Mapping[str, Sequence[int]], expected: Sequence[int], *, seed: int = 1
) -> list[Path]:
    """Write a design's Verilog, its vectors and two testbenches that need nothing of this package.

    Parameters
    ----------
    folder : Path
        Where to; made where it is missing. Files of the same names are replaced.
    design : Design
        The shell.
    stimulus : mapping of str to sequence of int
        The rows: for each field of the ports one code a row. The first row has ``first`` set.
    expected : sequence of int
        The code of each output, in order.
    seed : int, default 1
        Seed of the pauses.

    Returns
    -------
    list of Path
        The files: the Verilog, ``<top>_tb.v`` (plain Verilog), ``bench.py`` and ``run.py`` (cocotb), ``bench.json``,
        ``rows.mem``, ``expected.mem``, ``Makefile``, ``TESTBENCH.txt``.

    Raises
    ------
    ValueError
        If the rows or the outputs do not fit the ports.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_job(folder, design, stimulus, expected, seed=seed)
    here = Path(__file__).parent
    rows, outputs = len(stimulus["first"]), len(expected)
    values = {
        "TOP": design.top,
        "SOURCES": " ".join(name for name, _ in design.sources),
        "ROWS": rows,
        "OUTPUTS": outputs,
        "D_BITS": design.ports.output_bits,
        "LATENCY": design.latency,
        "FIELDS": ", ".join(f"{port.name} ({port.bits})" for port in design.ports.fields),
    }
    texts = {
        f"{design.top}_tb.v": plain_testbench(design, rows, outputs, seed=seed),
        "bench.py": (here / "bench.py").read_text(),
        "run.py": (here / "simulate.py").read_text(),
        "Makefile": _fill(_MAKEFILE, values),
        "TESTBENCH.txt": _fill(_README, values),
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    names = [*(name for name, _ in design.sources), *texts, "bench.json", "rows.mem", "expected.mem"]
    return [folder / name for name in names]


def _fill(text: str, values: Mapping[str, object]) -> str:
    """Put values in the place of their names."""
    for name, value in values.items():
        text = text.replace(f"@{name}@", str(value))
    return text
