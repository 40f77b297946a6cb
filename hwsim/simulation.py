# SPDX-License-Identifier: Apache-2.0
"""Simulate a network on an accelerator: its exact outputs, its cycles, its traffic and its energy."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

import cost_models
from cost_models.memory import dram, sram
from hwsim.accelerator import Accelerator, UnitEngine, check_network, stored_bits, systolic
from hwsim.network import Layer, Network, calibrate, run

__all__ = [
    "Energy",
    "LayerResult",
    "SimulationResult",
    "Traffic",
    "simulate",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Bits moved for one image; the scales of block formats are counted with their elements."""

    activation_read_bits: float = 0.0
    activation_write_bits: float = 0.0
    weight_read_bits: float = 0.0
    weight_write_bits: float = 0.0
    dram_bits: float = 0.0

    @property
    def bits(self) -> float:
        """All of them."""
        return float(sum(asdict(self).values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Energy:
    """Energy for one image, in pJ.

    `units_pj` is that of the steps that compute, on the operands that the cost was measured with; a unit without a step
    is taken as clock-gated and free, and the vector unit is not counted. None where the unit was never measured in the
    technology.
    """

    units_pj: float | None
    sram_pj: float
    dram_pj: float

    @property
    def total_pj(self) -> float | None:
        """The sum, or None without the units'."""
        return None if self.units_pj is None else self.units_pj + self.sram_pj + self.dram_pj


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerResult:
    """One layer's figures for one image.

    compute_cycles : of the array, folds one after the other, or of the vector unit
    stall_cycles : by which the DRAM traffic, moved meanwhile, takes longer
    utilisation : multiply-accumulates over what the whole array could have done in `cycles`
    """

    name: str
    kind: str
    macs: int
    compute_cycles: int
    stall_cycles: int
    utilisation: float
    folds: int
    traffic: Traffic
    energy: Energy

    @property
    def cycles(self) -> int:
        """Compute and stall."""
        return self.compute_cycles + self.stall_cycles


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SimulationResult:
    """What a simulation found.

    outputs : the network's outputs by name, bit-exact to the described hardware
    layers : figures a layer, for one image
    images : how many images were run
    energy_note : where the units' energy comes from, or why there is none
    """

    network: str
    accelerator: Accelerator
    outputs: Mapping[str, NDArray[Any]]
    layers: tuple[LayerResult, ...]
    images: int
    energy_note: str

    @property
    def cycles(self) -> int:
        """Cycles for one image, layer after layer."""
        return sum(layer.cycles for layer in self.layers)

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one image."""
        return sum(layer.macs for layer in self.layers)

    @property
    def utilisation(self) -> float:
        """Share of the array's peak over all cycles."""
        array, lanes = self.accelerator.array, self.accelerator.unit.lanes
        return self.macs / (max(self.cycles, 1) * array.rows * array.columns * lanes)

    @property
    def latency_us(self) -> float:
        """Time for one image at the accelerator's clock, in microseconds."""
        return self.cycles / self.accelerator.clock_mhz

    @property
    def energy(self) -> Energy:
        """Energy for one image."""
        units = [layer.energy.units_pj for layer in self.layers]
        known = [value for value in units if value is not None]
        return Energy(
            units_pj=sum(known) if len(known) == len(units) else None,
            sram_pj=sum(layer.energy.sram_pj for layer in self.layers),
            dram_pj=sum(layer.energy.dram_pj for layer in self.layers),
        )

    def to_json(self) -> str:
        """Return everything but the outputs' values as a JSON object; quantities end in their unit."""
        array = self.accelerator.array
        energy = self.energy
        return json.dumps(
            {
                "network": self.network,
                "accelerator": self.accelerator.name,
                "unit": self.accelerator.unit.name,
                "dataflow": array.dataflow.value,
                "rows": array.rows,
                "columns": array.columns,
                "clock_mhz": self.accelerator.clock_mhz,
                "technology": self.accelerator.technology,
                "requantization": self.accelerator.requantization.value,
                "images": self.images,
                "macs": self.macs,
                "cycles": self.cycles,
                "latency_us": self.latency_us,
                "utilisation": self.utilisation,
                "energy_pj": energy.total_pj,
                "energy_units_pj": energy.units_pj,
                "energy_sram_pj": energy.sram_pj,
                "energy_dram_pj": energy.dram_pj,
                "energy_note": self.energy_note,
                "outputs": {name: {"shape": list(x.shape), "dtype": str(x.dtype)} for name, x in self.outputs.items()},
                "layers": [
                    {
                        **asdict(layer),
                        "cycles": layer.cycles,
                        "energy": {**asdict(layer.energy), "total_pj": layer.energy.total_pj},
                    }
                    for layer in self.layers
                ],
            }
        )


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
        Outputs for all images; cycles, traffic and energy for one image.

    Raises
    ------
    TypeError, ValueError
        If an input does not fit, or the unit cannot run every layer (all such layers are listed).
    """
    arrays = {name: np.asarray(value) for name, value in inputs.items()}
    needs_ranges = any(
        shape is not None and not getattr(layer, "quantized", False) for layer, shape in _products(network)
    )
    chosen = arrays if calibration is None else {name: np.asarray(value) for name, value in calibration.items()}
    ranges = calibrate(network, chosen) if needs_ranges else {}
    check_network(network, accelerator.unit, ranges)
    engine = UnitEngine(accelerator.unit, ranges, progress)
    outputs = run(network, arrays, engine=engine, rule=accelerator.requantization)
    step_pj, note = _step_energy(accelerator)
    layers = tuple(_layer(network, accelerator, layer, step_pj) for layer in network.layers)
    first = next(iter(arrays.values()))
    return SimulationResult(
        network=network.name,
        accelerator=accelerator,
        outputs=outputs,
        layers=layers,
        images=first.shape[0] // max(network.batch, 1) if first.ndim else 1,
        energy_note=note,
    )


def _products(network: Network) -> list[tuple[Layer, Any]]:
    return [(layer, layer.matmul_shape(network.specs(layer))) for layer in network.layers]


def _step_energy(accelerator: Accelerator) -> tuple[float | None, str]:
    """Return the energy of one step of one unit in pJ, and where it is from."""
    try:
        cost = cost_models.estimate(accelerator.unit, accelerator.technology, pipeline=accelerator.pipeline)
    except cost_models.NotMeasuredError as error:
        return None, str(error.args[0])
    return cost.energy_pj, f"{cost.source}; {cost.operands}"


def _layer(network: Network, accelerator: Accelerator, layer: Layer, step_pj: float | None) -> LayerResult:
    """Return the figures of a layer for one image of the network's batch."""
    product = layer.matmul_shape(network.specs(layer))
    inputs = network.specs(layer)
    output_elements = sum(network.tensors[name].elements for name in layer.outputs)
    unit = accelerator.unit
    if layer.kind == "reshape":  # the same elements in the same order: nothing moves
        return LayerResult(
            name=layer.name,
            kind=layer.kind,
            macs=0,
            compute_cycles=0,
            stall_cycles=0,
            utilisation=0.0,
            folds=0,
            traffic=Traffic(),
            energy=Energy(units_pj=0.0, sram_pj=0.0, dram_pj=0.0),
        )
    if product is None:
        elements = max([output_elements, *(spec.elements for spec in inputs)])
        cycles = ceil(elements / accelerator.vector_lanes)
        traffic = Traffic(
            activation_read_bits=sum(spec.elements * spec.bits for spec in inputs),
            activation_write_bits=sum(
                network.tensors[name].elements * network.tensors[name].bits for name in layer.outputs
            ),
        )
        return LayerResult(
            name=layer.name,
            kind=layer.kind,
            macs=0,
            compute_cycles=cycles,
            stall_cycles=0,
            utilisation=0.0,
            folds=0,
            traffic=traffic,
            energy=_energy(accelerator, traffic, 0.0),
        )
    schedule = systolic(accelerator.array, product, unit.lanes, accelerator.pipeline)
    a_bits, b_bits = stored_bits(unit.a), stored_bits(unit.b)
    weight_bits = product.groups * product.k * product.n * b_bits
    register_bits = schedule.partial_sums * unit.accumulator.format.bits
    traffic = Traffic(
        activation_read_bits=schedule.a_elements * a_bits + register_bits,
        activation_write_bits=output_elements * a_bits + register_bits,
        weight_read_bits=schedule.b_elements * b_bits,
        weight_write_bits=weight_bits,
        dram_bits=weight_bits + _spilled_bits(network, accelerator, layer, a_bits),
    )
    stall = max(0, ceil(traffic.dram_bits / accelerator.dram.bits_per_cycle) - schedule.cycles)
    peak = (schedule.cycles + stall) * accelerator.array.rows * accelerator.array.columns * unit.lanes
    steps = product.groups * product.m * product.n * ceil(product.k / unit.lanes)
    return LayerResult(
        name=layer.name,
        kind=layer.kind,
        macs=product.macs,
        compute_cycles=schedule.cycles,
        stall_cycles=stall,
        utilisation=product.macs / peak,
        folds=schedule.folds,
        traffic=traffic,
        energy=_energy(accelerator, traffic, None if step_pj is None else steps * step_pj),
    )


def _spilled_bits(network: Network, accelerator: Accelerator, layer: Layer, a_bits: float) -> float:
    """Return the activations that cross the DRAM: the network's inputs and outputs, and what does not fit on chip."""
    capacity = accelerator.activations.kilobytes * 8192
    inputs = sum(spec.elements for spec in network.specs(layer)) * a_bits
    outputs = sum(network.tensors[name].elements for name in layer.outputs) * a_bits
    spilled = inputs + outputs > capacity
    edges_in = {spec.name for spec in network.inputs}
    edges_out = {spec.name for spec in network.outputs}
    bits = inputs if spilled or edges_in & set(layer.inputs) else 0.0
    return bits + (outputs if spilled or edges_out & set(layer.outputs) else 0.0)


def _energy(accelerator: Accelerator, traffic: Traffic, units_pj: float | None) -> Energy:
    node = accelerator.sram_node_nm
    activations = sram(accelerator.activations.kilobytes * 1024, accelerator.activations.width_bits, node)
    weights = sram(accelerator.weights.kilobytes * 1024, accelerator.weights.width_bits, node)
    sram_pj = (
        traffic.activation_read_bits * activations.read_pj_per_bit
        + traffic.activation_write_bits * activations.write_pj_per_bit
        + traffic.weight_read_bits * weights.read_pj_per_bit
        + traffic.weight_write_bits * weights.write_pj_per_bit
    )
    dram_pj = traffic.dram_bits * dram(accelerator.dram.kind).energy_pj_per_bit
    return Energy(units_pj=units_pj, sram_pj=sram_pj, dram_pj=dram_pj)
