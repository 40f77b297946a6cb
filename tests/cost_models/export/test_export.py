# SPDX-License-Identifier: Apache-2.0
"""Costs in other tools' forms: by hand, of a multiply-accumulate and of a step, and by the tools where installed."""

import csv
import importlib.util
import io
import json
import re
import sys
import types
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from cost_models import Cost, Point
from cost_models.export import KINDS, export, macs_per_step, write
from cost_models.export.tables import COLUMNS, rows
from hwsim import datapath

# A step of 16 products: 2 pJ at 1000 ps, of which 500 uW x 1000 ps = 0.5 pJ leak and 0.32 pJ are the clock's.
COST = Cost(
    unit="int8_l16_int32", technology="asap7", source="measured with a tool", netlist_hash="ab12", pipeline=3,
    verified_vectors=77, area_um2=320.0, delay_ps=1000.0, leakage_uw=500.0, energy_pj=2.0, energy_upper_pj=3.3,
    clock_energy_pj=0.32, operands="normal operands", area_by_stage={"multiply": 200.0, "accumulate": 120.0},
    front=(Point("tool", "area", 320.0, 1000.0),),
)  # fmt: skip
FPGA = Cost(unit="int8_l1_int32", technology="ecp5", source="measured", lut=90, ff=32)
NEEDS = "{} needs standard-cell costs with the {} bound of the energy"
NEEDED = ("area_um2", "delay_ps", "leakage_uw", "clock_energy_pj", "energy_pj")
LOWER = {"compute": (2.0 - 0.5) / 16, "idle": 0.32 / 16, "leak": 0.5 / 16}  # pJ


def _one(files: dict[str, str | bytes]) -> str:
    (text,) = files.values()
    assert isinstance(text, str)
    return text


def test_export_accelergy_by_hand() -> None:
    files = export([COST], "accelergy")
    assert list(files) == ["asap7.ERT.yaml", "asap7.ART.yaml"]
    energies = yaml.safe_load(files["asap7.ERT.yaml"])["ERT"]
    areas = yaml.safe_load(files["asap7.ART.yaml"])["ART"]
    assert energies["version"] == areas["version"] == "0.4"
    (table,) = energies["tables"]
    assert table["name"] == "hwsim.int8_l16_int32_p3[1..16]"
    assert {each["name"]: each["energy"] for each in table["actions"]} == pytest.approx(LOWER)
    assert all(each["arguments"] == {} for each in table["actions"])
    assert areas["tables"] == [{"name": "hwsim.int8_l16_int32_p3[1..16]", "area": 320 / 16}]


def test_export_accelergy_has_the_keys_of_its_own_output() -> None:
    # timeloop-accelergy-exercises, intmac/timeloop-mapper.ERT.yaml: its last table
    theirs = yaml.safe_load(
        "ERT:\n    version: '0.4'\n    tables:\n      - name: system_top_level.mac[1..168]\n        actions:\n"
        "          - name: compute\n            arguments: {}\n            energy: 0.315\n"
        "          - name: leak\n            arguments: {}\n            energy: 0.0036\n"
    )
    ours = yaml.safe_load(export([COST], "accelergy")["asap7.ERT.yaml"])

    def keys(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: keys(each) for key, each in value.items()}
        return [keys(value[0])] if isinstance(value, list) else type(value).__name__

    assert keys(ours) == keys(theirs)


def test_export_zigzag_by_hand() -> None:
    files = export([COST], "zigzag")
    assert list(files) == ["int8_l16_int32_p3_asap7.yaml"]
    array = yaml.safe_load(_one(files))["operational_array"]
    assert array == {"unit_energy": 2.0 / 16, "unit_area": 320 / 16, "dimensions": ["D1"], "sizes": [16]}


