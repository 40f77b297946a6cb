# SPDX-License-Identifier: Apache-2.0
"""What a simulation found: outputs, and a layer's cycles, traffic, energy and error."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hwsim.accelerator import Accelerator, Traffic

if TYPE_CHECKING:
    from hwsim.accelerator.mapping import LayerPlan

__all__ = [
    "Difference",
    "Energy",
    "LayerError",
    "LayerResult",
    "SimulationResult",
    "Traffic",
    "peak_macs",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Energy:
    """Energy of a pass, in pJ.

    units_pj : the steps that compute, on the operands that the cost was measured with, and the clock of all units in
        all cycles; None where the unit was never measured in the technology
    registers_pj : the registers that operands pass through from unit to unit, clock and data; None where the technology
        has no flip-flop's energy
    sram_pj, dram_pj : the bits moved; row activations of the DRAM too, where they have an energy of their own
    wires_pj : the bits moved between the memories on chip and the array; 0 where the accelerator has no wires
    leakage_pj : of the units (where measured), the registers and the SRAMs (where known), over all cycles
    """

    units_pj: float | None
    registers_pj: float | None
    sram_pj: float
    dram_pj: float
    wires_pj: float
    leakage_pj: float

    @property
    def total_pj(self) -> float | None:
        """The sum, or None without the units' or the registers'."""
        if self.units_pj is None or self.registers_pj is None:
            return None
        return self.units_pj + self.registers_pj + self.sram_pj + self.dram_pj + self.wires_pj + self.leakage_pj

    def as_dict(self) -> dict[str, float | None]:
        """Return the parts and the total as JSON-ready values."""
        return {**asdict(self), "total_pj": self.total_pj}


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How far a tensor's values on the hardware are from those in float32, over all images.

    max_abs : the largest absolute difference; infinity or NaN where only one has such a value
    sqnr_db : 10 log10 of the float values' power over the differences'; None where either is zero or not finite
    cosine : of the angle between both as vectors; None where either is zero or not finite
    """

    max_abs: float
    sqnr_db: float | None
    cosine: float | None

    @property
    def is_equal(self) -> bool:
        """Whether all values are equal."""
        return self.max_abs == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerError:
    """Where a layer's output is away from the float network's.

    accumulated : as it came out on the hardware, with what all layers before it have done
    own : of this layer alone: on the hardware and in float32 it starts from the same inputs, those of the float network
        rounded to the codes that the layer takes
    """

    accumulated: Difference
    own: Difference


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerResult:
    """One layer's figures for a pass of the network's batch.

    plan : how the layer is cut into tiles and why, with its cycles, traffic and events
    start_cycle : of the pass, in which the layer begins
    macs : multiply-accumulates
    utilisation : of what all arrays could have done in `cycles`, the share that was multiply-accumulates
    dram_activations : rows of the DRAM opened, by its page policy; 0 where they have no energy of their own
    error : against the float network, where that was asked for
    """

    name: str
    kind: str
    plan: "LayerPlan"
    start_cycle: int
    macs: int
    utilisation: float
    dram_activations: int
    energy: Energy
    error: LayerError | None = None

    @property
    def fill_cycles(self) -> int:
        """Cycles in which operands are loaded or enter the array, and no wave of steps is under way."""
        return self.plan.fill_cycles

    @property
    def compute_cycles(self) -> int:
        """Cycles of steps: of the array, or of the vector unit."""
        return self.plan.compute_cycles

    @property
    def drain_cycles(self) -> int:
        """Cycles in which results leave the array."""
        return self.plan.drain_cycles

    @property
    def stall_cycles(self) -> int:
        """Cycles spent on waiting for a memory."""
        return self.plan.stall_cycles

    @property
    def cycles(self) -> int:
        """All of them: fill, compute, drain and stall."""
        return self.fill_cycles + self.compute_cycles + self.drain_cycles + self.stall_cycles

    @property
    def folds(self) -> int:
        """Tiles of the array that the product was cut into."""
        return 0 if self.plan.schedule is None else self.plan.schedule.folds

    @property
    def traffic(self) -> Traffic:
        """Bits moved, tensor by tensor."""
        return self.plan.traffic

    @property
    def mapping(self) -> tuple[str, ...]:
        """Why the layer is cut as it is, a sentence each."""
        return () if self.plan.mapping is None else self.plan.mapping.explanation

    @property
    def arithmetic_intensity(self) -> float | None:
        """Multiply-accumulates a byte of DRAM traffic; None where the layer has none."""
        bits = self.traffic.dram_bits
        return 8 * self.macs / bits if bits else None

    def as_dict(self) -> dict[str, Any]:
        """Return all figures as JSON-ready values."""
        mapping = self.plan.mapping
        return {
            "name": self.name,
            "kind": self.kind,
            "macs": self.macs,
            "start_cycle": self.start_cycle,
            "fill_cycles": self.fill_cycles,
            "compute_cycles": self.compute_cycles,
            "drain_cycles": self.drain_cycles,
            "stall_cycles": self.stall_cycles,
            "cycles": self.cycles,
            "utilisation": self.utilisation,
            "folds": self.folds,
            "arithmetic_intensity": self.arithmetic_intensity,
            "weights_resident": self.plan.weights_resident,
            "mapping": None if mapping is None else asdict(mapping),
            "traffic": self.traffic.as_dict(),
            "dram_activations": self.dram_activations,
            "energy": self.energy.as_dict(),
            "error": None if self.error is None else asdict(self.error),
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SimulationResult:
    """What a simulation found.

    outputs : the network's outputs by name: bit-exact to the described hardware, or, where `values` is "sampled", as
        `hwsim.accelerator.sampled` says; empty where `values` is "none"
    layers : figures a layer, for a pass
    batch : images in a pass: the batch that the network was read with
    images : how many images were run
    energy_note : where the units' energy comes from, or why there is none
    assumptions : every constant of memories, registers and wires, with its source
    values : "exact", "sampled" or "none"
    samples : what was sampled of each layer, and its error with a confidence interval; empty unless `values` is
        "sampled"
    float_on_codes : layers that round in the float network too, for no float form of them is known (`FloatNetwork`)
    """

    network: str
    accelerator: Accelerator
    outputs: Mapping[str, NDArray[Any]]
    layers: tuple[LayerResult, ...]
    batch: int
    images: int
    energy_note: str
    assumptions: tuple[str, ...]
    values: str = "exact"
    samples: tuple[Any, ...] = ()
    float_on_codes: tuple[str, ...] = ()

    @property
    def cycles(self) -> int:
        """Cycles of a pass, layer after layer."""
        return sum(layer.cycles for layer in self.layers)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of a pass."""
        return sum(layer.macs for layer in self.layers)

    @property
    def macs_per_cycle(self) -> float:
        """What all arrays could do at most."""
        return peak_macs(self.accelerator)

    @property
    def utilisation(self) -> float:
        """Share of the arrays' peak over all cycles."""
        return self.macs / (max(self.cycles, 1) * self.macs_per_cycle)

    @property
    def latency_us(self) -> float:
        """Time of a pass at the accelerator's clock, in microseconds."""
        return self.cycles / self.accelerator.clock_mhz

    @property
    def energy(self) -> Energy:
        """Energy of a pass."""
        parts = [layer.energy for layer in self.layers]
        return Energy(
            units_pj=_sum([part.units_pj for part in parts]),
            registers_pj=_sum([part.registers_pj for part in parts]),
            sram_pj=sum(part.sram_pj for part in parts),
            dram_pj=sum(part.dram_pj for part in parts),
            wires_pj=sum(part.wires_pj for part in parts),
            leakage_pj=sum(part.leakage_pj for part in parts),
        )

    def to_json(self) -> str:
        """Return everything but the outputs' values as a JSON object; quantities end in their unit."""
        array = self.accelerator.array
        energy = self.energy.as_dict()
        figures = _plain(
            {
                "network": self.network,
                "accelerator": self.accelerator.name,
                "unit": self.accelerator.unit.name,
                "dataflow": array.dataflow.value,
                "rows": array.rows,
                "columns": array.columns,
                "depth": array.depth,
                "arrays": array.count,
                "macs_per_cycle": self.macs_per_cycle,
                "clock_mhz": self.accelerator.clock_mhz,
                "technology": self.accelerator.technology,
                "requantization": self.accelerator.requantization.value,
                "values": self.values,
                "images": self.images,
                "batch": self.batch,
                "macs": self.macs,
                "cycles": self.cycles,
                **{
                    f"{part}_cycles": sum(getattr(layer, f"{part}_cycles") for layer in self.layers)
                    for part in ("fill", "compute", "drain", "stall")
                },
                "latency_us": self.latency_us,
                "utilisation": self.utilisation,
                "energy_pj": energy.pop("total_pj"),
                **{f"energy_{part}": value for part, value in energy.items()},
                "energy_note": self.energy_note,
                "energy_assumptions": list(self.assumptions),
                "dram_activations": sum(layer.dram_activations for layer in self.layers),
                "traffic_bits": sum(layer.traffic.bits for layer in self.layers),
                "traffic_scale_bits": sum(layer.traffic.scale_bits for layer in self.layers),
                "traffic_index_bits": sum(layer.traffic.index_bits for layer in self.layers),
                "outputs": {name: {"shape": list(x.shape), "dtype": str(x.dtype)} for name, x in self.outputs.items()},
                "layers": [layer.as_dict() for layer in self.layers],
                "float_on_codes": list(self.float_on_codes),
                "samples": [{**asdict(sample), "sqnr_db": sample.sqnr_db} for sample in self.samples],
            }
        )
        return json.dumps(figures, allow_nan=False)


def peak_macs(accelerator: Accelerator) -> float:
    """Return the multiply-accumulates a cycle that all arrays of an accelerator can do at most."""
    return accelerator.array.units * accelerator.unit.width / accelerator.step_cycles


def _sum(values: list[float | None]) -> float | None:
    """Add up, or None where one is not known."""
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _plain(value: Any) -> Any:
    """Return what JSON can hold: enumerators by value, numpy's numbers as Python's, None for NaN and infinity."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    plain = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(plain, float) and not isfinite(plain) else plain
