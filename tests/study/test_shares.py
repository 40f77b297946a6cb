# SPDX-License-Identifier: Apache-2.0
"""What no format changes: the memories' clock, their shares of energy and area, float32 tensors in the traffic."""

from dataclasses import replace

import pytest

from cost_models.memory import sram
from hwsim import accelerator, data, datapath
from hwsim.prices import check_prices
from hwsim.study import Case, DesignPoint, case, evaluate


@pytest.fixture(scope="module")
def few() -> Case:
    images, _ = data.digits_test()
    return case("digits", data.digits_model_path(quantized=False), {"input": images[:4]})


def test_fastest_clock_is_bounded_by_the_memories(few: Case) -> None:
    point = DesignPoint.of("int4", settings={"clock_mhz": "fastest", "memory.weights.kilobytes": 4096})
    access_ns = sram(4096 * 1024, 256, 22).access_ns
    assert access_ns is not None
    found = evaluate(point, few, layers=False)
    assert found["clock_mhz"] == int(1e3 / access_ns) < 500
    assert "clock: that of the memory of weights, the slowest of unit and memories" in found.sources
    on_fpga = evaluate(replace(point, technology="ecp5"), few, layers=False)
    assert on_fpga["clock_mhz"] == int(on_fpga["fmax_mhz"])  # that memory is not of its chip


def test_shares_are_the_simulators(few: Case) -> None:
    mxfp4 = evaluate(DesignPoint.of("mxfp4"), few, layers=False)
    spec = replace(accelerator.read("mxfp4_4x4"), unit=datapath.comparable("mxfp4", 16))
    prices = check_prices(spec)
    leakage_mw = sum(memory.leakage_mw or 0 for memory in (prices.activations, prices.weights))
    memories = mxfp4["energy_sram_nj"] + mxfp4["energy_dram_nj"] + leakage_mw * mxfp4["latency_us"]
    assert mxfp4["energy_memory_share"] == pytest.approx(memories / mxfp4["energy_nj"])
    assert mxfp4["area_memory_share"] == pytest.approx(1 - mxfp4["array_area_mm2"] / mxfp4["area_mm2"])
    assert mxfp4["dram_kbit"] == 32 * (64 + 10) / 1000  # an image of 8 x 8 and ten outputs, in float32
    assert mxfp4["dram_float32_share"] == 1
    assert "SRAM is CACTI's at 22 nm and 350 K, cells at 25 C" in mxfp4.sources
    assert any(line.startswith("blocks of convolutions lie along the rows of im2col") for line in mxfp4.sources)


def test_shares_tell_weights_from_float32_tensors_in_the_traffic(few: Case) -> None:
    point = DesignPoint.of("int8", settings={"memory.weights.kilobytes": 4})  # which they do not fit
    found = evaluate(point, few, layers=False)
    assert found.refused == ""
    weights = 8 * (8 * 9 + 16 * 72 + 32 * 144 + 128 * 10) / 1000  # fetched once or more
    floats = found["dram_float32_share"] * found["dram_kbit"]
    assert found["dram_kbit"] - floats >= weights
    assert floats == pytest.approx(32 * (64 + 10) / 1000)
