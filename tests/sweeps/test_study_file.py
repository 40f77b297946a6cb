# SPDX-License-Identifier: Apache-2.0
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest

from hwsim import accelerator, data
from hwsim.study import DesignPoint
from hwsim.sweeps.study_file import Study, read_study

_CHECKOUT = Path(__file__).parents[2]
_STUDY = """
name = "arrays"
description = "A test."
layers = false

[parameters]
format = ["int8", "mxfp4"]
lanes = 16
array.rows = [2, 4]
"array.columns" = 4
quantization.smooth = ["default", 0.5]

[[exclude]]
format = "mxfp4"
array.rows = [2]
"""


def _file(folder: Path, text: str) -> Path:
    file = folder / "study.toml"
    file.write_text(text)
    return file


def _read(folder: Path, text: str) -> Study:
    return read_study(_file(folder, text))


def test_study_file_grid(tmp_path: Path) -> None:
    study = _read(tmp_path, _STUDY)
    assert (study.name, study.description, study.method, study.layers, study.costs) == (
        "arrays", "A test.", "grid", False, "known"
    )  # fmt: skip
    assert study.objectives == {"accuracy": "more", "energy_nj": "less", "area_mm2": "less"}
    assert study.selection().as_dict() == {
        "combinations": 8, "excluded": 2, "repeated": 0, "impossible": {}, "points": 6
    }  # fmt: skip
    assert DesignPoint.of(
        "int8", lanes=16, settings={"array.rows": 2, "array.columns": 4, "quantization.smooth": 0.5}
    ) in study.points()  # fmt: skip
    assert study.used("network", "digits") == ("digits",)


def test_study_file_name_is_the_files(tmp_path: Path) -> None:
    assert _read(tmp_path, "[parameters]\nformat = 'int8'").name == "study"


def test_study_file_list_is_grids_over_the_parameters(tmp_path: Path) -> None:
    study = _read(
        tmp_path,
        "[parameters]\ntechnology = 'nangate45'\n[[points]]\nformat = 'int8'\n"
        "[[points]]\nunit = ['int8_l4', 'mxfp4_l16']\ntechnology = 'asap7'\n",
    )
    assert study.method == "list"
    assert study.points() == (
        DesignPoint.of("int8", technology="nangate45"),
        DesignPoint.of("int8_l4"),
        DesignPoint.of("mxfp4_l16"),
    )


def test_study_file_random_and_pareto(tmp_path: Path) -> None:
    text = "[parameters]\nformat = ['int8', 'mxfp4', 'int4']\narray.rows = [2, 4, 8]\n[search]\n"
    study = _read(tmp_path, text + "method = 'random'\npoints = 4\nseed = 7\n")
    assert len(study.points()) == 4
    assert study.points() == study.space.random(4, 7).points
    study = _read(
        tmp_path,
        text + "method = 'pareto'\npoints = 6\npopulation = 3\nobjectives = {accuracy = 'more', latency_us = 'less'}\n"
        "limits = {area_mm2 = 0.5, accuracy = 0.9}\n",
    )
    assert study.is_search
    assert (study.count, study.population, study.seed) == (6, 3, 0)
    assert study.limits == {"area_mm2": 0.5, "accuracy": 0.9}


def test_study_file_networks_and_accelerators(tmp_path: Path) -> None:
    images = data.digits_test()[0][:8]
    np.savez(tmp_path / "images.npz", input=images)
    (tmp_path / "own.toml").write_text(accelerator.toml_text("mxfp4_4x4")[0].replace("rows = 4", "rows = 8"))
    (tmp_path / "net.onnx").write_bytes(data.digits_model_path(quantized=False).read_bytes())
    study = _read(
        tmp_path,
        "[networks.mine]\nmodel = 'net.onnx'\ninputs = 'images.npz'\nimages = 4\n"
        "[accelerators.own]\nfile = 'own.toml'\n"
        "[parameters]\nformat = 'int8'\nnetwork = ['digits', 'mine']\naccelerator = ['own', 'mxfp4_4x4']\n",
    )
    cases = study.cases()
    assert list(cases) == ["digits", "mine"]
    assert np.array_equal(cases["mine"].inputs["input"], images[:4])
    held = dict(cases["digits"].accelerators)
    assert tomllib.loads(held["own"])["array"]["rows"] == 8
    assert {point.network for point in study.points()} == {"digits", "mine"}


