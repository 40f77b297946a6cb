# SPDX-License-Identifier: Apache-2.0
"""What the README prints runs: blocks marked `tested` here, the installing commands in .ci/run."""

import re
import subprocess
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest

README = Path(__file__).resolve().parents[1] / "README.md"


@pytest.fixture(scope="module")
def environment(pages: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the environment in which `hwsim` and `python` are those of this test."""
    found: dict[str, str] = pages.environment(tmp_path_factory.mktemp("bin"))
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder in which all blocks run, one after the other, as a reader would."""
    return tmp_path_factory.mktemp("reader")


def test_readme_runs(pages: ModuleType, environment: dict[str, str], folder: Path) -> None:
    ran, _ = pages.run_page(README, folder, environment)
    assert ran >= 5


def test_readme_every_command_is_run(pages: ModuleType, root: Path) -> None:
    ci = (root / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    run = {command.strip() for line in ci for command in line.split("&&")}
    shell = [block for block in pages.blocks(README) if block.language in {"sh", "bash", "shell", "console"}]
    commands = [(block.line, command) for block in shell if not block.tested for command in pages.commands(block)]
    assert len(commands) >= 4, "the README's two commands install and run, install and test"
    for line, command in commands:
        assert command in run, f"README.md:{line}: {command!r} stands in no `sh tested` block and not in .ci/run"


def test_readme_comparison_is_what_the_command_prints(
    pages: ModuleType, environment: dict[str, str], folder: Path
) -> None:
    command = ["hwsim", "compare", "--fpga", "--no-measure", "--plot", str(folder / "readme.png")]
    result = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=True
    )
    printed = next(block.body for block in pages.blocks(README) if "plot: formats.png" in block.body)
    ours, theirs = _tables(result.stdout), _tables(printed)
    assert [len(rows) for rows in ours.values()] == [2] * 8
    assert ours.keys() == theirs.keys()
    for name, (main, fpga) in ours.items():
        # Measured on any machine alike; the accuracy goes through float32 sums of this one's: two images of 360. So
        # does the last column, which front it is on.
        wanted, wanted_fpga = theirs[name]
        assert fpga == wanted_fpga, name
        assert main[1:12] == wanted[1:12], name
        assert abs(float(main[0]) - float(wanted[0])) < 0.6, name


def _tables(text: str) -> dict[str, list[list[str]]]:
    """Read the cells of what `hwsim compare` prints by format: of each of its tables."""
    rows: dict[str, list[list[str]]] = {}
    for line in text.splitlines():
        name, *cells = re.split(r"\s{2,}", line.strip())
        if cells and re.fullmatch(r"[\d.]+", cells[0].replace(",", "")):
            rows.setdefault(name, []).append(cells)
    return rows


@pytest.mark.parametrize("command", ["formats", "units"])
def test_readme_output_is_what_the_command_prints(
    command: str, pages: ModuleType, environment: dict[str, str], folder: Path
) -> None:
    compared = 0
    for block, printed in pairwise(pages.blocks(README)):
        if not block.body.startswith(f"hwsim {command} ") or printed.language != "text" or block.language == "text":
            continue
        result = subprocess.run(
            block.body.split(), cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=True
        )
        shown = printed.body.splitlines()
        lines = [line.rstrip() for line in result.stdout.splitlines()]
        if command == "units":  # the README stops before the tables of the steps
            lines = lines[: len(shown)]
        assert lines == shown, f"README.md:{printed.line}"
        compared += len(lines)
    assert compared >= 12
