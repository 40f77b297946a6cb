# SPDX-License-Identifier: Apache-2.0
"""Simulate a network on an accelerator: its exact outputs, its cycles, its traffic and its energy."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import ArrayLike

import cost_models
from cost_models import Cost
from cost_models.memory import Dram, Sram, dram, sram
from cost_models.technologies import names as technologies
from hwsim.accelerator import Accelerator, Dataflow, UnitEngine, check_network, stored_bits, systolic
from hwsim.network import Layer, MatmulShape, Network, TensorSpec, calibrate, run
from hwsim.network.layers.multiply_accumulate import MultiplyAccumulate
from hwsim.result import Energy, LayerResult, SimulationResult, Traffic

__all__ = [
    "Prices",
    "check_prices",
    "simulate",
]


_KIB_BITS = 8192
_EXCLUDED = "without the array's operand registers, wires and the vector unit; the array's clock is never gated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """What an accelerator's parts cost; `cost` is None where the unit was never measured, and `note` says so."""

    cost: Cost | None
    note: str
    activations: Sram
    weights: Sram
    dram: Dram


def simulate(
    network: Network,
    accelerator: Accelerator,
    inputs: Mapping[str, ArrayLike],
    *,
    calibration: Mapping[str, ArrayLike] | None = None,
    progress: Callable[[str], None] | None = None,
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
    engine = UnitEngine(accelerator.unit, ranges, progress)
    outputs = run(network, arrays, engine=engine, rule=accelerator.requantization)
    bits = sum(shape.groups * shape.k * shape.n for layer, shape in _products(network) if layer.weight is not None)
    resident = bits * stored_bits(accelerator.unit.b) <= accelerator.weights.kilobytes * _KIB_BITS
    first = next(iter(arrays.values()))
    return SimulationResult(
        network=network.name,
        accelerator=accelerator,
        outputs=outputs,
        layers=tuple(_layer(network, accelerator, prices, layer, resident) for layer in network.layers),
        batch=network.batch,
        images=first.shape[0] if first.ndim else 1,
        energy_note=prices.note,
    )


def check_prices(accelerator: Accelerator) -> Prices:
    """Look up what an accelerator's parts cost.

    Raises
    ------
    ValueError
        If the technology or the DRAM is unknown, a memory is outside what is known, or the clock is faster than the
        unit was measured to be; the message begins with the key of the accelerator's file.
    """
    unit, technology = accelerator.unit, accelerator.technology
    if technology not in technologies():
        raise ValueError(f"technology: must be one of {', '.join(technologies())}, not {technology!r}")
    memories = []
    for key in ("activations", "weights"):
        spec = getattr(accelerator, key)
        try:
            memories.append(sram(spec.kilobytes * 1024, spec.width_bits, accelerator.sram_node_nm))
        except ValueError as error:
            raise ValueError(f"memory.{key}: {error}") from None
    try:
        outside = dram(accelerator.dram.kind)
    except LookupError as error:
        raise ValueError(f"memory.dram.kind: {error.args[0]}") from None
    cost: Cost | None = None
    try:
        cost = cost_models.estimate(unit, technology, pipeline=accelerator.pipeline)
        note = f"{cost.source}; {cost.operands}; {_EXCLUDED}" if cost.energy_pj is not None else "not known on an FPGA"
    except cost_models.NotMeasuredError as error:
        note = str(error.args[0])
    if cost is not None:
        fastest = 1e6 / cost.delay_ps if cost.delay_ps else cost.fmax_mhz
        if fastest is not None and accelerator.clock_mhz > fastest:
            raise ValueError(
                f"clock_mhz: must be at most {int(fastest)}, which the unit with {accelerator.pipeline} register ranks "
                f"reaches in {technology}, not {accelerator.clock_mhz}"
            )
    return Prices(cost=cost, note=note, activations=memories[0], weights=memories[1], dram=outside)


def _products(network: Network) -> list[tuple[MultiplyAccumulate, MatmulShape]]:
    found = []
    for layer in network.layers:
        shape = layer.matmul_shape(network.specs(layer))
        if shape is not None:
            assert isinstance(layer, MultiplyAccumulate)
            found.append((layer, shape))
    return found


def _layer(network: Network, accelerator: Accelerator, prices: Prices, layer: Layer, resident: bool) -> LayerResult:
    """Return the figures of a layer."""
    unit, array = accelerator.unit, accelerator.array
    inputs = network.specs(layer)
    outputs = tuple(network.tensors[name] for name in layer.outputs)
    product = layer.matmul_shape(inputs)
    steps, folds = 0, 0
    written = sum(_stored(spec, accelerator) for spec in outputs)
    moved = {"dram_bits": _edge_bits(network, accelerator, inputs, outputs)}
    if product is not None:
        assert isinstance(layer, MultiplyAccumulate)
        schedule = systolic(array, product, unit.lanes, accelerator.pipeline)
        cycles, folds = schedule.cycles, schedule.folds
        steps = product.groups * product.m * product.n * ceil(product.k / unit.lanes)
        registers = schedule.partial_sums * unit.accumulator.bits
        moved["activation_read_bits"] = schedule.a_elements * stored_bits(unit.a) + registers
        moved["activation_write_bits"] = written + registers
        streamed = schedule.b_elements * stored_bits(unit.b)
        if layer.weight is None:
            moved["activation_read_bits"] += streamed
        else:
            moved["weight_read_bits"] = streamed
            fetched = 0.0 if resident else _fetched_bits(accelerator, product)
            moved["weight_write_bits"] = fetched
            moved["dram_bits"] += fetched
    elif layer.kind == "reshape":  # the same elements in the same order: nothing moves
        cycles = 0
    else:
        elements = max(spec.elements for spec in (*inputs, *outputs))
        cycles = ceil(elements / accelerator.vector_lanes)
        moved["activation_read_bits"] = sum(_stored(spec, accelerator) for spec in inputs)
        moved["activation_write_bits"] = written
    traffic = Traffic(**moved)
    stall = max(0, _port_cycles(accelerator, traffic) - cycles)
    macs = 0 if product is None else product.macs
    peak = max(cycles + stall, 1) * array.rows * array.columns * unit.lanes
    return LayerResult(
        name=layer.name,
        kind=layer.kind,
        macs=macs,
        compute_cycles=cycles,
        stall_cycles=stall,
        utilisation=macs / peak,
        folds=folds,
        traffic=traffic,
        energy=_energy(accelerator, prices, traffic, steps, cycles + stall),
    )


def _stored(spec: TensorSpec, accelerator: Accelerator) -> float:
    """Return the bits of a tensor on chip: a float32 one is kept in the unit's operand format."""
    return spec.elements * (stored_bits(accelerator.unit.a) if spec.dtype.startswith("float") else spec.bits)


def _edge_bits(
    network: Network, accelerator: Accelerator, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]
) -> float:
    """Return the activations that cross the DRAM: the network's own, in their own type, and what does not fit."""
    size = sum(_stored(spec, accelerator) for spec in (*inputs, *outputs))
    spilled = size > accelerator.activations.kilobytes * _KIB_BITS
    edges = {spec.name for spec in (*network.inputs, *network.outputs)}
    bits = 0.0
    for spec in (*inputs, *outputs):
        if spec.name in edges:
            bits += spec.elements * spec.bits
        elif spilled:
            bits += _stored(spec, accelerator)
    return bits


