# SPDX-License-Identifier: Apache-2.0
"""What a simulation found: outputs, and a layer's cycles, traffic and energy."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from numpy.typing import NDArray

from hwsim.accelerator import Accelerator, Traffic

__all__ = [
    "Energy",
    "LayerResult",
    "SimulationResult",
    "Traffic",
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


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerResult:
    """One layer's figures for a pass of the network's batch.

    compute_cycles : of the array, folds one after the other, or of the vector unit
    stall_cycles : by which the slowest memory port, working meanwhile, takes longer
    utilisation : multiply-accumulates over what the whole array could have done in `cycles`
    dram_activations : rows of the DRAM opened, by its page policy; 0 where they have no energy of their own
    """

    name: str
    kind: str
    macs: int
    compute_cycles: int
    stall_cycles: int
    utilisation: float
    folds: int
    traffic: Traffic
    dram_activations: int
    energy: Energy

    @property
    def cycles(self) -> int:
        """Compute and stall."""
        return self.compute_cycles + self.stall_cycles


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SimulationResult:
    """What a simulation found.

    outputs : the network's outputs by name, bit-exact to the described hardware
    layers : figures a layer, for a pass
    batch : images in a pass: the batch that the network was read with
    images : how many images were run
    energy_note : where the units' energy comes from, or why there is none
    assumptions : every constant of memories, registers and wires, with its source
    """

    network: str
    accelerator: Accelerator
    outputs: Mapping[str, NDArray[Any]]
    layers: tuple[LayerResult, ...]
    batch: int
    images: int
    energy_note: str
    assumptions: tuple[str, ...]

    @property
    def cycles(self) -> int:
        """Cycles of a pass, layer after layer."""
        return sum(layer.cycles for layer in self.layers)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of a pass."""
        return sum(layer.macs for layer in self.layers)

    @property
    def utilisation(self) -> float:
        """Share of the array's peak over all cycles."""
        array, width = self.accelerator.array, self.accelerator.unit.width
        return self.macs / (max(self.cycles, 1) * array.rows * array.columns * width)

    @property
    def latency_us(self) -> float:
        """Time of a pass at the accelerator's clock, in microseconds."""
        return self.cycles / self.accelerator.clock_mhz

    @property
    def energy(self) -> Energy:
        """Energy of a pass."""
        return Energy(
            units_pj=_sum([layer.energy.units_pj for layer in self.layers]),
            registers_pj=_sum([layer.energy.registers_pj for layer in self.layers]),
            sram_pj=sum(layer.energy.sram_pj for layer in self.layers),
            dram_pj=sum(layer.energy.dram_pj for layer in self.layers),
            wires_pj=sum(layer.energy.wires_pj for layer in self.layers),
            leakage_pj=sum(layer.energy.leakage_pj for layer in self.layers),
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
                "batch": self.batch,
                "macs": self.macs,
                "cycles": self.cycles,
                "latency_us": self.latency_us,
                "utilisation": self.utilisation,
                "energy_pj": energy.total_pj,
                "energy_units_pj": energy.units_pj,
                "energy_registers_pj": energy.registers_pj,
                "energy_sram_pj": energy.sram_pj,
                "energy_dram_pj": energy.dram_pj,
                "energy_wires_pj": energy.wires_pj,
                "energy_leakage_pj": energy.leakage_pj,
                "energy_note": self.energy_note,
                "energy_assumptions": list(self.assumptions),
                "dram_activations": sum(layer.dram_activations for layer in self.layers),
                "traffic_bits": sum(layer.traffic.bits for layer in self.layers),
                "traffic_scale_bits": sum(layer.traffic.scale_bits for layer in self.layers),
                "traffic_index_bits": sum(layer.traffic.index_bits for layer in self.layers),
                "outputs": {name: {"shape": list(x.shape), "dtype": str(x.dtype)} for name, x in self.outputs.items()},
                "layers": [
                    {
                        **asdict(layer),
                        "cycles": layer.cycles,
                        "traffic": layer.traffic.as_dict(),
                        "energy": {**asdict(layer.energy), "total_pj": layer.energy.total_pj},
                    }
                    for layer in self.layers
                ],
            }
        )


def _sum(values: list[float | None]) -> float | None:
    """Add up, or None where one is not known."""
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None
