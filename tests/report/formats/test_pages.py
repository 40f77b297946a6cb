# SPDX-License-Identifier: Apache-2.0
"""The pages that are checked in are those that the specs give."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from hwsim.formats.catalog import entries, named, names
from hwsim.report.formats.facts import element, facts
from hwsim.report.formats.pages import page, pages, write_pages


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    """Return the pages that the specs give, made once."""
    return pages()


def test_pages_are_checked_in(root: Path, made: dict[str, str]) -> None:
    folder = root / "docs" / "formats"
    there = {file.name for file in folder.iterdir()}
    again = "run `python -m hwsim.report.formats docs/formats`"
    assert there == set(made), again
    for name, text in made.items():
        assert (folder / name).read_bytes() == text.encode(), f"{name}: {again}"
    assert len(there) == 2 * len(entries()) + 1


def test_pages_link_only_to_what_is_there(made: dict[str, str]) -> None:
    links = 0
    for name, text in made.items():
        for target in re.findall(r"\]\(([^)]+)\)", text):
            assert target in made, (name, target)
            links += 1
    assert links >= 2 * len(entries())


def test_pages_show_every_code() -> None:
    for name in ("float8_e4m3fn", "int4", "float6_e3m2fn", "mxfp4"):
        table = page(facts(name)).split("## Values")[1].splitlines()
        cells = [cell for line in table if line.startswith("| `0x") for cell in line.split(" | ")[1:]]
        assert len(cells) == 1 << element(named(name)).bits


def test_pages_python_runs() -> None:
    """Run what the pages show, with an array for `x` and `values`, and the codes that they make for `codes`."""
    import numpy as np

    ran = 0
    for name in ("float8_e4m3fn", "int8", "mxfp4", "float4_e2m1fn"):
        code = re.findall(r"```python\n(.*?)```", page(facts(name)), re.DOTALL)
        held = {"x": np.linspace(-3, 3, 64).reshape(2, 32), "values": np.linspace(-3, 3, 64)}
        for block in code:
            exec(block, held)
            ran += 1
    assert ran == 4


def test_pages_written(tmp_path: Path, made: dict[str, str]) -> None:
    (tmp_path / "gone.md").write_text("a format of the past")
    count, gone = write_pages(tmp_path)
    assert (count, gone) == (len(made), ["gone.md"])
    assert {file.name for file in tmp_path.iterdir()} == set(made)
    assert f"[{names()[0]}]" in (tmp_path / "index.md").read_text()


def test_pages_command_usage() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hwsim.report.formats"], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr == "usage: python -m hwsim.report.formats FOLDER\n"
