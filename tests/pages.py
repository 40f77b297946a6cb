# SPDX-License-Identifier: Apache-2.0
"""Fenced blocks of Markdown pages, run as a reader would: those marked `tested`, and what they print.

A block's info string is its language, then marks: `sh tested` and `python tested` run, in the page's own folder, one
after the other; `text output` is what the tested block before it prints; `text about` the same, with numbers within
3 % (float32 sums of another machine may move an accuracy by an image). A line `...` stands for any lines.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "Block",
    "blocks",
    "commands",
    "environment",
    "run",
    "run_page",
    "unlike",
]

FENCE = re.compile(r"^(?P<fence>`{3,})(?P<info>[^\n`]*)\n(?P<body>.*?)^(?P=fence)[ \t]*$", re.MULTILINE | re.DOTALL)
MARKS = {"tested", "output", "about"}
NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
TOLERANCE = 0.03


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block: its language, its mark or "", the line of its fence, its text."""

    language: str
    mark: str
    line: int
    body: str

    @property
    def tested(self) -> bool:
        """Whether it is run."""
        return self.mark == "tested"


def blocks(page: Path) -> list[Block]:
    """Read the fenced blocks of a page."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in FENCE.finditer(text):
        language, *marks = match["info"].split() or [""]
        line = text.count("\n", 0, match.start()) + 1
        assert len(marks) <= 1, f"{page.name}:{line}: more than one mark in {match['info']!r}"
        assert set(marks) <= MARKS, f"{page.name}:{line}: unknown mark in {match['info']!r}"
        found.append(Block(language=language, mark="".join(marks), line=line, body=match["body"]))
    return found


def commands(block: Block) -> list[str]:
    """Split a shell block into its commands, without comments."""
    body = re.sub(r"\\\n\s*", "", block.body)
    lines = [re.sub(r"(^|\s)#.*", "", line).strip() for line in body.splitlines()]
    return [command.strip() for line in lines for command in line.split("&&") if command.strip()]


def environment(scripts: Path) -> dict[str, str]:
    """Return the environment in which `hwsim` and `python` are those of this test."""
    path = str(Path(sys.executable).parent)
    if shutil.which("hwsim", path=path) is None:  # a checkout that is not installed
        script = scripts / "hwsim"
        script.write_text(f"#!{sys.executable}\nfrom hwsim.cli import main\n\nmain()\n")
        script.chmod(0o755)
        path = f"{scripts}{os.pathsep}{path}"
    return os.environ | {
        "PATH": f"{path}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "MPLBACKEND": "Agg",
    }


def run(block: Block, folder: Path, variables: dict[str, str]) -> str:
    """Run a tested block in a folder and return what it prints; fail where it fails."""
    runner = {"sh": ["bash", "-eu", "-c"], "python": [sys.executable, "-c"]}[block.language]
    result = subprocess.run(
        [*runner, block.body], cwd=folder, env=variables, capture_output=True, text=True, timeout=600, check=False
    )
    assert result.returncode == 0, f"line {block.line}\n{result.stdout}{result.stderr}"
    assert "Traceback" not in result.stderr, f"line {block.line}\n{result.stderr}"
    return result.stdout


def run_page(page: Path, folder: Path, variables: dict[str, str]) -> tuple[int, int]:
    """Run a page's tested blocks in order, compare their outputs, and return how many blocks and lines there were."""
    ran = compared = 0
    printed = ""
    for block in blocks(page):
        if block.tested:
            printed = run(block, folder, variables)
            ran += 1
        elif block.mark:
            found = unlike(block.body.splitlines(), printed.splitlines(), exact=block.mark == "output")
            assert not found, f"{page.name}:{block.line}: {found}\n{printed}"
            compared += len(block.body.splitlines())
    return ran, compared


def unlike(shown: Sequence[str], printed: Sequence[str], *, exact: bool) -> str:
    """Return what a page shows that was not printed, or ""; trailing blanks and empty ends do not count."""
    left = [line.rstrip() for line in printed]
    anywhere = False
    for line in (each.rstrip() for each in shown):
        if line == "...":
            anywhere = True
            continue
        place = next((i for i, each in enumerate(left if anywhere else left[:1]) if _same(line, each, exact)), None)
        if place is None:
            return f"{line!r} is shown, {left[0] if left else 'nothing'!r} was printed"
        left, anywhere = left[place + 1 :], False
    rest = [line for line in left if line]
    return "" if anywhere or not rest else f"{rest[0]!r} was printed, and is not shown"


def _same(shown: str, printed: str, exact: bool) -> bool:
    """Tell whether two lines are equal, or equal but for numbers that are near each other."""
    if exact or shown == printed:
        return shown == printed
    if re.sub(r"[ ─━]+", " ", NUMBER.sub("", shown)) != re.sub(r"[ ─━]+", " ", NUMBER.sub("", printed)):
        return False
    pairs = zip(NUMBER.findall(shown), NUMBER.findall(printed), strict=True)
    return all(_near(float(one.replace(",", "")), float(other.replace(",", ""))) for one, other in pairs)


def _near(one: float, other: float) -> bool:
    return abs(one - other) <= TOLERANCE * max(abs(one), abs(other))