def _fetched_bits(accelerator: Accelerator, product: MatmulShape) -> float:
    """Return a layer's weights, as often as they come from the DRAM."""
    bits = product.groups * product.k * product.n * stored_bits(accelerator.unit.b)
    stationary = accelerator.array.dataflow is Dataflow.WEIGHT_STATIONARY
    if stationary or bits <= accelerator.weights.kilobytes * _KIB_BITS:
        return bits
    return bits * ceil(product.m / accelerator.array.rows)


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


def _energy(accelerator: Accelerator, prices: Prices, traffic: Traffic, steps: int, cycles: int) -> Energy:
    activations, weights = prices.activations, prices.weights
    sram_pj = (
        traffic.activation_read_bits * activations.read_pj_per_bit
        + traffic.activation_write_bits * activations.write_pj_per_bit
        + traffic.weight_read_bits * weights.read_pj_per_bit
        + traffic.weight_write_bits * weights.write_pj_per_bit
    )
    time_us = cycles / accelerator.clock_mhz
    leakage_pj = (activations.leakage_mw + weights.leakage_mw) * time_us * 1e3
    units_pj = None
    cost, units = prices.cost, accelerator.array.rows * accelerator.array.columns
    if cost is not None and cost.energy_pj is not None:
        clock = cost.clock_energy_pj or 0.0
        leakage_uw, delay_ps = cost.leakage_uw or 0.0, cost.delay_ps or 0.0
        switching = cost.energy_pj - clock - leakage_uw * delay_ps * 1e-6  # what the cost states is at its own period
        units_pj = steps * switching + cycles * units * clock
        leakage_pj += units * leakage_uw * time_us
    return Energy(
        units_pj=units_pj,
        sram_pj=sram_pj,
        dram_pj=traffic.dram_bits * prices.dram.energy_pj_per_bit,
        leakage_pj=leakage_pj,
    )
