# SPDX-License-Identifier: Apache-2.0
"""Evaluations against the simulator, a network's own runs and hand calculation; what cannot be; keys."""

import json
import os
import pickle
import subprocess
import sys
from dataclasses import replace
from math import log10
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cost_models
import hwsim
from hwsim import accelerator, data, datapath, network, ranking
from hwsim.network.onnx_reader import from_model
from hwsim.prices import check_prices
from hwsim.quantization import Recipe, quantize
from hwsim.study import (
    Case,
    DesignPoint,
    Evaluation,
    case,
    digits,
    evaluate,
    needs_price,
    point_key,
    resolve_cost,
    value_figures,
    value_key,
)  # fmt: skip
from hwsim.study.quantities import KEYS


@pytest.fixture(scope="module")
def few() -> Case:
    images, labels = data.digits_test()
    return case(
        "digits", data.digits_model_path(quantized=False), {"input": images[:40], "labels": labels[:40]},
        {"input": data.digits_calibration()[:40]},
    )  # fmt: skip


@pytest.fixture(scope="module")
def mxfp4(few: Case) -> Evaluation:
    return evaluate(DesignPoint.of("mxfp4"), few)


def test_evaluation_machine_is_the_simulators(mxfp4: Evaluation) -> None:
    net = network.read(data.digits_model_path(quantized=False))
    unit = datapath.comparable("mxfp4", 16)
    spec = replace(accelerator.read("mxfp4_4x4"), unit=unit)
    result = hwsim.simulate(net, spec, values="none")
    energy = result.energy.total_pj
    assert energy is not None
    assert mxfp4["cycles"] == result.cycles
    assert mxfp4["energy_nj"] == pytest.approx(energy / 1000, rel=1e-12)
    parts = ("units", "registers", "sram", "dram", "wires", "leakage")
    assert sum(mxfp4[f"energy_{part}_nj"] for part in parts) == pytest.approx(mxfp4["energy_nj"], rel=1e-12)
    assert sum(layer["energy_nj"] for layer in mxfp4.layers) == pytest.approx(mxfp4["energy_nj"], rel=1e-12)
    assert sum(layer["cycles"] for layer in mxfp4.layers) == result.cycles
    assert [layer["name"] for layer in mxfp4.layers] == [layer.name for layer in net.layers]
    assert mxfp4["latency_us"] == result.cycles / 500
    assert mxfp4["inferences_per_s"] == pytest.approx(1e6 / mxfp4["latency_us"])
    assert mxfp4["inferences_per_j"] == pytest.approx(1e9 / mxfp4["energy_nj"])
    assert mxfp4["power_mw"] == pytest.approx(mxfp4["energy_nj"] / mxfp4["latency_us"])
    assert mxfp4["dram_kbit"] == sum(layer.traffic.dram_bits for layer in result.layers) / 1000
    cost = cost_models.estimate(unit, "asap7", pipeline=3)
    assert cost.area_um2 is not None
    assert mxfp4["unit_area_um2"] == cost.area_um2
    # Operand registers of an output-stationary array: the bits of a step of both operands, each with a scale of 8 bits.
    bits = 16 * 2 * (16 * 4 + 8)
    register = check_prices(spec).registers
    assert register is not None
    assert register.area_um2 is not None
    assert mxfp4["array_area_mm2"] == pytest.approx((16 * cost.area_um2 + bits * register.area_um2) * 1e-6)
    assert dict(mxfp4.stages["area_um2"]) == dict(cost.area_by_stage)
    assert mxfp4["inferences_per_s_per_mm2"] == pytest.approx(mxfp4["inferences_per_s"] / mxfp4["area_mm2"])


