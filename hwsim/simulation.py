# SPDX-License-Identifier: Apache-2.0
"""Simulate a network on an accelerator: its exact outputs, its cycles, its traffic and its energy."""

from collections.abc import Callable, Mapping
from math import ceil

import numpy as np
from numpy.typing import ArrayLike

from cost_models.memory import Stream
from hwsim.accelerator import (
    Accelerator,
    Dataflow,
    Record,
    Traffic,
    UnitEngine,
    check_network,
    layer_traffic,
    step_bits,
    systolic,
    weights_fit,
)
from hwsim.network import Layer, MatmulShape, Network, calibrate, run
from hwsim.network.layers.multiply_accumulate import MultiplyAccumulate
from hwsim.prices import Prices, check_prices
from hwsim.result import Energy, LayerResult, SimulationResult

__all__ = [
    "Prices",
    "check_prices",
    "simulate",
]


def simulate(
    network: Network,
    accelerator: Accelerator,
    inputs: Mapping[str, ArrayLike],
    *,
    calibration: Mapping[str, ArrayLike] | None = None,
    progress: Callable[[str], None] | None = None,
    record: Record | None = None,
) -> SimulationResult:
    """Simulate a network on an accelerator.

    Parameters
    ----------
    network : Network
        Quantized (its integer codes go through the unit as they are), or float32 (operands are quantized to the unit's
        formats).
    accelerator : Accelerator
    inputs : mapping of input name to array
        Of the network's shapes; any number of images where the network takes them one by one.
    calibration : mapping of input name to array, optional
        What the scales of a float32 network are chosen on; without it, the inputs themselves.
    progress : callable, optional
        Called with a layer's name as its product begins.
    record : callable, optional
        Takes what the unit multiplies, layer by layer: `hwsim.operands.Recorder`.

    Returns
    -------
    SimulationResult
        Outputs for all images; cycles, traffic and energy for a pass of the network's batch.

    Raises
    ------
    TypeError, ValueError
        If an input does not fit, the accelerator has a part without a price (`check_prices`), or the unit cannot run
        every layer (all such layers are listed).
    """
    arrays = {name: np.asarray(value) for name, value in inputs.items()}
    prices = check_prices(accelerator)
    chosen = arrays if calibration is None else {name: np.asarray(value) for name, value in calibration.items()}
    floats = any(isinstance(layer, MultiplyAccumulate) and not layer.quantized for layer in network.layers)
    ranges = calibrate(network, chosen) if floats else {}
    check_network(network, accelerator.unit, ranges)
    engine = UnitEngine(accelerator.unit, ranges, progress, record)
    outputs = run(network, arrays, engine=engine, rule=accelerator.requantization)
    resident = weights_fit(network, accelerator)
    first = next(iter(arrays.values()))
    return SimulationResult(
        network=network.name,
        accelerator=accelerator,
        outputs=outputs,
        layers=tuple(_layer(network, accelerator, prices, layer, resident) for layer in network.layers),
        batch=network.batch,
        images=first.shape[0] if first.ndim else 1,
        energy_note=prices.note,
        assumptions=prices.assumptions(accelerator),
    )


