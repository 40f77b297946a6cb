# SPDX-License-Identifier: Apache-2.0
"""Accelerator files: what is read, and what is said of wrong ones."""

import re
from importlib import resources
from pathlib import Path

import pytest

from hwsim import accelerator, datapath
from hwsim.accelerator import ArrayKind, Folds, MappingSpec, Objective
from hwsim.network import Rule
from hwsim.network.nonlinear import GeluKind, LayerNormKind, NonlinearSpec, SoftmaxKind

TEXT = (resources.files("hwsim.accelerator") / "presets" / "int8_16x16.toml").read_text()


def test_reader_preset_fields() -> None:
    spec = accelerator.read("int8_16x16")
    assert spec.unit == datapath.named("int8")
    assert (spec.array.rows, spec.array.columns, spec.array.dataflow) == (16, 16, ArrayKind.OUTPUT_STATIONARY)
    assert spec.requantization is Rule.ONNX
    assert accelerator.read("int8_16x16_ws_tflite").requantization is Rule.TFLITE


def test_reader_every_preset_reads() -> None:
    names = accelerator.presets()
    assert len(names) >= 9
    assert [accelerator.read(name).name for name in names] == list(names)


def test_reader_defaults_and_every_key_of_arrays(tmp_path: Path) -> None:
    spec = accelerator.read("int8_16x16")
    assert (spec.array.depth, spec.array.count, spec.array.folds, spec.array.serial_bits) == (1, 1, Folds.STREAMED, 0)
    assert spec.nonlinear == NonlinearSpec()
    assert spec.mapping == MappingSpec()
    assert spec.weights.double_buffered
    assert (spec.element, spec.step_cycles) == (spec.unit, 1)
    file = tmp_path / "mine.toml"
    text = TEXT.replace('dataflow = "output_stationary"', 'dataflow = "cube"\ndepth = 4\ncount = 3\nfolds = "serial"')
    text = text.replace("kilobytes = 64", "kilobytes = 64\ndouble_buffered = false", 1)
    text = text.replace("rows = 16", "rows = 16\nserial_bits = 3")
    text += '[nonlinear]\nsoftmax = "online"\ngelu = "shift_gelu"\nlayer_norm = "i_layer_norm_float32"\ntile = 32\n'
    file.write_text(text + '[mapping]\nobjective = "edp"\nlimit = 7\n')
    spec = accelerator.read(file)
    array = spec.array
    assert (array.dataflow, array.depth, array.count, array.folds) == (ArrayKind.CUBE, 4, 3, Folds.SERIAL)
    assert (array.serial_bits, spec.step_cycles) == (3, 3)  # 8 bits, 3 a cycle
    assert spec.element == datapath.named("int8_l4")
    assert spec.nonlinear == NonlinearSpec(
        softmax=SoftmaxKind.ONLINE,
        gelu=GeluKind.SHIFT_GELU,
        layer_norm=LayerNormKind.I_LAYER_NORM_FLOAT32,
        tile=32,
    )
    assert spec.mapping == MappingSpec(objective=Objective.EDP, limit=7)
    assert (spec.activations.double_buffered, spec.weights.double_buffered) == (False, True)


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
            "row_stationary",
            (
                "array.dataflow must be one of 'output_stationary', 'weight_stationary', 'input_stationary', "
                "'broadcast', 'cube', 'adder_tree', not 'row_stationary'"
            ),
        ),
        ('"output_stationary"', '"cube"', "array: depth must be in 2..64, not 1"),
        ("rows = 16", "rows = 16\ndepth = 2", "array: depth must be in 1..1, not 2"),
        ("rows = 16", "rows = 16\ncount = 0", "array: count must be in 1..1024, not 0"),
        ("rows = 16", "rows = 16\nfolds = 'both'", "array.folds must be one of 'streamed', 'serial', not 'both'"),
        ("rows = 16", "rows = 16\nserial_bits = 9", "array.serial_bits must be in 1..8, not 9"),
        ("rows = 16", "rows = 16\nserial_bits = -1", "array: serial_bits must be in 0..64, not -1"),
        (
            "kilobytes = 64",
            "kilobytes = 64\nbanks = 5",
            "memory.activations: banks must divide the 64 kilobytes, not 5",
        ),
        (
            "kilobytes = 64",
            "kilobytes = 64\ndouble_buffered = 1",
            "memory.activations.double_buffered must be true or false, not 1",
        ),
        (
            "[memory.dram]",
            "[nonlinear]\nsoftmax = 'soft'\n[memory.dram]",
            (
                "nonlinear.softmax must be one of 'float', 'shiftmax', 'shiftmax_float32', 'online', 'two_pass', "
                "not 'soft'"
            ),
        ),
        ("[memory.dram]", "[nonlinear]\ntile = 0\n[memory.dram]", "nonlinear: tile must be in 1..65536, not 0"),
        (
            "[memory.dram]",
            "[mapping]\nobjective = 'speed'\n[memory.dram]",
            "mapping.objective must be one of 'latency', 'energy', 'edp', not 'speed'",
        ),
        ("[memory.dram]", "[mapping]\nlimit = 0\n[memory.dram]", "mapping: limit must be in 1..1000000, not 0"),
        (
            "[memory.dram]",
            "[mapping]\nlimits = 3\n[memory.dram]",
            "unknown key 'mapping.limits'; did you mean 'limit'?",
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


@pytest.mark.parametrize(
    ("unit", "array", "message"),
    [
        (
            "bfloat16",
            'dataflow = "broadcast"\nserial_bits = 1',
            "array.serial_bits must be 0 for unit bfloat16_l1_float32, whose operands are not both integers, not 1",
        ),
        (
            "mxfp4_l16",
            'dataflow = "adder_tree"',
            (
                "array: adder_tree takes 3 steps of unit mxfp4_l16_float32 as one: lanes must divide a's block of 32, "
                "or be a multiple of it, and 48 is neither"
            ),
        ),
        (
            "int8_l512",
            'dataflow = "adder_tree"',
            "array: adder_tree takes 3 steps of unit int8_l512_int32 as one: lanes must be in 1..1024, not 1536",
        ),
    ],
)
def test_reader_array_and_unit_wrong(tmp_path: Path, unit: str, array: str, message: str) -> None:
    file = tmp_path / "mine.toml"
    text = TEXT.replace('unit = "int8"', f'unit = "{unit}"').replace('dataflow = "output_stationary"', array)
    file.write_text(text.replace("rows = 16", "rows = 3"))
    with pytest.raises(ValueError, match=f"^{re.escape(f'{file}: {message}')}$"):
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


def test_reader_changes_are_as_if_in_the_file(tmp_path: Path) -> None:
    changes = {"array.rows": 8, "unit": "int8_l4", "memory.wire.name": "technology", "memory.wire.length_mm": 1}
    spec = accelerator.read("int8_16x16", changes=changes)
    file = tmp_path / "int8_16x16.toml"
    text = TEXT.replace("rows = 16", "rows = 8").replace('unit = "int8"', 'unit = "int8_l4"')
    file.write_text(text + '[memory.wire]\nname = "technology"\nlength_mm = 1\n')
    assert spec == accelerator.read(file)
    assert accelerator.read("int8_16x16").array.rows == 16  # the preset is as it was
    assert accelerator.read_text(*accelerator.toml_text("int8_16x16")) == accelerator.read("int8_16x16")


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"array.rws": 8}, accelerator.UnknownNameError, "unknown key 'array.rws'; did you mean array.rows"),
        ({"rows": 8}, accelerator.UnknownNameError, "unknown key 'rows'"),
        ({"array": 8}, accelerator.UnknownNameError, "unknown key 'array'"),
        ({"array.dataflow": "tree"}, accelerator.UnknownNameError, "array.dataflow must be one of 'output_stationary'"),
        ({"array.rows": 0}, ValueError, "array: rows must be in 1..4096, not 0"),
        ({"array.rows": 8.0}, TypeError, "array.rows must be an int, not 8.0"),
        ({"clock_mhz": True}, TypeError, "clock_mhz must be an int, not True"),
    ],
)
def test_reader_changes_wrong(changes: dict[str, object], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=f"^preset int8_16x16: {re.escape(message)}") as caught:
        accelerator.read("int8_16x16", changes=changes)
    assert caught.type is kind