def test_evaluation_values_are_the_simulators(few: Case, mxfp4: Evaluation) -> None:
    net = network.read(data.digits_model_path(quantized=False))
    spec = replace(accelerator.read("mxfp4_4x4"), unit=datapath.comparable("mxfp4", 16))
    calibration = {"input": data.digits_calibration()[:40]}
    result = hwsim.simulate(net, spec, dict(few.inputs), calibration=calibration, against_float=True)
    found, wanted = result.outputs["output"], network.run(net, dict(few.inputs))["output"]
    assert few.labels is not None
    assert mxfp4["accuracy"] == np.mean(found.argmax(1) == few.labels)
    assert mxfp4["float_accuracy"] == np.mean(wanted.argmax(1) == few.labels)
    assert mxfp4["agreement"] == np.mean(found.argmax(1) == wanted.argmax(1)) < 1
    sqnr = 10 * log10(np.square(wanted, dtype=float).sum() / np.square(found.astype(float) - wanted).sum())
    assert mxfp4["output_sqnr_db"] == pytest.approx(sqnr, abs=1e-3)
    assert mxfp4["images"] == 40
    assert mxfp4["bits_per_element"] == 4.25
    ranked = ranking.rank_file("digits", ["mxfp4"])[0]
    assert mxfp4["weight_qsnr_db"] == pytest.approx(ranked["qsnr_db"], abs=1e-6)
    errors = {layer.name: layer.error for layer in result.layers}
    for layer in mxfp4.layers:
        error = errors[layer["name"]]
        assert error is not None
        assert layer["sqnr_db"] == pytest.approx(error.accumulated.sqnr_db, abs=1e-3)
        assert layer["sqnr_alone_db"] is None or layer["sqnr_alone_db"] == pytest.approx(error.own.sqnr_db, abs=1e-2)
    assert mxfp4.layers[-1]["sqnr_db"] == pytest.approx(mxfp4["output_sqnr_db"], abs=1e-5)


def test_evaluation_comes_back_from_json(mxfp4: Evaluation) -> None:
    again = Evaluation.from_dict(json.loads(json.dumps(mxfp4.as_dict(), allow_nan=False)))
    assert again == mxfp4
    assert again.as_dict() == mxfp4.as_dict()
    assert pickle.loads(pickle.dumps(mxfp4)) == mxfp4
    assert tuple(mxfp4.figures) == KEYS
    refused = Evaluation(point=mxfp4.point, key="k", refused="no")
    assert set(refused.figures.values()) == {None}


def test_evaluation_on_an_fpga_has_counts_and_no_energy(few: Case) -> None:
    point = DesignPoint.of("int8", technology="ecp5", settings={"clock_mhz": "fastest"})
    cost = resolve_cost(point, few)
    assert cost is not None
    assert cost.fmax_mhz is not None
    found = evaluate(point, few, values=value_figures(point, few, layers=False))
    assert (found["lut"], found["ff"], found["dsp"], found["fmax_mhz"]) == (cost.lut, cost.ff, cost.dsp, cost.fmax_mhz)
    assert found["clock_mhz"] == int(cost.fmax_mhz)
    assert found["unit_area_um2"] is found["energy_nj"] is found["array_area_mm2"] is None
    of_cells = ("sram", "leakage", "wires", "registers", "units")  # standard cells and CACTI: not of this chip
    assert {found[f"energy_{part}_nj"] for part in of_cells} == {None}
    assert found["energy_dram_nj"] > 0
    assert any("none of them is in the figures" in line for line in found.sources)
    own = {f"memory.{name}.{way}_pj_per_bit": 0.1 for name in ("activations", "weights") for way in ("read", "write")}
    given = evaluate(point.with_settings(**{key.replace(".", "__"): each for key, each in own.items()}), few)
    assert given["energy_sram_nj"] == pytest.approx(0.1 * given["sram_kbit"])
    assert found["latency_us"] > 0


def test_evaluation_of_a_cube_prices_its_element(few: Case) -> None:
    point = DesignPoint.of("mxfp4", lanes=8, accelerator="mxfp4_4x4x4_cube", settings={"array.depth": 2, "pipeline": 3})
    wide = cost_models.estimate(datapath.named("mxfp4_l16"), "asap7", pipeline=3)
    assert wide.area_um2 is not None
    values = value_figures(point, few, layers=False)
    found = evaluate(point, few, values=values)
    assert found.refused == ""
    assert found["unit_area_um2"] == wide.area_um2
    assert (found["units"], found["macs_per_cycle"]) == (32, 256)
    flat = DesignPoint.of("mxfp4")
    assert values["figures"] == value_figures(flat, few, layers=False)["figures"]
    assert value_key(point, few) == value_key(flat, few)  # the same products, 16 at a time


