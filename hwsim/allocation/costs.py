# SPDX-License-Identifier: Apache-2.0
"""What each layer costs in each format: bits of weights, area x time of the array, energy and cycles."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

import cost_models
from hwsim.accelerator import Accelerator
from hwsim.accelerator.footprint import footprint
from hwsim.accelerator.operand_fit import is_wide_float
from hwsim.allocation.candidates import Candidate, hardware, product_layers
from hwsim.datapath.unit import ScalarSpec
from hwsim.formats import BlockSpec
from hwsim.network import Network
from hwsim.simulation import simulate

__all__ = [
    "QUANTITIES",
    "Costs",
    "layer_costs",
]

QUANTITIES = ("bits", "area", "energy", "latency")
_SCALE_BITS = 32  # float32, a column of weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Costs by layer (rows) and format (columns), for a pass of the network's batch.

    bits : of the weights in memory, scales included (of scalar formats a float32 scale a column of weights, as
        `UnitEngine` gives them, and none of formats it casts to); 0 for products of two varying tensors
    area : um2 x cycles: the area of the array's units times the cycles the layer is on it
    energy : pJ, of the layer on an accelerator of that unit: units, registers, memories, wires, leakage; the scales
        of scalar formats are counted in no memory's traffic
    latency : cycles of the same
    notes : where the figures come from, one a format: its unit measured, or fitted on measured units of its kind
    """

    layers: tuple[str, ...]
    formats: tuple[str, ...]
    bits: npt.NDArray[np.float64]
    area: npt.NDArray[np.float64]
    energy: npt.NDArray[np.float64]
    latency: npt.NDArray[np.float64]
    notes: tuple[str, ...]

    def of(self, quantity: str) -> npt.NDArray[np.float64]:
        """Return the costs of a quantity, one of `QUANTITIES`."""
        if quantity not in QUANTITIES:
            raise ValueError(f"a budget must be of one of {', '.join(QUANTITIES)}, not {quantity!r}")
        found: npt.NDArray[np.float64] = getattr(self, quantity)
        return found

    def total(self, quantity: str, assignment: Sequence[int]) -> float:
        """Return the sum over the layers, each in the format of that number."""
        return float(self.of(quantity)[np.arange(len(self.layers)), np.asarray(assignment)].sum())


def layer_costs(
    network: Network,
    candidates: Sequence[Candidate],
    accelerator: Accelerator,
    progress: Callable[[str], None] = lambda text: None,
) -> Costs:
    """Simulate the network, without values, on the accelerator with each candidate's unit; keep the products' costs.

    A layer of a mixed assignment costs what it does in the uniform one: an array of its unit is there for it, and the
    others' leakage and clocks meanwhile are not counted. Layers that are no products cost the same in every assignment,
    and are left out.

    Raises
    ------
    ValueError
        Where a unit has no area or energy in the accelerator's technology, or cannot run the network.
    """
    layers = product_layers(network)
    shape = (len(layers), len(candidates))
    bits, area, energy, latency = (np.zeros(shape) for _ in range(4))
    notes = []
    for column, each in enumerate(candidates):
        progress(f"costs of {each.name}")
        machine = hardware(accelerator, each)
        price = cost_models.estimate(each.unit, machine.technology, pipeline=machine.pipeline)
        if price.area_um2 is None:
            raise ValueError(f"unit {each.unit.name} has no area in {machine.technology}: use standard cells")
        results = {result.name: result for result in simulate(network, machine, values="none").layers}
        array = machine.array
        units = array.rows * array.columns * array.depth * array.count
        for row, (name, product) in enumerate(layers.items()):
            found = results[name]
            if found.energy.total_pj is None:
                raise ValueError(f"unit {each.unit.name} has no energy in {machine.technology}")
            weight = getattr(network.layer(name), "weight", None)
            if weight is not None:
                bits[row, column] = _weight_bits(each.unit.b, product.groups * product.n, product.k)
            area[row, column] = price.area_um2 * units * found.cycles
            energy[row, column] = found.energy.total_pj
            latency[row, column] = found.cycles
        notes.append(f"{each.name}: {each.unit.name}, {price.area_um2:.1f} um2 ({price.source})")
    return Costs(
        layers=tuple(layers), formats=tuple(each.name for each in candidates), bits=bits, area=area, energy=energy,
        latency=latency, notes=tuple(notes),
    )  # fmt: skip


def _weight_bits(spec: ScalarSpec | BlockSpec, columns: int, length: int) -> int:
    """Return the bits of a layer's weights and their scales, as `UnitEngine` quantizes them."""
    scaled = not isinstance(spec, BlockSpec) and not is_wide_float(spec)
    return footprint(spec, columns, length).bits + columns * _SCALE_BITS * scaled