@pytest.mark.parametrize("kind", ["accelergy", "hwcomponents", "zigzag"])
def test_export_upper_bound_and_provenance(kind: str) -> None:
    for text in export([COST], kind, "upper").values():
        assert isinstance(text, str)
        for part in ("energy bound: upper", "asap7", "measured with a tool", "netlist sha256: ab12", "normal operands"):
            assert part in text
    energies = yaml.safe_load(export([COST], "accelergy", "upper")["asap7.ERT.yaml"])
    assert energies["ERT"]["tables"][0]["actions"][0]["energy"] == pytest.approx((3.3 - 0.5) / 16)


def test_export_clock_sets_the_period_of_leakage() -> None:
    slow = replace(COST, clock_mhz=500.0)  # 2000 ps: 1 pJ leaks in a cycle
    table = yaml.safe_load(export([slow], "accelergy")["asap7.ERT.yaml"])["ERT"]["tables"][0]
    assert table["name"] == "hwsim.int8_l16_int32_p3_500mhz[1..16]"
    energies = {each["name"]: each["energy"] for each in table["actions"]}
    assert energies == pytest.approx({"compute": 1.0 / 16, "idle": 0.02, "leak": 1.0 / 16})


def _component(text: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run generated source against the few names of hwcomponents that it uses; return the class."""

    class ActionCost:
        def __init__(self, energy: float, latency: float, throughput: float) -> None:
            self.energy, self.latency, self.throughput = energy, latency, throughput

    class ComponentModel:
        def __init__(self, leak_power: float, area: float) -> None:
            self.leak_power, self.area = leak_power, area

    library: Any = types.ModuleType("hwcomponents")
    library.ActionCost, library.ComponentModel, library.action = ActionCost, ComponentModel, lambda method: method
    monkeypatch.setitem(sys.modules, "hwcomponents", library)
    names: dict[str, Any] = {}
    exec(compile(text, "hwsim_asap7.py", "exec"), names)
    return names["Int8L16Int32P3Asap7"]


def test_export_hwcomponents_in_si_units(monkeypatch: pytest.MonkeyPatch) -> None:
    made = _component(_one(export([COST], "hwcomponents")), monkeypatch)
    assert "int8_l16_int32_p3_asap7" in made.component_name
    part = made(tech_node=7e-9)
    assert (part.area, part.leak_power) == (320e-12, 500e-6)
    assert part.compute().energy == pytest.approx(LOWER["compute"] * 1e-12, rel=1e-9)
    assert part.step().energy == pytest.approx(1.5e-12, rel=1e-9)
    assert part.idle().energy == pytest.approx(0.32e-12, rel=1e-9)
    assert part.step().latency == part.compute().latency == pytest.approx(3e-9)
    assert part.step().throughput == pytest.approx(1e9)
    assert part.compute().throughput == pytest.approx(16e9)
    with pytest.raises(ValueError, match=r"^tech_node must be 7e-9, that of asap7, not 4.5e-08: nothing is scaled$"):
        made(tech_node=45e-9)


def test_export_hwcomponents_runs_in_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("hwcomponents", reason="needs hwcomponents (Python 3.12)")
    (path,) = write([COST], "hwcomponents", tmp_path)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    part = module.Int8L16Int32P3Asap7()
    assert part.area == pytest.approx(320e-12)
    assert part.compute().energy == pytest.approx(LOWER["compute"] * 1e-12)


def test_export_zigzag_accepts_the_array() -> None:
    validator = pytest.importorskip("zigzag.parser.accelerator_validator", reason="needs zigzag-dse")
    port = {"name": "rw_port_1", "type": "read_write", "bandwidth_min": 8, "bandwidth_max": 64}
    operands = ["I1", "I2", "O"]
    memory = {
        "size": 1024, "r_cost": 1.0, "w_cost": 1.0, "area": 0.0, "latency": 1, "operands": operands,
        "ports": [port | {"allocation": [f"{each}, tl" for each in operands] + [f"{each}, fh" for each in operands]}],
        "served_dimensions": ["D1"],
    }  # fmt: skip
    array = yaml.safe_load(_one(export([COST], "zigzag")))
    assert validator.AcceleratorValidator({"name": "one", "memories": {"dram": memory}} | array).validate()


def test_export_csv_reads_back() -> None:
    (row, other) = csv.DictReader(io.StringIO(_one(export([COST, FPGA], "csv"))))
    assert tuple(row) == COLUMNS
    assert (float(row["energy_per_mac_pj"]), float(row["energy_upper_per_mac_pj"])) == (2.0 / 16, 3.3 / 16)
    assert (float(row["area_per_lane_um2"]), row["macs_per_step"]) == (20.0, "16")
    assert json.loads(row["area_by_stage"]) == {"multiply": 200.0, "accumulate": 120.0}
    assert json.loads(row["front"]) == [{"architecture": "tool", "recipe": "area", "area_um2": 320, "delay_ps": 1000}]
    assert (other["lut"], other["area_um2"], other["energy_per_mac_pj"], other["macs_per_step"]) == ("90", "", "", "1")
    assert all(re.search(r"_(pj|um2|ps|uw|mhz)$", name) for name in COLUMNS if name.startswith(("energy_p", "area_u")))


def test_export_parquet_reads_back() -> None:
    pytest.importorskip("pyarrow", reason='needs pip install "hwsim[tables]"')
    from pyarrow import parquet

    content = export([COST, FPGA], "parquet")["costs.parquet"]
    assert isinstance(content, bytes)
    table = parquet.read_table(io.BytesIO(content))
    assert table.to_pylist() == rows([COST, FPGA])
    assert table.schema.field("energy_pj").metadata == {b"unit": b"pJ"}
    assert b"lower bound" in table.schema.metadata[b"hwsim"]


def test_export_parquet_without_pyarrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ModuleNotFoundError, match=r'^Parquet needs pyarrow: pip install "hwsim\[tables\]"$'):
        export([COST], "parquet")


def test_export_write_files(tmp_path: Path) -> None:
    paths = write([COST, replace(COST, technology="nangate45")], "accelergy", tmp_path / "new" / "folder")
    assert [path.name for path in paths] == [
        "asap7.ERT.yaml",
        "asap7.ART.yaml",
        "nangate45.ERT.yaml",
        "nangate45.ART.yaml",
    ]
    assert paths[0].read_text() == export([COST], "accelergy")["asap7.ERT.yaml"]


def test_export_fitted_is_labelled() -> None:
    assert "FITTED, not measured" in _one(export([replace(COST, errors={"area_um2": 0.05})], "zigzag"))


@pytest.mark.parametrize("name", ["int8", "mxfp4_l16", "hopper_e4m3_e4m3_float32", "nvfp4", "int4_by_int8_l8"])
def test_export_lanes_of_names(name: str) -> None:
    unit = datapath.named(name)
    assert macs_per_step(unit.name) == unit.lanes


@pytest.mark.parametrize(
    ("costs", "kind", "bound", "message"),
    [
        ([COST], "timeloop", "lower", f"kind must be one of {', '.join(KINDS)}, not 'timeloop'"),
        ([COST], "csv", "middle", "bound must be one of lower, upper, not 'middle'"),
        ([], "csv", "lower", "costs must have at least one cost, not none"),
        (
            [COST, FPGA],
            "zigzag",
            "lower",
            f"{NEEDS.format('zigzag', 'lower')}: int8_l1_int32 in ecp5 has no {', '.join(NEEDED)}",
        ),
        (
            [replace(COST, energy_upper_pj=None)],
            "accelergy",
            "upper",
            f"{NEEDS.format('accelergy', 'upper')}: int8_l16_int32 in asap7 has no energy_upper_pj",
        ),
        (
            [COST, COST], "accelergy", "lower",
            "costs must differ in unit, ranks, structures or clock: int8_l16_int32_p3 is there twice",
        ),
        (
            [replace(COST, unit="int8")], "csv", "lower",
            "unit 'int8' must spell its lanes once, as in int8_l16_int32, to be exported",
        ),
    ],
)  # fmt: skip
def test_export_costs_wrong(costs: list[Cost], kind: str, bound: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        export(costs, kind, bound)