def test_evaluation_quantizes_first_where_asked(few: Case) -> None:
    point = DesignPoint.of("int8", settings={"quantization.smooth": 0.5, "quantization.symmetric": True})
    found = evaluate(point, few, layers=False)
    recipe = Recipe(weights="int8", activations="int8", smooth=0.5, symmetric=True)
    path = data.digits_model_path(quantized=False)
    model = quantize(path, recipe, {"input": data.digits_calibration()[:40]}, effects=False).model
    assert model is not None
    spec = replace(accelerator.read("mxfp4_4x4"), unit=datapath.comparable("int8", 16))
    result = hwsim.simulate(from_model(model), spec, dict(few.inputs))
    assert few.labels is not None
    assert found["accuracy"] == np.mean(result.outputs["output"].argmax(1) == few.labels)
    assert found["output_sqnr_db"] > 30
    assert found["energy_nj"] != evaluate(DesignPoint.of("int8"), few, layers=False)["energy_nj"]
    assert any('"smooth":0.5' in line for line in found.sources)
    pair = evaluate(DesignPoint.of("int4_by_int8", settings={"quantization.equalize": True}), few, layers=False)
    assert any('"activations":"int4","equalize":true,"weights":"int8"' in line for line in pair.sources)
    narrow = DesignPoint.of("int8", settings={"quantization.weights": "int4"})
    figures = value_figures(narrow, few, layers=False)["figures"]
    assert figures["bits_per_element"] == 6  # codes of 4 bits by codes of 8 run on a unit of 8
    assert figures["weight_qsnr_db"] == pytest.approx(ranking.rank_file("digits", ["int4"])[0]["qsnr_db"], abs=1e-6)


def test_evaluation_of_a_quantized_network_runs_its_codes(few: Case) -> None:
    own = case("int8", data.digits_model_path(quantized=True), {**few.inputs, "labels": few.labels})  # type: ignore[dict-item]
    found = evaluate(DesignPoint.of("int8", network="int8"), own)
    spec = replace(accelerator.read("mxfp4_4x4"), unit=datapath.comparable("int8", 16))
    result = hwsim.simulate(own.network, spec, dict(few.inputs), against_float=True)
    assert few.labels is not None
    assert found["accuracy"] == np.mean(next(iter(result.outputs.values())).argmax(1) == few.labels)
    last = result.layers[-1].error
    assert last is not None
    assert found["output_sqnr_db"] == pytest.approx(last.accumulated.sqnr_db, abs=1e-3)
    assert found["weight_qsnr_db"] is None  # its weights are on their grid
    assert found["bits_per_element"] == 8
    wide = value_figures(DesignPoint.of("int16", network="int8"), own, layers=False)
    assert (wide["refused"], wide["figures"]["bits_per_element"]) == ("", 8)
    refused = evaluate(DesignPoint.of("mxfp4", network="int8"), own)
    assert "does not take its codes (int8 by int8); --from-quantized" in refused.refused


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"array.rows": 0}, "rows must be in 1..4096, not 0"),
        ({"clock_mhz": 5000}, "clock_mhz: must be at most 610"),
        ({"memory.weights.kilobytes": 1}, "memory"),
        ({"pipeline": 40}, "pipeline"),
        ({"quantization.smooth": 2.0}, "smooth must be in 0..1, not 2.0"),
        ({"quantization.act_order": True}, "act_order must be False without gptq"),
    ],
)
def test_evaluation_refuses_what_cannot_be(few: Case, settings: dict[str, Any], match: str) -> None:
    point = DesignPoint.of("mxfp4", settings=settings)
    found = evaluate(point, few)
    assert match in found.refused
    assert set(found.figures.values()) == {None}
    assert found.key == evaluate(point, few).key


def test_evaluation_refuses_the_fastest_clock_of_an_unknown_unit(few: Case) -> None:
    point = DesignPoint.of("mxfp4", settings={"clock_mhz": "fastest"})
    assert evaluate(point, few, cost=None).refused.startswith("clock_mhz: 'fastest' is not known of unit mxfp4_l16")
    found = evaluate(DesignPoint.of("mxfp4"), few, cost=None, values=value_figures(point, few, layers=False))
    assert found["energy_nj"] is found["unit_area_um2"] is None
    assert found["cycles"] > 0