def _layer(network: Network, accelerator: Accelerator, prices: Prices, layer: Layer, resident: bool) -> LayerResult:
    """Return the figures of a layer."""
    unit, array = accelerator.unit, accelerator.array
    inputs = network.specs(layer)
    product = layer.matmul_shape(inputs)
    schedule = None if product is None else systolic(array, product, unit.width, accelerator.pipeline)
    if schedule is not None:
        cycles = schedule.cycles
    elif layer.kind == "reshape":
        cycles = 0
    else:
        outputs = tuple(network.tensors[name] for name in layer.outputs)
        cycles = ceil(max(spec.elements for spec in (*inputs, *outputs)) / accelerator.vector_lanes)
    traffic = layer_traffic(network, accelerator, layer, schedule, resident)
    stall = max(0, _port_cycles(accelerator, traffic) - cycles)
    macs = 0 if product is None else product.macs
    peak = max(cycles + stall, 1) * array.rows * array.columns * unit.width
    outside = [Stream(move.bits // move.times, move.times) for move in traffic.moves if move.port == "dram"]
    rows = prices.dram.activations(outside) if prices.dram.counts_rows else 0
    return LayerResult(
        name=layer.name,
        kind=layer.kind,
        macs=macs,
        compute_cycles=cycles,
        stall_cycles=stall,
        utilisation=macs / peak,
        folds=0 if schedule is None else schedule.folds,
        traffic=traffic,
        dram_activations=rows,
        energy=_energy(accelerator, prices, traffic, product, cycles + stall, rows),
    )


def _port_cycles(accelerator: Accelerator, traffic: Traffic) -> int:
    """Return the cycles of the port that is busy longest; SRAMs read and write at once."""
    a, b = accelerator.activations.width_bits, accelerator.weights.width_bits
    return max(
        ceil(traffic.activation_read_bits / a),
        ceil(traffic.activation_write_bits / a),
        ceil(traffic.weight_read_bits / b),
        ceil(traffic.weight_write_bits / b),
        ceil(traffic.dram_bits / accelerator.dram.bits_per_cycle),
    )


def _energy(
    accelerator: Accelerator, prices: Prices, traffic: Traffic, product: MatmulShape | None, cycles: int, rows: int
) -> Energy:
    activations, weights = prices.activations, prices.weights
    sram_pj = (
        traffic.activation_read_bits * activations.read_pj_per_bit
        + traffic.activation_write_bits * activations.write_pj_per_bit
        + traffic.weight_read_bits * weights.read_pj_per_bit
        + traffic.weight_write_bits * weights.write_pj_per_bit
    )
    time_us = cycles / accelerator.clock_mhz
    leakage_pj = ((activations.leakage_mw or 0.0) + (weights.leakage_mw or 0.0)) * time_us * 1e3
    units_pj = registers_pj = None
    cost, units = prices.cost, accelerator.array.rows * accelerator.array.columns
    unit = accelerator.unit
    steps = 0 if product is None else product.groups * product.m * product.n * ceil(product.k / unit.width)
    if cost is not None and cost.energy_pj is not None:
        clock = cost.clock_energy_pj or 0.0
        leakage_uw, delay_ps = cost.leakage_uw or 0.0, cost.delay_ps or 0.0
        switching = cost.energy_pj - clock - leakage_uw * delay_ps * 1e-6  # what the cost states is at its own period
        units_pj = steps * switching + cycles * units * clock
        leakage_pj += units * leakage_uw * time_us
    if prices.registers is not None:
        stored = units * sum(step_bits(unit))
        registers_pj = prices.registers.energy_pj(stored * cycles, _passed_bits(accelerator, product, steps))
        leakage_pj += stored * prices.registers.leakage_uw * time_us
    wires_pj = 0.0
    if prices.wire is not None and accelerator.wire is not None:
        wires_pj = traffic.sram_bits * accelerator.wire.length_mm * prices.wire.pj_per_bit_mm
    return Energy(
        units_pj=units_pj,
        registers_pj=registers_pj,
        sram_pj=sram_pj,
        dram_pj=prices.dram.energy_pj(traffic.dram_bits, rows),
        wires_pj=wires_pj,
        leakage_pj=leakage_pj,
    )


def _passed_bits(accelerator: Accelerator, product: MatmulShape | None, steps: int) -> int:
    """Return the bits that the operand registers take in, from unit to unit.

    A unit takes a new operand for each of its steps. Stationary weights are shifted down: one for the last row passes
    through as many registers as there are rows.
    """
    if product is None:
        return 0
    of_a, of_b = step_bits(accelerator.unit)
    if accelerator.array.dataflow is not Dataflow.WEIGHT_STATIONARY:
        return steps * (of_a + of_b)
    rows = accelerator.array.rows
    folds = product.groups * ceil(product.k / (rows * accelerator.unit.width)) * product.n
    return steps * of_a + folds * (rows * (rows + 1) // 2) * of_b
