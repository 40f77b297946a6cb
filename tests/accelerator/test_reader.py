# SPDX-License-Identifier: Apache-2.0
"""Accelerator files: what is read, and what is said of wrong ones."""

import re
from importlib import resources
from pathlib import Path

import pytest

from hwsim import accelerator, datapath
from hwsim.accelerator import Dataflow
from hwsim.network import Rule

TEXT = (resources.files("hwsim.accelerator") / "presets" / "int8_16x16.toml").read_text()


def test_reader_preset_fields() -> None:
    spec = accelerator.read("int8_16x16")
    assert spec.unit == datapath.named("int8")
    assert (spec.array.rows, spec.array.columns, spec.array.dataflow) == (16, 16, Dataflow.OUTPUT_STATIONARY)
    assert spec.requantization is Rule.ONNX
    assert accelerator.read("int8_16x16_ws_tflite").requantization is Rule.TFLITE


def test_reader_every_preset_reads() -> None:
    names = accelerator.presets()
    assert len(names) >= 3
    for name in names:
        assert accelerator.read(name).name == name


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("rows = 16", "rowz = 16", "unknown key 'array.rowz'; did you mean 'rows'?"),
        ("rows = 16", "rows = 0", "array: rows must be in 1..4096, not 0"),
        ("rows = 16", "rows = 1.5", "array.rows must be an int, not 1.5"),
        ("rows = 16", "", "array.rows is missing"),
        ('unit = "int8" ', 'unit = "int9x" ', "unit: unknown unit 'int9x'"),
        ('unit = "int8" ', 'unit = "int99" ', "unit: bits must be in 1..64, not 99"),
        (
            "output_stationary",
            "input_stationary",
            "array.dataflow must be one of 'output_stationary', 'weight_stationary'",
        ),
        ('"onnx"', '"torch"', "requantization must be one of 'onnx', 'tflite', not 'torch'"),
        ("[memory.dram]", "[memory.hbm]", "unknown key 'memory.hbm'"),
        ("clock_mhz = 500", "clock_mhz = 0", "clock_mhz must be in 1..10000, not 0"),
        ("sram_node_nm = 22", "sram_node_nm = 7", "sram_node_nm must be 45, 32 or 22, not 7"),
        ("[array]", "[array", "not a TOML file"),
        (
            "bits_per_cycle = 64",
            "bits_per_cycle = 64\nrow_pjs = 3",
            "unknown key 'memory.dram.row_pjs'; did you mean 'row_pj'?",
        ),
        ("[memory.dram]", "[memory.wire]\nname = 'gpu28'\n[memory.dram]", "memory.wire.length_mm is missing"),
        (
            "[memory.dram]",
            "[memory.wire]\nname = 'gpu28'\nlength_mm = 200\n[memory.dram]",
            "memory.wire: length_mm must be in 0..100, not 200.0",
        ),
        (
            "[memory.dram]",
            "[memory.wire]\nname = 'gpu28'\nlength_mm = 'far'\n[memory.dram]",
            "memory.wire.length_mm must be a number, not 'far'",
        ),
        ("[memory.dram]", "[memory.wire]\nlength_mm = 2\n[memory.dram]", "memory.wire.name is missing"),
        ("[memory.dram]", "[memory]\npreset = 3\n[memory.dram]", "memory.preset must be a str, not 3"),
        (
            "[memory.dram]",
            "[memory]\npreset = 'cacti22'\n[memory.dram]",
            "sram_node_nm must be left out with a memory preset, not 22",
        ),
        ('kind = "lpddr4"', "", "memory.dram.kind is missing"),
        ("sram_node_nm = 22", "", "sram_node_nm is missing"),
    ],
)
def test_reader_text_wrong(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in TEXT
    file = tmp_path / "mine.toml"
    file.write_text(TEXT.replace(old, new, 1))
    with pytest.raises((TypeError, ValueError), match=re.escape(f"{file}: {message}")):
        accelerator.read(file)


def test_reader_path_wrong(tmp_path: Path) -> None:
    with pytest.raises(
        FileNotFoundError, match=r"^no accelerator file 'int8_16x17'; did you mean the preset int8_16x16"
    ):
        accelerator.read("int8_16x17")
    with pytest.raises(ValueError, match=re.escape(f"{tmp_path}: is a directory, not a TOML file")):
        accelerator.read(tmp_path)
    file = tmp_path / "binary.toml"
    file.write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(ValueError, match=re.escape(f"{file}: not a TOML file: it is not text")):
        accelerator.read(file)
