# SPDX-License-Identifier: Apache-2.0
"""Write the testbench that goes beside a unit's Verilog, for those who receive it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from testbenches.design import Design, write_job
from testbenches.lint import check_script, messages, waivers
from testbenches.plain import plain_testbench
from testbenches.template import fill

__all__ = [
    "export_testbench",
    "scripts",
]

_HEAD = """\
# SPDX-License-Identifier: Apache-2.0
@HELP@
@VARIABLES@

"""
_TARGETS = {
    "plain": (
        "make         the testbench in plain Verilog, in Icarus Verilog; a line a mode tells how far it is",
        "",
        """\
plain: @TOP@_tb.v @SOURCES@ rows.mem expected.mem
	iverilog -g2005 -s @TOP@_tb -o @TOP@_tb.vvp -f @TOP@_tb.f
	vvp -n @TOP@_tb.vvp | tee @TOP@_tb.log
	grep -q '^PASS' @TOP@_tb.log
""",
    ),
    "cocotb": (
        "make cocotb  the bench in Python, in Icarus Verilog or Verilator (cocotb 2.1 or newer)",
        "PYTHON ?= python3\n",
        "cocotb:\n\t$(PYTHON) run.py\n",
    ),
    "lint": (
        "make lint    Verilator's lint with all its warnings; lint.vlt has the exceptions and their reasons",
        "VERILATOR ?= verilator\n",
        "lint:\n\t$(VERILATOR) --lint-only -Wall --top-module @TOP@ lint.vlt -f @TOP@.f\n",
    ),
    "check": (
        "make check   Yosys: no latch, no combinational loop, no net without a driver",
        "YOSYS ?= yosys\n",
        "check:\n\t$(YOSYS) -q -s check.ys\n",
    ),
}
_LEFT = {
    "plain": "@TOP@_tb.vvp @TOP@_tb.log",
    "cocotb": "sim_build __pycache__ build.log simulation.log results.json results.xml",
}


def scripts(top: str, sources: Mapping[str, str], *, cocotb: bool, testbench: bool = True) -> dict[str, str]:
    """Write what runs the checks of a folder.

    Parameters
    ----------
    top : str
        The module under test.
    sources : mapping of str to str
        Its Verilog by file name.
    cocotb : bool
        Whether there is a bench in Python.
    testbench : bool
        Whether there is one in plain Verilog.

    Returns
    -------
    dict of str to str
        By name: the list of sources ``<top>.f``, that with the testbench ``<top>_tb.f``, ``Makefile``, ``lint.vlt``
        (trimmed to what is needed where Verilator is installed) and ``check.ys``.
    """
    targets = {"plain": testbench, "cocotb": cocotb, "lint": True, "check": True}
    kept = [target for target, there in targets.items() if there]
    left = " ".join(_LEFT[target] for target in kept if target in _LEFT)
    makefile = _HEAD + "\n".join(_TARGETS[target][2] for target in kept)
    makefile += f"\nclean:\n\trm -rf {left}\n" if left else ""
    makefile += f"\n.PHONY: {' '.join(kept)}{' clean' if left else ''}\n"
    values = {
        "HELP": "\n".join(f"# {_TARGETS[target][0]}" for target in kept),
        "VARIABLES": "".join(_TARGETS[target][1] for target in kept).rstrip("\n"),
        "TOP": top,
        "SOURCES": " ".join(sources),
    }
    said = messages(sources, top)
    lists = {f"{top}.f": "".join(f"{name}\n" for name in sources)}
    if testbench:
        lists[f"{top}_tb.f"] = "".join(f"{name}\n" for name in (f"{top}_tb.v", *sources))
    return {
        **lists,
        "Makefile": fill(makefile, values),
        "lint.vlt": "\n".join(
            waivers(name, text, None if said is None else said[name]) for name, text in sources.items()
        ),
        "check.ys": check_script(list(sources), top),
    }


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
        ``rows.mem``, ``expected.mem``, and those of `scripts`.

    Raises
    ------
    ValueError
        If the rows or the outputs do not fit the ports.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_job(folder, design, stimulus, expected, seed=seed)
    here = Path(__file__).parent
    rows, outputs = len(stimulus["first"]), len(expected)
    texts = {
        f"{design.top}_tb.v": plain_testbench(design, rows, outputs, seed=seed),
        "bench.py": (here / "bench.py").read_text(),
        "run.py": (here / "simulate.py").read_text(),
        **scripts(design.top, dict(design.sources), cocotb=True),
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    names = [*(name for name, _ in design.sources), *texts, "bench.json", "rows.mem", "expected.mem"]
    return [folder / name for name in names]
