# SPDX-License-Identifier: Apache-2.0
"""The suite's units in real simulators: their Verilog, and the netlist that is priced, against the oracle."""

from collections.abc import Iterable
from typing import Any

import pytest

import rtl
from cost_models.synthesis import asic, ecp5_models, fpga
from cost_models.technologies import FpgaTechnology, Technology, cells_verilog, read
from hwsim import datapath
from testbenches.runner import Report
from testbenches.simulators import MissingToolError, find
from testbenches.suite import SUITE
from testbenches.verification import verify

WIDE = ("mxint8", "mxfp8_e4m3", "mxfp4", "nvfp4", "hopper_e4m3_e4m3_float32")
SMALL = ("int4", "float4_e2m1fn")
SLOW = ("mxint8", "mxfp4", "float8_e4m3fn_float32")  # another of the same kind stays: mxfp8_e4m3, nvfp4, float8_e5m2


def _marked(names: Iterable[str]) -> list[Any]:
    return [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in names]


def _verify(
    name: str,
    simulator: str | None,
    *,
    pipeline: int | None = None,
    count: int = 512,
    exhaustive: bool = True,
    netlist: str | None = None,
    models: str | None = None,
) -> Report:
    unit = datapath.named(name)
    report = verify(
        unit,
        pipeline=pipeline,
        netlist=netlist,
        cell_models=models,
        vectors=count,
        exhaustive=exhaustive,
        simulator=simulator,
    )
    assert report.latency_cycles == rtl.latency(unit, pipeline)
    return report


@pytest.mark.parametrize("name", _marked(name for name in SUITE if name not in WIDE))
def test_suite_all_pairs_and_more_in_the_default_simulator(name: str) -> None:
    unit = datapath.named(name)
    report = _verify(name, None, exhaustive=unit.element_a.bits == 4)
    assert report.compared > 400
    if unit.element_a.bits == 4:
        assert report.vectors >= 256


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in SUITE if name not in WIDE])
def test_suite_all_pairs_of_eight_bits(name: str) -> None:
    unit = datapath.named(name)
    assert _verify(name, None).outputs >= 1 << (unit.element_a.bits + unit.element_b.bits)


@pytest.mark.parametrize("name", _marked(WIDE))
def test_suite_wide_units_in_the_default_simulator(name: str) -> None:
    assert _verify(name, None, count=128).compared > 100


@pytest.mark.parametrize("simulator", ["icarus", "verilator"])
def test_suite_both_simulators(simulator: str) -> None:
    if simulator == "icarus":
        try:
            find("icarus")
        except MissingToolError as error:
            pytest.skip(str(error))
    assert _verify("float4_e2m1fn", simulator).simulator == simulator


@pytest.mark.parametrize("pipeline", [1, pytest.param(2, marks=pytest.mark.slow), 3, 4])  # 2 is the default
def test_suite_every_pipeline(pipeline: int) -> None:
    report = _verify("float4_e2m1fn", None, pipeline=pipeline)
    assert report.latency_cycles == pipeline


@pytest.mark.parametrize(
    ("library", "name"),
    [
        ("asap7", "float4_e2m1fn"),
        ("nangate45", "int4"),
        pytest.param("asap7", "int4", marks=pytest.mark.slow),
        pytest.param("nangate45", "float4_e2m1fn", marks=pytest.mark.slow),
    ],
)
def test_suite_mapped_netlist(name: str, library: str) -> None:
    unit, technology = datapath.named(name), read(library)
    assert isinstance(technology, Technology)
    result = asic(rtl.core_verilog(unit), f"{unit.name}_core", technology, ("area",)).choose("smallest")
    report = _verify(name, None, netlist=result.netlist_verilog, models=cells_verilog(technology))
    assert report.outputs > 1000


def test_suite_mapped_netlist_of_the_fpga() -> None:
    unit, target = datapath.named("int4"), read("ecp5")
    assert isinstance(target, FpgaTechnology)
    result = fpga(rtl.core_verilog(unit), f"{unit.name}_core", target, seeds=())
    assert _verify("int4", None, netlist=result.netlist_verilog, models=ecp5_models()).outputs > 1000


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in SUITE if name not in SMALL])
def test_suite_mapped_netlist_of_every_unit(name: str) -> None:
    unit, technology = datapath.named(name), read("asap7")
    assert isinstance(technology, Technology)
    result = asic(rtl.core_verilog(unit), f"{unit.name}_core", technology).choose()
    models = cells_verilog(technology)
    report = _verify(name, None, count=256, exhaustive=False, netlist=result.netlist_verilog, models=models)
    assert report.compared > 100