def test_study_file_network_of_an_option(tmp_path: Path) -> None:
    text = "[networks.resnet8]\nimages = 2\n[parameters]\nformat = 'int8'\nnetwork = 'resnet8'\n"
    with pytest.raises(ValueError, match=r"networks\.resnet8\.model is missing: give it there, or with --network"):
        _read(tmp_path, text)
    model = data.digits_model_path(quantized=False)
    study = read_study(_file(tmp_path, text), {"resnet8": model})
    case = study.cases()["resnet8"]
    assert case.images == 2
    with pytest.raises(FileNotFoundError, match=re.escape("--network resnet8: no file 'nowhere.onnx'")):
        read_study(_file(tmp_path, text), {"resnet8": "nowhere.onnx"})
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    with pytest.raises(ValueError, match=r"study\.toml: networks\.resnet8: "):
        read_study(_file(tmp_path, text), {"resnet8": tmp_path / "broken.onnx"}).cases()


def test_study_file_example() -> None:
    study = read_study(_CHECKOUT / "examples" / "sweep_arrays.toml")
    assert study.selection().as_dict() == {
        "combinations": 1536, "excluded": 192, "repeated": 0, "impossible": {}, "points": 1344
    }  # fmt: skip


def test_study_file_docs(tmp_path: Path) -> None:
    text = (_CHECKOUT / "docs" / "sweep.md").read_text()
    blocks = [block for block in re.findall(r"```toml\n(.*?)```", text, re.DOTALL) if "[parameters]" in block]
    studies = [_read(tmp_path, block) for block in blocks]
    assert [study.method for study in studies] == ["grid", "pareto"]
    assert [len(study.space) for study in studies] == [2 * 4 * 2 * 3, 10368]


def test_study_file_accuracy_without_labels_wrong(tmp_path: Path) -> None:
    text = "[parameters]\nformat = 'int8'\nnetwork = 'mine'\n[search]\nmethod = 'pareto'\npoints = 4\n"
    model = {"mine": data.digits_model_path(quantized=False)}
    with pytest.raises(
        ValueError, match="search: accuracy needs labels, which network mine has not: choose objectives"
    ):
        read_study(_file(tmp_path, text), model).cases()
    others = "objectives = {agreement = 'more', energy_nj = 'less'}\n"
    assert list(read_study(_file(tmp_path, text + others), model).cases()) == ["mine"]


def test_study_file_without_points_wrong(tmp_path: Path) -> None:
    study = _read(tmp_path, "[parameters]\nformat = 'mxfp4'\nlanes = 20\n")
    with pytest.raises(ValueError, match=r"no point is left: mxfp4, 20 lanes: lanes must divide a's block"):
        study.selection()
    study = _read(tmp_path, "[parameters]\nformat = 'mxfp4'\n[[exclude]]\nformat = 'mxfp4'\n")
    with pytest.raises(ValueError, match="no point is left: all combinations are excluded"):
        study.points()


