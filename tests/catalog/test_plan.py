# SPDX-License-Identifier: Apache-2.0
"""The rows of the catalog."""

from collections import Counter
from pathlib import Path

import pytest

from hwsim import accelerator, datapath
from hwsim.catalog import Row, plan
from hwsim.cli_compare import DEFAULT_FORMATS


def test_plan_has_every_technology_and_what_the_commands_ask_for() -> None:
    rows = plan()
    priced = {(row.spec.name, row.technology, row.pipeline) for row in rows}
    assert len(rows) == len(priced) > 250
    counts = Counter(row.technology for row in rows)
    assert set(counts) >= {
        "asap7", "nangate45", "sky130hd", "ihp130", "gf180", "osu018", "ecp5", "ecp5_dsp", "ice40", "gowin", "xc7",
        "xc7_dsp", "xcup",
    }  # fmt: skip
    assert counts["asap7"] > 140
    for name in DEFAULT_FORMATS:
        unit = datapath.comparable(name, 16).name
        for technology in ("asap7", "nangate45", "ecp5", "ecp5_dsp"):
            assert (unit, technology, 3) in priced
    for name in accelerator.presets():
        preset = accelerator.read(name)
        assert (preset.unit.name, preset.technology, preset.pipeline) in priced


def test_plan_of_some_technologies() -> None:
    rows = plan(["gf180", "xcup"])
    assert {row.technology for row in rows} == {"gf180", "xcup"}
    assert rows == tuple(row for row in plan() if row.technology in ("gf180", "xcup"))


def test_plan_of_the_user(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        '[groups]\nsmall = ["int2", "int3"]\n'
        '[[rows]]\ngroups = ["small"]\nunits = ["int4_l4"]\ntechnologies = ["gf180"]\n'
        '[[rows]]\ngroups = ["small"]\ncomparable_lanes = 8\npipeline = 3\ntechnologies = ["ecp5"]\n',
        encoding="utf-8",
    )
    assert plan(path=path) == (
        Row("int2", "gf180", 2),
        Row("int3", "gf180", 2),
        Row("int4_l4", "gf180", 2),
        Row("int2_l8_int16_to_float32", "ecp5", 3),
        Row("int3_l8_int18_to_float32", "ecp5", 3),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rows = 1 2", r"mine\.toml: not a TOML file: "),
        ("[[rows]]\nunit = 1", r"mine\.toml: rows\[0\]: unknown key 'unit'; there are comparable_lanes, groups, "),
        ('[[rows]]\ngroups = ["small"]', r"mine\.toml: rows\[0\]: group 'small' is not in \[groups\], which has "),
        (
            '[[rows]]\nunits = ["int4"]\ntechnologies = ["tsmc5"]',
            r"mine\.toml: rows\[0\]: technology 'tsmc5' is unknown; there are asap7, ",
        ),
        ("", r"mine\.toml: rows must be one \[\[rows\]\] table or more, not \[\]"),
        ("rows = 3", r"mine\.toml: rows must be one \[\[rows\]\] table or more, not 3"),
        ("[[row]]", r"mine\.toml: unknown key 'row'; there are groups, rows"),
        ("groups = 3", r"mine\.toml: groups must be a table, not 3"),
        ("[groups]\nsmall = 'int4'", r"mine\.toml: groups\.small must be a list of names, not 'int4'"),
        ("[[rows]]\nunits = 'int8'", r"mine\.toml: rows\[0\]\.units must be a list of names, not 'int8'"),
        ("[[rows]]\npipeline = 0", r"mine\.toml: rows\[0\]\.pipeline must be an integer of at least 1, not 0"),
        ("[[rows]]\npresets = 1", r"mine\.toml: rows\[0\]\.presets must be true or false, not 1"),
        ("[[rows]]\nunits = ['int8']", r"mine\.toml: rows\[0\] must have units or groups, and technologies, or "),
    ],
)
def test_plan_file_wrong(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        plan(path=path)


def test_plan_technologies_wrong() -> None:
    with pytest.raises(LookupError, match=r"technology 'asap9' is unknown; close matches: asap7"):
        plan(["asap9"])


def test_plan_path_wrong(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"plan file .*none\.toml does not exist"):
        plan(path=tmp_path / "none.toml")