@pytest.mark.parametrize(
    ("changes", "kind", "match"),
    [
        ({"settings": {"array.rws": 8}}, ValueError, "unknown key 'array.rws'; did you mean array.rows"),
        ({"settings": {"array": 8}}, ValueError, "unknown key 'array'"),
        (
            {"settings": {"array.dataflow": "tree"}},
            ValueError,
            "array.dataflow must be one of .*'adder_tree'.*, not 'tree'",
        ),
        ({"settings": {"array.rows": "8"}}, TypeError, "array.rows must be an int, not '8'"),
        (
            {"settings": {"quantization.smoth": 1}},
            ValueError,
            "unknown setting 'quantization.smoth'; did you mean",
        ),
        ({"settings": {"quantization.observer": "man"}}, ValueError, "observer must be one of absmax"),
        ({"technology": "asap"}, LookupError, "technology 'asap' is unknown; close matches: asap7"),
        ({"accelerator": "int8_16x61"}, LookupError, "unknown accelerator 'int8_16x61'; there are int8_16x16"),
        ({"network": "resnet"}, ValueError, "the case must be that of network 'resnet', not 'digits'"),
    ],
)
def test_evaluation_of_misspelt_names_wrong(
    few: Case, changes: dict[str, Any], kind: type[Exception], match: str
) -> None:
    point = DesignPoint.of("int8", **changes)
    for call in (evaluate, value_figures, value_key):
        with pytest.raises(kind, match=match):
            call(point, few)
    with pytest.raises(KeyError, match="unknown unit 'int8_l16_in20'"):
        evaluate(replace(DesignPoint.of("int8"), unit="int8_l16_in20"), few)


def test_evaluation_keys_see_what_decides(few: Case, tmp_path: Path) -> None:
    point = DesignPoint.of("mxfp4")
    cost = resolve_cost(point, few)
    assert cost is not None
    base = point_key(point, few, cost)
    assert point_key(point, few, replace(cost, seconds=1e9)) == base
    others = [
        point_key(point.with_settings(array__rows=8), few, cost), point_key(point, digits(), cost),
        point_key(point, few, None), point_key(point, few, replace(cost, area_um2=1.0)),
        point_key(point, few, cost, layers=False),
    ]  # fmt: skip
    assert len({base, *others}) == 1 + len(others)
    file = tmp_path / "mine.toml"
    file.write_text(accelerator.toml_text("mxfp4_4x4")[0])
    mine = few.with_accelerators({"mine": file})
    assert point_key(point, mine, cost) == base
    own = replace(point, accelerator="mine")
    first = point_key(own, mine, cost)
    file.write_text(file.read_text() + "# more\n")
    assert point_key(own, few.with_accelerators({"mine": file}), cost) != first
    shared = value_key(point, few)
    assert shared == value_key(own.with_settings(array__rows=8, clock_mhz=100), mine)
    assert shared == value_key(replace(point, technology="ecp5"), few)
    different = [
        value_key(point, digits()), value_key(DesignPoint.of("mxfp4", lanes=8), few),
        value_key(point, few, layers=False),
        value_key(point.with_settings(requantization="tflite"), few),
        value_key(point.with_settings(quantization__equalize=True), few),
    ]  # fmt: skip
    assert len({shared, *different}) == 1 + len(different)
    assert value_key(point.with_settings(array__rows=0), few) == ""


def test_needs_price_of_what_nobody_measured(few: Case) -> None:
    assert not needs_price(DesignPoint.of("mxfp4"), few)
    assert needs_price(DesignPoint.of("int4_by_int8"), few)
    assert resolve_cost(DesignPoint.of("int8", technology="xc7"), few) is not None


def test_evaluation_is_the_same_in_another_process(few: Case, mxfp4: Evaluation, tmp_path: Path) -> None:
    quantized = DesignPoint.of("int8", settings={"quantization.smooth": 0.5})
    here = [mxfp4, evaluate(quantized, few, layers=False)]
    (tmp_path / "case").write_bytes(pickle.dumps((few, quantized)))
    script = (
        "import json, pickle, sys, pathlib; from hwsim.study import DesignPoint, evaluate; "
        "case, quantized = pickle.loads(pathlib.Path(sys.argv[1]).read_bytes()); "
        "found = [evaluate(DesignPoint.of('mxfp4'), case), evaluate(quantized, case, layers=False)]; "
        "print(json.dumps([each.as_dict() for each in found])); "
        "assert not {'dask', 'distributed', 'optuna', 'plotly', 'pyarrow'} & set(sys.modules)"
    )
    others = {"PYTHONHASHSEED": "7", "OPENBLAS_NUM_THREADS": "1", "OPENBLAS_CORETYPE": "Prescott"}  # adds up otherwise
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "case")], env=os.environ | others, check=True, capture_output=True
    )
    assert done.stdout.decode().strip() == json.dumps([each.as_dict() for each in here])