_FORMAT = "[parameters]\nformat = 'int8'\n"
_WRONG = {
    "parameters = [": "not a TOML file: ",
    "paramters = 1": "unknown key 'paramters'; did you mean parameters?",
    "": "parameters: give format or unit: what multiplies, neither is there",
    "[parameters]\nformat = 'int8'\nunit = 'int8'": "parameters: give format or unit: what multiplies, not both",
    "[parameters]\nunit = 'int8'\nlanes = 4": "parameters.lanes goes with format; a unit's name says its own",
    "parameters = 3": "parameters must be a table, not 3",
    _FORMAT + "lanes = []": "parameters.lanes must have at least one value, not []",
    _FORMAT + "lanes = [4, 0]": "parameters.lanes[1]: lanes must be at least 1, not 0",
    _FORMAT + "lanes = [4, '8']": "parameters.lanes[1]: lanes must be an int, not '8'",
    _FORMAT + "lanes = [4, 4]": "parameters.lanes[1] must be another value, for 4 is in the list before",
    "[parameters]\nformat = ['int8', 'mxpf4']": "parameters.format[1]: unknown",
    _FORMAT + "accumulator = 'int2o'": "parameters.accumulator: accumulator must be default, int or fixed",
    _FORMAT + "technology = 'asap'": "technology must be a technology, not 'asap'; did you mean asap7",
    _FORMAT
    + "accelerator = 'mxfp4'": "must be a preset or an accelerator of the study, not 'mxfp4'; did you mean mxfp4_4x4",
    _FORMAT + "network = 'digit'": "network must be a network of the study, not 'digit'; did you mean digits?",
    _FORMAT + "rows = 4": "unknown parameter 'rows'; did you mean array.rows",
    _FORMAT + "array.row = 4": "unknown parameter 'array.row'; did you mean array.rows",
    _FORMAT + "name = 'x'": "unknown parameter 'name'",
    _FORMAT + "quantization.smoth = 0.5": "unknown parameter 'quantization.smoth'; did you mean quantization.smooth",
    _FORMAT + "quantization.smooth = 2.0": "parameters.quantization.smooth: smooth must be in 0..1, not 2.0",
    _FORMAT + "array.rows = ['four']": "parameters.array.rows[0]: array.rows must be an int, not 'four'",
    _FORMAT + "array.dataflow = 'output'": "array.dataflow must be one of 'output_stationary'",
    _FORMAT + "clock_mhz = 'slowest'": "parameters.clock_mhz: clock_mhz must be an int, not 'slowest'",
    _FORMAT + "memory.dram.kind = 'ddr9'": "parameters.memory.dram.kind: ",
    _FORMAT + "memory.preset = 'eyeris'": "parameters.memory.preset: ",
    _FORMAT + "array.rows = inf": "parameters.array.rows must be finite, not inf",
    _FORMAT + "array.rows = 2020-01-01": "parameters.array.rows must be a number, a text, true or false",
    _FORMAT + "'array.rows' = 2\narray.rows = 3": "parameters.array.rows must be given once",
    _FORMAT + "[[exclude]]": "exclude[0] must have a parameter",
    _FORMAT
    + "[[exclude]]\nformats = 'int8'": "exclude[0]: 'formats' must be a parameter of the study; did you mean format?",
    _FORMAT
    + "[[exclude]]\nformat = 'int4'": "exclude[0].format must be one of the parameter's values, 'int8', not 'int4'",
    _FORMAT + "[exclude]\nformat = 'int8'": "exclude must be [[exclude]] tables, not",
    _FORMAT + "[search]\nmethod = 'gird'": "search.method must be one of grid, list, random, pareto, not 'gird'",
    _FORMAT + "[search]\nmethods = 'grid'": "search: unknown key 'methods'; did you mean method?",
    _FORMAT + "[search]\nmethod = 'random'": "search.points is missing",
    _FORMAT + "[search]\npoints = 4": "search.points goes with method random or pareto, not with 'grid'",
    _FORMAT + "[search]\nmethod = 'list'": "search.method 'list' goes with [[points]] tables, and there are none",
    _FORMAT + "[search]\nmethod = 'grid'\n[[points]]": "search.method 'grid' does not go with [[points]]",
    "[networks.a]\nmodel = 'study.toml'\n" + _FORMAT + "network = ['a', 'digits']\n"
    "[search]\nmethod = 'pareto'\npoints = 4": "parameters.network must be one network where method is 'pareto'",
    _FORMAT + "[search]\nmethod = 'pareto'\npoints = 0": "search.points must be at least 1, not 0",
    _FORMAT + "[search]\nmethod = 'pareto'\npoints = 4\npopulation = 1": "search.population must be at least 2, not 1",
    _FORMAT + "[search.objectives]\naccuracy = 'more'": "search.objectives must be two figures or more",
    _FORMAT + "[search.objectives]\naccurcy = 'more'": "must be a figure, not 'accurcy'; did you mean accuracy",
    _FORMAT
    + "[search.objectives]\naccuracy = 'most'": "search.objectives.accuracy must be one of more, less, not 'most'",
    _FORMAT + "[search.limits]\narea = 1": "search.limits.area must be a figure, not 'area'; ",
    _FORMAT + "[search.limits]\nimages = 1": "search.limits.images: neither more nor less of it is better",
    _FORMAT + "[search.limits]\narea_mm2 = 'small'": "search.limits.area_mm2 must be a finite number, not 'small'",
    "costs = 'free'\n" + _FORMAT: "costs must be one of known, measured, not 'free'",
    "layers = 1\n" + _FORMAT: "layers must be true or false, not 1",
    "name = 'a/b'\n" + _FORMAT: "name must be of letters, digits, '_', '-' and '.', not 'a/b'",
    "networks = 1\n" + _FORMAT: "networks must be a table, not 1",
    "[networks.digits]\nmodel = 'study.toml'\n" + _FORMAT: "networks.digits must have another name",
    "[networks.a]\nmodel = 'a.onnx'\n" + _FORMAT: "networks.a.model: no file '",
    "[networks.a]\nmodel = 'study.toml'\nimage = 1\n"
    + _FORMAT: "networks.a: unknown key 'image'; did you mean images?",
    "[networks.a]\nmodel = 'study.toml'\nimages = 0\n" + _FORMAT: "networks.a.images must be at least 1, not 0",
    "[accelerators.mxfp4_4x4]\nfile = 'study.toml'\n" + _FORMAT: "accelerators.mxfp4_4x4 must have another name",
    "[accelerators.own]\n" + _FORMAT: "accelerators.own.file is missing",
    "[accelerators.own]\nfile = 'own.toml'\n" + _FORMAT: "accelerators.own.file: no file '",
}


