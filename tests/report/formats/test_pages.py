# SPDX-License-Identifier: Apache-2.0
"""The pages that are checked in are those that the specs give."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from amaranth.hdl import Fragment

from hwsim.codecs import write_codec
from hwsim.formats import BlockSpec
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


def test_pages_python_runs(made: dict[str, str]) -> None:
    """Run the Python of every page as it stands there."""
    ran = built = 0
    for entry in entries():
        blocks = re.findall(r"```python\n(.*?)```", made[f"{entry.name}.md"], re.DOTALL)
        assert len(blocks) == 1, entry.name
        held: dict[str, Any] = {}
        exec(blocks[0], held)
        assert held["fmt"] == entry.spec
        assert held["values"].shape in ((4, 128), (16, 128)), entry.name
        for part in ("decoder", "encoder"):
            if part in held:
                Fragment.get(held[part], None)
                built += 1
        ran += 1
    assert ran == len(entries())
    assert built > 1.5 * ran


def test_pages_name_the_rtl_that_there_is(made: dict[str, str], tmp_path: Path) -> None:
    """What a page does not name, `hwsim verilog` refuses; what it names, Amaranth builds, here for one of each kind."""
    refused = 0
    written = []
    for entry in entries():
        commands = re.findall(r"hwsim verilog (\S+) --part (\S+) -o \S+", made[f"{entry.name}.md"])
        parts = [part for _, part in commands]
        assert {name for name, _ in commands} <= {entry.name}
        if not isinstance(entry.spec, BlockSpec):
            assert parts == ["decoder", "encoder"], entry.name
        for part in {"decoder", "encoder"} - set(parts):
            with pytest.raises(ValueError, match=r"block decoder|no encoder of its own"):
                write_codec(entry.name, part, tmp_path)
            refused += 1
        if entry.name in ("phase4", "mxfp4", "int4", "float64", "posit8_0", "nf4"):
            written += [write_codec(name, part, tmp_path / name)["module"] for name, part in commands]
    assert refused >= 39
    assert len(set(written)) == 5 * 2 + 1


def test_pages_define_every_format(made: dict[str, str]) -> None:
    for entry in entries():
        text = made[f"{entry.name}.md"].split("## Definition\n\n```text\n")[1].split("```")[0]
        assert "value = " in text, entry.name
    phase = made["phase4.md"]
    for said in ("quantize_phase", "scale_real", "scale_imag", "conj(x) * w", "PhaseDecoder", "PhaseSpec()"):
        assert said in phase


def test_pages_list_every_codebook_of_a_block(made: dict[str, str]) -> None:
    """The special values of BitMoD's table IV, one a codebook, at the code of the negative zero."""
    for name, code, specials in (("bitmod_fp4_g128", 8, "5 -5 8 -8"), ("bitmod_fp3_g128", 4, "3 -3 6 -6")):
        tables = made[f"{name}.md"].split("## Values of the elements")[1:]
        cells = [
            [cell for row in re.findall(r"^\| `0x.*", table, re.MULTILINE) for cell in row.strip("| ").split(" | ")[1:]]
            for table in tables
        ]
        assert [each[code] for each in cells] == specials.split()


@pytest.mark.parametrize(
    ("name", "code", "cell"),
    [
        ("int8_narrow", "0x80", "-128"),
        ("mxint8", "0x80", "-2"),
        ("bfp8_b64", "0x80", "-128"),
        ("nvint4", "0x8", "-8"),
        ("int4_g128", "0x8", "-8"),
    ],
)
def test_pages_mark_what_encode_never_makes(made: dict[str, str], name: str, code: str, cell: str) -> None:
    text = made[f"{name}.md"]
    assert f"| decoded, never made | {code} |" in text
    assert f"| `{code}` | {cell}\\* |" in text
    assert text.count("\\*") == 2  # the code and the note
    assert "\\*" not in made["int8.md"]


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
