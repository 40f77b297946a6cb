# SPDX-License-Identifier: Apache-2.0
"""Presets: the figures of their sources, files of the user's, and what is said of wrong ones."""

import re
from pathlib import Path

import pytest

from cost_models.memory import dram, preset, preset_names, sram

KIB, MIB = 1024, 1024 * 1024
TEXT = """
title = "mine"
source = "me"
node_nm = 28
dram = "hbm2"
wire = "gpu28"
registers = "zigzag_2b"
[sram]
points = [[1024, 0.1, 0.2], [4096, 0.4, 0.8]]
"""


def test_presets_horowitz() -> None:
    known = preset("horowitz45")
    # ISSCC 2014: 64 bit of 8 kB, 32 kB and 1 MB take 10, 20 and 100 pJ, of a DRAM 1300 at least
    for capacity, energy_pj in ((8 * KIB, 10), (32 * KIB, 20), (MIB, 100)):
        assert 64 * known.sram(capacity, 64).read_pj_per_bit == pytest.approx(energy_pj)
        assert 64 * known.sram(capacity, 64).write_pj_per_bit == pytest.approx(energy_pj)
    assert 64 * known.dram.energy_pj_per_bit == pytest.approx(1300, rel=1e-3)
    assert 64 * known.wire.pj_per_bit_mm == pytest.approx(64 * 0.12)


def test_presets_tpu() -> None:
    known = preset("tpu_v4i_7")
    # Jouppi et al., ISCA 2021, table 2, 64 bit at 7 nm; accelforge tpu_v4i.yaml, pJ/bit
    for capacity, energy_pj in ((8 * KIB, 7.5), (32 * KIB, 8.5), (MIB, 14)):
        assert 64 * known.sram(capacity, 64).read_pj_per_bit == pytest.approx(energy_pj)
    local, shared = known.sram(4 * MIB, 128), known.sram(128 * MIB, 128)
    assert (local.read_pj_per_bit, local.write_pj_per_bit) == pytest.approx((0.249, 0.293))
    assert (shared.read_pj_per_bit, shared.write_pj_per_bit) == pytest.approx((1.88, 2.36))
    assert 64 * known.dram.energy_pj_per_bit == pytest.approx(450, rel=1e-3)


def test_presets_cacti() -> None:
    known = preset("cacti22")
    assert known.sram(64 * KIB, 128) == sram(64 * KIB, 128, 22)
    assert known.dram == dram("hbm2")
    assert preset_names() == ("cacti22", "horowitz45", "tpu_v4i_7")


def test_presets_own_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(TEXT)
    known = preset(path)
    assert (known.name, known.node_nm, known.dram.name, known.registers.name) == ("mine", 28, "hbm2", "zigzag_2b")
    assert known.sram(2048, 32).write_pj_per_bit == pytest.approx(0.4)  # the geometric mean of 0.2 and 0.8


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("title", "titel", "mine.toml: unknown key 'titel'; did you mean 'title'?"),
        ("node_nm", "node", "mine.toml: key 'node' lacks its unit: write 'node_nm'"),
        ('wire = "gpu28"', "", "mine.toml: missing wire"),
        ("28\ndram", "28.5\ndram", "mine.toml: node_nm must be an integer, not 28.5"),
        ('"me"', "3", "mine.toml: source must be a string, not 3"),
        ("[sram]", "[other]", "mine.toml: table [sram] is missing"),
        ("points", "node_nm = 22\npoints", "mine.toml: [sram] must have either points, or the node_nm of a CACTI grid"),
        ("[[1024, 0.1, 0.2], [4096, 0.4, 0.8]]", "[]", "mine.toml: [sram] must have either points, or the node_nm of"),
        ("[1024, 0.1, 0.2]", "[1024, 0.1]", "mine.toml: [sram] points must be lists of bytes, pJ/bit of a read and"),
        ("[1024, 0.1, 0.2]", "[8192, 0.1, 0.2]", "mine.toml: [sram] points must have ascending capacities, not [8192"),
        ("[sram]", "[sram", "{path}: not a TOML file: "),
    ],
)
def test_presets_file_wrong(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "mine.toml"
    assert old in TEXT
    path.write_text(TEXT.replace(old, new, 1))
    with pytest.raises(ValueError, match="^" + re.escape(message.format(path=path))):
        preset(path)


def test_presets_name_wrong(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match=r"^memory preset 'cacti' is unknown; close matches: cacti22$"):
        preset("cacti")
    with pytest.raises(
        FileNotFoundError, match="^" + re.escape(f"memory preset {tmp_path / 'no.toml'} does not exist")
    ):
        preset(tmp_path / "no.toml")
    path = tmp_path / "mine.toml"
    path.write_text(TEXT.replace("hbm2", "hbm9"))
    with pytest.raises(LookupError, match=r"^DRAM 'hbm9' is unknown; close matches: hbm2"):
        preset(path)
