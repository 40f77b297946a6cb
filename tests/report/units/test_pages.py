# SPDX-License-Identifier: Apache-2.0
"""The pages that are checked in are those that the catalog gives."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from hwsim.datapath import hardware
from hwsim.report.units.pages import pages, write_pages


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    """Return the pages that the catalog gives, made once."""
    return pages()


def test_pages_are_checked_in(root: Path, made: dict[str, str]) -> None:
    folder = root / "docs" / "units"
    there = {file.name for file in folder.iterdir()}
    again = "run `python -m hwsim.report.units docs/units`"
    assert there == set(made), again
    for name, text in made.items():
        assert (folder / name).read_bytes() == text.encode(), f"{name}: {again}"


def test_pages_have_every_unit_once(made: dict[str, str]) -> None:
    listed = [name for text in made.values() for name in re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)]
    assert sorted(listed) == sorted(entry.name for entry in hardware.entries())
    links = re.findall(r"\]\(([^)]+)\)", made["index.md"])
    assert sorted(links) == sorted(name for name in made if name != "index.md")


def test_pages_say_how_a_unit_is_known(made: dict[str, str]) -> None:
    text = made["hopper_sm_90a.md"]
    group = next(part for part in text.split("\n## ") if "`hopper_wgmma_m64n8k32_f32_e4m3_e4m3`" in part)
    row = next(line for line in group.splitlines() if line.startswith("| `hopper_wgmma_m64n8k32_f32_e4m3_e4m3` |"))
    assert row.endswith("| measured (1) |")
    assert re.search(r"^1\. captured on an H200", text, re.MULTILINE)
    assert "cut toward zero at 2^(e - 13)" in group
    assert "13 of 23 mantissa bits kept" in group


def test_pages_are_one_an_architecture(made: dict[str, str]) -> None:
    assert [name for name in made if name.startswith("ampere")] == ["ampere_sm_80_sm_86.md"]
    assert "`ampere_mma_m8n8k4_f64` | `mma.sync.m8n8k4.f64` (Ampere (sm_80)) |" in made["ampere_sm_80_sm_86.md"]


def test_pages_say_each_way_once(made: dict[str, str]) -> None:
    for name, text in made.items():
        said = re.findall(r"^## .*$", text, re.MULTILINE)
        stages = re.findall(r"^\| accumulate \|", text, re.MULTILINE)
        assert len(stages) == len(said), name
        assert len(text.splitlines()) < 450, name


def test_pages_write(tmp_path: Path, made: dict[str, str]) -> None:
    (tmp_path / "gone.md").write_text("a page of an architecture that is no more")
    (tmp_path / "mine.txt").write_text("left alone")
    assert write_pages(tmp_path) == (len(made), ["gone.md"])
    assert {file.name for file in tmp_path.iterdir()} == {*made, "mine.txt"}


def test_pages_command_usage() -> None:
    command = [sys.executable, "-m", "hwsim.report.units"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stderr == "usage: python -m hwsim.report.units FOLDER\n"
