# SPDX-License-Identifier: Apache-2.0
"""Energy by hand: of all arrays, of an element as it is built, of the registers that each kind of array has."""

from dataclasses import replace
from typing import Any

import pytest

import cost_models
import hwsim
from hwsim import data
from hwsim.accelerator import Accelerator, ArrayKind, Folds
from hwsim.prices import check_prices
from hwsim.result import SimulationResult
from hwsim.simulation.energy import access_energies, power


def _accelerator(**array: Any) -> Accelerator:
    own = hwsim.accelerator.read("int8_16x16")
    return replace(own, array=replace(own.array, **array))


def _simulate(accelerator: Accelerator) -> SimulationResult:
    return hwsim.simulate(hwsim.network.read(data.digits_model_path(quantized=True)), accelerator, values="none")


@pytest.mark.parametrize("count", [1, 2, 5])
def test_energy_counts_every_array(count: int) -> None:
    accelerator = _accelerator(count=count)
    result = _simulate(accelerator)
    cost, prices = cost_models.estimate(accelerator.unit, "asap7", pipeline=2), check_prices(accelerator)
    assert cost.energy_pj is not None
    assert cost.clock_energy_pj is not None
    assert cost.leakage_uw is not None
    assert cost.delay_ps is not None
    assert prices.registers is not None
    units, seconds = 256 * count, result.cycles / 500e6
    steps = sum(layer.plan.steps for layer in result.layers)
    switching = cost.energy_pj - cost.clock_energy_pj - cost.leakage_uw * 1e-6 * cost.delay_ps * 1e-12 * 1e12
    assert result.energy.units_pj == pytest.approx(steps * switching + result.cycles * units * cost.clock_energy_pj)
    leaking_w = 1e-6 * units * (cost.leakage_uw + 16 * prices.registers.leakage_uw)
    leaking_w += 1e-3 * ((prices.activations.leakage_mw or 0) + (prices.weights.leakage_mw or 0))
    assert result.energy.leakage_pj == pytest.approx(leaking_w * seconds * 1e12)
    energies = access_energies(accelerator, prices)
    assert energies.step_pj == pytest.approx(switching)
    idle = units * (cost.clock_energy_pj + 16 * prices.registers.clock_pj_per_cycle) + leaking_w * 1e12 / 500e6
    assert energies.idle_pj_per_cycle == pytest.approx(idle)


def test_energy_of_more_arrays_is_less_time() -> None:
    one, two = _simulate(_accelerator()), _simulate(_accelerator(count=2))
    assert two.macs_per_cycle == 2 * one.macs_per_cycle == 512
    assert two.cycles < one.cycles
    assert two.macs == one.macs


@pytest.mark.parametrize(
    ("array", "bits"),
    [
        ({}, 256 * (8 + 8)),
        ({"dataflow": ArrayKind.WEIGHT_STATIONARY}, 256 * (8 + 2 * 8)),  # a weight in use, and one to come
        ({"dataflow": ArrayKind.INPUT_STATIONARY}, 256 * (8 + 2 * 8)),
        ({"dataflow": ArrayKind.WEIGHT_STATIONARY, "folds": Folds.SERIAL}, 256 * (8 + 8)),
        ({"dataflow": ArrayKind.BROADCAST}, 16 * 8 + 16 * 8),  # at the edges only
        ({"dataflow": ArrayKind.CUBE, "depth": 4}, 4 * (16 * 8 + 16 * 8)),
        ({"dataflow": ArrayKind.ADDER_TREE}, 16 * 8 + 256 * 2 * 8),  # a enters all columns at once
        ({"count": 3}, 3 * 256 * (8 + 8)),
    ],
)
def test_energy_register_bits(array: dict[str, Any], bits: int) -> None:
    """The operand registers that docs/arrays.md gives each kind of array."""
    accelerator = _accelerator(**array)
    assert power(accelerator, check_prices(accelerator)).register_bits == bits


def test_energy_is_of_the_element_that_is_built() -> None:
    accelerator = _accelerator(dataflow=ArrayKind.ADDER_TREE)
    assert accelerator.element.lanes == 16
    cost = check_prices(accelerator).cost
    assert cost is not None
    assert cost.unit == accelerator.element.name
    result = _simulate(accelerator)
    assert result.macs_per_cycle == 256
    fc = next(layer for layer in result.layers if layer.name == "fc")
    assert fc.plan.steps == 128 * 10 // 16
    assert result.energy.total_pj is not None


def test_energy_of_bit_serial_units_is_not_known() -> None:
    result = _simulate(_accelerator(dataflow=ArrayKind.BROADCAST, serial_bits=1))
    assert result.macs_per_cycle == 256 / 8
    assert result.energy.units_pj is None
    assert result.energy.total_pj is None
    assert result.energy_note.startswith("not known of a unit that takes its operand bit by bit")
    assert result.energy.sram_pj > 0