@pytest.mark.parametrize(("text", "message"), _WRONG.items())
def test_study_file_wrong(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises((FileNotFoundError, TypeError, ValueError), match=re.escape(message)) as caught:
        _read(tmp_path, text)
    assert str(tmp_path / "study.toml") in str(caught.value)


def test_study_file_missing_wrong(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no study '"):
        read_study(tmp_path / "nothing.toml")
    with pytest.raises(ValueError, match="is a directory, not a study's TOML file"):
        read_study(tmp_path)
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="not a TOML file: it is not text"):
        read_study(tmp_path / "binary.toml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("array.rows = [4, 0]", "parameters.array.rows[1]: rows must be in 1..4096, not 0"),
        ("clock_mhz = -250", "parameters.clock_mhz: clock_mhz must be in 1..10000, not -250"),
        ("array.depth = 65", "parameters.array.depth: depth must be in 2..64, not 65"),
        ("memory.weights.kilobytes = 0", "parameters.memory.weights.kilobytes: kilobytes must be in 1..1048576, not 0"),
        ("lanes = 0", "parameters.lanes: lanes must be at least 1, not 0"),
    ],
)
def test_study_file_values_that_can_never_be_wrong(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"{tmp_path / 'study.toml'}: {message}")):
        _read(tmp_path, f"[parameters]\nformat = 'int8'\n{text}\n")


def test_study_file_values_that_others_allow(tmp_path: Path) -> None:
    text = "array.depth = [1, 2]\narray.serial_bits = 7\nmemory.weights.banks = 7\narray.dataflow = 'cube'"
    assert len(_read(tmp_path, f"[parameters]\nformat = 'int8'\n{text}\n").space) == 2


def test_study_file_network_of_no_study_wrong(tmp_path: Path) -> None:
    model = tmp_path / "r8.onnx"
    model.write_bytes(b"")
    file = _file(tmp_path, "[parameters]\nformat = 'int8'\n[networks.resnet8]\noptional = true\n")
    with pytest.raises(ValueError, match=r"the study has no network 'foo'; it has digits, resnet8$"):
        read_study(file, {"foo": model})
    assert list(read_study(file, {"resnet8": model}).networks) == ["resnet8"]
